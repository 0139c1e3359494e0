"""Digest kernels: published vectors, hashlib and the BLAKE3 reference as oracles, states equal to the twin's, every SIMD level."""

from __future__ import annotations

import hashlib
import itertools
import random
import zlib
from pathlib import Path

import blake3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import sums as plain
from forensiclib.core.errors import UsageError
from forensiclib.kernels import SUM_KINDS, SUM_LEVELS, SUM_SHA, sum_begin, sum_finish, sum_update

LEVELS = range(len(SUM_LEVELS))
EDGES = (0, 1, 55, 56, 63, 64, 65, 71, 72, 103, 104, 111, 112, 127, 128, 129, 135, 136, 143, 144, 1023, 1024, 1025, 2048, 2049, 3073)
NOISE = random.Random(7).randbytes(1 << 20)
PLAIN = kernels.WHICH != "compiled"
MOST = 2100 if PLAIN else len(NOISE)
"""Bytes of the long cases: the twins do some 100 KB a second."""


def truth(name: str, data: bytes) -> str:
    if name == "crc32":
        return f"{zlib.crc32(data):08x}"
    if name == "blake3":
        return str(blake3.blake3(data).hexdigest())
    return hashlib.new(name.replace("-", "_"), data).hexdigest()


VECTORS = {
    "md5": {b"": "d41d8cd98f00b204e9800998ecf8427e", b"message digest": "f96b697d7cb7938d525a2f31aaf161d0"},  # RFC 1321, A.5
    # FIPS 180-4 examples (NIST CSRC, "Cryptographic Standards and Guidelines: example values")
    "sha1": {b"abc": "a9993e364706816aba3e25717850c26c9cd0d89d",
             b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    "sha224": {b"abc": "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
    "sha256": {b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
               b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    "sha384": {b"abc": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
    "sha512": {b"abc": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                       "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    "sha3-256": {b"": "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"},  # FIPS 202 examples
    "sha3-512": {b"abc": "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
                         "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"},
    "blake2b": {b"abc": "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                        "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"},  # RFC 7693, A
    "blake3": {b"": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"},  # BLAKE3 team, test_vectors.json
    "crc32": {b"123456789": "cbf43926"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_published_vectors(name: str) -> None:
    for data, value in VECTORS[name].items():
        for engine in (kernels, plain):
            state = engine.sum_begin(name)
            engine.sum_update((name,), (state,), data)
            assert engine.sum_finish(name, state).hex() == value


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", SUM_KINDS)
def test_hashlib_agrees_at_every_edge(name: str, level: int) -> None:
    for size in EDGES:
        for cut in {65} if PLAIN else {0, 1, size // 2, 63, 64, 65, 1023, 1024, 1025}:
            state = sum_begin(name)
            sum_update((name,), (state,), NOISE[: min(cut, size)], level)
            sum_update((name,), (state,), NOISE[min(cut, size) : size], level)
            assert sum_finish(name, state).hex() == truth(name, NOISE[:size]), (size, cut)


@given(
    st.lists(st.sampled_from((0, 1, 7, 63, 64, 65, 127, 128, 1000, 1023, 1024, 1025, 4096, 16384, 65536, 300000)), max_size=9), st.data()
)
@settings(max_examples=60, deadline=None)
def test_any_split_gives_the_same_digests_and_the_same_state(pieces: list[int], data: st.DataObject) -> None:
    whole = NOISE[: min(MOST, sum(pieces))]
    names = tuple(data.draw(st.lists(st.sampled_from(SUM_KINDS), min_size=1, max_size=6)))
    states, once = [sum_begin(n) for n in names], [sum_begin(n) for n in names]
    at = 0
    for piece in pieces:
        sum_update(names, states, whole[at : at + piece], data.draw(st.sampled_from(LEVELS)))
        at += piece
    sum_update(names, once, whole, 0)
    assert states == once
    assert [sum_finish(n, s).hex() for n, s in zip(names, states, strict=True)] == [truth(n, whole) for n in names]


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=4))
@settings(max_examples=25, deadline=None)
def test_states_equal_the_twins(data: bytes, cuts: list[int]) -> None:
    ours, twins = [sum_begin(n) for n in SUM_KINDS], [plain.sum_begin(n) for n in SUM_KINDS]
    assert ours == twins
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    for low, high in itertools.pairwise(edges):
        sum_update(SUM_KINDS, ours, data[low:high])
        plain.sum_update(SUM_KINDS, twins, data[low:high])
        assert ours == twins
    for name, state in zip(SUM_KINDS, ours, strict=True):
        assert sum_finish(name, state) == plain.sum_finish(name, state)


STITCHES = [
    ("md5", "sha1"),
    ("md5", "sha256"),
    ("sha1", "sha256"),
    ("md5", "sha1", "sha256"),
    ("sha224", "md5"),
    ("sha256", "sha224", "sha1"),
]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("names", STITCHES)
def test_stitched_passes(names: tuple[str, ...], level: int) -> None:
    for size in EDGES[::5] if PLAIN else (*EDGES, 100_003):
        states = [sum_begin(n) for n in names]
        for at in range(0, size, 1111):
            sum_update(names, states, NOISE[at : min(at + 1111, size)], level)
        assert [sum_finish(n, s).hex() for n, s in zip(names, states, strict=True)] == [truth(n, NOISE[:size]) for n in names]


@pytest.mark.parametrize("level", LEVELS)
def test_sums_that_have_seen_different_counts_do_not_share_a_pass(level: int) -> None:
    names = ("md5", "sha1", "sha256")
    states = [sum_begin(n) for n in names]
    for i, (name, state) in enumerate(zip(names, states, strict=True)):
        sum_update((name,), (state,), NOISE[: 10 * i], level)
    sum_update(names, states, NOISE[:5000], level)
    got = [sum_finish(n, s).hex() for n, s in zip(names, states, strict=True)]
    assert got == [truth(n, NOISE[: 10 * i] + NOISE[:5000]) for i, n in enumerate(names)]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", SUM_KINDS)
@pytest.mark.parametrize("before", [2**32 - 1024, 2**32 - 7, 2**42 - 1024, 2**61 - 129, 2**63 + 5])
def test_counters_beyond_four_gigabytes_equal_the_twin(name: str, level: int, before: int) -> None:
    """A state is moved on by arithmetic: nobody can wait for 2^61 bytes."""
    state = bytearray(random.Random(before).randbytes(len(sum_begin(name))))
    state[:8] = before.to_bytes(8, "little")
    other = bytearray(state)
    if name == "blake3":
        sum_update((name,), (state,), NOISE[:2100], level)
        plain.sum_update((name,), (other,), NOISE[:2100])
    else:
        sum_update((name,), (state,), NOISE[:300], level)
        plain.sum_update((name,), (other,), NOISE[:300])
    assert state[:8] == other[:8]
    assert sum_finish(name, state) == plain.sum_finish(name, other)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("size", [256 << 10, (256 << 10) + 1, 777_777, (1 << 20) - 1, 1 << 20])
def test_blake3_trees(size: int, level: int) -> None:
    if PLAIN:
        pytest.skip("the twin has no trees: it takes one chunk after the other")
    for skip in (0, 1, 1024, 5 * 1024, 130 * 1024 + 5):
        state = sum_begin("blake3")
        sum_update(("blake3",), (state,), NOISE[:skip], level)
        sum_update(("blake3",), (state,), NOISE[skip:size], level)
        assert sum_finish("blake3", state) == blake3.blake3(NOISE[:size]).digest()


@pytest.mark.parametrize("engine", [kernels, plain])
def test_what_is_refused(engine: object) -> None:
    begin, update, finish = engine.sum_begin, engine.sum_update, engine.sum_finish  # type: ignore[attr-defined]
    for call in (
        lambda: begin("md4"),
        lambda: update(("md4",), (begin("md5"),), b"x"),
        lambda: update(("md5", "sha1"), (begin("md5"),), b"x"),
        lambda: update(("md5",), (begin("sha1"),), b"x"),
        lambda: update(("md5",), (bytearray(),), b""),
        lambda: update(("md5",), (begin("md5"),), b"x", len(engine.SUM_LEVELS)),  # type: ignore[attr-defined]
        lambda: update(("md5",), (begin("md5"),), b"x", -1),
        lambda: update(("md5",) * 33, [begin("md5")] * 33, b"x"),
        lambda: finish("md5", b"short"),
        lambda: finish("nothing", begin("md5")),
    ):
        with pytest.raises(UsageError):
            call()


def test_any_bytes_are_a_state_and_none_harms() -> None:
    rng = random.Random(11)
    for _ in range(40 if PLAIN else 300):
        name = rng.choice(SUM_KINDS)
        state = bytearray(rng.randbytes(len(sum_begin(name))))
        if rng.random() < 0.5:
            state[:8] = rng.choice((b"\xff" * 8, b"\0" * 8, (2**64 - 1024).to_bytes(8, "little")))
        sum_update((name,), (state,), NOISE[: min(MOST, rng.choice((1, 64, 5000, 300_000)))], rng.choice(LEVELS))
        assert len(sum_finish(name, state)) * 2 == len(truth(name, b""))


def test_the_instructions_that_are_used_are_those_of_the_processor() -> None:
    info = Path("/proc/cpuinfo")
    if kernels.WHICH != "compiled" or not info.exists() or " flags" not in info.read_text().replace("\nflags", "\n flags"):
        pytest.skip("not compiled, or no list of processor features here")
    flags = set(next(line for line in info.read_text().splitlines() if line.startswith("flags")).split())
    assert ("sha_ni" in flags and len(SUM_LEVELS) > 1) == SUM_SHA
    assert ("avx512" in SUM_LEVELS) == ({"avx512f", "avx512vl", "avx512bw"} <= flags)
    assert ("avx2" in SUM_LEVELS) == ({"avx2", "bmi1", "bmi2"} <= flags)
