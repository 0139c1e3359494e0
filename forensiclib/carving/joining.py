"""Fragmented files: the further pieces of what begins and breaks off, looked for in the space that nobody owns.

The free blocks are put one behind the other, so that a file whose pieces are only parted by other files is in one
run again; what is parted by anything else is the work of the carver's ``rejoin``. Each beginning is tried alone, so
any process can do it; of two that claim the same block the more confident wins, then the earlier, and the other is
tried again without it. What is joined is proven (a confidence of CERTAIN or more) or it is no find: the beginning
stays what it was, a file that breaks off, and its reason says what was not proven.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace

from forensiclib.carving.unit import CERTAIN, Carved, certain, owned
from forensiclib.carving.view import CandidateView
from forensiclib.core.declare import Carver, Find, Fragments
from forensiclib.core.errors import EvidenceError, LimitExceeded
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import ByteSource, ExtentSource, fill_bad

__all__ = ["SECTOR", "joined"]

SECTOR = 512
ROUNDS = 2
BEHIND, AHEAD = 16 << 20, 1 << 30
"""Free space before and after a beginning in which its pieces are looked for."""
EXTENTS = 1 << 16
"""Free ranges among which they are."""
TRIES, LEAST, ALL = 256 << 20, 8 << 20, 4 << 30
"""Bytes read for one beginning, at most; at least; and for all of one search together."""

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Join:
    """One beginning and the free ranges (start, length) that are its to look in; ``more``: with those of other finds."""

    source: ByteSource
    carver: Carver
    offset: int
    free: tuple[Range, ...]
    more: tuple[Range, ...]
    block: int
    tries: int
    limits: Limits


def _less(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """(start, end) ranges, ascending and apart, without the ``taken`` ones."""
    out: list[Range] = []
    rest = deque(sorted(taken))
    for start, end in ranges:
        while rest and rest[0][1] <= start:
            rest.popleft()
        for low, high in rest:
            if low >= end:
                break
            if low > start:
                out.append((start, low))
            start = max(start, high)
        if start < end:
            out.append((start, end))
    return out


def _merged(ranges: Iterable[Range]) -> list[Range]:
    out: list[Range] = []
    for start, end in sorted(ranges):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], end)
        elif start < end:
            out.append((start, end))
    return out


class _Space:
    """The blocks that nobody owns."""

    def __init__(self, pieces: Sequence[Range], block: int) -> None:
        self.block, self.pieces = block, list(pieces)
        self.whole = [(-(-a // block) * block, b // block * block if b != pieces[-1][1] else b) for a, b in pieces]
        self.whole = [(a, b) for a, b in self.whole if a < b]

    def cells(self, start: int, end: int) -> Range:
        """The blocks that a range touches."""
        return start // self.block * self.block, -(-end // self.block) * self.block

    def around(self, offset: int, taken: Sequence[Range]) -> tuple[Range, ...]:
        """Free (start, length) ranges in reach of the beginning at ``offset``; its own block is among them."""
        low, high = offset - BEHIND, offset + AHEAD
        first = max(0, bisect_right(self.whole, (low, low)) - 1)
        near = []
        for a, b in self.whole[first:]:
            if a >= high:
                break
            if b > low:
                near.append((max(a, low), min(b, high)))
        nearby = [t for t in taken if t[1] > low and t[0] < high]
        mine = self.cells(offset, offset + 1)
        free = _merged([*_less(near, nearby), *((max(a, mine[0]), min(b, mine[1])) for a, b in self.pieces if a <= offset < b)])
        here = next((i for i, (a, b) in enumerate(free) if a <= offset < b), 0)
        first = max(0, here - EXTENTS // 8)
        return tuple((a, b - a) for a, b in free[first : first + EXTENTS])


def _pieces(extents: Sequence[Range], pieces: Iterable[Range]) -> tuple[Range, ...]:
    """Pieces of what the extents (start, length) make, as pieces of what they lie in; None of them empty."""
    starts, at = [], 0
    for _, length in extents:
        starts.append(at)
        at += length
    out: list[Range] = []
    for start, length in pieces:
        while length > 0:
            i = bisect_right(starts, start) - 1
            inside = start - starts[i]
            take = min(length, extents[i][1] - inside)
            if take <= 0:
                return ()
            place = extents[i][0] + inside
            if out and sum(out[-1]) == place:
                out[-1] = out[-1][0], out[-1][1] + take
            else:
                out.append((place, take))
            start, length = start + take, length - take
    return tuple(out)


def _disjoint(pieces: Sequence[Range]) -> bool:
    ordered = sorted(pieces)
    return all(a + n <= b for (a, n), (b, _) in itertools.pairwise(ordered))


def _judged(join: _Join, source: ByteSource, found: Find, pieces: tuple[Range, ...], budget: Budget) -> Carved | None:
    """The pieces as a file, measured like any other."""
    if len(pieces) < 2 or pieces[0][0] != join.offset or not _disjoint(pieces):
        return None
    content = ExtentSource(source, pieces)
    find = join.carver.measure(CandidateView(content, 0, content.size, memoryview(b""), 0, 16 * content.size + (64 << 20)), budget)
    if find is None or not find.complete or find.length != content.size:
        return None
    find = replace(find, confidence=min(find.confidence, found.confidence), reason=f"{found.reason}; {len(pieces)} pieces", pieces=pieces)
    return Carved(join.offset, find.length, join.carver, find)


def _tried(join: _Join, source: ByteSource, extents: tuple[Range, ...], cancelled: Callable[[], bool] | None) -> Carved | None:
    """Raises LimitExceeded."""
    space = ExtentSource(source, extents)
    head, at = -1, 0
    for start, length in extents:
        if start <= join.offset < start + length:
            head, first = at + join.offset - start, start + length - join.offset
        at += length
    if head < 0:
        return None
    view = CandidateView(space, 0, space.size, memoryview(b""), 0, join.tries)
    budget = Budget(join.limits, cancelled, room=join.carver.name)
    find: Find | None = None
    try:
        if head + first < space.size and (find := join.carver.measure(view.slice(head), budget)) is not None:
            whole = find.complete and find.confidence >= CERTAIN and find.length > first
            pieces = _pieces(extents, ((head, find.length),)) if whole else ()
            if pieces and (hit := _judged(join, source, replace(find, reason=f"{find.reason}; parted by other files"), pieces, budget)):
                return hit
    except EvidenceError as error:
        if isinstance(error, LimitExceeded):
            raise
    if join.carver.rejoin is None:
        return None
    try:
        find = join.carver.rejoin(Fragments(view, head, join.block), budget)
        return _judged(join, source, find, _pieces(extents, find.pieces), budget) if find is not None else None
    except LimitExceeded:
        raise
    except EvidenceError:
        return None


def attempt(join: _Join, cancelled: Callable[[], bool] | None = None) -> tuple[Carved | None, tuple[Finding, ...]]:
    """Try one beginning. Raises Cancelled."""
    source = fill_bad(join.source, lambda error: None)  # reported when the space was carved
    findings = []
    for extents in (join.free, join.more) if join.more != join.free else (join.free,):
        try:
            if (hit := _tried(join, source, extents, cancelled)) is not None:
                return hit, ()
        except LimitExceeded as error:
            span = next(iter(join.source.trace(join.offset, 1)), None)
            findings.append(Finding("LimitExceeded", "pieces of a fragmented file", error.found, "given up", join.carver.name, span))
    return None, tuple(findings[:1])


def _all(jobs: list[_Join], executor: Executor | None, ahead: int, budget: Budget) -> Iterator[tuple[Carved | None, tuple[Finding, ...]]]:
    """Every attempt, in order."""
    if executor is None:
        for job in jobs:
            budget.check()
            yield attempt(job, budget.cancelled)
        return
    waiting: deque[Future[tuple[Carved | None, tuple[Finding, ...]]]] = deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(attempt, job))
            if len(waiting) >= ahead:
                budget.check()
                yield waiting.popleft().result()
        while waiting:
            budget.check()
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _starts_in(taken: Sequence[Range], offset: int) -> bool:
    i = bisect_right(taken, (offset, 1 << 62)) - 1
    return i >= 0 and taken[i][0] <= offset < taken[i][1]


def joined(
    source: ByteSource,
    pieces: Sequence[Range],
    finds: Sequence[Carved],
    heads: Sequence[tuple[int, Carver]],
    block: int,
    executor: Executor | None,
    ahead: int,
    budget: Budget,
) -> Iterator[Carved]:
    """``finds`` of ``pieces`` (start, end) and, instead of those that broke off, what could be joined; ascending."""
    space = _Space(pieces, block)
    sure = [space.cells(f.offset, owned(f)) for f in finds if certain(f)]
    starts = {offset: space.cells(offset, owned(f)) for f in finds if not certain(f) and (offset := f.offset) < owned(f)}
    tries = max(LEAST, min(TRIES, ALL // max(1, len(heads))))
    mine: list[Range] = []
    hits: list[Carved] = []
    guesses: dict[tuple[int, str], Find] = {}
    told: dict[tuple[int, str], tuple[Finding, ...]] = {}
    waiting = list(heads)
    for _ in range(ROUNDS):
        apart = _merged([*sure, *mine])
        taken = _merged([*apart, *starts.values()])
        jobs = []
        for offset, carver in waiting:
            own = starts.get(offset)
            without = _less(taken, [own]) if own else taken
            free = space.around(offset, apart if carver.holds else without)
            more = space.around(offset, mine) if carver.holds else free
            jobs.append(_Join(source, carver, offset, free, more, block, tries, budget.limits))
        found: list[Carved] = []
        for (offset, carver), (hit, findings) in zip(waiting, _all(jobs, executor, ahead, budget), strict=True):
            told[offset, carver.name] = findings
            found += [hit] if hit is not None else []
        before = len(hits)
        for hit in sorted(found, key=lambda h: (-h.find.confidence, h.offset, h.carver.name)):
            cells = [space.cells(start, start + n) for start, n in hit.find.pieces]
            cells[0] = (max(cells[0][0], hit.offset), cells[0][1])
            if not certain(hit):
                guesses[hit.offset, hit.carver.name] = hit.find
            elif not _meet(mine, cells):
                hits.append(hit)
                mine = _merged([*mine, *cells])
                starts.pop(hit.offset, None)
        waiting = [
            (o, c) for o, c in waiting if not _starts_in(mine, o) and ((o, c.name) not in guesses or _lost(guesses[o, c.name], mine))
        ]
        if len(hits) == before or not waiting:
            break
    left = {(offset, carver.name) for offset, carver in waiting}
    for key in sorted(told):
        for finding in told[key] if key in left else ():
            budget.report(finding)
    budget.item(len(hits))
    rest = (_doubted(f, guesses.get((f.offset, f.carver.name))) for f in finds if not _starts_in(mine, f.offset))
    yield from sorted((*hits, *rest), key=lambda f: f.offset)


def _doubted(carved: Carved, guess: Find | None) -> Carved:
    """A file that breaks off, with why what may be its pieces were not joined."""
    if guess is None or carved.find.complete:
        return carved
    return replace(carved, find=replace(carved.find, reason=f"{carved.find.reason}; not joined: {guess.reason}"))


def _lost(guess: Find, taken: Sequence[Range]) -> bool:
    """Whether a join that was not proven used what another has proven to be its own."""
    return _meet(taken, [(start, start + n) for start, n in guess.pieces])


def _meet(ranges: Sequence[Range], others: Sequence[Range]) -> bool:
    for start, end in others:
        i = bisect_right(ranges, (end - 1, 1 << 62)) - 1
        if i >= 0 and ranges[i][1] > start:
            return True
    return False
