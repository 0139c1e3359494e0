"""FITS: header units of 2,880 bytes and the data that their keywords measure."""

from __future__ import annotations

import re

from forensiclib.carving._ends import broken, ending
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

UNIT, CARD = 2880, 80
_NUMBER = re.compile(rb"([A-Z0-9_-]{1,8}) *= *(-?\d{1,15})(?: |/|$)")
_BITS = (8, 16, 32, 64, -32, -64)


def _header(data: ByteSource, at: int, budget: Budget) -> tuple[int, dict[bytes, int]] | None:
    """(end, integer keywords) of the header at ``at``."""
    numbers: dict[bytes, int] = {}
    for _ in range(1 << 14):
        budget.item()
        unit = data.read_at(at, UNIT)
        if len(unit) < UNIT or not unit.isascii() or unit.translate(None, bytes(range(32))) != unit:
            return None
        at += UNIT
        for place in range(0, UNIT, CARD):
            card = unit[place : place + CARD]
            if card.rstrip() == b"END":
                return at, numbers
            if match := _NUMBER.match(card):
                numbers.setdefault(match[1], int(match[2]))
    return None


def _size(numbers: dict[bytes, int], first: bool) -> int | None:
    """Bytes of data behind a header (FITS 4.0, equations 1 and 2), padded; None when the header is none."""
    bits, axes = numbers.get(b"BITPIX"), numbers.get(b"NAXIS", -1)
    if bits not in _BITS or not 0 <= axes <= 999:
        return None
    lengths = [numbers.get(b"NAXIS%d" % i, -1) for i in range(1, axes + 1)]
    if min(lengths, default=0) < 0:
        return None
    groups = lengths and lengths[0] == 0 and numbers.get(b"PCOUNT") is not None and first
    product = 1 if lengths else 0
    for n in lengths[1:] if groups else lengths:
        product *= n
    if not first or groups:
        product = numbers.get(b"GCOUNT", 1) * (numbers.get(b"PCOUNT", 0) + product)
    size = abs(bits) // 8 * product
    return -(-size // UNIT) * UNIT if 0 <= size < 1 << 50 else None


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """The primary unit and every extension behind it."""
    at, units = 0, 0
    while units == 0 or data.read_at(at, 9) == b"XTENSION=":
        header = _header(data, at, budget)
        size = _size(header[1], units == 0) if header else None
        if header is None or size is None:
            return broken(min(at, data.size), f"{units} unit(s), then damage") if units else None
        at = header[0] + size
        units += 1
        if at > data.size:
            break
    return ending(data, at, 0.85, f"{units} header and data unit(s)")


CARVERS = (
    Carver(
        name="fits",
        title="FITS astronomical data",
        extension="fits",
        mime="image/fits",
        signatures=(Signature(b"SIMPLE  =                    T"),),
        measure=measure,
        maximum=1 << 40,
        refs=("FITS Standard 4.0 (IAU, 2018), 3 and 4.4.1",),
        gaps=("pixels cannot be verified", "special records behind the last extension are left out"),
    ),
)
