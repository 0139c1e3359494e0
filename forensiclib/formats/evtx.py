"""Windows event log (EVTX) headers: libyal "Windows XML Event Log (EVTX) format" 2 to 4; [MS-EVEN6] 2.2."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32, u64

__all__ = ["CHUNK_HEADER", "CHUNK_MAGIC", "CHUNK_SIZE", "FILE_HEADER", "FILE_MAGIC", "RECORD_HEADER", "RECORD_MAGIC"]

FILE_MAGIC, CHUNK_MAGIC, RECORD_MAGIC = b"ElfFile\0", b"ElfChnk\0", b"\x2a\x2a\0\0"
CHUNK_SIZE = 65_536
"""Bytes of every chunk but a cut-off last."""

FILE_HEADER = layout(
    Struct(
        128,
        magic=Bytes(8),
        first_chunk=u64,
        last_chunk=u64,
        next_record=u64,
        header_size=u32,
        minor=u16,
        major=u16,
        block_size=u16,
        chunk_count=u16,
        unknown=Bytes(76),
        flags=u32,
        checksum=u32,
    )
)
"""Followed by zeros up to block_size (4096). checksum: CRC-32 of the first 120 bytes. flags: 1 dirty,
2 full, 4 no checksums in use."""

CHUNK_HEADER = layout(
    Struct(
        512,
        magic=Bytes(8),
        first_number=u64,
        last_number=u64,
        first_id=u64,
        last_id=u64,
        header_size=u32,
        last_record=u32,
        free_space=u32,
        data_checksum=u32,
        unknown=Bytes(64),
        flags=u32,
        checksum=u32,
        strings=Bytes(256),
        templates=Bytes(128),
    )
)
"""data_checksum: CRC-32 of [512, free_space); checksum: CRC-32 of the first 120 bytes and [128, 512).
strings, templates: heads of hash chains, u32 offsets from the chunk's start."""

RECORD_HEADER = layout(Struct(24, magic=Bytes(4), size=u32, id=u64, written=u64))
"""Followed by BinXML and, as the last four bytes, size again. written: FILETIME."""
