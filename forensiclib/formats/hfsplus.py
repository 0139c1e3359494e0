"""HFS+ and HFSX: the volume header. Apple Technical Note TN1150, "Volume Header"; all big-endian."""

from __future__ import annotations

from forensiclib.formats._dsl import Array, Bytes, Struct, u16be, u32be, u64be

__all__ = ["FORK", "HEADER", "HEADER_AT"]

HEADER_AT = 1024

EXTENT = Struct(8, start=u32be, count=u32be)
FORK = Struct(80, size=u64be, clump=u32be, blocks=u32be, extents=Array(8, EXTENT))

HEADER = Struct(
    192, signature=Bytes(2), version=u16be, attributes=u32be, last_mounted=Bytes(4), journal=u32be, created=u32be,
    modified=u32be, backup=u32be, checked=u32be, files=u32be, folders=u32be, block_size=u32be, blocks=u32be,
    free_blocks=u32be, next_allocation=u32be, rsrc_clump=u32be, data_clump=u32be, next_id=u32be, writes=u32be,
    encodings=u64be, finder=Bytes(32), allocation=FORK,
)  # fmt: skip
"""Up to and including the fork of the allocation file."""
