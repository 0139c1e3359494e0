"""Evidence names to host names that cannot leave the folder, hide, or collide."""

from __future__ import annotations

import unicodedata

__all__ = ["safe_path"]

_FORBIDDEN = set('<>:"\\|?*')
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))}
_LONGEST = 200
"""Bytes of one part: below the 255 of every host file system, with room for a suffix."""


def _part(text: str) -> str:
    out = "".join("_" if c in _FORBIDDEN or unicodedata.category(c)[0] == "C" else c for c in text)
    out = out.rstrip(". ") or "_"
    if out.partition(".")[0].casefold() in _RESERVED:
        out = "_" + out
    raw = out.encode("utf-8", "replace")
    if len(raw) > _LONGEST:
        stem, dot, suffix = out.rpartition(".")
        tail = dot + suffix if dot and len(suffix) <= 16 else ""
        out = (stem if tail else out).encode()[: _LONGEST - len(tail.encode())].decode("utf-8", "ignore") + tail
    return out


def safe_path(path: str, taken: set[str] | None = None) -> str:
    """A relative "/"-path whose parts are harmless on Windows, macOS and Linux: no "..", control or
    direction-changing characters, device names, trailing dots.

    With ``taken`` (case-folded names already given out, updated here) the result is new: a number
    goes before the extension.
    """
    parts = [_part(p) for p in path.split("/") if p not in ("", ".", "..")] or ["_"]
    out = "/".join(parts)
    if taken is None:
        return out
    folder, name = "/".join(parts[:-1]), parts[-1]
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number = 1
    while out.casefold() in taken:
        number += 1
        out = "/".join(p for p in (folder, f"{stem} ({number}){dot}{suffix}") if p)
    taken.add(out.casefold())
    return out
