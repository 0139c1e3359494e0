"""Scattered files hashed while the disk goes by: the digests of reading each alone."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib.core.errors import Cancelled, Corrupt, EvidenceError, Unreadable, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource, MemorySource, WritableBuffer, clip
from forensiclib.core.span import Span
from forensiclib.hashing.digest import BLOCK, digest
from forensiclib.hashing.extents import Extents, digest_extents

DISK = random.Random(1).randbytes(3 * BLOCK + 5000)
PLACES = st.one_of(st.none(), st.integers(0, len(DISK) - 1), st.sampled_from((0, BLOCK - 512, BLOCK, 2 * BLOCK - 1)))
PIECES = st.lists(st.tuples(PLACES, st.sampled_from((0, 1, 512, 4096, 70_000, BLOCK + 3))), max_size=6)


class Counted(ByteSource):
    """The disk, some of it unreadable, counting what is read of it."""

    def __init__(self, bad: tuple[tuple[int, int], ...] = ()) -> None:
        self.size, self.bad, self.reads = len(DISK), bad, list[tuple[int, int]]()

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        self.reads.append((offset, n))
        for start, length in self.bad:
            if start < offset + n and offset < start + length:
                raise Corrupt("chunk", Span("media", start, length), "checksum")
        buffer[:n] = DISK[offset : offset + n]
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span("media", offset, n),) if n else ()


def alone(file: Extents, source: ByteSource, fill: bool = False) -> tuple[dict[str, str], tuple[Span, ...]] | tuple[str, str]:
    """hashlib over the file read by itself; for one that cannot be read the error."""
    stream = ExtentSource(source, file.pieces, file.size, file.valid)
    if fill:
        got = digest(stream, ("md5", "sha1"), budget=Budget(), on_bad="fill")
        return dict(got.values), got.bad
    try:
        data = stream.read_at(0, stream.size)
    except EvidenceError as error:
        return type(error).__name__, error.what
    return {"md5": hashlib.md5(data).hexdigest(), "sha1": hashlib.sha1(data).hexdigest()}, ()


@given(
    st.lists(st.tuples(PIECES, st.integers(0, 5000), st.booleans(), st.integers(0, 3)), max_size=8),
    st.sampled_from((1, 5000, 1 << 20, 1 << 26)),
)
@settings(max_examples=150, deadline=None)
def test_equal_to_each_file_alone(shapes: list[tuple[list[tuple[int | None, int]], int, bool, int]], memory: int) -> None:
    files = []
    for key, (pieces, less, valid, over) in enumerate(shapes):
        fitting = tuple((p, n if p is None or over == 3 else min(n, len(DISK) - p)) for p, n in pieces)
        room = sum(n for _, n in fitting)
        size = room + over * 1000 if over == 2 else max(0, room - less)
        files.append(Extents(key, fitting, size, size // 2 if valid else None))
    want = [alone(f, MemorySource(DISK)) for f in files]
    good = [f for f, w in zip(files, want, strict=True) if isinstance(w[0], dict)]
    got = {h.key: dict(h.digests.values) for h in digest_extents(MemorySource(DISK), good, budget=Budget(), memory=memory)}
    assert got == {f.key: want[f.key][0] for f in good}  # type: ignore[call-overload]
    for file, wrong in zip(files, want, strict=True):
        if not isinstance(wrong[0], dict):
            with pytest.raises(EvidenceError) as caught:
                list(digest_extents(MemorySource(DISK), [file], budget=Budget()))
            assert (type(caught.value).__name__, caught.value.what) == wrong


@given(st.lists(PIECES, min_size=1, max_size=6), st.lists(st.tuples(st.integers(0, len(DISK) - 1), st.sampled_from((1, 600))), max_size=3))
@settings(max_examples=60, deadline=None)
def test_damage_is_each_files_own(shapes: list[list[tuple[int | None, int]]], bad: list[tuple[int, int]]) -> None:
    files = []
    for key, pieces in enumerate(shapes):
        fitting = tuple((p, n if p is None else min(n, len(DISK) - p)) for p, n in pieces)
        files.append(Extents(key, fitting, sum(n for _, n in fitting)))
    disk = Counted(tuple(bad))
    got = {h.key: (dict(h.digests.values), h.digests.bad) for h in digest_extents(disk, files, budget=Budget(), on_bad="fill")}
    assert got == {f.key: alone(f, disk, fill=True) for f in files}


def test_a_file_that_runs_backwards_and_one_pass() -> None:
    step = 4096
    backwards = tuple((at, step) for at in range(len(DISK) // step * step - step, -1, -step))
    forwards = tuple((at, step) for at in range(0, len(DISK) // step * step, 2 * step))
    files = [Extents("back", backwards, len(backwards) * step), Extents("fore", forwards, len(forwards) * step)]
    disk = Counted()
    got = {h.key: h for h in digest_extents(disk, files, ("sha256",), budget=Budget())}
    for file in files:
        data = b"".join(DISK[s : s + n] for s, n in file.pieces if s is not None)
        assert got[file.key].digests["sha256"] == hashlib.sha256(data).hexdigest()
        assert not got[file.key].again
    assert disk.reads == sorted(disk.reads)
    assert sum(n for _, n in disk.reads) <= len(DISK)  # once, for both
    small = {h.key: h for h in digest_extents(Counted(), files, ("sha256",), budget=Budget(), memory=1 << 20)}
    assert small["back"].again
    assert not small["fore"].again
    assert {k: h.digests for k, h in small.items()} == {k: h.digests for k, h in got.items()}


def test_gaps_are_not_read_and_neighbours_are_read_together() -> None:
    disk = Counted()
    files = [Extents(i, ((i * 8192, 4096),), 4096) for i in range(20)] + [Extents("far", ((2 * BLOCK, 10),), 10)]
    assert len(list(digest_extents(disk, files, budget=Budget()))) == 21
    assert disk.reads == [(0, 19 * 8192 + 4096), (2 * BLOCK, 10)]


def test_sparse_and_empty_files_read_nothing() -> None:
    disk = Counted()
    files = [Extents("empty", (), 0), Extents("holes", ((None, 3 * BLOCK),), 3 * BLOCK), Extents("invalid", ((0, 9000),), 9000, 0)]
    got = {h.key: h.digests for h in digest_extents(disk, files, budget=Budget())}
    for file in files:
        assert got[file.key]["md5"] == hashlib.md5(bytes(file.size)).hexdigest()
        assert got[file.key].size == file.size
    assert disk.reads == []


def test_stops_and_mistakes() -> None:
    files = [Extents(1, ((0, 3 * BLOCK),), 3 * BLOCK)]
    with pytest.raises(Cancelled):
        list(digest_extents(Counted(), files, budget=Budget(cancelled=lambda: True)))
    with pytest.raises(UsageError):
        list(digest_extents(Counted(), files, ("md4",), budget=Budget()))
    with pytest.raises(Unreadable):
        list(digest_extents(Counted(), [Extents(1, ((len(DISK), 10),), 10)], budget=Budget()))
