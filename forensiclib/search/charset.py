"""Sets of characters as sequences of byte ranges, in any encoding."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from forensiclib.search.encodings import single_byte

__all__ = ["EVERY", "Ranges", "cased", "inverted", "joined", "sequences"]

Ranges = tuple[tuple[int, int], ...]
Sequence_ = tuple[tuple[int, int], ...]
EVERY: Ranges = ((0, 0xD7FF), (0xE000, 0x10FFFF))
"""Every character; surrogates are none."""
_ENUMERATED = 4096
"""Characters of a set that are written one by one in a code page of more than one byte."""


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sorted, touching ones joined."""
    out: list[list[int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1][1] = max(out[-1][1], high)
        else:
            out.append([low, high])
    return tuple((low, high) for low, high in out)


def inverted(ranges: Ranges) -> Ranges:
    """Every other character."""
    out, at = [], 0
    for low, high in joined((*ranges, (0xD800, 0xDFFF))):
        if low > at:
            out.append((at, low - 1))
        at = high + 1
    if at <= 0x10FFFF:
        out.append((at, 0x10FFFF))
    return tuple(out)


@lru_cache(maxsize=1)
def _cases() -> Mapping[int, tuple[int, ...]]:
    same: dict[str, set[int]] = {}
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        folded = character.casefold()
        if folded != character and len(folded) == 1:
            same.setdefault(folded, {ord(folded)}).add(number)
    return {member: tuple(sorted(group)) for group in same.values() for member in group}


def cased(ranges: Ranges) -> Ranges:
    """With every character the others of its case."""
    more = [(other, other) for low, high in ranges if low == high for other in _cases().get(low, ())]
    wide = [r for r in ranges if r[0] != r[1]]
    if wide:
        more += [(o, o) for member, group in _cases().items() if any(low <= member <= high for low, high in wide) for o in group]
    return joined((*ranges, *more))


@lru_cache(maxsize=4096)
def sequences(ranges: Ranges, encoding: str) -> tuple[Sequence_, ...] | None:
    """The byte sequences that write a character of ``ranges``: each a tuple of (low, high) bytes. None for a set too large
    to be written one by one; empty when the encoding has none of them."""
    if encoding == "utf-8":
        return tuple(s for low, high in ranges for s in _utf8(low, high))
    if encoding in ("utf-16-le", "utf-16-be"):
        return tuple(s for low, high in ranges for s in _utf16(low, high, encoding == "utf-16-le"))
    table = single_byte(encoding)
    if table is not None:
        bytes_ = joined((b, b) for b, c in enumerate(table) if c is not None and any(low <= ord(c) <= high for low, high in ranges))
        return tuple(((low, high),) for low, high in bytes_)
    if sum(high - low + 1 for low, high in ranges) > _ENUMERATED:
        return None
    found = []
    for low, high in ranges:
        for number in range(low, high + 1):
            try:
                found.append(tuple((b, b) for b in chr(number).encode(encoding)))
            except UnicodeEncodeError:
                continue
    return tuple(found)


def _utf8(low: int, high: int) -> Iterator[Sequence_]:
    if low > high:
        return
    for edge in (0x7F, 0x7FF, 0xD7FF, 0xFFFF):
        if low <= edge < high:
            yield from _utf8(low, edge)
            yield from _utf8(max(edge + 1, 0xE000) if edge == 0xD7FF else edge + 1, high)
            return
    if high < 0x80:
        yield ((low, high),)
        return
    for bits in (6, 12, 18):
        mask = (1 << bits) - 1
        if low & ~mask != high & ~mask:
            if low & mask:
                yield from _utf8(low, low | mask)
                yield from _utf8((low | mask) + 1, high)
                return
            if high & mask != mask:
                yield from _utf8(low, (high & ~mask) - 1)
                yield from _utf8(high & ~mask, high)
                return
    yield tuple(zip(chr(low).encode(), chr(high).encode(), strict=True))


def _units(low: int, high: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """(high byte range, low byte range) of 16-bit units."""
    if low >> 8 == high >> 8:
        yield (low >> 8, high >> 8), (low & 0xFF, high & 0xFF)
        return
    if low & 0xFF:
        yield (low >> 8, low >> 8), (low & 0xFF, 0xFF)
        low = (low | 0xFF) + 1
    if high & 0xFF != 0xFF:
        yield from _units(low, (high & ~0xFF) - 1) if low < high & ~0xFF else ()
        yield (high >> 8, high >> 8), (0, high & 0xFF)
        return
    yield (low >> 8, high >> 8), (0, 0xFF)


def _ordered(pair: tuple[tuple[int, int], tuple[int, int]], little: bool) -> Sequence_:
    return (pair[1], pair[0]) if little else pair


def _utf16(low: int, high: int, little: bool) -> Iterator[Sequence_]:
    if low <= 0xFFFF:
        for pair in _units(low, min(high, 0xFFFF)):
            yield _ordered(pair, little)
    low = max(low, 0x10000)
    while low <= high:
        first = (low - 0x10000) >> 10
        if (low - 0x10000) & 0x3FF == 0 and high - low >= 0x3FF:
            last = ((high + 1 - 0x10000) >> 10) - 1  # whole rows of low surrogates
            tail = (0xDC00, 0xDFFF)
            stop = 0x10000 + ((last + 1) << 10)
        else:
            last, stop = first, min(high + 1, 0x10000 + ((first + 1) << 10))
            tail = (0xDC00 + ((low - 0x10000) & 0x3FF), 0xDC00 + ((stop - 1 - 0x10000) & 0x3FF))
        for lead in _units(0xD800 + first, 0xD800 + last):
            for trail in _units(*tail):
                yield (*_ordered(lead, little), *_ordered(trail, little))
        low = stop


def text_of(found: Sequence[Sequence_]) -> bytes:
    """The sequences as an expression over bytes."""
    singles = [s[0] for s in found if len(s) == 1]
    parts = [_class(singles)] if singles else []
    parts += [b"".join(_class([r]) for r in s) for s in found if len(s) > 1]
    return parts[0] if len(parts) == 1 else b"(?:" + b"|".join(parts) + b")"


def _class(ranges: Sequence[tuple[int, int]]) -> bytes:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return b"\\x%02x" % ranges[0][0]
    return b"[" + b"".join(b"\\x%02x" % a if a == b else b"\\x%02x-\\x%02x" % (a, b) for a, b in ranges) + b"]"
