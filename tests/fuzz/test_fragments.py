"""Damaged images of scattered files: carving gives finds within the bytes, no piece twice, in bounded time, and raises nothing."""

from __future__ import annotations

import io
import os
import random
import time
import zipfile

import pytest

from forensiclib.carving import jpeg, mp4, pdf, png, zip
from forensiclib.core.declare import Fragments
from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import FUZZ_LIMITS, mutations
from forensiclib.testing.scattered import compose

Image = pytest.importorskip("PIL.Image")

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
SECONDS = float(os.environ.get("FORENSICLIB_FUZZ_SECONDS", "10"))
"""Of each type: mutations stop then, however many were asked for."""


def picture(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (9, 9), random.Random(1).randbytes(243)).resize((90, 80)).save(out, kind, **options)
    return out.getvalue()


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for i in range(3):
            made.writestr(f"word/{i}.xml", random.Random(i).randbytes(700).hex())
        made.writestr("stored", random.Random(9).randbytes(900), zipfile.ZIP_STORED)
    return out.getvalue()


def film() -> bytes:
    """Boxes with one video track of 40 samples, as the sample tables of a real one list them."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return (8 + len(body)).to_bytes(4, "big") + kind + body

    def numbers(*values: int) -> bytes:
        return b"".join(v.to_bytes(4, "big") for v in values)

    rng, sizes = random.Random(2), [100 + 7 * i for i in range(40)]
    media = b"".join(numbers(n - 4) + b"\x65" + bytes(rng.randrange(1, 256) for _ in range(n - 5)) for n in sizes)
    head = box(b"ftyp", b"isom\0\0\2\0isomavc1")
    entry = box(b"avc1", bytes(78), box(b"avcC", b"\1\x64\0\x1f\xff\xe0\0"))
    table = box(b"stbl", box(b"stsd", numbers(0, 1), entry), box(b"stco", numbers(0, 1, len(head) + 8)), box(b"stsc", numbers(0, 1, 1, 40, 1)),
                box(b"stsz", numbers(0, 0, 40, *sizes)))  # fmt: skip
    movie = box(b"moov", box(b"mvhd", bytes(100)), box(b"trak", box(b"mdia", box(b"minf", table))))
    return head + box(b"mdat", media) + movie


MADE = {
    "jpeg": (jpeg, lambda: picture("JPEG", quality=95)),
    "progressive": (jpeg, lambda: picture("JPEG", quality=95, progressive=True)),
    "png": (png, lambda: picture("PNG")),
    "zip": (zip, archive),
    "pdf": (pdf, lambda: picture("PDF")),
    "mp4": (mp4, film),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MADE)
def test_damaged_scattered_files(name: str) -> None:
    room, make = MADE[name]
    carver, sample = room.CARVERS[0], make()
    made = compose({"a": sample, "b": sample[:-1] + b"\0"}, "interleaved-fill", fill="random", seed=1)
    head = made.truth["a"][0][0]
    whole = carver.rejoin(Fragments(MemorySource(made.image), head, 512), Budget())
    assert whole is None or whole.pieces[0][0] == head
    began, count = time.monotonic(), 0
    for data in mutations(made.image, COUNT):
        if time.monotonic() - began > SECONDS:
            break
        once = time.monotonic()
        try:
            find = carver.rejoin(Fragments(MemorySource(data), head, 512), Budget(FUZZ_LIMITS))
        except EvidenceError:
            find = None
        if find is not None:
            assert find.length == sum(n for _, n in find.pieces) and 0 < find.confidence <= 1 and find.reason
            assert all(n > 0 and at >= 0 and at + n <= len(data) for at, n in find.pieces)
        assert time.monotonic() - once < 20
        count += 1
    assert count
    print(f"{name}: {count} mutations")
