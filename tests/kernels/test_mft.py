"""NTFS kernels: compiled == Python, on a real volume, on damaged copies of it, on random bytes."""

from __future__ import annotations

import lzma
import os
import random
import struct
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _columns_py as plain
from forensiclib.testing.contracts import mutations

native = pytest.importorskip("forensiclib._columns", reason="the compiled modules are not built")
SAMPLE = Path(__file__).parent.parent / "samples" / "ntfs" / "small.ntfs.xz"
UNITS = st.one_of(st.integers(0, 0xFFFF), st.integers(33, 126), st.sampled_from((0, 31, 32, 47, 127, 128, 0xD800, 0xDC00)))
CLUSTER, ROUNDS = 512, int(os.environ.get("FORENSICLIB_FUZZ", "60"))


@pytest.fixture(scope="module")
def volume() -> bytes:
    return lzma.decompress(SAMPLE.read_bytes())


def mft_of(volume: bytes) -> tuple[int, bytes]:
    """Where the table's first run is, and its records up to the first gap."""
    at = int.from_bytes(volume[0x30:0x38], "little") * CLUSTER
    end = at
    while volume[end : end + 4] == b"FILE":
        end += 1024
    return at, volume[at:end]


def scan(module: object, blocks: list[bytes], first: int = 0, cluster: int = CLUSTER, total: int = 9) -> list[object]:
    """Blocks of records through mft_scan, one after the other: tables, problems and the blocks as they are then."""
    tables, filled, problems, after = [bytearray() for _ in range(7)], array("Q", bytes(56)), b"", b""
    for data in blocks:
        block = bytearray(data)
        problems += module.mft_scan(block, 1024, first, cluster, 4096, total, tables, filled)  # type: ignore[attr-defined]
        first, after = first + len(block) // 1024, after + bytes(block)
    return [*(bytes(t[:n]) for t, n in zip(tables, filled, strict=True)), problems, after]


def whole(module: object, table: bytes, indexes: bytes, bitmap: bytes, extents: bytes, limit: int = 1 << 30) -> list[object]:
    """Every kernel, one after the other, as a listing does."""
    total = len(table) // 1024
    half = total // 2 * 1024
    scanned = scan(module, [table[:half], table[half:]], total=total)
    records, names, attributes, runs, text, lost, lost_text = scanned[:7]
    assert isinstance(lost, bytes) and isinstance(lost_text, bytes)
    owners, extensions = module.mft_owners(records)  # type: ignore[attr-defined]
    block = bytearray(indexes)
    known = (records, names, text, owners)
    more, more_text, more_problems = module.index_names(block, 4096, total, len(lost_text), *known)  # type: ignore[attr-defined]
    stale = module.mft_lost(records, names, text, owners, lost + more, lost_text + more_text)  # type: ignore[attr-defined]
    verdicts = module.mft_verdicts(records, attributes, runs, owners, bitmap)  # type: ignore[attr-defined]
    ranges = module.mft_ranges(attributes, runs, 0xA0, CLUSTER)  # type: ignore[attr-defined]
    try:
        listing = module.mft_listing(  # type: ignore[attr-defined]
            records, names, attributes, runs, text, owners, verdicts, stale, lost_text + more_text, extents, 1024, CLUSTER, 1 << 20, limit
        )
    except ValueError as error:
        listing = str(error)
    return [*scanned, owners, extensions, bytes(block), more, more_text, more_problems, stale, verdicts, ranges, listing]


def index_blocks(volume: bytes) -> bytes:
    return b"".join(volume[at : at + 4096] for at in range(0, len(volume), 512) if volume[at : at + 4] == b"INDX")


def test_a_real_volume(volume: bytes) -> None:
    at, table = mft_of(volume)
    extents = struct.pack("<qq", at, len(table))
    bitmap = random.Random(1).randbytes(512)
    for arguments in ((table, index_blocks(volume), bytes(512), extents), (table, index_blocks(volume), bitmap, extents)):
        mine, twin = whole(native, *arguments), whole(plain, *arguments)
        assert mine == twin
        assert mine[-1][0] > 60  # type: ignore[index]


def test_tight_bounds_are_the_same(volume: bytes) -> None:
    at, table = mft_of(volume)
    arguments = (table, b"", bytes(512), struct.pack("<qq", at, len(table)))
    for limit in (0, 10, 500, 1000, 3000):
        assert whole(native, *arguments, limit) == whole(plain, *arguments, limit)


def test_damaged_records(volume: bytes) -> None:
    at, table = mft_of(volume)
    blocks, extents = index_blocks(volume), struct.pack("<qqqq", at, 5000, at + 5000, len(table))
    bitmap = random.Random(2).randbytes(512)
    for damaged, block in zip(mutations(table, ROUNDS, seed=5), mutations(blocks, ROUNDS, seed=6), strict=True):
        damaged += bytes(-len(damaged) % 1024)
        arguments = (damaged, block, bitmap, extents)
        assert whole(native, *arguments) == whole(plain, *arguments)


def test_shuffled_and_aliased_records(volume: bytes) -> None:
    """Records moved, repeated and re-based: cycles, reused parents, stray extensions."""
    at, table = mft_of(volume)
    rng = random.Random(7)
    for _ in range(max(10, ROUNDS // 4)):
        records = [bytearray(table[i : i + 1024]) for i in range(0, len(table), 1024)]
        for _ in range(rng.randrange(1, 60)):
            i, j = rng.randrange(len(records)), rng.randrange(len(records))
            what = rng.randrange(5)
            if what == 0:
                records[i] = bytearray(records[j])
            elif what == 1:
                struct.pack_into("<Q", records[i], 32, j | rng.choice((0, 1, 2)) << 48)
            elif what == 2:
                records[i][22] ^= rng.choice((1, 2, 3))
            elif what == 3:
                struct.pack_into("<H", records[i], 16, rng.choice((0, 1, 2, 3, 65535)))
            else:
                name = records[i].find(b"\x30\0\0\0", 56)
                if 0 < name < 400:
                    struct.pack_into("<Q", records[i], name + 24, j | rng.choice((0, 1, 2)) << 48)
        arguments = (b"".join(records), index_blocks(volume), rng.randbytes(400), struct.pack("<qq", at, len(table)))
        assert whole(native, *arguments) == whole(plain, *arguments)


def test_more_rows_than_names(volume: bytes) -> None:
    """Files with many streams: the columns outgrow the first guess."""
    at, table = mft_of(volume)
    name = table.index("streams.txt".encode("utf-16-le"))
    many = table[name // 1024 * 1024 :][:1024] * 300
    arguments = (many, b"", bytes(512), struct.pack("<qq", at, len(many)))
    mine = whole(native, *arguments)
    assert mine == whole(plain, *arguments)
    assert mine[-1][0] == 900  # type: ignore[index]


@settings(max_examples=100, deadline=None)
@given(st.lists(UNITS, min_size=1, max_size=40), st.integers(0, 9))
def test_names_of_indexes(volume: bytes, units: list[int], which: int) -> None:
    """Any units in place of names in a directory's blocks."""
    blocks = bytearray(index_blocks(volume))
    place = -1
    for _ in range(which + 1):
        place = blocks.index("name ".encode("utf-16-le"), place + 1)
    blocks[place : place + 2 * len(units)] = struct.pack(f"<{len(units)}H", *units)
    at, table = mft_of(volume)
    arguments = (table, bytes(blocks), bytes(512), struct.pack("<qq", at, len(table)))
    assert whole(native, *arguments) == whole(plain, *arguments)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=6000))
def test_random_bytes(data: bytes) -> None:
    seeded = b"FILE" + data[4:] if len(data) > 4 else data
    for block in (data, seeded):
        assert scan(native, [block]) == scan(plain, [block])
        known = (b"",) * 4
        assert native.index_names(bytearray(block), 4096, 100, 3, *known) == plain.index_names(bytearray(block), 4096, 100, 3, *known)


@settings(max_examples=200, deadline=None)
@given(st.lists(UNITS, min_size=1, max_size=40))
def test_names_of_any_utf_16(units: list[int]) -> None:
    """Lone surrogates become U+FFFD, as Python's decoder has it; in paths what would split them does too."""
    name = struct.pack(f"<{len(units)}H", *units)
    body = struct.pack("<Q4QQQIIBB", 5 | 5 << 48, *(1 << 56 | 5,) * 4, 0, 0, 0, 0, len(units), 1) + name
    body += bytes(-len(body) % 8)
    attribute = struct.pack("<IIBBHHHIHH", 0x30, 24 + len(body), 0, 0, 24, 0, 0, 66 + len(name), 24, 0) + body
    record = bytearray(1024)
    record[: 56 + len(attribute) + 4] = (
        struct.pack("<4sHHQHHHHIIQHHI", b"FILE", 48, 3, 0, 1, 1, 56, 1, 56 + len(attribute) + 8, 1024, 0, 0, 0, 0)
        + b"\1\0" + bytes(6) + attribute + b"\xff" * 4
    )  # fmt: skip
    for sector in (512, 1024):
        struct.pack_into("<H", record, sector - 2, 1)
    table = bytes(record), b"", b"", struct.pack("<qq", 0, 1024)
    assert whole(native, *table) == whole(plain, *table)
    made = scan(native, [bytes(record)])
    assert made == scan(plain, [bytes(record)])
    if len(attribute) < 400:
        assert isinstance(made[4], bytes) and made[4].decode() == name.decode("utf-16-le", "replace")


@given(st.binary(max_size=200), st.integers(0, 1700))
def test_clear_runs(bitmap: bytes, count: int) -> None:
    assert native.clear_runs(bitmap, count) == plain.clear_runs(bitmap, count)


@given(st.integers(0, 40), st.integers(0, 3))
def test_clear_runs_of_whole_words(words: int, seed: int) -> None:
    rng = random.Random(seed)
    bitmap = b"".join(rng.choice((bytes(8), b"\xff" * 8, rng.randbytes(8))) for _ in range(words))
    assert native.clear_runs(bitmap, len(bitmap) * 8) == plain.clear_runs(bitmap, len(bitmap) * 8)
