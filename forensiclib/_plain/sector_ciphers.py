"""Block ciphers one block at a time, for the twin of sectors: Serpent, Twofish and Kuznyechik as their papers define them; AES, Camellia
and the 8-byte ciphers of old from ``cryptography``."""

from __future__ import annotations

import struct
from collections.abc import Callable

from cryptography.hazmat.decrepit.ciphers import algorithms as old
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from forensiclib._plain.oldhash import GOST_BOX

__all__ = ["BLOCK_SIZES", "KEY_SIZES", "ecb"]

Block = Callable[[bytes], bytes]

KEY_SIZES = {
    "aes": (16, 24, 32), "serpent": (16, 24, 32), "twofish": (16, 24, 32), "camellia": (16, 24, 32), "kuznyechik": (32,),
    "blowfish": tuple(range(4, 57)), "cast5": tuple(range(5, 17)), "des3_ede": (24,),
}  # fmt: skip
"""Cipher -> the key lengths it takes, bytes."""
BLOCK_SIZES = {name: 8 if name in ("blowfish", "cast5", "des3_ede") else 16 for name in KEY_SIZES}

_M = 0xFFFFFFFF


def _rol(v: int, n: int) -> int:
    return (v << n | v >> (32 - n)) & _M


# Serpent: Anderson, Biham, Knudsen, "Serpent: A Proposal for the Advanced Encryption Standard", 1998, appendix A.5.
_BOXES = (
    "38f1a65bed42709c", "fc27905a1be86d34", "86793cafd1e40b52", "0fb8c963d124a75e",
    "1f83c0b6254a9e7d", "f52b4a9c03e8d671", "72c5846be91fd3a0", "1df0e82b74ca9356",
)  # fmt: skip
_S = tuple(tuple(int(c, 16) for c in box) for box in _BOXES)
_SI = tuple(tuple(box.index(i) for i in range(16)) for box in _S)


def _box(table: tuple[int, ...], x: list[int]) -> list[int]:
    out = [0, 0, 0, 0]
    for bit in range(32):
        v = table[(x[0] >> bit & 1) | (x[1] >> bit & 1) << 1 | (x[2] >> bit & 1) << 2 | (x[3] >> bit & 1) << 3]
        for i in range(4):
            out[i] |= (v >> i & 1) << bit
    return out


def _serpent(key: bytes) -> tuple[Block, Block]:
    full = key if len(key) == 32 else (key + b"\x01").ljust(32, b"\0")
    w = list(struct.unpack("<8I", full))
    for i in range(132):
        w.append(_rol(w[i] ^ w[i + 3] ^ w[i + 5] ^ w[i + 7] ^ 0x9E3779B9 ^ i, 11))
    keys = [_box(_S[(3 - i) % 8], w[8 + 4 * i : 12 + 4 * i]) for i in range(33)]

    def mix(x: list[int], k: list[int]) -> list[int]:
        return [a ^ b for a, b in zip(x, k, strict=True)]

    def encrypt(block: bytes) -> bytes:
        x = list(struct.unpack("<4I", block))
        for r in range(32):
            x = _box(_S[r % 8], mix(x, keys[r]))
            if r < 31:
                a, b, c, d = _rol(x[0], 13), x[1], _rol(x[2], 3), x[3]
                b, d = _rol(b ^ a ^ c, 1), _rol(d ^ c ^ (a << 3 & _M), 7)
                a, c = _rol(a ^ b ^ d, 5), _rol(c ^ d ^ (b << 7 & _M), 22)
                x = [a, b, c, d]
        return struct.pack("<4I", *mix(x, keys[32]))

    def decrypt(block: bytes) -> bytes:
        x = mix(list(struct.unpack("<4I", block)), keys[32])
        for r in range(31, -1, -1):
            if r < 31:
                a, b, c, d = x
                a, c = _rol(a, 27) ^ b ^ d, _rol(c, 10) ^ d ^ (b << 7 & _M)
                b, d = _rol(b, 31) ^ a ^ c, _rol(d, 25) ^ c ^ (a << 3 & _M)
                x = [_rol(a, 19), b, _rol(c, 29), d]
            x = mix(_box(_SI[r % 8], x), keys[r])
        return struct.pack("<4I", *x)

    return encrypt, decrypt


# Twofish: Schneier, Kelsey, Whiting, Wagner, Hall, Ferguson, "Twofish: A 128-Bit Block Cipher", 1998, 4.3.
_QT = (
    ("817d6f320b59eca4", "ecb81235f4a6709d", "ba5e6d90c8f32471", "d7f4126e9b3085ca"),
    ("28bdf76e31940ac5", "1e2b4c376da5f908", "4c75169a0ed82b3f", "b951c3de647f208a"),
)


def _q(tables: tuple[str, ...], x: int) -> int:
    a, b = x >> 4, x & 15
    for i in (0, 2):
        c, d = a ^ b, (a ^ (b >> 1 | (b & 1) << 3) ^ a << 3) & 15
        a, b = int(tables[i][c], 16), int(tables[i + 1][d], 16)
    return b << 4 | a


_Q = tuple(tuple(_q(tables, x) for x in range(256)) for tables in _QT)
_ORDER = ((1, 0, 1, 0), (0, 0, 1, 1), (0, 1, 0, 1), (1, 1, 0, 0), (1, 0, 0, 1))
_MDS = ((0x01, 0xEF, 0x5B, 0x5B), (0x5B, 0xEF, 0xEF, 0x01), (0xEF, 0x5B, 0x01, 0xEF), (0xEF, 0x01, 0xEF, 0x5B))
_RS = (
    (0x01, 0xA4, 0x55, 0x87, 0x5A, 0x58, 0xDB, 0x9E), (0xA4, 0x56, 0x82, 0xF3, 0x1E, 0xC6, 0x68, 0xE5),
    (0x02, 0xA1, 0xFC, 0xC1, 0x47, 0xAE, 0x3D, 0x19), (0xA4, 0x55, 0x87, 0x5A, 0x58, 0xDB, 0x9E, 0x03),
)  # fmt: skip


def _times(a: int, b: int, poly: int) -> int:
    out = 0
    while b:
        out ^= a if b & 1 else 0
        a, b = a << 1 ^ (poly if a & 0x80 else 0), b >> 1
    return out


def _h(x: int, words: list[int]) -> int:
    out = 0
    for column in range(4):
        y = x >> 8 * column & 255
        for i in range(len(words), 0, -1):
            y = _Q[_ORDER[i][column]][y] ^ (words[i - 1] >> 8 * column & 255)
        y = _Q[_ORDER[0][column]][y]
        for row in range(4):
            out ^= _times(y, _MDS[row][column], 0x169) << 8 * row
    return out


def _twofish(key: bytes) -> tuple[Block, Block]:
    words = struct.unpack(f"<{len(key) // 4}I", key)
    even, odd, boxes = list(words[::2]), list(words[1::2]), list[int]()
    for i in range(0, len(key), 8):
        v = 0
        for j, row in enumerate(_RS):
            b = 0
            for x, factor in enumerate(row):
                b ^= _times(key[i + x], factor, 0x14D)
            v |= b << 8 * j
        boxes.insert(0, v)
    k: list[int] = []
    for i in range(20):
        a, b = _h(0x02020202 * i, even), _rol(_h(0x02020202 * i + 0x01010101, odd), 8)
        k += [(a + b) & _M, _rol((a + 2 * b) & _M, 9)]

    def turn(block: bytes, forward: bool) -> bytes:
        first, last = (k[0:4], k[4:8]) if forward else (k[4:8], k[0:4])
        a, b, c, d = (x ^ y for x, y in zip(struct.unpack("<4I", block), first, strict=True))
        for r in range(16) if forward else range(15, -1, -1):
            t, u = _h(a, boxes), _h(_rol(b, 8), boxes)
            f, g = (t + u + k[8 + 2 * r]) & _M, (t + 2 * u + k[9 + 2 * r]) & _M
            c, d = (_rol(c ^ f, 31), _rol(d, 1) ^ g) if forward else (_rol(c, 1) ^ f, _rol(d ^ g, 31))
            a, b, c, d = c, d, a, b
        return struct.pack("<4I", c ^ last[0], d ^ last[1], a ^ last[2], b ^ last[3])

    return lambda block: turn(block, True), lambda block: turn(block, False)


# Kuznyechik: RFC 7801.
_FACTORS = (148, 32, 133, 16, 194, 192, 1, 251, 1, 192, 194, 16, 133, 32, 148, 1)
_UNBOX = bytes(GOST_BOX.index(x) for x in range(256))
_PRODUCTS = {f: bytes(_times(x, f, 0x1C3) for x in range(256)) for f in set(_FACTORS)}


def _sum(block: bytes) -> int:
    out = 0
    for x, factor in zip(block, _FACTORS, strict=True):
        out ^= _PRODUCTS[factor][x]
    return out


def _l(block: bytes) -> bytes:
    for _ in range(16):
        block = bytes((_sum(block),)) + block[:15]
    return block


def _unl(block: bytes) -> bytes:
    for _ in range(16):
        block = block[1:] + bytes((_sum(block[1:] + block[:1]),))
    return block


def _mixed(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _kuznyechik(key: bytes) -> tuple[Block, Block]:
    a, b = key[:16], key[16:]
    keys = [a, b]
    for i in range(1, 33):
        a, b = _mixed(_l(_mixed(a, _l(bytes(15) + bytes((i,)))).translate(GOST_BOX)), b), a
        if i % 8 == 0:
            keys += [a, b]

    def encrypt(block: bytes) -> bytes:
        for r in range(9):
            block = _l(_mixed(block, keys[r]).translate(GOST_BOX))
        return _mixed(block, keys[9])

    def decrypt(block: bytes) -> bytes:
        for r in range(9, 0, -1):
            block = _unl(_mixed(block, keys[r])).translate(_UNBOX)
        return _mixed(block, keys[0])

    return encrypt, decrypt


_OWN = {"serpent": _serpent, "twofish": _twofish, "kuznyechik": _kuznyechik}
_THEIRS = {
    "aes": algorithms.AES, "camellia": getattr(old, "Camellia", None) or algorithms.Camellia,
    "blowfish": old.Blowfish, "cast5": old.CAST5, "des3_ede": old.TripleDES,
}  # fmt: skip


def ecb(cipher: str, key: bytes, data: bytes, forward: bool) -> bytes:
    """Each block of ``data`` encrypted (``forward``) or decrypted by itself."""
    own = _OWN.get(cipher)
    if own is not None:
        turn = own(key)[0 if forward else 1]
        return b"".join(turn(data[i : i + 16]) for i in range(0, len(data), 16))
    engine = Cipher(_THEIRS[cipher](key), modes.ECB())
    context = engine.encryptor() if forward else engine.decryptor()
    return context.update(data) + context.finalize()
