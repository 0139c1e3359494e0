"""When two texts are the same: case folding and the normal forms of Unicode, forwards and backwards.

Forwards, ``fold`` gives the text that equal texts share (Unicode 3.13, D144 to D147). Backwards, ``spellings`` gives for
such a text which characters it may begin with, so that bytes can be looked for: "ﬁ" for "fi", the Kelvin sign for
"k", e and a combining acute for "é".
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

__all__ = ["Equality", "Form", "fold", "plain", "spellings", "width"]

Form = Literal["none", "canonical", "compatibility"]


@dataclass(frozen=True, slots=True)
class Equality:
    """case   upper and lower case are the same, by full case folding ("ß" is "ss")
    form   "canonical": NFC and NFD are the same; "compatibility": ligatures, full-width and other forms as well (NFKD)
    """

    case: bool = False
    form: Form = "canonical"


@lru_cache(maxsize=1 << 16)
def fold(text: str, equality: Equality) -> str:
    """The form that equal texts share."""
    if equality.form == "none":
        return text.casefold() if equality.case else text
    normal: Literal["NFD", "NFKD"] = "NFD" if equality.form == "canonical" else "NFKD"
    text = unicodedata.normalize("NFD", text)
    if not equality.case:
        return unicodedata.normalize(normal, text)
    text = unicodedata.normalize(normal, text.casefold())
    return unicodedata.normalize(normal, text.casefold()) if normal == "NFKD" else text


@lru_cache(maxsize=1 << 14)
def width(character: str, equality: Equality) -> int:
    """How many characters of a folded text it stands for."""
    return len(fold(character, equality))


@lru_cache(maxsize=8)
def _unfolded(equality: Equality) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """First character of a folding -> (character, its folding) of every character that folding changes."""
    out: dict[str, list[tuple[str, str]]] = {}
    for number in range(sys.maxunicode + 1):
        if 0xD800 <= number < 0xE000:
            continue
        character = chr(number)
        hangul = 0xAC00 <= number < 0xD7A4
        if not hangul and not unicodedata.decomposition(character) and character.casefold() == character:
            continue
        folded = fold.__wrapped__(character, equality)
        if folded != character:
            out.setdefault(folded[0], []).append((character, folded))
    return {first: tuple(found) for first, found in out.items()}


@lru_cache(maxsize=8)
def _unfolded_ascii(equality: Equality) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """The same, foldings of ASCII only: nothing else can stand in a term of ASCII."""
    kept = {first: tuple(p for p in found if p[1].isascii()) for first, found in _unfolded(equality).items() if first.isascii()}
    return {first: found for first, found in kept.items() if found}


@lru_cache(maxsize=8)
def _twisted(equality: Equality) -> tuple[str, ...]:
    """ASCII texts that something else is equal to than themselves in either case of their letters."""
    pairs = [p for found in _unfolded_ascii(equality).values() for p in found]
    return tuple(sorted({folded for character, folded in pairs if len(folded) > 1 or not character.isascii()}))


def plain(text: str, equality: Equality) -> bool:
    """Whether nothing is equal to a folded text but itself, in either case of its ASCII letters."""
    return text.isascii() and not any(part in text for part in _twisted(equality))


def spellings(rest: str, equality: Equality) -> Iterator[tuple[str, str]]:
    """(character, what is left of ``rest`` behind it) for every character that a text equal to ``rest``, which is folded
    and not empty, may begin with."""
    unfolded = _unfolded_ascii(equality) if rest.isascii() else _unfolded(equality)
    end = 1
    if equality.form != "none":  # marks of one letter may stand in another order
        while end < len(rest) and unicodedata.combining(rest[end]):
            end += 1
    for first in dict.fromkeys(rest[:end]):
        for character, folded in ((first, first), *unfolded.get(first, ())):
            if folded == first and character == first and fold(first, equality) != first:
                continue
            left = _without(rest, folded, equality)
            if left is not None:
                yield character, left


def _without(rest: str, folded: str, equality: Equality) -> str | None:
    if rest.startswith(folded):
        return rest[len(folded) :]
    if equality.form == "none" or len(folded) > len(rest):
        return None
    left = list(rest)
    for character in folded:
        if character not in left[: len(folded) + 8]:
            return None
        left.remove(character)
    text = "".join(left)
    return text if unicodedata.normalize("NFD", folded + text) == rest else None
