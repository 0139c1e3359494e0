"""How text is written in bytes, and where words end in it."""

from __future__ import annotations

import codecs
import unicodedata
from functools import lru_cache

from forensiclib.core.errors import UsageError

__all__ = ["STANDARD", "UNICODE", "ascii_step", "following", "joins", "named", "previous", "single_byte"]

UNICODE = ("utf-8", "utf-16-le", "utf-16-be")
STANDARD = (
    *UNICODE, "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874", "cp850", "cp437",
    "cp852", "cp866", "koi8-r", "koi8-u", "iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-15",
    "mac-roman", "cp932", "shift_jis", "euc_jp", "gb18030", "big5", "cp949", "euc_kr",
)  # fmt: skip
"""Encodings that are searched unless others are named. A term costs nothing in a code page that writes it in bytes that
an earlier one writes too: plain ASCII is one pattern for UTF-8 and all code pages, and is called utf-8."""
_STATEFUL = {
    "utf-16": "utf-16-le and utf-16-be", "utf-32": "utf-32-le and utf-32-be", "utf-7": "no other", "utf-8-sig": "utf-8",
    "idna": "no other", "punycode": "no other", "hz": "gb18030",
}  # fmt: skip
_APART = ("CJK UNIFIED", "CJK COMPAT", "HIRAGANA", "IDEOGRAPHIC", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
"""Names of letters that are written without spaces between words: a word may end behind each (UAX 29)."""


@lru_cache(maxsize=256)
def named(encoding: str) -> str:
    """Python's own name of a text encoding; UsageError for one that is unknown or whose bytes depend on those before."""
    try:
        info = codecs.lookup(encoding)
    except LookupError as error:
        raise UsageError(f"no encoding {encoding!r}; {', '.join(STANDARD)} and every other codec of Python") from error
    name = info.name
    if name in _STATEFUL or name.startswith("iso2022"):
        raise UsageError(f"{encoding}: its bytes depend on what stands before them; use {_STATEFUL.get(name, 'another')}")
    if not getattr(info, "_is_text_encoding", True) or name.endswith("escape") or name in ("undefined", "mbcs", "oem"):
        raise UsageError(f"{encoding}: not an encoding of text")
    return name


@lru_cache(maxsize=256)
def single_byte(encoding: str) -> tuple[str | None, ...] | None:
    """The character of each of 256 bytes (None for none) of a code page of single bytes; None for other encodings."""
    out: list[str | None] = []
    for byte in range(256):
        try:
            text = bytes((byte,)).decode(encoding)
        except UnicodeDecodeError as error:
            if "unexpected end" in error.reason or "truncated" in error.reason or "incomplete" in error.reason:
                return None  # a lead byte
            text = ""
        if len(text) > 1:
            return None
        out.append(text or None)
    return tuple(out)


@lru_cache(maxsize=256)
def ascii_step(encoding: str) -> int:
    """Bytes of each character of text of nothing but ASCII, where any 7-bit values are such text: 1 or, of UTF-16, 2; else 0."""
    if encoding in ("utf-16-le", "utf-16-be"):
        return 2
    every = bytes(range(128))
    return 1 if _decoded(every, encoding) == every.decode("ascii") else 0


def _decoded(piece: bytes, encoding: str) -> str:
    try:
        return piece.decode(encoding)
    except UnicodeDecodeError:
        return ""


def previous(data: memoryview, at: int, encoding: str) -> str:
    """The character that ends before ``at``; "" at the start and where the bytes are none. In code pages of two bytes the
    longest that can be read counts."""
    if encoding == "utf-8" and at and data[at - 1] < 0x80:
        return chr(data[at - 1])
    lengths = (2, 4) if encoding.startswith("utf-16") else (4,) if encoding.startswith("utf-32") else (4, 3, 2, 1)
    for length in lengths:
        if at >= length and len(text := _decoded(bytes(data[at - length : at]), encoding)) == 1:
            return text
    return ""


def following(data: memoryview, at: int, encoding: str) -> str:
    """The character that begins at ``at``; "" at the end and where the bytes are none."""
    if encoding == "utf-8" and at < len(data) and data[at] < 0x80:
        return chr(data[at])
    lengths = (2, 4) if encoding.startswith("utf-16") else (4,) if encoding.startswith("utf-32") else (1, 2, 3, 4)
    for length in lengths:
        if at + length <= len(data) and len(text := _decoded(bytes(data[at : at + length]), encoding)) == 1:
            return text
    return ""


def joins(before: str, after: str) -> bool:
    """Whether no word ends between two neighbouring characters ("" is none). Letters, digits, marks and "_" join;
    ideographs, Hiragana and the scripts of South-East Asia, which put no space between words, do not."""
    if not before or not after or not _wordly(after) or not _wordly(before):
        return False
    if unicodedata.category(after)[0] == "M":
        return True
    return not (_apart(before) or _apart(after))


@lru_cache(maxsize=4096)
def _wordly(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LNM"


@lru_cache(maxsize=4096)
def _apart(character: str) -> bool:
    return character > "\u0e00" and unicodedata.name(character, "").startswith(_APART)
