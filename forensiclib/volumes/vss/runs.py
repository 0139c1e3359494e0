"""Ranges that lie elsewhere: sorted, without overlap, looked up by halving."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

__all__ = ["KEPT", "LOST", "MOVED", "Runs"]

KEPT, MOVED, LOST = 0, 1, 2
"""What the target of a run is: bytes of the volume as it is, a place in the next younger copy, nothing."""


class Runs:
    """(start, target, kind) of ranges of a copy. 25 bytes of memory each; ranges that continue each other are one."""

    __slots__ = ("_ends", "_kinds", "_starts", "_targets")

    def __init__(self, found: Iterable[tuple[int, int, int, int]] = ()) -> None:
        """``found``: (start, length, target, kind), ascending and apart."""
        starts, ends, targets, kinds = array("Q"), array("Q"), array("Q"), bytearray()
        for start, length, target, kind in found:
            joined = ends and ends[-1] == start and kinds[-1] == kind
            if joined and (kind == LOST or targets[-1] + start - starts[-1] == target):
                ends[-1] = start + length
                continue
            starts.append(start)
            ends.append(start + length)
            targets.append(target)
            kinds.append(kind)
        self._starts, self._ends, self._targets, self._kinds = starts, ends, targets, kinds

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def end(self) -> int:
        """First offset behind the last range."""
        return self._ends[-1] if self._ends else 0

    def cut(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(start, end, target, kind) of every piece of [start, end), in order; kind -1 for what is in no range."""
        starts, ends, targets, kinds = self._starts, self._ends, self._targets, self._kinds
        at, count = max(0, bisect_right(starts, start) - 1), len(starts)
        while start < end:
            while at < count and ends[at] <= start:
                at += 1
            if at == count or starts[at] >= end:
                yield start, end, 0, -1
                return
            if starts[at] > start:
                yield start, starts[at], 0, -1
                start = starts[at]
            stop = min(end, ends[at])
            yield start, stop, targets[at] + start - starts[at], kinds[at]
            start = stop
