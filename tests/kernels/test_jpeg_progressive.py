"""The progressive scan decoder: compiled equals the twin on real, cut and damaged scans, and whole pictures end where they end."""

from __future__ import annotations

import io
import random
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib import kernels
from forensiclib._plain.jpeg import jpeg_progressive as plain
from forensiclib._plain.jpeg import jpeg_scan as plain_scan
from forensiclib.carving.jpeg import measure
from forensiclib.carving.jpeg_scan import Scan, end_of_scan, frame_of, scan_of, tables_from
from forensiclib.carving.jpeg_segments import quantisers_from
from forensiclib.core.errors import UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource

Image = pytest.importorskip("PIL.Image")


def picture(seed: int, **options: object) -> bytes:
    """A picture of 90 x 70 that libjpeg (in Pillow) wrote."""
    rng = random.Random(seed)
    out = io.BytesIO()
    made = Image.frombytes("RGB", (12, 9), rng.randbytes(324)).resize((90, 70))
    made.convert(rng.choice(("L", "RGB"))).save(out, "JPEG", quality=rng.choice((30, 75, 95)), **{"progressive": True, **options})
    return out.getvalue()


def scans(data: bytes) -> list[tuple[int, Scan]]:
    """(where the coded data begins, scan) of every scan, each with the masks that those before it left."""
    at, tables, quantisers, masks, frame, interval = 2, bytearray(8 * 272), {}, {}, None, 0
    out = []
    while data[at + 1] != 0xD9:
        marker, size = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == 0xC4:
            tables_from(body, tables)
        elif marker == 0xDB:
            quantisers_from(body, quantisers)
        elif marker == 0xDD:
            interval = int.from_bytes(body, "big")
        elif marker in (0xC0, 0xC2):
            frame = frame_of(marker, body)
        elif marker == 0xDA:
            scan = scan_of(body, frame, bytes(tables), quantisers, interval, masks, Budget())
            out.append((at, scan))
            end, after = end_of_scan(MemorySource(data), at, scan, Budget())
            assert end > 0
            if after:
                masks[scan.chosen[0]] = after
            at = data.index(b"\xff", end)
    return out


@pytest.mark.parametrize("restart", [0, 3])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_pictures_that_libjpeg_wrote_end_where_they_end(restart: int, subsampling: int) -> None:
    for seed in range(8):
        data = picture(seed, restart_marker_blocks=restart, subsampling=subsampling)
        find = measure(MemorySource(data + bytes(3000)), Budget())
        assert find is not None and find.complete and find.length == len(data) and find.confidence == 1.0
        assert len(scans(data)) > 5  # DC, AC first and refining scans


@given(st.integers(0, 1 << 32))
@settings(max_examples=150, deadline=None)
def test_compiled_equals_the_twin(seed: int) -> None:
    rng = random.Random(seed)
    data = picture(seed % 9, restart_marker_blocks=rng.choice((0, 1, 4)))
    at, scan = rng.choice(scans(data))
    assert scan.band is not None
    damaged, torn = bytearray(data[at:]), bytearray(scan.tables)
    for _ in range(rng.choice((0, 0, 1, 3))):
        damaged[rng.randrange(min(len(damaged), 2000))] = rng.choice((0, 0xFF, 0xD0, rng.randrange(256)))
    for _ in range(rng.choice((0, 0, 0, 5))):
        torn[rng.randrange(len(torn))] = rng.randrange(256)
    limits = rng.choice((scan.limits, (50, 50, 50, 50)))
    state, base = scan.begin(), 0
    while True:  # in pieces of any size
        piece = bytes(damaged[base : base + rng.choice((40, 400, 9000))])
        told = []
        for decode in (plain, kernels.jpeg_progressive):
            masks = array("Q", scan.masks[scan.units - state[3] :]) if scan.masks else None
            dc = array("i", bytes(4 * state[3] * (len(scan.blocks) // 3)))
            got = decode(piece, bytes(torn), scan.blocks, scan.band, limits, scan.interval, memoryview(masks) if masks else None, state, memoryview(dc))  # fmt: skip
            told.append((got, masks, dc))
        assert told[0] == told[1]
        (status, after), masks, _ = told[0]
        if masks is not None:
            scan.masks[scan.units - state[3] :] = masks
        if status != 1 or after[0] == 0:
            break
        base, state = base + after[0], (0, *after[1:])


def test_levels_of_sequential_scans_are_the_same_from_both() -> None:
    for seed in range(9):
        data = picture(seed, progressive=False, restart_marker_blocks=seed % 3)
        (at, scan) = scans(data)[0]
        told = []
        for decode in (plain_scan, kernels.jpeg_scan):
            dc = array("i", bytes(4 * scan.units * (len(scan.blocks) // 3)))
            state = (0, 0, 0, scan.units, scan.interval, 0, 0, 0, 0, 0)
            told.append((decode(data[at:], scan.tables, scan.blocks, scan.limits, scan.interval, state, memoryview(dc)), dc))
        assert told[0] == told[1] and told[0][0][0] == 0 and any(told[0][1])


def test_wrong_arguments_are_the_callers_fault() -> None:
    masks = memoryview(array("Q", [0]))
    good = (b"", bytes(8 * 272), b"\0\0\0", (1, 63, 0, 0), (9, 9, 9, 9), 0, masks, (0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0))
    for decode in (kernels.jpeg_progressive, plain):
        assert decode(*good) == (1, good[7])
        for i, bad in (
            (1, b""),
            (2, b"\4\0\0"),
            (2, b"\0\0\0\1\0\0"),
            (3, (0, 5, 0, 0)),
            (3, (5, 64, 0, 0)),
            (3, (1, 63, 14, 0)),
            (5, -1),
            (6, memoryview(array("Q"))),
            (7, (1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)),
            (7, (0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 0)),
        ):
            with pytest.raises(UsageError):
                decode(*good[:i], bad, *good[i + 1 :])
        with pytest.raises(UsageError):
            decode(*good, memoryview(array("i")))
