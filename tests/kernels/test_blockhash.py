"""Block digests: every instruction set gives hashlib's bytes, and the published vectors."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.blockhash import block_digests as plain_digests
from forensiclib.core.errors import UsageError

ALGORITHMS = ("md5", "sha1", "sha256")
LEVELS = (*kernels.BLOCK_LEVELS, None)
NOISE = b"".join(hashlib.sha512(i.to_bytes(4, "little")).digest() for i in range(4096))

VECTORS = {
    "md5": {  # RFC 1321, A.5
        b"": "d41d8cd98f00b204e9800998ecf8427e",
        b"a": "0cc175b9c0f1b6a831c399e269772661",
        b"abc": "900150983cd24fb0d6963f7d28e17f72",
        b"message digest": "f96b697d7cb7938d525a2f31aaf161d0",
        b"abcdefghijklmnopqrstuvwxyz": "c3fcd3d76192e4007dfb496cca67e13b",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789": "d174ab98d277d9f5a5611c2c9f419d9f",
        b"1234567890" * 8: "57edf4a22be3c955ac49da2e2107b67a",
    },
    "sha1": {  # FIPS 180-4's examples (NIST CSRC)
        b"abc": "a9993e364706816aba3e25717850c26c9cd0d89d",
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
    },
    "sha256": {
        b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    },
}
MILLION = {
    "sha1": "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
    "sha256": "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}


def loop(data: bytes | memoryview, size: int, algorithm: str) -> bytes:
    return b"".join(hashlib.new(algorithm, data[at : at + size]).digest() for at in range(0, len(data), size))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_published_vectors(algorithm: str) -> None:
    for message, wanted in VECTORS[algorithm].items():
        assert kernels.block_digests(message, 128, algorithm).hex() == (wanted if message else "")
    if algorithm in MILLION:  # "a" a million times, a multiple of 64
        for level in LEVELS:
            assert kernels.block_digests(b"a" * 1_000_000, 1_000_000, algorithm, level).hex() == MILLION[algorithm]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("level", LEVELS)
def test_any_number_of_blocks(algorithm: str, level: str | None) -> None:
    for size in (64, 512):
        for count in (*range(41), 47, 48, 49, 63, 64, 65, 95, 96, 97, 113, 144, 145):
            for tail in (0, 1, 55, 56, 63):
                data = NOISE[: count * size + tail]
                assert kernels.block_digests(data, size, algorithm, level) == loop(data, size, algorithm), (size, count, tail)


@given(
    start=st.integers(0, 70),
    length=st.integers(0, 30_000),
    size=st.integers(1, 70).map(lambda n: 64 * n),
    algorithm=st.sampled_from(ALGORITHMS),
)
@settings(max_examples=150, deadline=None)
def test_every_level_equals_the_twin_and_hashlib(start: int, length: int, size: int, algorithm: str) -> None:
    data = memoryview(NOISE)[start : start + length]
    wanted = loop(data, size, algorithm)
    assert plain_digests(data, size, algorithm) == wanted
    for level in LEVELS:
        assert kernels.block_digests(data, size, algorithm, level) == wanted, level


def test_what_cannot_be_asked() -> None:
    for digests in (kernels.block_digests, plain_digests):
        for size in (0, -64, 63, 100, (1 << 26) + 64):
            with pytest.raises(UsageError):
                digests(b"x", size)
        with pytest.raises(UsageError):
            digests(b"x", 64, "sha512")
        with pytest.raises(UsageError):
            digests(b"x", 64, "md5", "mmx")
        assert digests(b"", 64) == b""
