"""GUID partition table: headers and entries. UEFI Specification 2.10, 5.3."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Const, Struct, layout, u32, u64

__all__ = ["ATTRIBUTES", "ENTRY", "ENTRY_LAYOUT", "HEADER", "HEADER_LAYOUT", "MAGIC", "TYPES"]

MAGIC = b"EFI PART"

HEADER = Struct(
    92,
    signature=Const(MAGIC),
    revision=u32,
    header_size=u32,
    header_crc=u32,
    reserved=u32,
    my_lba=u64,
    alternate_lba=u64,
    first_usable=u64,
    last_usable=u64,
    disk_guid=Bytes(16),
    entries_lba=u64,
    entry_count=u32,
    entry_size=u32,
    entries_crc=u32,
)
"""Table 5-5. The CRC covers ``header_size`` bytes with the CRC field as zero."""
HEADER_LAYOUT = layout(HEADER)

ENTRY = Struct(128, type=Bytes(16), unique=Bytes(16), first=u64, last=u64, attributes=u64, name=Bytes(72))
"""Table 5-6. ``first`` and ``last`` are LBAs, both inside; ``name`` is UTF-16LE."""
ENTRY_LAYOUT = layout(ENTRY)

ATTRIBUTES = {0: "required", 1: "no-block-io", 2: "legacy-boot", 60: "read-only", 61: "shadow-copy", 62: "hidden", 63: "no-drive-letter"}
"""Attribute bits: UEFI Table 5-8; 60 to 63 for Microsoft basic data partitions."""

TYPES = {
    "00000000-0000-0000-0000-000000000000": "Unused",
    "024dee41-33e7-11d3-9d69-0008c781f39f": "MBR partition scheme",
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
    "21686148-6449-6e6f-744e-656564454649": "BIOS boot",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "Microsoft basic data",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "Windows LDM metadata",
    "af9b60a0-1431-4f62-bc68-3311714a69ad": "Windows LDM data",
    "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "Windows recovery",
    "e75caf8f-f680-4cee-afa3-b001e56efc2d": "Windows storage spaces",
    "558d43c5-a1ac-43c0-aac8-d1472b2923d1": "Windows storage replica",
    "0fc63daf-8483-4772-8e79-3d69d8477de4": "Linux file system",
    "44479540-f297-41b2-9af7-d131d5f0458a": "Linux root (x86)",
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "Linux root (x86-64)",
    "69dad710-2ce4-4e3c-b16c-21a1d49abed3": "Linux root (ARM)",
    "b921b045-1df0-41c3-af44-4c6f280d3fae": "Linux root (ARM-64)",
    "933ac7e1-2eb4-4f13-b844-0e14e2aef915": "Linux home",
    "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "Linux server data",
    "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "Linux swap",
    "e6d6d379-f507-44c2-a23c-238f2a3df928": "Linux LVM",
    "a19d880f-05fc-4d3b-a006-743f0f84911e": "Linux RAID",
    "ca7d7ccb-63ed-4c53-861c-1742536059cc": "LUKS",
    "8da63339-0007-60c0-c436-083ac8230908": "Linux reserved",
    "bc13c2ff-59e6-4262-a352-b275fd6f7172": "Linux extended boot",
    "48465300-0000-11aa-aa11-00306543ecac": "Apple HFS+",
    "7c3457ef-0000-11aa-aa11-00306543ecac": "Apple APFS",
    "55465300-0000-11aa-aa11-00306543ecac": "Apple UFS",
    "52414944-0000-11aa-aa11-00306543ecac": "Apple RAID",
    "426f6f74-0000-11aa-aa11-00306543ecac": "Apple boot",
    "53746f72-6167-11aa-aa11-00306543ecac": "Apple Core Storage",
    "83bd6b9d-7f41-11dc-be0b-001560b84f0f": "FreeBSD boot",
    "516e7cb4-6ecf-11d6-8ff8-00022d09712b": "FreeBSD disk label",
    "516e7cb5-6ecf-11d6-8ff8-00022d09712b": "FreeBSD swap",
    "516e7cb6-6ecf-11d6-8ff8-00022d09712b": "FreeBSD UFS",
    "516e7cba-6ecf-11d6-8ff8-00022d09712b": "FreeBSD ZFS",
    "824cc7a0-36a8-11e3-890a-952519ad3f61": "OpenBSD data",
    "fe3a2a5d-4f32-41a7-b725-accc3285a309": "ChromeOS kernel",
    "3cb8e202-3b7e-47dd-8a3c-7ff2a13cfcec": "ChromeOS root",
    "aa31e02a-400f-11db-9590-000c2911d1b8": "VMware VMFS",
    "9d275380-40ad-11db-bf97-000c2911d1b8": "VMware vmkcore",
    "6a898cc3-1dd2-11b2-99a6-080020736631": "Solaris /usr or ZFS",
}
"""Type GUID to words: UEFI Table 5-7, Microsoft PARTITION_INFORMATION_GPT, the Discoverable Partitions Specification."""
