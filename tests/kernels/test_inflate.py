"""inflate against zlib's own streams, with libdeflate and with zlib behind it."""

from __future__ import annotations

import random
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels


@pytest.fixture(params=["installed", "zlib"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setattr(kernels, "INFLATE", "zlib")


def packed(data: bytes, level: int, raw: bool) -> bytes:
    made = zlib.compressobj(level, zlib.DEFLATED, -15 if raw else 15)
    return made.compress(data) + made.flush()


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("size", [0, 1, 100, 4096, 32768, 65536, 1 << 20])
def test_what_zlib_packed_comes_back(size: int, level: int, raw: bool) -> None:
    for data in (bytes(size), random.Random(size).randbytes(size), (b"evidence %d " * size)[:size]):
        stream = packed(data, level, raw)
        assert kernels.inflate(stream, size, raw=raw) == data
        assert kernels.inflate(memoryview(stream + b"behind the stream"), size, raw=raw) == data
        assert kernels.inflate(stream, size + 1000, raw=raw) == data


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=3000), st.integers(0, 9), st.integers(0, 5000), st.integers(1, 255))
def test_damage_is_a_value_error_or_changes_nothing(data: bytes, level: int, at: int, flip: int) -> None:
    stream = bytearray(packed(data, level, False))
    for end in {0, 1, len(stream) // 2, len(stream) - 1}:
        with pytest.raises(ValueError):
            kernels.inflate(bytes(stream[:end]), len(data))
    stream[at % len(stream)] ^= flip
    try:
        assert kernels.inflate(bytes(stream), len(data)) == data
    except ValueError:
        pass


def test_more_than_the_expected_output_is_an_error_and_takes_no_memory() -> None:
    bomb = packed(bytes(64 << 20), 9, False)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="more than the 32768 bytes"):
            kernels.inflate(bomb, 32768)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_adler32_is_zlibs() -> None:
    for size in (0, 1, 5552, 5553, 100_000):
        data = random.Random(size).randbytes(size)
        assert kernels.adler32(data) == zlib.adler32(data)
