"""Sectors of disk encryption, block by block: the specification of _native/sectors.pxi, and what decrypts the ciphers without a kernel."""

from __future__ import annotations

import struct

from forensiclib._plain.sector_ciphers import BLOCK_SIZES, KEY_SIZES, ecb

__all__ = ["SECTOR_LEVELS", "sector_checks", "sectors_decrypt"]

SECTOR_LEVELS = ("portable",)
"""Instruction sets of the compiled form, weakest first; ``level`` counts into it."""
MODES = ("ecb", "ecb-encrypt", "cbc", "xts", "lrw")
_TOP = 1 << 128

Bytes = bytes | bytearray | memoryview


def sector_checks(cipher: str, mode: str, key: Bytes, tweak: Bytes, data: Bytes, unit: int, ivs: Bytes) -> None:
    """Raise ValueError for what no decryption can take. The messages hold lengths, never a key."""
    if cipher not in KEY_SIZES or mode not in MODES:
        raise ValueError(f"no {cipher!r} in mode {mode!r}")
    block = BLOCK_SIZES[cipher]
    if mode in ("xts", "lrw") and block != 16:
        raise ValueError(f"{mode} wants blocks of 16 bytes, {cipher} has {block}")
    if len(key) not in KEY_SIZES[cipher]:
        raise ValueError(f"{cipher} takes no key of {len(key)} bytes")
    if len(tweak) not in ((16,) if mode == "lrw" else (0, *KEY_SIZES[cipher])) or (mode == "xts" and not len(tweak)):
        raise ValueError(f"{mode} takes no second key of {len(tweak)} bytes")
    if unit < block or unit % block or unit > 1 << 30 or len(data) % unit:
        raise ValueError(f"{len(data)} bytes in sectors of {unit}")
    if len(ivs) and len(ivs) != len(data) // unit * block:
        raise ValueError(f"{len(ivs)} bytes of initial values for {len(data) // unit} sectors")


def sectors_decrypt(
    cipher: str,
    mode: str,
    key: Bytes,
    tweak: Bytes,
    data: bytearray | memoryview,
    unit: int,
    first: int = 0,
    step: int = 1,
    ivs: Bytes = b"",
    level: int | None = None,
) -> None:
    """Decrypt whole sectors in place.

    cipher  "aes" "serpent" "twofish" "camellia" "kuznyechik" compiled; "blowfish" "cast5" "des3_ede" always here
    mode    "cbc", "xts" (IEEE 1619), "lrw" (IEEE P1619/D11, tweaks big-endian); "ecb" and "ecb-encrypt" for the rest of the world
    key     of the cipher; tweak   the second key: encrypts each initial value first (XTS's second half; ESSIV and EBOIV in CBC;
            b"" leaves them as they are); in LRW the 16 bytes that the block's number is multiplied by
    data    writable, whole sectors; unit   bytes of a sector
    ivs     the initial value of each sector, one block each; without it the little-endian numbers first, first + step ...
    level   index into SECTOR_LEVELS; None is the best. Raises ValueError for lengths that do not fit.
    """
    sector_checks(cipher, mode, key, tweak, data, unit, ivs)
    view, key, tweak, block = memoryview(data), bytes(key), bytes(tweak), BLOCK_SIZES[cipher]
    count = len(view) // unit
    if not count:
        return
    if mode in ("ecb", "ecb-encrypt"):
        view[:] = ecb(cipher, key, bytes(view), mode == "ecb-encrypt")
        return
    pad = b"\0" * (block - 8)
    start = bytes(ivs) or b"".join(struct.pack("<Q", (first + i * step) & (1 << 64) - 1) + pad for i in range(count))
    if tweak and mode != "lrw":
        start = ecb(cipher, tweak, start, True)
    whole = bytes(view)
    if mode == "cbc":
        mask = b"".join(start[block * i : block * i + block] + whole[unit * i : unit * i + unit - block] for i in range(count))
        view[:] = _xor(ecb(cipher, key, whole, False), mask)
        return
    make = _xts_mask if mode == "xts" else _lrw_mask
    mask = b"".join(make(start[16 * i : 16 * i + 16], tweak, unit // 16) for i in range(count))
    view[:] = _xor(ecb(cipher, key, _xor(whole, mask), False), mask)


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")


def _double(t: int) -> int:
    t <<= 1
    return t ^ (_TOP | 0x87) if t & _TOP else t


def _xts_mask(start: bytes, tweak: bytes, blocks: int) -> bytes:
    t, out = int.from_bytes(start, "little"), bytearray()
    for _ in range(blocks):
        out += t.to_bytes(16, "little")
        t = _double(t)
    return bytes(out)


def _lrw_mask(start: bytes, tweak: bytes, blocks: int) -> bytes:
    factor, index, out = int.from_bytes(tweak, "big"), int.from_bytes(start, "big"), bytearray()
    for i in range(blocks):
        left, power, product = (index + i) % _TOP, factor, 0
        while left:
            product ^= power if left & 1 else 0
            left, power = left >> 1, _double(power)
        out += product.to_bytes(16, "big")
    return bytes(out)
