"""Pictures made by Pillow, hidden at odd offsets, carved back byte for byte and decoded again."""

from __future__ import annotations

import io
import random
import struct

import pytest

from forensiclib.carving.engine import Carved, carve
from forensiclib.catalog import load
from forensiclib.core.source import MemorySource

Image = pytest.importorskip("PIL.Image")
CARVERS = load().carvers


def picture(seed: int = 0, mode: str = "RGB", size: tuple[int, int] = (97, 61)):
    rng = random.Random(seed)
    small = Image.frombytes("RGB", (13, 9), rng.randbytes(13 * 9 * 3))
    return small.resize(size, Image.Resampling.BICUBIC).convert(mode)


def saved(image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def fill(rng: random.Random, size: int) -> bytes:
    return rng.choice((bytes(size), rng.randbytes(size), (b"some text " * size)[:size]))


def carved(data: bytes) -> list[Carved]:
    return list(carve(MemorySource(data), CARVERS, window=4096, unit=10_000))


def unpadded(data: bytes) -> bytes:
    """Pillow fills a multi-page TIFF up to a multiple of 16; no directory points there."""
    return data.rstrip(b"\0")


def jpeg_with_thumbnail() -> bytes:
    """An APP1 that holds a whole JPEG, put in by hand as cameras do."""
    thumb, main = saved(picture(5, size=(32, 24)), "JPEG"), saved(picture(6), "JPEG")
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HI", 0, 14) + thumb
    body = b"Exif\0\0" + tiff
    return main[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + main[2:]


SAMPLES = {
    "jpeg": lambda: saved(picture(), "JPEG"),
    "jpeg progressive": lambda: saved(picture(1), "JPEG", progressive=True),
    "jpeg optimised": lambda: saved(picture(2), "JPEG", optimize=True, quality=95, subsampling=0),
    "jpeg grey": lambda: saved(picture(3, "L"), "JPEG"),
    "jpeg cmyk": lambda: saved(picture(3, "CMYK"), "JPEG"),
    "jpeg restart": lambda: saved(picture(4), "JPEG", restart_marker_blocks=2),
    "jpeg black": lambda: saved(Image.new("L", (1600, 1200)), "JPEG", optimize=True),
    "jpeg thumbnail": jpeg_with_thumbnail,
    "jpeg multi-picture": lambda: saved(picture(7), "MPO", save_all=True, append_images=[picture(8)]),
    "png": lambda: saved(picture(), "PNG"),
    "png palette": lambda: saved(picture(1, "P"), "PNG"),
    "png 16": lambda: saved(picture(1, "L").convert("I;16"), "PNG"),
    "png animated": lambda: saved(picture(), "PNG", save_all=True, append_images=[picture(1)]),
    "gif": lambda: saved(picture(), "GIF"),
    "gif animated": lambda: saved(picture(), "GIF", save_all=True, append_images=[picture(1), picture(2)], loop=0),
    "bmp": lambda: saved(picture(), "BMP"),
    "bmp 1": lambda: saved(picture(0, "1"), "BMP"),
    "tiff": lambda: saved(picture(), "TIFF"),
    "tiff lzw": lambda: saved(picture(1), "TIFF", compression="tiff_lzw"),
    "tiff pages": lambda: unpadded(saved(picture(), "TIFF", save_all=True, append_images=[picture(1), picture(2)])),
    "webp": lambda: saved(picture(), "WEBP"),
    "webp lossless": lambda: saved(picture(1), "WEBP", lossless=True),
    "webp animated": lambda: saved(picture(), "WEBP", save_all=True, append_images=[picture(1), picture(2)]),
    "ppm": lambda: saved(picture(), "PPM"),
    "pgm": lambda: saved(picture(0, "L"), "PPM"),
    "avif": lambda: saved(picture(), "AVIF"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_one_picture_between_fill_comes_back_exactly(name: str) -> None:
    try:
        sample = SAMPLES[name]()
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow cannot write it: {error}")
    rng = random.Random(name)
    for before in (0, 1, 511, 4096, 9999):
        data = fill(rng, before) + sample + b"\0" * rng.choice((1, 3, 700)) + fill(rng, rng.randrange(5000))
        finds = carved(data)
        assert [(f.offset, f.length) for f in finds if f.offset < before + len(sample)] == [(before, len(sample))], name
        assert finds[0].find.complete
        Image.open(io.BytesIO(data[before : before + finds[0].length])).load()


def test_many_pictures_behind_each_other() -> None:
    rng = random.Random(1)
    data, want = bytearray(), []
    for name in list(SAMPLES) * 3:
        try:
            sample = SAMPLES[name]()
        except (KeyError, OSError):
            continue
        data += fill(rng, rng.randrange(3000)) + bytes(3)
        want.append((len(data), len(sample)))
        data += sample + bytes(4)
    assert [(f.offset, f.length) for f in carved(bytes(data))] == want


@pytest.mark.parametrize(
    "name", ["jpeg", "jpeg progressive", "jpeg thumbnail", "png", "gif animated", "bmp", "tiff", "webp", "ppm", "avif"]
)
def test_a_truncated_picture_is_never_called_complete(name: str) -> None:
    try:
        sample = SAMPLES[name]()
    except (KeyError, OSError) as error:
        pytest.skip(f"this Pillow cannot write it: {error}")
    for cut in (len(sample) // 3, len(sample) // 2, len(sample) - 1):
        for find in carved(sample[:cut]):
            assert not (find.offset == 0 and find.find.complete), (name, cut)
            assert find.length <= cut


def test_a_truncated_jpeg_does_not_run_on() -> None:
    sample = saved(picture(9, size=(400, 300)), "JPEG", quality=95)
    cut = len(sample) // 2
    whole = saved(picture(10), "JPEG")
    for gap in (bytes(1 << 20), random.Random(1).randbytes(1 << 16)):
        finds = carved(sample[:cut] + gap + whole)
        assert (finds[-1].offset, finds[-1].length, finds[-1].find.complete) == (cut + len(gap), len(whole), True)
        assert finds[0].offset == 0 and not finds[0].find.complete
        assert finds[0].length <= cut + 4096


def test_a_damaged_png_says_so_and_hides_nothing() -> None:
    sample = bytearray(saved(picture(), "PNG"))
    inner = saved(picture(3), "JPEG")
    sample[len(sample) // 2] ^= 1
    data = bytes(sample[:-100]) + inner
    finds = carved(data)
    assert [f.find.complete for f in finds] == [False, True]
    assert finds[1].length == len(inner)


def test_a_thumbnail_is_found_where_its_picture_is_lost() -> None:
    sample = jpeg_with_thumbnail()
    thumb = sample.find(b"\xff\xd8", 2)
    finds = carved(sample[: sample.find(b"\xff\xd9", thumb) + 2])
    assert [(f.offset, f.find.complete) for f in finds] == [(thumb, True)]


def test_a_gif_whose_codes_break_off_is_not_proven() -> None:
    """Its block lengths alone lead on: pieces of other files were given as whole pictures."""
    out = io.BytesIO()
    Image.effect_noise((200, 200), 60).save(out, "GIF")
    whole = out.getvalue()
    torn = bytearray(whole)
    at = 13 + 768  # to the image, whose codes' sub-blocks follow a descriptor and the code size
    assert whole[at] == 0x2C
    at += 11
    for number in range(40):
        if number >= 20:
            torn[at + 1 : at + 1 + torn[at]] = random.Random(number).randbytes(torn[at])
        at += 1 + torn[at]
    for data, proven in ((whole, True), (bytes(torn), False)):
        (found,) = (hit.find for hit in carve(MemorySource(data), load().carvers) if hit.carver.name == "gif")
        assert found.length == len(whole) and found.complete and (found.confidence >= 0.8) is proven
