"""The gear hash: compiled equals the twin on any cut of any data."""

from __future__ import annotations

import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.gear import gear_cuts as plain
from forensiclib.core.errors import UsageError

from .test_ctph import made


@given(st.integers(0, 1 << 32))
@settings(max_examples=200, deadline=None)
def test_ends_equal_the_twin_and_do_not_depend_on_the_buffers(seed: int) -> None:
    rng, data = random.Random(seed), made(seed, 3000)
    gear = array("Q", [rng.getrandbits(rng.choice((31, 64))) for _ in range(256)])
    least = rng.randrange(1, 60)
    centre = least + rng.choice((0, rng.randrange(100)))
    most = centre + rng.choice((0, rng.randrange(1, 100)))
    fixed = (gear, least, centre, most, 0x1F << rng.choice((0, 40)), 0x7 << rng.choice((0, 40)), rng.random() < 0.5)
    whole = kernels.gear_cuts(data, *fixed)
    assert whole == plain(data, *fixed)
    ends, at, taken, rolled = [], 0, 0, 0
    while at < len(data):
        size = rng.choice((1, 7, 100, 1000))
        found, taken, rolled = kernels.gear_cuts(data[at : at + size], *fixed, taken, rolled)
        ends += [at + end for end in found]
        at += size
    assert (ends, taken, rolled) == (list(whole[0]), *whole[1:])


def test_sizes_out_of_order() -> None:
    gear = array("Q", range(256))
    for table, *sizes in ((gear, 0, 1, 2, 0), (gear, 2, 1, 3, 0), (gear, 1, 3, 2, 0), (gear, 1, 2, 3, 3), (gear[:255], 1, 2, 3, 0)):
        least, centre, most, taken = sizes
        with pytest.raises(UsageError):
            kernels.gear_cuts(b"abc", table, least, centre, most, 1, 1, False, taken)
