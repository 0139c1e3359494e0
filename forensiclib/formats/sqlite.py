"""SQLite database and write-ahead log: what tells their extent.

SQLite "Database File Format", 1.3 (database header), 1.5 and 1.6 (freelist, b-tree pages), 4.1 (WAL format).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16be, u32be

__all__ = ["BTREE", "HEADER", "WAL", "WAL_FRAME"]

HEADER = layout(
    Struct(
        100, magic=Bytes(16), page_size=u16be, write_version=u8, read_version=u8, reserved=u8, max_fraction=u8, min_fraction=u8,
        leaf_fraction=u8, change_counter=u32be, pages=u32be, first_trunk=u32be, free_pages=u32be, schema_cookie=u32be,
        schema_format=u32be, cache_size=u32be, largest_root=u32be, encoding=u32be, user_version=u32be, incremental=u32be,
        application=u32be, expansion=Bytes(20), valid_for=u32be, library=u32be,
    )
)  # fmt: skip
BTREE = layout(Struct(12, type=u8, first_freeblock=u16be, cells=u16be, content=u16be, fragmented=u8, right_child=u32be))
WAL = layout(
    Struct(
        32, magic=u32be, version=u32be, page_size=u32be, sequence=u32be, salt1=u32be, salt2=u32be, checksum1=u32be, checksum2=u32be
    )
)  # fmt: skip
WAL_FRAME = layout(Struct(24, page=u32be, commit=u32be, salt1=u32be, salt2=u32be, checksum1=u32be, checksum2=u32be))
