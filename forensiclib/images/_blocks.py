"""Disks in blocks that lie anywhere: the block map read in pages, neighbours joined into one read."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable

from forensiclib.core.errors import Truncated
from forensiclib.core.source import ByteSource, ExtentSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge, zeros

__all__ = ["BlockSource", "Locate", "Place", "Table", "numbers", "padded", "read_exactly", "root_of"]

Place = tuple["ByteSource | None", int, int]
"""(source, offset in it, bytes that lie there one behind the other); the source None for zeros."""
Locate = Callable[[int], Place]
"""Offset in the disk, below its size -> where it lies. At least one byte; raises EvidenceError for what is nowhere."""

PAGE = 4096
"""Entries of a block map that are read at once: the map of 256 MiB in blocks of 64 KiB."""
PAGES = 1024
"""Pages held: 32 MiB of memory at most, the map of 256 GiB in blocks of 64 KiB."""


def root_of(source: ByteSource) -> str:
    """The name that spans of the source carry."""
    spans = source.trace(0, 1)
    return spans[0].root if spans else ""


def read_exactly(source: ByteSource, offset: int, n: int, what: str) -> bytes:
    """``n`` bytes; Truncated when the source ends before them."""
    data = source.read_at(offset, n)
    if len(data) < n:
        raise Truncated(what, Span(root_of(source), offset, n), f"{len(data)} of {n} bytes are there")
    return data


def numbers(raw: bytes, code: str, *, big: bool = False) -> array[int]:
    """``raw`` as unsigned integers: code "I" of four bytes, "Q" of eight."""
    out = array(code)
    out.frombytes(raw)
    if big != (sys.byteorder == "big"):
        out.byteswap()
    return out


class Table:
    """``count`` integers at ``at``, read a page at a time when they are wanted. Any thread may ask.

    Raises Truncated for an entry behind the end of the source. The caller keeps the index below ``count``.
    """

    __slots__ = ("_at", "_big", "_code", "_pages", "_source", "_what", "count")

    def __init__(self, source: ByteSource, at: int, count: int, code: str, what: str, *, big: bool = False) -> None:
        self._source, self._at, self.count, self._code, self._what, self._big = source, at, count, code, what, big
        self._pages: dict[int, array[int]] = {}

    def __getitem__(self, index: int) -> int:
        page = self._pages.get(index >> 12)
        if page is None:
            page = self._load(index >> 12)
        return page[index & 4095]

    def _load(self, number: int) -> array[int]:
        width = 4 if self._code == "I" else 8
        take = min(PAGE, self.count - number * PAGE)
        raw = read_exactly(self._source, self._at + number * PAGE * width, take * width, self._what)
        if len(self._pages) >= PAGES:
            self._pages.clear()
        page = self._pages[number] = numbers(raw, self._code, big=self._big)
        return page


class BlockSource(ByteSource):
    """A disk of ``size`` bytes whose bytes lie where ``locate`` says."""

    __slots__ = ("_locate", "size", "what")

    def __init__(self, size: int, locate: Locate, what: str) -> None:
        self.size, self._locate, self.what = size, locate, what

    def _places(self, offset: int, n: int) -> list[Place]:
        """Covering exactly n bytes, which are there."""
        out: list[Place] = []
        end, locate = offset + n, self._locate
        source, start, run = locate(offset)
        at = offset + run
        while at < end:
            other, place, more = locate(at)
            if other is source and (other is None or place == start + run):
                run += more
            else:
                out.append((source, start, run))
                source, start, run = other, place, more
            at += more
        out.append((source, start, run - (at - end)))
        return out

    def read_at(self, offset: int, n: int) -> bytes:
        n = clip(offset, n, self.size)
        if not n:
            return b""
        source, start, run = self._locate(offset)
        if run >= n:
            data = bytes(n) if source is None else source.read_at(start, n)
            if len(data) == n:
                return data
        buffer = bytearray(n)
        self.read_into(offset, buffer)
        return bytes(buffer)

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        for source, start, length in self._places(offset, n) if n else ():
            part = view[done : done + length]
            if source is None:
                part[:] = bytes(length)
            elif (got := source.read_into(start, part)) < length:
                span = Span(root_of(source), start, length)
                raise Truncated(
                    self.what, span, f"offset {offset + done + got} of the disk lies behind the end of the file, at {source.size}"
                )
            done += length
        return done

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        out: list[Span] = []
        for source, start, length in self._places(offset, n) if n else ():
            out += [zeros(length)] if source is None else source.trace(start, length)
        return merge(out)


def padded(parent: ByteSource, size: int) -> ByteSource:
    """The parent as ``size`` bytes: what a smaller one lacks reads as zero."""
    if parent.size >= size:
        return parent
    return ExtentSource(parent, [(0, parent.size), (None, size - parent.size)], size)
