"""The Elephant diffuser of BitLocker: N. Ferguson, "AES-CBC + Elephant diffuser: A Disk Encryption Algorithm for Windows Vista", 2006."""

from __future__ import annotations

import struct

__all__ = ["elephant_decrypt"]

_A, _B = (9, 0, 13, 0), (0, 10, 0, 25)
_M = 0xFFFFFFFF


def _rol(v: int, n: int) -> int:
    return (v << n | v >> (32 - n)) & _M


def elephant_decrypt(data: bytearray | memoryview, unit: int, keys: bytes | bytearray | memoryview) -> None:
    """Undo the diffuser and the sector keys in place, after the CBC layer: diffuser B, diffuser A, then the sector's 32 bytes of key.

    data  writable, whole sectors of ``unit`` bytes (a multiple of 32, at most 4096); keys  32 bytes a sector. Raises ValueError.
    """
    size = len(data)
    if unit < 32 or unit % 32 or unit > 4096 or size % unit or len(keys) != size // unit * 32:
        raise ValueError(f"{size} bytes in sectors of {unit}, keys of {len(keys)}")
    view, words = memoryview(data), unit // 4
    for sector in range(size // unit):
        d = list(struct.unpack_from(f"<{words}I", view, sector * unit))
        for _ in range(3):
            for i in range(words):
                d[i] = (d[i] + (d[(i + 2) % words] ^ _rol(d[(i + 5) % words], _B[i % 4]))) & _M
        for _ in range(5):
            for i in range(words):
                d[i] = (d[i] + (d[i - 2] ^ _rol(d[i - 5], _A[i % 4]))) & _M
        key = struct.unpack_from("<8I", keys, sector * 32)
        view[sector * unit : sector * unit + unit] = struct.pack(f"<{words}I", *(v ^ key[i % 8] for i, v in enumerate(d)))
