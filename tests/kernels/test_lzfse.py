"""LZFSE against the reference implementation, and compiled against plain."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _codecs_py as plain
from forensiclib import kernels
from forensiclib.testing.contracts import mutations
from tests.kernels.test_codecs import originals

reference = pytest.importorskip("lzfse", reason="the lzfse wheel is not installed")


def bytes_of(size: int, seed: int) -> bytes:
    """Text, runs, noise and far repetitions."""
    rng, out = random.Random(seed), bytearray()
    while len(out) < size:
        kind = rng.randrange(4)
        if kind == 0:
            out += bytes(rng.choices(b"etaoin shrdlu\n", k=rng.randrange(1, 4000)))
        elif kind == 1:
            out += bytes([rng.randrange(256)]) * rng.randrange(1, 3000)
        elif kind == 2:
            out += rng.randbytes(rng.randrange(1, 2000))
        elif out:
            at = rng.randrange(len(out))
            out += out[at : at + rng.randrange(1, 5000)]
    return bytes(out[:size])


def samples() -> dict[str, bytes]:
    more = {"empty": b"", "far": bytes_of(700_000, 1), "near": bytes_of(40_000, 2), "one byte": b"x" * 50_000}
    return originals() | {f"first {n}": bytes_of(n, n) for n in (7, 8, 300, 4095, 4096, 5000)} | more


@pytest.mark.parametrize("name", samples())
def test_streams_of_the_reference_implementation(name: str) -> None:
    data = samples()[name]
    packed = reference.compress(data)
    assert kernels.lzfse(packed, len(data)) == (data, -1)
    if len(data) < 100_000:
        assert plain.lzfse(packed, len(data)) == (data, -1)


def test_every_kind_of_block_is_met() -> None:
    seen = {reference.compress(data)[:4] for data in samples().values()}
    assert {b"bvx-", b"bvx2", b"bvxn"} <= seen
    far = reference.compress(samples()["far"])
    assert far.count(b"bvx2") > 3, "matches that reach into the block before"


def spelled_out(packed: bytes) -> bytes:
    """The first bvx2 block of a stream as a bvx1 block, with an end behind it: every count in 16 bits."""
    _magic, raw, one, two, three = struct.unpack_from("<4sIQQQ", packed)
    size = three & 0xFFFFFFFF
    bits = "".join(f"{b:08b}"[::-1] for b in packed[32:size])
    codes = {"00": 0, "01": 1, "100": 2, "101": 3, "11000": 4, "11010": 5, "11001": 6, "11011": 7}
    counts, at = [], 0
    while len(counts) < 360:
        if bits[at : at + 4] == "1110":
            counts.append(8 + int(bits[at + 4 : at + 8][::-1], 2))
            at += 8
        elif bits[at : at + 4] == "1111":
            counts.append(24 + int(bits[at + 4 : at + 14][::-1], 2))
            at += 14
        else:
            code = next(bits[at : at + n] for n in (2, 3, 5) if bits[at : at + n] in codes)
            counts.append(codes[code])
            at += len(code)
    literals, literal_bytes, matches = one & 0xFFFFF, one >> 20 & 0xFFFFF, one >> 40 & 0xFFFFF
    match_bytes = two >> 40 & 0xFFFFF
    head = struct.pack(
        "<4sIIIIIIi", b"bvx1", raw, literal_bytes + match_bytes, literals, matches, literal_bytes, match_bytes, (one >> 60 & 7) - 7
    )
    head += struct.pack("<4H", *(two >> 10 * i & 1023 for i in range(4))) + struct.pack("<i", (two >> 60 & 7) - 7)
    head += struct.pack("<3H", *(three >> at & 1023 for at in (32, 42, 52))) + struct.pack("<360H", *counts)
    return head.ljust(772, b"\0") + packed[size : size + literal_bytes + match_bytes] + b"bvx$"


@pytest.mark.parametrize("name", ["near", "first 5000", "one byte", "text"])
def test_blocks_with_plain_counts_as_the_reference_reads_them(name: str) -> None:
    data = samples()[name]
    stream = spelled_out(reference.compress(data))
    data = data[: int.from_bytes(stream[4:8], "little")]
    assert reference.decompress(stream) == data
    assert kernels.lzfse(stream, len(data)) == plain.lzfse(stream, len(data)) == (data, -1)


def packed_samples() -> Iterator[tuple[bytes, int]]:
    for size in (300, 4095, 6000, 60_000):
        data = bytes_of(size, size + 5)
        yield reference.compress(data), size
    yield spelled_out(reference.compress(bytes_of(9_000, 3))), 9_000


@given(data=st.binary(max_size=300), size=st.integers(0, 5000), kind=st.sampled_from([b"", b"bvx1", b"bvx2", b"bvxn", b"bvx-"]))
@settings(max_examples=300, deadline=None)
def test_compiled_equals_plain_on_anything(data: bytes, size: int, kind: bytes) -> None:
    assert kernels.lzfse(kind + data, size) == plain.lzfse(kind + data, size)


def test_compiled_equals_plain_on_damage() -> None:
    for packed, size in packed_samples():
        for damaged in mutations(packed, 40 if size > 5000 else 300):
            assert kernels.lzfse(damaged, size) == plain.lzfse(damaged, size)


def test_damage_in_the_headers() -> None:
    """Where the counts, states and lengths stand: every single bit."""
    packed, size = reference.compress(bytes_of(4_500, 8)), 4_500
    for bit in range(8 * 96):
        damaged = bytearray(packed)
        damaged[bit >> 3] ^= 1 << (bit & 7)
        assert kernels.lzfse(bytes(damaged), size) == plain.lzfse(bytes(damaged), size)


@pytest.mark.bulk
def test_every_cut_keeps_what_stands_before_it() -> None:
    data = bytes_of(200_000, 9)
    packed = reference.compress(data)
    assert packed.count(b"bvx2") > 1
    for cut in range(0, len(packed), 997):
        out, status = kernels.lzfse(packed[:cut], len(data))
        assert data.startswith(out)
        assert status >= 0 and packed[status : status + 3] == b"bvx"


def test_more_than_was_asked_for_is_never_made() -> None:
    data = bytes_of(60_000, 4)
    packed = reference.compress(data)
    for size in (0, 1, 100, 59_999):
        out, status = kernels.lzfse(packed, size)
        assert (out, status) == plain.lzfse(packed, size)
        assert len(out) <= size and (status >= 0 or len(out) == size)
    assert kernels.lzfse(packed, 60_001) == (data, packed.index(b"bvx$"))


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_impossible_sizes(module) -> None:
    with pytest.raises(ValueError):
        module.lzfse(b"ab", -1)
    assert module.lzfse(b"", 5) == (b"", 0)
    assert module.lzfse(b"", 0) == (b"", -1)
