"""Words as byte patterns: every way to write a term in an encoding, or enough of its beginning to look closer there."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

from forensiclib import kernels
from forensiclib.core.errors import UsageError
from forensiclib.search.encodings import ascii_step, following, joins, named, previous
from forensiclib.search.folding import Equality, fold, plain, spellings, width

__all__ = ["LONGEST", "Words", "compile_words"]

LONGEST = 1000
"""Characters of a term."""
STRENGTH = 5
"""Bytes other than zero that a beginning must have before it is looked for, where the bound below lets it."""
VARIANTS = 500
"""Patterns of one term in one encoding. Beginnings are then shorter: more places are looked at, none is missed."""
WHOLE = 48
"""Bytes of a pattern; of longer terms the beginning is looked for."""


@dataclass(frozen=True, slots=True)
class _Owner:
    term: int
    encoding: int
    length: int
    """Bytes of the whole term when the pattern is all of it, 0 when the rest must be read."""


@dataclass(frozen=True, slots=True)
class Words:
    """Compiled terms. ``unwritten``: (term number, encodings that cannot write it)."""

    folded: tuple[str, ...]
    equality: Equality
    whole: bool
    encodings: tuple[str, ...]
    tables: bytes
    owners: tuple[tuple[_Owner, ...], ...]
    unwritten: tuple[tuple[int, tuple[str, ...]], ...]

    def hits(self, data: memoryview, start: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
        """(offset, length, term, encoding) of every term that begins in [start, stop) of ``data``, which reaches some
        thousand bytes further on both sides, where there are any. Ascending by offset."""
        here = start
        while here < stop:
            found, here = kernels.scan(self.tables, data, here, stop, 0)
            last = -1
            seen: set[tuple[int, int]] = set()
            for at, number in found:
                if at != last:
                    last = at
                    seen.clear()
                for owner in self.owners[number]:
                    length = owner.length or self._rest(data, at, owner)
                    if not length or (owner.term, length) in seen:
                        continue
                    if self.whole and not self._alone(data, at, at + length, self.encodings[owner.encoding]):
                        continue
                    seen.add((owner.term, length))
                    yield at, length, owner.term, owner.encoding

    def _rest(self, data: memoryview, at: int, owner: _Owner) -> int:
        """Bytes of the whole term at ``at``, 0 when only its beginning stands there."""
        folded, encoding = self.folded[owner.term], self.encodings[owner.encoding]
        step = ascii_step(encoding)
        size = step * len(folded)
        piece = bytes(data[at : at + size])
        if step == 2:
            high, piece = piece[encoding == "utf-16-le" :: 2], piece[encoding == "utf-16-be" :: 2]
            step = 1 if high.count(0) == len(folded) else 0
        if step and piece.isascii():  # each character is one of the folded text
            text = piece.decode("ascii")
            return size if (text.lower() if self.equality.case else text) == folded else 0
        piece = bytes(data[at : at + 4 * len(folded)])
        try:
            text = piece.decode(encoding)
        except UnicodeDecodeError as error:
            text = piece[: error.start].decode(encoding, "ignore")
        total = n = 0
        while n < len(text) and total < len(folded):
            total += width(text[n], self.equality)
            n += 1
        if total != len(folded) or fold(text[:n], self.equality) != folded:
            return 0
        return len(text[:n].encode(encoding))

    def _alone(self, data: memoryview, at: int, end: int, encoding: str) -> bool:
        first, last = following(data, at, encoding), previous(data, end, encoding)
        return not joins(previous(data, at, encoding), first) and not joins(last, following(data, end, encoding))


def compile_words(terms: Sequence[str], encodings: Sequence[str], equality: Equality, whole: bool) -> Words:
    """The patterns of ``terms``. UsageError for an empty or overlong term and for an unknown encoding."""
    names = tuple(dict.fromkeys(map(named, encodings)))
    if not names:
        raise UsageError("no encoding given")
    patterns: dict[tuple[bytes, bytes], list[_Owner]] = {}
    unwritten = []
    folded = []
    for number, term in enumerate(terms):
        text = fold(term, equality)
        if not text or len(text) > LONGEST:
            raise UsageError(f"a term of {len(term)} characters; 1 to {LONGEST} can be searched for")
        folded.append(text)
        missing: list[str] = []
        for encoding, pattern, mask, length in _patterns(text, names, equality, missing):
            owners = patterns.setdefault((pattern, mask), [])
            if not any(o.term == number and o.length and o.length == length for o in owners):
                owners.append(_Owner(number, encoding, length))
        if missing:
            unwritten.append((number, tuple(missing)))
    tables = kernels.scan_compile([(pattern, mask, 1, 0) for pattern, mask in patterns])
    return Words(tuple(folded), equality, whole, names, tables, tuple(map(tuple, patterns.values())), tuple(unwritten))


def _patterns(text: str, names: Sequence[str], equality: Equality, missing: list[str]) -> Iterator[tuple[int, bytes, bytes, int]]:
    """(encoding, pattern, mask, length of the whole term or 0) of one folded term."""
    simple = plain(text, equality)
    known: list[dict[str, bytes]] = []
    letters = set(text) if simple else _letters(text, equality)
    for number, name in enumerate(names):
        ways = _written(letters, name)
        if any(ways.items() <= other.items() for other in known):
            if not ways or (simple and len(ways) < len(letters)):
                missing.append(name)
            continue  # written in the same bytes by an earlier encoding
        if simple:
            if len(ways) < len(letters):
                missing.append(name)
                continue
            known.append(ways)
            raw, mask = _simple(text, name, equality.case)
            yield number, raw[:WHOLE], mask[:WHOLE], len(raw) if len(raw) <= WHOLE else 0
            continue
        found = list(_beginnings(text, name, equality))
        if not found:
            missing.append(name)
            continue
        known.append(ways)
        for pattern, mask, length in found:
            yield number, pattern, mask, length


def _letters(text: str, equality: Equality) -> set[str]:
    """Every character that may stand in a text equal to ``text``."""
    return {character for i in range(len(text)) for character, _ in spellings(text[i:], equality)}


def _written(letters: set[str], encoding: str) -> dict[str, bytes]:
    return {letter: raw for letter in letters if (raw := _encoded(letter, encoding))}


@lru_cache(maxsize=1 << 16)
def _encoded(character: str, encoding: str) -> bytes:
    try:
        return character.encode(encoding)
    except UnicodeEncodeError:
        return b""


def _simple(text: str, encoding: str, case: bool) -> tuple[bytes, bytes]:
    raw, mask = bytearray(), bytearray()
    for character in text:
        piece = _encoded(character, encoding)
        upper = _encoded(character.upper(), encoding) if case else piece
        for a, b in zip(piece, upper, strict=True):
            raw.append(a & b)
            mask.append(0xFF ^ a ^ b)
    return bytes(raw), bytes(mask)


def _merged(steps: list[tuple[bytes, str]]) -> Iterator[tuple[bytes, bytes, str]]:
    """(bytes, mask, rest): two ways that differ in one bit, as upper and lower case do, are one masked pattern."""
    by_rest: dict[tuple[str, int], list[bytes]] = {}
    for raw, rest in steps:
        by_rest.setdefault((rest, len(raw)), []).append(raw)
    for (rest, size), ways in by_rest.items():
        left = sorted(set(ways))
        while left:
            raw = left.pop(0)
            twin = next((o for o in left if (int.from_bytes(o, "big") ^ int.from_bytes(raw, "big")).bit_count() == 1), None)
            if twin is None:
                yield raw, b"\xff" * size, rest
                continue
            left.remove(twin)
            yield bytes(map(int.__and__, raw, twin)), bytes(0xFF ^ a ^ b for a, b in zip(raw, twin)), rest


def _beginnings(text: str, encoding: str, equality: Equality) -> Iterator[tuple[bytes, bytes, int]]:
    """Patterns of which one stands at the start of every text equal to ``text``: the weakest is made longer until all are
    strong or the bound is reached."""
    ticket = count()
    steps_of = _Steps(encoding, equality)
    heap: list[tuple[int, int, bytes, bytes, str]] = [(0, next(ticket), b"", b"", text)]
    done: list[tuple[bytes, bytes, int]] = []
    while heap:
        strength, _, raw, mask, rest = heapq.heappop(heap)
        if not rest:
            done.append((raw, mask, len(raw)))
            continue
        if raw and (len(heap) + len(done) >= VARIANTS or len(raw) > WHOLE):
            done.append((raw, mask, 0))
            continue
        steps = steps_of(rest)
        if raw and strength >= STRENGTH and len(steps) > 1:
            done.append((raw, mask, 0))
            continue
        for piece, bits, left in steps:
            more = sum(1 for a, m in zip(piece, bits) if a & m)
            heapq.heappush(heap, (strength + more, next(ticket), raw + piece, mask + bits, left))
    yield from done


class _Steps:
    def __init__(self, encoding: str, equality: Equality) -> None:
        self.encoding, self.equality = encoding, equality
        self.known: dict[str, list[tuple[bytes, bytes, str]]] = {}

    def __call__(self, rest: str) -> list[tuple[bytes, bytes, str]]:
        if rest not in self.known:
            ways = [(raw, left) for c, left in spellings(rest, self.equality) if (raw := _encoded(c, self.encoding))]
            self.known[rest] = list(_merged(ways))
        return self.known[rest]
