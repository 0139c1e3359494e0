"""Which blocks of a volume are in use, read from its own tables in windows: a byte a block, never a loop a block."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator

from forensiclib.core.errors import Truncated
from forensiclib.core.source import ByteSource

__all__ = ["BitBlocks", "Blocks", "FatBlocks", "free_ranges"]

WINDOW = 1 << 20
"""Blocks looked at together: 1 MiB of flags, 4 MiB of a FAT32 table."""
_BITS_LOW = [bytes(v >> bit & 1 for v in range(256)) for bit in range(8)]
_FREE, _USED = re.compile(rb"\0+"), re.compile(rb"[^\0]+")


class Blocks(ABC):
    """Blocks ``first`` to ``last`` (both inside); block ``first`` lies at byte ``start`` of the volume."""

    first: int
    last: int
    start: int
    size: int

    @abstractmethod
    def used(self, block: int, count: int) -> bytes:
        """One byte for each of ``count`` blocks from ``block``: 0 free, else in use. Clipped at ``last``."""

    def offset(self, block: int) -> int:
        """The byte at which a block starts."""
        return self.start + (block - self.first) * self.size

    def has(self, block: int) -> bool:
        """Whether that number is a block of the volume."""
        return self.first <= block <= self.last

    def clip(self, block: int, count: int) -> int:
        """How many of ``count`` blocks from ``block`` there are."""
        return max(0, min(count, self.last + 1 - block)) if block >= self.first else 0

    def free_run(self, block: int, need: int) -> tuple[list[tuple[int, int]], int]:
        """``need`` free blocks from ``block`` on, those in use skipped: (block, count) runs, and how
        many in use lay between. Fewer when the volume ends."""
        runs: list[tuple[int, int]] = []
        skipped, have = 0, 0
        while have < need and self.has(block):
            flags = self.used(block, min(WINDOW, max(need - have, 4096)))
            for match in _FREE.finditer(flags):
                take = min(match.end() - match.start(), need - have)
                runs.append((block + match.start(), take))
                have += take
                if have == need:
                    end = match.start() + take
                    skipped += sum(m.end() - m.start() for m in _USED.finditer(flags, 0, end))
                    return _joined(runs), skipped
            skipped += sum(m.end() - m.start() for m in _USED.finditer(flags))
            block += len(flags)
        return _joined(runs), skipped

    def in_use(self, block: int, count: int) -> int:
        """How many of those blocks are in use now."""
        total, end = 0, block + self.clip(block, count)
        while block < end:
            flags = self.used(block, min(WINDOW, end - block))
            total += len(flags) - flags.count(0)
            block += len(flags)
        return total


def _joined(runs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for block, count in runs:
        if out and out[-1][0] + out[-1][1] == block:
            out[-1] = (out[-1][0], out[-1][1] + count)
        else:
            out.append((block, count))
    return out


def free_ranges(blocks: Blocks, volume: int) -> Iterator[tuple[int, int]]:
    """(start, length) in bytes of the free blocks, and of what lies behind the last block."""
    pending: tuple[int, int] | None = None
    for start, length in _free(blocks, volume):
        if pending is not None and sum(pending) == start:
            pending = (pending[0], pending[1] + length)
            continue
        if pending is not None:
            yield pending
        pending = (start, length)
    if pending is not None:
        yield pending


def _free(blocks: Blocks, volume: int) -> Iterator[tuple[int, int]]:
    block = blocks.first
    while block <= blocks.last:
        flags = blocks.used(block, WINDOW)
        if not flags:
            break
        for match in _FREE.finditer(flags):
            start = blocks.offset(block + match.start())
            length = min((match.end() - match.start()) * blocks.size, volume - start)
            if length > 0:
                yield start, length
        block += len(flags)
    end = blocks.offset(blocks.last + 1)
    if end < volume:
        yield end, volume - end


class BitBlocks(Blocks):
    """A bitmap, lowest bit first (exFAT, NTFS) or highest first (HFS+)."""

    def __init__(self, bitmap: ByteSource, first: int, count: int, start: int, size: int, *, high_first: bool = False) -> None:
        self.first, self.last, self.start, self.size = first, first + count - 1, start, size
        self._bitmap = bitmap
        self._order = _BITS_LOW[::-1] if high_first else _BITS_LOW

    def used(self, block: int, count: int) -> bytes:
        count = self.clip(block, count)
        at, skip = divmod(block - self.first, 8)
        raw = self._bitmap.read_at(at, (skip + count + 7) // 8)
        if len(raw) * 8 < skip + count:
            raise Truncated("allocation bitmap", None, f"{self._bitmap.size} bytes for {self.last - self.first + 1} blocks")
        return spread(raw, self._order)[skip : skip + count]


def spread(raw: bytes, order: list[bytes] = _BITS_LOW) -> bytes:
    """Each bit as one byte."""
    out = bytearray(len(raw) * 8)
    for bit in range(8):
        out[bit::8] = raw.translate(order[bit])
    return bytes(out)


class FatBlocks(Blocks):
    """A file allocation table of 12, 16 or 32 bits (28 used); cluster 2 is the first."""

    def __init__(self, table: ByteSource, width: int, clusters: int, start: int, size: int) -> None:
        self.first, self.last, self.start, self.size = 2, clusters + 1, start, size
        self.width, self._table = width, table

    def used(self, block: int, count: int) -> bytes:
        count = self.clip(block, count)
        if self.width == 12:
            return bytes(1 if self.next(c) else 0 for c in range(block, block + count))
        step = self.width // 8
        raw = self._table.read_at(block * step, count * step)
        if len(raw) < count * step:
            raise Truncated("file allocation table", None, f"{self._table.size} bytes for {self.last - 1} clusters")
        planes = [raw[i::step] for i in range(step)]
        if step == 4:
            planes[3] = planes[3].translate(_LOW_NIBBLE)
        merged = 0
        for plane in planes:
            merged |= int.from_bytes(plane, "little")
        return merged.to_bytes(count, "little")

    def next(self, cluster: int) -> int:
        """The table's entry: 0 free, a cluster, or at least ``end`` for the last one."""
        if self.width == 12:
            pair = int.from_bytes(self._table.read_at(cluster * 3 // 2, 2), "little")
            return pair >> 4 if cluster & 1 else pair & 0xFFF
        step = self.width // 8
        value = int.from_bytes(self._table.read_at(cluster * step, step), "little")
        return value & 0x0FFFFFFF if step == 4 else value

    @property
    def end(self) -> int:
        """From this value on an entry ends a chain."""
        return {12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}[self.width]


_LOW_NIBBLE = bytes(v & 0x0F for v in range(256))
