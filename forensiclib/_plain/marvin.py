"""Twin of _native/marvin.pxi."""

from __future__ import annotations

from struct import unpack_from

__all__ = ["marvin32"]


def marvin32(data: bytes | bytearray | memoryview, seed: int) -> int:
    """Marvin32 of ``data`` from a 64-bit ``seed``, 64 bits."""
    mask, n = 0xFFFFFFFF, len(data)
    low, high = seed & mask, seed >> 32 & mask
    tail = bytes(data[n & ~3 :]) + b"\x80"
    words = [*unpack_from(f"<{n >> 2}I", data), int.from_bytes(tail, "little"), 0]
    for word in words:
        low = (low + word) & mask
        high ^= low
        low = ((low << 20 | low >> 12) + high) & mask
        high = (high << 9 | high >> 23) & mask
        high ^= low
        low = ((low << 27 | low >> 5) + high) & mask
        high = (high << 19 | high >> 13) & mask
    return high << 32 | low
