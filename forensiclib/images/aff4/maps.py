"""Maps: stretches of a disk or a file, each a stretch of another stream."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from forensiclib.core.errors import Corrupt, LimitExceeded
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats.aff4 import MAP_ENTRY
from forensiclib.images._blocks import BlockSource, Place
from forensiclib.images.aff4.symbolic import Repeated

__all__ = ["MapStream", "load_map"]

_Stretch = tuple[int, int, int, int]
"""Start, end, number of the target, offset in it."""
UNORDERED = 1_000_000
"""Entries that are put in order; all known makers write them so."""
GAP, TORN = -1, -2
"""Targets of stretches that no entry names, and of those that two do."""


class MapStream(BlockSource):
    """The bytes that a map describes. A stretch that two entries place differently raises Corrupt.

    targets  names of the streams, as stored
    """

    __slots__ = ("_gap", "_held", "_ids", "_lock", "_offsets", "_open", "_root", "_starts", "targets")

    def __init__(
        self, size: int, runs: tuple[array[int], array[int], array[int]], targets: Sequence[str], gap: str,
        opener: Callable[[str], ByteSource], root: str,
    ) -> None:  # fmt: skip
        super().__init__(size, self._place, "AFF4 map")
        self._starts, self._ids, self._offsets = runs
        self.targets, self._gap, self._open, self._root = tuple(targets), gap, opener, root
        self._held: dict[int, ByteSource] = {}
        self._lock = threading.Lock()

    def _place(self, offset: int) -> Place:
        i = bisect_right(self._starts, offset) - 1
        start, target = self._starts[i], self._ids[i]
        end = self._starts[i + 1] if i + 1 < len(self._starts) else self.size
        if target == TORN:
            raise Corrupt("AFF4 map", Span(self._root, 0, 0), f"two entries place bytes {start} to {end - 1} differently")
        source = self._held.get(target)
        if source is None:
            source = self.target(target)
        if isinstance(source, Repeated) and source.kind == "zero":
            return None, 0, end - offset
        return source, self._offsets[i] + offset - start, end - offset

    def target(self, index: int) -> ByteSource:
        """The stream of that number; GAP is the one between the entries. Raises what opening it does."""
        made = self._open(self._gap if index == GAP else self.targets[index])
        with self._lock:
            return self._held.setdefault(index, made)

    def same(self, other: MapStream) -> bool:
        """Whether both place every byte in the same stream."""
        return self.size == other.size and [(*s, self._offsets[i]) for i, s in enumerate(self.stretches())] == [
            (*s, other._offsets[i]) for i, s in enumerate(other.stretches())
        ]

    def used(self) -> list[int]:
        """Numbers of the targets that any byte lies in."""
        return sorted(set(self._ids) - {TORN})

    def stretches(self) -> Iterator[tuple[int, int, str]]:
        """(start, length, name of the target) of the whole, "" for a torn one."""
        for i, start in enumerate(self._starts):
            end = self._starts[i + 1] if i + 1 < len(self._starts) else self.size
            target = self._ids[i]
            yield start, end - start, "" if target == TORN else self._gap if target == GAP else self.targets[target]


def load_map(
    points: bytes, targets: Sequence[str], size: int | None, gap: str, opener: Callable[[str], ByteSource], root: str, budget: Budget
) -> MapStream:
    """The map of these entries; ``size`` None is the end of the last one.

    Entries that overlap, reach behind the end, or name no target are findings: what they claim raises when it is read.
    """
    span = Span(root, 0, len(points))
    if len(points) % MAP_ENTRY.size:
        budget.report(Corrupt("AFF4 map", span, f"{len(points)} bytes are no whole entries of {MAP_ENTRY.size}"))
        points = points[: len(points) - len(points) % MAP_ENTRY.size]
    count = len(points) // MAP_ENTRY.size
    budget.item(count)
    ordered, end = _measured(points)
    whole = end if size is None else size
    if whole >= 1 << 63:
        raise Corrupt("AFF4 map", span, f"{whole} bytes")
    if not ordered and count > UNORDERED:
        raise LimitExceeded("AFF4 map", span, f"{count} entries in no order, {UNORDERED} allowed")
    wrong, torn = 0, 0

    def stretches() -> Iterator[_Stretch]:
        nonlocal wrong
        for start, length, offset, target in MAP_ENTRY.packed.iter_unpack(points):
            stop = min(start + length, whole)
            lost = target >= len(targets) or offset + length >= 1 << 64
            wrong += length > 0 and (lost or start + length > whole)
            if start < stop:
                yield (start, stop, TORN, 0) if lost else (start, stop, target, offset)

    placed: Iterable[_Stretch] = stretches()
    if not ordered:
        listed = sorted(placed)
        torn = sum(listed[i][1] > listed[i + 1][0] for i in range(len(listed) - 1))
        placed = _swept(listed) if torn else listed
    starts, ids, offsets = array("Q"), array("q"), array("Q")
    at = 0
    for start, stop, target, offset in placed:
        pieces = [(start, target, offset)] if start == at else [(at, GAP, at), (start, target, offset)]
        for first, kind, place in pieces:
            if not (starts and ids[-1] == kind and (kind == TORN or place == offsets[-1] + first - starts[-1])):
                starts.append(first)
                ids.append(kind)
                offsets.append(place)
        at = stop
    if at < whole and not (ids and ids[-1] == GAP):
        starts.append(at)
        ids.append(GAP)
        offsets.append(at)
    if wrong or torn:
        found = f"of {count} entries {wrong} reach behind the end or name no target, {torn} overlap the next"
        budget.report(Corrupt("AFF4 map", span, found))
    return MapStream(whole, (starts, ids, offsets), targets, gap, opener, root)


def _measured(points: bytes) -> tuple[bool, int]:
    """Whether no entry begins before the end of the one before it; where the last one ends."""
    ordered, end = True, 0
    for start, length, _, _ in MAP_ENTRY.packed.iter_unpack(points):
        if length:
            ordered = ordered and start >= end
            end = max(end, start + length)
    return ordered, end


def _swept(placed: Sequence[_Stretch]) -> Iterator[_Stretch]:
    """The same without overlaps: what two stretches place differently is TORN."""
    edges = sorted([(p[0], True, i) for i, p in enumerate(placed)] + [(p[1], False, i) for i, p in enumerate(placed)])
    active: dict[int, None] = {}
    for k, (at, begins, i) in enumerate(edges):
        if begins:
            active[i] = None
        else:
            del active[i]
        end = edges[k + 1][0] if k + 1 < len(edges) else at
        if not active or end == at:
            continue
        first, last = placed[next(iter(active))], placed[next(reversed(active))]
        if len(active) == 1 or (len(active) == 2 and first[2] == last[2] and first[3] - first[0] == last[3] - last[0]):
            yield at, end, first[2], first[3] + at - first[0] if first[2] != TORN else 0
        else:
            yield at, end, TORN, 0
