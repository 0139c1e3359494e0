"""Extensible Storage Engine database: what tells its extent.

libyal "Extensible Storage Engine (ESE) Database File (EDB) format": file header, page header, root page header.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32, u64

__all__ = ["HEADER", "PAGE", "ROOT"]

HEADER = layout(
    Struct(
        240, checksum=u32, signature=u32, version=u32, type=u32, time=u64, database=Bytes(28), state=u32, unknown=Bytes(176), revision=u32,
        page_size=u32,
    )
)  # fmt: skip
PAGE = layout(
    Struct(
        40, checksum=u64, modified=u64, previous=u32, next=u32, object=u32, free=u16, uncommitted=u16, first_free=u16, tags=u16,
        flags=u32,
    )
)  # fmt: skip
ROOT = layout(Struct(16, pages=u32, parent=u32, extent_space=u32, owned=u32))
