"""FAT12, FAT16, FAT32 and exFAT: boot sectors and directory entries.

Microsoft FAT32 File System Specification 1.03 ("fatgen103"), sections "Boot Sector and BPB" and
"FAT Directory Structure"; Microsoft exFAT file system specification, sections 3.1 and 7.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32, u64

__all__ = [
    "BOOT", "DELETED", "DIRECTORY", "ENTRY", "ENTRY_LAYOUT", "EXFAT_BITMAP", "EXFAT_BITMAP_LAYOUT", "EXFAT_BOOT",
    "EXFAT_FILE", "EXFAT_FILE_LAYOUT", "EXFAT_STREAM", "EXFAT_STREAM_LAYOUT", "FAT32_TAIL", "LONG_NAME", "NO_FAT_CHAIN",
    "VOLUME_LABEL",
]  # fmt: skip

DELETED = 0xE5
LONG_NAME, DIRECTORY, VOLUME_LABEL = 0x0F, 0x10, 0x08
NO_FAT_CHAIN = 0x02

BOOT = Struct(
    36,
    jump=Bytes(3),
    oem=Bytes(8),
    sector_size=u16,
    cluster_sectors=u8,
    reserved=u16,
    fats=u8,
    root_entries=u16,
    sectors16=u16,
    media=u8,
    fat_sectors16=u16,
    track_sectors=u16,
    heads=u16,
    hidden=u32,
    sectors32=u32,
)
"""Offsets 0 to 35, common to all three widths."""

FAT32_TAIL = Struct(28, fat_sectors32=u32, flags=u16, version=u16, root_cluster=u32, info=u16, backup=u16, reserved=Bytes(12))
"""Offsets 36 to 63 on FAT32."""

ENTRY = Struct(
    32,
    name=Bytes(11),
    attributes=u8,
    case=u8,
    born_tenths=u8,
    born_time=u16,
    born_date=u16,
    accessed_date=u16,
    cluster_high=u16,
    written_time=u16,
    written_date=u16,
    cluster_low=u16,
    size=u32,
)
"""A short-name directory entry."""
ENTRY_LAYOUT = layout(ENTRY)

EXFAT_BOOT = Struct(
    112,
    jump=Bytes(3),
    name=Bytes(8),
    zero=Bytes(53),
    partition=u64,
    sectors=u64,
    fat_at=u32,
    fat_sectors=u32,
    heap_at=u32,
    clusters=u32,
    root_cluster=u32,
    serial=u32,
    revision=u16,
    flags=u16,
    sector_shift=u8,
    cluster_shift=u8,
    fats=u8,
    drive=u8,
)
"""Offsets 0 to 111 (3.1); ``fat_at`` and ``heap_at`` in sectors; sizes as powers of two."""

EXFAT_FILE = Struct(
    32,
    type=u8,
    secondaries=u8,
    checksum=u16,
    attributes=u16,
    reserved=u16,
    born_time=u16,
    born_date=u16,
    written_time=u16,
    written_date=u16,
    accessed_time=u16,
    accessed_date=u16,
    born_tenths=u8,
    written_tenths=u8,
    born_offset=u8,
    written_offset=u8,
    accessed_offset=u8,
    reserved2=Bytes(7),
)
"""File entry, type 85 (05 when deleted); offsets from UTC in quarters of an hour, bit 7 says valid (7.4)."""
EXFAT_FILE_LAYOUT = layout(EXFAT_FILE)

EXFAT_STREAM = Struct(
    32,
    type=u8,
    flags=u8,
    reserved=u8,
    name_length=u8,
    name_hash=u16,
    reserved2=u16,
    valid=u64,
    reserved3=u32,
    first_cluster=u32,
    length=u64,
)
"""Stream extension, type C0 (40 when deleted) (7.6)."""
EXFAT_STREAM_LAYOUT = layout(EXFAT_STREAM)

EXFAT_BITMAP = Struct(32, type=u8, flags=u8, reserved=Bytes(18), first_cluster=u32, length=u64)
"""Allocation bitmap entry, type 81 (7.1)."""
EXFAT_BITMAP_LAYOUT = layout(EXFAT_BITMAP)
