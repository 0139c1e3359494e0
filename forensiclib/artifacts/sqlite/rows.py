"""Rows of SQLite table pages that lie without their database in free space."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from forensiclib.core.declare import Extractor, Field, Files, Flag, Found, Integer, Json, Text
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.stores.sqlite.leaves import LeafRow, leaf_rows
from forensiclib.stores.sqlite.record import Value
from forensiclib.stores.sqlite.wal import MAGICS, wal_rows

__all__ = ["EXTRACTOR"]


def _plain(value: Value) -> object:
    if isinstance(value, bytes):
        return {"blob": value.hex()}
    return {"real": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _values(row: LeafRow) -> dict[str, object]:
    return {
        "rowid": row.rowid,
        "columns": json.dumps([_plain(v) for v in row.columns], ensure_ascii=False).encode("utf-8", "replace").decode(),
        "count": len(row.kinds),
        "serial_types": json.dumps(row.kinds),
        "inferred": row.lost,
        "overflow": row.overflow or None,
        "encoding": row.encoding,
        "page": row.page,
        "cell": row.cell,
        "in_freeblock": row.in_freeblock,
        "page_number": None,
        "frame": None,
        "version": "",
    }


def rows(found: Found, budget: Budget) -> Iterator[Row]:
    """One row for each row of the pages, and for each deleted one in their free space."""
    if found.stream.read_at(0, 4) in MAGICS:
        for entry in wal_rows(found.stream, budget):
            row = entry.row
            values = {**_values(row), "page_number": entry.frame.page, "frame": entry.number, "version": entry.version}
            yield Row(values, row.page + row.cell, row.length, state="deleted" if row.deleted else None)
        return
    for row in leaf_rows(found.stream, budget):
        yield Row(_values(row), row.page + row.cell, row.length, state="deleted" if row.deleted else None)


EXTRACTOR = Extractor(
    name="sqlite.rows",
    title="Rows of SQLite tables left without their database and in carved write-ahead logs, and rows deleted from their pages",
    platform="SQLite 3",
    source=Files(carved=("sqlite-page", "sqlite-wal")),
    fields=(
        Field("rowid", Integer, "Key of the row; none where a freeblock's header took it"),
        Field("columns", Json, 'Values in column order; a blob is {"blob": hexadecimal}; an INTEGER PRIMARY KEY is null: it is the rowid'),
        Field("count", Integer, "Columns of the row; 0 where its header lies on another page"),
        Field("serial_types", Json, "Serial types of the values, as the row states them"),
        Field("inferred", Integer, "Leading columns of which the type was overwritten and is inferred from the length"),
        Field("overflow", Integer, "Page of the database on which the row goes on: what lies there is cut off or null"),
        Field("encoding", Text, "Encoding in which the texts of the page decode"),
        Field("page", Integer, "Offset of the page in the carved run of pages, or in the log"),
        Field("cell", Integer, "Offset of the cell in its page"),
        Field("in_freeblock", Flag, "Whether it lies in a freeblock; a deleted row of which this is false lies in the gap of its page"),
        Field("page_number", Integer, "Page of the database, as the log's frame says; none for pages without a log"),
        Field("frame", Integer, "Frame of the log, from 0; none for pages without a log"),
        Field(
            "version",
            Text,
            "Of a log: committed (in force), superseded (only older frames of the page have it), not committed, earlier "
            "(before the log began anew)",
        ),
    ),
    refs=("SQLite Database File Format, 1.6, 2.1 and 4.1", "Pawlaszczyk, Hummert: Making the Invisible Visible, 2021"),
    gaps=(
        "of a log whose database is there the rows are not put into it: page_number tells where they belong",
        "names of table and columns are those of the schema, which is not on the page",
        "content on overflow pages is not followed: without the database their numbers lead nowhere",
        "an old copy of a row that moved to a page elsewhere counts as deleted; within one run of pages it does not",
        "of a freed cell the first four bytes are lost: its rowid is not known, a first column of no bytes may be NULL, 0 or 1",
        "a deleted row without its rowid whose content equals a live row's counts as an old copy of it",
        "a deleted row is believed where it looks like the rows that are left on its page",
    ),
    rows=rows,
)
