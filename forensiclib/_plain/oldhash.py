"""Whirlpool (ISO/IEC 10118-3, 2004), RIPEMD-160 (Dobbertin, Bosselaers, Preneel, 1996) and Streebog-512 (GOST R 34.11-2012, RFC 6986),
which OpenSSL has not, no longer has or may lack."""

from __future__ import annotations

import struct
from collections.abc import Callable

__all__ = ["GOST_BOX", "old_digest", "old_pbkdf2"]

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


GOST_BOX = bytes.fromhex(
    "fceedd11cf6e3116fbc4fada23c5044de977f0db932e99ba1736f1bb14cd5fc1f918655ae25cef21811c3c428b018e4f058402aee36a8fa0060bed987fd4d31f"
    "eb342c51eac848abf22a68a2fd3aceccb5700e56080c7612bf7213479cb75d8715a19629107b9ac7f391786f9d9eb2b13275193dff358a7e6d54c680c3bd0d57"
    "dff524a93ea843c9d779d6f67c22b903e00fecde7a94b0bcdce828504e330a4aa79760731e0062441ab83882649f2641ad454692275e552f8ca3a57d69d5953b"
    "0758b34086ac1df730376be488d9e789e11b83494c3ff8fe8d53aa90cad88561207167a42d2b095bcb9b25d0bee56c5259a674d2e6f4b4c0d166afc2394b63b6"
)
"""The substitution of GOST R 34.11-2012 and GOST R 34.12-2015."""
_STREEBOG_ROWS = (
    0x641C314B2B8EE083, 0xA48B474F9EF5DC18, 0xF97D86D98A327728, 0x5B068C651810A89E,
    0x0321658CBA93C138, 0xACCC9CA9328A8950, 0x46B60F011A83988E, 0x83478B07B2468764,
)  # fmt: skip
_STREEBOG_C = tuple(
    int(digits, 16)
    for digits in (
        "b1085bda1ecadae9ebcb2f81c0657c1f2f6a76432e45d016714eb88d7585c4fc4b7ce09192676901a2422a08a460d31505767436cc744d23dd806559f2a64507",
        "6fa3b58aa99d2f1a4fe39d460f70b5d7f3feea720a232b9861d55e0f16b501319ab5176b12d699585cb561c2db0aa7ca55dda21bd7cbcd56e679047021b19bb7",
        "f574dcac2bce2fc70a39fc286a3d843506f15e5f529c1f8bf2ea7514b1297b7bd3e20fe490359eb1c1c93a376062db09c2b6f443867adb31991e96f50aba0ab2",
        "ef1fdfb3e81566d2f948e1a05d71e4dd488e857e335c3c7d9d721cad685e353fa9d72c82ed03d675d8b71333935203be3453eaa193e837f1220cbebc84e3d12e",
        "4bea6bacad4747999a3f410c6ca923637f151c1f1686104a359e35d7800fffbdbfcd1747253af5a3dfff00b723271a167a56a27ea9ea63f5601758fd7c6cfe57",
        "ae4faeae1d3ad3d96fa4c33b7a3039c02d66c4f95142a46c187f9ab49af08ec6cffaa6b71c9ab7b40af21f66c2bec6b6bf71c57236904f35fa68407a46647d6e",
        "f4c70e16eeaac5ec51ac86febf240954399ec6c7e6bf87c9d3473e33197a93c90992abc52d822c3706476983284a05043517454ca23c4af38886564d3a14d493",
        "9b1f5b424d93c9a703e7aa020c6e41414eb7f8719c36de1e89b4443b4ddbc49af4892bcb929b069069d18d2bd1a5c42f36acc2355951a8d9a47f0dd4bf02e71e",
        "378f5a541631229b944c9ad8ec165fde3a7d3a1b258942243cd955b7e00d0984800a440bdbb2ceb17b2b8a9aa6079c540e38dc92cb1f2a607261445183235adb",
        "abbedea680056f52382ae548b2e4f3f38941e71cff8a78db1fffe18a1b3361039fe76702af69334b7a1e6c303b7652f43698fad1153bb6c374b4c7fb98459ced",
        "7bcd9ed0efc889fb3002c6cd635afe94d8fa6bbbebab076120018021148466798a1d71efea48b9caefbacd1d7d476e98dea2594ac06fd85d6bcaa4cd81f32d1b",
        "378ee767f11631bad21380b00449b17acda43c32bcdf1d77f82012d430219f9b5d80ef9d1891cc86e71da4aa88e12852faf417d5d9b21b9948bc924af11bd720",
    )
)


def _streebog_tables() -> tuple[tuple[int, ...], ...]:
    out = []
    for row in _STREEBOG_ROWS:
        bits = [row]
        for _ in range(7):
            bits.append((bits[-1] & 0x7F7F7F7F7F7F7F7F) << 1 ^ (bits[-1] >> 7 & 0x0101010101010101) * 0x1D)
        table = []
        for x in GOST_BOX:
            v = 0
            for b in range(8):
                v ^= bits[b] if x >> b & 1 else 0
            table.append(v)
        out.append(tuple(table))
    return tuple(out)


_STREEBOG_T = _streebog_tables()


def _streebog_lps(value: int) -> int:
    data, out = value.to_bytes(64, "little"), 0
    for i in range(8):
        word = 0
        for r in range(8):
            word ^= _STREEBOG_T[r][data[8 * r + i]]
        out |= word << 64 * i
    return out


def _streebog_mix(h: int, m: int, bits: int) -> int:
    key, state = _streebog_lps(h ^ bits), m
    for constant in _STREEBOG_C:
        state, key = _streebog_lps(state ^ key), _streebog_lps(key ^ constant)
    return h ^ state ^ key ^ m


def _streebog512(data: bytes) -> bytes:
    h = total = 0
    for at in range(0, len(data) + 1, 64):
        m = int.from_bytes((data[at : at + 64] + b"\x01")[:64], "little")
        h = _streebog_mix(h, m, 8 * at)
        total = (total + m) % (1 << 512)
    return _streebog_mix(_streebog_mix(h, 8 * len(data), 0), total, 0).to_bytes(64, "little")


_HASHES: dict[str, Callable[[bytes], bytes]] = {"whirlpool": _whirlpool, "ripemd160": _ripemd160, "streebog512": _streebog512}


def old_digest(name: str, data: Bytes) -> bytes:
    """The digest of that name, "whirlpool" or "streebog512" (64 bytes) or "ripemd160" (20). Raises ValueError for another."""
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
