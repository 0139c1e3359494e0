"""One unit of carving: the files that start in one stretch of a run of bytes.

A unit is a value that any process can examine alone. What it finds depends on nothing but its
bytes, its carvers and where it starts.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from forensiclib import kernels
from forensiclib.carving.view import CandidateView
from forensiclib.core.declare import Carver, Find, Supplied
from forensiclib.core.errors import EvidenceError, LimitExceeded
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import ByteSource, ConcatSource, ExtentSource, MemorySource, fill_bad
from forensiclib.core.span import Span

__all__ = ["Carved", "Outcome", "Signatures", "Unit", "certain", "content", "examine", "later", "measured", "owned", "parcel"]

CERTAIN = 0.8
"""Confidence from which a complete find owns its bytes."""
WASTE = 4 << 30
"""Bytes read in one unit for candidates of one carver that owned nothing in the end: on real disks a few
hundred MiB. Forged headers that each lead far can ask for more than anybody would wait for."""
SPARING = 256 << 10
"""Bytes that each further candidate of that carver may read in the unit: most real files are told by fewer."""
HEAD = 1 << 16
"""Bytes in which every signature lies."""
HEADS = 4096
"""Beginnings without an end that one unit keeps."""


@dataclass(frozen=True, slots=True)
class Carved:
    """A file found by its structure: ``length`` bytes from ``offset`` of the source carved, or its find's pieces."""

    offset: int
    length: int
    carver: Carver
    find: Find

    @property
    def end(self) -> int:
        """First offset after it."""
        return self.offset + self.length

    @property
    def extension(self) -> str:
        """Lower case, without dot."""
        return self.find.extension or self.carver.extension

    def open(self, source: ByteSource) -> ByteSource:
        """Its bytes, out of the source that was carved."""
        return content(source, self.find.pieces or ((self.offset, self.length),), self.find.supplied)


def content(source: ByteSource, pieces: Sequence[tuple[int, int]], supplied: Sequence[Supplied] = ()) -> ByteSource:
    """The (offset, length) pieces of a source one behind the other, with what is ``supplied`` at its places."""
    found = ExtentSource(source, pieces)
    if not supplied:
        return found
    parts: list[ByteSource] = []
    at = taken = 0
    for part in supplied:
        if part.at > at:
            parts.append(found.slice(taken, part.at - at))
            taken, at = taken + part.at - at, part.at
        parts.append(MemorySource(part.content, part.spans or (Span("", 0, len(part.content), ("made",), False),)))
        at += len(part.content)
    return ConcatSource([*parts, found.slice(taken)])


@dataclass(frozen=True, slots=True)
class Signatures:
    """The signatures of all carvers as scan tables, and whose each is: (carver, offset in its file)."""

    tables: bytes
    owners: tuple[tuple[int, int], ...]
    reach: int
    longest: int

    @classmethod
    def of(cls, carvers: Sequence[Carver]) -> Signatures:
        """Compile them."""
        patterns, owners = [], []
        for number, carver in enumerate(carvers):
            for sig in carver.signatures:
                patterns.append((sig.pattern, sig.mask, sig.align, sig.offset % sig.align))
                owners.append((number, sig.offset))
        reach = max((offset for _, offset in owners), default=0)
        longest = max((len(pattern) for pattern, _, _, _ in patterns), default=1)
        return cls(kernels.scan_compile(patterns), tuple(owners), reach, longest)


@dataclass(frozen=True, slots=True)
class Unit:
    """Files that start in [start, stop) of ``source`` and lie wholly below ``end``."""

    source: ByteSource
    carvers: tuple[Carver, ...]
    signatures: Signatures
    start: int
    stop: int
    end: int
    window: int
    limits: Limits


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a unit gave. ``covered``: where the last owned bytes end (its start when there are none). ``heads``: (offset,
    carver) of files that begin, break off, and may go on elsewhere."""

    finds: tuple[Carved, ...]
    findings: tuple[Finding, ...]
    covered: int
    heads: tuple[tuple[int, int], ...] = ()


def owned(carved: Carved) -> int:
    """First offset after the bytes in which no other file is looked for."""
    find = carved.find
    if find.owned is not None:
        return carved.offset + min(find.owned, carved.length)
    return carved.end if certain(carved) else carved.offset


def certain(carved: Carved) -> bool:
    """Whether it is whole beyond doubt."""
    return carved.find.complete and carved.find.confidence >= CERTAIN


def _rank(carved: Carved) -> tuple[bool, float, int]:
    return carved.find.complete, carved.find.confidence, carved.length


class _Examination:
    def __init__(self, unit: Unit, cancelled: Callable[[], bool] | None) -> None:
        self.unit, self.cancelled = unit, cancelled
        self.findings: list[Finding] = []
        self.heads: list[tuple[int, int]] = []
        keep = self.findings.append  # not self: a cycle would hold the window until the collector comes
        self.source = fill_bad(unit.source, lambda error: keep(Finding.of(error, room="carving")))
        self.covered = unit.start
        self.buffer = bytearray(unit.window + unit.signatures.longest)
        self.held = memoryview(b"")
        self.held_at = 0
        self.wasted = [0] * len(unit.carvers)
        self.unmeasured: dict[int, tuple[int, int, int]] = {}

    def finds(self) -> Iterator[Carved]:
        """Ascending by offset. Candidates wait until no window can announce an earlier one."""
        unit, reach = self.unit, self.unit.signatures.reach
        last = min(unit.stop + reach, unit.end)
        waiting: set[tuple[int, int]] = set()
        at = unit.start
        while at < last:
            stop = min(at + unit.window, last)
            n = self.source.read_into(at, memoryview(self.buffer)[: min(stop - at + unit.signatures.longest, unit.end - at)])
            self.held, self.held_at = memoryview(self.buffer)[:n], at
            here = 0
            while here < stop - at:
                hits, here = kernels.scan(unit.signatures.tables, self.held, here, stop - at, at)
                for place, number in hits:
                    carver, offset = unit.signatures.owners[number]
                    if self.covered <= (start := at + place - offset) < unit.stop:
                        waiting.add((start, carver))
                settled = at + here - reach if at + here < last else last
                ready = sorted(c for c in waiting if c[0] < settled)
                waiting.difference_update(ready)
                yield from self.accepted(ready)
                here = max(here, min(self.covered - at, stop - at))
            at = max(stop, min(self.covered, last))

    def accepted(self, ready: list[tuple[int, int]]) -> Iterator[Carved]:
        """The best find of each offset; ``ready`` are (offset, carver number), ascending."""
        i = 0
        while i < len(ready):
            start, first = ready[i][0], i
            while i < len(ready) and ready[i][0] == start:
                i += 1
            if start < self.covered:
                continue
            found = [c for _, number in ready[first:i] if (c := self._measure(start, number))]
            best = max(found, key=_rank) if found else None
            if best is None or not certain(best):
                self.heads += [(start, number) for _, number in ready[first:i] if self.unit.carvers[number].rejoin is not None]
            if best is not None:
                self.covered = max(self.covered, owned(best))
                yield best

    def _measure(self, start: int, number: int) -> Carved | None:
        carver = self.unit.carvers[number]
        size = min(carver.maximum, self.unit.end - start)
        allowance = SPARING if self.wasted[number] > WASTE else 8 * size + WASTE
        view = CandidateView(self.source, start, size, self.held, self.held_at, allowance)
        carved = self._judged(view, start, carver)
        if view.spent > allowance:
            first, _, count = self.unmeasured.get(number, (start, start, 0))
            self.unmeasured[number] = first, start, count + 1
        if carved is None or owned(carved) <= start:
            self.wasted[number] += view.spent
        return carved

    def _judged(self, view: CandidateView, start: int, carver: Carver) -> Carved | None:
        budget = Budget(self.unit.limits, self.cancelled, room=carver.name)
        try:
            find = carver.measure(view, budget)
        except LimitExceeded as error:
            if view.spent <= view.allowance:
                self.findings.append(_given_up(view, carver, error))
            return None
        except EvidenceError:
            return None  # bytes that look like a signature and are not the format: most are noise
        if find is None or not 0 < find.length <= view.size:
            return None
        self.findings += budget.findings
        return Carved(start, find.length, carver, find)

    def spared(self) -> Iterator[Finding]:
        """Of each carver with candidates that were cut short: where, and how many."""
        for number, (first, last, count) in sorted(self.unmeasured.items()):
            carver, spans = self.unit.carvers[number], self.source.trace(first, 1)
            found = f"{count} from {first} to {last} lead further than the bytes that were left to read for them"
            yield Finding("LimitExceeded", "candidates not measured", found, "", carver.name, spans[0] if spans else None)
        if len(self.heads) > HEADS:
            first = self.heads[HEADS][0]
            found = f"further pieces are not looked for of {len(self.heads) - HEADS} files from {first}"
            yield Finding("LimitExceeded", "fragmented files", found, "", "carving", next(iter(self.source.trace(first, 1)), None))


def _given_up(view: ByteSource, carver: Carver, error: LimitExceeded) -> Finding:
    spans: tuple[Span, ...] = view.trace(0, 1)
    return Finding(type(error).__name__, error.what, error.found, "candidate not measured", carver.name, spans[0] if spans else None)


def examine(unit: Unit, cancelled: Callable[[], bool] | None = None) -> Outcome:
    """Carve one unit. Raises Cancelled; never EvidenceError: unreadable bytes read as zero and are
    findings, and so is a candidate whose measuring crossed a limit."""
    work = _Examination(unit, cancelled)
    finds = tuple(work.finds())
    return Outcome(finds, (*work.findings, *work.spared()), work.covered, tuple(work.heads[:HEADS]))


def measured(unit: Unit, cancelled: Callable[[], bool] | None = None) -> tuple[Carved | None, tuple[Finding, ...]]:
    """The best find at the start of a unit and nowhere else, with what was to report. Raises Cancelled."""
    work = _Examination(unit, cancelled)
    head = work.source.read_at(unit.start, HEAD)
    asked = [(unit.start, n) for n, carver in enumerate(unit.carvers) if any(s.matches(head) for s in carver.signatures)]
    return next(work.accepted(asked), None), tuple(work.findings)


def parcel(unit: Unit) -> bytes:
    """What all units of a plan have in common, pickled once; b"" for carvers that cannot be (threads take them as they are)."""
    try:
        return pickle.dumps((unit.carvers, unit.signatures), pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return b""


@lru_cache(maxsize=4)
def _unpacked(common: bytes) -> tuple[tuple[Carver, ...], Signatures]:
    carvers, signatures = pickle.loads(common)  # noqa: S301  # made by parcel, in this job
    return carvers, signatures


def examine_parcel(common: bytes, unit: Unit) -> Outcome:
    """``examine`` in another process, of a unit without its carvers and signatures: they come as ``parcel`` made them, and are
    unpacked once. To pickle them with every unit took longer than to examine most."""
    carvers, signatures = _unpacked(common)
    return examine(replace(unit, carvers=carvers, signatures=signatures))


def later(unit: Unit, start: int) -> Unit:
    """The same unit without what lies before ``start``."""
    return replace(unit, start=max(unit.start, start))
