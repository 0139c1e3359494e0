"""Distances between hashes: compiled equals the twin, and counting by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import hamming as plain
from forensiclib.core.errors import UsageError


@given(st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None)
def test_all_equal_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    width = rng.choice((1, 7, 8, 9, 32, 36, 144))
    left, right = rng.randbytes(width * rng.randrange(12)), rng.randbytes(width * rng.randrange(12))
    one = rng.randbytes(width)
    assert kernels.hamming_distances(one, right) == plain.hamming_distances(one, right)
    assert kernels.square_distances(one, right) == plain.square_distances(one, right)
    most, room = rng.randrange(8 * width + 1), rng.randrange(max(1, len(right) // width), 200)
    assert kernels.hamming_pairs(left, right, width, most, room) == plain.hamming_pairs(left, right, width, most, room)


def test_by_hand() -> None:
    assert list(memoryview(kernels.hamming_distances(b"\xff\x00", b"\xff\x00\x00\xff\xfe\x01")).cast("H")) == [0, 16, 2]
    assert list(memoryview(kernels.square_distances(b"\x00\x05", b"\xff\x05\x03\x01")).cast("I")) == [255**2, 25]
    lefts, rights, apart, done = kernels.hamming_pairs(b"\x00\x01\xff", b"\x00\x03", 1, 1, 10)
    assert (list(lefts), list(rights), list(memoryview(apart).cast("H")), done) == ([0, 1, 1], [0, 0, 1], [0, 1, 1], 3)


def test_sizes_that_do_not_fit() -> None:
    for call in (kernels.hamming_distances, kernels.square_distances):
        for one, many in ((b"", b""), (b"ab", b"abc"), (bytes(4097), bytes(4097))):
            with pytest.raises(UsageError):
                call(one, many)
    for arguments in ((b"abc", b"ab", 2, 0, 9), (b"ab", b"abab", 2, -1, 9), (b"ab", b"abab", 2, 0, 1)):
        with pytest.raises(UsageError):
            kernels.hamming_pairs(*arguments)
