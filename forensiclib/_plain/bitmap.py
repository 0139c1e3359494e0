"""Twin of _native/bitmap.pxi."""

from __future__ import annotations

from array import array

__all__ = ["clear_runs"]


def clear_runs(bitmap: bytes | bytearray | memoryview, count: int) -> bytes:
    """Runs of clear bits among the first ``count`` bits, least significant bit first: int64 pairs (first, length),
    ascending. Bits past the bitmap count as set."""
    if count < 0:
        raise ValueError("negative count")
    out, start = array("q"), -1
    for bit in range(min(count, len(bitmap) * 8) + 1):
        clear = bit < min(count, len(bitmap) * 8) and not bitmap[bit >> 3] >> (bit & 7) & 1
        if clear and start < 0:
            start = bit
        elif not clear and start >= 0:
            out.extend((start, bit - start))
            start = -1
    return out.tobytes()
