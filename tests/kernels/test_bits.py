"""Validity bitmaps: Arrow's published layout, and the twin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.bits import pack_bits as plain


def test_the_example_of_the_arrow_specification():
    """Arrow columnar format, validity bitmaps: [0, 1, null, 2, null, 3] is 00101011, least significant bit first."""
    assert kernels.pack_bits(bytes([1, 1, 0, 1, 0, 1])) == bytes([0b00101011])


@given(st.binary(max_size=300))
def test_compiled_equals_plain(flags):
    assert kernels.pack_bits(flags) == plain(flags)
