"""Twin of _native/cdrom.pxi."""

from __future__ import annotations

__all__ = ["cd_edc", "cd_sectors"]

_SYNC = b"\0" + b"\xff" * 10 + b"\0"


def _entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xD8018001 if byte & 1 else 0)
    return byte


_TABLE = tuple(_entry(byte) for byte in range(256))


def cd_edc(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """The error detection code of CD-ROM sectors over the bytes, going on from ``value`` (ECMA-130, 14.3: the polynomial
    (x^16 + x^15 + x^2 + 1)(x^16 + x^2 + x + 1), least significant bit first, beginning with 0)."""
    crc = value & 0xFFFFFFFF
    for byte in bytes(data):
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def cd_sectors(data: bytes | bytearray | memoryview, stride: int) -> bytes:
    """What each whole sector of ``stride`` bytes is, one byte each. 2352 bytes or more are a sector with its sync, 2336 one
    of mode 2 without sync and header; ValueError for another stride.

    0 mode 1, 1 mode 1 whose EDC is wrong; 2 mode 2 form 1, 3 the same with a wrong EDC; 4 mode 2 form 2 (its EDC right, or 0 for none),
    5 the same with a wrong EDC; 6 mode 2 without form (the two copies of its subheader differ); 7 mode 0; 8 no sync; 9 another mode.
    """
    if stride != 2336 and not 2352 <= stride <= 4096:
        raise ValueError(f"sectors of {stride} bytes")
    raw = bytes(data)
    return bytes(_kind(raw[at : at + stride]) for at in range(0, len(raw) - stride + 1, stride))


def _kind(raw: bytes) -> int:
    if len(raw) == 2336:
        raw = bytes(16) + raw
    elif raw[:12] != _SYNC:
        return 8
    elif raw[15] == 1:
        return int(cd_edc(raw[:2064]) != int.from_bytes(raw[2064:2068], "little"))
    elif raw[15] != 2:
        return 9 if raw[15] else 7
    if raw[16:20] != raw[20:24]:
        return 6
    if not raw[18] & 0x20:
        return 2 + (cd_edc(raw[16:2072]) != int.from_bytes(raw[2072:2076], "little"))
    stored = int.from_bytes(raw[2348:2352], "little")
    return 4 + (stored != 0 and cd_edc(raw[16:2348]) != stored)
