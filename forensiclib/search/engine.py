"""The search engine: every place in a stream of bytes where a term of a query stands.

A stream is any ByteSource: a file with its fragments joined, free space in the order of the disk, a decoded region. It is
read in windows, and each window with a margin on both sides, so that a hit across their edges is one like any other.
Words are found wherever they begin. Expressions are matched in blocks of one fixed size, which no option changes,
leftmost and not overlapping. So the hits do not depend on the size of the windows, nor on who reads which part.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from forensiclib.core.declare import Checked
from forensiclib.core.errors import UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, fill_bad
from forensiclib.search.encodings import following, joins, previous
from forensiclib.search.query import Hit, Prepared, Query, prepared

__all__ = ["BLOCK", "CELL", "Decoded", "Decoder", "search", "settled"]

BLOCK = 1 << 20
"""Bytes that expressions are matched in, and of which parts of a stream are multiples."""
WINDOW = 4 << 20
CELL = 64 << 20
"""Bytes in which a decoder decides what is decoded; what began in one before is not known there."""
_LITERAL = Checked("", 1.0)
_PAIR = frozenset(("utf-16-le", "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A region that was decoded: ``source`` is what came out of the bytes at ``offset``, its ``trace`` leads back to the
    image; ``via`` names what was undone ("gzip").

    end      offset behind the encoded bytes; 0 unknown
    broken   why it is not whole, "" when it is
    literal  (start, end) of ``source`` that stand in the encoded bytes as they are: hits in them were told before
    """

    via: tuple[str, ...]
    offset: int
    source: ByteSource
    end: int = 0
    broken: str = ""
    literal: tuple[tuple[int, int], ...] = ()


Decoder = Callable[[ByteSource, int, int, Budget], Iterable[Decoded]]
"""(source, start, stop, budget) -> what can be decoded that begins in [start, stop); it may read beyond. In a fixed order,
bounded in number and size, damage to ``budget.report``. A module-level function can travel to worker processes."""


def search(
    source: ByteSource,
    query: Query,
    *,
    budget: Budget | None = None,
    start: int = 0,
    stop: int | None = None,
    window: int = WINDOW,
    decoder: Decoder | None = None,
    depth: int = 2,
) -> Iterator[Hit]:
    """Hits that begin in [start, stop) of ``source``, by offset, then by term; behind them those in decoded regions.

    start    a multiple of BLOCK: the hits of neighbouring parts are those of the whole (after ``settled``)
    window   bytes of one read, a multiple of BLOCK
    decoder  called for what lies encoded in the part, and again for what that held, ``depth`` levels deep

    Unreadable bytes are searched as zero and go to ``budget.report``. Raises UsageError, Cancelled, LimitExceeded.
    """
    stop = source.size if stop is None else min(stop, source.size)
    if start % BLOCK or window < BLOCK or window % BLOCK or start < 0:
        raise UsageError(f"start {start} and window {window} must be multiples of {BLOCK}")
    budget = Budget(room="search") if budget is None else budget
    yield from settled(_Search(source, prepared(query), budget, window).hits(start, stop))
    if decoder is not None and depth > 0:
        for region in decoder(source, start, stop, budget):
            via = (f"{'+'.join(region.via)}@{region.offset}",)
            told = f"{via[0]}: {region.broken}" if region.broken else ""
            for hit in search(region.source, query, budget=budget, decoder=decoder, depth=depth - 1):
                if not (region.literal and not hit.via and _within(hit, region.literal)):
                    detail = "; ".join(filter(None, (told, hit.detail)))
                    yield replace(hit, via=(*via, *hit.via), detail=detail, reach=region.end)


def _within(hit: Hit, ranges: tuple[tuple[int, int], ...]) -> bool:
    """Whether one of the ascending ranges holds the whole of it."""
    i = bisect_right(ranges, (hit.offset, sys.maxsize)) - 1
    return i >= 0 and hit.offset + hit.length <= ranges[i][1]


class _Search:
    def __init__(self, source: ByteSource, ready: Prepared, budget: Budget, window: int) -> None:
        told: set[Finding] = set()

        def report(finding: Finding) -> None:
            if finding not in told:
                told.add(finding)
                budget.report(finding)

        self.source = fill_bad(source, lambda error: report(Finding.of(error, room="search")))
        self.ready, self.budget, self.window = ready, budget, window

    def hits(self, start: int, stop: int) -> Iterator[Hit]:
        ready, margin = self.ready, self.ready.margin
        if start >= stop or (ready.words is None and ready.expressions is None):
            return
        buffer = bytearray(min(self.window + 2 * margin, self.source.size))
        for at in range(start, stop, self.window):
            self.budget.check()
            low, end = max(0, at - margin), min(at + self.window, stop)
            n = self.source.read_into(low, memoryview(buffer)[: min(end + margin, self.source.size) - low])
            data = memoryview(buffer)[:n]
            words = ready.words.hits(data, at - low, end - low) if ready.words is not None else ()
            found = [(o, length, t, e, _LITERAL) for o, length, t, e in words]
            if ready.expressions is not None:
                first = len(ready.query.words)
                for block in range(at, end, BLOCK):
                    view_at = max(0, block - margin)
                    view = data[view_at - low : min(block + BLOCK + margin, self.source.size) - low]
                    hits = ready.expressions.hits(view, block - view_at, min(block + BLOCK, end) - view_at, self.judge)
                    found += [(o + view_at - low, length, first + t, e, checked) for o, length, t, e, checked in hits]
            found.sort(key=lambda f: (f[0], f[2], -f[1], f[3]))  # of one term at one place the longest stands
            for offset, length, term, encoding, checked in found:
                yield self.hit(data, low, offset, length, term, encoding, checked)

    def judge(self, term: int, encoding: int, data: bytes, start: int, end: int) -> tuple[int, Checked] | None:
        """See regex.Judge."""
        query, name = self.ready.query, self.ready.encodings[encoding]
        if term < len(query.expressions):
            if query.whole_word and not _alone(memoryview(data), start, end, name):
                return None
            return end - start, _LITERAL
        value = data[start:end].decode(name, "backslashreplace")
        said = query.patterns[term - len(query.expressions)].check(value)
        if said is None:
            return None
        return end - start if said.taken is None else len(value[: said.taken].encode(name)), said

    def hit(self, data: memoryview, low: int, offset: int, length: int, number: int, encoding: int, said: Checked) -> Hit:
        query, term, end = self.ready.query, self.ready.terms[number], offset + length
        names = self.ready.words.encodings if self.ready.words is not None and term.kind == "word" else self.ready.encodings
        name = names[encoding]
        value = bytes(data[offset:end]).decode(name, "backslashreplace")
        before = _shown(data, max(0, offset - query.context), offset, name, True)
        after = _shown(data, end, min(end + query.context, len(data)), name, False)
        spans = self.source.trace(low + offset, length)
        return Hit(
            low + offset, length, number, term.kind, term.name, name, value, said.normal, said.confidence, said.valid,
            before, after, spans, (), "", said.group,
        )  # fmt: skip


def _alone(data: memoryview, start: int, end: int, encoding: str) -> bool:
    first, last = following(data, start, encoding), previous(data, end, encoding)
    return not joins(previous(data, start, encoding), first) and not joins(last, following(data, end, encoding))


def _shown(data: memoryview, start: int, end: int, encoding: str, before: bool) -> str:
    """Text around a hit; whole characters towards the hit, what cannot be shown is "."."""
    if encoding.startswith("utf-16") and (end - start) % 2:
        start, end = (start + 1, end) if before else (start, end - 1)
    text = bytes(data[start:end]).decode(encoding, "replace")
    return text.translate(_SIGNS)


class _Signs(dict[int, str]):
    """For str.translate: how a character is shown. Remembers those that it was asked for, up to a bound."""

    def __missing__(self, code: int) -> str:
        c = chr(code)
        shown = c if c.isprintable() and c != "\ufffd" else " " if c in "\t\n\r" else "."
        if len(self) < 1 << 14:
            self[code] = shown
        return shown


_SIGNS = _Signs()


def settled(hits: Iterable[Hit]) -> Iterator[Hit]:
    """Hits of one stream, ascending, without those that say the same twice.

    Of ASCII text in UTF-16 the bytes of one byte order hold the other one byte further: the one at an even offset stands.
    Overlapping hits of one expression or pattern in other encodings, or across the edge of a block: the first stands.
    So does what a decoded region told that reaches into further cells, where a part of it may have been decoded alone.
    """
    long: dict[tuple[int, int], set[tuple[int, str]]] = {}
    last: dict[tuple[int, tuple[str, ...]], Hit] = {}
    waiting: list[Hit] = []
    for hit in hits:
        if hit.via and _known(hit, long):
            continue
        while waiting and (waiting[0].offset + 1 < hit.offset or waiting[0].via != hit.via):
            yield waiting.pop(0)
        key = hit.term, hit.via
        old = last.get(key)
        if old is not None and hit.offset < old.offset + old.length and hit.kind != "yara":
            swapped = {hit.encoding, old.encoding} == _PAIR and hit.offset != old.offset
            if swapped and hit.offset == old.offset + 1 and hit.offset % 2 == 0 and old in waiting:
                waiting.remove(old)
            elif (swapped and (hit.offset - old.offset) % 2) or hit.kind != "word" or hit.offset == old.offset:
                continue
        last[key] = hit
        waiting.append(hit)
    yield from waiting


def _known(hit: Hit, long: dict[tuple[int, int], set[tuple[int, str]]]) -> bool:
    """Whether a region around that of the hit, from an earlier cell, said the same; notes the hits of regions that leave their cell."""
    start, key = int(hit.via[0].rpartition("@")[2]), (hit.term, hit.value)
    if any(low < start < high and start // CELL > low // CELL and key in keys for (low, high), keys in long.items()):
        return True
    if hit.reach > (start // CELL + 1) * CELL:
        long.setdefault((start, hit.reach), set()).add(key)
    return False
