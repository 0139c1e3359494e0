"""Content-defined chunks: against the PyPI package fastcdc, and what must hold of any: cover, bounds, shift resistance, any buffer."""

from __future__ import annotations

import hashlib
import random
from statistics import mean

import pytest

from forensiclib.core.errors import Cancelled, LimitExceeded, UsageError
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import MemorySource
from forensiclib.hashing.chunks import Chunking, _aes_gear, _md5_gear, chunk_table, chunks

NOISE = random.Random(8).randbytes(3_000_000)
TEXT = b"".join(b"line %d of a log, %s\n" % (i, hashlib.md5(b"%d" % i).hexdigest().encode()) for i in range(20_000))


def cut(data: bytes, chunking: Chunking | None = None, **options) -> list[tuple[int, int, bytes]]:
    return list(chunks(MemorySource(data), chunking or Chunking(), budget=Budget(), **options))


@pytest.mark.parametrize("average", [1024, 8192, 20_000, 65_536])
@pytest.mark.parametrize(
    "data", [NOISE, TEXT, bytes(300_000), b"", b"a", NOISE[:2048]], ids=["noise", "text", "zero", "empty", "one", "least"]
)
def test_equal_to_the_package_fastcdc(average: int, data: bytes) -> None:
    fastcdc = pytest.importorskip("fastcdc", reason="fastcdc is not installed")
    ours = cut(data, Chunking(average, level=1, variant="rolling31"))
    wanted = [(c.offset, c.length, bytes.fromhex(c.hash)) for c in fastcdc.fastcdc(data, avg_size=average, hf=hashlib.sha256)]
    assert ours == wanted


def test_the_gear_tables_are_the_published_functions() -> None:
    # FIPS 197's cipher over zeros begins dc95c078 a2408989 (NIST AESAVS, KAT); md5 of 64 zero bytes begins 3b5d3c7d207e37dc.
    assert _aes_gear()[:2].tolist() == [0x5C95C078, 0x22408989]
    assert _md5_gear()[0] == 0x3B5D3C7D207E37DC
    assert len(set(_md5_gear())) == len(set(_aes_gear())) == 256


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("data", [NOISE, TEXT, bytes(200_000)], ids=["noise", "text", "zero"])
def test_chunks_cover_the_source_within_bounds(level: int, data: bytes) -> None:
    chunking = Chunking(4096, level=level)
    at, made = 0, cut(data, chunking)
    for offset, length, digest in made:
        assert offset == at
        assert length <= 32_768
        assert digest == hashlib.sha256(data[offset : offset + length]).digest()
        at += length
    assert at == len(data)
    assert all(length > 1024 for _, length, _ in made[:-1])


def test_normalising_keeps_sizes_at_the_average() -> None:
    for level, most in ((0, 8192), (2, 6144)):
        lengths = [length for _, length, _ in cut(NOISE, Chunking(4096, level=level))]
        assert 4096 <= mean(lengths) <= most
    near = [
        sum(2048 < length < 8192 for _, length, _ in made) / len(made) for made in (cut(NOISE, Chunking(4096, level=n)) for n in (0, 3))
    ]
    assert near[1] > near[0]


@pytest.mark.parametrize("block", [1, 1000, 4096, 1 << 22])
def test_the_buffer_leaves_no_trace(block: int) -> None:
    data = TEXT[:60_000]
    assert cut(data, Chunking(512), block=block) == cut(data, Chunking(512))


def test_inserted_bytes_change_few_chunks() -> None:
    for data in (NOISE, TEXT):
        for at in (0, len(data) // 2):
            moved = data[:at] + b"inserted" + data[at:]
            before, after = ({d for _, _, d in cut(x)} for x in (data, moved))
            assert len(before - after) <= 4


def test_the_table() -> None:
    table = chunk_table(MemorySource(TEXT), budget=Budget(), algorithm="md5")
    assert table.names == ("offset", "length", "md5")
    assert [tuple(row.values()) for row in table.rows()] == cut(TEXT, algorithm="md5")
    assert chunk_table(MemorySource(b""), budget=Budget()).length == 0


def test_usage() -> None:
    for arguments in (
        {"average": 100},
        {"minimum": 9000},
        {"maximum": 100},
        {"level": 4},
        {"level": -1},
        {"variant": "x"},
        {"minimum": 3},
        {"maximum": 1 << 31},
    ):
        with pytest.raises(UsageError):
            Chunking(**arguments)
    with pytest.raises(UsageError):
        cut(b"abc", algorithm="md17")
    with pytest.raises(UsageError):
        cut(b"abc", block=0)
    with pytest.raises(UsageError):
        cut(b"abc", algorithm="shake_128")


def test_the_budget() -> None:
    with pytest.raises(Cancelled):
        list(chunks(MemorySource(TEXT), budget=Budget(cancelled=lambda: True)))
    with pytest.raises(LimitExceeded):
        list(chunks(MemorySource(TEXT), budget=Budget(Limits(items=3))))
