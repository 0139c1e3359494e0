"""Table leaves of SQLite databases without their database: their rows, live and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib.core.declare import Signature
from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.stores.sqlite.deleted import freed, shape_of
from forensiclib.stores.sqlite.page import SIZES, TABLE_LEAF, Cell, Page, leaf_at, read_page
from forensiclib.stores.sqlite.record import Value, values

__all__ = ["SIGNATURES", "LeafRow", "content_of", "first_leaf", "leaf_rows", "leaves", "next_leaf", "row_of"]

SIGNATURES = (Signature(b"\x0d\0\0\0\0\0\0\0", mask=b"\xff\0\0\xc0\0\0\0\xc0", align=512),)
"""A table leaf: at most 16,383 cells, at most 60 fragments. What is aligned so and announces so much is still noise mostly."""


@dataclass(frozen=True, slots=True)
class LeafRow:
    """A row. page   offset of its page in the source; cell   of its cell in the page; length   bytes of the cell
    rowid      None where it was overwritten; kinds   serial types; lost   leading types that are inferred
    deleted    in free space of the page; in_freeblock   which of the two kinds
    overflow   page of its database on which it goes on, 0 for none: values from there on are cut or None
    """

    page: int
    cell: int
    length: int
    rowid: int | None
    kinds: tuple[int, ...]
    columns: tuple[Value, ...]
    encoding: str
    deleted: bool = False
    in_freeblock: bool = False
    lost: int = 0
    overflow: int = 0


def first_leaf(source: ByteSource) -> Page | None:
    """The page that ``source`` begins with: with rows, or emptied and with deleted rows."""
    head = source.read_at(0, 512)
    if len(head) < 512 or not SIGNATURES[0].matches(head):
        return None
    first, count, content = (int.from_bytes(head[i : i + 2], "big") for i in (1, 3, 5))
    content = content or 65_536
    last = int.from_bytes(head[8:10], "big") if count else content - 4
    if 8 + 2 * count > content or last < content - 4 or 0 < first < content or (count and last < content):
        return None
    page = leaf_at(source.read_at(0, next((s for s in SIZES if s > last), 0)))
    return page if page is not None else leaf_at(source.read_at(0, SIZES[-1]))


def next_leaf(source: ByteSource, at: int, first: Page) -> Page | None:
    """The page at ``at`` of a run that begins with ``first``."""
    if source.read_at(at, 1) != b"\x0d":
        return None
    page = read_page(source.read_at(at, first.size), 0, first.usable) if at + first.size <= source.size else None
    return page if page is not None and page.kind == TABLE_LEAF and not page.missing else None


def leaves(source: ByteSource, budget: Budget) -> Iterator[tuple[int, Page]]:
    """(offset, page) of the run of leaves that a source begins with. Raises NotThisFormat when it begins with none."""
    first = first_leaf(source)
    if first is None:
        raise NotThisFormat("table leaves", next(iter(source.trace(0, 1)), None), repr(source.read_at(0, 8)))
    at, page = 0, first
    while True:
        budget.item()
        yield at, page
        at += first.size
        following = next_leaf(source, at, first)
        if following is None:
            break
        page = following
    if at < source.size:
        budget.report(Corrupt("table leaves", next(iter(source.trace(at, 1)), None), f"{source.size - at} bytes behind the last page"))


def row_of(at: int, page: Page, cell: Cell, encoding: str, deleted: bool = False, in_freeblock: bool = False, lost: int = 0) -> LeafRow:
    """A cell of the page at ``at`` as a row."""
    kinds: tuple[int, ...] = ()
    columns: tuple[Value, ...] = ()
    if cell.record is not None:
        kinds = cell.record.kinds
        columns = tuple(values(page.raw, kinds, cell.record.at, cell.stored, encoding))
    return LeafRow(at, cell.at, cell.end - cell.at, cell.rowid, kinds, columns, encoding, deleted, in_freeblock, lost, cell.overflow)


def content_of(page: Page, cell: Cell) -> int:
    """What tells a row's content from another's, without its rowid."""
    record = cell.record
    if record is None:
        return hash(page.raw[cell.at : cell.stored])
    return hash((record.kinds, page.raw[record.at : cell.stored]))


def leaf_rows(source: ByteSource, budget: Budget) -> Iterator[LeafRow]:
    """Rows of a run of leaves: of each page the live ones in key order, then the deleted ones. A deleted row whose content
    a live row of the run has under the same rowid, or under any when its own is lost, is an old copy and left out; so is
    one that was given already under its rowid. Raises NotThisFormat."""
    live: set[tuple[int | None, int]] = set()
    for _, page in leaves(source, Budget(budget.limits, budget.cancelled)):
        for cell in page.cells:
            content = content_of(page, cell)
            live |= {(cell.rowid, content), (None, content)}
    for at, page in leaves(source, budget):
        shape = shape_of(page)
        encoding = shape.encoding or "utf-8"
        for cell in page.cells:
            budget.item()
            yield row_of(at, page, cell, encoding)
        for found in freed(page, shape):
            key = found.cell.rowid, content_of(page, found.cell)
            if key not in live:
                budget.item()
                if key[0] is not None:
                    live.add(key)
                yield row_of(at, page, found.cell, encoding, True, found.in_freeblock, found.lost)
