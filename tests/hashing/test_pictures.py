"""Hashes of pictures against Meta's program (pdqhash) and ImageHash, on real pictures and made ones; matching against brute force."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter

from forensiclib.core.errors import Cancelled, Corrupt, EvidenceError, LimitExceeded, NotThisFormat, UsageError
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.hashing import pictures
from forensiclib.hashing.pictures import (
    PDQ_DISTANCE,
    PDQ_QUALITY,
    PictureHash,
    distances,
    euclidean,
    hamming,
    near_pairs,
    nearest,
    pdq,
    pdq_pixels,
    phash,
)  # fmt: skip

SAMPLES = Path("/usr/share/forensics-samples")
COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def scene(seed: int, width: int, height: int) -> Image.Image:
    """Shapes over a gradient, blurred a little: edges at all scales, as photographs have."""
    rng = random.Random(seed)
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y, w, h = rng.randrange(width), rng.randrange(height), rng.randrange(1, width // 2 + 2), rng.randrange(1, height // 2 + 2)
        rng.choice((draw.ellipse, draw.rectangle))((x - w, y - h, x + w, y + h), fill=tuple(rng.randbytes(3)))
    return picture.filter(ImageFilter.GaussianBlur(1))


def as_png(picture: Image.Image) -> MemorySource:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return MemorySource(out.getvalue())


def meta(picture: Image.Image) -> tuple[bytes, int]:
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    pdqhash = pytest.importorskip("pdqhash", reason="pdqhash is not installed")
    bits, quality = pdqhash.compute(numpy.asarray(picture.convert("RGB")))
    return numpy.packbits(bits.astype("uint8")).tobytes(), quality


@pytest.mark.parametrize(
    "size", [(64, 64), (100, 200), (128, 128), (127, 129), (640, 480), (512, 512), (1500, 1000), (5, 5), (4, 9), (1, 161), (700, 65)]
)
def test_pdq_equals_metas_program(size: tuple[int, int]) -> None:
    for picture in (scene(sum(size), *size), Image.new("RGB", size, (200, 200, 200)), Image.effect_noise(size, 90).convert("RGB")):
        made = pdq(as_png(picture), budget=Budget())
        assert (made.value, made.quality) == meta(picture)
        assert made.hex() == made.value.hex()


def real_pictures() -> list[Path]:
    return sorted(p for p in SAMPLES.glob("original*/**/*") if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif"))


def test_real_pictures() -> None:
    imagehash = pytest.importorskip("imagehash", reason="ImageHash is not installed")
    paths = real_pictures()
    if not paths:
        pytest.skip("forensics-samples-files is not installed")
    for path in paths:
        with Image.open(path) as picture:
            made = pdq(FileSource(path), budget=Budget())
            assert (made.value, made.quality) == meta(picture), path
            assert phash(FileSource(path), budget=Budget()).hex() == str(imagehash.phash(picture)), path


@pytest.mark.parametrize("seed", range(12))
def test_phash_equals_imagehash(seed: int) -> None:
    imagehash = pytest.importorskip("imagehash", reason="ImageHash is not installed")
    for picture in (scene(seed, 300, 200), scene(seed, 33, 31), Image.new("L", (50, 40), seed * 20), Image.effect_noise((90, 90), 60)):
        assert phash(as_png(picture), budget=Budget()).hex() == str(imagehash.phash(picture))


def test_the_same_picture_again_is_near_and_another_is_far() -> None:
    picture, out = scene(5, 900, 600), io.BytesIO()
    picture.resize((450, 300)).save(out, "JPEG", quality=60)
    first, again = pdq(as_png(picture), budget=Budget()), pdq(MemorySource(out.getvalue()), budget=Budget())
    other = pdq(as_png(scene(6, 900, 600)), budget=Budget())
    assert min(first.quality, again.quality, other.quality) >= PDQ_QUALITY
    assert hamming(first.value, again.value) <= PDQ_DISTANCE < hamming(first.value, other.value)


def bomb(width: int, height: int) -> bytes:
    """A PNG that states a size and has one row's data."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", zlib.compress(bytes(1000))) + part(b"IEND", b"")


@pytest.mark.parametrize("size", [(9000, 9000), (30_000, 30_000), (1 << 30, 1 << 30)])
def test_bombs_are_refused_by_their_stated_size(size: tuple[int, int]) -> None:
    for call in (pdq, phash):
        with pytest.raises((LimitExceeded, NotThisFormat)):
            call(MemorySource(bomb(*size)), budget=Budget())
    with pytest.raises(LimitExceeded):
        pdq(as_png(scene(1, 100, 100)), budget=Budget(Limits(allocation=30_000)))


def test_what_is_no_picture() -> None:
    for data in (b"", b"hello", bytes(1000), b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"):
        with pytest.raises(NotThisFormat):
            pdq(MemorySource(data), budget=Budget())
    with pytest.raises(Corrupt):
        pdq(MemorySource(bomb(500, 500)), budget=Budget())
    with pytest.raises(Cancelled):
        pdq(as_png(scene(1, 64, 64)), budget=Budget(cancelled=lambda: True))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
def test_mutations_give_a_hash_or_an_evidence_error(kind: str) -> None:
    rng, out = random.Random(kind), io.BytesIO()
    scene(3, 70, 60).save(out, kind)
    for _ in range(max(1, COUNT // 6)):
        data = bytearray(out.getvalue())
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(min(len(data), rng.choice((64, len(data)))))] = rng.randrange(256)
        data = data[: rng.choice((len(data), rng.randrange(len(data))))]
        try:
            assert len(pdq(MemorySource(bytes(data)), budget=Budget(Limits(allocation=1 << 24))).value) == 32
        except EvidenceError:
            pass


def test_near_pairs_are_those_of_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(1)
    base = [rng.randbytes(32) for _ in range(30)]
    near = [bytes(b ^ (rng.random() < 0.02) for b in h) for h in base for _ in range(3)]
    wanted = [
        (i, j, d)
        for i, a in enumerate(base)
        for j, b in enumerate(near)
        if (d := (int.from_bytes(a) ^ int.from_bytes(b)).bit_count()) <= 31
    ]
    assert len(wanted) >= 90
    for held in (1 << 20, 7, 100):
        monkeypatch.setattr(pictures, "PAIRS", held)
        made = near_pairs(b"".join(base), b"".join(near), 32, 31, budget=Budget())
        assert [tuple(row.values()) for row in made.rows()] == wanted
    one = nearest(base[3], b"".join(near), 31, budget=Budget())
    assert one.list("right") == [j for i, j, _ in wanted if i == 3]
    assert distances(base[0], b"".join(near))[0] == hamming(base[0], near[0])
    assert near_pairs(b"", b"".join(near), 32, 31, budget=Budget()).length == near_pairs(base[0], b"", 32, 31, budget=Budget()).length == 0


def test_pairs_are_bounded() -> None:
    with pytest.raises(LimitExceeded):
        near_pairs(bytes(8 * 500), bytes(8 * 500), 8, 0, budget=Budget(Limits(items=1000)))
    with pytest.raises(LimitExceeded):
        near_pairs(bytes(8 * 500), bytes(8 * 500), 8, 0, budget=Budget(Limits(allocation=1000)))
    for arguments in ((b"abc", b"ab", 2, 0), (b"ab", b"ab", 0, 0), (b"ab", b"ab", 2, -1)):
        with pytest.raises(UsageError):
            near_pairs(*arguments, budget=Budget())


def test_a_hash_of_the_callers_own() -> None:
    def mean_of_parts(picture: bytes) -> bytes:
        return bytes(sum(picture[i::144]) // max(1, len(picture[i::144])) for i in range(144))

    brought: PictureHash = mean_of_parts
    one, other = brought(bytes(288)), brought(b"\x03" + bytes(287))
    assert euclidean(one, other) == 1.0
    assert euclidean(bytes(144), bytes([3, 4]) + bytes(142)) == 5.0
    for call in (hamming, euclidean):
        with pytest.raises(UsageError):
            call(b"a", b"ab")


def test_pixels_that_do_not_fit() -> None:
    with pytest.raises(UsageError):
        pdq_pixels(bytes(10), 2, 2)
