"""Space in which the next piece of a file may lie: its blocks, those that cannot be coded data told apart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from forensiclib.core.declare import Fragments
from forensiclib.core.source import ByteSource, ExtentSource

__all__ = ["Space", "coded", "fill_of"]

STEP = 1 << 18
_ASCII = re.compile(rb"[\t\n\r\x20-\x7e]*")


def coded(block: bytes) -> bool:
    """Whether a block may be compressed data: no fill, no text."""
    return len(set(block[:64])) > 2 and _ASCII.fullmatch(block[:128]) is None


class Space:
    """Blocks by their offset in the free space; one call on one thread."""

    def __init__(self, fragments: Fragments, fits: Callable[[bytes], bool] = coded) -> None:
        self.data, self.block, self.head, self.fits = fragments.data, fragments.block, fragments.head, fits
        self.size = fragments.data.size
        self._known: dict[int, list[int]] = {}

    def stream(self, closed: Sequence[tuple[int, int]], start: int) -> ByteSource:
        """The file so far: whole pieces, and what follows from ``start`` on."""
        return ExtentSource(self.data, [*closed, (start, self.size - start)])

    def fitting(self, number: int) -> list[int]:
        """Offsets of the blocks that may be coded data, of one stretch of the space."""
        known = self._known.get(number)
        if known is None:
            step = max(STEP, self.block)
            piece = self.data.read_at(number * step, step)
            known = [number * step + i for i in range(0, len(piece), self.block) if self.fits(piece[i : i + self.block])]
            self._known[number] = known
        return known

    def after(self, at: int, most: int, skip: int = 0) -> Iterator[int]:
        """The fitting blocks from ``at`` on, without the first ``skip``, at most ``most``."""
        step = max(STEP, self.block)
        for number in range(at // step, -(-self.size // step)):
            for place in self.fitting(number):
                if place < at:
                    continue
                if skip > 0:
                    skip -= 1
                    continue
                if most <= 0:
                    return
                most -= 1
                yield place

    def before(self, at: int, most: int) -> Iterator[int]:
        """The fitting blocks before ``at``, the nearest first."""
        step = max(STEP, self.block)
        for number in range(at // step, -1, -1):
            for place in reversed(self.fitting(number)):
                if place < at:
                    if most <= 0:
                        return
                    most -= 1
                    yield place


def fill_of(block: bytes) -> str:
    """What a block of fill is; "" for any other."""
    if block.count(block[:1]) == len(block):
        return "one value"
    return "text" if block.isascii() and b"\0" not in block else ""
