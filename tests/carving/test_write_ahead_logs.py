"""Frames and rows of write-ahead logs without their database. Oracle: what SQLite itself reads of database and log."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from forensiclib.carving import sqlite as rooms
from forensiclib.carving.engine import carve
from forensiclib.core.errors import NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores.sqlite.wal import WalRow, log_of, wal_rows


def begun(path: Path, page_size: int = 1024) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in (f"page_size={page_size}", "journal_mode=WAL", "wal_autocheckpoint=0", "secure_delete=OFF"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE m (id INTEGER PRIMARY KEY, who TEXT, body TEXT)")
    return db


def filled(db: sqlite3.Connection, numbers: range, word: str) -> None:
    db.executemany("INSERT INTO m VALUES (?, ?, ?)", [(i, f"p{i % 7}", f"{word} {i} é") for i in numbers])


def log(path: Path) -> bytes:
    return path.with_name(path.name + "-wal").read_bytes()


def rows(data: bytes) -> dict[str, set[tuple[object, ...]]]:
    """Live rows of table m by version."""
    out: dict[str, set[tuple[object, ...]]] = {}
    for entry in wal_rows(MemorySource(data), Budget()):
        if not entry.row.deleted and len(entry.row.columns) == 3:
            out.setdefault(entry.version, set()).add((entry.row.rowid, *entry.row.columns[1:]))
    return out


@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
def test_what_is_committed_is_what_sqlite_reads(tmp_path: Path, page_size: int) -> None:
    path = tmp_path / "a.db"
    db = begun(path, page_size)
    db.execute("BEGIN")
    filled(db, range(1, 300), "first")
    db.execute("COMMIT")
    db.execute("UPDATE m SET body = 'changed ' || id WHERE id % 10 = 3")
    db.execute("DELETE FROM m WHERE id % 50 = 8")
    wanted, data = set(db.execute("SELECT * FROM m")), log(path)
    got = rows(data)
    assert got["committed"] == wanted
    assert {r for r in got["superseded"] if r[0] % 50 == 8} == {(i, f"p{i % 7}", f"first {i} é") for i in range(8, 300, 50)}
    assert {r for r in got["superseded"] if r[0] % 10 == 3} >= {(i, f"p{i % 7}", f"first {i} é") for i in range(3, 300, 10)}
    assert set(got) == {"committed", "superseded"}
    db.close()


def test_what_was_never_committed_and_what_is_older(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    db = begun(path)
    filled(db, range(1, 200), "old")
    db.execute("PRAGMA wal_checkpoint(RESTART)")
    filled(db, range(200, 210), "new")
    wanted = set(db.execute("SELECT * FROM m WHERE id >= 200"))
    got = rows(log(path))
    assert got["committed"] >= wanted
    assert any(r[2] == "old 1 é" for r in got["earlier"] | got["committed"])
    frames = log_of(MemorySource(log(path)), Budget()).frames
    assert {f.back for f in frames} == {0, 1} and not any(f.sound is False for f in frames)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    filled(db, range(300, 310), "kept")
    db.execute("PRAGMA cache_size=4")
    db.execute("BEGIN")
    filled(db, range(1000, 4000), "undecided")  # more than the cache holds: written before it is decided
    data = log(path)
    db.execute("ROLLBACK")
    got = rows(data)
    assert {r[0] for r in got["committed"]} >= set(range(300, 310)) and max(r[0] for r in got["committed"]) < 1000
    assert any("undecided" in str(r[2]) for r in got["not committed"])
    (hit,) = carve(MemorySource(data), rooms.CARVERS)
    assert "behind the last commit" in hit.find.reason
    db.close()


def test_the_chain_of_checksums_says_where_the_log_ends(tmp_path: Path) -> None:
    """SQLite reads the log up to the frame that is spoiled; so do we, and tell the rest apart."""
    path = tmp_path / "a.db"
    db = begun(path)
    for i in range(1, 40):
        filled(db, range(i * 10, i * 10 + 10), "word" * 9)
    data = bytearray(log(path))
    shutil.copy(path, tmp_path / "b.db")
    db.close()
    frames = log_of(MemorySource(bytes(data)), Budget()).frames
    data[frames[len(frames) // 2].at + 700] ^= 255
    (tmp_path / "b.db-wal").write_bytes(data)
    other = sqlite3.connect(tmp_path / "b.db")
    wanted = set(other.execute("SELECT * FROM m"))
    assert 0 < len(wanted) < 390
    assert rows(bytes(data))["committed"] == wanted
    assert rows(bytes(data))["not committed"]
    budget = Budget()
    list(wal_rows(MemorySource(bytes(data)), budget))
    assert [f.what for f in budget.findings] == ["SQLite log"]
    other.close()


def test_every_row_lies_where_it_is_said_to(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    db = begun(path)
    filled(db, range(1, 100), "first")
    data = log(path)
    entries: list[WalRow] = list(wal_rows(MemorySource(data), Budget()))
    assert entries
    for entry in entries:
        at = entry.row.page + entry.row.cell
        text = str(entry.row.columns[-1] if entry.row.columns else "")
        assert text.encode() in data[at : at + entry.row.length]
        assert (entry.row.page - 56) % (1024 + 24) == 0
        assert int.from_bytes(data[entry.row.page - 24 : entry.row.page - 20], "big") == entry.frame.page
    with pytest.raises(NotThisFormat):
        log_of(MemorySource(data[1:]), Budget())
    db.close()


def test_a_log_in_free_space_gives_its_rows(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    import forensiclib as fl

    path = tmp_path / "a.db"
    db = begun(path, 4096)
    filled(db, range(1, 60), "carved")
    data, fill = log(path), random.Random(2).randbytes
    db.close()
    image = tmp_path / "raw.dd"
    image.write_bytes(fill(512 * 9) + data + fill(512 * 20))
    case = fl.examine(image, tmp_path / "case")
    table = pq.read_table(case.path / "artifacts" / "sqlite.rows.parquet")
    got = [
        (json.loads(c)[1:], v) for c, v, n in zip(*(table[k].to_pylist() for k in ("columns", "version", "count")), strict=True) if n == 3
    ]
    assert sorted(str(c) for c, v in got if v == "committed") == sorted(str([f"p{i % 7}", f"carved {i} é"]) for i in range(1, 60))
    for (start,), columns in zip(table["span_start"].to_pylist(), table["columns"].to_pylist(), strict=True):
        assert str(json.loads(columns)[-1]).encode() in image.read_bytes()[start : start + 600]
