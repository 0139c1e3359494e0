"""The carving engine: every signature at every byte, every candidate measured by its own structure.

Candidates are taken in ascending order. A find owns its bytes when it is complete and certain (or as
far as its carver says): in owned bytes nothing else is looked for, so thumbnails and members of an
accepted container are not found again, and a doubtful find hides nothing. Of several carvers at one
offset the complete one wins, then the more confident, then the longer.

First every file is taken that lies in one run: ranges that touch are joined, a gap between ranges ends a file. Then,
for types whose carver can, the further pieces of files that broke off are looked for in what is left (joining.py), and what
lacks its header is given one (rebuilding.py).

The result does not depend on the size of windows and units, nor on who runs the units: the only thing
that one unit must know of those before it is how far their owned bytes reach, and a unit that was
examined without knowing is examined again where that matters. One bound counts by units: the bytes that
forged headers may waste (unit.WASTE); where it was reached is a finding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace

from forensiclib.carving.joining import SECTOR, joined
from forensiclib.carving.rebuilding import rebuilt
from forensiclib.carving.unit import Carved, Outcome, Signatures, Unit, certain, examine, examine_parcel, later, measured, parcel
from forensiclib.core.declare import Carver
from forensiclib.core.errors import UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["Carved", "carve", "plan", "recognise", "runs"]

WINDOW = 4 << 20
UNIT = 64 << 20

Range = tuple[int, int]


def runs(size: int, ranges: Iterable[Range] | None = None, known: Iterable[Range] = ()) -> list[Range]:
    """(start, end) pairs to carve: ``ranges`` (start, length) clipped to ``size``, sorted, touching ones
    joined, without the ``known`` ones. None is everything."""
    joined: list[list[int]] = []
    for start, length in sorted([(0, size)] if ranges is None else ranges):
        if start < 0 or length < 0:
            raise UsageError(f"range {start}+{length}")
        end = min(start + length, size)
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        elif start < end:
            joined.append([start, end])
    out: list[Range] = []
    taken = sorted((start, start + length) for start, length in known if length > 0)
    first = 0
    for start, end in joined:
        while first < len(taken) and taken[first][1] <= start:
            first += 1
        for low, high in taken[first:]:
            if low >= end:
                break
            if low > start:
                out.append((start, low))
            start = max(start, high)
        if start < end:
            out.append((start, end))
    return out


def plan(
    source: ByteSource,
    carvers: Sequence[Carver],
    pieces: Sequence[Range],
    budget: Budget,
    unit: int = UNIT,
    window: int = WINDOW,
) -> Iterator[Unit]:
    """Independent units of work over ``pieces`` (start, end), ascending."""
    ordered = tuple(sorted(carvers, key=lambda c: c.name))
    signatures = Signatures.of(ordered)
    for low, high in pieces:
        for start in range(low, high, unit):
            yield Unit(source, ordered, signatures, start, min(start + unit, high), high, window, budget.limits)


def carve(
    source: ByteSource,
    carvers: Sequence[Carver],
    *,
    budget: Budget | None = None,
    ranges: Iterable[Range] | None = None,
    known: Iterable[Range] = (),
    executor: Executor | None = None,
    ahead: int = 24,
    unit: int = UNIT,
    window: int = WINDOW,
    block: int = SECTOR,
    progress: Callable[[int, int], None] | None = None,
    kin: Callable[[], Iterable[ByteSource]] = tuple,
) -> Iterator[Carved]:
    """Files in ``source`` by structure, in ascending offset.

    ranges     (start, length) pairs to look in, for example what a file system leaves unallocated;
               None is everything
    known      (start, length) pairs to leave out
    executor   runs the units, at most ``ahead`` of them at a time; None runs them here. A process
               pool needs a source that can be pickled.
    unit, window   bytes of one unit and of one read; the result does not depend on them
    block      pieces of fragmented files begin at multiples of this many bytes of the source; 0: only files in one run
    progress   called with (bytes done, bytes in all) after every unit, on the caller's thread
    kin        whole files from elsewhere, which tell how to open files that lack their header; asked for when there are such

    Damage goes to ``budget.report`` in order. Raises UsageError, Cancelled, LimitExceeded.
    """
    if unit < 1 or window < 1 or ahead < 1 or block < 0:
        raise UsageError(f"unit {unit}, window {window}, ahead {ahead}, block {block}")
    budget = Budget(room="carving") if budget is None else budget
    pieces = runs(source.size, ranges, known)
    units = plan(source, carvers, pieces, budget, unit, window)
    total, done = sum(high - low for low, high in pieces), 0
    told: set[Finding] = set()
    held: list[Carved] = []
    heads: list[tuple[int, Carver]] = []
    whole: list[Carved] = []
    for work, outcome in _examined(units, executor, ahead, budget.cancelled):
        budget.check()
        if outcome is not None:
            for finding in outcome.findings:
                if finding not in told:
                    told.add(finding)
                    budget.report(finding)
            budget.item(len(outcome.finds))
            if block:
                heads += [(offset, work.carvers[number]) for offset, number in outcome.heads]
            whole += (f for f in outcome.finds if f.carver.rebuild is not None and certain(f))
            if heads:  # what is joined later may contain what comes now
                held += outcome.finds
            else:
                yield from outcome.finds
        done += work.stop - work.start
        if progress is not None:
            progress(done, total)
    if heads:
        finds = joined(source, pieces, held, heads, block, executor, ahead, budget)
        yield from rebuilt(source, pieces, finds, heads, whole, kin, budget)


def recognise(source: ByteSource, carvers: Sequence[Carver], budget: Budget) -> Carved | None:
    """The file that begins with the first byte of ``source``, by structure; None when none does."""
    ordered = tuple(sorted(carvers, key=lambda c: c.name))
    unit = Unit(source, ordered, Signatures(b"", (), 0, 0), 0, source.size, source.size, 1, budget.limits)
    found, findings = measured(unit, budget.cancelled)
    for finding in findings:
        budget.report(finding)
    return found


def _examined(
    units: Iterator[Unit], executor: Executor | None, ahead: int, cancelled: Callable[[], bool] | None
) -> Iterator[tuple[Unit, Outcome | None]]:
    """Units in order, each with what it gave; None for one that lies in what those before it own. With an executor the
    next units are under way: what they gave stands when nothing turns out to reach into them."""
    covered = 0
    common: bytes | None = None
    nothing = Signatures(b"", (), 0, 0)
    waiting: deque[tuple[Unit, int, Future[Outcome] | None]] = deque()

    def begun(unit: Unit, pool: Executor) -> Future[Outcome]:
        nonlocal common
        if common is None:
            common = parcel(unit)
        if not common:
            return pool.submit(examine, unit)
        return pool.submit(examine_parcel, common, replace(unit, carvers=(), signatures=nothing))

    def settled(unit: Unit, known: int, early: Future[Outcome] | None) -> tuple[Unit, Outcome | None]:
        nonlocal covered
        outcome = None
        if covered < unit.stop:
            if executor is None:
                outcome = examine(later(unit, covered), cancelled)
            else:
                if early is None or covered > max(known, unit.start):
                    early = begun(later(unit, covered), executor)
                outcome = early.result()
            covered = max(covered, outcome.covered)
            for after, _, begun_early in waiting:
                if after.stop <= covered and begun_early is not None:
                    begun_early.cancel()  # what has begun goes on: a few units
        elif early is not None:
            early.cancel()
        return unit, outcome

    try:
        for unit in units:
            early = begun(later(unit, covered), executor) if executor is not None and covered < unit.stop else None
            waiting.append((unit, covered, early))
            if executor is None or len(waiting) >= ahead:
                yield settled(*waiting.popleft())
        while waiting:
            yield settled(*waiting.popleft())
    finally:
        for _, _, future in waiting:
            if future is not None:
                future.cancel()
