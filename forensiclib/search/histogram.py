"""How often each value was found: the features of a disk at a glance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Count", "Histogram"]

DISTINCT = 1_000_000
"""Values that are told apart; further ones are counted together."""


@dataclass(slots=True)
class Count:
    """One value of one term. level   "value", or "group" (the domain of an address, the issuer of a card); where, offset   the
    first place"""

    term: str
    level: str
    value: str
    count: int
    where: str
    offset: int


@dataclass(slots=True)
class Histogram:
    """Counts of the normalised values of hits."""

    dropped: int = 0
    _counts: dict[tuple[str, str, str], Count] = field(default_factory=dict)

    def add(self, term: str, value: str, group: str, where: str, offset: int) -> None:
        """Count a hit."""
        for level, text in (("value", value), ("group", group)):
            if not text:
                continue
            known = self._counts.get((term, level, text))
            if known is not None:
                known.count += 1
            elif len(self._counts) < DISTINCT:
                self._counts[term, level, text] = Count(term, level, text, 1, where, offset)
            else:
                self.dropped += 1

    def rows(self, top: int = 0) -> Iterator[Count]:
        """By term, level, then falling count and value; at most ``top`` of each term and level (0 is all)."""
        last, n = ("", ""), 0
        for count in sorted(self._counts.values(), key=lambda c: (c.term, c.level, -c.count, c.value)):
            n = n + 1 if (count.term, count.level) == last else 1
            last = count.term, count.level
            if not top or n <= top:
                yield count
