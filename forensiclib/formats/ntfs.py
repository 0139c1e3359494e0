"""NTFS on disk: boot sector, file records, attributes, indexes, reparse data. Little-endian throughout.

Microsoft publishes parts ([MS-FSCC] file attributes, reparse data, NTFS attribute types); the rest
follows the NTFS documentation of the Linux-NTFS project (3.1) and was checked on real volumes.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Padding, Struct, i64, layout, u8, u16, u32, u64

__all__ = [
    "ATTRIBUTE_LIST_ENTRY", "BOOT", "FILE_NAME", "INDEX_ENTRY", "INDEX_RECORD", "INDEX_ROOT", "MOUNT_POINT", "NON_RESIDENT",
    "RECORD", "REPARSE", "RESIDENT", "STANDARD_INFORMATION", "SYMLINK", "VOLUME_INFORMATION",
]  # fmt: skip

BOOT = Struct(
    84,
    jump=Bytes(3),
    oem=Bytes(8),
    bytes_per_sector=u16,
    sectors_per_cluster=u8,  # above 0x80: 2 ** (256 - n)
    reserved=Bytes(26),
    total_sectors=u64,
    mft_cluster=u64,
    mirror_cluster=u64,
    record_clusters=u8,  # signed; below 0: 2 ** -n bytes
    _pad1=Padding(3),
    index_clusters=u8,
    _pad2=Padding(3),
    serial=u64,
    checksum=u32,
)
"""The first 84 bytes of the boot sector; bytes 510 and 511 are 55 AA."""

RECORD = Struct(
    48,
    signature=Bytes(4),
    fixup_offset=u16,
    fixup_count=u16,
    lsn=u64,
    sequence=u16,
    links=u16,
    attributes=u16,
    flags=u16,
    used=u32,
    allocated=u32,
    base=u64,
    next_id=u16,
    _pad=Padding(2),
    number=u32,
)
"""FILE record segment header. flags: 1 in use, 2 directory, 4 in $Extend, 8 view index."""

RESIDENT = Struct(
    24, type=u32, length=u32, non_resident=u8, name_length=u8, name_offset=u16, flags=u16, id=u16,
    size=u32, content=u16, indexed=u8, _pad=Padding(1),
)  # fmt: skip
NON_RESIDENT = Struct(
    64, type=u32, length=u32, non_resident=u8, name_length=u8, name_offset=u16, flags=u16, id=u16,
    first_vcn=i64, last_vcn=i64, runs=u16, compression_unit=u16, _pad=Padding(4), allocated=i64, size=i64, valid=i64,
)  # fmt: skip
"""Attribute headers. flags: 0xFF compression method, 0x4000 encrypted, 0x8000 sparse."""

STANDARD_INFORMATION = Struct(
    72, born=u64, modified=u64, changed=u64, accessed=u64, flags=u32, maximum_versions=u32, version=u32, class_id=u32,
    owner=u32, security=u32, quota=u64, usn=u64,
)  # fmt: skip
"""NTFS 1.2 stops after 48 bytes (class_id)."""

FILE_NAME = Struct(
    66, parent=u64, born=u64, modified=u64, changed=u64, accessed=u64, allocated=u64, size=u64, flags=u32, reparse=u32,
    name_length=u8, namespace=u8,
)  # fmt: skip
"""The name follows: name_length UTF-16 units. namespace: 0 POSIX, 1 Win32, 2 DOS, 3 both."""

ATTRIBUTE_LIST_ENTRY = Struct(
    26, type=u32, length=u16, name_length=u8, name_offset=u8, first_vcn=u64, reference=u64, id=u16,
)  # fmt: skip

INDEX_ROOT = Struct(
    32, type=u32, collation=u32, record_size=u32, record_clusters=u8, _pad=Padding(3),
    first=u32, used=u32, allocated=u32, flags=u8, _pad2=Padding(3),
)  # fmt: skip
INDEX_RECORD = Struct(
    40, signature=Bytes(4), fixup_offset=u16, fixup_count=u16, lsn=u64, vcn=u64,
    first=u32, used=u32, allocated=u32, flags=u8, _pad=Padding(3),
)  # fmt: skip
INDEX_ENTRY = Struct(16, reference=u64, length=u16, key_length=u16, flags=u16, _pad=Padding(2))
"""flags: 1 has a child block (its VCN is the last 8 bytes), 2 end of the node. A FILE_NAME follows in $I30."""

VOLUME_INFORMATION = Struct(12, reserved=u64, major=u8, minor=u8, flags=u16)

REPARSE = Struct(8, tag=u32, length=u16, _pad=Padding(2))
"""[MS-FSCC] 2.1.2.2."""
SYMLINK = Struct(12, substitute_at=u16, substitute_length=u16, print_at=u16, print_length=u16, flags=u32)
"""[MS-FSCC] 2.1.2.4, behind the header; flags 1 is relative."""
MOUNT_POINT = Struct(8, substitute_at=u16, substitute_length=u16, print_at=u16, print_length=u16)
"""[MS-FSCC] 2.1.2.5."""

LIST_ENTRY = layout(ATTRIBUTE_LIST_ENTRY)
"""Compiled, for loops."""
