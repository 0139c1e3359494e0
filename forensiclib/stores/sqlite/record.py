"""SQLite records: varints, serial types, values ("Database File Format" 1.6 and 2.1)."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["ENCODINGS", "Header", "Value", "encoding_of", "header", "kept_here", "serial_size", "signed", "values", "varint"]

Value = int | float | str | bytes | None
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


def varint(raw: bytes, at: int, end: int) -> tuple[int, int]:
    """(unsigned value, offset behind it); (-1, at) when it runs past ``end``."""
    value = 0
    for i in range(at, min(at + 8, end)):
        byte = raw[i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, i + 1
    if at + 9 <= end:
        return value << 8 | raw[at + 8], at + 9
    return -1, at


def signed(value: int) -> int:
    """A varint as the 64-bit rowid that it is."""
    return value - (1 << 64) if value >> 63 else value


def serial_size(kind: int) -> int:
    """Bytes of a value by its serial type; -1 for the two reserved ones."""
    if kind >= 12:
        return (kind - 12) >> 1
    return _SIZES[kind] if 0 <= kind < 10 else -1


def kept_here(payload: int, usable: int, leaf_table: bool) -> int:
    """Bytes of a payload that stay on the b-tree page ("Database File Format" 1.6)."""
    most = usable - 35 if leaf_table else (usable - 12) * 64 // 255 - 23
    if payload <= most:
        return payload
    least = (usable - 12) * 32 // 255 - 23
    kept = least + (payload - least) % (usable - 4)
    return kept if kept <= most else least


@dataclass(frozen=True, slots=True)
class Header:
    """What a record states of itself. body   bytes of its values; at   where they begin in the page"""

    kinds: tuple[int, ...]
    at: int
    body: int


def header(raw: bytes, at: int, end: int) -> Header | None:
    """The record header at ``at`` that lies wholly before ``end``: its types fill it exactly and are possible."""
    size, here = varint(raw, at, end)
    stop = at + size
    if size < here - at or stop > end:
        return None
    kinds, body = [], 0
    while here < stop:
        kind = raw[here]
        if kind < 0x80:
            here += 1
        else:
            kind, here = varint(raw, here, stop)
        if (length := serial_size(kind)) < 0:
            return None
        kinds.append(kind)
        body += length
    return Header(tuple(kinds), stop, body) if here == stop else None


def values(raw: bytes, kinds: Sequence[int], at: int, end: int, encoding: str) -> list[Value]:
    """Values of a record whose body begins at ``at``. Text and blobs that run past ``end`` are cut there, other values
    are None; text that does not decode has replacement characters."""
    out: list[Value] = []
    for kind in kinds:
        size = serial_size(kind)
        piece, whole = raw[at : min(at + size, end)], at + size <= end
        at += size
        if kind >= 12:
            out.append(codecs.getincrementaldecoder(encoding)("replace").decode(piece, whole) if kind & 1 else piece)
        elif kind in (8, 9):
            out.append(kind - 8)
        elif not size or not whole:
            out.append(None)
        elif kind == 7:
            out.append(struct.unpack(">d", piece)[0])
        else:
            out.append(int.from_bytes(piece, "big", signed=True))
    return out


def _decoded(texts: Iterable[tuple[bytes, bool]], encoding: str) -> str | None:
    try:
        return "".join(codecs.getincrementaldecoder(encoding)("strict").decode(raw, whole) for raw, whole in texts)
    except UnicodeDecodeError:
        return None


def encoding_of(texts: Sequence[tuple[bytes, bool]]) -> str:
    """The encoding in which all texts (bytes, whether whole) decode; "" when there is none. UTF-8 with many NULs is rather
    UTF-16; of its two byte orders the one that makes fewer scripts of it."""
    text = _decoded(texts, "utf-8")
    if text is not None and text.count("\0") * 8 <= len(text):
        return "utf-8"
    found = [(len({ord(c) >> 8 for c in text}), e) for e in ENCODINGS[1:] if (text := _decoded(texts, e)) is not None]
    return min(found)[1] if found else ""
