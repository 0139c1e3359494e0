"""Whether a JPEG picture goes on over the place where two pieces were put together: the row of units below against the one above."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from operator import mul
from statistics import fmean

__all__ = ["Pair", "Seam", "activity", "follows", "goes_on", "seam_of"]

Pair = tuple[int, int, float, int]
"""A block of a unit, the block that lies over it, steps of level for one of DC, the component."""
CAP = 96.0
LEAST, SHIFTS, ROWS = 12, 64, 3
"""Units that a seam must have to say anything; other places where its lower side is tried; rows inside each piece."""
SMOOTH, GRAIN, TELLS, MARGIN = 2.0, 1.5, 1.5, 0.75
"""Times (and steps of level more) that a seam may differ as rows inside do; as elsewhere on average it must differ more than
here; of what it differs where it would fit second best, it may."""
BLOCKS, CORRELATED, CLEARLY = 256, 0.15, 1.5
"""Blocks that tell whether a scan is of this picture; the least correlation; how many times that of the second best."""


@dataclass(frozen=True, slots=True)
class Seam:
    """Steps of level by which blocks differ from those over them, on average (of luma, of chroma; -1: no such blocks).

    units  that were compared; here  over the seam; inside  over rows of the pieces on both sides
    other  the least of the lower side moved elsewhere along the seam; usual  the mean of those
    """

    units: int
    here: tuple[float, float]
    inside: tuple[float, float]
    other: tuple[float, float]
    usual: tuple[float, float]


def _row(dc: array[int], first: int, last: int, wide: int, block: int) -> list[int]:
    return dc[first * wide + block : last * wide : wide].tolist()


def _off(lower: Sequence[int], upper: Sequence[int], weight: float) -> float:
    return sum(min(CAP, abs(a - b) * weight) for a, b in zip(lower, upper, strict=True)) / len(lower)


def seam_of(dc: array[int], wide: int, across: int, units: int, unit: int, pairs: Sequence[Pair]) -> Seam | None:
    """The seam before ``unit`` of a scan of ``units``, ``across`` in a row, each of ``wide`` DC values; None when it is too short."""
    first, last = max(unit, across), min(unit + across, units)
    n = last - first
    if n < LEAST:
        return None
    least = max(2, n // 16)
    shifts = sorted({least + i * (n - 2 * least) // SHIFTS for i in range(SHIFTS)})
    # rows whose both sides are of one piece
    rows = [r for r in (*range(-ROWS, 0), *range(1, ROWS + 1)) if first + (r - 1) * across >= 0 and last + r * across <= units]
    here, inside, other, usual = list[float](), list[float](), list[float](), list[float]()
    for luma in (True, False):
        chosen = [p for p in pairs if (p[3] == 0) is luma]
        if not chosen or not rows:
            for kept in (here, inside, other, usual):
                kept.append(-1.0)
            continue
        sums, own, within = [0.0] * len(shifts), 0.0, 0.0
        for mine, near, weight, _ in chosen:
            lower, upper = _row(dc, first, last, wide, mine), _row(dc, first - across, last - across, wide, near)
            own += _off(lower, upper, weight)
            twice = lower + lower
            for i, shift in enumerate(shifts):
                sums[i] += _off(twice[shift : shift + n], upper, weight)
            for r in rows:
                a, b = first + r * across, last + r * across
                within += _off(_row(dc, a, b, wide, mine), _row(dc, a - across, b - across, wide, near), weight)
        here.append(own / len(chosen))
        inside.append(within / len(chosen) / len(rows))
        other.append(min(sums) / len(chosen))
        usual.append(sum(sums) / len(sums) / len(chosen))
    return Seam(n, (here[0], here[1]), (inside[0], inside[1]), (other[0], other[1]), (usual[0], usual[1]))


def goes_on(seam: Seam | None) -> bool:
    """Whether the picture goes on over a seam, and nothing else would: as smoothly as inside its pieces, in luma and in chroma,
    and clearly better than where the lower side is moved along."""
    if seam is None or seam.here[0] < 0 or seam.usual[0] < TELLS * max(seam.here[0], 0.5):
        return False
    for here, inside, other in zip(seam.here, seam.inside, seam.other, strict=True):
        if here > SMOOTH * inside + GRAIN:
            return False
        if here >= 0 and here > other + GRAIN:
            return False
    return seam.here[0] <= MARGIN * seam.other[0]


def activity(levels: Sequence[int], across: int) -> list[float]:
    """How much the level changes around each block of a component."""
    rows, out = len(levels) // across, []
    for y in range(rows):
        above, below = max(0, y - 1) * across, min(rows - 1, y + 1) * across
        line = levels[y * across : (y + 1) * across]
        for x in range(across):
            change = abs(line[min(x + 1, across - 1)] - line[max(0, x - 1)]) + abs(levels[above + x] - levels[below + x])
            out.append(change**0.5)
    return out


def follows(busy: Sequence[float], told: Sequence[int]) -> bool:
    """Whether what a scan says of its blocks goes with how busy each is: clearly more than when it is moved along."""
    n = len(busy)
    if n < BLOCKS:
        return False
    mean, usual = fmean(busy), fmean(told)
    a, b = [x - mean for x in busy], [y - usual for y in told]
    size = sqrt(sum(x * x for x in a) * sum(y * y for y in b))
    if not size:
        return False
    least = max(8, n // 16)
    others = []
    for i in range(SHIFTS):
        shift = least + i * (n - 2 * least) // SHIFTS
        others.append(sum(map(mul, a, b[shift:] + b[:shift])) / size)
    here = sum(map(mul, a, b)) / size
    return bool(here >= CORRELATED and here >= max(others) * CLEARLY)
