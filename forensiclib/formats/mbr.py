"""Master boot record and extended boot records: the partition table of the PC BIOS.

UEFI Specification 2.10, 5.2.1 (Legacy MBR); partition types: UEFI 5.2.1 and the list that
util-linux's sfdisk prints (``sfdisk -T``).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Array, Bytes, Struct, layout, u8, u16, u32

__all__ = ["ENTRY", "ENTRY_LAYOUT", "EXTENDED", "PROTECTIVE", "RECORD", "SIGNATURE", "TABLE_AT", "TYPES"]

SIGNATURE = 0xAA55
TABLE_AT = 446
PROTECTIVE = 0xEE
EXTENDED = frozenset({0x05, 0x0F, 0x85})

ENTRY = Struct(16, boot=u8, first_chs=Bytes(3), type=u8, last_chs=Bytes(3), first=u32, sectors=u32)
"""One partition: ``first`` and ``sectors`` in sectors; relative in extended boot records."""
ENTRY_LAYOUT = layout(ENTRY)

RECORD = Struct(512, code=Bytes(440), disk_id=u32, copy_protected=u16, entries=Array(4, ENTRY), signature=u16)
"""Sector 0, and the first sector of every link of an extended partition."""

TYPES = {
    0x01: "FAT12", 0x04: "FAT16 below 32 MiB", 0x05: "Extended", 0x06: "FAT16", 0x07: "NTFS, exFAT or HPFS", 0x0B: "FAT32",
    0x0C: "FAT32 (LBA)", 0x0E: "FAT16 (LBA)", 0x0F: "Extended (LBA)", 0x11: "Hidden FAT12", 0x12: "OEM service",
    0x14: "Hidden FAT16 below 32 MiB", 0x16: "Hidden FAT16", 0x17: "Hidden NTFS, exFAT or HPFS", 0x1B: "Hidden FAT32",
    0x1C: "Hidden FAT32 (LBA)", 0x1E: "Hidden FAT16 (LBA)", 0x27: "Windows recovery (hidden NTFS)", 0x39: "Plan 9",
    0x42: "Windows dynamic disk (LDM)", 0x4D: "QNX4.x", 0x63: "GNU Hurd or System V", 0x80: "Old Minix", 0x81: "Minix",
    0x82: "Linux swap or Solaris", 0x83: "Linux", 0x84: "Hibernation", 0x85: "Linux extended", 0x86: "NTFS volume set",
    0x87: "NTFS volume set", 0x88: "Linux plaintext", 0x8E: "Linux LVM", 0x9F: "BSD/OS", 0xA0: "Laptop hibernation",
    0xA5: "FreeBSD", 0xA6: "OpenBSD", 0xA8: "Apple UFS", 0xA9: "NetBSD", 0xAB: "Apple boot", 0xAF: "Apple HFS or HFS+",
    0xB7: "BSDI", 0xBE: "Solaris boot", 0xBF: "Solaris", 0xDA: "Non-file-system data", 0xDE: "Dell utility", 0xE8: "LUKS",
    0xEA: "Boot loader specification", 0xEB: "BeOS", 0xEE: "GPT protective", 0xEF: "EFI system (FAT)", 0xFB: "VMware VMFS",
    0xFC: "VMware swap", 0xFD: "Linux RAID autodetect", 0xFE: "LANstep or IBM PS/2 IML", 0xFF: "Xenix bad blocks",
}  # fmt: skip
"""Type byte to words, as an examiner knows them."""
