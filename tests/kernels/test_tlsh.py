"""TLSH: compiled equals the twin, state for state and distance for distance."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import tlsh as plain
from forensiclib.core.errors import UsageError

from .test_ctph import made


@pytest.mark.parametrize("level", range(len(kernels.TLSH_LEVELS)))
@given(seed=st.integers(0, 1 << 32), cuts=st.lists(st.integers(0, 9), max_size=6))
@settings(max_examples=100, deadline=None)
def test_states_and_digests_equal_the_twin(level: int, seed: int, cuts: list[int]) -> None:
    data, at = made(seed, 1500), 0
    ours, theirs = kernels.tlsh_state(), plain.tlsh_state()
    for size in (*cuts, len(data)):
        kernels.tlsh_update(ours, data[at : at + size], level)
        plain.tlsh_update(theirs, data[at : at + size])
        assert ours == theirs
        at += size
    assert kernels.tlsh_digest(ours) == plain.tlsh_digest(theirs)


@given(st.integers(0, 1 << 32), st.booleans())
@settings(max_examples=100, deadline=None)
def test_distances_equal_the_twin(seed: int, length: bool) -> None:
    rng = random.Random(seed)
    one, many = rng.randbytes(35), rng.randbytes(35 * rng.randrange(20))
    assert kernels.tlsh_distances(one, many, length) == plain.tlsh_distances(one, many, length)
    assert kernels.tlsh_distances(one, one, length) == bytes(2)


def test_lengths_that_do_not_fit() -> None:
    with pytest.raises(UsageError):
        kernels.tlsh_update(bytearray(10), b"x")
    with pytest.raises(UsageError):
        kernels.tlsh_update(kernels.tlsh_state(), b"x", len(kernels.TLSH_LEVELS))
    for one, many in ((b"", bytes(35)), (bytes(35), bytes(34))):
        with pytest.raises(UsageError):
            kernels.tlsh_distances(one, many)
