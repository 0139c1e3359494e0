"""The scan decoder: compiled equals the twin on real, cut and damaged scans."""

from __future__ import annotations

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.jpeg import jpeg_scan as plain
from forensiclib.carving.jpeg_scan import tables_from
from forensiclib.core.errors import UsageError

Image = pytest.importorskip("PIL.Image")

BLOCKS = {"L": bytes((0, 0, 0)), "RGB": bytes((0, 0, 0)) * 4 + bytes((1, 1, 1)) + bytes((2, 1, 1))}
LIMITS = (4096, 4096, 4096, 4096)


def scan_of(mode: str, restart: int, seed: int) -> tuple[bytes, bytes, int]:
    """(coded data with what follows, tables, MCUs) of a picture of 80 x 48 that Pillow wrote."""
    rng = random.Random(seed)
    out = io.BytesIO()
    Image.frombytes("RGB", (8, 6), rng.randbytes(144)).resize((80, 48)).convert(mode).save(
        out, "JPEG", restart_marker_blocks=restart, optimize=bool(seed % 2), quality=rng.choice((30, 75, 95)), subsampling=2
    )
    data, at, tables = out.getvalue(), 2, bytearray(8 * 272)
    while True:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xC4:
            tables_from(data[at + 4 : at + 2 + size], tables)
        at += 2 + size
        if marker == 0xDA:
            return data[at:], bytes(tables), 60 if mode == "L" else 15


@pytest.mark.parametrize("scan", [kernels.jpeg_scan, plain])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("restart", [0, 3])
def test_the_last_unit_ends_where_the_end_marker_stands(scan, mode: str, restart: int) -> None:
    for seed in range(6):
        data, tables, units = scan_of(mode, restart, seed)
        status, state = scan(data, tables, BLOCKS[mode], LIMITS, restart, (0, 0, 0, units, restart, 0, 0, 0, 0, 0))
        assert (status, state[0], state[3]) == (0, len(data) - 2, 0)
        # one unit more than there is: the end marker stands where data belongs
        assert scan(data, tables, BLOCKS[mode], LIMITS, 0, (0, 0, 0, units + 9, 0, 0, 0, 0, 0, 0))[0] == 3


@given(st.integers(0, 1 << 32))
@settings(max_examples=200, deadline=None)
def test_compiled_equals_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    mode, restart = rng.choice(("L", "RGB")), rng.choice((0, 1, 4))
    data, tables, units = scan_of(mode, restart, seed % 7)
    damaged, torn = bytearray(data), bytearray(tables)
    for _ in range(rng.choice((0, 0, 1, 3))):
        damaged[rng.randrange(len(damaged))] = rng.choice((0, 0xFF, 0xD0, rng.randrange(256)))
    for _ in range(rng.choice((0, 0, 0, 5))):
        torn[rng.randrange(len(torn))] = rng.randrange(256)
    limits = rng.choice((LIMITS, (50, 50, 50, 50)))
    state = (0, 0, 0, units, restart, 0, 0, 0, 0, 0)
    base = 0
    while True:  # in pieces of any size
        piece = bytes(damaged[base : base + rng.choice((40, 400, 9000))])
        want = plain(piece, bytes(torn), BLOCKS[mode], limits, restart, state)
        assert kernels.jpeg_scan(piece, bytes(torn), BLOCKS[mode], limits, restart, state) == want
        status, after = want
        if status != 1 or after[0] == 0:
            break
        base, state = base + after[0], (0, *after[1:])


def test_wrong_arguments_are_the_callers_fault() -> None:
    good = (b"", bytes(8 * 272), BLOCKS["L"], LIMITS, 0, (0, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    for scan in (kernels.jpeg_scan, plain):
        assert scan(*good) == (1, good[5])
        for i, bad in (
            (1, b""),
            (2, b""),
            (2, b"\4\0\0"),
            (2, b"\0"),
            (4, -1),
            (5, (1, 0, 0, 1, 0, 0, 0, 0, 0, 0)),
            (5, (0, 0, 8, 1, 0, 0, 0, 0, 0, 0)),
        ):
            with pytest.raises(UsageError):
                scan(*good[:i], bad, *good[i + 1 :])
