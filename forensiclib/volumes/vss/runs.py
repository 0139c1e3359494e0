"""Ranges that lie elsewhere: sorted, without overlap, looked up by halving."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from forensiclib import kernels

__all__ = ["BACK", "KEPT", "LOST", "MOVED", "Runs"]

KEPT, MOVED, LOST, BACK = 0, 1, 2, 3
"""What the target of a run is: bytes of the volume as it is, a place in the next younger copy, nothing; BACK: no run after all."""


class Runs:
    """(start, target, kind) of ranges. 24 bytes of memory each; ranges that continue each other are one."""

    __slots__ = ("_ends", "_starts", "_targets")

    def __init__(self, unit: int = 1, starts: array[int] | None = None, targets: array[int] | None = None) -> None:
        """Ranges of ``unit`` bytes in the order in which they were written, and where each is, plus its kind (both multiples of
        four); the last of equal starts holds."""
        self._starts, self._ends, self._targets = array("Q"), array("Q"), array("Q")
        if starts and targets:
            for column, raw in zip((self._starts, self._ends, self._targets), kernels.block_runs(starts, targets, unit), strict=True):
                column.frombytes(raw)

    @classmethod
    def same(cls, found: Sequence[tuple[int, int]]) -> Runs:
        """(start, length) ranges, ascending and apart, each at its own place."""
        made = cls()
        made._starts = made._targets = array("Q", [start for start, _ in found])
        made._ends = array("Q", [start + length for start, length in found])
        return made

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def end(self) -> int:
        """First offset behind the last range."""
        return self._ends[-1] if self._ends else 0

    def cut(self, start: int, end: int) -> list[tuple[int, int, int, int]]:
        """(start, end, target, kind) of every piece of [start, end), in order; kind -1 for what is in no range."""
        starts, ends = self._starts, self._ends
        at, count = bisect_right(ends, start), len(starts)
        out = []
        while start < end:
            if at == count or starts[at] >= end:
                out.append((start, end, 0, -1))
                break
            if starts[at] > start:
                out.append((start, starts[at], 0, -1))
                start = starts[at]
            stop = min(end, ends[at])
            target = self._targets[at]
            out.append((start, stop, (target & ~3) + start - starts[at], target & 3))
            start = stop
            at += 1
        return out
