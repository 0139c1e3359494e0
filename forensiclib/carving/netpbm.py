"""Portable bitmaps, graymaps, pixmaps, PAM and float maps in their binary forms."""

from __future__ import annotations

import re

from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_GAP = rb"(?:[ \t\r\n]|#[^\n]{0,200}\n){1,40}"
_HEAD = re.compile(rb"P([56])" + _GAP + rb"(\d{1,6})" + _GAP + rb"(\d{1,6})" + _GAP + rb"(\d{1,5})[ \t\r\n]")
_BITS = re.compile(rb"P4" + _GAP + rb"(\d{1,6})" + _GAP + rb"(\d{1,6})[ \t\r\n]")
_FLOATS = re.compile(rb"P([Ff])\n(\d{1,6})[ \n](\d{1,6})\n(-?\d{1,3}(?:\.\d{1,9})?)\n")
_ANY = re.compile(rb"P7\n((?:(?:#[^\n]{0,200}|[A-Z]+ [^\n]{1,60})\n){4,40})ENDHDR\n")
_PPM, _PGM = Kind("ppm", "image/x-portable-pixmap", "PPM picture"), Kind("pgm", "image/x-portable-graymap", "PGM picture")
_PBM, _PAM = Kind("pbm", "image/x-portable-bitmap", "PBM picture"), Kind("pam", "image/x-portable-arbitrarymap", "PAM picture")
_PFM = Kind("pfm", "image/x-portable-floatmap", "PFM picture")


def _size(head: bytes) -> tuple[Kind, int, int, str] | None:
    """(kind, where the pixels begin, bytes of them, their measure) of a header."""
    if match := _HEAD.match(head):
        what, width, height, deepest = (int(g) for g in match.groups())
        if 0 < deepest < 65536:
            size = width * height * (3 if what == 6 else 1) * (2 if deepest > 255 else 1)
            return (_PPM if what == 6 else _PGM), match.end(), size, f"{width} x {height} pixels to {deepest}"
    elif match := _BITS.match(head):
        width, height = int(match[1]), int(match[2])
        return _PBM, match.end(), (width + 7) // 8 * height, f"{width} x {height} bits"
    elif match := _FLOATS.match(head):
        width, height = int(match[2]), int(match[3])
        return _PFM, match.end(), width * height * 4 * (3 if match[1] == b"F" else 1), f"{width} x {height} floating point pixels"
    elif match := _ANY.match(head):
        fields = dict(line.split(b" ", 1) for line in match[1].splitlines() if line[:1] != b"#")
        numbers = [fields.get(name, b"") for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")]
        if all(n.isdigit() and len(n) < 7 for n in numbers):
            width, height, depth, deepest = (int(n) for n in numbers)
            if 0 < deepest < 65536 and 0 < depth < 256:
                return _PAM, match.end(), width * height * depth * (2 if deepest > 255 else 1), f"{width} x {height} x {depth} to {deepest}"
    return None


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Header and the pixels that it states."""
    found = _size(data.read_at(0, 4096))
    if found is None or not found[2]:
        return None
    kind, start, size, what = found
    reason = f"header of {what}; pixels cannot be verified"
    if start + size > data.size:
        return Find(data.size, 0.2, reason + "; fewer bytes than stated", kind.extension, kind.title, complete=False)
    return Find(start + size, 0.7, reason, kind.extension, kind.title)


_SPACES = (b"\n", b" ", b"\r", b"\t")

CARVERS = (
    Carver(
        name="netpbm",
        title="Portable picture (PPM, PGM, PBM, PAM, PFM)",
        extension="ppm",
        mime="image/x-portable-anymap",
        signatures=(
            *(Signature(b"P" + kind + space) for kind in (b"4", b"5", b"6") for space in _SPACES),
            *(Signature(word) for word in (b"P7\nWIDTH ", b"P7\nHEIGHT ", b"P7\n#", b"PF\n", b"Pf\n")),
        ),
        measure=measure,
        maximum=4 << 30,
        refs=("netpbm: ppm(5), pgm(5), pbm(5), pam(5), pfm(5): binary (raw) formats",),
        gaps=("text forms (P1, P2, P3) are not recognised", "a second image behind the first is another find"),
        kinds=(_PPM, _PGM, _PBM, _PAM, _PFM),
    ),
)
