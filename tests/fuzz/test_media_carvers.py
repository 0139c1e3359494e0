"""Every measure on damaged files of its own kind: a Find inside the data, None, or EvidenceError."""

from __future__ import annotations

import io
import os
import wave
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib.carving import bmp, gif, jpeg, mp3, mp4, mpeg, netpbm, ogg, png, riff, script, tiff, xcf
from forensiclib.core.declare import Find
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

Image = pytest.importorskip("PIL.Image")
COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
ORIGINALS = Path("/usr/share/forensics-samples/original-files")
Measure = Callable[[ByteSource, Budget], Find | None]


def saved(kind: str, mode: str = "RGB", **options) -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").resize((40, 30)).convert(mode).save(out, kind, **options)
    return out.getvalue()


def tone() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(range(256)) * 4)
    return out.getvalue()


def frames() -> bytes:
    return b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + (b"\xff\xfb\x90\xc4" + bytes(413)) * 20 + b"TAG" + bytes(125)


def packs() -> bytes:
    pack = b"\0\0\1\xba\x21\0\1\0\1\x80\0\1"
    packet = b"\0\0\1\xe0\0\x40" + bytes(64)
    return pack + b"\0\0\1\xbb\0\6" + bytes(6) + packet + (pack + packet) * 6 + b"\0\0\1\xb9"


def pieces(name: str, head: int, tail: int = 0) -> Callable[[], bytes]:
    """The start and the end of a file of Debian's forensics-samples, bounded for speed."""

    def read() -> bytes:
        path = ORIGINALS / name
        if not path.exists():
            pytest.skip("Debian's forensics-samples-files is not installed")
        data = path.read_bytes()
        return data[:head] + (data[-tail:] if tail else b"")

    return read


CASES: dict[str, tuple[Measure, Callable[[], bytes]]] = {
    "jpeg": (jpeg.measure, lambda: saved("JPEG")),
    "jpeg progressive": (jpeg.measure, lambda: saved("JPEG", progressive=True)),
    "jpeg restart": (jpeg.measure, lambda: saved("JPEG", restart_marker_blocks=2)),
    "jpeg multi-picture": (jpeg.measure, lambda: saved("MPO", save_all=True, append_images=[Image.new("RGB", (20, 20))])),
    "png": (png.measure, lambda: saved("PNG")),
    "gif": (gif.measure, lambda: saved("GIF")),
    "bmp": (bmp.measure, lambda: saved("BMP")),
    "tiff": (tiff.measure, lambda: saved("TIFF", compression="tiff_lzw")),
    "webp": (riff.measure_webp, lambda: saved("WEBP")),
    "script": (script.measure, lambda: b"#!/bin/sh -e\n" + b"echo text\n" * 200 + bytes(600)),
    "ppm": (netpbm.measure, lambda: saved("PPM")),
    "wav": (riff.measure_wav, tone),
    "mp3": (mp3.measure, frames),
    "mpeg": (mpeg.measure, packs),
    "xcf": (xcf.measure, pieces("pic1/debian.xcf", 70_000)),
    "ogg": (ogg.measure, pieces("audio1/debian.ogg", 20_000)),
    "avi": (riff.measure_avi, pieces("movie2/movie-hello.avi", 40_000)),
    "mp4": (mp4.measure, pieces("movie2/movie-hello.mp4", 60_000)),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", CASES)
def test_damage_gives_a_find_or_none(name: str) -> None:
    measure, make = CASES[name]
    sample = make()
    assert measure(MemorySource(sample), Budget()) is not None

    def run(data: bytes, budget: Budget) -> None:
        find = measure(MemorySource(data), budget)
        if find is not None:
            assert 0 < find.length <= len(data)
            assert 0 <= find.confidence <= 1
            assert find.owned is None or 0 <= find.owned <= find.length

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT
