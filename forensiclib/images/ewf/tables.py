"""The chunk index: where each chunk of the media is stored.

Tables stay as they are stored, four bytes an entry; a disk of 4 TB needs 512 MB of them at 32 KiB
a chunk and no object more than one for each table.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.formats.ewf import TABLE_HEADER
from forensiclib.images.ewf.headers import Geometry
from forensiclib.images.ewf.rebuild import rebuild
from forensiclib.images.ewf.sections import Section, Segment, checked

__all__ = ["Index", "Run", "build"]

_LOW = 0x7FFFFFFF


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive chunks of one table.

    entries  as stored: bit 31 compressed, else an offset from ``base``
    limit    first byte behind the last chunk's stored form
    wide     index of the first entry that is a full 32-bit offset of an uncompressed chunk
             ("Table entries offset overflow", EnCase 6.7.1)
    hole     why these chunks cannot be read; then ``entries`` is empty
    """

    segment: Segment
    count: int
    base: int = 0
    limit: int = 0
    entries: array[int] = field(default_factory=lambda: array("I"))
    wide: int = 1 << 32
    hole: EvidenceError | None = None

    def place(self, i: int) -> tuple[int, int, bool]:
        """(offset in the segment file, bytes to the next chunk or the limit, compressed) of entry ``i``."""
        entry = self.entries[i]
        if i >= self.wide:
            start, packed = self.base + entry, False
        else:
            start, packed = self.base + (entry & _LOW), entry > _LOW
        end = self.limit
        if i + 1 < self.count:
            after = self.entries[i + 1]
            following = self.base + (after if i + 1 >= self.wide else after & _LOW)
            if following > start:
                end = following
        return start, max(0, end - start), packed


class Index:
    """Chunk number -> (run, entry)."""

    __slots__ = ("count", "runs", "starts")

    def __init__(self, runs: list[Run]) -> None:
        self.runs = tuple(runs)
        self.starts = array("Q")
        self.count = 0
        for run in runs:
            self.starts.append(self.count)
            self.count += run.count

    def find(self, chunk: int) -> tuple[Run, int]:
        """The run that holds ``chunk`` (below ``count``) and its place in it."""
        i = bisect_right(self.starts, chunk) - 1
        return self.runs[i], chunk - self.starts[i]


@dataclass(frozen=True, slots=True)
class _Table:
    section: Section
    base: int
    entries: array[int]
    behind: int


def _read(segment: Segment, section: Section, geometry: Geometry, budget: Budget) -> _Table:
    """ "Table section" with its checksums. The EWF specification and SMART store none for the entries."""
    what, file = f"EWF {section.type} section", segment.file
    raw = file.read_at(section.data, min(TABLE_HEADER.size, section.size))
    span = segment.span(section.data, len(raw))
    if len(raw) < TABLE_HEADER.size:
        raise Truncated(what, span, f"{len(raw)} of {TABLE_HEADER.size} bytes")
    if not checked(raw):
        raise Corrupt(what, span, "the Adler-32 of its header does not match")
    count, _, base, _, _ = TABLE_HEADER.unpack(raw)
    at = section.data + TABLE_HEADER.size
    length = budget.allocate(what, 4 * count, span)
    if at + length > section.end:
        kind = Truncated if section.end == file.size else Corrupt
        raise kind(what, segment.span(at, section.end - at), f"{count} entries do not fit")
    stored = file.read_at(at, length)
    entries = array("I", stored)
    if sys.byteorder == "big":
        entries.byteswap()
    behind = at + length
    first = base + (entries[0] & _LOW) if count else 0
    if count and not (geometry.smart or first == behind):
        footer = file.read_at(behind, 4)
        if zlib.adler32(stored) != int.from_bytes(footer, "little") or len(footer) < 4:
            raise Corrupt(what, segment.span(at, length + 4), "the Adler-32 of its entries does not match")
        behind += 4
    return _Table(section, base, entries, behind)


def _wide(table: _Table, segment: Segment) -> int:
    if table.base or segment.file.size <= _LOW:
        return 1 << 32
    before = 0
    for i, entry in enumerate(table.entries):
        if (entry & _LOW) < before and entry > before:
            return i
        before = entry & _LOW
    return 1 << 32


def _limit(table: _Table, sectors: Section | None, segment: Segment) -> int:
    """End of the stored chunks: of the sectors section before the table, or of the table section."""
    if len(table.entries):
        first = table.base + (table.entries[0] & _LOW)
        if sectors is not None and sectors.data <= first < max(sectors.end, sectors.data + 1):
            return sectors.end
        if first < table.section.at:
            return table.section.at
    return table.section.end


class _Builder:
    def __init__(self, segments: list[Segment], geometry: Geometry, budget: Budget) -> None:
        self.segments, self.geometry, self.budget = segments, geometry, budget
        self.runs: list[Run] = []
        self.count = 0
        self.unknown: list[int] = []  # runs whose length is not known
        self.physical = sum(s.file.size for s in segments)

    def add(self, run: Run) -> None:
        self.budget.item()
        self.runs.append(run)
        self.count += run.count
        if 4 * self.count > self.physical and run.hole is None and run.count:
            # Each entry stands in a file: more of them than bytes means sections that overlap.
            raise Corrupt("EWF tables", run.segment.span(0, run.segment.file.size), f"{self.count} entries")

    def lost(self, segment: Segment, error: EvidenceError) -> None:
        self.unknown.append(len(self.runs))
        self.runs.append(Run(segment, 0, hole=error))

    def segment(self, segment: Segment) -> None:
        sectors: Section | None = None
        tables: list[Section] = []
        for section in segment.sections:
            if section.type == "table" and tables:
                self.group(segment, sectors, tables)
                sectors, tables = None, []
            if section.type == "sectors":
                self.group(segment, sectors, tables)
                sectors, tables = section, []
            elif section.type in ("table", "table2"):
                tables.append(section)
        self.group(segment, sectors, tables)
        if segment.broken is not None:
            self.budget.report(segment.broken)

    def group(self, segment: Segment, sectors: Section | None, sections: list[Section]) -> None:
        """One sectors section and the table and table2 that describe it."""
        if sectors is None and not sections:
            return
        good: list[_Table] = []
        bad: list[EvidenceError] = []
        for section in sections:
            try:
                good.append(_read(segment, section, self.geometry, self.budget))
            except (Corrupt, Truncated) as error:
                self.budget.report(error)
                bad.append(error)
        if not good:
            self.scan(segment, sectors, bad)
            return
        table = good[0]
        for other in good[1:]:
            if other.base != table.base or other.entries.tobytes() != table.entries.tobytes():
                span = segment.span(other.section.at, other.section.end - other.section.at)
                self.budget.report(Corrupt("EWF table2 section", span, "differs from the table section, both checksums hold"))
        limit = _limit(table, sectors, segment)
        self.add(Run(segment, len(table.entries), table.base, limit, table.entries, _wide(table, segment)))

    def scan(self, segment: Segment, sectors: Section | None, bad: list[EvidenceError]) -> None:
        """Without any good table: chunks found one behind the other in the sectors section."""
        lost = segment.broken or (bad[0] if bad else None)
        if lost is None:
            place = sectors.at if sectors is not None else 0
            lost = Corrupt("EWF sectors section", segment.span(place, 76), "no table describes it")
            self.budget.report(lost)
        if sectors is not None:
            left = max(0, self.geometry.chunks - self.count)
            tail = self.geometry.size % self.geometry.chunk_size or self.geometry.chunk_size
            entries, limit = rebuild(segment, sectors, self.geometry.chunk_size, tail, left, self.budget)
            if entries:
                self.add(Run(segment, len(entries), sectors.data, limit, entries))
            if limit == sectors.end and not segment.cut:
                return
        self.lost(segment, lost)

    def close(self) -> list[Run]:
        """Fit the runs to the chunk count; one hole of unknown length gets what is left."""
        wanted = self.geometry.chunks
        missing = wanted - self.count
        last = self.segments[-1]
        if missing > 0 and not self.unknown:
            error = last.broken or Corrupt("EWF tables", self.geometry.span, f"{self.count} chunks of {wanted} are listed")
            if last.broken is None:
                self.budget.report(error)
            self.unknown.append(len(self.runs))
            self.runs.append(Run(last, 0, hole=error))
        if len(self.unknown) > 1 and any(run.count for run in self.runs[self.unknown[0] :]):
            # How long each hole is cannot be known: what stands behind the first has no place.
            first = self.unknown[0]
            hole = self.runs[first].hole
            kept = sum(run.count for run in self.runs[:first])
            found = f"two tables are lost: chunks from {kept} on have no certain place"
            self.budget.report(Corrupt("EWF tables", self.geometry.span, found))
            self.runs = [*self.runs[:first], Run(last, wanted - kept, hole=hole)]
        elif self.unknown and missing > 0:
            i = self.unknown[0]
            self.runs[i] = Run(self.runs[i].segment, missing, hole=self.runs[i].hole)
        if missing < 0:
            self.budget.report(Corrupt("EWF tables", self.geometry.span, f"{self.count} chunks are listed, the volume has {wanted}"))
        return [run for run in self.runs if run.count]


def build(segments: list[Segment], geometry: Geometry, budget: Budget) -> Index:
    """Read and check every table of the set.

    A table whose checksums fail is replaced by its table2, both by a scan of the sectors section;
    each is a finding. Chunks that no table gives become a hole: reading them raises its error.
    """
    builder = _Builder(segments, geometry, budget)
    for segment in segments:
        budget.check()
        builder.segment(segment)
    return Index(builder.close())
