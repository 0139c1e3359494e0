"""ssdeep's digest and score: every SIMD level equals the twin state for state, and published digests."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import ctph as plain
from forensiclib.core.errors import UsageError

LEVELS = range(len(kernels.CTPH_LEVELS))


def made(seed: int, most: int = 4000) -> bytes:
    """Noise, runs, repeats and text, so that block sizes fill, overflow and stay empty."""
    rng = random.Random(seed)
    size, kind = rng.randrange(most), rng.randrange(6)
    if kind == 0:
        return rng.randbytes(size)
    if kind == 1:
        return bytes([rng.randrange(256)]) * size
    if kind == 2:
        return (rng.randbytes(rng.randrange(1, 40)) * size)[:size]
    if kind == 3:
        return bytes(rng.choices(b"ab", k=size))
    if kind == 4:
        return rng.randbytes(size // 2) + bytes(rng.randrange(12))
    return b"".join(rng.choice((bytes(rng.randrange(200)), rng.randbytes(rng.randrange(200)), b"lorem ipsum ")) for _ in range(size // 90))


@pytest.mark.parametrize("level", LEVELS)
@given(seed=st.integers(0, 1 << 32), cuts=st.lists(st.integers(0, 1500), max_size=4))
@settings(max_examples=60, deadline=None)
def test_every_level_has_the_state_of_the_twin(level: int, seed: int, cuts: list[int]) -> None:
    data = made(seed)
    ours, theirs, at = kernels.ctph_state(), plain.ctph_state(), 0
    for size in (*cuts, len(data)):
        kernels.ctph_update(ours, data[at : at + size], level)
        plain.ctph_update(theirs, data[at : at + size])
        assert ours == theirs
        at += size
    assert kernels.ctph_digest(ours) == plain.ctph_digest(theirs)
    whole = kernels.ctph_state()
    kernels.ctph_update(whole, data, level)
    assert whole == ours, "the cuts leave no trace"


@given(st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None)
def test_scores_equal_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    letters = rng.choice(("ABC", "ABCDEFGHIJ"))

    def record() -> bytes:
        first, second = (bytes(rng.choices(letters.encode(), k=rng.choice((0, 6, 7, 20, 63, 64)))) for _ in range(2))
        return kernels.ctph_record(rng.randrange(6), first, second)

    one = record()
    many = b"".join([record() for _ in range(20)]) + one
    assert kernels.ctph_scores(one, many) == plain.ctph_scores(one, many)
    assert kernels.ctph_scores(one, one)[0] == 100


def test_a_state_that_is_none_is_refused() -> None:
    for at, value in ((16, 40), (17, 32), (16, 1), (64, 64), (128, 64)):
        state = kernels.ctph_state()
        state[at] = value
        with pytest.raises(UsageError):
            kernels.ctph_update(state, b"x")
    for state in (bytearray(), bytearray(100)):
        with pytest.raises(UsageError):
            kernels.ctph_update(state, b"x")
    with pytest.raises(UsageError):
        kernels.ctph_update(kernels.ctph_state(), b"x", len(kernels.CTPH_LEVELS))
    good = kernels.ctph_record(0, b"ABC", b"")
    for one, many in (
        (b"", good),
        (good, good[:-1]),
        (good, b"\x1f" + good[1:]),
        (b"\0\x41" + good[2:], good),
        (good, good[:66] + b"\x41" + good[67:]),
    ):
        with pytest.raises(UsageError):
            kernels.ctph_scores(one, many)
