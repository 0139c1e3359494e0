"""sectors_decrypt: published vectors, OpenSSL, and the twin, at every level of this machine."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import sectors as plain

LEVELS = range(len(kernels.SECTOR_LEVELS))
X = bytes.fromhex
CAMELLIA = X("0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff")


def encrypted(cipher, key, block, level=None):
    data = bytearray(block)
    kernels.sectors_decrypt(cipher, "ecb-encrypt", key, b"", data, 16, level=level)
    return bytes(data)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("cipher", "key", "block", "out"),
    [
        # FIPS 197, appendix C
        ("aes", bytes(range(16)), X("00112233445566778899aabbccddeeff"), "69c4e0d86a7b0430d8cdb78070b4c55a"),
        ("aes", bytes(range(24)), X("00112233445566778899aabbccddeeff"), "dda97ca4864cdfe06eaf70a0ec0d7191"),
        ("aes", bytes(range(32)), X("00112233445566778899aabbccddeeff"), "8ea2b7ca516745bfeafc49904b496089"),
        # the Twofish paper, appendix B.2
        ("twofish", bytes(16), bytes(16), "9f589f5cf6122c32b6bfec2f2ae8c35a"),
        ("twofish", X("0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff"), bytes(16), "37527be0052334b89f0cfccae87cfa20"),
        # Serpent's vectors in the byte order of the implementations (Linux testmgr)
        ("serpent", bytes(range(16)), bytes(range(16)), "4c7d8a328072a22c823e4a1f3acda16d"),
        ("serpent", bytes(range(32)), bytes(range(16)), "de269ff833e432b85b2e88d2701ce75c"),
        # RFC 3713, appendix A
        ("camellia", CAMELLIA[:16], CAMELLIA[:16], "67673138549669730857065648eabe43"),
        ("camellia", CAMELLIA[:24], CAMELLIA[:16], "b4993401b3e996f84ee5cee7d79b09b9"),
        ("camellia", CAMELLIA, CAMELLIA[:16], "9acc237dff16d76c20ef7c919e3a7509"),
        # RFC 7801, 5.5
        (
            "kuznyechik",
            X("8899aabbccddeeff0011223344556677fedcba98765432100123456789abcdef"),
            X("1122334455667700ffeeddccbbaa9988"),
            "7f679d90bebc24305a468d42b9d4edcd",
        ),
    ],
)
def test_published_blocks(cipher, key, block, out, level):
    assert encrypted(cipher, key, block, level).hex() == out
    data = bytearray(X(out) * 3)
    kernels.sectors_decrypt(cipher, "ecb", key, b"", data, 16, level=level)
    assert bytes(data) == block * 3


@pytest.mark.parametrize("level", LEVELS)
def test_ieee_1619_vectors(level):
    """IEEE 1619-2007, annex B, vectors 1 and 2."""
    for first, key, tweak, text, out in (
        (0, bytes(16), bytes(16), bytes(32), "917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e"),
        (0x3333333333, b"\x11" * 16, b"\x22" * 16, b"\x44" * 32, "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0"),
    ):
        data = bytearray(X(out))
        kernels.sectors_decrypt("aes", "xts", key, tweak, data, 32, first=first, level=level)
        assert bytes(data) == text


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("unit", [16, 64, 512, 520 - 8, 528, 4096])
def test_openssl_agrees(unit, level):
    text, key = bytes(range(256)) * (unit * 5 // 256 + 1), bytes(range(64))
    text = text[: 5 * unit]
    out = b""
    for i in range(5):
        engine = Cipher(algorithms.AES(key), modes.XTS((7 + 3 * i).to_bytes(16, "little"))).encryptor()
        out += engine.update(text[i * unit : i * unit + unit])
    data = bytearray(out)
    kernels.sectors_decrypt("aes", "xts", key[:32], key[32:], data, unit, first=7, step=3, level=level)
    assert bytes(data) == text
    out = b""
    for i in range(5):
        engine = Cipher(algorithms.AES(key[:32]), modes.CBC((7 + i).to_bytes(16, "little"))).encryptor()
        out += engine.update(text[i * unit : i * unit + unit])
    data = bytearray(out)
    kernels.sectors_decrypt("aes", "cbc", key[:32], b"", data, unit, first=7, level=level)
    assert bytes(data) == text


@settings(max_examples=60, deadline=None)
@given(
    cipher=st.sampled_from(["aes", "serpent", "twofish", "camellia", "kuznyechik"]), mode=st.sampled_from(["ecb", "ecb-encrypt", "cbc", "xts", "lrw"]),
    size=st.sampled_from([16, 24, 32]), unit=st.sampled_from([16, 48, 512, 528, 1024]), count=st.integers(0, 3), first=st.integers(0, (1 << 64) - 1),
    step=st.integers(1, 8), seed=st.randoms(use_true_random=False), given_ivs=st.booleans(),
)  # fmt: skip
def test_compiled_equals_plain(cipher, mode, size, unit, count, first, step, seed, given_ivs):
    size, count = (32, min(count, 1)) if cipher == "kuznyechik" else (size, count)
    key, tweak, data = seed.randbytes(size), seed.randbytes(16 if mode == "lrw" else size), seed.randbytes(unit * count)
    ivs = seed.randbytes(16 * count) if given_ivs else b""
    want = bytearray(data)
    plain.sectors_decrypt(cipher, mode, key, tweak, want, unit, first, step, ivs)
    for level in LEVELS:
        got = bytearray(data)
        kernels.sectors_decrypt(cipher, mode, key, tweak, got, unit, first, step, ivs, level)
        assert got == want


@pytest.mark.parametrize(
    "call",
    [("aes", "xts", bytes(15), bytes(16), 512, 512), ("aes", "xts", bytes(16), b"", 512, 512), ("aes", "cbc", bytes(16), b"", 500, 500),
     ("aes", "cbc", bytes(16), b"", 512, 513), ("des3_ede", "xts", bytes(24), bytes(24), 512, 512), ("rot13", "cbc", bytes(16), b"", 512, 512)],
)  # fmt: skip
def test_lengths_are_proven_before_anything_is_read(call):
    cipher, mode, key, tweak, unit, size = call
    for run in (kernels.sectors_decrypt, plain.sectors_decrypt):
        with pytest.raises(ValueError):
            run(cipher, mode, key, tweak, bytearray(size), unit)
