"""Damaged films without header, and damaged whole films that tell of them: finds within the bytes, in bounded time, and nothing raised."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time

import pytest

from forensiclib.carving import mp4
from forensiclib.carving.engine import carve
from forensiclib.carving.mp4_kin import settings
from forensiclib.carving.mp4_rebuild import rebuild
from forensiclib.core.declare import Remains
from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import FUZZ_LIMITS, mutations

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
SECONDS = float(os.environ.get("FORENSICLIB_FUZZ_SECONDS", "10"))
"""Of each type: mutations stop then, however many were asked for."""

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def film(request, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    inputs = ["-f", "lavfi", "-i", "testsrc2=s=96x64:d=1", "-f", "lavfi", "-i", "sine=d=1"]
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", *inputs, "-c:v", request.param, "-c:a", "aac", "-ar", "8000", path], check=True, timeout=60
    )
    return path.read_bytes()


def headless(data: bytes) -> bytes:
    return data[: data.index(b"moov", data.index(b"mdat")) - 4]


@pytest.mark.timeout(900)
def test_damaged_media_data_and_damaged_kin(film: bytes) -> None:
    cut, rng, made = headless(film), random.Random(4), 0
    begun = time.monotonic()
    for number, data in enumerate(mutations(cut, COUNT, seed=11)):
        kin = film
        if number % 3 == 0:
            at = rng.randrange(film.index(b"moov"), len(film) - 8)
            kin = film[:at] + rng.randbytes(rng.randrange(1, 8)) + film[at + 4 :]
        started = time.monotonic()
        budget = Budget(FUZZ_LIMITS)
        try:
            settings(MemorySource(kin), budget)
            find = rebuild(Remains(MemorySource(data), (MemorySource(kin), MemorySource(data))), budget)
        except EvidenceError:
            find = None
        if find is not None:
            made += 1
            assert all(a >= 0 and n > 0 and a + n <= len(data) for a, n in find.pieces)
            assert find.length == sum(n for _, n in find.pieces) + sum(len(s.content) for s in find.supplied)
        assert time.monotonic() - started < 20
        if time.monotonic() - begun > SECONDS:
            break
    assert made


@pytest.mark.timeout(900)
def test_damaged_images(film: bytes) -> None:
    image = film + bytes(-len(film) % 512) + headless(film) + bytes(1024)
    begun = time.monotonic()
    for data in mutations(image, COUNT, seed=12):
        source = MemorySource(data)
        for hit in carve(source, mp4.CARVERS):
            assert hit.open(source).size == hit.length
            assert all(a >= 0 and a + n <= len(data) for a, n in hit.find.pieces)
        if time.monotonic() - begun > SECONDS:
            break
