"""Twin of _native/pdq.pxi: PDQ (Meta 2019, hashing.pdf of ThreatExchange) and the 64-bit hash of a cosine transform.

float32 arithmetic is float64 arithmetic rounded after each step: the same numbers, since a double has more than twice its digits.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import cos, pi, sqrt
from struct import Struct

from forensiclib.core.errors import UsageError

__all__ = ["pdq_hash", "picture_dct"]

_FLOAT = Struct("<f")
_SCALE = array("f", [sqrt(2 / 64)])[0]
COSINES = array("f", [_SCALE * cos(pi / 2 / 64 * (i + 1) * (2 * j + 1)) for i in range(16) for j in range(64)])
"""Rows 1 to 16 of the cosine transform of 64 values."""
PHASH_COSINES = array("d", [2 * cos(pi * i * (2 * j + 1) / 64) for i in range(8) for j in range(32)])
"""Rows 0 to 7 of the cosine transform (type II, not normalised) of 32 values."""
LEAST = 5
"""A picture of fewer rows or columns has no PDQ: its hash is zero, its quality 0."""


def _f32(value: float) -> float:
    made: float = _FLOAT.unpack(_FLOAT.pack(value))[0]
    return made


def _box(values: Sequence[float], window: int) -> Iterator[float]:
    """The running mean of ``window`` values, cut at both ends."""
    half, total, count = (window + 2) // 2, 0.0, 0
    for value in values[: half - 1]:
        total, count = _f32(total + value), count + 1
    for value in values[half - 1 : window]:
        total, count = _f32(total + value), count + 1
        yield _f32(total / count)
    for left, value in enumerate(values[window:]):
        total = _f32(_f32(total + value) - values[left])
        yield _f32(total / count)
    for value in values[len(values) - window : len(values) - window + half - 1]:
        total, count = _f32(total - value), count - 1
        yield _f32(total / count)


def _product(left: Sequence[float], right: Sequence[float]) -> float:
    total = 0.0
    for a, b in zip(left, right):
        total = _f32(total + _f32(a * b))
    return total


def pdq_hash(pixels: bytes | bytearray | memoryview, rows: int, columns: int, channels: int = 3) -> tuple[bytes, int]:
    """PDQ of a picture: 32 bytes, most significant bit first as its hex text is written, and the quality 0 to 100.

    pixels      rows from the top, without gaps; red, green, blue, or luminance where channels is 1

    Under five rows or columns both are zero, and of a flat picture the bits are noise and the quality 0.

    Takes eight bytes of memory a pixel. Raises UsageError when the sizes do not fit.
    """
    if channels not in (1, 3) or not 1 <= rows <= 1 << 30 or not 1 <= columns <= 1 << 30 or len(pixels) != rows * columns * channels:
        raise UsageError(f"{len(pixels)} bytes for {rows} x {columns} pixels of {channels}")
    if rows < LEAST or columns < LEAST:
        return bytes(32), 0
    if channels == 1:
        luma = [float(v) for v in bytes(pixels)]
    else:
        luma = [_f32(r * 0.299 + g * 0.587 + b * 0.114) for r, g, b in zip(pixels[::3], pixels[1::3], pixels[2::3])]
    table = [luma[i * columns : (i + 1) * columns] for i in range(rows)]
    for _ in range(2 * (rows != 64 or columns != 64)):  # a picture of that size is its own samples
        table = [list(_box(row, (columns + 127) // 128)) for row in table]
        down = [list(_box(column, (rows + 127) // 128)) for column in zip(*table)]
        table = [list(row) for row in zip(*down)]
    samples = [[table[(2 * i + 1) * rows // 128][(2 * j + 1) * columns // 128] for j in range(64)] for i in range(64)]
    across = [list(column) for column in zip(*samples)]
    steps = 0
    for lines in (samples, across):
        for one, two in pairwise(lines):
            steps += sum(abs(int(_f32(_f32(_f32(a - b) * 100) / 255))) for a, b in zip(one, two))
    cosines = [COSINES[i * 64 : i * 64 + 64] for i in range(16)]
    half = [[_product(row, column) for column in across] for row in cosines]
    made = [_product(a, b) for a in half for b in cosines]
    median = sorted(made)[127]
    return sum(1 << i for i, value in enumerate(made) if value > median).to_bytes(32, "big"), min(steps // 90, 100)


def _low(values: Sequence[float]) -> list[float]:
    """The first eight numbers of the cosine transform of 32 values. Halves are folded first, so that what is symmetric or flat gives
    zeros and not their rounding."""
    out = [0.0] * 8
    step, size = 1, 32
    while step < 8:
        half = size // 2
        apart = [values[j] - values[size - 1 - j] for j in range(half)]
        values = [values[j] + values[size - 1 - j] for j in range(half)]
        for row in range(step, 8, 2 * step):
            total = 0.0
            for j, value in enumerate(apart):
                total += value * PHASH_COSINES[row * 32 + j]
            out[row] = total
        step, size = 2 * step, half
    out[0] = 2 * (values[0] + values[1] + values[2] + values[3])
    return out


def picture_dct(pixels: bytes | bytearray | memoryview) -> bytes:
    """The 64 bits of a picture of 32 x 32 pixels of luminance (1,024 bytes): one for each of the lowest 8 x 8 numbers of its cosine
    transform that is above their median; row by row, most significant bit first, eight bytes.

    Raises UsageError for another size.
    """
    if len(pixels) != 1024:
        raise UsageError(f"{len(pixels)} bytes; 32 x 32 are 1024")
    made = zip(*[_low(bytes(pixels[j::32])) for j in range(32)])
    numbers = [value for row in made for value in _low(row)]
    ordered = sorted(numbers)
    median = (ordered[31] + ordered[32]) / 2
    return int("".join("01"[value > median] for value in numbers), 2).to_bytes(8, "big")
