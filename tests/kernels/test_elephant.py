"""elephant_decrypt: the twin, and the definition turned round (the encrypting direction). Whole volumes: tests/crypto/test_bitlocker.py."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import elephant as plain


def diffused(data: bytes, key: bytes) -> bytes:
    """One sector in the direction of encryption: the key, diffuser A, diffuser B, each step subtracted in the reverse order."""
    n = len(data) // 4
    d = [a ^ b for a, b in zip(struct.unpack(f"<{n}I", data), struct.unpack("<8I", key) * (n // 8), strict=True)]

    def rol(v: int, k: int) -> int:
        return ((v << k) | (v >> (32 - k))) & 0xFFFFFFFF

    for rolls, sign, rounds in (((9, 0, 13, 0), -1, 5), ((0, 10, 0, 25), 1, 3)):
        for _ in range(rounds):
            for i in reversed(range(n)):
                d[i] = (d[i] - (d[(i + 2 * sign) % n] ^ rol(d[(i + 5 * sign) % n], rolls[i % 4]))) & 0xFFFFFFFF
    return struct.pack(f"<{n}I", *d)


@settings(max_examples=40, deadline=None)
@given(unit=st.sampled_from([32, 64, 512, 4096]), count=st.integers(0, 3), seed=st.randoms(use_true_random=False))
def test_compiled_equals_plain_and_undoes_the_definition(unit, count, seed):
    text, keys = seed.randbytes(unit * count), seed.randbytes(32 * count)
    packed = b"".join(diffused(text[i * unit : (i + 1) * unit], keys[32 * i : 32 * i + 32]) for i in range(count))
    for run in (kernels.elephant_decrypt, plain.elephant_decrypt):
        data = bytearray(packed)
        run(data, unit, keys)
        assert data == text


@pytest.mark.parametrize(("size", "unit", "keys"), [(512, 512, 31), (500, 512, 32), (8192, 8192, 32), (40, 40, 32), (0, 0, 0)])
def test_lengths_are_proven(size, unit, keys):
    for run in (kernels.elephant_decrypt, plain.elephant_decrypt):
        with pytest.raises(ValueError):
            run(bytearray(size), unit, bytes(keys))
