"""Binary property lists: objects followed to the offset table and the trailer that describe them."""

from __future__ import annotations

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_FIRST = 8
_TRAILER = 32
_SINGLE = frozenset((0x00, 0x08, 0x09, 0x0F))
_UNIT = {0x4: 1, 0x5: 1, 0x6: 2, 0x7: 1}
_REFERENCES = {0xA: 1, 0xB: 1, 0xC: 1, 0xD: 2}


def _object_end(window: Window, at: int, reference: int) -> int:
    """End of the object at ``at`` when references have ``reference`` bytes; -1 when none is there."""
    mark = window.number(at, 1)
    high, low = mark >> 4, mark & 15
    if mark in _SINGLE:
        return at + 1
    if high == 1 and low <= 4:
        return at + 1 + (1 << low)
    if (high == 2 and low in (2, 3)) or mark == 0x33:
        return at + 1 + (1 << low)
    if high == 8:
        return at + 2 + low
    unit = _UNIT.get(high) or _REFERENCES.get(high, 0) * reference
    if mark < 0 or not unit:
        return -1
    count, here = low, at + 1
    if low == 15:
        width = window.number(here, 1)
        if width >> 4 != 1 or width & 15 > 3:
            return -1
        count, here = window.number(here + 1, 1 << (width & 15), big=True), here + 1 + (1 << (width & 15))
    end = here + count * unit
    return end if count >= 0 and end <= window.size else -1


def _trailer_end(window: Window, table: int, starts: set[int], reference: int) -> int:
    """End of the file when the offset table is at ``table``; -1 when it is not."""
    objects = len(starts)
    for width in (1, 2, 3, 4, 8):
        if window.number(table, width, big=True) not in starts:
            continue  # its first entry is the first object, or another
        at = table + objects * width
        raw = window.at(at, _TRAILER)
        if len(raw) < _TRAILER or raw[:5] != bytes(5) or raw[6] != width or raw[7] != reference:
            continue
        count, top, start = (int.from_bytes(raw[i : i + 8], "big") for i in (8, 16, 24))
        if count == objects and top < count and start == table:
            return at + _TRAILER
    return -1


def _offsets_hold(window: Window, table: int, starts: set[int], end: int) -> bool:
    """Whether each entry of the offset table is the start of an object."""
    width = (end - _TRAILER - table) // len(starts)
    raw = window.source.read_at(table, len(starts) * width)
    return all(int.from_bytes(raw[i : i + width], "big") in starts for i in range(0, len(raw), width))


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window, held = Window(data), 0
    for reference in (1, 2, 4, 3, 8):
        at, starts, refers = _FIRST, set[int](), False
        while at > 0:
            budget.item()
            if starts and (end := _trailer_end(window, at, starts, reference)) > 0:
                if _offsets_hold(window, at, starts, end):
                    return Find(end, 1.0, f"{len(starts)} objects, each in the offset table")
                return Find(end, 0.8, f"{len(starts)} objects, the offset table names others")
            starts.add(at)
            behind = _object_end(window, at, reference)
            refers |= window.number(at, 1) >> 4 in _REFERENCES
            held = max(held, min(at, data.size) if len(starts) > _FIRST else 0)
            at = behind
        if not refers and reference == 1 and len(starts) > 1:
            break  # no object refers to another: the size of references makes no difference
    return Find(held, 0.3, "objects without an offset table behind them", complete=False) if held > 1024 else None


CARVERS = (
    Carver(
        name="bplist",
        title="binary property list",
        extension="plist",
        mime="application/x-bplist",
        signatures=(Signature(b"bplist00"),),
        measure=_measure,
        maximum=256 << 20,
        refs=("Apple: CFBinaryPList.c, file format comment",),
        gaps=("lists whose objects do not lie one behind the other are not recognised",),
    ),
)
