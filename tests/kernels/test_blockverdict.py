"""Entropy and verdicts of blocks: compiled == twin, and numpy's arithmetic as a second opinion."""

from __future__ import annotations

import math
import random
from array import array
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.blockverdict import block_measures as plain_measures
from forensiclib.core.errors import UsageError

RNG = random.Random(4)


def verdict(block: bytes) -> tuple[str, int]:
    compiled, plain = kernels.block_measures(block, 4096), plain_measures(block, 4096)
    assert compiled == plain
    return kernels.BLOCK_VERDICTS[compiled[2][0]], array("I", compiled[3])[0]


TEXT = b"The quick brown fox jumps over the lazy dog and 1234567890 other words follow; "
CASES = {
    "zero": (bytes(4096), "zero", 0),
    "one byte of zero": (b"\0", "zero", 0),
    "constant": (b"\xff" * 4096, "constant", 0),
    "period 2": (b"\x55\xaa" * 2048, "repeating", 2),
    "period 3, cut": ((b"abc" * 1366)[:4096], "repeating", 3),
    "period 64": (RNG.randbytes(64) * 64, "repeating", 64),
    "a sector eight times": (RNG.randbytes(512) * 8, "repeating", 512),
    "half twice": (RNG.randbytes(2048) * 2, "repeating", 2048),
    "period 65 is not looked for": ((RNG.randbytes(65) * 64)[:4096], "distinctive", 0),
    "repeating but for the last byte": (b"\x55\xaa" * 2047 + b"\x55\xab", "histogram", 0),
    "whitespace": (b"".join(RNG.choice((b" ", b" ", b"\n", b"\t", b"   x\r\n"[:4])) for _ in range(4000))[:4096], "whitespace", 0),
    "just not whitespace": (b"".join(b"   " + bytes((RNG.randrange(128, 256),)) for _ in range(1024)), "distinctive", 0),
    "FAT chain": (pack("<1024I", *range(77, 1101)), "ramp", 0),
    "half a ramp": (pack("<512I", *range(512)) + RNG.randbytes(2048), "distinctive", 0),
    "a little more than half": (pack("<514I", *range(514)) + RNG.randbytes(2040), "ramp", 0),
    "ramp across 2^32": (pack("<1024I", *((i - 300) & 0xFFFFFFFF for i in range(1024))), "ramp", 0),
    "big-endian ramp": (pack(">1024I", *range(1024)), "distinctive", 0),
    "a quarter one value": (RNG.randbytes(3072) + b"\xca\xfe\xba\xbe" * 256, "distinctive", 0),
    "more than a quarter": (RNG.randbytes(3068) + b"\xca\xfe\xba\xbe" * 257, "histogram", 0),
    "two values": (b"".join(RNG.choice((b"\1\2\3\4", b"\5\6\7\x08")) for _ in range(1024)), "histogram", 0),
    "three values": (b"".join(RNG.choice((b"\1\2\3\4", b"\5\6\7\x08", b"9abc")) for _ in range(1024)), "histogram", 0),
    "under one bit a byte": (bytes(RNG.choices((0, 1), (70, 30), k=4096)), "low-entropy", 0),
    "text": ((TEXT * 60)[:4096], "distinctive", 0),
    "noise": (RNG.randbytes(4096), "distinctive", 0),
    "noise, short": (RNG.randbytes(100), "distinctive", 0),
}


@pytest.mark.parametrize("case", CASES)
def test_verdicts(case: str) -> None:
    block, said, period = CASES[case]
    assert verdict(block) == (said, period)


def shapes(seed: int, length: int) -> bytes:
    rng = random.Random(seed)
    kind = rng.randrange(7)
    if kind == 0:
        return rng.randbytes(length)
    if kind == 1:
        return bytes(rng.choices(range(rng.randrange(1, 6)), k=length))
    if kind == 2:
        return (rng.randbytes(rng.choice((1, 2, 3, 5, 16, 63, 64, 65, 128, 256))) * (length + 1))[:length]
    if kind == 3:
        values = [rng.randbytes(4) for _ in range(rng.randrange(1, 8))]
        return b"".join(rng.choices(values, k=length // 4 + 1))[:length]
    if kind == 4:
        return b"".join(pack("<I", i if rng.random() < 0.75 else rng.randrange(1 << 32)) for i in range(length // 4 + 1))[:length]
    if kind == 5:
        return bytes(rng.choices(b" \t\r\n\v\fxyz", (20, 5, 5, 5, 1, 1, 2, 3, 4), k=length))
    spoilt = bytearray((rng.randbytes(rng.randrange(1, 9)) * (length + 1))[:length])
    if length:
        spoilt[rng.randrange(length)] ^= 1
    return bytes(spoilt)


@given(seed=st.integers(0, 1 << 32), length=st.integers(0, 3000), size=st.sampled_from((64, 128, 192, 512, 1024, 4096)))
@settings(max_examples=300, deadline=None)
def test_compiled_equals_the_twin(seed: int, length: int, size: int) -> None:
    data = b"".join(shapes(seed + i, min(length, size + 37 * i)) for i in range(3))
    for wanted in ((True, True, True), (False, False, True), (True, False, True), (True, False, False), (False, True, False)):
        assert kernels.block_measures(data, size, *wanted) == plain_measures(data, size, *wanted)


def test_large_blocks() -> None:
    data = shapes(6, 1) + RNG.randbytes(70_000) + bytes(200_000)
    assert kernels.block_measures(data, 1 << 18) == plain_measures(data, 1 << 18)


@given(seed=st.integers(0, 1 << 32), length=st.integers(1, 5000))
@settings(max_examples=100, deadline=None)
def test_entropy_against_numpy(seed: int, length: int) -> None:
    numpy = pytest.importorskip("numpy")
    block = shapes(seed, length)

    def entropy(symbols) -> float:
        share = numpy.unique(symbols, return_counts=True)[1] / len(symbols)
        return float(-(share * numpy.log2(share)).sum())

    bits, k, _, _ = kernels.block_measures(block, 1 << 13)
    assert math.isclose(array("d", bits)[0], entropy(numpy.frombuffer(block, "u1")), abs_tol=1e-7)
    padded = block + bytes(len(block) % 2)
    assert abs(array("H", k)[0] - 1000 * entropy(numpy.frombuffer(padded, "<u2"))) < 0.502


def test_entropies_that_need_no_computer() -> None:
    block = bytes(range(256)) * 2
    bits, k, _, _ = kernels.block_measures(block, 512)
    assert array("d", bits)[0] == 8.0
    assert array("H", k)[0] == 7000  # 128 pairs, each twice
    assert array("d", kernels.block_measures(b"\x07" * 512, 512)[0])[0] == 0.0
    assert array("d", kernels.block_measures(b"ab" * 256, 512)[0])[0] == 1.0


def test_what_cannot_be_asked() -> None:
    for measures in (kernels.block_measures, plain_measures):
        for size in (0, 63, (1 << 26) + 64):
            with pytest.raises(UsageError):
                measures(b"x", size)
        assert measures(b"", 64) == (b"", b"", b"", b"")
