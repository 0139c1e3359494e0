"""Checksums of parts of the media, summed while the whole of it passes by."""

from __future__ import annotations

from collections.abc import Sequence

from forensiclib.core.entry import Check
from forensiclib.hashing.digest import Sums, new_sums

__all__ = ["PartSums"]


class PartSums:
    """The checks that have ``ranges``, fed with the media from its start; the other ones are left to the caller.

    ``update`` and ``values`` make it one more digest of ``hashing.digest``; ``outcome`` is what it found.
    """

    __slots__ = ("_active", "_at", "_checks", "_made", "_next", "_places", "_sums")

    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = [c for c in checks if c.ranges]
        places = [(start, start + length, i) for i, check in enumerate(self._checks) for start, length in check.ranges]
        self._places = sorted(places)
        self._next = self._at = 0
        self._active: list[tuple[int, int, int]] = []
        self._sums: dict[int, Sums] = {}
        self._made: dict[int, str] = {}

    def update(self, data: memoryview, /) -> None:
        """The bytes that follow."""
        begin, end = self._at, self._at + len(data)
        while self._next < len(self._places) and self._places[self._next][0] < end:
            self._active.append(self._places[self._next])
            self._next += 1
        for start, stop, i in self._active:
            made = self._sums.get(i)
            if made is None:
                made = self._sums[i] = new_sums((self._checks[i].algorithm,))
            made.update(data[max(start, begin) - begin : min(stop, end) - begin])
            if stop <= end and sum(self._checks[i].ranges[-1]) <= stop:
                self._made[i] = self._sums.pop(i).values()[self._checks[i].algorithm]
        self._active = [place for place in self._active if place[1] > end]
        self._at = end

    def values(self) -> dict[str, str]:
        """None: what it sums is not the whole."""
        return {}

    def outcome(self) -> list[tuple[Check, str]]:
        """(check, what its bytes give) for each; "" where the media ended before its last byte."""
        return [(check, self._made.get(i, "")) for i, check in enumerate(self._checks)]
