"""stretch: hashlib's PBKDF2, the twin, and RFC 6070, at every level of this machine."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import stretch as plain

LEVELS = range(len(kernels.STRETCH_LEVELS))


def derived(name, secret, salt, rounds, size, level):
    """PBKDF2 with all but the first round in the kernel, in two parts."""
    wide, block = plain.STRETCH_HASHES[name]
    key = secret if len(secret) <= block else hashlib.new(name, secret).digest()
    count = -(-size // wide)
    once = hashlib.pbkdf2_hmac(name, secret, salt, 1, wide * count)
    chains = bytearray(b"".join(2 * once[i : i + wide] for i in range(0, len(once), wide)))
    first = (rounds - 1) // 3
    kernels.stretch(name, key, chains, first, level)
    kernels.stretch(name, key, chains, rounds - 1 - first, level)
    return b"".join(chains[i + wide : i + 2 * wide] for i in range(0, len(chains), 2 * wide))[:size]


@pytest.mark.parametrize("level", LEVELS)
def test_rfc_6070(level):
    assert derived("sha1", b"password", b"salt", 4096, 20, level).hex() == "4b007901b765489abead49d926f721d065a429c1"
    long = derived("sha1", b"passwordPASSWORDpassword", b"saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, 25, level)
    assert long.hex() == "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["sha1", "sha256", "sha512", "blake2s"])
@pytest.mark.parametrize("size", [1, 64, 192, 700, 1100])
def test_hashlib_agrees(name, size, level):
    for secret in (b"", b"x" * 64, b"y" * 129):
        assert derived(name, secret, b"s" * 64, 20, size, level) == hashlib.pbkdf2_hmac(name, secret, b"s" * 64, 20, size)


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(plain.STRETCH_HASHES)), count=st.integers(0, 18), rounds=st.integers(0, 2), key=st.binary(max_size=64),
    seed=st.randoms(use_true_random=False),
)  # fmt: skip
def test_compiled_equals_plain(name, count, rounds, key, seed):
    count = count if name in ("sha1", "sha256", "sha512", "blake2s") else min(count, 3)
    data = seed.randbytes(2 * count * plain.STRETCH_HASHES[name][0])
    want = bytearray(data)
    plain.stretch(name, key, want, rounds)
    for level in LEVELS:
        got = bytearray(data)
        kernels.stretch(name, key, got, rounds, level)
        assert got == want


def test_lengths_are_proven_before_anything_is_read():
    for run in (kernels.stretch, plain.stretch):
        for call in (("md5", b"", bytearray(32), 1), ("sha256", bytes(65), bytearray(64), 1), ("sha256", b"", bytearray(63), 1),
                     ("sha256", b"", bytearray(64), -1)):  # fmt: skip
            with pytest.raises(ValueError):
                run(*call)
    if kernels.WHICH == "compiled":
        with pytest.raises(ValueError):
            kernels.stretch("sha1", b"", bytearray(40), 1, 9)
