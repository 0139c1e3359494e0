"""Masked bytes: XOR with one byte, ROT13. Known words, masked with every key, announce them."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from functools import lru_cache, partial

from forensiclib import kernels
from forensiclib.core.declare import Ended, Signature, Transform
from forensiclib.core.limits import Budget
from forensiclib.search.decode.regions import View

__all__ = ["TRANSFORMS", "xor"]

KNOWN = (b"http://", b"https://", b"This program ", b"Content-Type:", b"password", b"mailto:", b"<html", b"SELECT ", b"\\Windows\\")
BEFORE, AFTER = 4 << 10, 64 << 10
"""Bytes that are unmasked around a known word."""
_CAPITALS, _SMALL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz"
_ROT = bytes.maketrans(_CAPITALS + _SMALL, _CAPITALS[13:] + _CAPITALS[:13] + _SMALL[13:] + _SMALL[:13])
_OTHER = re.compile(rb"[^A-Za-z]+")


def _masked(data: bytes, key: int) -> bytes:
    return data.translate(bytes(b ^ key for b in range(256)))


@lru_cache(maxsize=4)
def _tables(known: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The words under each of 255 keys, as scan tables; some hundred words each."""
    every = [(_masked(word, key), None, 1, 0) for key in range(1, 256) for word in known]
    return tuple(kernels.scan_compile(every[i : i + 512]) for i in range(0, len(every), 512))


def _xor_starts(known: tuple[bytes, ...], data: memoryview, start: int, stop: int, base: int) -> Iterable[int]:
    found: set[int] = set()
    for tables in _tables(known):
        here = start
        while here < stop:
            hits, here = kernels.scan(tables, data, here, stop)
            found.update(at for at, _ in hits)
    return found


def _xor(known: tuple[bytes, ...], view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    head = view.read_at(0, max(map(len, known)))
    for word in known:
        key = head[0] ^ word[0] if head else 0
        if key and _masked(word, key) == head[: len(word)]:
            before = view.before(BEFORE)
            data = view.read_at(0, AFTER)
            yield _masked(before + data, key)
            return Ended(len(data), back=len(before))
    return Ended(0)


def xor(words: Iterable[bytes] = ()) -> Transform:
    """The transform, announced by the known words and by ``words`` of at least five bytes too."""
    known = tuple(dict.fromkeys((*KNOWN, *(w for w in words if len(w) >= 5))))
    return Transform(
        name="xor", title="XOR with one byte, around known words", refs=("NIST SP 800-86 4.3",), optional=True, owns=False, once=True,
        scan=partial(_xor_starts, known), decode=partial(_xor, known),
        gaps=("keys of more than one byte", "only 4 KiB before and 64 KiB behind a known word", "a second key within those bytes"),
    )  # fmt: skip


def _rot13(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    before = view.before(BEFORE)
    data = view.read_at(0, AFTER)
    out = (before + data).translate(_ROT)
    yield out
    return Ended(len(data), back=len(before), literal=tuple(m.span() for m in _OTHER.finditer(out)))


TRANSFORMS = (
    xor(),
    Transform(
        name="rot13", title="ROT13, around known words", refs=("Usenet jargon file, rot13",), optional=True, owns=False, once=True,
        decode=_rot13,
        signatures=tuple(
            Signature(word.translate(_ROT).decode().encode(e))
            for word in (b"http://", b"https://", b"Content-Type", b"password", b"Microsoft", b"UEME_", b"Program Files", b"mailto:")
            for e in ("ascii", "utf-16-le")
        ),
        gaps=("only 4 KiB before and 64 KiB behind a known word",),
    ),
)  # fmt: skip
