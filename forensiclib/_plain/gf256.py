"""Sums in the field of 256 elements, of which RAID's parities are made. Twin: _native/gf256.pxi"""

from __future__ import annotations

from collections.abc import Sequence

from forensiclib.core.errors import UsageError

__all__ = ["gf256_sum"]

POLYNOMIAL = 0x11D
"""x^8 + x^4 + x^3 + x^2 + 1 (H. P. Anvin, The mathematics of RAID-6)."""


def _times(a: int, b: int) -> int:
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (POLYNOMIAL if a & 0x80 else 0)
        b >>= 1
    return product


def gf256_sum(pieces: Sequence[bytes | bytearray | memoryview], factors: bytes, out: bytearray | memoryview) -> None:
    """Write the sum of ``factors[i] * pieces[i]`` into ``out``, byte by byte: with factors of 1 that is exclusive or.

    Every piece is as long as ``out`` and does not overlap it. UsageError for other lengths, for as many factors as there
    are not pieces, and for more than 256 pieces.
    """
    n = len(out)
    if len(pieces) != len(factors) or len(pieces) > 256:
        raise UsageError(f"{len(pieces)} pieces, {len(factors)} factors")
    total = 0
    for piece, factor in zip(pieces, factors, strict=True):
        if len(piece) != n:
            raise UsageError(f"a piece of {len(piece)} bytes for a sum of {n}")
        table = bytes(_times(factor, value) for value in range(256))
        total ^= int.from_bytes(bytes(piece).translate(table), "little")
    out[:] = total.to_bytes(n, "little")
