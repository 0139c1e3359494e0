"""Block hashes of sources: hashlib, md5deep and hashdeep beside them; damage, sparse ranges, threads and pieces."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib.core.errors import Cancelled, Corrupt, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource, FileSource, MemorySource, WritableBuffer, clip
from forensiclib.core.span import Span
from forensiclib.hashing.blocks import BLOCK_ALGORITHMS, PIECE, block_hashes, block_rows
from tests.hashing.damaged import Damaged

NOISE = random.Random(1).randbytes(200_000)
MIXED = bytes(PIECE) + NOISE + b"\xff" * 5000 + bytes(PIECE + 777) + NOISE[:999]


def rows(source: ByteSource, size: int = 4096, algorithm: str = "md5", **options) -> list[dict]:
    budget = options.pop("budget", None) or Budget()
    return [row for batch in block_hashes(source, size, algorithm, budget=budget, **options) for row in batch.rows()]


@pytest.mark.parametrize("algorithm", BLOCK_ALGORITHMS)
@pytest.mark.parametrize("size", [64, 512, 4096, 4160, 1 << 21])
def test_hashlib_says_the_same(algorithm: str, size: int) -> None:
    data = MIXED if size > 64 else MIXED[PIECE - 5000 : PIECE + 5000]
    got = rows(MemorySource(data), size, algorithm, verdict=False)
    assert [r["offset"] for r in got] == list(range(0, len(data), size))
    assert [r["digest"] for r in got] == [hashlib.new(algorithm, data[at : at + size]).digest() for at in range(0, len(data), size)]
    assert sum(r["length"] for r in got) == len(data) and {r["length"] for r in got[:-1]} <= {size}
    assert set(got[0]) == {"offset", "length", "digest", "unreadable"}


@pytest.mark.parametrize("length", [0, 1, 63, 64, 4095, 4096, 4097])
def test_short_sources(length: int) -> None:
    for data in (NOISE[:length], bytes(length)):
        wanted = [hashlib.md5(data[at : at + 4096]).digest() for at in range(0, length, 4096)]
        assert [r["digest"] for r in rows(MemorySource(data))] == wanted


@given(
    bad=st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 9000)), max_size=4),
    size=st.sampled_from((64, 192, 512, 4096, 4160, 16384)),
    length=st.integers(1, 60_000),
    piece=st.none() | st.integers(1, 70_000),
    threads=st.sampled_from((1, 3)),
)
@settings(max_examples=60, deadline=None)
def test_damage_is_the_same_for_any_piece_and_any_threads(bad, size: int, length: int, piece: int, threads: int) -> None:
    data = NOISE[:length]
    budget = Budget()
    got = rows(Damaged(data, bad), size, budget=budget, piece=piece, threads=threads, on_bad="fill", entropy=True, k_entropy=True)
    read, missing, told = bytearray(data), bytearray(length), set()
    for at in range(0, length, 4096):
        end = min(at + 4096, length)
        hits = [(start, n) for start, n in bad if start < end and at < start + n]
        if hits:
            told.add(hits[0])
            read[at:end] = bytes(end - at)
            missing[at:end] = b"\1" * (end - at)
    cuts = range(0, length, size)
    assert [r["digest"] for r in got] == [hashlib.md5(read[at : at + size]).digest() for at in cuts]
    assert [r["unreadable"] for r in got] == [sum(missing[at : at + size]) for at in cuts]
    assert {(f.span.start, f.span.length) for f in budget.findings} == told and len(budget.findings) == len(told)
    if not told:
        assert got == rows(MemorySource(data), size, entropy=True, k_entropy=True)


def test_damage_stops_the_iteration_unless_it_may_be_filled() -> None:
    source = Damaged(NOISE, [(100_000, 1)])
    made = block_hashes(source, budget=Budget(), piece=65536)
    assert len(next(made)) == 16
    with pytest.raises(Corrupt):
        next(made)


class Unread(ByteSource):
    """A source that must not be read."""

    size = 3 << 20

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        raise AssertionError("read")

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return (Span("media", offset, clip(offset, n, self.size)),)


@pytest.mark.parametrize("size", [512, 4096, 12_288])
@pytest.mark.parametrize("algorithm", BLOCK_ALGORITHMS)
def test_sparse_ranges_are_not_read_and_give_the_same(algorithm: str, size: int) -> None:
    options = {"entropy": True, "k_entropy": True, "threads": 2}
    sparse = ExtentSource(Unread(), [(None, 3 * PIECE + 12345)])
    assert rows(sparse, size, algorithm, **options) == rows(MemorySource(bytes(3 * PIECE + 12345)), size, algorithm, **options)
    zeros = bytes(size)
    measured = kernels.block_measures(zeros, size)
    assert all(not any(m) for m in measured), "what the fast path states"
    half = ExtentSource(MemorySource(NOISE), [(0, 150_016), (None, 2 * PIECE), (150_016, 40_000)])
    whole = NOISE[:150_016] + bytes(2 * PIECE) + NOISE[150_016:190_016]
    assert rows(half, size, algorithm, **options) == rows(MemorySource(whole), size, algorithm, **options)


def test_verdicts_and_entropies_travel() -> None:
    got = rows(MemorySource(bytes(4096) + b"\x55\xaa" * 2048 + NOISE[:4096]), entropy=True, k_entropy=True)
    assert [(r["verdict"], r["period"], r["entropy"], r["k_entropy"]) for r in got[:2]] == [("zero", 0, 0.0, 0), ("repeating", 2, 1.0, 0)]
    assert got[2]["verdict"] == "distinctive" and 7.9 < got[2]["entropy"] < 8 and 10_800 < got[2]["k_entropy"] <= 11_000
    lines = [text for _, text in block_rows(block_hashes(MemorySource(b"\x55\xaa" * 2048), budget=Budget()))]
    assert lines == [f"             0  {hashlib.md5(bytes((0x55, 0xAA)) * 2048).hexdigest()}  repeating (2 bytes)"]


def test_the_callers_executor_progress_and_cancelling() -> None:
    said: list[tuple[int, int]] = []
    before = threading.active_count()
    with ThreadPoolExecutor(2) as pool:
        got = rows(MemorySource(MIXED), executor=pool, threads=2, progress=lambda done, total: said.append((done, total)))
        assert pool.submit(int, "7").result() == 7
    assert got == rows(MemorySource(MIXED))
    assert [d for d, _ in said] == sorted(d for d, _ in said) and said[-1] == (len(MIXED), len(MIXED))
    stop = iter((False, False, True, True, True))
    made = block_hashes(MemorySource(MIXED), budget=Budget(cancelled=lambda: next(stop)), threads=2)
    with pytest.raises(Cancelled):
        list(made)
    left = block_hashes(MemorySource(MIXED), budget=Budget(), threads=3)
    next(left)
    left.close()
    assert threading.active_count() == before


def test_what_cannot_be_asked() -> None:
    for options in ({"size": 100}, {"size": 0}, {"algorithm": "crc32"}, {"threads": 0}, {"piece": 0}, {"on_bad": "skip"}):
        with pytest.raises(UsageError):
            block_hashes(MemorySource(b"x"), budget=Budget(), **options)


@pytest.mark.parametrize(("tool", "algorithm"), [("md5deep", "md5"), ("sha1deep", "sha1"), ("sha256deep", "sha256")])
@pytest.mark.parametrize("size", [512, 4096])
def test_md5deep_says_the_same(example: Path, tool: str, algorithm: str, size: int) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} (Debian package hashdeep) is not installed")
    done = subprocess.run([tool, "-p", str(size), "-b", example], capture_output=True, text=True, check=True)
    theirs = re.findall(r"^([0-9a-f]+)\s+\S+ offset (\d+)-(\d+)$", done.stdout, re.M)
    assert len(theirs) == -(-example.stat().st_size // size)
    ours = [(r["digest"].hex(), str(r["offset"]), str(r["offset"] + r["length"] - 1)) for r in rows(FileSource(example), size, algorithm)]
    assert ours == theirs
