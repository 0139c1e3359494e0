"""LZNT1 against the specification's example, a compressor of literals and copies, and compiled against plain."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _codecs_py as plain
from forensiclib import kernels
from forensiclib.testing.contracts import mutations

# [MS-XCA] 3.3
ORIGINAL = (
    b"F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E"
    b" D D E F# E D D\0"
)
PACKED = bytes.fromhex(
    "38b08846232000204720410010a24701a045204400084501507900c045200524138805b4024a44ef0358028c091601484500be009e000401189000"
)


def packed(data: bytes) -> bytes:
    """Chunks of literals, every other one stored as it is (2.5.1.2, 2.5.1.3)."""
    out = b""
    for number, at in enumerate(range(0, len(data), 4096)):
        piece = data[at : at + 4096]
        body = b"".join(b"\0" + piece[i : i + 8] for i in range(0, len(piece), 8))
        if number % 2 or len(body) > 4096:
            out += (0x3000 | len(piece) - 1).to_bytes(2, "little") + piece
        else:
            out += (0xB000 | len(body) - 1).to_bytes(2, "little") + body
    return out


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_the_example_of_the_specification(module) -> None:
    assert module.lznt1(PACKED, len(ORIGINAL)) == (ORIGINAL, -1)


def test_every_cut_keeps_what_stands_before_it() -> None:
    for cut in range(len(PACKED)):
        out, _ = kernels.lznt1(PACKED[:cut], len(ORIGINAL))
        assert ORIGINAL.startswith(out)


@given(st.integers(0, 9000), st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_literals_come_back(size: int, seed: int) -> None:
    data = random.Random(seed).randbytes(size)
    assert kernels.lznt1(packed(data), size) == (data, -1)


def test_compiled_equals_plain_on_damage() -> None:
    for sample in (PACKED, packed(ORIGINAL * 70)):
        size = len(ORIGINAL) * 70
        for damaged in mutations(sample, 300):
            assert kernels.lznt1(damaged, size) == plain.lznt1(damaged, size)


@given(st.binary(max_size=300), st.integers(0, 5000))
@settings(max_examples=300, deadline=None)
def test_compiled_equals_plain_on_anything(data: bytes, size: int) -> None:
    assert kernels.lznt1(data, size) == plain.lznt1(data, size)
