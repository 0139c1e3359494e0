"""Snappy blocks: what another implementation packs, elements by the format's own words, and compiled against plain."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import _codecs_py as plain
from forensiclib import kernels
from forensiclib.testing.contracts import mutations
from tests.kernels.test_codecs import originals

# cramjam 2 (the Rust implementation) packed ORIGINAL.
ORIGINAL = (
    b"The quick brown fox jumps over the lazy dog. " * 40
    + bytes(3000)
    + bytes(range(256))
    + b"The quick brown fox jumps over the lazy dog. "
)
PACKED = base64.b85decode(
    "?I*BQXk{RAb!lU3AYyWFcWxkNZ+IYTb!~8SAa8bMav*eQWgu)}dU+sZZ)Ywb{w)ChEdc&40RAli{w)ChEdc&40RAli{w)ChEdc&40RAli{w)ChEdc&40RAli"
    "{w)ChEdc&40RAli{w)ChEdc&40RAli{w)ChEdc&40BS7&009000R900{s92~0Ra910R900{s92~0Ra910R900{s92~0Ra910R900{s92~0Ra910R900{s92~"
    "0Ra910R900{s92~0Ra910R900{s92~0Ra910R900{s92~0Ra910R900{s92~0Ra910R900{s92~0Ra910R900{s92~0Ra910R900-T?sg1pxs90|W&I2M7rY"
    "3k(eo4-gR&6BHE|7Z@2D8yp=TA0QzjBP1mzCnzZ@D=aN8FEBAOGc+|eH#j*uJ3Ku;KR`i3LqtVJM@UIZOH55pPf$@(Q&d$}S6EqETU=dUUtnQkV`OD!XJ~0^"
    "Yiw<9Z*XyPb98lfcX)YvdwhL<e}I94gM@{Khlq)ai;RtqkC2g)la!T~mzbHFo1C4VpP-?lqok##r>Lo_tE{cAuduPQv$VCgx45~wyS%-=zrex5!^FkL$H>Xb"
    "%goKr&(P7*)6~`0*Vx(G+uYsW-{9fm<K*S$=jiF`>+J3B@9^>R^Yr!h_xSnx`~3a>|5RvYAaQkRmcSD"
)

# format_description.txt: (elements behind the stated size, what they give)
ELEMENTS = {
    "a short literal": (b"\x08abc", b"abc"),
    "a literal of 61 with its length behind": (b"\xf0\x3c" + b"x" * 61, b"x" * 61),
    "a literal with a length of two bytes": (b"\xf4\x2b\x01" + b"y" * 300, b"y" * 300),
    "a literal with a length of four bytes": (b"\xfc\x02\0\0\0abc", b"abc"),
    "a copy with one byte of offset": (b"\x0cabcd" + b"\x01\x04", b"abcdabcd"),
    "the high bits of that offset": (
        b"\xf4\x03\x01" + bytes(range(256)) + b"wxyz" + b"\x21\x04",
        bytes(range(256)) + b"wxyz" + bytes(range(4)),
    ),
    "a copy with two bytes": (b"\x04ab" + b"\x12\x02\0", b"ababababab"[:7]),
    "a copy with four bytes": (b"\x04ab" + b"\x13\x02\0\0\0", b"ababababab"[:7]),
    "a run": (b"\x00a" + b"\xfe\x01\0", b"a" * 65),
}


def stated(size: int) -> bytes:
    out = bytearray()
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes(out) + bytes([size])


@pytest.mark.parametrize("name", ELEMENTS)
@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_every_element_by_the_words_of_the_format(module, name: str) -> None:
    elements, made = ELEMENTS[name]
    assert module.snappy(stated(len(made)) + elements, len(made)) == (made, -1)
    assert module.snappy(stated(len(made)) + elements, len(made) + 100) == (made, -1)


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_a_block_that_another_implementation_packed(module) -> None:
    assert module.snappy(PACKED, len(ORIGINAL)) == (ORIGINAL, -1)


@pytest.mark.parametrize("name", sorted(originals()))
def test_what_cramjam_packs(name: str) -> None:
    cramjam = pytest.importorskip("cramjam", reason="cramjam is not installed")
    data = originals()[name]
    for at in range(0, len(data), 65_536):
        piece = data[at : at + 65_536]
        packed = bytes(cramjam.snappy.compress_raw(piece))
        assert kernels.snappy(packed, len(piece)) == plain.snappy(packed, len(piece)) == (piece, -1)


@given(data=st.binary(max_size=300), size=st.integers(0, 5000))
@settings(max_examples=300, deadline=None)
def test_compiled_equals_plain_on_anything(data: bytes, size: int) -> None:
    assert kernels.snappy(data, size) == plain.snappy(data, size)


@given(size=st.integers(0, 600), elements=st.lists(st.binary(min_size=1, max_size=12), max_size=30))
@settings(max_examples=300, deadline=None)
def test_compiled_equals_plain_behind_a_size_that_fits(size: int, elements: list[bytes]) -> None:
    data = stated(size) + b"\x1cabcdefgh" + b"".join(elements)
    assert kernels.snappy(data, 600) == plain.snappy(data, 600)


def test_compiled_equals_plain_on_damage_and_every_cut() -> None:
    for damaged in mutations(PACKED, 400):
        assert kernels.snappy(damaged, len(ORIGINAL)) == plain.snappy(damaged, len(ORIGINAL))
    for cut in range(len(PACKED)):
        out, status = kernels.snappy(PACKED[:cut], len(ORIGINAL))
        assert ORIGINAL.startswith(out) and status >= 0


@pytest.mark.parametrize("module", [kernels, plain], ids=["chosen", "plain"])
def test_sizes_that_cannot_be(module) -> None:
    with pytest.raises(ValueError):
        module.snappy(b"ab", -1)
    assert module.snappy(b"", 5) == (b"", 0)
    assert module.snappy(b"\xff" * 9, 1 << 20) == (b"", 0), "a stated size without an end"
    assert module.snappy(stated(101) + b"\x00a", 100) == (b"", 0), "more than the caller has room for"
    assert module.snappy(stated(2) + b"\x00a", 100) == (b"a", 3), "fewer bytes than are stated"


def test_copies_that_overlap_in_every_distance() -> None:
    chance = random.Random(1)
    for back in range(1, 80):
        seed = chance.randbytes(80)
        for length in (1, 4, 15, 16, 17, 31, 64):
            data = stated(80 + length) + b"\xf0\x4f" + seed + bytes([(length - 1) << 2 | 2]) + back.to_bytes(2, "little")
            assert kernels.snappy(data, 80 + length) == plain.snappy(data, 80 + length)
            assert kernels.snappy(data, 80 + length)[1] == -1
