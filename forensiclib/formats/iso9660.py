"""ISO 9660: the primary volume descriptor and directory records. ECMA-119, 8.4 and 9.1."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32

__all__ = ["DIRECTORY_FLAG", "RECORD", "RECORD_LAYOUT", "SECTOR"]

SECTOR = 2048
DIRECTORY_FLAG = 0x02

RECORD = Struct(
    33,
    length=u8,
    extended=u8,
    extent=u32,
    extent_big=Bytes(4),
    size=u32,
    size_big=Bytes(4),
    time=Bytes(7),
    flags=u8,
    unit=u8,
    gap=u8,
    volume=u16,
    volume_big=Bytes(2),
    name_length=u8,
)
"""The fixed part of a directory record; ``time`` is years since 1900, month, day, hour, minute,
second, and the offset from UTC in quarters of an hour (9.1.5)."""
RECORD_LAYOUT = layout(RECORD)
