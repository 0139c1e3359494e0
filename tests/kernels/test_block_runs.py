"""Runs of mapped blocks: by hand, against a map that is filled in order, and compiled against plain."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _columns_py as plain
from forensiclib import kernels


def runs(module, pairs, unit=16):
    found = module.block_runs(array("Q", [a for a, _ in pairs]), array("Q", [b for _, b in pairs]), unit)
    return list(zip(*(memoryview(column).cast("Q").tolist() for column in found), strict=True))


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_runs_by_hand(module) -> None:
    assert runs(module, []) == []
    assert runs(module, [(32, 160), (0, 128), (16, 144)]) == [(0, 48, 128)]
    assert runs(module, [(0, 128), (16, 128)]) == [(0, 16, 128), (16, 32, 128)]  # the same place twice is no run
    assert runs(module, [(0, 128), (16, 145)]) == [(0, 16, 128), (16, 32, 145)]  # of another kind
    assert runs(module, [(0, 128), (16, 144), (0, 256)]) == [(0, 16, 256), (16, 32, 144)]  # the last holds
    assert runs(module, [(0, 128), (16, 144), (0, 3)]) == [(16, 32, 144)]  # and may say that there is none
    assert runs(module, [(0, 3), (16, 144), (0, 128)]) == [(0, 32, 128)]
    with pytest.raises(ValueError):
        module.block_runs(array("Q", [1]), array("Q"), 16)


NEAR = st.one_of(st.integers(0, 12).map(lambda n: n * 16), st.integers(0, (1 << 64) - 1))
TARGET = st.one_of(st.integers(0, 12).map(lambda n: n * 16), st.integers(0, 50), st.integers(0, (1 << 64) - 1))


@given(st.lists(st.tuples(NEAR, TARGET)), st.booleans())
@settings(max_examples=500, deadline=None)
def test_compiled_equals_plain_and_a_map(pairs, ascending) -> None:
    pairs = sorted(dict(pairs).items()) if ascending else pairs
    found = runs(kernels, pairs)
    assert found == runs(plain, pairs)
    back = {
        a: b for low, high, b0 in found if low < high for a, b in zip(range(low, high, 16), range(b0, b0 + high - low, 16), strict=True)
    }
    wanted = {a: b for a, b in dict(pairs).items() if b & 3 != 3 and a + 16 < 1 << 64}
    assert {a: b & (1 << 64) - 1 for a, b in back.items() if a in wanted} == wanted
