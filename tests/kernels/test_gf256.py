"""Sums in GF(2^8): compiled against the plain twin, on every instruction set, and against the published arithmetic."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.gf256 import gf256_sum as plain
from forensiclib.core.errors import UsageError

LENGTHS = st.one_of(st.integers(0, 200), st.sampled_from([8191, 8192, 8193, 16500]))


def levels():
    if kernels.WHICH != "compiled":
        return []
    from forensiclib import _codecs

    return [level for level in range(3) if _codecs._gf256_level((), b"", bytearray(1), level)]


@given(LENGTHS, st.binary(max_size=9), st.integers(0, 2**32))
def test_compiled_is_the_twin_at_every_level(n, factors, seed):
    rng = random.Random(seed)
    pieces = [rng.randbytes(n + 3)[3:] for _ in factors]
    expected, got = bytearray(n), bytearray(b"\xa5" * n)
    plain(pieces, factors, expected)
    kernels.gf256_sum(pieces, factors, got)
    assert got == expected
    for level in levels():
        from forensiclib import _codecs

        got = bytearray(b"\xa5" * n)
        assert _codecs._gf256_level([memoryview(b"..." + p)[3:] for p in pieces], factors, got, level)
        assert got == expected, level


def test_powers_of_two_as_the_paper_has_them():
    """Anvin, The mathematics of RAID-6: {02}^8 = {1d}, and {02} generates all 255 elements that are not zero."""
    value, seen = b"\x01", []
    for _ in range(255):
        seen.append(value[0])
        out = bytearray(1)
        kernels.gf256_sum([value], b"\x02", out)
        value = bytes(out)
    assert seen[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 0x1D, 0x3A]
    assert value == b"\x01" and len(set(seen)) == 255 and 0 not in seen


@pytest.mark.parametrize("call", [plain, kernels.gf256_sum])
def test_wrong_lengths_are_the_callers_fault(call):
    for pieces, factors in (([b"ab"], b"\x01"), ([b"abc"], b""), ([], b"\x01"), ([b"abc"] * 257, bytes(257))):
        with pytest.raises(UsageError):
            call(pieces, factors, bytearray(3))
    out = bytearray(b"xyz")
    call([], b"", out)
    assert out == bytes(3)
