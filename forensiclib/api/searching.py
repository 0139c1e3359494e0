"""Searching an image: every file with its fragments joined, slack, free space, what no file holds, and names.

Each byte of a volume is in exactly one place: the content of a file, its slack, "unallocated" (by the table of the file
system, in disk order and read as one stream), or "metadata" (the rest: tables, directories, boot sectors). Deleted files
lie in free space too, and resident ones in $MFT: what was found in them is not told again there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from forensiclib.api import shadows
from forensiclib.api.opening import Engine, OpenImage, OpenVolume
from forensiclib.api.run import Run
from forensiclib.api.searchplan import PLACES, Item, SearchUnit, names_of, plan, run_search
from forensiclib.api.units import Place
from forensiclib.core.batch import Batch
from forensiclib.core.declare import TextPattern
from forensiclib.core.errors import EvidenceError, LimitExceeded, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.keys import Keys
from forensiclib.search.decode.keyed import xor
from forensiclib.search.decode.regions import Decoding, chosen
from forensiclib.search.engine import Decoder, settled
from forensiclib.search.histogram import Histogram
from forensiclib.search.logic import Condition
from forensiclib.search.query import Hit, Query, prepared

__all__ = ["DEFAULT", "HISTOGRAM_SCHEMA", "HITS_SCHEMA", "Found", "decoding", "histogram", "patterns_named", "search"]

DEFAULT = ("files", "slack", "unallocated", "metadata", "gaps", "names")
HITS_SCHEMA: tuple[tuple[str, str], ...] = (
    ("hit", "int64"), ("volume", "utf8"), ("place", "utf8"), ("path", "utf8"), ("stream", "utf8"), ("state", "utf8"),
    ("file_id", "int64"), ("kind", "utf8"), ("term", "utf8"), ("encoding", "utf8"), ("offset", "int64"), ("length", "int64"),
    ("value", "utf8"), ("normal", "utf8"), ("group", "utf8"), ("confidence", "float64"), ("valid", "bool"), ("before", "utf8"),
    ("after", "utf8"), ("root", "utf8"), ("span_start", "list_int64"), ("span_length", "list_int64"), ("via", "utf8"),
    ("detail", "utf8"), ("forensic_path", "utf8"),
)  # fmt: skip
"""A hit as a row. hit: its number, from 1. offset: in the stream, or in the name. span_start, span_length: the image bytes
behind it, in order. via: what was undone between those bytes and the text ("lznt1", "gzip@4096"). forensic_path: as bulk_extractor counts,
from the start of the image: 4096-GZIP-56 is offset 56 of what the gzip stream at 4096 holds; "" where no byte of the image is behind."""
HISTOGRAM_SCHEMA: tuple[tuple[str, str], ...] = (
    ("term", "utf8"), ("level", "utf8"), ("value", "utf8"), ("count", "int64"), ("where", "utf8"), ("offset", "int64"),
)  # fmt: skip
MAXIMUM = 100_000
"""Hits kept of one term."""
HELD = 10_000
"""Hits of one file and term that wait for the verdict of a condition."""


@dataclass(frozen=True, slots=True)
class Found:
    """A hit and whose it is. number   from 1, in order; where   "VOLUME:/path" or "VOLUME (unallocated)" """

    number: int
    item: Item
    hit: Hit

    @property
    def where(self) -> str:
        """For a person."""
        return self.item.where

    @property
    def forensic_path(self) -> str:
        """See HITS_SCHEMA."""
        spans = self.hit.spans
        if not spans or not spans[0].root:
            return ""
        if not self.hit.via:
            return str(spans[0].start)
        return f"{spans[0].start}-{self.hit.path.partition('-')[2]}"

    def row(self) -> dict[str, Any]:
        """HITS_SCHEMA."""
        hit, item = self.hit, self.item
        spans = [s for s in hit.spans if s.root]
        before = spans[0].via if spans else ()
        before = before[: len(before) - len(hit.via)]  # the spans say what was decoded too
        return {
            "hit": self.number, "volume": item.volume, "place": item.place, "path": item.path, "stream": item.stream,
            "state": item.state, "file_id": item.id, "kind": hit.kind, "term": hit.name, "encoding": hit.encoding,
            "offset": hit.offset, "length": hit.length, "value": hit.value, "normal": hit.normal, "group": hit.group,
            "confidence": hit.confidence, "valid": hit.valid, "before": hit.before, "after": hit.after,
            "root": spans[0].root if spans else None, "span_start": [s.start for s in spans],
            "span_length": [s.length for s in spans], "via": "+".join((*before, *hit.via)),
            "detail": hit.detail, "forensic_path": self.forensic_path,
        }  # fmt: skip


def patterns_named(run: Run, names: Sequence[str]) -> tuple[TextPattern, ...]:
    """The declared patterns of those names, all for "all"; UsageError for an unknown one."""
    known = {p.name: p for p in run.catalog.patterns}
    if "all" in names:
        return tuple(known.values())
    unknown = [n for n in names if n not in known]
    if unknown:
        raise UsageError(f"no pattern {', '.join(unknown)}; there are all, {', '.join(known)}")
    return tuple(known[n] for n in dict.fromkeys(names))


def decoding(run: Run, names: Sequence[str], words: Sequence[str] = ()) -> Decoding:
    """A decoder of the declared transforms of those names; "all" are those that do not cost much. ``words`` announce masked
    bytes, when "xor" is among the names. UsageError for an unknown name."""
    known = tuple(xor(w.encode() for w in words) if t.name == "xor" else t for t in run.catalog.transforms)
    return Decoding(chosen(known, tuple(names)))


@dataclass(slots=True)
class _Keeper:
    """What was told already, and how much of each term."""

    run: Run
    maximum: int
    number: int = 0
    counts: dict[tuple[int, str], int] = field(default_factory=dict)
    told: set[tuple[object, ...]] = field(default_factory=set)

    def again(self, item: Item, hit: Hit) -> bool:
        """Whether this is the free space or $MFT seen behind a file that told it."""
        if hit.kind == "yara" or not hit.spans or not (hit.via or (len(hit.spans) == 1 and hit.spans[0].exact)):
            return False
        inside = (hit.path.partition("-")[2],) if hit.via else ()
        key = (hit.term, hit.spans[0].start, hit.length, *inside)
        if item.repeats:
            return key in self.told
        if item.hidden:
            self.told.add(key)
        return False

    def keep(self, item: Item, hit: Hit) -> Found | None:
        key = hit.term, hit.name if hit.kind == "yara" else ""
        self.counts[key] = count = self.counts.get(key, 0) + 1
        if count > self.maximum:
            return None
        self.number += 1
        return Found(self.number, item, hit)

    def close(self, query: Query) -> None:
        for (number, rule), count in sorted(self.counts.items()):
            if count > self.maximum:
                name = rule or query.terms[number].name
                found = f"{count - self.maximum} hits of {name!r} were counted, not kept"
                self.run.report(Finding.of(LimitExceeded("hits", None, found), room="search"))


def search(
    run: Run,
    image: OpenImage,
    query: Query,
    *,
    where: Sequence[str] = DEFAULT,
    condition: Condition | None = None,
    engine: Engine = "native",
    decoder: Decoder | None = None,
    depth: int = 2,
    maximum: int = MAXIMUM,
    keys: Keys | None = None,
) -> Iterator[Found]:
    """Every hit of the query in the image, in a fixed order that no number of workers changes.

    where      of PLACES: files (all streams, live and deleted), slack (of files), unallocated, metadata, gaps (between volumes,
               and volumes without a readable file system), names (of files and streams, labels), raw (the whole media once more)
    condition  terms by number; hits come from files for which it holds alone. All streams of a file count together; a
               file's slack, a space and a name each count as a file of their own
    decoder    what is decoded and searched too (``decoding``); depth   levels of it
    maximum    hits kept of each term; further ones are counted, and the count is a finding
    keys       for locked volumes, instead of the run's

    A file with several names is searched once, under the first. UsageError for what cannot be searched for; damage, and terms
    that an encoding cannot write, go to ``run.findings``, bytes searched to ``run.ledger``.
    """
    unknown = [w for w in where if w not in PLACES]
    if unknown or not where:
        raise UsageError(f"no place {', '.join(unknown) or 'given'}; there are {', '.join(PLACES)}")
    ready = prepared(query)
    image.use(run, keys)
    for term, missing in ready.unwritten():
        run.report(Finding("Note", "encodings", f"{term!r} cannot be written in {', '.join(missing)}: not looked for there", "", "search"))
    keeper = _Keeper(run, maximum)
    for work in _volumes(run, image, where, engine):
        volume_hits = _sequence(run, query, work, engine, decoder, depth)
        for item, hit in _filtered(run, volume_hits, condition):
            found = keeper.keep(item, hit) if not keeper.again(item, hit) else None
            if found is not None:
                yield found
    keeper.close(query)


def _volumes(run: Run, image: OpenImage, where: Sequence[str], engine: Engine) -> Iterator[tuple[Sequence[Item], Batch | None, OpenVolume]]:
    """(what to search, the listing, the volume), volume by volume; the raw media last."""
    for volume in image.volumes():
        if volume.member_of or shadows.passed_over(volume):
            continue  # its volumes are searched
        if volume.locked:
            run.ledger.skipped("search", volume.size, "encrypted, and no key opens it", f"volume {volume.name}")
            try:
                volume.filesystem(engine)
            except EvidenceError as error:
                run.budget("search").report(error, f"volume {volume.name}")
            continue
        table: Batch | None = None
        if volume.state != "slack" and set(where) - {"raw"}:
            try:
                table = shadows.shown(volume, engine)
            except EvidenceError as error:
                run.budget("listing").report(error, f"volume {volume.name}")
        items = list(plan(volume, table, where, engine))
        for place in dict.fromkeys(item.place for item in items):
            size = _slack(table) if place == "slack" and table is not None else sum(i.size for i in items if i.place == place)
            run.ledger.examined(f"search: {place}", size, f"volume {volume.name}")
        yield items, table if "names" in where else None, volume
    if "raw" in where:
        volume = image.volumes()[0]
        run.ledger.examined("search: raw", image.size, image.name)
        yield [Item("", "raw", size=image.size, first=0)], None, volume


def _slack(table: Batch) -> int:
    """Bytes between the ends of allocated contents and of their last clusters."""
    state, kind, first = (table.column(name).getter() for name in ("state", "kind", "run_start"))
    sizes, reserved = table.list("size"), table.list("allocated")
    rows = (i for i in range(table.length) if state(i) == "allocated" and kind(i) in ("file", "special") and sizes[i] and first(i))
    return sum(max(0, reserved[i] - sizes[i]) for i in rows)


def _sequence(
    run: Run, query: Query, work: tuple[Sequence[Item], Batch | None, OpenVolume], engine: Engine, decoder: Decoder | None, depth: int
) -> Iterator[tuple[Item, Hit]]:
    items, table, volume = work
    place = Place.of(volume, engine)
    units = list(SearchUnit.cut(place, items, query, decoder, depth))

    def flow() -> Iterator[tuple[Item, Hit]]:
        for done, result in enumerate(run.map(run_search, units), 1):
            for finding in result.findings:
                run.report(finding)
            for item, hits in result.values:
                yield from ((item, hit) for hit in hits)
            run.progress(f"search volume {volume.name}", done, len(units))

    for item, pairs in groupby(flow(), key=lambda pair: pair[0]):
        yield from ((item, hit) for hit in settled(hit for _, hit in pairs))
    if table is not None:
        yield from names_of(volume, table, query, run)


def _filtered(run: Run, hits: Iterator[tuple[Item, Hit]], condition: Condition | None) -> Iterator[tuple[Item, Hit]]:
    """Those of files for which the condition holds, which is known when the volume was read."""
    if condition is None:
        yield from hits
        return
    files: dict[tuple[str, str, int, str], tuple[set[int], list[tuple[Item, Hit]], dict[int, int]]] = {}
    for item, hit in hits:
        present, held, counts = files.setdefault((item.volume, item.place, item.id, item.path), (set(), [], {}))
        present.add(hit.term)
        counts[hit.term] = counts.get(hit.term, 0) + 1
        if counts[hit.term] <= HELD:
            held.append((item, hit))
    for present, held, counts in files.values():
        if condition.holds(present):
            yield from held
            over = sum(max(0, n - HELD) for n in counts.values())
            if over:
                run.report(Finding.of(LimitExceeded("hits", None, f"{over} hits were counted, not kept"), held[0][0].where, "search"))


def histogram(found: Iterator[Found], counts: Histogram) -> Iterator[Found]:
    """The same hits; those of patterns are counted in passing, others by their text."""
    for one in found:
        hit = one.hit
        counts.add(hit.name, hit.normal or hit.value, hit.group, one.where, hit.offset)
        yield one
