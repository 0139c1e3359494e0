"""Rows of table pages alone: what SELECT gives, what was deleted, and never a live row again. Oracle: SQLite itself."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores.sqlite.deleted import shape_of
from forensiclib.stores.sqlite.leaves import leaf_rows
from forensiclib.stores.sqlite.page import TABLE_LEAF, leaf_at, read_page

Row = tuple[object, ...]


def database(page_size: int, encoding: str, rows: list[Row], gone: list[int], *, vacuum: int = 0, script: str = "") -> bytes:
    db = sqlite3.connect(":memory:")
    for pragma in (f"page_size={page_size}", f"encoding='{encoding}'", f"auto_vacuum={vacuum}", "secure_delete=OFF"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INT, r REAL, b BLOB)")
    db.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", rows)
    db.commit()
    for i in gone:
        db.execute("DELETE FROM t WHERE id = ?", (i,))
    db.commit()
    db.executescript(script)
    return db.serialize()


def some_rows(count: int = 300) -> list[Row]:
    rng = random.Random(4)
    return [
        (i, f"name {rng.randrange(10**6)} \u00e9{'x' * rng.randrange(30)}", rng.randrange(10 ** rng.randrange(1, 9)), rng.random(),
         rng.randbytes(rng.randrange(20)))
        for i in range(1, count + 1)
    ]  # fmt: skip


def pages(data: bytes) -> list[bytes]:
    size = int.from_bytes(data[16:18], "big")
    size = 65_536 if size == 1 else size
    return [data[at : at + size] for at in range(size, len(data), size) if data[at] == TABLE_LEAF]


def rows_of(raw: bytes) -> list[tuple[bool, int | None, Row]]:
    return [(r.deleted, r.rowid, r.columns[1:]) for r in leaf_rows(MemorySource(raw), Budget())]


@pytest.mark.parametrize("order", ["ascending", "descending", "random"])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65_536])
def test_rows_are_those_of_select_and_deleted_ones_come_back(page_size: int, encoding: str, order: str) -> None:
    rows = some_rows()
    gone = sorted(random.Random(9).sample(range(1, 301), 90), reverse=order == "descending")
    if order == "random":
        random.Random(8).shuffle(gone)
    data = database(page_size, encoding, rows, gone)
    live = {r[0]: r[1:] for r in rows if r[0] not in set(gone)}
    deleted = {r[1:]: r[0] for r in rows if r[0] in set(gone)}
    found = [row for raw in pages(data) for row in rows_of(raw)]
    told = {(rowid, columns) for was_deleted, rowid, columns in found if not was_deleted}
    assert told >= set(live.items())
    # pages that the deletion freed still hold rows as they were: of those, none is invented either
    assert told <= {(r[0], r[1:]) for r in rows}
    back = [(rowid, columns) for was_deleted, rowid, columns in found if was_deleted]
    strangers = [c for _, c in back if c not in deleted]
    assert [c for c in strangers if c not in live.values()] == [], "a row that never was"
    assert all(rowid in (None, deleted[c]) for rowid, c in back if c in deleted)
    again = {c for _, c in back} | {c for _, c in told}
    assert len(again & set(deleted)) >= 50
    assert len(strangers) <= 20, "copies of rows that a rebalance moved to another page"


def test_old_copies_of_rows_that_live_in_the_same_run_are_not_given() -> None:
    rows = some_rows()
    data = database(1024, "UTF-8", rows, list(range(20, 200)), script="UPDATE t SET n = n + 1 WHERE id > 250;")
    for start in range(1024, len(data), 1024):
        if data[start] != TABLE_LEAF:
            continue
        found = list(leaf_rows(MemorySource(data[start:]), Budget()))
        live = {(r.rowid, r.columns) for r in found if not r.deleted}
        assert not [r for r in found if r.deleted and (r.rowid, r.columns) in live]


def test_an_emptied_page_gives_the_rows_at_its_end() -> None:
    rows = some_rows(12)
    data = database(4096, "UTF-8", rows, [], script="DELETE FROM t;")
    raw = data[4096:8192]
    assert raw[3:5] == b"\0\0"
    found = rows_of(raw)
    assert [(True, r[0], r[1:]) for r in sorted(rows, reverse=True)] == found


def test_overflowing_rows_give_what_is_on_the_page() -> None:
    rows: list[Row] = [(1, "short", 7, 0.5, b""), (2, "y" * 9000, 8, 1.5, b"z")]
    (first, second) = list(leaf_rows(MemorySource(pages(database(1024, "UTF-8", rows, []))[0]), Budget()))
    assert first.overflow == 0 and first.columns == (None, *rows[0][1:])
    text = second.columns[1]
    assert second.overflow > 0 and isinstance(text, str) and set(text) == {"y"} and 0 < len(text) < 1024
    assert second.columns[2:] == (None, None, b"")
    assert second.kinds[1] == 2 * 9000 + 13


def test_noise_text_and_damaged_pages_give_no_page() -> None:
    rng = random.Random(1)
    raw = pages(database(4096, "UTF-8", some_rows(), []))[0]
    assert leaf_at(raw) is not None
    for _ in range(3000):
        assert leaf_at(b"\x0d" + rng.randbytes(4095)) is None
        emptied = leaf_at(b"\x0d\0\0\0" + bytes(rng.choice(b"\0\0\1\2\x0d\x0f\x10 a") for _ in range(508)))
        assert emptied is None or (not emptied.cells and not shape_of(emptied).counts)
    assert leaf_at(b"\r\n" + b"the quick brown fox\r\n" * 400) is None
    assert leaf_at(bytes(4096)) is None and leaf_at(raw[:2048] + bytes(2048)) is None


@pytest.mark.corpus
def test_every_byte_of_every_tree_page_of_real_databases_is_accounted_for(corpus: Path) -> None:
    seen = 0
    for name in (
        "plaso/chrome/History",
        "plaso/ios/NoteStore.sqlite",
        "plaso/android/mmssms.db",
        "plaso/firefox/places.sqlite",
        "dfvfs/blob.db",
    ):
        path = corpus / name
        data = path.read_bytes()
        size = int.from_bytes(data[16:18], "big")
        db = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        roots = [r for (r,) in db.execute("SELECT rootpage FROM sqlite_schema WHERE rootpage > 1")]
        db.close()
        for number in [1, *roots]:
            page = read_page(data[(number - 1) * size : number * size], 100 if number == 1 else 0, size - data[20])
            assert page is not None and page.missing == 0, (name, number)
            seen += 1
    assert seen > 50
