"""The scan at the scale of keyword lists, on sectors, in floods, at the very end of memory, and on damaged tables."""

from __future__ import annotations

import ctypes
import mmap
import random
import re
import sys
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.scan import scan as plain_scan
from forensiclib._plain.scan import scan_columns as plain_columns
from forensiclib._plain.scan_tables import HEADER
from forensiclib._plain.scan_tables import scan_compile as plain_compile
from forensiclib.core.errors import UsageError

LEVELS = range(len(kernels.SCAN_LEVELS))
Patterns = list[tuple[bytes, bytes | None, int, int]]


def keywords(words: list[bytes]) -> Patterns:
    """Each in UTF-8, UTF-16LE and UTF-16BE, whatever the case of its letters."""
    out: Patterns = []
    for word in words:
        mask = bytes(0xDF if chr(c).isalpha() else 0xFF for c in word)
        want = bytes(c & m for c, m in zip(word, mask, strict=True))
        out.append((want, mask, 1, 0))
        out.append((b"".join(bytes((c, 0)) for c in want), b"".join(bytes((m, 255)) for m in mask), 1, 0))
        out.append((b"".join(bytes((0, c)) for c in want), b"".join(bytes((255, m)) for m in mask), 1, 0))
    return out


def made_up(rng: random.Random, count: int, alphabet: bytes = b"abcdeinrst") -> list[bytes]:
    return [bytes(rng.choice(alphabet) for _ in range(rng.randrange(3, 12))) for _ in range(count)]


def few_letters(rng: random.Random, count: int) -> Patterns:
    """Patterns of an alphabet so small that data of the same is full of near misses."""
    alphabet = rng.choice((b"\0a", b"ab", b"aA\0", bytes((0, 32, 64, 96)), b"abc\xff"))
    out: Patterns = []
    for _ in range(count):
        size = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 40)) if count < 500 else rng.randrange(5, 24)
        want = bytes(rng.choice(alphabet) for _ in range(size))
        mask = bytes(rng.choice((0xFF, 0xDF, 0xFF, 0xF0, 0)) for _ in range(size)) if rng.random() < 0.4 else None
        align = rng.choice((1, 1, 1, 3, 512, 1000))
        if mask is None or any(mask):
            out.append((want, mask, align, rng.randrange(align)))
    return out


@given(st.integers(0, 1 << 32))
@settings(max_examples=50, deadline=None)
def test_near_misses_and_hits_without_end(seed: int) -> None:
    rng = random.Random(seed)
    patterns = few_letters(rng, rng.choice((1, 2, 8, 20)))
    letters = bytes({c for want, _, _, _ in patterns for c in want}) or b"a"
    data = bytes(rng.choices(letters, k=rng.choice((0, 5, 70, 140, 700))))
    tables = kernels.scan_compile(patterns)
    assert tables == plain_compile(patterns)
    start = rng.randrange(len(data) + 1)
    stop = rng.randrange(start, len(data) + 1)
    base, cap = rng.choice((0, 3, 512 * 7 + 1)), rng.choice((1, 50, 1000, 1 << 20))
    want = plain_scan(tables, data, start, stop, base, cap)
    for level in LEVELS:
        assert kernels.scan(tables, data, start, stop, base, cap, level) == want, kernels.SCAN_LEVELS[level]


@given(st.integers(0, 1 << 32), st.sampled_from([30, 350]))
@settings(max_examples=3, deadline=None)
def test_long_lists_of_words_in_three_encodings(seed: int, count: int) -> None:
    rng = random.Random(seed)
    words = made_up(rng, count)
    patterns = keywords(words)
    tables = kernels.scan_compile(patterns)
    assert tables == plain_compile(patterns)
    text = b" ".join(rng.choice((w, w.upper(), w[:-1], w.title())) for w in rng.choices(words, k=200))
    wide = text.decode().encode(rng.choice(("utf-16-le", "utf-16-be")))
    data = text + bytes(rng.randrange(300)) + wide + rng.randbytes(200) + words[0]
    want = plain_scan(tables, data, max_hits=1 << 20)
    for level in LEVELS:
        assert kernels.scan(tables, data, max_hits=1 << 20, level=level) == want, kernels.SCAN_LEVELS[level]


@pytest.mark.parametrize("count", [0, 1, 65, 1000, 1024, 1025, 2000, 2100])
def test_compiled_and_plain_make_the_same_tables(count: int) -> None:
    rng = random.Random(count)
    patterns: Patterns = [(rng.randbytes(rng.randrange(3, 20)), None, rng.choice((1, 4, 512)), 0) for _ in range(count)]
    assert kernels.scan_compile(patterns) == plain_compile(patterns)


@pytest.mark.bulk
def test_words_against_a_regular_expression() -> None:
    rng = random.Random(4)
    words = sorted(set(made_up(rng, 900)))
    data = b" ".join(rng.choices(words, k=9000)).title()
    want = []
    for number, word in enumerate(words):
        want += [(m.start(), 3 * number) for m in re.finditer(b"(?=" + word + b")", data, re.IGNORECASE)]
    tables = kernels.scan_compile(keywords(words))
    for level in LEVELS:
        assert kernels.scan(tables, data, max_hits=1 << 24, level=level) == (sorted(want), len(data))


@pytest.mark.bulk
def test_sixty_thousand_words_are_found_and_their_tables_are_bounded() -> None:
    rng = random.Random(6)
    words = sorted({bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=rng.randrange(5, 20))) for _ in range(20_000)})
    patterns = keywords(words)[:60_000]
    tables = kernels.scan_compile(patterns)
    assert len(tables) < (23 << 20) // 10 + sum(2 * len(want) + 48 for want, _, _, _ in patterns)
    sample = rng.sample(range(len(patterns)), 3000)
    data, places = b"", {}
    for number in sample:
        places[number] = len(data)
        data += patterns[number][0] + b"\x01"
    for level in LEVELS:
        hits = set(kernels.scan(tables, data, max_hits=1 << 24, level=level)[0])
        assert {(at, number) for number, at in places.items()} <= hits


@given(st.integers(0, 1 << 32))
@settings(max_examples=25, deadline=None)
def test_signatures_on_sectors_are_found_there_and_nowhere_else(seed: int) -> None:
    rng = random.Random(seed)
    patterns: Patterns = []
    for _ in range(rng.choice((1, 5, 80))):
        align = rng.choice((512, 512, 1024, 4096, 1000))
        patterns.append((rng.choice((b"\0\0", b"BM", b"NTFS", b"ab" * 9)), None, align, rng.choice((0, 3, align - 1))))
    if rng.random() < 0.3:
        patterns.append((b"ba", None, 1, 0))
    data = bytearray(b"\x01" * 9000)
    for _ in range(200):
        want = rng.choice(patterns)[0]
        at = rng.choice((rng.randrange(9000), 512 * rng.randrange(17), 512 * rng.randrange(17) + 3))
        data[at : at + len(want)] = want
    raw = bytes(data[:9000])
    tables = kernels.scan_compile(patterns)
    assert tables == plain_compile(patterns)
    for base in (0, 512, 700):
        want_hits = plain_scan(tables, raw, 10, 8000, base, 40)
        for level in LEVELS:
            assert kernels.scan(tables, raw, 10, 8000, base, 40, level) == want_hits


def test_columns_are_the_hits() -> None:
    tables = kernels.scan_compile([(b"a", None, 1, 0), (b"aa", None, 1, 0)])
    data = b"aab" * 100
    hits, following = kernels.scan(tables, data, max_hits=50)
    for columns in (kernels.scan_columns, plain_columns):
        offsets, numbers, end = columns(tables, data, max_hits=50)
        assert list(zip(array("q", offsets), array("I", numbers), strict=True)) == hits
        assert end == following
        assert columns(tables, b"", 0, 0) == (b"", b"", 0)
    with pytest.raises(UsageError):
        kernels.scan_columns(b"", data)


def test_a_flood_goes_on_where_it_stopped() -> None:
    patterns: Patterns = [(b"the", b"\xdf" * 3, 1, 0), (b"\0\0\0\0", None, 1, 0), (b"t\0h\0e\0", None, 1, 0), (b"\0", None, 512, 5)]
    data = b"the " * 3000 + bytes(20_000) + "the".encode("utf-16-le") * 3000
    tables = kernels.scan_compile([(bytes(a & b for a, b in zip(w, m or b"\xff" * 9, strict=False)), m, n, p) for w, m, n, p in patterns])
    whole = plain_scan(tables, data, max_hits=1 << 20)[0]
    for level in LEVELS:
        got: list[tuple[int, int]] = []
        here = 0
        while here < len(data):
            hits, following = kernels.scan(tables, data, here, max_hits=1000, level=level)
            assert following > here
            assert len(hits) <= 1000 + len(patterns)
            got += hits
            here = following
        assert got == whole


@pytest.mark.skipif(sys.platform != "linux", reason="protects memory with the C library of Linux")
def test_nothing_is_read_before_or_after_the_data() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    page = mmap.PAGESIZE
    room = mmap.mmap(-1, 4 * page)
    first = ctypes.addressof(ctypes.c_char.from_buffer(room))
    for place in (0, 3):
        assert libc.mprotect(first + place * page, page, 0) == 0
    rng = random.Random(8)
    lists: list[Patterns] = [
        [(b"ab", None, 1, 0), (b"c", None, 1, 0)],
        [(b"cab" * 7, None, 1, 0), (b"abca", None, 1, 0), (b"\0\0\0\0\0", None, 512, 0)],
        keywords(made_up(rng, 70, b"abc")),
        keywords(made_up(rng, 342, b"abcdefgh")),
    ]
    for patterns in lists:
        tables = kernels.scan_compile(patterns)
        for size in (1, 2, 3, 5, 7, 8, 63, 64, 71, 72, 73, 130, 700, 4097):
            text = (
                bytes(rng.choices(b"abc\0", (4, 4, 4, 5), k=size))
                if size % 2
                else b"".join(bytes((c, 0)) for c in rng.choices(b"abc", k=size // 2))
            )
            want = plain_scan(tables, text, max_hits=1 << 20)
            for at in (page, 3 * page - size):
                room[at : at + size] = text
                data = (ctypes.c_ubyte * size).from_address(first + at)
                for level in LEVELS:
                    assert kernels.scan(tables, memoryview(data).cast("B"), max_hits=1 << 20, level=level) == want


def scanned(tables: bytes, data: bytes) -> None:
    for level in LEVELS:
        try:
            hits, end = kernels.scan(tables, data, max_hits=1000, level=level)
        except UsageError:
            continue
        assert 0 <= end <= len(data)
        assert all(0 <= at < len(data) for at, _ in hits)


@pytest.mark.bulk
@given(st.integers(0, 1 << 32))
@settings(max_examples=80, deadline=None)
def test_damaged_tables_of_every_kind_never_crash(seed: int) -> None:
    rng = random.Random(seed)
    patterns = rng.choice((few_letters(rng, 9), keywords(made_up(rng, 70)), keywords(made_up(rng, 350)) + few_letters(rng, 3)))
    tables = bytearray(kernels.scan_compile(patterns))
    front = HEADER.size + 2560 + 256 + 4096
    for _ in range(rng.choice((1, 3, 40))):
        at = rng.choice((rng.randrange(HEADER.size), rng.randrange(front, len(tables)), rng.randrange(len(tables))))
        tables[at] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
    scanned(bytes(tables), bytes(rng.choices(b"abcdeinrst\0\0", k=5000)))
