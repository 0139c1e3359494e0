"""Regular expressions over text, translated into expressions over the bytes of an encoding.

The syntax is that of Python's ``re``. ``^`` and ``$`` stand at lines, ``\\w \\d \\s \\b`` know ASCII (characters beyond it are
written out or as a range), and a repeat without an upper bound takes at most 1,000 characters (100 each where one
stands in another), so that every match has a longest length.

Each expression has two forms: ``strict``, for ``re``, which says what matches; and ``relaxed``, without what engines that
never go back cannot do (look-around, back-references), which matches wherever the strict one does and perhaps elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from forensiclib.core.errors import UsageError
from forensiclib.search.charset import EVERY, Ranges, cased, inverted, joined, sequences, text_of

__all__ = ["LONGEST", "Translated", "Unwritable", "translate"]

LONGEST = 96 << 10
"""Bytes of the longest match that an expression may have."""
_ONE, _NESTED = 1000, 100
_TURNS = 12
"""Turns of a repeat that the relaxed form counts."""
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_CATEGORIES: dict[str, Ranges] = {
    "CATEGORY_DIGIT": ((0x30, 0x39),),
    "CATEGORY_SPACE": ((0x09, 0x0D), (0x20, 0x20)),
    "CATEGORY_WORD": _WORD,
}
_LINE_END: Ranges = ((0x0A, 0x0A), (0x0D, 0x0D))


class Unwritable(Exception):  # an answer, not a fault
    """The encoding lacks characters of the expression."""


ANY_BYTE = b"[\\x80-\\xff]"
_WHOLE = (
    rb"(?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})"
)
"""A character of more than one byte (RFC 3629, 4)."""
LONE_BYTE = b"(?!" + _WHOLE + b")" + ANY_BYTE
"""One character of text that is no UTF-8."""


@dataclass(frozen=True, slots=True)
class Translated:
    """strict, relaxed   see the module; relaxed is empty when it would match everywhere
    low, high   shortest and longest match in bytes; ahead   bytes that a look-ahead may ask for behind it
    """

    strict: bytes
    relaxed: bytes
    low: int
    high: int
    ahead: int = 0


@lru_cache(maxsize=256)
def _parsed(expression: str) -> tuple[Any, int]:
    from re import _parser  # type: ignore[attr-defined]  # the tree that re compiles; there is no public door to it

    try:
        re.compile(expression)
        tree = _parser.parse(expression)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"{expression!r} is no regular expression: {error}") from error
    return tree, int(tree.state.flags)


@lru_cache(maxsize=1024)
def translate(expression: str, encoding: str, ignore_case: bool = False) -> Translated:
    """The expression over the bytes of ``encoding``. Raises UsageError for what is no expression, matches nothing at all or
    more than LONGEST bytes; Unwritable when the encoding lacks its characters."""
    tree, flags = _parsed(expression)
    try:
        found = _Translator(encoding).sequence(tree, flags | (re.I if ignore_case else 0), 0)
    except RecursionError as error:
        raise UsageError(f"{expression!r} is nested too deep") from error
    if found.low == 0:
        raise UsageError(f"{expression!r} matches the empty text")
    if found.high > LONGEST:
        raise UsageError(f"{expression!r} may match more than {LONGEST} bytes; give its repeats an upper bound")
    try:
        re.compile(found.strict)
    except (re.error, OverflowError) as error:
        raise UsageError(f"{expression!r} in {encoding}: {error}") from error
    return found


class _Translator:
    def __init__(self, encoding: str) -> None:
        self.encoding = encoding
        self.groups: dict[int, Translated] = {}

    def sequence(self, items: Iterable[tuple[Any, Any]], flags: int, depth: int) -> Translated:
        strict, relaxed, low, high, ahead = b"", b"", 0, 0, 0
        for kind, value in items:
            piece = self.item(str(kind), value, flags, depth)
            strict, relaxed = strict + piece.strict, relaxed + piece.relaxed
            low, high, ahead = low + piece.low, high + piece.high, max(ahead, piece.ahead)
        return Translated(strict, relaxed, low, high, ahead)

    def item(self, kind: str, value: Any, flags: int, depth: int) -> Translated:
        ranges = self.characters(kind, value, flags)
        if ranges is not None:
            return self.set(ranges)
        if kind == "AT":
            return Translated(self.place(str(value)), b"", 0, 0, 2 * len("\n".encode(self.encoding)))
        if kind == "BRANCH":
            ways = [self.sequence(branch, flags, depth) for branch in value[1]]
            return _either(ways)
        if kind == "SUBPATTERN":
            group, add, remove, items = value
            inner = self.sequence(items, (flags | add) & ~remove, depth)
            if group is None:
                return Translated(b"(?:%s)" % inner.strict, _one(inner.relaxed), inner.low, inner.high, inner.ahead)
            self.groups[group] = inner
            return Translated(b"(%s)" % inner.strict, _one(inner.relaxed), inner.low, inner.high, inner.ahead)
        if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            return self.repeat(kind, value, flags, depth)
        if kind == "ATOMIC_GROUP":
            inner = self.sequence(value, flags, depth)
            return Translated(b"(?>%s)" % inner.strict, _one(inner.relaxed), inner.low, inner.high, inner.ahead)
        if kind in ("ASSERT", "ASSERT_NOT"):
            return self.look(kind == "ASSERT", value[0], value[1], flags, depth)
        if kind == "GROUPREF":
            inner = self.groups[value]
            same = b"(?:(?i:\\%d))" if flags & re.I and self.encoding == "utf-8" else b"(?:\\%d)"
            return Translated(same % value, _one(inner.relaxed), inner.low, inner.high, 0)
        if kind == "FAILURE":
            return Translated(b"(?!)", b"", 0, 0, 0)
        raise UsageError(f"expressions with {kind.lower()} cannot be searched for")

    def characters(self, kind: str, value: Any, flags: int) -> Ranges | None:
        if kind == "ANY":
            return EVERY if flags & re.S else inverted(((0x0A, 0x0A),))
        if kind in ("LITERAL", "NOT_LITERAL"):
            one: Ranges = ((value, value),)
            one = cased(one) if flags & re.I else one
            return inverted(one) if kind == "NOT_LITERAL" else one
        if kind != "IN":
            return None
        found: list[tuple[int, int]] = []
        negate = False
        for what, item in value:
            name = str(what)
            if name == "NEGATE":
                negate = True
            elif name == "LITERAL":
                found.append((item, item))
            elif name == "RANGE":
                found.append(item)
            else:
                category = str(item)
                ranges = _CATEGORIES[category.replace("_NOT_", "_")]
                found += inverted(ranges) if "_NOT_" in category else ranges
        ranges = joined(found)
        ranges = cased(ranges) if flags & re.I else ranges
        return inverted(ranges) if negate else ranges

    def set(self, ranges: Ranges) -> Translated:
        found = sequences(ranges, self.encoding)
        if not found:
            raise Unwritable(self.encoding)
        if self.encoding == "utf-8" and any(low <= 0x80 and high == 0xD7FF for low, high in ranges):
            # Any character at all: in bytes that are no UTF-8 each byte counts as one, or text of a code page would be lost.
            found = (*found, ((0x80, 0xFF),))
            singles = tuple(s for s in found[:-1] if len(s) == 1)
            wide = [text_of([s]) for s in found[:-1] if len(s) > 1]
            parts = [text_of(singles)] * bool(singles) + wide
            strict, text = (b"(?:" + b"|".join([*parts, last]) + b")" for last in (LONE_BYTE, ANY_BYTE))
        else:
            strict = text = text_of(found)
        lengths = [len(s) for s in found]
        return Translated(strict, text, min(lengths), max(lengths), 3 if strict is not text else 0)

    def repeat(self, kind: str, value: Any, flags: int, depth: int) -> Translated:
        low, high, items = value
        unbounded = str(high) == "MAXREPEAT"
        inner = self.sequence(items, flags, depth + unbounded)
        if unbounded:
            high = max(int(low), _ONE if not depth and not _unbounded(items) else _NESTED)
        tail = {"MAX_REPEAT": b"", "MIN_REPEAT": b"?", "POSSESSIVE_REPEAT": b"+"}[kind]
        strict = b"(?:%s){%d,%d}%s" % (inner.strict, low, high, tail)
        # A long repeat costs an automaton a state for each turn; without its end the form matches more, never less.
        bounds = b"{%d,}" % min(low, _TURNS) if high > _TURNS else b"{%d,%d}" % (low, high)
        relaxed = b"(?:%s)%s" % (inner.relaxed, bounds) if inner.relaxed else b""
        return Translated(strict, relaxed, inner.low * int(low), inner.high * int(high), inner.ahead)

    def look(self, wanted: bool, direction: int, items: Any, flags: int, depth: int) -> Translated:
        if direction > 0:
            inner = self.sequence(items, flags, depth)
            return Translated((b"(?=%s)" if wanted else b"(?!%s)") % inner.strict, b"", 0, 0, inner.high + inner.ahead)
        kind = b"(?<=%s)" if wanted else b"(?<!%s)"
        parts = [kind % way for way in self.ways(items, flags, depth)]
        text = b"(?:" + b"|".join(parts) + b")" if wanted else b"".join(parts)
        return Translated(text, b"", 0, 0, 0)

    def ways(self, items: Any, flags: int, depth: int) -> Sequence[bytes]:
        """What may stand behind: characters of different lengths apart, as re wants one length in each."""
        if len(items) == 1:
            kind, value = items[0]
            if str(kind) == "BRANCH":
                return [way for branch in value[1] for way in self.ways(branch, flags, depth)]
            ranges = self.characters(str(kind), value, flags)
            found = sequences(ranges, self.encoding) if ranges is not None else None
            if ranges is not None and not found:
                return [b"(?!)"]  # no character of this encoding
            if found:
                return [text_of([s for s in found if len(s) == n]) for n in sorted({len(s) for s in found})]
        return [self.sequence(items, flags, depth).strict]

    def place(self, value: str) -> bytes:
        ends = text_of(sequences(_LINE_END, self.encoding) or ())
        word = text_of(sequences(_WORD, self.encoding) or ())
        if value == "AT_BEGINNING":
            return b"(?:(?<=%s)|\\A)" % ends
        if value == "AT_BEGINNING_STRING":
            return b"\\A"
        if value == "AT_END":
            return b"(?:(?=%s)|\\Z)" % ends
        if value == "AT_END_STRING":
            return b"\\Z"
        if value == "AT_BOUNDARY":
            return b"(?:(?<!%s)(?=%s)|(?<=%s)(?!%s))" % (word, word, word, word)
        return b"(?:(?<!%s)(?!%s)|(?<=%s)(?=%s))" % (word, word, word, word)


def _unbounded(items: Any) -> bool:
    for kind, value in items:
        name = str(kind)
        if name.endswith("REPEAT") and (str(value[1]) == "MAXREPEAT" or _unbounded(value[2])):
            return True
        if name == "BRANCH" and any(map(_unbounded, value[1])):
            return True
        if name == "SUBPATTERN" and _unbounded(value[3]):
            return True
        if name == "ATOMIC_GROUP" and _unbounded(value):
            return True
    return False


def _one(text: bytes) -> bytes:
    return b"(?:%s)" % text if text else b""


def _either(ways: Sequence[Translated]) -> Translated:
    strict = b"(?:" + b"|".join(w.strict for w in ways) + b")"
    relaxed = b"(?:" + b"|".join(w.relaxed for w in ways) + b")"
    return Translated(strict, relaxed, min(w.low for w in ways), max(w.high for w in ways), max(w.ahead for w in ways))
