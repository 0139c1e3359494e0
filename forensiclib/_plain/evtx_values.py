"""Twin of _native/evtx_text.h: what a BinXML value reads as, [MS-EVEN6] 2.2.12 to 2.2.18."""

from __future__ import annotations

import re
import struct
from datetime import date

from forensiclib.core.guid import guid
from forensiclib.core.sid import sid
from forensiclib.core.time import Timestamp

__all__ = [
    "ARRAY", "BAD", "BINARY", "BINXML", "CHAR", "ENTITY", "FIXED", "GUID", "NULL", "STRING", "Piece", "checked", "elements", "escape",
    "hash_of", "iso_ns", "json_text", "text", "utf16",
]  # fmt: skip

NULL, STRING, ANSI, FLOAT, DOUBLE, BOOL, BINARY, GUID, SIZE_T = 0, 1, 2, 11, 12, 13, 14, 15, 16
FILETIME, SYSTEMTIME, SID, HEX32, HEX64, BINXML, ARRAY = 17, 18, 19, 20, 21, 33, 128
CHAR, ENTITY, BAD = 256, 257, 258
"""Not stored types: a character reference, an entity reference, bytes that are not their type."""
FIXED = {
    3: 1, 4: 1, 5: 2, 6: 2, 7: 4, 8: 4, 9: 8, 10: 8, FLOAT: 4, DOUBLE: 8, BOOL: 4, GUID: 16,
    FILETIME: 8, SYSTEMTIME: 16, HEX32: 4, HEX64: 8,
}  # fmt: skip
"""Bytes of the types that have one size."""
_BARE = {3: "b", 4: "B", 5: "h", 6: "H", 7: "i", 8: "I", 9: "q", 10: "Q"}
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_CP1252 = dict(
    zip(
        (0x80, *range(0x82, 0x8D), 0x8E, *range(0x91, 0x9D), 0x9E, 0x9F),
        "\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\u017d"
        "\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\u017e\u0178",
        strict=True,
    )
)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z")

Piece = tuple[int, bytes]
"""Type and bytes. CHAR: two bytes of code; ENTITY: the name in UTF-8."""


def utf16(raw: bytes) -> str:
    """UTF-16LE; a lone surrogate becomes U+FFFD, a trailing odd byte is dropped."""
    return raw[: len(raw) & ~1].decode("utf-16-le", "replace")


def escape(value: str) -> str:
    """The inside of a JSON string."""
    return "".join(_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value)


def hash_of(raw: bytes) -> int:
    """The hash that a name carries."""
    value = 0
    for (unit,) in struct.iter_unpack("<H", raw):
        value = (value * 65599 + unit) & 0xFFFFFFFF
    return value & 0xFFFF


def _real(raw: bytes) -> str:
    single = len(raw) == 4
    (value,) = struct.unpack("<f" if single else "<d", raw)
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    said = ""
    for digits in range(6, 10) if single else range(15, 18):
        said = f"%.{digits}g" % value
        back = float(said)
        if single:
            back = struct.unpack("<f", struct.pack("<f", back))[0]
        if back == value:
            break
    return said


def _filetime(raw: bytes) -> str:
    ticks = int.from_bytes(raw, "little")
    return Timestamp.filetime(ticks).iso() or "1601-01-01T00:00:00Z"


def _systemtime(raw: bytes) -> str:
    year, month, _weekday, day, hour, minute, second, ms = struct.unpack("<8H", raw)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{ms:03d}"


def iso_ns(value: str) -> int | None:
    """ISO 8601 with Z -> ns since 1970, for years 1700 to 2199; None when it is not that."""
    found = _ISO.fullmatch(value)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(g) for g in found.groups()[:6])
    if not 1700 <= year <= 2199 or hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    return seconds * 1_000_000_000 + int((found[7] or "").ljust(9, "0"))


def _scalar(kind: int, raw: bytes) -> str:
    if kind in _BARE:
        return str(struct.unpack("<" + _BARE[kind], raw)[0])
    if kind in (FLOAT, DOUBLE):
        return _real(raw)
    if kind == BOOL:
        return "true" if any(raw) else "false"
    if kind == GUID:
        return guid(raw)
    if kind in (SIZE_T, HEX32, HEX64):
        return f"{int.from_bytes(raw, 'little'):#x}"
    if kind == FILETIME:
        return _filetime(raw)
    if kind == SYSTEMTIME:
        return _systemtime(raw)
    return raw.hex()


def elements(kind: int, raw: bytes) -> list[Piece] | None:
    """The members of an array value; None when the bytes are not that array."""
    base = kind & 127
    if base in (STRING, ANSI):
        step = 2 if base == STRING else 1
        if len(raw) % step:
            return None
        pieces, start = [], 0
        for at in range(0, len(raw), step):
            if not any(raw[at : at + step]):
                pieces.append((base, raw[start:at]))
                start = at + step
        return [*pieces, (base, raw[start:])] if start < len(raw) else pieces
    if base == SID:
        found, at = [], 0
        while at < len(raw):
            if sid(raw[at:]) is None:
                return None
            size = 8 + 4 * raw[at + 1]
            found.append((SID, raw[at : at + size]))
            at += size
        return found
    size = FIXED.get(base, 0)
    if size == 0 or len(raw) % size:
        return None
    return [(base, raw[at : at + size]) for at in range(0, len(raw), size)]


def checked(kind: int, raw: bytes) -> Piece:
    """The piece, or a NULL or BAD one when the bytes are not of the type."""
    if kind in (STRING, ANSI):
        return (BAD, raw) if kind == STRING and len(raw) & 1 else (kind, raw)
    if kind == BINARY or kind in (CHAR, ENTITY):
        return kind, raw
    if kind == NULL:
        return NULL, b""
    if kind & ARRAY and kind < 256:
        return (BAD if elements(kind, raw) is None else kind), raw
    if not raw:
        return NULL, b""
    if kind == SID:
        return (BAD if sid(raw) is None else SID), raw
    if kind == SIZE_T:
        return (SIZE_T if len(raw) in (4, 8) else BAD), raw
    return (kind if FIXED.get(kind) == len(raw) else BAD), raw


def text(piece: Piece) -> str:
    """What a checked piece reads as; "" for null. Members of an array are joined by ", "."""
    kind, raw = piece
    if kind == NULL:
        return ""
    if kind == STRING:
        return utf16(raw.rstrip(b"\0") + b"\0" * (len(raw.rstrip(b"\0")) & 1))
    if kind == ANSI:
        return "".join(_CP1252.get(c, chr(c)) for c in raw.rstrip(b"\0"))
    if kind == SID:
        return sid(raw) or ""
    if kind == CHAR:
        return utf16(raw)
    if kind == ENTITY:
        name = raw.decode()
        return _ENTITIES.get(name, f"&{name};")
    if kind != BAD and kind & ARRAY:
        return ", ".join(text(member) for member in elements(kind, raw) or ())
    return _scalar(kind, raw)


def json_text(piece: Piece) -> str:
    """The JSON of a checked piece."""
    kind, raw = piece
    if kind == NULL:
        return "null"
    if kind < 256 and kind & ARRAY:
        return "[" + ",".join(json_text(member) for member in elements(kind, raw) or ()) + "]"
    said = text(piece)
    if kind in _BARE or kind == BOOL or (kind in (FLOAT, DOUBLE) and said[-1].isdigit()):
        return said
    return f'"{escape(said)}"'
