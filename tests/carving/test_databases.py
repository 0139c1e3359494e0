"""SQLite carving against databases that sqlite3 wrote."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest


def database(path: Path, *pragmas: str, rows: int = 400, delete: bool = False) -> bytes:
    rng = random.Random(rows)
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in pragmas:
        db.execute(f"PRAGMA {pragma}")
    db.execute("BEGIN")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, body BLOB)")
    db.execute("CREATE INDEX i ON t (name)")
    db.executemany(
        "INSERT INTO t VALUES (?, ?, ?)",
        ((n, f"name {n}" * rng.randrange(1, 9), rng.randbytes(rng.choice((10, 900, 9000)))) for n in range(rows)),
    )
    if delete:
        db.execute("DELETE FROM t WHERE id % 3 = 0")
    db.execute("COMMIT")
    db.close()
    return path.read_bytes()


WAYS = [
    (),
    ("page_size=512",),
    ("page_size=65536",),
    ("encoding='UTF-16le'",),
    ("auto_vacuum=FULL",),
    ("journal_mode=WAL",),
    ("secure_delete=ON",),
]


@pytest.mark.parametrize("delete", [False, True])
@pytest.mark.parametrize("pragmas", WAYS)
def test_databases(exact, cuts, tmp_path: Path, pragmas: tuple[str, ...], delete: bool) -> None:
    content = database(tmp_path / "a.db", *pragmas, delete=delete)
    found = exact("sqlite", content)
    assert found.confidence == 1.0
    cuts("sqlite", content, blind=len(content) if delete else 65_536)  # what lies within the last page, or in free pages, is any bytes


def test_the_size_is_walked_when_the_header_does_not_state_it(exact, tmp_path: Path) -> None:
    content = bytearray(database(tmp_path / "a.db"))
    content[92:96] = bytes(4)  # version-valid-for: as a library before 3.7.0 leaves it
    assert exact("sqlite", bytes(content)).confidence < 1.0


def test_a_large_database_is_sampled(exact, cuts, tmp_path: Path) -> None:
    content = database(tmp_path / "a.db", "page_size=512", rows=4000)
    assert len(content) > 512 * 10_000
    assert exact("sqlite", content).confidence == 0.9


def test_the_host_program_is_named(exact, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "places.sqlite")
    db.executescript("CREATE TABLE moz_places (a); CREATE TABLE moz_historyvisits (a);")
    db.close()
    assert exact("sqlite", (tmp_path / "places.sqlite").read_bytes()).title == "SQLite database: Firefox history and bookmarks"


def test_write_ahead_logs(exact, measure, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("CREATE TABLE t (a)")
    for i in range(60):
        db.execute("INSERT INTO t VALUES (?)", (str(i) * 500,))
    log = (tmp_path / "a.db-wal").read_bytes()
    exact("sqlite-wal", log)
    db.execute("PRAGMA wal_checkpoint(RESTART)")
    db.execute("INSERT INTO t VALUES (1)")  # a new generation overwrites the first frames, the old ones stay
    again = (tmp_path / "a.db-wal").read_bytes()
    assert len(again) == len(log) and again[16:24] != log[16:24]
    assert "of earlier generations" in exact("sqlite-wal", again).reason
    spoiled = bytearray(log)
    spoiled[32 + 24 + 100] ^= 1
    found = measure("sqlite-wal", bytes(spoiled))
    assert found is not None and not found.complete
    db.close()
