"""Databases in pieces, and pages without their database. Oracle: PRAGMA integrity_check and SELECT of SQLite itself."""

from __future__ import annotations

import random
import sqlite3

import pytest

from forensiclib.carving import sqlite, sqlite_page
from forensiclib.carving.engine import Carved, carve
from forensiclib.core.source import MemorySource
from forensiclib.testing.scattered import compose

CARVERS = (*sqlite.CARVERS, *sqlite_page.CARVERS)


def database(seed: int, page_size: int = 4096, encoding: str = "UTF-8", vacuum: int = 0, rows: int = 400) -> bytes:
    rng, db = random.Random(seed), sqlite3.connect(":memory:")
    for pragma in (f"page_size={page_size}", f"encoding='{encoding}'", f"auto_vacuum={vacuum}", "secure_delete=OFF"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE m (id INTEGER PRIMARY KEY, who TEXT, body TEXT, t INT)")
    db.execute("CREATE INDEX mw ON m (who)")
    db.execute("CREATE TABLE w (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID")
    for i in range(rows):
        body = f"word {rng.randrange(10**9)} " * rng.randrange(1, 20) * (40 if i % 100 == 7 else 1)
        db.execute("INSERT INTO m VALUES (?, ?, ?, ?)", (i * 3 + seed, f"p{rng.randrange(500)}", body, rng.randrange(10**9)))
        if i % 3 == 0:
            db.execute("INSERT INTO w VALUES (?, ?)", (f"{rng.randrange(1 << 60):x}", rng.randbytes(rng.randrange(60))))
    db.execute("DELETE FROM m WHERE id % 13 = 1")
    db.commit()
    return db.serialize()


def content(data: bytes) -> list[object]:
    """All rows, after SQLite has found the file sound."""
    db = sqlite3.connect(":memory:")
    db.deserialize(data)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return [db.execute(f"SELECT * FROM {table}").fetchall() for table in ("m", "w")]


def whole(image: bytes) -> tuple[list[Carved], list[tuple[bytes, float]]]:
    source = MemorySource(image)
    hits = list(carve(source, CARVERS))
    files = [(h.open(source).read_at(0, h.length), h.find.confidence) for h in hits if h.carver.name == "sqlite" and h.find.complete]
    return hits, files


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fill", ["zeros", "random"])
@pytest.mark.parametrize("layout", ["fragments", "interleaved", "interleaved-fill", "reordered", "pieces"])
@pytest.mark.parametrize(("page_size", "vacuum"), [(512, 1), (1024, 0), (4096, 0), (4096, 2)])
def test_scattered_databases_come_back_sound(page_size: int, vacuum: int, layout: str, fill: str) -> None:
    originals = {f"d{i}": database(i, page_size, ("UTF-8", "UTF-16le")[i], vacuum) for i in range(2)}
    made = compose(originals, layout, fill=fill, seed=3)
    hits, files = whole(made.image)
    print(len(files), "of 2,", sum(data in originals.values() for data, _ in files), "exact")
    truth = {str(content(data)) for data in originals.values()}
    for data, confidence in files:
        if confidence == 1.0:
            assert data in originals.values(), "sure, and wrong"
        if confidence >= 0.8:
            assert str(content(data)) in truth
    assert all(confidence >= 0.8 for _, confidence in files), "what is not proven is not given"
    for hit in hits:
        pieces = hit.find.pieces or ((hit.offset, hit.length),)
        assert sum(n for _, n in pieces) == hit.length


def test_nearly_all_of_them_byte_for_byte() -> None:
    exact = given = 0
    for layout in ("fragments", "interleaved-fill", "reordered"):
        originals = {f"d{i}": database(i + 5, 1024) for i in range(2)}
        _, files = whole(compose(originals, layout, seed=8).image)
        exact, given = exact + sum(data in originals.values() for data, _ in files), given + len(files)
    assert given == exact and exact >= 3


@pytest.mark.parametrize("page_size", [1024, 4096])
def test_a_database_of_which_a_piece_is_missing_is_not_whole_and_its_pages_are_found(page_size: int) -> None:
    made = compose({"d": database(1, page_size)}, "missing", seed=2)
    assert made.lost
    hits, files = whole(made.image)
    assert files == []
    assert any(h.carver.name == "sqlite-page" for h in hits)


def test_whole_databases_hide_their_pages() -> None:
    data = database(3)
    hits = list(carve(MemorySource(bytes(4096) + data + random.Random(1).randbytes(100_000)), CARVERS))
    assert [(h.carver.name, h.offset, h.length) for h in hits] == [("sqlite", 4096, len(data))]


@pytest.mark.parametrize("page_size", [512, 4096, 65_536])
def test_orphan_pages_are_found_with_their_size(page_size: int) -> None:
    data = database(2, page_size)
    leaves = [at for at in range(page_size, len(data), page_size) if data[at] == 13 and int.from_bytes(data[at + 3 : at + 5], "big")]
    noise = random.Random(6).randbytes(512 * 7)
    image = noise + data[leaves[0] : leaves[0] + page_size] + noise + b"\r\n plain text\r\n" * 1000
    (hit,) = carve(MemorySource(image), sqlite_page.CARVERS)
    assert (hit.offset, hit.length, hit.find.confidence) == (len(noise), page_size, 1.0)


def test_noise_and_text_hold_no_pages() -> None:
    image = random.Random(2).randbytes(8 << 20) + b"\r\n".join(b"\rline %d of a text\t0\t1" % i for i in range(100_000)) + bytes(1 << 20)
    assert list(carve(MemorySource(image), sqlite_page.CARVERS)) == []
