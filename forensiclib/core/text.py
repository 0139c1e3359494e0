"""Evidence text to str without losing a byte that matters."""

from __future__ import annotations

import codecs

__all__ = ["ROT13", "c_string", "escape", "utf16"]

ROT13 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm",
)


def utf16(raw: bytes, *, stop_at_nul: bool = False) -> str:
    """UTF-16LE -> str. Lone surrogates become U+FFFD; a trailing odd byte is dropped.

    With ``stop_at_nul`` the text ends before the first 16-bit zero.
    """
    raw = bytes(raw[: len(raw) & ~1])
    if stop_at_nul:
        end = 0
        while (end := raw.find(b"\0\0", end)) >= 0:
            if end % 2 == 0:
                raw = raw[:end]
                break
            end += 1
    return raw.decode("utf-16-le", "replace")


def c_string(raw: bytes, encoding: str = "ascii") -> str:
    """Bytes up to the first NUL -> str; what the encoding cannot say becomes \\xNN."""
    codecs.lookup(encoding)
    return bytes(raw).split(b"\0", 1)[0].decode(encoding, "backslashreplace")


def escape(text: str) -> str:
    """For terminals and one-line listings: control characters and bidirectional overrides, which
    hostile names use to lie about themselves, become \\uXXXX; printable text is untouched."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(c if c.isprintable() or c == " " else c.encode("unicode_escape").decode("ascii") for c in text)
