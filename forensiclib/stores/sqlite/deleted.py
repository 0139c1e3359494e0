"""Deleted rows in what a table leaf has free: whole cells, and cells whose first four bytes a freeblock's header took.

The rows that are left on the page say what a row of the table looks like (how many columns, of which classes); what does
not look like one of them is not believed. The length of a freed cell is known from the freeblock, or from the header of an
earlier freeblock that was merged into it and still stands where the next cell began.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from forensiclib.stores.sqlite.page import TABLE_LEAF, Cell, Page, read_cell, texts
from forensiclib.stores.sqlite.record import Header, encoding_of, header, kept_here, serial_size, varint

__all__ = ["Freed", "Shape", "freed", "shape_of"]

_HEAD = 4
_EDGES = 4096
_NOT_ZERO = re.compile(rb"[^\0]")
_NULL, _NUMBER, _BLOB, _TEXT = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Freed:
    """A deleted row. cell   its place and record, rowid None when it was overwritten
    in_freeblock   else it lies in the gap; lost   leading columns of which the type was overwritten and is inferred
    """

    cell: Cell
    in_freeblock: bool
    lost: int = 0


@dataclass(slots=True)
class Shape:
    """What rows of one table look like. counts   of columns; classes   of the values seen in each column
    scripts   kinds of characters of its texts; encoding   of them
    """

    encoding: str = "utf-8"
    counts: set[int] = field(default_factory=set)
    scripts: set[int] = field(default_factory=lambda: {0})
    classes: dict[int, set[int]] = field(default_factory=dict)
    negative: bool = False

    def add(self, kinds: Sequence[int]) -> None:
        """Learn from a row."""
        self.counts.add(len(kinds))
        for column, kind in enumerate(kinds):
            self.classes.setdefault(column, set()).add(_class(kind))

    def fits(self, kinds: Sequence[int]) -> bool:
        """Whether a row may be one of the table."""
        return len(kinds) in self.counts and all(
            (c := _class(kind)) == _NULL or c in (seen := self.classes.get(column, set())) or seen <= {_NULL}
            for column, kind in enumerate(kinds)
        )


def _class(kind: int) -> int:
    return _NULL if kind == 0 else _NUMBER if kind < 12 else _TEXT if kind & 1 else _BLOB


def _scripts(text: str) -> set[int]:
    """Kinds of characters: by 256, those of East Asia in one, control characters in one."""
    return {-1 if (n := ord(c)) < 32 and c not in "\t\n\r" else n >> 8 if n < 0x2E80 else 0x2E if n < 0xD800 else n >> 12 for c in text}


def shape_of(page: Page) -> Shape:
    """From its live rows; of a page without any, from whole cells that follow each other to its very end."""
    cells = page.cells or tuple(_chain(page))
    found = texts(page, cells)
    shape = Shape(encoding_of(found), negative=any((c.rowid or 0) < 0 for c in page.cells))
    for raw, whole in found if shape.encoding else ():
        shape.scripts |= _scripts(_decoded(raw, whole, shape.encoding) or "")
    for cell in cells:
        if cell.record is not None:
            shape.add(cell.record.kinds)
    return shape


def _decoded(raw: bytes, whole: bool, encoding: str) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(raw, whole)
    except UnicodeDecodeError:
        return None


def _end(raw: bytes, at: int, usable: int) -> int:
    """Where the cell of a table leaf at ``at`` ends, by its lengths alone."""
    payload, here = varint(raw, at, usable)
    behind = varint(raw, here, usable)[1]
    kept = kept_here(payload, usable, True)
    return max(behind + kept + (4 if kept < payload else 0), at + _HEAD)


def _chain(page: Page) -> list[Cell]:
    raw, found = page.raw, dict[int, Cell]()
    ends, low = {page.usable}, page.usable
    for at in range(page.usable - _HEAD, page.gap[0] - 1, -1):
        # most places are none: a short payload and at most ten bytes before it end before any cell begins
        if not raw[at] or (raw[at] < 128 and at + raw[at] + 10 < low) or _end(raw, at, page.usable) not in ends:
            continue
        cell = read_cell(raw, at, TABLE_LEAF, page.usable)
        if cell is not None and cell.record is not None and cell.end in ends and (cell.rowid or 0) > 0 and any(cell.record.kinds):
            ends.add(at)
            found[at], low = cell, at
    out: list[Cell] = []
    at = min(ends)
    while at in found:
        out.append(found[at])
        at = found[at].end
    alike = len({len(c.record.kinds) for c in out if c.record is not None}) == 1
    sure = alike and (len(out) > 1 or (out and out[0].record is not None and len(out[0].record.kinds) > 2))
    return out if sure and encoding_of(texts(page, tuple(out))) else []


def _headless(page: Page, at: int, end: int, shape: Shape) -> tuple[Cell, int] | None:
    """The cell that filled [at, end), its first four bytes lost: of each length that payload size and rowid may have
    had, what is left of the record's header must say exactly that length."""
    raw, start = page.raw, at + _HEAD
    for size in (2, 1):
        for key in range(9, 0, -1):
            here, payload = at + size + key, end - at - size - key
            if payload < 2 or (payload >= 128) != (size == 2) or kept_here(payload, page.usable, True) != payload:
                continue
            if here >= start:
                record = header(raw, here, end)
                if record is not None and record.at - here + record.body == payload and shape.fits(record.kinds):
                    return Cell(at, end, None, payload, end, record), 0
                continue
            for count in sorted(shape.counts):
                lost = start - here - 1  # types of which a byte is gone: 1 or 0
                made = _types(raw, start, end, payload, here, count, lost, shape)
                if made is not None:
                    return Cell(at, end, None, payload, end, made), lost
    return None


def _types(raw: bytes, at: int, end: int, payload: int, here: int, count: int, lost: int, shape: Shape) -> Header | None:
    """The record header at ``here`` whose length, and ``lost`` types, were overwritten."""
    for low in (0, 1) if lost else (0,):  # 1: the lost byte was the first of two
        kinds, place = [], at + low
        for _ in range(count - lost):
            kind, place = varint(raw, place, end)
            if kind < 0 or serial_size(kind) < 0:
                break
            kinds.append(kind)
        if len(kinds) < count - lost or place > end:
            continue
        left = end - place - sum(serial_size(k) for k in kinds)
        if place - here > 127 or left < 0 or (not lost and left):
            continue
        for first in _of_size(left) if lost else ():
            if (first >= 128) == bool(low) and (not low or 128 | first & 0x7F == 128 | raw[at]) and shape.fits((first, *kinds)):
                return Header((first, *kinds), place, end - place)
        if not lost and shape.fits(kinds):
            return Header(tuple(kinds), place, end - place)
    return None


def _of_size(size: int) -> Iterator[int]:
    """Serial types of ``size`` bytes, the likeliest first."""
    yield from {0: (0, 8, 9), 1: (1,), 2: (2,), 3: (3,), 4: (4,), 6: (5,), 8: (6, 7)}.get(size, ())
    yield from (2 * size + 13, 2 * size + 12) if size else ()


def _whole(page: Page, start: int, end: int, shape: Shape) -> list[Cell]:
    """Cells that nothing of is lost."""
    out, at = [], start
    while at + _HEAD <= end:
        match = _NOT_ZERO.search(page.raw, at, end)
        if match is None:
            break
        at = match.start()
        cell = read_cell(page.raw, at, TABLE_LEAF, page.usable)
        if cell is None or cell.end > end or not _believed(page, cell, shape):
            at += 1
            continue
        newer = (read_cell(page.raw, i, TABLE_LEAF, page.usable) for i in range(at + 1, cell.end))
        over = next((c for c in newer if c is not None and cell.end < c.end <= end and _believed(page, c, shape)), None)
        if over is not None:  # its end was overwritten by a cell that begins in it
            at = over.at
            continue
        out.append(cell)
        at = cell.end
    return out


def _believed(page: Page, cell: Cell, shape: Shape) -> bool:
    if cell.record is None or not shape.fits(cell.record.kinds) or ((cell.rowid or 0) < 0 and not shape.negative):
        return False
    at = cell.record.at
    for kind in cell.record.kinds:
        if kind == 7 and at + 8 <= cell.stored and not int.from_bytes(page.raw[at : at + 2], "big") & 0x7FF0 and any(page.raw[at : at + 8]):
            return False  # a denormal number: other bytes stand there now
        at += serial_size(kind)
    for raw, whole in texts(page, (cell,)):
        text = _decoded(raw, whole, shape.encoding)
        if text is None:
            return False
        strange = _scripts(text) - shape.scripts  # UTF-8 proves itself; anything is UTF-16
        if strange and (shape.encoding != "utf-8" or -1 in strange):
            return False
    return True


def _edges(page: Page, start: int, end: int, cells: Sequence[Cell]) -> list[int]:
    """Where cells may begin or end in [start, end): at whole cells, and where freeblock headers were left."""
    raw, edges = page.raw, {end, *(c.at for c in cells), *(c.end for c in cells)}
    inside = {i for c in cells for i in range(c.at + 1, c.end)}
    for at in range(end - _HEAD, start - 1, -1):
        size = raw[at + 2] << 8 | raw[at + 3]
        following = raw[at] << 8 | raw[at + 1]
        if size >= _HEAD and at + size in edges and at not in inside and (not following or at + size <= following < page.usable):
            edges.add(at)
            if len(edges) > _EDGES:
                break
    return sorted(edges)


def freed(page: Page, shape: Shape) -> Iterator[Freed]:
    """Deleted rows of a table leaf, ascending by place in the gap, then in each freeblock. Old copies of live rows are
    among them: that is the caller's to see. None where the texts of the page decode in no encoding."""
    if not shape.counts or not shape.encoding:
        return
    regions = [(*page.gap, False), *((a, b, True) for a, b in page.freeblocks)]
    for start, end, block in regions:
        cells = _whole(page, start + (_HEAD if block else 0), end, shape)
        edges = _edges(page, start, end, cells)
        at = start if block else edges[0]
        known = {c.at: c for c in cells}
        while at < end:
            if at in known:
                yield Freed(known[at], block)
                at = known[at].end
                continue
            limit = min((c.at for c in cells if c.at > at), default=end)
            stops = [e for e in edges if at + 6 <= e <= limit][:64]
            for stop in stops:
                made = _headless(page, at, stop, shape)
                if made is not None and _believed(page, made[0], shape):
                    yield Freed(made[0], block, made[1])
                    at = stop
                    break
            else:
                at = next((e for e in edges if e > at), end)
