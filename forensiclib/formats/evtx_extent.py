"""Windows event log: what tells the extent of a file and of a chunk.

[MS-EVEN6] 2.2.17 and libyal "Windows XML Event Log (EVTX) format", file header and chunk header.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32, u64

__all__ = ["CHUNK_HEADER", "FILE_HEADER"]

FILE_HEADER = layout(
    Struct(
        128, signature=Bytes(8), first_chunk=u64, last_chunk=u64, next_record=u64, header_size=u32, minor=u16, major=u16,
        block_size=u16, chunks=u16, unknown=Bytes(76), flags=u32, checksum=u32,
    )
)  # fmt: skip
CHUNK_HEADER = layout(
    Struct(
        128, signature=Bytes(8), first_number=u64, last_number=u64, first_id=u64, last_id=u64, header_size=u32, last_offset=u32,
        free_offset=u32, data_checksum=u32, unknown=Bytes(64), flags=u32, checksum=u32,
    )
)  # fmt: skip
