"""How often each value was found: the features of a disk at a glance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

__all__ = ["Count", "Histogram", "searched"]

DISTINCT = 1_000_000
"""Values that are told apart; further ones are counted together."""


_ASKED = ("q", "query", "p", "search_query", "text", "wd", "k", "keyword", "keywords", "search", "searchterm", "field-keywords", "_nkw")
_ENGINE = re.compile(r"(?i)search|/results|google\.|bing\.|duckduckgo\.|yahoo\.|yandex\.|baidu\.|ecosia\.|startpage\.|qwant\.|ebay\.")


def searched(url: str) -> str:
    """What the URL of a search page was asked for, in one spelling; "" when it is none."""
    try:
        parts = urlsplit(url)
        if not parts.query or not _ENGINE.search(parts.netloc + parts.path):
            return ""
        fields = parse_qs(parts.query, max_num_fields=200)
    except ValueError:
        return ""
    return next((" ".join(fields[name][0].split()).lower() for name in _ASKED if name in fields), "")


@dataclass(slots=True)
class Count:
    """One value of one term. level   "value", "group" (the domain of an address, the issuer of a card) or
    "search" (what a URL asked a search engine for); where, offset   the
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
        for level, text in (("value", value), ("group", group), ("search", searched(value) if term == "url" else "")):
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
