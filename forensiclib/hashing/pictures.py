"""Similarity of pictures: PDQ, the 64-bit DCT hash, hashes of the caller's own, and matching by distance."""

from __future__ import annotations

import struct
import warnings
from array import array
from dataclasses import dataclass
from math import sqrt
from typing import Any, Protocol

from forensiclib import kernels
from forensiclib.core.batch import Batch, Column
from forensiclib.core.errors import Corrupt, LimitExceeded, MissingSupport, NotThisFormat, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, as_file

__all__ = [
    "PDQ_DISTANCE", "PDQ_QUALITY", "Pdq", "PictureHash", "distances", "euclidean", "hamming", "near_pairs", "nearest", "pdq", "pdq_pixels",
    "phash", "phash_pixels",
]  # fmt: skip

PDQ_DISTANCE = 31
"""Bits of 256: no more apart counts as the same picture (Meta's recommendation)."""
PDQ_QUALITY = 50
"""A PDQ of lower quality says little: the picture has too few edges (Meta's recommendation)."""
PAIRS = 1 << 20
"""Pairs held at once while many are matched against many."""
PIXEL_BYTES = 4
"""A pixel in the largest single table (float32): pictures whose tables pass ``Limits.allocation`` (67 million pixels) are refused before
they are decoded. In all a pixel takes up to 18 bytes."""
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "PSD", "TGA", "TIFF", "WEBP")
"""What pillow may decode here. Its other formats are rare, or start programs (EPS)."""


class PictureHash(Protocol):
    """A hash that the caller brings, PhotoDNA for one (144 bytes, compared by euclidean()): bytes of a picture's file -> bytes."""

    def __call__(self, picture: bytes, /) -> bytes:
        """The hash of one picture; always of one length."""
        ...


@dataclass(frozen=True, slots=True)
class Pdq:
    """value  32 bytes, as the hex text is written; quality  0 to 100, see PDQ_QUALITY."""

    value: bytes
    quality: int

    def hex(self) -> str:
        """64 lower-case hex digits."""
        return self.value.hex()


def pdq_pixels(pixels: bytes | bytearray | memoryview, width: int, height: int, *, channels: int = 3) -> Pdq:
    """PDQ of decoded pixels: rows from the top without gaps, red, green, blue (or luminance where channels is 1), a byte each.

    Equal bit for bit to Meta's program for the same pixels. Raises UsageError when the sizes do not fit.
    """
    return Pdq(*kernels.pdq_hash(pixels, height, width, channels))


def phash_pixels(pixels: bytes | bytearray | memoryview) -> bytes:
    """The 64-bit DCT hash of 32 x 32 pixels of luminance, eight bytes; of flat pixels only the first bit is one."""
    return kernels.picture_dct(pixels)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingSupport("decoding pictures needs pillow: pip install 'forensiclib[cli]'") from error
    return Image


_FAULTS = (
    OSError, SyntaxError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError, RuntimeError, EOFError, AssertionError,
    struct.error,
)  # fmt: skip
"""By these doors pillow's decoders leave; the call is always the same, so it is the picture's fault."""


def _decoded(source: ByteSource, mode: str, budget: Budget, side: int = 0) -> tuple[bytes, int, int]:
    """Pixels, width, height in ``mode``, resized to ``side`` where it is given. The size is checked before anything is decoded."""
    image = _pillow()
    bombs = (image.DecompressionBombError, image.DecompressionBombWarning)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.init()
            known = [name for name in FORMATS if name in image.OPEN]
            with image.open(as_file(source), formats=known) as picture:
                budget.check()
                budget.allocate("pixels of a picture", picture.width * picture.height * PIXEL_BYTES)
                made = picture.convert(mode)
                if side:
                    made = made.resize((side, side), image.Resampling.LANCZOS)
                return made.tobytes(), made.width, made.height
    except image.UnidentifiedImageError as error:
        raise NotThisFormat("picture", None, "no picture that pillow knows") from error
    except bombs as error:
        raise LimitExceeded("pixels of a picture", None, str(error)) from error
    except UsageError:
        raise
    except _FAULTS as error:
        raise Corrupt("picture", None, f"{type(error).__name__}: {error}"[:200]) from error


def pdq(source: ByteSource, *, budget: Budget) -> Pdq:
    """PDQ of the first frame of a picture's file, decoded by pillow.

    Another decoder's pixels may differ by a few units, and the hash then by a few bits: compare with
    PDQ_DISTANCE. Raises NotThisFormat, Corrupt, LimitExceeded where the pixels need more than
    ``budget.limits.allocation``, MissingSupport without pillow.
    """
    pixels, width, height = _decoded(source, "RGB", budget)
    return pdq_pixels(pixels, width, height)


def phash(source: ByteSource, *, budget: Budget) -> bytes:
    """The 64-bit DCT hash of a picture's file: luminance, 32 x 32 by Lanczos, as ImageHash's ``phash``. Errors as for pdq()."""
    return phash_pixels(_decoded(source, "L", budget, 32)[0])


def hamming(one: bytes, other: bytes) -> int:
    """The bits in which two hashes of one length differ."""
    if len(one) != len(other):
        raise UsageError(f"hashes of {len(one)} and {len(other)} bytes")
    return int(memoryview(kernels.hamming_distances(one, other)).cast("H")[0])


def distances(one: bytes, many: bytes | bytearray | memoryview) -> memoryview:
    """The Hamming distance of one hash from each of many (end to end): uint16."""
    return memoryview(kernels.hamming_distances(one, many)).cast("H")


def euclidean(one: bytes, other: bytes) -> float:
    """The Euclidean distance of two hashes of one length, byte by byte: how PhotoDNA's 144 bytes are compared."""
    if len(one) != len(other):
        raise UsageError(f"hashes of {len(one)} and {len(other)} bytes")
    return sqrt(memoryview(kernels.square_distances(one, other)).cast("I")[0])


def _pairs(lefts: array[int], rights: array[int], apart: bytes | bytearray) -> Batch:
    columns = (Column("left", "int64", lefts), Column("right", "int64", rights), Column("distance", "uint16", apart))
    return Batch(len(lefts), columns)


def nearest(one: bytes, many: bytes | bytearray | memoryview, most: int, *, budget: Budget) -> Batch:
    """The hashes that are at most ``most`` bits from one: near_pairs() with a single left hash."""
    return near_pairs(one, many, len(one), most, budget=budget)


def near_pairs(
    left: bytes | bytearray | memoryview, right: bytes | bytearray | memoryview, width: int, most: int, *, budget: Budget
) -> Batch:
    """All pairs of hashes of ``width`` bytes that differ in at most ``most`` bits, as columns ``left`` and ``right`` (their numbers,
    int64) and ``distance`` (uint16), ordered by left, then right.

    Every hash is compared with every other. The budget counts pairs as records; 18 bytes a pair must
    fit in its allocation. It is checked after every 16 million comparisons or fewer. Raises UsageError where sizes do not fit.
    """
    if not 1 <= width <= 4096 or len(left) % width or len(right) % width or most < 0:
        raise UsageError(f"{len(left)} and {len(right)} bytes of hashes of {width}, distance {most}")
    ones, twos, apart, row, total = array("q"), array("q"), bytearray(), 0, len(left) // width
    a, b = memoryview(left).cast("B"), memoryview(right).cast("B")
    rights = len(right) // width
    rows = max(1, (1 << 24) // max(1, rights))
    for first in range(0, rights, PAIRS) if total else ():
        part = b[first * width : (first + PAIRS) * width]
        row = 0
        while row < total:
            budget.check()
            x, y, d, done = kernels.hamming_pairs(a[row * width : (row + rows) * width], part, width, most, max(PAIRS, len(part) // width))
            budget.item(len(x))
            budget.allocate("pairs of near hashes", (len(ones) + len(x)) * 18)
            ones.extend([row + i for i in x] if row else x)
            twos.extend([first + j for j in y] if first else y)
            apart += d
            row += done
    if rights > PAIRS:
        order = sorted(range(len(ones)), key=lambda i: (ones[i], twos[i]))
        view = memoryview(apart).cast("H")
        ones, twos = array("q", [ones[i] for i in order]), array("q", [twos[i] for i in order])
        apart = bytearray(array("H", [view[i] for i in order]).tobytes())
    return _pairs(ones, twos, apart)
