"""Compound file: header and directory entry.

[MS-CFB] 2.2 (Compound File Header), 2.6.1 (Compound File Directory Entry).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32, u64

__all__ = ["ENTRY", "HEADER"]

HEADER = layout(
    Struct(
        76, signature=Bytes(8), clsid=Bytes(16), minor=u16, major=u16, byte_order=u16, sector_shift=u16, mini_shift=u16, reserved=Bytes(6),
        directory_sectors=u32, fat_sectors=u32, first_directory=u32, transaction=u32, mini_cutoff=u32, first_minifat=u32,
        minifat_sectors=u32, first_difat=u32, difat_sectors=u32,
    )
)  # fmt: skip
ENTRY = layout(
    Struct(
        128, name=Bytes(64), name_length=u16, type=u8, color=u8, left=u32, right=u32, child=u32, clsid=Bytes(16), state=u32,
        created=u64, modified=u64, start=u32, size=u64,
    )
)  # fmt: skip
