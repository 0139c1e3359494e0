"""What the structure-checking carvers share: cheap small reads, streamed checksums, streamed search."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["STEP", "Window", "blocks", "crc32", "find", "same_byte"]

STEP = 1 << 20
"""Bytes a streamed read takes at once."""


class Window:
    """Small reads of a source, answered out of one held block: a walk over headers costs one read a
    block, not one a header. Belongs to one call on one thread."""

    __slots__ = ("_block", "_held", "_start", "size", "source")

    def __init__(self, source: ByteSource, block: int = 4096) -> None:
        self.source, self.size = source, source.size
        self._block, self._start, self._held = block, 0, b""

    def at(self, offset: int, n: int) -> bytes:
        """Up to ``n`` bytes from ``offset``; short at the end, empty outside the source."""
        if not 0 <= offset < self.size:
            return b""
        begin = offset - self._start
        if begin < 0 or begin + n > len(self._held):
            if n > self._block:
                return self.source.read_at(offset, n)
            self._start, begin = offset, 0
            self._held = self.source.read_at(offset, self._block)
        return self._held[begin : begin + n]

    def number(self, offset: int, n: int, big: bool = False) -> int:
        """The unsigned integer of ``n`` bytes at ``offset``; -1 when the source ends before it does."""
        raw = self.at(offset, n)
        return int.from_bytes(raw, "big" if big else "little") if len(raw) == n else -1


def blocks(source: ByteSource, start: int, end: int, budget: Budget, step: int = STEP) -> Iterator[bytes]:
    """[start, end) of a source, clipped to it, in pieces of at most ``step`` bytes."""
    end = min(end, source.size)
    while start < end:
        budget.check()
        piece = source.read_at(start, min(step, end - start))
        start += len(piece)
        yield piece


def crc32(source: ByteSource, start: int, length: int, budget: Budget) -> int:
    """CRC-32 (ISO 3309) of a range."""
    value = 0
    for piece in blocks(source, start, start + length, budget):
        value = zlib.crc32(piece, value)
    return value


def find(source: ByteSource, needle: bytes, start: int, end: int, budget: Budget) -> int:
    """Offset of the first ``needle`` that lies within [start, end), -1 without one. The first read is
    small: what is sought is mostly near."""
    end, step = min(end, source.size), 4096
    while start + len(needle) <= end:
        budget.check()
        piece = source.read_at(start, min(step, end - start))
        if (at := piece.find(needle)) >= 0:
            return start + at
        start += max(1, len(piece) - len(needle) + 1)
        step = min(STEP, step * 4)
    return -1


def same_byte(source: ByteSource, start: int, end: int, budget: Budget, value: int = 0) -> bool:
    """Whether every byte of [start, end) is ``value``; False when the source ends before ``end``."""
    if end > source.size:
        return False
    return all(piece.count(value) == len(piece) for piece in blocks(source, start, end, budget))
