"""The pictures of media data that has no movie header: unit after unit, by their own lengths and heads.

Where units end, sound or other data lies that has no form of its own; the video goes on where a unit begins that follows
the last one in decoding order, and that is followed itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from forensiclib.carving._read import Window
from forensiclib.carving.mp4_kin import Settings
from forensiclib.carving.nal import HEAD, Place, Unit, escaped
from forensiclib.carving.nal_hevc import Hevc
from forensiclib.core.errors import LimitExceeded
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["Picture", "Walk", "own_sets", "shown", "sized", "without_holes"]

BLOCK = 1 << 20
STEP = 1 << 16
TRIES = 1 << 20
"""Places at which a picture is looked for in vain."""
LONGEST = 32 << 20
LEAST = 1 << 20
"""Bytes of a unit, at most; at most in any case."""
EMPTY = 64
"""Zeros that no sound in AAC has."""
TAIL = 24
"""Pictures at the end of a recording that broke off, among which some that are displayed earlier are missing."""
_BOXES = re.compile(rb"ftyp|moov|mdat|moof")
_SOUND = frozenset((b"mp4a", b"samr", b"sawb"))
_AVC_HEADS = bytes(i << 5 | kind for i in range(4) for kind in (1, 5, 6, 7, 8, 9))
_HEVC_HEADS = bytes(kind << 1 for kind in (*range(10), *range(16, 22), 32, 33, 34, 35, 39))


@dataclass(frozen=True, slots=True)
class Picture:
    """One sample: [at, end) of the source, and what its first slice says; addresses of its slices."""

    at: int
    end: int
    key: bool
    restart: bool
    order: int
    slices: tuple[int, ...]
    twin: bool = False
    sets: int = 0


class Walk:
    """[start, end) of a source as video of ``settings``; ``stated``: its box says that it ends there."""

    def __init__(self, data: ByteSource, start: int, end: int, stated: bool, settings: Settings, budget: Budget) -> None:
        self.window, self.start, self.end, self.stated, self.settings, self.budget = (
            Window(data, BLOCK),
            start,
            end,
            stated,
            settings,
            budget,
        )
        self.longest = min(LONGEST, max(LEAST, 4 * settings.longest))
        self.tries = 0
        heads = _HEVC_HEADS if isinstance(settings.coding, Hevc) else _AVC_HEADS
        top = self.longest >> 8 * (settings.prefix - 1) if settings.prefix < 4 else self.longest >> 24
        first = b"[\\x00-" + re.escape(bytes((min(255, top),))) + b"]"
        self.begins = re.compile(
            b"(?=" + first + b".{%d}[" % (settings.prefix - 1) + b"".join(b"\\x%02x" % h for h in heads) + b"])", re.DOTALL
        )
        self.reached = start

    def unit(self, at: int, place: Place) -> tuple[Unit, Place, int] | None:
        """The unit at ``at``, where it leads, and where it ends."""
        prefix = self.settings.prefix
        head = self.window.at(at, prefix + HEAD)
        size = int.from_bytes(head[:prefix], "big")
        if len(head) <= prefix or not size or size > self.longest or at + prefix + size > self.end:
            return None
        found = self.settings.coding.unit(head[prefix : prefix + size], size, place)
        if found is None or not escaped(self.window.at(at + prefix, size)):
            return None
        return *found, at + prefix + size

    def picture(self, at: int, place: Place) -> tuple[Picture, Place] | None:
        """The picture at ``at``: what leads to it, its slices, what trails it."""
        self.budget.item()
        end, slices, head, sets = at, list[int](), None, 0
        while (found := self.unit(end, place)) is not None:
            unit, after, stop = found
            if head is None:
                if unit.role not in ("first", "leads"):
                    return None
                head = unit if unit.role == "first" else None
            elif unit.role == "leads" or (unit.role == "first" and not unit.twin) or (unit.role == "slice" and unit.address <= slices[-1]):
                break
            if unit.role in ("first", "slice"):
                slices.append(unit.address)
            sets |= unit.sets
            place, end = after, stop
        if head is None:
            return None
        return Picture(at, end, head.key, head.restart, head.order, tuple(slices), head.twin, sets), place

    def begun(self, at: int, reach: int) -> Iterator[int]:
        """Places in [at, at + reach) where a unit may begin, until something shows that it is another file's."""
        limit, quiet = min(at + reach, self.end), set(self.settings.fourcc) <= _SOUND
        while at < limit:
            piece = self.window.at(at, min(STEP, limit - at) + self.settings.prefix)
            stops = [m.start() for m in (_BOXES.search(piece),) if m is not None]
            if quiet and (empty := piece.find(bytes(EMPTY))) >= 0:
                stops.append(empty)
            for match in self.begins.finditer(piece):
                if stops and match.start() >= min(stops):
                    return
                if match.start() < STEP:
                    self.tries += 1
                    if self.tries > TRIES:
                        raise LimitExceeded("pictures of a film without header", None, f"more than {TRIES} places tried")
                    yield at + match.start()
            if stops:
                return
            at += STEP

    def after(self, at: int, place: Place, reach: int) -> tuple[Picture, Place] | None:
        """The next picture behind what is no video, when another one or the end follows it."""
        for start in self.begun(at, reach):
            found = self.picture(start, place)
            if found is not None and self.followed(*found):
                return found
        return None

    def followed(self, picture: Picture, place: Place) -> bool:
        """Whether a picture or the stated end comes next."""
        reach = self.settings.gap
        if self.stated and self.end - picture.end <= reach:
            return True
        return self.picture(picture.end, place) is not None or any(
            self.picture(at, place) is not None for at in self.begun(picture.end, reach)
        )

    def pictures(self, most: int = 1 << 62) -> list[Picture]:
        """All of them, in decoding order. ``reached`` is where they end. Raises LimitExceeded."""
        out: list[Picture] = []
        at, place, reach = self.start, Place(), max(self.settings.gap, STEP)
        while len(out) < most:
            found = self.picture(at, place) or self.after(at, place, reach)
            if found is None:
                break
            picture, place = found
            if picture.twin and out and out[-1].end == picture.at:
                picture = replace(out.pop(), end=picture.end)
            out.append(picture)
            at, reach = picture.end, self.settings.gap
            self.reached = at
        return out

    def sure_of_last(self, picture: Picture) -> bool:
        """Whether what follows the last picture shows that it is whole."""
        if self.stated and self.end - picture.end <= self.settings.gap:
            return True
        rest = self.window.at(picture.end, EMPTY)
        return not rest.strip(b"\0")


def _periods(pictures: list[Picture]) -> Iterator[list[int]]:
    """Numbers of the pictures between two restarts of the order of display."""
    period: list[int] = []
    for number, picture in enumerate(pictures):
        if picture.restart and period:
            yield period
            period = []
        period.append(number)
    if period:
        yield period


def shown(pictures: list[Picture]) -> list[int]:
    """For each picture in decoding order its number in the order of display."""
    out = [0] * len(pictures)
    for period in _periods(pictures):
        for number, picture in enumerate(sorted(period, key=lambda n: pictures[n].order)):
            out[picture] = period[0] + number
    return out


def without_holes(pictures: list[Picture]) -> bool:
    """Whether no picture is missing in the order of display; the last of a recording that broke off may be."""
    orders = [sorted(pictures[n].order for n in period) for period in _periods(pictures)]
    steps = Counter(b - a for period in orders for a, b in pairwise(period))
    if not steps:
        return True
    step = steps.most_common(1)[0][0]
    for number, period in enumerate(orders):
        last = number + 1 == len(orders)
        ends = len(period) - TAIL if last else len(period)
        if not step or any(b - a != step for i, (a, b) in enumerate(pairwise(period)) if i + 1 < ends or b == a):
            return False
    return True


def own_sets(pictures: list[Picture]) -> bool:
    """Whether the recording itself holds the parameters that it is decoded with."""
    return any(p.sets & 1 for p in pictures) and any(p.sets & 2 for p in pictures)


def sized(pictures: list[Picture], width: int, height: int) -> bool:
    """Whether the slices say how large the pictures are: several each, that begin at rows and leave as much for the last as the
    others have."""
    for picture in pictures:
        steps = [b - a for a, b in pairwise(picture.slices)]
        left = width * height - picture.slices[-1]
        if len(steps) < 2 or any(a % width for a in picture.slices) or not min(steps) / 2 <= left <= 1.5 * max(steps):
            return False
    return True
