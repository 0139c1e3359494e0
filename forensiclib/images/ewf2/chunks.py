"""The sector tables and the media behind them."""

from __future__ import annotations

import bz2
from bisect import bisect_right
from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ChunkedSource, clip
from forensiclib.core.span import Span
from forensiclib.formats.ewf2 import ENTRY_COMPRESSED, ENTRY_PATTERN, ENTRY_SUMMED, SECTION_HASHED, TABLE_ENTRY, TABLE_HEADER
from forensiclib.images.ewf2.notes import Geometry, body
from forensiclib.images.ewf2.segments import Section, Segment, checked
from forensiclib.kernels import adler32, inflate

__all__ = ["Ewf2Source", "Run", "tables"]

BZIP2 = b"BZh9"
"""EnCase leaves this out, and what follows the one block ("Bzip2 compression")."""


@dataclass(frozen=True, slots=True)
class Run:
    """``count`` chunks from ``first``; ``entries`` as stored, 16 bytes each."""

    segment: Segment
    first: int
    count: int
    entries: bytes


def _table(segment: Segment, section: Section, budget: Budget) -> Run:
    what, span = "EWF2 sector table", segment.span(section.data, section.size)
    raw = body(segment, section, budget)
    if len(raw) < TABLE_HEADER.size:
        raise Truncated(what, span, f"{len(raw)} of {TABLE_HEADER.size} bytes")
    if not checked(raw[:20]):
        raise Corrupt(what, span, "the Adler-32 of its header does not match")
    first, count, _, _, _ = TABLE_HEADER.unpack(raw)
    length = count * TABLE_ENTRY.size
    entries = raw[TABLE_HEADER.size : TABLE_HEADER.size + length + 4]
    if len(entries) < length + 4:
        raise Corrupt(what, span, f"{count} entries do not fit")
    if not (checked(entries) or section.flags & SECTION_HASHED):
        raise Corrupt(what, span, "the Adler-32 of its entries does not match")
    budget.item(count)
    return Run(segment, first, count, entries[:length])


def tables(segments: list[Segment], geometry: Geometry, budget: Budget) -> list[Run]:
    """Every table that is whole, in order of chunks; those that are not are findings, and so are overlaps."""
    runs: list[Run] = []
    for segment in segments:
        for section in segment.sections:
            if section.type != 0x04:
                continue
            try:
                runs.append(_table(segment, section, budget))
            except (Corrupt, Truncated) as error:
                budget.report(error)
    runs = sorted((run for run in runs if run.count), key=lambda run: run.first)
    kept: list[Run] = []
    for run in runs:
        if kept and run.first < kept[-1].first + kept[-1].count:
            found = f"chunks {run.first} to {run.first + run.count - 1} are in two tables; the first of them counts"
            budget.report(Corrupt("EWF2 sector table", run.segment.span(0, run.segment.file.size), found))
            continue
        kept.append(run)
    return kept


class Ewf2Source(ChunkedSource):
    """The media of a set. Every chunk that is returned had a matching checksum, where the format has one.

    root  name that spans carry; offsets count in the media
    """

    __slots__ = ("_runs", "_size", "_starts", "root")

    def __init__(self, runs: list[Run], geometry: Geometry, size: int, root: str) -> None:
        super().__init__(size, geometry.chunk_size, self._read, self._media, keep=max(4, (4 << 20) // geometry.chunk_size))
        self._runs, self._size, self.root = runs, geometry.chunk_size, root
        self._starts = [run.first for run in runs]

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span(self.root, offset, n),) if n else ()

    def stored(self, offset: int, n: int) -> tuple[Span, ...]:
        """The ranges of the segment files behind [offset, offset+n), a whole chunk each; patterns are nowhere."""
        out = []
        n = clip(offset, n, self.size)
        for chunk in range(offset // self._size, -(-(offset + n) // self._size) if n else 0):
            if (found := self._place(chunk)) is None:
                continue
            run, at, length, flags = found
            if flags & ENTRY_COMPRESSED and flags & ENTRY_PATTERN:
                continue
            packed = bool(flags & ENTRY_COMPRESSED)
            via = ("bzip2" if run.segment.compression == 2 else "deflate",) if packed else ()
            out.append(Span(run.segment.file.root, at, length, via, not packed))
        return tuple(out)

    def _place(self, chunk: int) -> tuple[Run, int, int, int] | None:
        i = bisect_right(self._starts, chunk) - 1
        if i < 0 or chunk >= self._runs[i].first + self._runs[i].count:
            return None
        run = self._runs[i]
        at, length, flags = TABLE_ENTRY.unpack(run.entries, (chunk - run.first) * TABLE_ENTRY.size)
        return run, at, length, flags

    def _media(self, chunk: int) -> tuple[Span, ...]:
        start = chunk * self._size
        return (Span(self.root, start, max(0, min(self._size, self.size - start))),)

    def _read(self, chunk: int) -> bytes:
        want = min(self._size, self.size - chunk * self._size)
        if (found := self._place(chunk)) is None:
            raise Truncated("EWF2 chunk", self._media(chunk)[0], f"chunk {chunk} is in no table that can be read")
        run, at, length, flags = found
        if flags & ENTRY_COMPRESSED and flags & ENTRY_PATTERN:
            return (at.to_bytes(8, "little") * (-(-want // 8)))[:want]
        raw = run.segment.file.read_at(at, min(length, 2 * self._size + 4096))
        if len(raw) < min(length, 2 * self._size + 4096):
            raise self._damage(Truncated, chunk, run, at, f"{len(raw)} of {length} bytes")
        if flags & ENTRY_COMPRESSED:
            data = self._unpack(chunk, run, at, raw)
        else:
            data = raw[:-4] if flags & ENTRY_SUMMED else raw
            if flags & ENTRY_SUMMED and not checked(raw):
                # The checksum may stand behind the size that the entry states.
                data = raw
                more = run.segment.file.read_at(at + length, 4)
                if len(more) < 4 or adler32(raw) != int.from_bytes(more, "little"):
                    raise self._damage(Corrupt, chunk, run, at, "its Adler-32 does not match")
        if len(data) < want:
            raise self._damage(Corrupt, chunk, run, at, f"{len(data)} of {want} bytes")
        return bytes(data[:want])

    def _unpack(self, chunk: int, run: Run, at: int, raw: bytes) -> bytes | bytearray:
        try:
            if run.segment.compression != 2:
                return inflate(raw, self._size)
            engine = bz2.BZ2Decompressor()
            return engine.decompress(raw if raw[:3] == BZIP2[:3] else BZIP2 + raw, self._size)
        except (ValueError, OSError, EOFError) as error:
            raise self._damage(Corrupt, chunk, run, at, str(error)) from error

    def _damage(self, kind: type[EvidenceError], chunk: int, run: Run, at: int, why: str) -> EvidenceError:
        return kind("EWF2 chunk", self._media(chunk)[0], f"chunk {chunk} at {at} of {run.segment.file.root}: {why}")
