"""Opportunistic decoding: every place of a stream where something encoded begins, and what comes out of it.

A stream is taken in cells of a fixed size. In a cell the candidates of all transforms are tried in ascending order, and
what was decoded owns its bytes: a zlib stream inside a ZIP member is not decoded twice. A region belongs to the cell that its
first byte lies in, however far it reaches. So what is found depends on the bytes alone.

What is spent is bounded for each cell, nested decoding included; what is given up is reported.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from forensiclib import kernels
from forensiclib.core.declare import Ended, Transform
from forensiclib.core.errors import EvidenceError, LimitExceeded, MissingSupport, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource, WritableBuffer, clip, fill_bad
from forensiclib.core.span import Span
from forensiclib.search.engine import CELL, Decoded

__all__ = ["Decoding", "Region", "View", "chosen"]

REGION = 1 << 30
"""Bytes that one region may give; of a larger one the first are searched."""
FREE, RATIO, TOTAL = 256 << 20, 100, 4 << 30
"""A cell of n bytes may give FREE + n * RATIO bytes, TOTAL at most, over all levels: bombs multiply by nesting."""
HELD = 16 << 20
"""Bytes of a region kept in memory; a larger one is decoded again as it is read."""
_WINDOW = 4 << 20
_LEAD, _TAIL = 4 << 10, 64 << 10
_TRIES = 1 << 20
"""Candidates tried in one cell: noise has some dozens, a forged page of headers could have millions."""


@dataclass(slots=True)
class _Allowance:
    left: int
    told: bool = False


class Region(ByteSource):
    """What came out of a region. ``names`` the transforms behind it, outermost first; ``literal`` see declare.Ended."""

    __slots__ = ("_base", "allowance", "literal", "names", "size")

    def __init__(self, base: ByteSource, allowance: _Allowance, names: tuple[str, ...], literal: tuple[tuple[int, int], ...]) -> None:
        self._base, self.size, self.allowance, self.names, self.literal = base, base.size, allowance, names, literal

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        return self._base.read_into(offset, buffer)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._base.trace(offset, n)


class View(ByteSource):
    """A stream from a candidate on: reads inside the window that the scan holds cost nothing. ``furthest`` was read to."""

    __slots__ = ("_base", "_start", "_window", "_window_at", "furthest", "names", "size")

    def __init__(self, base: ByteSource, start: int, window: memoryview, window_at: int, names: tuple[str, ...] = ()) -> None:
        self._base, self._start, self._window, self._window_at, self.names = base, start, window, window_at, names
        self.size, self.furthest = base.size - start, 0

    def _bytes(self, at: int, n: int) -> bytes:
        inside = at - self._window_at
        if inside >= 0 and inside + n <= len(self._window):
            return bytes(self._window[inside : inside + n])
        return self._base.read_at(at, n)

    def read_at(self, offset: int, n: int) -> bytes:
        n = clip(offset, n, self.size)
        self.furthest = max(self.furthest, offset + n)
        return self._bytes(self._start + offset, n)

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        data = self.read_at(offset, len(buffer))
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def before(self, n: int) -> bytes:
        """Up to ``n`` bytes before the candidate."""
        n = min(n, self._start)
        return self._bytes(self._start - n, n)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._base.trace(self._start + offset, n)


class _Again(ByteSource):
    """A long region, decoded as it is read: forward, keeping what was read last; going far back begins anew."""

    __slots__ = ("_at", "_kept", "_lock", "_make", "_origin", "_pieces", "size")

    def __init__(self, make: Callable[[], Iterator[bytes]], size: int, origin: tuple[Span, ...]) -> None:
        self._make, self.size, self._origin = make, size, origin
        self._kept, self._at, self._pieces = bytearray(), 0, make()
        self._lock = threading.Lock()

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        with self._lock:
            if offset < self._at:
                self._kept, self._at, self._pieces = bytearray(), 0, self._make()
            while self._at + len(self._kept) < offset + n:
                if (piece := next(self._pieces, None)) is None:
                    break
                self._kept += piece
                if len(self._kept) > 2 * HELD and (spare := min(len(self._kept) - HELD, offset - self._at)) > 0:
                    del self._kept[:spare]
                    self._at += spare
            low = offset - self._at
            piece = bytes(self._kept[low : low + n])
        memoryview(buffer)[: len(piece)] = piece
        return len(piece)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._origin if clip(offset, n, self.size) else ()


def chosen(transforms: tuple[Transform, ...], names: tuple[str, ...]) -> tuple[Transform, ...]:
    """The transforms of those names; "all" are those that are not optional. UsageError for an unknown one."""
    known = {t.name: t for t in transforms}
    unknown = [n for n in names if n not in known and n != "all"]
    if unknown:
        raise UsageError(f"no transform {', '.join(unknown)}; there are all, {', '.join(known)}")
    return tuple(t for t in transforms if t.name in names or ("all" in names and not t.optional))


@dataclass(frozen=True, slots=True)
class Decoding:
    """A search.engine.Decoder: what ``transforms`` decode. It travels to worker processes."""

    transforms: tuple[Transform, ...]

    def __call__(self, source: ByteSource, start: int, stop: int, budget: Budget) -> Iterator[Decoded]:
        """Regions that begin in [start, stop), ascending."""
        region = source if isinstance(source, Region) else None
        for at in range(start // CELL * CELL, stop, CELL):
            end = min(at + CELL, source.size)
            allowance = region.allowance if region else _Allowance(min(TOTAL, FREE + RATIO * (end - at)))
            cell = _Cell(self.transforms, source, budget, allowance, region)
            for decoded in cell.regions(at, min(end, stop)):
                if decoded.offset >= start:
                    yield decoded


@lru_cache(maxsize=8)
def _tables(transforms: tuple[Transform, ...]) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Scan tables, and (transform, offset of the signature) of each."""
    listed = [(s, n) for n, t in enumerate(transforms) for s in t.signatures]
    if not listed:
        return b"", ()
    tables = kernels.scan_compile([(s.pattern, s.mask, s.align, s.offset % s.align) for s, _ in listed])
    return tables, tuple((n, s.offset) for s, n in listed)


@dataclass(slots=True)
class _Cell:
    transforms: tuple[Transform, ...]
    source: ByteSource
    budget: Budget
    allowance: _Allowance
    region: Region | None
    covered: int = 0
    own: dict[int, int] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    tries: int = 0

    def regions(self, start: int, stop: int) -> Iterator[Decoded]:
        source = fill_bad(self.source, lambda error: None)  # the search of the same bytes reports them
        buffer = memoryview(bytearray(min(_LEAD + _WINDOW + _TAIL, self.source.size)))
        for at in range(start, stop, _WINDOW):
            self.budget.check()
            low, end = max(0, at - _LEAD), min(at + _WINDOW, stop)
            window = buffer[: min(end + _TAIL, source.size) - low]
            window = window[: source.read_into(low, window)]
            for place, number in self.candidates(window, at - low, end - low, low):
                if place < max(self.covered, self.own.get(number, 0)):
                    continue
                if self.allowance.left <= 0 or self.tries >= _TRIES:
                    self.give_up(place)
                    return
                self.tries += 1
                decoded = self.decoded(number, View(source, place, window, low, self.region.names if self.region else ()), place)
                if decoded is not None:
                    yield decoded

    def candidates(self, window: memoryview, start: int, stop: int, low: int) -> list[tuple[int, int]]:
        """(offset, transform), ascending; of one place the transform that is listed first."""
        tables, owners = _tables(self.transforms)
        found: set[tuple[int, int]] = set()
        here = start
        while tables and here < stop:
            hits, here = kernels.scan(tables, window, here, stop, low)
            found.update((low + place - owners[n][1], owners[n][0]) for place, n in hits)
        for number, transform in enumerate(self.transforms):
            if transform.scan is not None:
                found.update((low + place, number) for place in transform.scan(window, start, stop, low))
        names = self.region.names if self.region else ()
        return sorted((at, n) for at, n in found if at >= 0 and not (self.transforms[n].once and self.transforms[n].name in names))

    def give_up(self, place: int) -> None:
        if not self.allowance.told:
            self.allowance.told = True
            why = "what may be decoded" if self.allowance.left <= 0 else f"{_TRIES} candidates"
            spans = self.source.trace(place, 1)
            self.budget.report(
                LimitExceeded("decoding", spans[0] if spans else None, f"{why} in {CELL >> 20} MiB is used up; not decoded from here")
            )

    def decoded(self, number: int, view: View, place: int) -> Decoded | None:
        transform, limit = self.transforms[number], min(REGION, self.allowance.left)
        pieces: list[bytes] | None = []
        size = held = 0
        end: Ended | None = None
        run = transform.decode(view, self.budget)
        try:
            for piece in _until(run, limit):
                if isinstance(piece, Ended):
                    end = piece
                    break
                size += len(piece)
                held += len(piece)
                if pieces is not None:
                    pieces.append(piece)
                    if held > HELD:
                        pieces = None
        except MissingSupport as error:
            if transform.name not in self.missing:
                self.missing.add(transform.name)
                self.budget.report(Finding("MissingSupport", f"{transform.name} at {place}", str(error), "", "search"))
            return None
        except EvidenceError:
            return None
        spans = view.trace(0, 1)
        if end is None:
            end = Ended(view.furthest, False, f"only the first {size} bytes were decoded")
            self.budget.report(LimitExceeded(f"{transform.name} region", spans[0] if spans else None, end.reason))
        if end.length <= 0:
            return None
        self.allowance.left -= size
        stop = place + end.length
        self.own[number] = max(self.own.get(number, 0), stop)
        if transform.owns:
            self.covered = max(self.covered, stop)
        first = place - end.back
        if not size or (self.region and any(low <= first and stop <= high for low, high in self.region.literal)):
            return None
        origin = tuple(dict.fromkeys(s.through(transform.name) for s in self.source.trace(first, stop - first)))
        source: ByteSource
        if pieces is not None:
            source = MemorySource(b"".join(pieces), origin)
        else:
            base = view._base
            names = view.names

            def again() -> Iterator[bytes]:
                fresh = View(base, place, memoryview(b""), 0, names)
                return (
                    p
                    for p in _until(transform.decode(fresh, Budget(self.budget.limits, self.budget.cancelled)), limit)
                    if isinstance(p, bytes)
                )

            source = _Again(again, size, origin)
        names = (*(self.region.names if self.region else ()), transform.name)
        wrapped = Region(source, self.allowance, names, end.literal)
        return Decoded((transform.name,), first, wrapped, stop, "" if end.complete else end.reason, end.literal)


def _until(run: Generator[bytes, None, Ended], limit: int) -> Iterator[bytes | Ended]:
    """The pieces, at most ``limit`` bytes of them, then the end when it came to one."""
    while True:
        try:
            piece = next(run)
        except StopIteration as stop:
            ended: Ended = stop.value
            yield ended
            return
        if len(piece) >= limit:
            yield piece[:limit]
            run.close()
            return
        limit -= len(piece)
        if piece:
            yield piece
