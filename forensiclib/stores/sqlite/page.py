"""SQLite b-tree pages, every byte of their content accounted for ("Database File Format" 1.6).

What is in use (cells), what is free (freeblocks) and what is too small to be either (fragments, counted in the header) fill
a page from its content offset to its end. Where the sum is right nothing of it is chance; it also tells where a page ends.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from forensiclib.formats.sqlite import BTREE
from forensiclib.stores.sqlite.record import Header, encoding_of, header, kept_here, serial_size, signed, varint

__all__ = ["INDEX_INTERIOR", "INDEX_LEAF", "SIZES", "TABLE_INTERIOR", "TABLE_LEAF", "Cell", "Page", "leaf_at", "read_cell", "read_page",
           "text_encoding", "texts"]  # fmt: skip

INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13
SIZES = tuple(512 << i for i in range(8))
_KINDS = frozenset((INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF))
_FRAGMENTS = 60
_RESERVED = 255


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; offsets count from the start of the page.

    at, end    its bytes on the page; rowid   of table pages, else None
    payload    bytes of the record; stored   where its part on the page ends; record   None when its header spills over
    child, overflow   page numbers, 0 for none
    """

    at: int
    end: int
    rowid: int | None
    payload: int = 0
    stored: int = 0
    record: Header | None = None
    child: int = 0
    overflow: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A page whose parts do not overlap.

    size, usable   bytes of it, without and with what is reserved at its end taken off
    cells          in key order; freeblocks   (start, end), ascending
    gap            (start, end) of what lies between the cell pointers and the content
    missing        bytes of the content that nothing accounts for; negative where more is accounted for than there is
    """

    raw: bytes
    base: int
    kind: int
    size: int
    usable: int
    cells: tuple[Cell, ...]
    freeblocks: tuple[tuple[int, int], ...]
    gap: tuple[int, int]
    missing: int
    right: int

    @property
    def leaf(self) -> bool:
        """Whether it has no children."""
        return bool(self.kind & 8)

    @property
    def children(self) -> tuple[int, ...]:
        """Page numbers, in key order."""
        return () if self.leaf else (*(c.child for c in self.cells), self.right)


def read_cell(raw: bytes, at: int, kind: int, usable: int) -> Cell | None:
    """The cell at ``at``, when it lies within the page and its record's header says its length."""
    here, child, rowid = at, 0, None
    if not kind & 8:
        if at + 5 > usable:
            return None
        child, here = int.from_bytes(raw[at : at + 4], "big"), at + 4
        if not child:
            return None
    payload = 0
    if kind != TABLE_INTERIOR:
        payload, here = varint(raw, here, usable)
        if not 0 < payload < 1 << 31:
            return None
    if kind in (TABLE_LEAF, TABLE_INTERIOR):
        value, behind = varint(raw, here, usable)
        if behind == here:
            return None
        rowid, here = signed(value), behind
    if kind == TABLE_INTERIOR:
        return Cell(at, here, rowid, child=child)
    kept = kept_here(payload, usable, kind == TABLE_LEAF)
    stored = here + kept
    end = stored + (4 if kept < payload else 0)
    if end > usable:
        return None
    overflow = int.from_bytes(raw[stored:end], "big")
    record = header(raw, here, stored)
    if record is None:
        if kept == payload or varint(raw, here, stored)[0] <= kept:
            return None
    elif record.at - here + record.body != payload or not record.kinds:
        return None
    if kept < payload and not overflow:
        return None
    return Cell(at, max(end, at + 4), rowid, payload, stored, record, child, overflow)


def read_page(raw: bytes, base: int, usable: int) -> Page | None:
    """The b-tree page whose header is at ``base`` (100 in page 1); None when it is none or its parts contradict."""
    if len(raw) < base + BTREE.size or raw[base] not in _KINDS:
        return None
    kind, first, count, content, fragments, right = BTREE.unpack(raw, base)
    array = base + (8 if kind & 8 else 12)
    begin, content = array + 2 * count, content or 65_536
    if fragments > _FRAGMENTS or not begin <= content <= usable or len(raw) < usable or (first and first < content):
        return None
    if not kind & 8 and not right:
        return None
    pointers = struct.unpack_from(f">{count}H", raw, array)
    if pointers and (min(pointers) < content or max(pointers) > usable - 4):
        return None
    cells, taken, last = [], [], None
    for at in pointers:
        cell = read_cell(raw, at, kind, usable)
        if cell is None or cell.end > usable or (cell.rowid is not None and last is not None and cell.rowid <= last):
            return None
        last = cell.rowid
        cells.append(cell)
        taken.append((at, cell.end))
    free = []
    while first:
        if first + 4 > usable:
            return None
        following, size = struct.unpack_from(">HH", raw, first)
        if size < 4 or first + size > usable or (following and following < first + size):
            return None
        free.append((first, first + size))
        first = following
    end, used = content, 0
    for start, stop in sorted(taken + free):
        if start < end:
            return None
        end, used = stop, used + stop - start
    missing = usable - content - used - fragments
    return Page(raw, base, kind, len(raw), usable, tuple(cells), tuple(free), (begin, content), missing, 0 if kind & 8 else right)


def texts(page: Page, cells: tuple[Cell, ...] | None = None) -> list[tuple[bytes, bool]]:
    """(bytes, whether whole) of every text of the cells."""
    out = []
    for cell in page.cells if cells is None else cells:
        if cell.record is None:
            continue
        at = cell.record.at
        for kind in cell.record.kinds:
            size = serial_size(kind)
            if kind >= 13 and kind & 1 and at < cell.stored:
                out.append((page.raw[at : min(at + size, cell.stored)], at + size <= cell.stored))
            at += size
    return out


def leaf_at(raw: bytes) -> Page | None:
    """The table leaf at the start of ``raw``, of whatever page size makes every byte of it accounted for; ``raw`` has up to
    65,536 bytes. A page without cells is one when its header is that of an emptied page."""
    if len(raw) < 512 or raw[0] != TABLE_LEAF:
        return None
    _, first, count, content, fragments, _ = BTREE.unpack(raw, 0)
    content = content or 65_536
    if fragments > _FRAGMENTS or 8 + 2 * count > content or content > len(raw) or (first and first < content):
        return None
    if not count:
        size = next((s for s in SIZES if s >= content), 0)
        return read_page(raw[:size], 0, content) if not first and not fragments and content > size - 32 and len(raw) >= size else None
    top = max(struct.unpack_from(f">{count}H", raw, 8)) if 8 + 2 * count <= len(raw) else 0
    if top < content:
        return None
    for size in SIZES:
        if size <= top or len(raw) < size:
            continue
        page = read_page(raw[:size], 0, size)
        if page is not None and 0 < page.missing <= _RESERVED and size - page.missing >= 480:
            page = read_page(raw[:size], 0, size - page.missing)
        if page is not None and page.missing == 0:
            return page
    return None


def text_encoding(page: Page) -> str:
    """The encoding of its texts; "utf-8" when it has none, "" when they decode in none."""
    found = texts(page)
    return encoding_of(found) if found else "utf-8"
