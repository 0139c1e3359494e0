"""Hashes of pictures: compiled equals the twin bit for bit."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import pdq as plain
from forensiclib.core.errors import UsageError


def picture(rng: random.Random, size: int) -> bytes:
    kind = rng.randrange(3)
    if kind == 0:
        return bytes([rng.randrange(256)]) * size
    if kind == 1:
        return rng.randbytes(size)
    return bytes(i * rng.randrange(1, 9) // 7 & 255 for i in range(size))


@given(st.integers(0, 1 << 32))
@settings(max_examples=12, deadline=None)
def test_pdq_equals_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    rows, columns, channels = rng.choice((1, 4, 5, 30, 64, 129)), rng.choice((2, 5, 64, 70, 130)), rng.choice((1, 3))
    pixels = picture(rng, rows * columns * channels)
    assert kernels.pdq_hash(pixels, rows, columns, channels) == plain.pdq_hash(pixels, rows, columns, channels)


@given(st.integers(0, 1 << 32))
@settings(max_examples=40, deadline=None)
def test_the_dct_hash_equals_the_twin(seed: int) -> None:
    pixels = picture(random.Random(seed), 1024)
    assert kernels.picture_dct(pixels) == plain.picture_dct(pixels)


def test_sizes_that_do_not_fit() -> None:
    for pixels, rows, columns, channels in ((b"", 0, 0, 3), (bytes(74), 5, 5, 3), (bytes(50), 5, 5, 2), (bytes(25), -5, -5, 1)):
        with pytest.raises(UsageError):
            kernels.pdq_hash(pixels, rows, columns, channels)
    with pytest.raises(UsageError):
        kernels.picture_dct(bytes(1023))
