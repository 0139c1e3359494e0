"""LZXPRESS against the specification's examples, real files, and compiled against plain."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _codecs_py as plain
from forensiclib import kernels
from forensiclib.testing.contracts import mutations

ALPHABET = b"abcdefghijklmnopqrstuvwxyz"


def table(**lengths: int) -> bytes:
    out = bytearray(256)
    for at, value in lengths.items():
        out[int(at[1:])] = value
    return bytes(out)


# [MS-XCA] 3.1 and 3.2: (kernel, compressed, original)
VECTORS = [
    ("lzxpress", bytes.fromhex("3f000000") + ALPHABET, ALPHABET),
    ("lzxpress", bytes.fromhex("ffffff1f61626317000fff2601"), b"abc" * 100),
    (
        "lzxpress_huffman",
        table(_48=0x50, **{f"_{at}": 0x55 for at in range(49, 59)}, _59=0x45, _60=0x44, _61=0x04, _128=0x04)
        + bytes.fromhex("d8523ed794115be9195ff9d67cdf8d0400000000"),
        ALPHABET,
    ),
    ("lzxpress_huffman", table(_48=0x30, _49=0x23, _128=0x02, _143=0x20) + bytes.fromhex("a8dc0000ff2601"), b"abc" * 100),
]
KERNELS = ("lzxpress", "lzxpress_huffman")


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
@pytest.mark.parametrize(("name", "packed", "original"), VECTORS)
def test_examples_of_the_specification(module: object, name: str, packed: bytes, original: bytes) -> None:
    assert getattr(module, name)(packed, len(original)) == (original, -1)


@pytest.mark.parametrize(("name", "packed", "original"), VECTORS)
def test_every_cut_is_noticed(name: str, packed: bytes, original: bytes) -> None:
    kernel = getattr(kernels, name)
    for cut in range(len(packed)):
        out, bad = kernel(packed[:cut], len(original))
        assert original.startswith(out)
        # The Huffman examples end with an end-of-file symbol and padding that decoding to a known size does not need.
        assert bad >= 0 or (name == "lzxpress_huffman" and out == original)


@pytest.mark.parametrize(("name", "packed", "original"), VECTORS)
def test_a_size_that_is_too_small_or_too_large(name: str, packed: bytes, original: bytes) -> None:
    kernel = getattr(kernels, name)
    assert kernel(packed, 0) == (b"", -1)
    assert kernel(packed[:-4], len(original) * 2)[1] >= 0
    with pytest.raises(ValueError, match="negative"):
        kernel(packed, -1)


def test_a_match_past_the_stated_size_is_damage() -> None:
    packed = bytes.fromhex("ffffff1f61626317000fff2601")
    assert kernels.lzxpress(packed, 299) == (b"abc", 7)


@pytest.mark.parametrize("name", KERNELS)
@given(data=st.binary(max_size=600), size=st.integers(0, 2000))
@settings(max_examples=300, deadline=None)
def test_compiled_equals_plain_on_random_bytes(name: str, data: bytes, size: int) -> None:
    assert getattr(kernels, name)(data, size) == getattr(plain, name)(data, size)


@given(data=st.binary(max_size=3000), size=st.integers(0, 70_000), seed=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_compiled_equals_plain_behind_a_full_code(data: bytes, size: int, seed: int) -> None:
    # Nine bits for each of the 512 symbols is a complete code: random bits decode far.
    packed = bytes([0x99]) * 256 + data
    assert kernels.lzxpress_huffman(packed, size) == plain.lzxpress_huffman(packed, size)


@pytest.mark.parametrize(("name", "packed", "original"), VECTORS)
def test_compiled_equals_plain_on_damage(name: str, packed: bytes, original: bytes) -> None:
    for damaged in mutations(packed, 300):
        assert getattr(kernels, name)(damaged, len(original)) == getattr(plain, name)(damaged, len(original))


@pytest.mark.corpus
def test_real_files_decode_whole_and_alike(corpus: Path) -> None:
    files = [p for p in sorted(corpus.rglob("*.pf")) if p.read_bytes()[:4] == b"MAM\x04"]
    assert files
    for path in files:
        data = path.read_bytes()
        size = int.from_bytes(data[4:8], "little")
        out, bad = kernels.lzxpress_huffman(data[8:], size)
        assert (len(out), bad, out[4:8]) == (size, -1, b"SCCA"), path.name
        # The file inside states its own length.
        assert int.from_bytes(out[12:16], "little") == size
        if size < 150_000:
            assert plain.lzxpress_huffman(data[8:], size) == (out, -1)
            for damaged in mutations(data[8:], 3):
                assert plain.lzxpress_huffman(damaged, size) == kernels.lzxpress_huffman(damaged, size)
