"""Table leaves of SQLite databases whose header is gone: what is left of rows when a database was deleted and overwritten in part."""

from __future__ import annotations

from forensiclib.core.declare import Carver, Find
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.stores.sqlite.deleted import shape_of
from forensiclib.stores.sqlite.leaves import SIGNATURES, first_leaf, next_leaf
from forensiclib.stores.sqlite.page import Page, text_encoding

__all__ = ["CARVERS"]


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    first = first_leaf(data)
    if first is None or (not first.cells and not shape_of(first).counts):
        return None
    pages = rows = silent = 0
    page: Page | None = first
    at = 0
    while page is not None:
        budget.item()
        pages, rows = pages + 1, rows + len(page.cells)
        silent += not text_encoding(page)
        at += first.size
        page = next_leaf(data, at, first)
    found = f"{pages} table leaves of {first.size} bytes with {rows} rows, every byte of their content accounted for"
    if silent:
        return Find(at, 0.9, f"{found}; texts of {silent} pages decode in no encoding")
    return Find(at, 1.0 if rows else 0.8, found)


CARVERS = (
    Carver(
        name="sqlite-page",
        title="SQLite table pages without their database",
        extension="sqlite-page",
        mime="application/octet-stream",
        signatures=SIGNATURES,
        measure=_measure,
        refs=("SQLite Database File Format, 1.6",),
        gaps=(
            "pages that begin on no sector are not looked for: those in rollback journals, and in logs without their header",
            "pages of indexes and of tables WITHOUT ROWID, interior and overflow pages carry no whole rows and are left out",
            "an emptied page is one when whole deleted rows lie at its end",
            "the first page of a database is not one: it begins with the database's header",
        ),
    ),
)
