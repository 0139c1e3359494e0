"""Twin of _native/blockverdict.pxi."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from math import floor, log2
from struct import pack, unpack, unpack_from

from forensiclib.core.errors import UsageError

__all__ = ["BLOCK_VERDICTS", "block_measures"]

BLOCK_VERDICTS: tuple[str, ...] = ("zero", "constant", "repeating", "whitespace", "ramp", "histogram", "low-entropy", "distinctive")
"""What block_measures says of a block, by code; the first rule that holds:

zero         every byte is 0
constant     every byte is the same
repeating    a period of 2 to 64 bytes, or a power of two up to half of the block, from end to end
whitespace   more than three quarters are spaces, tabs, line and page ends
ramp         more than half of the 32-bit little-endian words are one more than the word before (allocation tables)
histogram    one 4-byte value fills more than a quarter of the block (so do one, two or three values between them)
low-entropy  less than one bit a byte
distinctive  none of these

Whitespace, ramp and histogram are the kinds of blocks that prove nothing in S. Garfinkel and M. McCarrin, Hash-based carving:
searching media for complete files and file fragments with sector hashing and hashdb, Digital Investigation 14 (2015) S95-S105.
The thresholds above are the definition here; they were not compared with the paper's own figures.
Fewer than 8 words are no ramp and no histogram; bytes behind the last whole word count for neither.
"""
_ROUNDING = 1024
"""More than the roundings of 256 counts make: exactly one bit a byte is not less."""
_WHITE = bytes((9, 10, 11, 12, 13, 32))


def _fixed(count: int) -> int:
    """count * log2(count) in 2^-32 bits: whole numbers add up to the same in any order."""
    return floor(count * log2(count) * 4294967296.0 + 0.5) if count else 0


def _sum(symbols: Iterable[int], n: int) -> int:
    """n * entropy, in 2^-32 bits."""
    return _fixed(n) - sum(map(_fixed, Counter(symbols).values()))


def _bits(fixed: int, n: int) -> float:
    return float(fixed) / 4294967296.0 / n


def _float32(value: float) -> float:
    return float(unpack("<f", pack("<f", value))[0])


def _periods(n: int) -> Iterable[int]:
    p = 2
    while p <= n // 2:
        yield p
        p = p + 1 if p < 64 else p * 2


def _rule(block: bytes, entropy: int) -> tuple[str, int]:
    n, words = len(block), len(block) // 4
    if block.count(block[0]) == n:
        return ("constant" if block[0] else "zero"), 0
    if n >= 8:
        for period in _periods(n):
            if block[period:] == block[:-period]:
                return "repeating", period
    if 4 * sum(map(block.count, _WHITE)) > 3 * n:
        return "whitespace", 0
    if words >= 8:
        values = unpack_from(f"<{words}I", block)
        if 2 * sum((b - a) & 0xFFFFFFFF == 1 for a, b in pairwise(values)) > words:
            return "ramp", 0
        if 4 * max(Counter(values).values()) > words:
            return "histogram", 0
    return ("low-entropy" if entropy < (n << 32) - _ROUNDING else "distinctive"), 0


def block_measures(
    data: bytes | bytearray | memoryview, size: int, entropy: bool = True, k_entropy: bool = True, verdict: bool = True
) -> tuple[bytearray, bytearray, bytearray, bytearray]:
    """Of every block of ``size`` bytes (the last may be shorter), in native byte order:

    entropy    float64: Shannon entropy of its bytes, 0 to 8 bits
    k_entropy  uint16: 1000 times the Shannon entropy of its 16-bit little-endian symbols in single precision, rounded, as hashdb
               3.1 has it; an odd last byte is a symbol with a high byte of 0
    verdict    uint8: a number in BLOCK_VERDICTS; and uint32: the period where that is "repeating", else 0

    What is not asked for is empty. ``size`` is a multiple of 64, at most 64 MiB; UsageError otherwise.
    """
    if size < 64 or size % 64 or size > 1 << 26:
        raise UsageError(f"blocks of {size} bytes: a multiple of 64, 64 MiB at most")
    out = array("d"), array("H"), bytearray(), array("I")
    for at in range(0, len(data), size):
        block = bytes(data[at : at + size])
        n = len(block)
        total = _sum(block, n) if entropy or verdict else 0
        if entropy:
            out[0].append(_bits(total, n))
        if k_entropy:
            pairs = (n + 1) // 2
            bits = _bits(_sum(unpack_from(f"<{pairs}H", block + b"\0"), pairs), pairs)
            out[1].append(floor(_float32(_float32(bits) * 1000.0) + 0.5))
        if verdict:
            said, period = _rule(block, total)
            out[2].append(BLOCK_VERDICTS.index(said))
            out[3].append(period)
    return bytearray(out[0].tobytes()), bytearray(out[1].tobytes()), out[2], bytearray(out[3].tobytes())
