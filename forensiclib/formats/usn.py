"""NTFS change journal records ([MS-FSCC] 2.3.62.1 and .2, USN_RECORD_V2 and V3; V4: Windows SDK, winioctl.h)."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32, u64

__all__ = ["FLAGS", "PAGE", "REASONS", "V2", "V3", "V4"]

PAGE = 4096
"""No record crosses a multiple of this: the rest of a page is zero."""

V2 = layout(
    Struct(
        60, length=u32, major=u16, minor=u16, file=u64, parent=u64, usn=u64, time=u64, reason=u32, source=u32, security=u32,
        flags=u32, name_length=u16, name_offset=u16,
    )
)  # fmt: skip
V3 = layout(
    Struct(
        76, length=u32, major=u16, minor=u16, file=Bytes(16), parent=Bytes(16), usn=u64, time=u64, reason=u32, source=u32,
        security=u32, flags=u32, name_length=u16, name_offset=u16,
    )
)  # fmt: skip
V4 = layout(
    Struct(
        56, length=u32, major=u16, minor=u16, file=Bytes(16), parent=Bytes(16), usn=u64, reason=u32, source=u32,
    )
)  # fmt: skip
"""The extents of a range-tracked change follow (remaining, count, their size): it has no name and no time."""

REASONS = {
    0x1: "DATA_OVERWRITE", 0x2: "DATA_EXTEND", 0x4: "DATA_TRUNCATION", 0x10: "NAMED_DATA_OVERWRITE", 0x20: "NAMED_DATA_EXTEND",
    0x40: "NAMED_DATA_TRUNCATION", 0x100: "FILE_CREATE", 0x200: "FILE_DELETE", 0x400: "EA_CHANGE", 0x800: "SECURITY_CHANGE",
    0x1000: "RENAME_OLD_NAME", 0x2000: "RENAME_NEW_NAME", 0x4000: "INDEXABLE_CHANGE", 0x8000: "BASIC_INFO_CHANGE",
    0x10000: "HARD_LINK_CHANGE", 0x20000: "COMPRESSION_CHANGE", 0x40000: "ENCRYPTION_CHANGE", 0x80000: "OBJECT_ID_CHANGE",
    0x100000: "REPARSE_POINT_CHANGE", 0x200000: "STREAM_CHANGE", 0x400000: "TRANSACTED_CHANGE", 0x800000: "INTEGRITY_CHANGE",
    0x80000000: "CLOSE",
}  # fmt: skip
FLAGS = {1: "DATA_MANAGEMENT", 2: "AUXILIARY_DATA", 4: "REPLICATION_MANAGEMENT", 8: "CLIENT_REPLICATION_MANAGEMENT"}
"""Source information: who made the change when it was not a user's program."""
