"""Deleted entries that name the same clusters: at most one of them still has its content."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forensiclib.core.entry import Verdict

__all__ = ["Claim", "Claims"]


@dataclass(frozen=True, slots=True)
class Claim:
    """``runs`` of (cluster, count) that the deleted entry ``id`` names; ``born`` in ns, None unknown."""

    id: int
    runs: tuple[tuple[int, int], ...]
    born: int | None


class Claims:
    """All claims of a volume, loaded once, by cluster."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready = False
        self._starts: list[int] = []
        self._parts: list[tuple[int, int, Claim]] = []
        self._longest: list[int] = []

    def load(self, every: Callable[[], Sequence[Claim]]) -> None:
        """Fill it on the first call."""
        with self._lock:
            if self._ready:
                return
            parts = sorted(((first, first + count, claim) for claim in every() for first, count in claim.runs), key=lambda p: p[:2])
            self._parts = parts
            self._starts = [first for first, _end, _claim in parts]
            reach = 0
            for _first, end, _claim in parts:
                reach = max(reach, end)
                self._longest.append(reach)
            self._ready = True

    def _others(self, claim: Claim) -> list[tuple[int, Claim]]:
        """(first shared cluster, the other claim)."""
        out = []
        for first, count in claim.runs:
            i = bisect_right(self._starts, first + count - 1) - 1
            while i >= 0 and self._longest[i] > first:
                start, end, other = self._parts[i]
                if end > first and other.id != claim.id:
                    out.append((max(start, first), other))
                i -= 1
        return out

    def judge(self, claim: Claim, verdict: Verdict) -> Verdict:
        """The verdict, made worse by other claims. Equal claims are one file under two names (renamed,
        then deleted); of two different ones the later-born has the content."""
        for cluster, other in self._others(claim):
            if other.runs[0] == claim.runs[0]:
                continue
            if claim.born is None or other.born is None or claim.born == other.born:
                verdict = "unknown" if verdict == "intact" else verdict
            elif other.born > claim.born:
                if cluster == claim.runs[0][0]:
                    return "overwritten"
                verdict = "partly overwritten"
        return verdict
