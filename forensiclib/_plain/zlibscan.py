"""Twin of _native/zlibscan.pxi."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache

from forensiclib.core.errors import UsageError

__all__ = ["zlib_starts"]

INPUT, OUTPUT = 1024, 256
"""Bytes of deflate that the probe looks at, and of output that it takes for content."""
_HEADS = [bytes((c, f)) for c in range(8, 0x80, 16) for f in range(256) if not f & 0x20 and (c << 8 | f) % 31 == 0]
_HEAD = re.compile(b"(?=" + b"|".join(map(re.escape, _HEADS)) + b")", re.DOTALL)
_LENGTHS = [(3 + i, 0) for i in range(8)]
for _bits in range(1, 6):
    _LENGTHS += [(3 + (4 << _bits) + (i << _bits), _bits) for i in range(4)]
_LENGTHS.append((258, 0))
_BACKS = [(1 + i, 0) for i in range(4)]
for _bits in range(1, 14):
    _BACKS += [(1 + (2 << _bits) + (i << _bits), _bits) for i in range(2)]
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

Code = tuple[dict[tuple[int, int], int], int]


class _Noise(Exception):
    """No deflate."""


class _End(Exception):
    """The bytes that may be looked at end."""


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.word, self.have = int.from_bytes(data, "little"), 8 * len(data)
        self.at = 0

    def take(self, n: int) -> int:
        if self.at + n > self.have:
            raise _End
        value = self.word >> self.at & ((1 << n) - 1)
        self.at += n
        return value

    def align(self) -> None:
        self.at = -(-self.at // 8) * 8


def _code(lengths: list[int]) -> Code:
    """(length, code) -> symbol, and how many codes of 15 bits are free."""
    table, code, left = {}, 0, 1
    for n in range(1, 16):
        left *= 2
        code <<= 1
        for symbol, length in enumerate(lengths):
            if length == n:
                table[n, code] = symbol
                code += 1
                left -= 1
        if left < 0:
            raise _Noise
    return table, left


def _symbol(bits: _Bits, code: Code) -> int:
    value = 0
    for n in range(1, 16):
        value = value << 1 | bits.take(1)
        if (n, value) in code[0]:
            return code[0][n, value]
    raise _Noise


def _trees(bits: _Bits) -> tuple[Code, Code]:
    literals, backs, count = 257 + bits.take(5), 1 + bits.take(5), 4 + bits.take(4)
    if literals > 286 or backs > 30:
        raise _Noise
    order = [0] * 19
    for place in _ORDER[:count]:
        order[place] = bits.take(3)
    code = _code(order)
    if code[1]:
        raise _Noise
    lengths: list[int] = []
    while len(lengths) < literals + backs:
        symbol = _symbol(bits, code)
        if symbol < 16:
            lengths.append(symbol)
            continue
        if symbol == 16 and not lengths:
            raise _Noise
        value = lengths[-1] if symbol == 16 else 0
        lengths += [value] * (3 + bits.take(2) if symbol == 16 else 3 + bits.take(3) if symbol == 17 else 11 + bits.take(7))
    if len(lengths) > literals + backs or not lengths[256]:
        raise _Noise
    first, second = _code(lengths[:literals]), _code(lengths[literals:])
    if (first[1] and list(first[0]) != [(1, 0)]) or (second[1] and list(second[0]) not in ([], [(1, 0)])):
        raise _Noise  # a code that leaves some free is one of a single symbol
    return first, second


@lru_cache(maxsize=1)
def _fixed() -> tuple[Code, Code]:
    return _code([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8), _code([5] * 32)


def _block(bits: _Bits, literal: Code, back: Code, out: bytearray, reach: int) -> None:
    while len(out) < OUTPUT:
        symbol = _symbol(bits, literal)
        if symbol < 256:
            out.append(symbol)
            continue
        if symbol == 256:
            return
        if symbol > 285:
            raise _Noise
        base, extra = _LENGTHS[symbol - 257]
        length = base + bits.take(extra)
        symbol = _symbol(bits, back)
        if symbol > 29:
            raise _Noise
        base, extra = _BACKS[symbol]
        distance = base + bits.take(extra)
        if distance > min(len(out), reach):
            raise _Noise
        for _ in range(length):
            out.append(out[-distance])


def _stored(bits: _Bits, out: bytearray) -> None:
    bits.align()
    length = bits.take(16)
    if length ^ bits.take(16) != 0xFFFF:
        raise _Noise
    for _ in range(min(length, OUTPUT - len(out))):
        out.append(bits.take(8))


def _holds(piece: bytes) -> bool:
    bits, out, last = _Bits(piece[2 : 2 + INPUT]), bytearray(), 0
    try:
        while not last:
            last, kind = bits.take(1), bits.take(2)
            if kind == 3:
                return False
            if kind == 0:
                _stored(bits, out)
            else:
                _block(bits, *(_fixed() if kind == 1 else _trees(bits)), out, 256 << (piece[0] >> 4))
            if len(out) >= OUTPUT:
                return True
        bits.align()
        return bits.take(32).to_bytes(4, "little") == zlib.adler32(out).to_bytes(4, "big")
    except _End:
        return True
    except _Noise:
        return False


def zlib_starts(data: bytes | bytearray | memoryview, start: int = 0, stop: int | None = None) -> list[int]:
    """Offsets in [start, stop) of ``data`` where a zlib stream (RFC 1950, without a dictionary) may begin.

    Its header is one, and the deflate behind it decodes, as far as ``INPUT`` bytes and until ``OUTPUT`` bytes came out; a
    stream that ends before has the right Adler-32. Where the data ends first, what is there decodes. Noise has
    the header every two KiB and passes once in some MiB. UsageError for a range outside the data.
    """
    size = len(data)
    stop = size if stop is None else stop
    if not 0 <= start <= stop <= size:
        raise UsageError(f"range {start} to {stop} of {size} bytes")
    raw, out = bytes(data), []
    for match in _HEAD.finditer(raw, start):
        at = match.start()
        if at >= min(stop, size - 2):
            break
        if _holds(raw[at : at + 2 + INPUT]):
            out.append(at)
    return out
