"""Evidence names to host names that cannot leave the folder, hide, or collide."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

__all__ = ["safe_path"]

_FORBIDDEN = set('<>:"\\|?*')
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in "123456789\u00b9\u00b2\u00b3")}
_LONGEST = 200
"""Bytes of one part: below the 255 of every host file system, with room for a suffix."""


def _harmful(c: str) -> bool:
    return c in _FORBIDDEN or unicodedata.category(c) in ("Zl", "Zp") or unicodedata.category(c)[0] == "C"


def _part(text: str) -> str:
    out = "".join("_" if _harmful(c) else c for c in text).rstrip(". ") or "_"
    if out.partition(".")[0].rstrip(" ").casefold() in _RESERVED:
        out = "_" + out
    if len(out.encode()) > _LONGEST:
        stem, dot, suffix = out.rpartition(".")
        tail = dot + suffix if dot and len(suffix) <= 16 else ""
        out = (stem if tail else out).encode()[: _LONGEST - len(tail.encode())].decode("utf-8", "ignore") + tail
        out = out.rstrip(". ")
    return out


def _key(path: str) -> str:
    """What a host that ignores case and the form of accents takes for the same name."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())


def _numbered(folder: str, name: str, free: Callable[[str], bool]) -> str:
    """``folder``/``name``, with a number before the extension when that name is not free."""
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    prefix = f"{folder}/" if folder else ""
    out, number = prefix + name, 1
    while not free(_key(out)):
        number += 1
        out = f"{prefix}{stem} ({number}){dot}{suffix}"
    return out


def safe_path(path: str, taken: set[str] | None = None) -> str:
    """A relative "/"-path whose parts are harmless on Windows, macOS and Linux: no "..", control or
    direction-changing characters, device names, trailing dots.

    With ``taken`` (what was given out already, updated here) the result is new, and no file stands where
    another path needs a folder: a number goes before the extension.
    """
    parts = [_part(p) for p in path.split("/") if p not in ("", ".", "..")] or ["_"]
    if taken is None:
        return "/".join(parts)
    used, folder = taken, ""
    for part in parts[:-1]:
        folder = _numbered(folder, part, lambda key: key not in used)
        used.add(_key(folder) + "/")
    out = _numbered(folder, parts[-1], lambda key: key not in used and key + "/" not in used)
    used.add(_key(out))
    return out
