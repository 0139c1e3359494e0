"""Twin of _native/bits.pxi."""

from __future__ import annotations

__all__ = ["pack_bits"]


def pack_bits(flags: bytes | bytearray | memoryview) -> bytearray:
    """One byte a value (0 or not) -> Arrow bitmap, least significant bit first."""
    out = bytearray((len(flags) + 7) // 8)
    for i, flag in enumerate(flags):
        if flag:
            out[i >> 3] |= 1 << (i & 7)
    return out
