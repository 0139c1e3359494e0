"""Every combinator obeys the contract; what it may not do raises."""

from __future__ import annotations

import os
import pickle
import random
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib.core.entry import Volume, beneath
from forensiclib.core.errors import Corrupt, EvidenceError, Unreadable, UsageError
from forensiclib.core.source import (
    ByteSource,
    ChunkedSource,
    ConcatSource,
    ExtentSource,
    FileSource,
    MemorySource,
    OverlaySource,
    SliceSource,
    as_file,
    clip,
    fill_bad,
)  # fmt: skip
from forensiclib.core.span import Span, merge, total
from forensiclib.testing.contracts import SourceContract

BASE = random.Random(3).randbytes(100_003)
ROOT = {"memory": BASE}


class TestMemory(SourceContract):
    def make(self):
        return MemorySource(BASE), BASE

    def root(self):
        return ROOT


class TestFile(SourceContract):
    def make(self):
        fd, path = tempfile.mkstemp()
        os.write(fd, BASE)
        os.close(fd)
        source = FileSource(path, "memory")
        os.unlink(path)
        return source, BASE

    def root(self):
        return ROOT


class TestSlice(SourceContract):
    def make(self):
        return SliceSource(SliceSource(MemorySource(BASE), 100, 70_000), 411, 50_000), BASE[511:50_511]

    def root(self):
        return ROOT


class TestConcat(SourceContract):
    def make(self):
        whole = MemorySource(BASE)
        return ConcatSource([whole.slice(0, 10), whole.slice(10, 0), whole.slice(10, 60_000), whole.slice(5, 3)]), (
            BASE[:60_010] + BASE[5:8]
        )

    def root(self):
        return ROOT


class TestExtents(SourceContract):
    def make(self):
        runs = [(4096, 8192), (None, 4096), (0, 4096), (90_000, 5000)]
        truth = BASE[4096:12288] + bytes(4096) + BASE[:4096] + BASE[90_000:95_000]
        valid = 18_000
        size = 20_500
        truth = truth[:valid] + bytes(size - valid)
        return ExtentSource(MemorySource(BASE), runs, size, valid), truth

    def root(self):
        return ROOT


class TestChunked(SourceContract):
    def make(self):
        def decode(i: int) -> bytes:
            return BASE[i * 1000 : (i + 1) * 1000]

        def origin(i: int) -> tuple[Span, ...]:
            return (Span("memory", i * 1000, len(decode(i))),)

        return ChunkedSource(len(BASE), 1000, decode, origin, keep=3), BASE

    def root(self):
        return ROOT


class TestOverlay(SourceContract):
    def make(self):
        patches = [
            (100, MemorySource(b"A" * 50, "log")),
            (120, MemorySource(b"B" * 60, "log2")),
            (100_000, MemorySource(b"C" * 20, "log3")),
        ]
        truth = bytearray(BASE + bytes(17))
        truth[100:150] = b"A" * 50
        truth[120:180] = b"B" * 60
        truth[100_000:100_020] = b"C" * 20
        return OverlaySource(MemorySource(BASE), patches), bytes(truth)


class TestFillBad(SourceContract):
    def make(self):
        return fill_bad(MemorySource(BASE), lambda e: None), BASE

    def root(self):
        return ROOT


@given(st.integers(-(1 << 70), 1 << 70), st.integers(-(1 << 70), 1 << 70), st.integers(0, 1 << 65))
def test_clip_never_leaves_the_source(offset, n, size):
    if offset < 0 or n < 0:
        with pytest.raises(UsageError):
            clip(offset, n, size)
        return
    got = clip(offset, n, size)
    assert 0 <= got <= n and (got == 0 or offset + got <= size)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", ""]), st.integers(0, 100), st.integers(0, 50)), max_size=20))
def test_merge_keeps_every_byte_in_order(parts):
    spans = [Span(r, s if r else 0, n, () if r else ("zero",), bool(r)) for r, s, n in parts]
    merged = merge(spans)
    assert total(merged) == total(spans)

    def points(items):
        return [(s.root, s.start + i) if s.root else ("", 0) for s in items for i in range(s.length)]

    assert points(merged) == points(spans)


def test_an_extent_outside_its_volume_is_unreadable_not_zero():
    source = ExtentSource(MemorySource(BASE), [(len(BASE) - 10, 100)])
    with pytest.raises(Unreadable):
        source.read_at(0, 100)
    assert source.read_at(0, 10) == BASE[-10:]


def test_missing_extents_are_unreadable_not_zero():
    source = ExtentSource(MemorySource(BASE), [(0, 10)], size=100)
    with pytest.raises(Unreadable):
        source.read_at(0, 11)


def test_a_gap_under_an_overlay_is_unreadable():
    source = OverlaySource(MemorySource(b"abc"), [(10, MemorySource(b"xyz"))])
    assert source.size == 13 and source.read_at(10, 3) == b"xyz"
    with pytest.raises(Unreadable):
        source.read_at(2, 4)


class Holed(ByteSource):
    """Reads as BASE except where ``bad`` lies in the range."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.size = bad, len(BASE)

    def read_into(self, offset, buffer):
        n = clip(offset, len(buffer), self.size)
        for at in self.bad:
            if offset <= at < offset + n:
                raise Corrupt("test", Span("memory", at, 1), "bad")
        memoryview(buffer)[:n] = BASE[offset : offset + n]
        return n

    def trace(self, offset, n):
        return (Span("memory", offset, clip(offset, n, self.size)),)


@given(st.sets(st.integers(0, len(BASE) - 1), max_size=5), st.integers(0, len(BASE)), st.integers(0, 30_000))
def test_fill_bad_loses_only_the_bad_grains_and_reports_each(bad, at, n):
    errors: list[EvidenceError] = []
    got = fill_bad(Holed(bad), errors.append, 512).read_at(at, n)
    want = bytearray(BASE[at : at + n])
    grains = {b // 512 for b in bad if at <= b < at + len(want)}
    for g in grains:
        low, high = max(at, g * 512), min(at + len(want), g * 512 + 512)
        want[low - at : high - at] = bytes(high - low)
    assert got == bytes(want)
    assert len(errors) == len(grains)


def test_as_file_reads_and_seeks_like_a_file():
    with as_file(MemorySource(BASE)) as file:
        assert file.read(10) == BASE[:10]
        file.seek(-5, 2)
        assert file.read() == BASE[-5:]
        assert file.seek(50_000) == 50_000 and file.read(4) == BASE[50_000:50_004]


def test_file_source_pickles_by_path(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(BASE)
    again = pickle.loads(pickle.dumps(FileSource(path, "memory")))  # noqa: S301
    assert again.read_at(0, 100) == BASE[:100] and again.trace(0, 1)[0].root == "memory"


def test_evidence_is_opened_read_only(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    source = FileSource(path)
    with pytest.raises(OSError):
        os.write(source._fd, b"x")
    assert path.read_bytes() == b"abc"


def test_beneath_finds_a_source_under_facts_and_filled_damage():
    inner = MemorySource(BASE)
    volume = Volume(fill_bad(Volume(inner, index=1, start=0, scheme="x"), lambda e: None), index=0, start=0, scheme="y")
    assert beneath(volume, MemorySource) is inner and beneath(inner, MemorySource) is inner
    assert beneath(SliceSource(inner, 0, 4), MemorySource) is None  # other bytes
