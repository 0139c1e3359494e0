"""What a search reads: the streams of a volume, cut into units of work that any process can do."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from forensiclib.api import shadows
from forensiclib.api.match import listed
from forensiclib.api.opening import Engine, OpenVolume
from forensiclib.api.run import Run
from forensiclib.api.units import FileRef, Place, UnitResult, run_unit
from forensiclib.core.batch import Batch
from forensiclib.core.errors import EvidenceError, LimitExceeded
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource, ExtentSource, MemorySource
from forensiclib.search import yara
from forensiclib.search.engine import Decoder, search
from forensiclib.search.query import Hit, Query

__all__ = ["PLACES", "UNIT", "Item", "SearchUnit", "names_of", "plan", "run_search"]

PLACES = ("files", "slack", "unallocated", "metadata", "gaps", "names", "raw")
UNIT = 64 << 20
"""Bytes of one unit of a long stream; a multiple of the search engine's BLOCK, and what YARA rules get in one piece."""
_FILES = 500
_BATCH = 32 << 20
_AROUND = 8 << 20
"""Bytes of a space that a unit can see on both sides of its part."""
_DECODED, _RANGES = 1 << 30, 100_000
"""Bytes that it can see behind its part when it decodes, in at most that many ranges: there the stream ends for it."""
_HITS = 200_000
"""Hits of one term that a unit brings home."""
_SMALL = 4096
"""Bytes of a file up to which its content may lie in its file record."""

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Item:
    """One stream: of a file, or a space of a volume.

    size    bytes; first   volume offset of the first, -1 for nowhere
    hidden  what is found here may be met again in a stream that ``repeats``
    """

    volume: str
    place: str
    path: str = ""
    stream: str = ""
    state: State = "allocated"
    id: int = -1
    sequence: int = 0
    size: int = 0
    first: int = -1
    hidden: bool = False
    repeats: bool = False

    @property
    def where(self) -> str:
        """For a person."""
        if self.place in ("files", "slack", "names"):
            tail = " (slack)" if self.place == "slack" else " (name)" if self.place == "names" else ""
            return f"{self.volume}:/{self.path}{f':{self.stream}' if self.stream else ''}{tail}"
        return f"{self.volume} ({self.place})" if self.volume else self.place

    @property
    def file(self) -> FileRef:
        """As the other jobs name it."""
        return FileRef(self.id, self.sequence, self.path, self.state, self.stream)


@dataclass(frozen=True, slots=True)
class _Space(Item):
    """A space: ``ranges`` (start, length) of the volume, None for all of it."""

    ranges: tuple[Range, ...] | None = None


def plan(volume: OpenVolume, table: Batch | None, where: Sequence[str], engine: Engine) -> Iterator[Item]:
    """The streams of a volume to search, files first."""
    name = volume.name
    if table is None:
        if "gaps" in where:
            place = "gaps" if volume.state == "slack" else "volume"
            yield _Space(name, place, state=volume.state, size=volume.size, first=0)
        return
    rows = sorted(
        (r for r in listed(table) if r.verdict != "overwritten"),
        key=lambda r: (r.file.path == "$MFT", r.first < 0, r.first, r.file.id, r.file.sequence, r.file.stream),
    )
    seen: set[tuple[int, int, str]] = set()
    for row in rows:
        file = row.file
        if (key := (file.id, file.sequence, file.stream)) in seen:
            continue  # another name of it
        seen.add(key)
        common = Item(name, "files", file.path, file.stream, file.state, file.id, file.sequence, row.size, row.first)
        if "files" in where:
            live = file.state == "allocated"
            yield replace(common, hidden=not live or row.size <= _SMALL, repeats=file.path == "$MFT")
        if "slack" in where and file.state == "allocated" and row.first >= 0 and volume.shadow is None:
            yield replace(common, place="slack", state="slack", size=0)
    free = shadows.free(volume, engine)
    if free is None and {"unallocated", "metadata"} & set(where):
        free = ((0, volume.size),)  # nobody knows what is free: everything once more
    if free is not None:
        if "unallocated" in where:
            yield _space(name, "unallocated", free, "deleted")
        if "metadata" in where and volume.shadow is None:
            yield _space(name, "metadata", _rest(volume.size, free, table), "allocated")


def _space(volume: str, place: str, ranges: Sequence[Range], state: State) -> _Space:
    size = sum(length for _, length in ranges)
    first = ranges[0][0] if ranges else -1
    return _Space(volume, place, state=state, size=size, first=first, repeats=True, ranges=tuple(ranges))


def _rest(size: int, free: Sequence[Range], table: Batch) -> list[Range]:
    """What is neither free nor in an allocated file."""
    taken = [(start, start + length) for start, length in free]
    kind, state = table.column("kind").getter(), table.column("state").getter()
    starts, lengths = table.column("run_start").getter(), table.column("run_length").getter()
    for i in range(table.length):
        if state(i) == "allocated" and kind(i) in ("file", "special"):
            taken += [(start, start + length) for start, length in zip(starts(i), lengths(i)) if start >= 0]
    taken.sort()
    out, at = [], 0
    for start, end in taken:
        if start > at:
            out.append((at, min(start, size) - at))
        at = max(at, end)
        if at >= size:
            break
    if at < size:
        out.append((at, size - at))
    return [(start, length) for start, length in out if length > 0]


@dataclass(frozen=True, slots=True)
class SearchUnit:
    """Streams to search whole, or the part [start, stop) of one of them."""

    place: Place
    items: tuple[Item, ...]
    query: Query
    start: int = 0
    stop: int = -1
    decoder: Decoder | None = None
    depth: int = 2

    @classmethod
    def cut(cls, place: Place, items: Sequence[Item], query: Query, decoder: Decoder | None, depth: int) -> Iterator[SearchUnit]:
        """Units in the order of the items; their borders depend on nothing but the items."""
        batch: list[Item] = []
        total = 0
        for item in items:
            if item.size > _BATCH or isinstance(item, _Space):
                if batch:
                    yield cls(place, tuple(batch), query, decoder=decoder, depth=depth)
                batch, total = [], 0
                ranges = item.ranges if isinstance(item, _Space) else None
                at = [0, *accumulate(length for _, length in ranges or ())]
                for start in range(0, item.size, UNIT):
                    stop = min(start + UNIT, item.size)
                    part = (
                        _window(item, at, start, stop, decoder is not None)
                        if isinstance(item, _Space) and item.ranges is not None
                        else item
                    )
                    yield cls(place, (part,), query, start, stop, decoder, depth)
                continue
            batch.append(item)
            total += item.size
            if total >= _BATCH or len(batch) >= _FILES:
                yield cls(place, tuple(batch), query, decoder=decoder, depth=depth)
                batch, total = [], 0
        if batch:
            yield cls(place, tuple(batch), query, decoder=decoder, depth=depth)


def _window(item: _Space, at: Sequence[int], start: int, stop: int, decodes: bool = False) -> _Space:
    """The space with the ranges alone that a unit may look at, holes (start -1) before and behind them. ``at``: where each range
    begins in the stream, and its end. A unit that ``decodes`` must not take a hole for zeros: for it the stream ends before the hole."""
    assert item.ranges is not None
    low, high = max(0, start - _AROUND), stop + (_DECODED if decodes else _AROUND)
    first = max(0, bisect_right(at, low) - 1)
    last = min(bisect_right(at, high), len(item.ranges))
    if decodes:
        last = min(last, bisect_right(at, stop + _AROUND) + _RANGES)
    holes = (-1, at[first]), (-1, 0 if decodes else at[-1] - at[last])
    return replace(item, ranges=tuple(r for r in (holes[0], *item.ranges[first:last], holes[1]) if r[1]))


def _open(unit: SearchUnit, item: Item) -> ByteSource | None:
    volume = unit.place.target()
    if item.place == "raw":
        return unit.place.opened().data
    if isinstance(item, _Space):
        if item.ranges is None:
            return volume
        return ExtentSource(volume, [(None if start < 0 else start, length) for start, length in item.ranges])
    if item.place == "slack":
        system = volume.filesystem(unit.place.engine)
        return system.slack_of(system.entry(item.id, item.sequence).open(item.stream))
    return unit.place.open(item.file)


def run_search(unit: SearchUnit) -> UnitResult:
    """Values of the result are (item, its hits), items without any left out. The item of a space comes back without ranges."""

    def work(result: UnitResult) -> None:
        run = unit.place.target().run
        for item in unit.items:
            run.check()
            where = item.where
            budget = Budget(run.limits, run.cancelled, _Reports(where, result.findings).add, "search")
            hits: list[Hit] = []
            try:
                source = _open(unit, item)
                if source is not None:
                    stop = source.size if unit.stop < 0 else unit.stop
                    hits.extend(_hits(unit, source, stop, budget))
            except EvidenceError as error:
                result.findings.append(Finding.of(error, where=where, room="search"))
            kept = _capped(hits, budget, unit.query)
            if kept:
                label = replace(item, ranges=None) if isinstance(item, _Space) else item
                result.values.append((label, kept))

    return run_unit(unit.place, f"volume {unit.place.volume}", work)


def _hits(unit: SearchUnit, source: ByteSource, stop: int, budget: Budget) -> Iterator[Hit]:
    query = unit.query
    if query.words or query.expressions or query.patterns:
        yield from search(source, query, budget=budget, start=unit.start, stop=stop, decoder=unit.decoder, depth=unit.depth)
    if query.rules and stop > unit.start:
        yield from yara.scan_rules(source, query.rules, len(query.terms), budget, unit.start, stop)


def _capped(hits: list[Hit], budget: Budget, query: Query) -> list[Hit]:
    if len(hits) <= _HITS:
        return hits
    counts: dict[int, int] = {}
    kept = []
    for hit in hits:
        counts[hit.term] = counts.get(hit.term, 0) + 1
        if counts[hit.term] <= _HITS:
            kept.append(hit)
    for number, count in sorted(counts.items()):
        if count > _HITS:
            name = query.terms[number].name if number < len(query.terms) else "YARA rules"
            budget.report(LimitExceeded("hits", None, f"{count - _HITS} hits of {name!r} in one unit were counted, not kept"))
    return kept


@dataclass(slots=True)
class _Reports:
    where: str
    findings: list[Finding]

    def add(self, finding: Finding) -> None:
        self.findings.append(_placed(finding, self.where))


def _placed(finding: Finding, where: str) -> Finding:
    return finding if finding.where == where else replace(finding, where=f"{where} {finding.where}".strip(), room=finding.room or "search")


def names_of(volume: OpenVolume, table: Batch, query: Query, run: Run) -> Iterator[tuple[Item, Hit]]:
    """Hits in the names of files and streams, and in labels. Their offset counts in the UTF-8 form of the name; they have
    no spans, as a listing does not keep the place of a name."""
    query = replace(query, rules=b"", encodings=("utf-8",))
    if not (query.words or query.expressions or query.patterns):
        return
    get = {n: table.column(n).getter() for n in ("path", "stream", "state", "id", "sequence")}
    items: dict[tuple[str, str, str], Item] = {}
    for i in range(table.length):
        key = get["path"](i), get["stream"](i), get["state"](i)
        if key[0] and key not in items:
            items[key] = Item(volume.name, "names", *key, get["id"](i), get["sequence"](i))
    labels = {volume.label, volume.filesystem().label} - {""}
    lines = [(label, Item(volume.name, "names", f"(label) {label}")) for label in sorted(labels)]
    for (path, stream, _), item in items.items():
        lines.append((path.rpartition("/")[2] + (f":{stream}" if stream else ""), item))
    text, starts = bytearray(b"\n"), list[int]()
    for name, _ in lines:
        starts.append(len(text))
        text += name.encode("utf-8", "replace") + b"\n"
    budget = run.budget("search", f"volume {volume.name}")
    found: dict[int, list[Hit]] = {}
    for hit in search(MemorySource(bytes(text), "names"), query, budget=budget):
        line = bisect_right(starts, hit.offset) - 1
        end = starts[line + 1] if line + 1 < len(starts) else len(text)
        if line >= 0 and hit.offset + hit.length < end:
            before, after = text[starts[line] : hit.offset], text[hit.offset + hit.length : end - 1]
            shown = after.decode("utf-8", "replace")[: query.context]
            offset = hit.offset - starts[line]
            found.setdefault(line, []).append(
                replace(hit, offset=offset, spans=(), encoding="", before=_tail(before, query.context), after=shown)
            )
    for line in sorted(found):
        yield from ((lines[line][1], hit) for hit in found[line])


def _tail(text: bytes | bytearray, n: int) -> str:
    shown = bytes(text).decode("utf-8", "replace")
    return shown[-n:] if n else ""
