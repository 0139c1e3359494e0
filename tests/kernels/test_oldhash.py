"""old_digest and old_pbkdf2: published vectors, hashlib where it still has the hash, and the twin."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain import oldhash as plain


def test_published_digests():
    """ISO/IEC 10118-3 (Whirlpool of "" and "abc"); the RIPEMD-160 page of its authors."""
    assert kernels.old_digest("whirlpool", b"").hex().startswith("19fa61d75522a4669b44e39c1d2e1726c530232130d407f89afee0964997f7a7")
    assert kernels.old_digest("whirlpool", b"abc").hex().startswith("4e2448a4c6f486bb16b6562c73b4020bf3043e3a731bce721ae1b303d97e6d4c")
    assert kernels.old_digest("ripemd160", b"abc").hex() == "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"


def test_streebog_examples():
    """RFC 6986, 10.1.1 and 10.2.1: there the last byte of a message stands first."""
    first = (b"0123456789" * 7)[:63]
    second = bytes.fromhex(
        "fbe2e5f0eee3c820fbeafaebef20fffbf0e1e0f0f520e0ed20e8ece0ebe5f0f2f120fff0eeec20f120faf2fee5e2202ce8f6f3ede220e8e6eee1e8f0f2d1202ce8f0f2e5e220e5d1"
    )[::-1]
    for run in (kernels.old_digest, plain.old_digest):
        assert run("streebog512", first)[::-1].hex() == (
            "486f64c1917879417fef082b3381a4e211c324f074654c38823a7b76f830ad00fa1fbae42b1285c0352f227524bc9ab16254288dd6863dccd5b9f54a1ad0541b"
        )
        assert run("streebog512", second)[::-1].hex() == (
            "28fbc9bada033b1460642bdcddb90c3fb3e56c497ccd0f62b8a2ad4935e85f037613966de4ee00531ae60f3b5a47f8dae06915d5f2f194996fcabf2622e6881e"
        )


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(["whirlpool", "ripemd160", "streebog512"]), data=st.binary(max_size=200))
def test_compiled_equals_plain(name, data):
    assert kernels.old_digest(name, data) == plain.old_digest(name, data)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(["whirlpool", "ripemd160", "streebog512"]),
    secret=st.binary(max_size=100),
    salt=st.binary(max_size=70),
    rounds=st.integers(1, 3),
    size=st.integers(1, 90),
)
def test_derivations_are_equal(name, secret, salt, rounds, size):
    made = kernels.old_pbkdf2(name, secret, salt, rounds, size)
    assert made == plain.old_pbkdf2(name, secret, salt, rounds, size)
    if name in hashlib.algorithms_available:
        assert made == hashlib.pbkdf2_hmac(name, secret, salt, rounds, size)


def test_bounds():
    for run in (kernels, plain):
        for call in (
            ("md5", b"", b"", 1, 1),
            ("whirlpool", b"", b"", 0, 1),
            ("whirlpool", b"", b"", 1, 0),
            ("whirlpool", b"", b"", 1, 1 << 21),
        ):
            with pytest.raises(ValueError):
                run.old_pbkdf2(*call)
