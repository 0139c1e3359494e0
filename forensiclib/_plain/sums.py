"""Twin of _native/sums.pxi: digests whose state is bytes.

A state is: bytes seen (64 bits, little-endian); the chaining words, little-endian; the bytes that wait for
their block, zero behind them; for BLAKE3 the 54 places of subtrees that wait, zero where none does. It is the same for any way in which
the same bytes came. Slow by intent: whoever needs only the value, and has no compiled module, asks hashlib.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from math import isqrt

from forensiclib.core.errors import UsageError

__all__ = ["SUM_KINDS", "SUM_LEVELS", "SUM_SHA", "sum_begin", "sum_finish", "sum_update"]

SUM_KINDS = (
    "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "blake2b", "blake3", "crc32",
)  # fmt: skip
"""The digests, in the order of the compiled engine. blake2b is the 64-byte form, blake3 the unkeyed 32-byte one."""
SUM_LEVELS: tuple[str, ...] = ("plain",)
"""The instruction sets that ``level`` of sum_update chooses from, the best last."""
SUM_SHA = False
"""Whether SHA-1 and SHA-256 run on the processor's own instructions for them, at the best level."""

_SHAPES = {
    "md5": (4, 4, 64, 16), "sha1": (5, 4, 64, 20), "sha224": (8, 4, 64, 28), "sha256": (8, 4, 64, 32), "sha384": (8, 8, 128, 48),
    "sha512": (8, 8, 128, 64), "sha3-224": (25, 8, 144, 28), "sha3-256": (25, 8, 136, 32), "sha3-384": (25, 8, 104, 48),
    "sha3-512": (25, 8, 72, 64), "blake2b": (8, 8, 128, 64), "blake3": (8, 4, 64, 32), "crc32": (1, 4, 0, 4),
}  # fmt: skip
# words, bytes a word, bytes a block, bytes of the digest
_M32, _M64 = (1 << 32) - 1, (1 << 64) - 1
_DEPTH = 54


def _root(n: int, power: int) -> int:
    """The whole part of the root."""
    if power == 2:
        return isqrt(n)
    low, high = 0, 1 << (n.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle**3 <= n else (low, middle - 1)
    return low


def _fractions(numbers: Sequence[int], power: int, bits: int) -> list[int]:
    """The first bits behind the point of each root: what SHA-2 takes its constants from (FIPS 180-4, 4.2 and 5.3)."""
    return [_root(n << (power * bits), power) & ((1 << bits) - 1) for n in numbers]


_PRIMES = [n for n in range(2, 410) if all(n % d for d in range(2, isqrt(n) + 1))]
_K512 = _fractions(_PRIMES, 3, 64)
_K256 = [k >> 32 for k in _K512[:64]]
_H512 = _fractions(_PRIMES[:8], 2, 64)
_H256 = [h >> 32 for h in _H512]
_H384 = _fractions(_PRIMES[8:16], 2, 64)
_OLD = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0]
_FIRST = {
    "md5": _OLD[:4], "sha1": _OLD, "sha224": [h & _M32 for h in _H384], "sha256": _H256, "sha384": _H384, "sha512": _H512,
    "blake2b": [_H512[0] ^ 0x01010040, *_H512[1:]], "blake3": _H256,
}  # fmt: skip
# RFC 1321, 3.4: the whole part of 2^32 times the sine of 1 to 64; the digits, since a sine may differ between machines.
_K_MD5 = bytes.fromhex(
    "78a46ad756b7c7e8db702024eecebdc1af0f7cf52ac68747134630a8019546fdd8988069aff7448bb15bffffbed75c892211906b937198fd8e4379a62108b449"
    "62251ef640b340c0515a5e26aac7b6e95d102fd65314440281e6a1d8c8fbd3e7e6cde121d60737c3870dd5f4ed145a4505e9e3a9f8a3effcd9026f678a4c2a8d"
    "4239faff81f6718722619d6d0c38e5fd44eabea4a9cfde4b604bbbf670bcbfbec67e9b28fa27a1ea8530efd4051d880439d0d4d9e599dbe6f87ca21f6556acc4"
    "442229f497ff2a43a72394ab39a093fcc3595b6592cc0c8f7df4efffd15d84854f7ea86fe0e62cfe144301a3a111084e827e53f735f23abdbbd2d72a91d386eb"
)
_TURNS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))


def _words(data: bytes, width: int, order: str = "little") -> list[int]:
    return [int.from_bytes(data[i : i + width], order) for i in range(0, len(data), width)]  # type: ignore[arg-type]


def _rol(v: int, n: int) -> int:
    return (v << n | v >> (32 - n)) & _M32


def _ror(v: int, n: int, bits: int) -> int:
    return (v >> n | v << (bits - n)) & ((1 << bits) - 1)


def _md5(h: list[int], block: bytes) -> list[int]:
    a, b, c, d = h
    m, k = _words(block, 4), _words(_K_MD5, 4)
    for i in range(64):
        f, g = (
            (b & c | ~b & d, i), (d & b | ~d & c, 5 * i + 1), (b ^ c ^ d, 3 * i + 5), (c ^ (b | ~d), 7 * i),
        )[i >> 4]  # fmt: skip
        a, b, c, d = d, (b + _rol((a + f + k[i] + m[g & 15]) & _M32, _TURNS[i >> 4][i & 3])) & _M32, b, c
    return [(x + y) & _M32 for x, y in zip(h, (a, b, c, d), strict=True)]


def _sha1(h: list[int], block: bytes) -> list[int]:
    w = _words(block, 4, "big")
    for i in range(16, 80):
        w.append(_rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1))
    a, b, c, d, e = h
    for i in range(80):
        f, k = (
            (b & c | ~b & d, 0x5A827999), (b ^ c ^ d, 0x6ED9EBA1), (b & c | b & d | c & d, 0x8F1BBCDC), (b ^ c ^ d, 0xCA62C1D6),
        )[i // 20]  # fmt: skip
        a, b, c, d, e = (_rol(a, 5) + f + e + k + w[i]) & _M32, a, _rol(b, 30), c, d
    return [(x + y) & _M32 for x, y in zip(h, (a, b, c, d, e), strict=True)]


def _sha2(h: list[int], block: bytes) -> list[int]:
    """SHA-256 or, for blocks of 128 bytes, SHA-512."""
    bits = 32 if len(block) == 64 else 64
    mask = (1 << bits) - 1
    small, big, k = (
        (((7, 18, 3), (17, 19, 10)), ((2, 13, 22), (6, 11, 25)), _K256) if bits == 32
        else (((1, 8, 7), (19, 61, 6)), ((28, 34, 39), (14, 18, 41)), _K512)
    )  # fmt: skip
    w = _words(block, bits // 8, "big")
    for i in range(16, len(k)):
        s = [_ror(v, x, bits) ^ _ror(v, y, bits) ^ v >> z for v, (x, y, z) in zip((w[i - 15], w[i - 2]), small, strict=True)]
        w.append((w[i - 16] + s[0] + w[i - 7] + s[1]) & mask)
    v = list(h)
    for i in range(len(k)):
        a, b, c, d, e, f, g, last = v
        s0, s1 = (_ror(x, turns[0], bits) ^ _ror(x, turns[1], bits) ^ _ror(x, turns[2], bits) for x, turns in zip((a, e), big, strict=True))
        t = last + s1 + (e & f ^ ~e & g) + k[i] + w[i]
        v = [(t + s0 + (a & b ^ a & c ^ b & c)) & mask, a, b, c, (d + t) & mask, e, f, g]
    return [(x + y) & mask for x, y in zip(h, v, strict=True)]


def _keccak(h: list[int], block: bytes) -> list[int]:
    """Absorb one block and permute (FIPS 202, 3.2 and 3.3)."""
    a = list(h)
    for i, word in enumerate(_words(block, 8)):
        a[i] ^= word
    lfsr = 1
    for _ in range(24):
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        a = [a[i] ^ c[(i + 4) % 5] ^ _ror(c[(i + 1) % 5], 63, 64) for i in range(25)]
        x, y, held = 1, 0, a[1]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            held, a[x + 5 * y] = a[x + 5 * y], _ror(held, -((t + 1) * (t + 2) // 2) % 64, 64)
        a = [a[i] ^ ~a[i // 5 * 5 + (i + 1) % 5] & a[i // 5 * 5 + (i + 2) % 5] for i in range(25)]
        for j in range(7):
            a[0] ^= (lfsr & 1) << ((1 << j) - 1)
            lfsr = lfsr << 1 ^ (0x171 if lfsr & 0x80 else 0)
    return a


_SIGMA = tuple(
    tuple(int(digit, 16) for digit in line)
    for line in (
        "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
        "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
    )
)  # fmt: skip
_PERMUTED = bytes([2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8])
_LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def _mix(v: list[int], m: list[int], order: Sequence[int], turns: tuple[int, int, int, int], bits: int) -> None:
    """One round of BLAKE2 or BLAKE3."""
    mask = (1 << bits) - 1
    for k, (a, b, c, d) in enumerate(_LANES):
        for j in (0, 1):
            v[a] = (v[a] + v[b] + m[order[2 * k + j]]) & mask
            v[d] = _ror(v[d] ^ v[a], turns[2 * j], bits)
            v[c] = (v[c] + v[d]) & mask
            v[b] = _ror(v[b] ^ v[c], turns[2 * j + 1], bits)


def _blake2b(h: list[int], block: bytes, count: int, last: bool) -> list[int]:
    v, m = [*h, *_H512], _words(block, 8)
    v[12] ^= count & _M64
    if last:
        v[14] ^= _M64
    for r in range(12):
        _mix(v, m, _SIGMA[r % 10], (32, 24, 16, 63), 64)
    return [x ^ v[i] ^ v[i + 8] for i, x in enumerate(h)]


def _blake3(h: list[int], block: bytes, counter: int, size: int, flags: int) -> list[int]:
    v, m = [*h, *_H256[:4], counter & _M32, counter >> 32, size, flags], _words(block, 4)
    order: Sequence[int] = range(16)
    for _ in range(7):
        _mix(v, m, order, (16, 12, 8, 7), 32)
        order = [_PERMUTED[i] for i in order]
    return [v[i] ^ v[i + 8] for i in range(8)]


_START, _END, _PARENT, _ROOT = 1, 2, 4, 8


def _shape(name: str) -> tuple[int, int, int, int]:
    if name not in _SHAPES:
        raise UsageError(f"no digest {name!r}; there are {', '.join(SUM_KINDS)}")
    return _SHAPES[name]


def _size(name: str) -> int:
    words, width, block, _ = _shape(name)
    return 8 + words * width + block + (32 * _DEPTH if name == "blake3" else 0)


class _State:
    """A state taken apart."""

    def __init__(self, name: str, raw: bytes | bytearray | memoryview) -> None:
        words, self.width, self.block, self.digest = _shape(name)
        if len(raw) != _size(name):
            raise UsageError(f"a state of {name} has {_size(name)} bytes, not {len(raw)}")
        raw, self.name, at = bytes(raw), name, 8 + words * self.width
        self.count = int.from_bytes(raw[:8], "little")
        self.words = _words(raw[8:at], self.width)
        self.lazy = name in ("blake2b", "blake3")  # the last block is another: a full one waits for the byte behind it
        self.waits = raw[at : at + self._inside(self.block)] if self.block else b""
        at += self.block
        depth = ((self.count - 1) // 1024).bit_count() if self.count else 0
        self.stack = [raw[at + 32 * i : at + 32 * i + 32] for i in range(depth)] if name == "blake3" else []

    def _inside(self, unit: int) -> int:
        return (self.count - self.lazy) % unit + self.lazy if self.count else 0

    def save(self) -> bytes:
        head = (self.count & _M64).to_bytes(8, "little") + b"".join(w.to_bytes(self.width, "little") for w in self.words)
        return (head + self.waits.ljust(self.block, b"\0") + b"".join(self.stack)).ljust(_size(self.name), b"\0")

    def take(self, data: bytes) -> None:
        if self.name == "crc32":
            self.words = [zlib.crc32(data, self.words[0])]
            self.count += len(data)
            return
        while data:
            if len(self.waits) == self.block:
                self._whole()
            piece = data[: self.block - len(self.waits)]
            self.waits, data, self.count = self.waits + piece, data[len(piece) :], self.count + len(piece)
            if len(self.waits) == self.block and not self.lazy:
                self._whole()

    def _whole(self) -> None:
        """A full block that is not the last."""
        if self.name == "blake3":
            inside, chunk = self._inside(1024), (self.count - 1) // 1024
            flags = (_START if inside == 64 else 0) | (_END if inside == 1024 else 0)
            self.words = _blake3(self.words, self.waits, chunk, 64, flags)
            if inside == 1024:
                value = b"".join(w.to_bytes(4, "little") for w in self.words)
                while chunk & 1:
                    parent = _blake3(_H256, self.stack.pop() + value, 0, 64, _PARENT)
                    value, chunk = b"".join(w.to_bytes(4, "little") for w in parent), chunk >> 1
                self.stack.append(value)
                self.words = list(_H256)
        else:
            self.words = self._compress(self.waits, self.count)
        self.waits = b""

    def _compress(self, block: bytes, count: int, last: bool = False) -> list[int]:
        if self.name == "blake2b":
            return _blake2b(self.words, block, count, last)
        if self.name.startswith("sha3-"):
            return _keccak(self.words, block)
        return {"md5": _md5, "sha1": _sha1}.get(self.name, _sha2)(self.words, block)

    def finish(self) -> bytes:
        if self.name == "blake3":
            chunk = (self.count - 1) // 1024 if self.count else 0
            words, block, size = self.words, self.waits.ljust(64, b"\0"), len(self.waits)
            flags = _END | (_START if self._inside(1024) <= 64 else 0)
            for left in reversed(self.stack):
                value = b"".join(w.to_bytes(4, "little") for w in _blake3(words, block, chunk, size, flags))
                words, block, size, flags, chunk = list(_H256), left + value, 64, _PARENT, 0
            self.words = _blake3(words, block, chunk, size, flags | _ROOT)
        elif self.name == "blake2b":
            self.words = self._compress(self.waits.ljust(128, b"\0"), self.count, True)
        elif self.name.startswith("sha3-"):
            padded = bytearray((self.waits + b"\x06").ljust(self.block, b"\0"))
            padded[-1] |= 0x80
            self.words = self._compress(bytes(padded), self.count)
        elif self.name != "crc32":
            order = "little" if self.name == "md5" else "big"
            field = self.block // 8
            length = (8 * self.count & (1 << 8 * field) - 1).to_bytes(field, order)  # type: ignore[arg-type]
            tail = self.waits + b"\x80"
            tail += bytes(-(len(tail) + field) % self.block) + length
            for at in range(0, len(tail), self.block):
                self.words = self._compress(tail[at : at + self.block], self.count)
        big = self.name == "crc32" or (self.name.startswith("sha") and not self.name.startswith("sha3-"))
        return b"".join(w.to_bytes(self.width, "big" if big else "little") for w in self.words)[: self.digest]


def sum_begin(name: str) -> bytearray:
    """The state of digest ``name`` (one of SUM_KINDS) that has seen nothing. UsageError for another name."""
    words, _, _, _ = _shape(name)
    state = _State(name, bytes(_size(name)))
    state.words = list(_FIRST.get(name, [0] * words))
    return bytearray(state.save())


def sum_update(
    names: Sequence[str], states: Sequence[bytearray | memoryview], data: bytes | bytearray | memoryview, level: int | None = None
) -> None:
    """Take ``data`` into every state, in place; ``names`` says which digest each is of.

    MD5, SHA-1 and SHA-256 that have seen equally many bytes go in one stitched pass. ``level`` is an index of
    SUM_LEVELS, None the best; the result is the same. UsageError for a name, level or state that is none; a state
    of the right length is taken as it is, whatever it holds.
    """
    if len(names) != len(states) or len(names) > 32:
        raise UsageError(f"{len(names)} digests, {len(states)} states; at most 32 at once")
    if level is not None and not 0 <= level < len(SUM_LEVELS):
        raise UsageError(f"level {level}; there are {len(SUM_LEVELS)}")
    opened = [_State(name, raw) for name, raw in zip(names, states, strict=True)]
    for state, raw in zip(opened, states, strict=True):
        state.take(bytes(data))
        raw[:] = state.save()


def sum_finish(name: str, state: bytes | bytearray | memoryview) -> bytes:
    """The digest of what ``state`` has seen. The state stays as it is and may go on."""
    return _State(name, state).finish()
