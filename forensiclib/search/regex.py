"""Expressions over a block of bytes: where any may match by Hyperscan, if it is there; what matches by ``re``.

Hyperscan never decides. It names the places where a relaxed form of an expression ends, all of them in one pass; ``re`` then
looks at those places alone. So the hits are the same with it and without, only the time differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Literal

from forensiclib.core.declare import Checked
from forensiclib.search.expression import LONE_BYTE, Translated, Unwritable, translate

__all__ = ["Engine", "Expressions", "Judge", "compile_expressions"]

Engine = Literal["auto", "hyperscan", "python"]
Judge = Callable[[int, int, bytes, int, int], tuple[int, Checked] | None]
"""(term, encoding, data, start, end) -> bytes that belong to the hit, and what is to be said of it; None refuses."""


@dataclass(frozen=True, slots=True)
class _Form:
    term: int
    encoding: int
    translated: Translated
    step: int = 1
    """Bytes of a unit: texts of 2-byte units at even and at odd offsets are texts of their own, and hide nothing of each other."""


def _inside(raw: bytes, at: int) -> bool:
    """Whether ``at`` is within a character of UTF-8 that begins before it."""
    if not 0x80 <= raw[at] < 0xC0:
        return False
    for back in range(1, min(at, 3) + 1):
        lead = raw[at - back]
        if lead >= 0xC0:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            piece = raw[at - back : at - back + length]
            return back < length == len(piece) and piece.decode("utf-8", "ignore") != ""
        if lead < 0x80:
            return False
    return False


@dataclass(frozen=True, slots=True)
class Expressions:
    """Translated expressions. reach   bytes of the longest match and what it may look at; unwritten   as in Words"""

    forms: tuple[_Form, ...]
    reach: int
    engine: Engine
    unwritten: tuple[tuple[int, tuple[str, ...]], ...]

    def hits(self, data: memoryview, start: int, stop: int, judge: Judge) -> list[tuple[int, int, int, int, Checked]]:
        """(offset, length, term, encoding, what the judge said) of matches that begin in [start, stop) of ``data``: leftmost,
        and not overlapping those of the same form that begin in ``data`` before them. A match that the judge refuses
        hides nothing: the search goes on at its second byte."""
        found: list[tuple[int, int, int, int, Checked]] = []
        raw = bytes(data)
        if raw.count(0) == len(raw) and not _in_zeros(self.forms, self.reach):
            return found  # most of a new disk
        for number, regions in self._regions(raw):
            form = self.forms[number]
            expression = _compiled(form.translated.strict)
            loose = LONE_BYTE in form.translated.strict
            at, step, behind = 0, form.step, [0] * form.step
            for low, high in regions:
                at = max(at, low)
                limit = min(len(raw), high + form.translated.ahead + 1)
                while at < min(high, stop) and (match := expression.search(raw, at, limit)) is not None:
                    first = match.start()
                    if first >= stop:
                        break
                    if match.end() > high and limit < len(raw):
                        # No match ends there: the end of what it was shown passed for the end of the data.
                        match = expression.match(raw, first)
                    if match is not None and (first < behind[first % step] or (loose and _inside(raw, first))):
                        match = None
                    said = judge(form.term, form.encoding, raw, first, match.end()) if match is not None else None
                    if said is None:
                        at = first + 1
                        continue
                    length, checked = said
                    if first >= start:
                        found.append((first, length, form.term, form.encoding, checked))
                    behind[first % step] = first + length
                    at = first + length if step == 1 else first + 1
        return found

    def _regions(self, raw: bytes) -> Iterator[tuple[int, list[tuple[int, int]]]]:
        """(form, ascending ranges in which all its matches lie)."""
        database, left = _database(self.forms) if self.engine != "python" else (None, range(len(self.forms)))
        for number in left:
            yield number, [(0, len(raw))]
        if database is None:
            return
        ends: dict[int, list[int]] = {}

        def found(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            if number in ends:
                ends[number].append(end)
            else:
                ends[number] = [end]

        database.scan(raw, match_event_handler=found)
        for number in sorted(ends):
            high = self.forms[number].translated.high
            regions: list[tuple[int, int]] = []
            low, last = -1, -1
            for end in sorted(set(ends[number])):
                begin = max(0, end - high)
                if begin > last:
                    if low >= 0:
                        regions.append((low, last))
                    low = begin
                last = end
            regions.append((low, last))
            yield number, regions


@lru_cache(maxsize=1024)
def _compiled(expression: bytes) -> re.Pattern[bytes]:
    return re.compile(expression)


@lru_cache(maxsize=8)
def _in_zeros(forms: tuple[_Form, ...], reach: int) -> bool:
    """Whether any of them matches where nothing but zeros stands."""
    zeros = bytes(4 * reach + 64)
    return any(_compiled(form.translated.strict).search(zeros) for form in forms)


@lru_cache(maxsize=8)
def _database(forms: tuple[_Form, ...]) -> tuple[Any, tuple[int, ...]]:
    """(database or None, the forms that are not in it)."""
    if find_spec("hyperscan") is None:
        return None, tuple(range(len(forms)))
    import hyperscan

    def build(numbers: Sequence[int]) -> Any:
        made = hyperscan.Database()
        made.compile(
            expressions=[forms[n].translated.relaxed for n in numbers], ids=list(numbers), elements=len(numbers),
            flags=[hyperscan.HS_FLAG_DOTALL] * len(numbers),
        )  # fmt: skip
        return made

    good = [n for n, form in enumerate(forms) if form.translated.relaxed]
    while good:
        try:
            return build(good), tuple(n for n in range(len(forms)) if n not in good)
        except hyperscan.error:
            kept = []
            for number in good:  # too large for it, or empty when relaxed: those go the slow way
                try:
                    build([number])
                    kept.append(number)
                except hyperscan.error:
                    continue
            if kept == good:
                break
            good = kept
    return None, tuple(range(len(forms)))


def compile_expressions(terms: Sequence[tuple[str, bool]], encodings: Sequence[str], engine: Engine = "auto") -> Expressions:
    """``terms`` are (expression, ignore case). UsageError as in ``translate``."""
    forms, unwritten = [], []
    for number, (expression, ignore_case) in enumerate(terms):
        seen: set[bytes] = set()
        missing = []
        for place, encoding in enumerate(encodings):
            try:
                made = translate(expression, encoding, ignore_case)
            except Unwritable:
                missing.append(encoding)
                continue
            if made.strict not in seen:
                seen.add(made.strict)
                forms.append(_Form(number, place, made, 2 if encoding.startswith("utf-16") else 1))
        if missing:
            unwritten.append((number, tuple(missing)))
    reach = max((form.translated.high + form.translated.ahead for form in forms), default=0)
    return Expressions(tuple(forms), reach, engine, tuple(unwritten))
