"""Where zlib streams may begin: every stream of zlib's own encoder is found, noise is refused, and compiled equals plain."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _codecs_py as plain
from forensiclib import kernels
from forensiclib.core.errors import UsageError
from forensiclib.testing.contracts import mutations


def packed(data: bytes, level: int, strategy: int, wbits: int) -> bytes:
    engine = zlib.compressobj(level, zlib.DEFLATED, wbits, 8, strategy)
    return engine.compress(data) + engine.flush()


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
@pytest.mark.parametrize("strategy", [zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FILTERED])
def test_what_zlib_writes_is_found_wherever_it_stands(module, strategy) -> None:
    rng = random.Random(strategy)
    for size in (0, 1, 5, 255, 256, 257, 3000):
        data = bytes(rng.choice(b"abcdefgh  \0\xff") for _ in range(size))
        for level in (0, 1, 6, 9):
            for wbits in (9, 12, 15):
                stream = packed(data, level, strategy, wbits)
                for before in (0, 1, 15, 33):
                    assert before in module.zlib_starts(rng.randbytes(before) + stream + rng.randbytes(40))


def test_a_stream_cut_anywhere_may_still_be_one() -> None:
    stream = packed(b"the quick brown fox jumps over the lazy dog" * 9, 9, 0, 15)
    for cut in range(3, len(stream)):
        assert 0 in kernels.zlib_starts(stream[:cut])


def test_a_short_stream_with_a_wrong_sum_is_noise() -> None:
    stream = bytearray(zlib.compress(b"short"))
    stream[-1] ^= 1
    assert kernels.zlib_starts(bytes(stream) + bytes(9)) == []


def test_noise_is_refused() -> None:
    data = random.Random(3).randbytes(8 << 20)
    found = kernels.zlib_starts(data, 0, len(data) - 2048)
    assert len(found) <= 12  # some 4,000 places carry the header


def test_everything_that_zlib_decodes_from_a_header_passes() -> None:
    """The independent definition: whatever zlib itself takes for 256 bytes or to a good end is announced."""
    rng = random.Random(9)
    base = packed(bytes(rng.choice(b"abcdefgh") for _ in range(700)), 9, 0, 15)
    for damaged in mutations(base, 2000):
        engine = zlib.decompressobj()
        try:
            out = engine.decompress(damaged, 600)
        except zlib.error:
            continue
        if engine.eof or len(out) >= 600:
            assert 0 in kernels.zlib_starts(damaged)


def test_compiled_equals_plain_on_damage() -> None:
    rng = random.Random(4)
    for level in (0, 1, 9):
        stream = packed(bytes(rng.choice(b"abcdefgh") for _ in range(500)), level, rng.randrange(5), 15)
        for damaged in mutations(stream, 300):
            assert kernels.zlib_starts(damaged) == plain.zlib_starts(damaged)


@given(st.binary(max_size=80), st.sampled_from([b"\x78\x9c", b"\x78\x01", b"\x08\x1d", b"\x48\x89", b"\x18\x19"]), st.binary(max_size=1500))
@settings(max_examples=300, deadline=None)
def test_compiled_equals_plain_on_anything(before: bytes, head: bytes, after: bytes) -> None:
    data = before + head + after
    assert kernels.zlib_starts(data) == plain.zlib_starts(data)
    assert kernels.zlib_starts(data, len(data) // 3, len(data) // 2) == plain.zlib_starts(data, len(data) // 3, len(data) // 2)


def test_many_starts_in_one_call() -> None:
    stream = zlib.compress(b"")
    assert kernels.zlib_starts(stream * 1000) == plain.zlib_starts(stream * 1000) == [i * len(stream) for i in range(1000)]
    with pytest.raises(UsageError):
        kernels.zlib_starts(b"abc", 2, 9)
