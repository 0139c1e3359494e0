"""Twin of _native/crc32c.pxi."""

from __future__ import annotations

__all__ = ["CRC32C_LEVELS", "crc32c"]

CRC32C_LEVELS: tuple[str, ...] = ("plain",)
"""The instruction sets that ``level`` of crc32c chooses from, the best last."""


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))


def crc32c(data: bytes | bytearray | memoryview, value: int = 0, level: str = "") -> int:
    """CRC-32C (Castagnoli, reflected polynomial 82F63B78; RFC 3720, 12.1) of the bytes, going on from ``value``.

    ``level`` is for tests: "" takes the best of CRC32C_LEVELS; ValueError for one that this machine has not.
    """
    if level and level not in CRC32C_LEVELS:
        raise ValueError(f"no level {level!r} here")
    crc = ~value & 0xFFFFFFFF
    for byte in bytes(data):
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return ~crc & 0xFFFFFFFF
