"""Chunk boundaries without a table: one chunk behind the other, each proved by its own checksum."""

from __future__ import annotations

import zlib
from array import array

from forensiclib.core.limits import Budget
from forensiclib.images.ewf.sections import Section, Segment

__all__ = ["rebuild"]


def _packed(raw: bytes, sizes: tuple[int, ...]) -> int:
    """Stored length of the zlib stream at the start of ``raw`` when it holds a chunk of such a size, else 0."""
    engine = zlib.decompressobj()
    try:
        out = engine.decompress(raw, max(sizes) + 1)
    except zlib.error:
        return 0
    return len(raw) - len(engine.unused_data) if engine.eof and len(out) in sizes else 0


def _plain(raw: bytes, sizes: tuple[int, ...]) -> int:
    """Stored length of an uncompressed chunk with a good Adler-32 at the start of ``raw``, else 0."""
    for size in sizes:
        if len(raw) >= size + 4 and zlib.adler32(raw[:size]) == int.from_bytes(raw[size : size + 4], "little"):
            return size + 4
    return 0


def rebuild(segment: Segment, sectors: Section, chunk: int, tail: int, most: int, budget: Budget) -> tuple[array[int], int]:
    """Entries relative to ``sectors.data`` (bit 31 compressed), and the offset behind the last chunk.

    ``chunk`` and ``tail`` are the sizes of a chunk and of the media's last one. Stops at the first
    bytes that are no whole chunk with a good checksum, and after ``most`` chunks.
    """
    entries = array("I")
    at = sectors.data
    while at < sectors.end and len(entries) < most and at - sectors.data < 1 << 31:
        budget.item()
        sizes = (chunk, tail) if len(entries) == most - 1 and tail != chunk else (chunk,)
        # A deflate stream of stored blocks is longer than its content by 5 bytes a block.
        raw = segment.file.read_at(at, min(sectors.end - at, 2 * chunk + 64))
        packed = _packed(raw, sizes)
        length = packed or _plain(raw, sizes)
        if not length:
            break
        entries.append(at - sectors.data | (1 << 31 if packed else 0))
        at += length
    return entries, at
