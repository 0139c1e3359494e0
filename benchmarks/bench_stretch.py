"""PBKDF2 of one header key of VeraCrypt's (192 bytes), 20,000 rounds: our kernel at each level, and hashlib in the same run."""

from __future__ import annotations

import hashlib

import pytest

from forensiclib import kernels
from forensiclib._plain.stretch import STRETCH_HASHES

ROUNDS = 20_000


@pytest.mark.parametrize("headers", [1, 2])
@pytest.mark.parametrize("level", range(len(kernels.STRETCH_LEVELS)), ids=kernels.STRETCH_LEVELS)
@pytest.mark.parametrize("name", STRETCH_HASHES)
def test_stretch(benchmark, name, level, headers):
    size, block = STRETCH_HASHES[name]
    chains = bytearray(2 * size * -(-192 // size) * headers)
    benchmark(kernels.stretch, name, bytes(block), chains, ROUNDS, level)


@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512", "blake2s"])
def test_hashlib(benchmark, name):
    benchmark(hashlib.pbkdf2_hmac, name, b"password", bytes(64), ROUNDS, 192)
