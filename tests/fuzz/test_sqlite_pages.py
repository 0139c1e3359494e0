"""Damaged pages without their database, and damaged databases in pieces."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from pathlib import Path

import pytest

from forensiclib.artifacts.sqlite import rows
from forensiclib.carving import sqlite, sqlite_page
from forensiclib.core.declare import Found, Fragments
from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores.sqlite.wal import checksum
from forensiclib.testing.contracts import FUZZ_LIMITS, mutations, rows_or_evidence_error
from forensiclib.testing.scattered import compose

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
SECONDS = float(os.environ.get("FORENSICLIB_FUZZ_SECONDS", "20"))


def database(vacuum: int = 0) -> bytes:
    rng, db = random.Random(1), sqlite3.connect(":memory:")
    for pragma in ("page_size=1024", f"auto_vacuum={vacuum}", "secure_delete=OFF"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INT, c BLOB)")
    db.executemany(
        "INSERT INTO t VALUES (?, ?, ?, ?)", ((i, f"text {i}" * rng.randrange(1, 9), i * i, rng.randbytes(9)) for i in range(150))
    )
    db.execute("INSERT INTO t VALUES (1000, ?, 1, x'00')", ("long " * 700,))
    db.execute("CREATE INDEX ta ON t (a)")
    db.execute("DELETE FROM t WHERE id % 4 = 1")
    db.commit()
    return db.serialize()


def leaves() -> bytes:
    data = database()
    return b"".join(data[at : at + 1024] for at in range(1024, len(data), 1024) if data[at] == 13)


def test_damaged_pages() -> None:
    def run(data: bytes, budget: Budget) -> None:
        found = sqlite_page.CARVERS[0].measure(MemorySource(data), budget)
        assert found is None or (0 < found.length <= len(data) and 0 < found.confidence <= 1 and found.reason)
        for row in rows.rows(Found(MemorySource(data), "sqlite-page"), budget):
            assert row.at >= 0 and row.length > 0 and row.at + row.length <= len(data)
            assert set(row.values) == {f.name for f in rows.EXTRACTOR.fields}

    assert rows_or_evidence_error(run, mutations(leaves(), COUNT)) == COUNT


def log(folder: Path) -> bytes:
    """A write-ahead log of two generations, its last transaction not committed."""
    path = folder / "a.db"
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size=512", "journal_mode=WAL", "wal_autocheckpoint=0", "cache_size=4"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((i, f"text {i}") for i in range(40)))
    db.execute("PRAGMA wal_checkpoint(RESTART)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((i, f"other {i}") for i in range(100, 250)))
    data = path.with_name("a.db-wal").read_bytes()
    db.close()
    return data


def resealed(data: bytes) -> bytes:
    """With the header's checksum made right, so that damage goes deeper."""
    return data[:24] + b"".join(n.to_bytes(4, "big") for n in checksum(data[:24], bool(data[3] & 1), (0, 0))) + data[32:]


@pytest.mark.timeout(600)
def test_damaged_logs(tmp_path: Path) -> None:
    def run(data: bytes, budget: Budget) -> None:
        found = sqlite.CARVERS[1].measure(MemorySource(data), budget)
        assert found is None or (0 < found.length <= len(data) and 0 < found.confidence <= 1 and found.reason)
        for row in rows.rows(Found(MemorySource(data), "sqlite-wal"), budget):
            assert row.at >= 0 and row.length > 0 and row.at + row.length <= len(data)
            assert set(row.values) == {f.name for f in rows.EXTRACTOR.fields}

    sample = log(tmp_path)
    changed = (resealed(data) if len(data) > 32 and number % 2 else data for number, data in enumerate(mutations(sample, COUNT)))
    assert rows_or_evidence_error(run, changed) == COUNT


@pytest.mark.timeout(600)
@pytest.mark.parametrize("vacuum", [0, 1])
def test_damaged_pieces(vacuum: int) -> None:
    carver, sample = sqlite.CARVERS[0], database(vacuum)
    made = compose({"a": sample, "b": sample[:-1] + b"\0"}, "interleaved-fill", seed=1)
    head = made.truth["a"][0][0]
    began, count = time.monotonic(), 0
    for data in mutations(made.image, COUNT):
        if time.monotonic() - began > SECONDS:
            break
        once = time.monotonic()
        try:
            find = carver.rejoin(Fragments(MemorySource(data), head, 512), Budget(FUZZ_LIMITS)) if carver.rejoin else None
        except EvidenceError:
            find = None
        if find is not None:
            assert find.length == sum(n for _, n in find.pieces) and 0 < find.confidence <= 1 and find.reason
            assert all(n > 0 and at >= 0 and at + n <= len(data) for at, n in find.pieces)
        assert time.monotonic() - once < 20
        count += 1
    assert count
    print(f"vacuum {vacuum}: {count} mutations")
