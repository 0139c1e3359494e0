"""Portable pixmaps and graymaps in their binary forms."""

from __future__ import annotations

import re

from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_GAP = rb"(?:[ \t\r\n]|#[^\n]{0,200}\n){1,40}"
_HEAD = re.compile(rb"P([56])" + _GAP + rb"(\d{1,6})" + _GAP + rb"(\d{1,6})" + _GAP + rb"(\d{1,5})[ \t\r\n]")


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Header and the pixels that it states."""
    match = _HEAD.match(data.read_at(0, 4096))
    if match is None:
        return None
    kind, width, height, deepest = (int(g) for g in match.groups())
    if not width or not height or not 0 < deepest < 65536:
        return None
    length = match.end() + width * height * (3 if kind == 6 else 1) * (2 if deepest > 255 else 1)
    extension = "ppm" if kind == 6 else "pgm"
    reason = f"header of {width} x {height} pixels to {deepest}; pixels cannot be verified"
    if length > data.size:
        return Find(data.size, 0.2, reason + "; fewer bytes than stated", extension, complete=False)
    return Find(length, 0.7, reason, extension)


CARVERS = (
    Carver(
        name="netpbm",
        title="PPM or PGM picture",
        extension="ppm",
        mime="image/x-portable-anymap",
        signatures=tuple(Signature(b"P" + kind + space) for kind in (b"5", b"6") for space in (b"\n", b" ", b"\r", b"\t")),
        measure=measure,
        maximum=4 << 30,
        refs=("netpbm: ppm(5) and pgm(5), binary (raw) formats",),
        gaps=("text forms (P2, P3), bitmaps (P1, P4) and PAM (P7) are not recognised", "a second image behind the first is another find"),
    ),
)
