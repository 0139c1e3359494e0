"""Whirlpool (ISO/IEC 10118-3, 2004) and RIPEMD-160 (Dobbertin, Bosselaers, Preneel, 1996), which OpenSSL no longer has or may lack."""

from __future__ import annotations

import struct
from collections.abc import Callable

__all__ = ["old_digest", "old_pbkdf2"]

Bytes = bytes | bytearray | memoryview

_E = (1, 11, 9, 12, 13, 6, 15, 3, 14, 8, 7, 4, 10, 2, 5, 0)
_MIX = (7, 12, 11, 13, 14, 4, 9, 15, 6, 3, 8, 10, 2, 5, 1, 0)
_ROW = (1, 1, 4, 1, 8, 5, 2, 9)


def _boxed(x: int) -> int:
    u, low = _E[x >> 4], _E.index(x & 15)
    r = _MIX[u ^ low]
    return _E[u ^ r] << 4 | _E.index(low ^ r)


def _times(a: int, b: int) -> int:
    out = 0
    while b:
        out ^= a if b & 1 else 0
        a, b = a << 1 ^ (0x11D if a & 0x80 else 0), b >> 1
    return out


_S = tuple(_boxed(x) for x in range(256))
_T = tuple(tuple(_times(_S[x], f) for f in _ROW) for x in range(256))


def _whirlpool_round(a: bytes) -> bytes:
    out = bytearray(64)
    for i in range(8):
        for k in range(8):
            row = _T[a[8 * ((i - k) & 7) + k]]
            for j in range(8):
                out[8 * i + j] ^= row[(j - k) & 7]
    return bytes(out)


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _whirlpool(data: bytes) -> bytes:
    data = data + b"\x80" + b"\0" * ((31 - len(data)) % 64) + (8 * len(data)).to_bytes(32, "big")
    h = bytes(64)
    for at in range(0, len(data), 64):
        block = data[at : at + 64]
        key, state = h, _xor(block, h)
        for r in range(10):
            key = _xor(_whirlpool_round(key), bytes(_S[8 * r : 8 * r + 8]).ljust(64, b"\0"))
            state = _xor(_whirlpool_round(state), key)
        h = _xor(_xor(h, state), block)
    return h


_R = (
    "0123456789abcdef74d1a6f3c0952eb83ae49f812706db5c19ba08c4d37fe56240597c2ae138b6fd",
    "5e7092b4d6f81a3c6b370d5aef8c4912f5137e69b8c2a04d86413bf05c2d97aecfa4158762de039b",
)
_ROLL = (
    "befc5879bdef6798768db97f7cf9b7dcbd67e9dfe8d65c75bcefef989e56865c9f5b68dc5cdeb856",
    "899bdff5778beec69df7c89b77c76fdb97fb866ecd5edd75f58bee6e69c9c5f885c9c5e68d65fdbb",
)
_ADD = ((0, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E), (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0))
_M = 0xFFFFFFFF
_F: tuple[Callable[[int, int, int], int], ...] = (
    lambda x, y, z: x ^ y ^ z,
    lambda x, y, z: x & y | ~x & z,
    lambda x, y, z: (x | ~y) ^ z,
    lambda x, y, z: x & z | y & ~z,
    lambda x, y, z: x ^ (y | ~z),
)


def _rol(v: int, n: int) -> int:
    v &= _M
    return (v << n | v >> (32 - n)) & _M


def _ripemd160(data: bytes) -> bytes:
    data = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    h = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0]
    for at in range(0, len(data), 64):
        m = struct.unpack_from("<16I", data, at)
        lines = []
        for line in range(2):
            a, b, c, d, e = h
            for i in range(80):
                f = _F[4 - i // 16 if line else i // 16]
                t = _rol(a + f(b, c, d) + m[int(_R[line][i], 16)] + _ADD[line][i // 16], int(_ROLL[line][i], 16)) + e
                a, b, c, d, e = e, t & _M, b, _rol(c, 10), d
            lines.append((a, b, c, d, e))
        x, y = lines
        h = [(h[(i + 1) % 5] + x[(i + 2) % 5] + y[(i + 3) % 5]) & _M for i in range(5)]
    return struct.pack("<5I", *h)


_HASHES: dict[str, Callable[[bytes], bytes]] = {"whirlpool": _whirlpool, "ripemd160": _ripemd160}


def old_digest(name: str, data: Bytes) -> bytes:
    """The digest of that name, "whirlpool" (64 bytes) or "ripemd160" (20). Raises ValueError for another."""
    if name not in _HASHES:
        raise ValueError(f"no hash {name!r}")
    return _HASHES[name](bytes(data))


def old_pbkdf2(name: str, secret: Bytes, salt: Bytes, rounds: int, size: int) -> bytes:
    """PBKDF2-HMAC (RFC 8018) over one of these hashes, whose blocks all have 64 bytes; ``size`` at most 1 MiB. Raises ValueError."""
    if name not in _HASHES:
        raise ValueError(f"no hash {name!r}")
    if rounds < 1 or not 0 < size <= 1 << 20:
        raise ValueError(f"{rounds} rounds for {size} bytes")
    run = _HASHES[name]
    key = (run(bytes(secret)) if len(secret) > 64 else bytes(secret)).ljust(64, b"\0")
    inner, outer = bytes(b ^ 0x36 for b in key), bytes(b ^ 0x5C for b in key)
    out, number = b"", 1
    while len(out) < size:
        u = bytes(salt) + struct.pack(">I", number)
        total = 0
        for _ in range(rounds):
            u = run(outer + run(inner + u))
            total ^= int.from_bytes(u, "big")
        out += total.to_bytes(len(u), "big")
        number += 1
    return out[:size]
