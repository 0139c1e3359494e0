"""The signature scan: every SIMD level equals the twin, on any cut of any data."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.scan import scan as plain_scan
from forensiclib._plain.scan_tables import scan_compile, scan_patterns
from forensiclib.core.errors import UsageError

LEVELS = range(len(kernels.SCAN_LEVELS))


def random_patterns(rng: random.Random, count: int) -> list[tuple[bytes, bytes | None, int, int]]:
    out: list[tuple[bytes, bytes | None, int, int]] = []
    while len(out) < count:
        size = rng.choice((1, 2, 3, 3, 4, 4, 5, 8, 12, 20))
        pattern = bytes(rng.choice((0, 0xFF, 65, rng.randrange(256))) for _ in range(size))
        mask = None
        if rng.random() < 0.4:
            mask = bytes(rng.choice((0xFF, 0xFF, 0xFF, 0, 0xF0, 0xFE)) for _ in range(size))
            if not any(mask):
                continue
        align = rng.choice((1, 1, 1, 2, 16))
        out.append((pattern, mask, align, rng.randrange(align)))
    return out


def planted(rng: random.Random, patterns: list[tuple[bytes, bytes | None, int, int]], size: int) -> bytes:
    kind = rng.randrange(4)
    if kind == 0:
        data = bytearray(size)
    elif kind == 1:
        data = bytearray(b"\xff" * size)
    elif kind == 2:
        data = bytearray(rng.randbytes(size))
    else:
        data = bytearray(bytes(rng.choice((0, 0xFF, 65, 66)) for _ in range(size)))
    for pattern, _, _, _ in patterns:
        at = rng.choice((0, rng.randrange(size + 1), max(0, size - len(pattern)), max(0, size - len(pattern) + 1)))
        data[at : at + len(pattern)] = pattern[: max(0, size - at)]
    return bytes(data[:size])


@given(st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None)
def test_every_level_equals_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    patterns = random_patterns(rng, rng.choice((1, 3, 40, 90, 450)))
    data = planted(rng, patterns, rng.choice((0, 1, 3, 63, 64, 67, 130, 1000, 3000)))
    tables = scan_compile(patterns)
    start = rng.randrange(len(data) + 1)
    stop = rng.randrange(start, len(data) + 1)
    base = rng.choice((0, 7, 512, 1 << 40))
    cap = rng.choice((1, 5, 1 << 16))
    want = plain_scan(tables, data, start, stop, base, cap)
    for level in LEVELS:
        assert kernels.scan(tables, data, start, stop, base, cap, level) == want, kernels.SCAN_LEVELS[level]


@given(st.integers(0, 1 << 32))
@settings(max_examples=60, deadline=None)
def test_any_cut_and_any_cap_give_the_same_hits(seed: int) -> None:
    rng = random.Random(seed)
    patterns = random_patterns(rng, 60)
    data = planted(rng, patterns, 2000)
    tables = scan_compile(patterns)
    whole, _ = kernels.scan(tables, data)
    overlap = max(len(p) for p, _, _, _ in patterns)
    got: list[tuple[int, int]] = []
    at = 0
    while at < len(data):
        stop = min(len(data), at + rng.choice((1, 2, 15, 64, 500)))
        piece = data[at : stop + overlap]
        here, end = 0, stop - at
        while here < end:
            hits, here = kernels.scan(tables, piece, here, end, at, rng.choice((1, 2, 30)))
            got += [(at + o, n) for o, n in hits]
        at = stop
    assert got == whole


def test_against_a_regular_expression() -> None:
    rng = random.Random(3)
    words = [b"%PDF-", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"MZ", b"\0\0\x01\xba", b"RIFF"]
    data = bytearray(rng.randbytes(100_000))
    for _ in range(300):
        word = rng.choice(words)
        at = rng.randrange(len(data) - len(word))
        data[at : at + len(word)] = word
    want = sorted((m.start(), i) for i, w in enumerate(words) for m in re.finditer(b"(?=" + re.escape(w) + b")", bytes(data)))
    tables = scan_compile([(w, None, 1, 0) for w in words])
    for level in LEVELS:
        assert kernels.scan(tables, data, level=level)[0] == want


def test_a_thousand_signatures_are_all_found() -> None:
    rng = random.Random(9)
    patterns = [(rng.randbytes(rng.randrange(4, 16)), None, 1, 0) for _ in range(1000)]
    data = bytearray(100_000)
    for i, (pattern, _, _, _) in enumerate(patterns):
        data[i * 90 : i * 90 + len(pattern)] = pattern
    for level in LEVELS:
        hits = set(kernels.scan(scan_compile(patterns), data, level=level)[0])
        assert {(i * 90, i) for i in range(1000)} <= hits


def test_a_flood_of_hits_stays_bounded_and_makes_progress() -> None:
    tables = scan_compile([(b"\0", None, 1, 0), (b"\0\0", None, 1, 0)])
    for level in LEVELS:
        hits, following = kernels.scan(tables, bytes(100_000), max_hits=10, level=level)
        assert (len(hits), following) == (10, 5)


def test_the_tables_keep_the_signatures() -> None:
    patterns = [(b"ab\x10", b"\xff\xff\xf0", 4, 1), (b"RIFF", None, 1, 0)]
    assert scan_patterns(scan_compile(patterns)) == [(b"ab\x10", b"\xff\xff\xf0", 4, 1), (b"RIFF", b"\xff" * 4, 1, 0)]


def test_wrong_arguments_are_the_callers_fault() -> None:
    for patterns in ([(b"", None, 1, 0)], [(b"a", b"\0", 1, 0)], [(b"ab", b"\xff", 1, 0)], [(b"a", None, 0, 0)], [(b"a", None, 4, 4)]):
        with pytest.raises(UsageError):
            scan_compile(patterns)
    good = scan_compile([(b"abc", None, 1, 0)])
    for scan in (kernels.scan, plain_scan):
        for tables in (b"", b"x" * 32, good[:-1], good + b"x"):
            with pytest.raises(UsageError):
                scan(tables, b"abc")
        for start, stop in ((-1, 2), (2, 1), (0, 9)):
            with pytest.raises(UsageError):
                scan(good, b"abc", start, stop)
        with pytest.raises(UsageError):
            scan(good, b"abc", level=99)


@given(st.binary(max_size=40), st.integers(0, 1 << 32))
@settings(max_examples=200, deadline=None)
def test_damaged_tables_never_crash(junk: bytes, seed: int) -> None:
    rng = random.Random(seed)
    tables = bytearray(scan_compile(random_patterns(rng, 5)))
    for byte in junk:
        tables[rng.randrange(len(tables))] = byte
    try:
        hits, end = kernels.scan(bytes(tables), rng.randbytes(200))
    except UsageError:
        return
    assert end <= 200
    assert all(0 <= at < 200 for at, _ in hits)
