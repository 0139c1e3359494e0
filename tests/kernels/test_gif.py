"""The codes of GIF images: what Pillow writes, the twin, and what is damaged."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.gif import gif_codes as plain
from forensiclib.core.errors import UsageError

# GIF89a specification's own sample of codes, in common use: 10 x 10 pixels of four colours, least code size 2.
SAMPLE = bytes.fromhex("16 8C2D99872A1CDC33A00275EC95FAA8DE608C04914C01 00")


@pytest.mark.parametrize("codes", [kernels.gif_codes, plain])
def test_the_known_sample(codes) -> None:
    assert codes(SAMPLE, 2)[:2] == (100, 0)
    assert codes(SAMPLE[:9], 2)[1] == 1 and codes(b"", 2) == (0, 1, 0)
    assert codes(b"\1\xff\0", 2)[1] == 2  # the first code is none of the four colours
    for least in (0, 12):
        with pytest.raises(UsageError):
            codes(SAMPLE, least)


def written(width: int, height: int, colours: int, seed: int) -> tuple[bytes, int]:
    """(sub-blocks, least code size) of a picture that Pillow writes."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    rng, out = random.Random(seed), io.BytesIO()
    picture = image.new("P", (width, height))
    picture.putpalette(rng.randbytes(768))
    noise = rng.random() < 0.5
    picture.putdata([rng.randrange(colours) if noise else (x // 7) % colours for x in range(width * height)])
    picture.save(out, "GIF", optimize=False)
    raw = out.getvalue()
    at = 13 + (3 << ((raw[10] & 7) + 1) if raw[10] & 0x80 else 0)
    while raw[at] == 0x21:
        at += 2
        while raw[at]:
            at += raw[at] + 1
        at += 1
    assert raw[at] == 0x2C
    local = 3 << ((raw[at + 9] & 7) + 1) if raw[at + 9] & 0x80 else 0
    return raw[at + 11 + local :], raw[at + 10 + local]


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([2, 5, 16, 200]), st.integers(0, 1 << 30))
@settings(max_examples=60, deadline=None)
def test_what_pillow_writes_has_all_its_pixels_and_damage_is_told_alike(width: int, height: int, colours: int, seed: int) -> None:
    blocks, least = written(width, height, colours, seed)
    pixels, state, place = kernels.gif_codes(blocks, least)
    assert (pixels, state) == (width * height, 0) == plain(blocks, least)[:2] and place < len(blocks)
    rng, torn = random.Random(seed), bytearray(blocks)
    for _ in range(rng.randrange(1, 4)):
        torn[rng.randrange(len(torn))] = rng.randrange(256)
    torn = torn[: rng.randrange(len(torn) + 1)]
    assert kernels.gif_codes(bytes(torn), least) == plain(bytes(torn), least)


@given(st.binary(max_size=600), st.integers(1, 11))
@settings(max_examples=300, deadline=None)
def test_any_bytes_alike(data: bytes, least: int) -> None:
    assert kernels.gif_codes(data, least) == plain(data, least)
