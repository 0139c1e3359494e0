"""Partition tables of Apple, BSD and Sun machines.

Apple: Inside Macintosh, Devices, 3-13 (block0, the partition map). BSD: disklabel(5) and sys/disklabel.h of FreeBSD, NetBSD
and OpenBSD (whose version 1 has 48-bit sector numbers). Sun: SunOS dklabel(7), sys/dklabel.h and sys/vtoc.h.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Array, Bytes, Const, Padding, Struct, layout, u8, u16, u16be, u32, u32be

__all__ = ["APM_ENTRY", "BSD_ENTRY", "BSD_HEAD", "BSD_MAGIC", "BSD_TYPES", "SUN_LABEL", "SUN_MAGIC", "SUN_TYPES"]

APM_ENTRY = Struct(
    136,
    signature=Const(b"PM"), pad=u16be, count=u32be, start=u32be, blocks=u32be, name=Bytes(32), type=Bytes(32), data_start=u32be,
    data_blocks=u32be, status=u32be, rest=Bytes(44),
)  # fmt: skip
"""One block of the map, the first at block 1; ``count`` entries in all. Status bits 0 valid, 1 allocated, 2 in use."""

BSD_MAGIC = 0x82564557
BSD_HEAD = Struct(
    148,
    magic=u32, type=u16, subtype=u16, typename=Bytes(16), packname=Bytes(16), sector=u32, geometry=Bytes(16), sectors=u32,
    middle=Bytes(48), sectors_high=u16, version=u16, spare=Bytes(16), magic2=u32, checksum=u16, count=u16, boot=u32, super=u32,
)  # fmt: skip
"""Followed by ``count`` entries; all 16-bit words up to their end, the checksum's among them, are 0 by exclusive or."""

BSD_ENTRY = layout(Struct(16, size=u32, offset=u32, offset_high=u16, size_high=u16, type=u8, fragments=u8, cylinders=u16))
"""The two high words are OpenBSD's (version 1); elsewhere they are the fragment size."""
BSD_TYPES = {
    0: "unused", 1: "swap", 2: "V6", 3: "V7", 4: "System V", 7: "FFS (4.2BSD)", 8: "MS-DOS", 9: "LFS", 10: "in use", 11: "HPFS",
    12: "ISO 9660", 13: "boot", 14: "Vinum or AFFS", 15: "RAID or HFS", 17: "ext2", 18: "NTFS", 19: "RAID", 20: "ccd", 27: "ZFS",
}  # fmt: skip

SUN_MAGIC = 0xDABE
SUN_LABEL = Struct(
    512,
    text=Bytes(128), version=u32be, volume=Bytes(8), count=u16be, infos=Array(8, Struct(4, tag=u16be, flag=u16be)), pad=Padding(2),
    boot=Bytes(12), sanity=u32be, rest=Bytes(244), heads=u16be, sectors=u16be, spare=Bytes(4),
    slices=Array(8, Struct(8, cylinder=u32be, sectors=u32be)), magic=u16be, checksum=u16be,
)  # fmt: skip
SUN_TYPES = {
    0: "unassigned", 1: "boot", 2: "root", 3: "swap", 4: "usr", 5: "whole disk", 6: "stand", 7: "var", 8: "home", 9: "alternates",
    0x82: "Linux swap", 0x83: "Linux", 0x8E: "Linux LVM", 0xFD: "Linux RAID",
}  # fmt: skip
