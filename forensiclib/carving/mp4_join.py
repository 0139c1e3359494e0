"""Pieces of an MPEG-4 or QuickTime file put together by its sample tables: AVC and HEVC samples must be where they say."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forensiclib.carving._anchors import Anchor, between, everywhere
from forensiclib.carving._gaps import Space, fill_of
from forensiclib.carving.mp4_samples import sound, tracks
from forensiclib.core.declare import Find, Fragments
from forensiclib.core.errors import EvidenceError, LimitExceeded
from forensiclib.core.limits import Budget
from forensiclib.formats.isobmff import BOX, LARGE

__all__ = ["rejoin"]

REACH = 1 << 30
GAP = 256 << 20
"""Bytes between two pieces."""
AGREE = 4
"""Samples that must be where a gap would put them, when there are so many."""
HEADER = 256 << 20
_MOVIE = re.compile(rb"moov\x00\x00\x00\x6cmvhd", re.DOTALL)
_NO_UNIT = re.compile(rb"\x00\x00[\x00-\x02]", re.DOTALL)
_FIRST = {b"ftyp", b"wide", b"free", b"skip", b"moov", b"mdat", b"uuid"}

Sample = tuple[int, int, int]
"""(offset in the file, length, size of a unit's length field)."""


class _Search:
    def __init__(self, fragments: Fragments, budget: Budget) -> None:
        self.space, self.budget = Space(fragments), budget
        self.data, self.head, self.block = fragments.data, fragments.head, fragments.block
        self.sure = True

    def boxes(self) -> Iterator[tuple[bytes, int, int]]:
        """(kind, place in the file, size) of the boxes at the head, until one leads away."""
        at = 0
        for _ in range(16):
            raw = self.data.read_at(self.head + at, LARGE.size)
            if len(raw) < LARGE.size:
                return
            size, kind = BOX.unpack(raw)
            if size == 1:
                size = LARGE.unpack(raw)[2]
            if kind not in _FIRST or size < BOX.size:
                return
            yield kind, at, size
            at += size

    def joined(self) -> list[tuple[int, int]] | None:
        """The pieces."""
        movie, media = None, None
        for kind, at, size in self.boxes():
            if kind == b"moov":
                movie = self.head + at, size
            elif kind == b"mdat":
                media = at, size
                break
        if media is None:
            return None
        end = sum(media)
        if movie is not None:
            return self.by(movie[0], movie[1], None, media[0], end)
        for at, _ in everywhere(self.space, _MOVIE, REACH, self.budget):
            size = int.from_bytes(self.data.read_at(at - 4, 4), "big") if at >= 4 else 0
            moved = at - 4 - end - self.head
            if not size or not moved or moved % self.block:
                continue
            if (pieces := self.by(at - 4, size, (end, at - 4), media[0], end + size)) is not None:
                return pieces
        return None

    def by(self, movie: int, size: int, behind: Anchor | None, start: int, end: int) -> list[tuple[int, int]] | None:
        """The pieces by the movie header at ``movie`` of the space; ``behind``: where it lies in the file, too."""
        if not 0 < size <= HEADER:
            return None
        try:
            listed = tracks(self.data.slice(movie, size), self.budget)
        except LimitExceeded:
            raise
        except EvidenceError:
            return None
        samples = sorted({(at, n, t.prefix) for t in listed if t.prefix for at, n in t.samples() if n > t.prefix})
        if not samples or samples[0][0] < start or samples[-1][0] + samples[-1][1] > end:
            return None
        anchors: list[Anchor] = [(0, self.head)]
        shift, number, tail = self.head, 0, behind[1] - behind[0] if behind is not None else None
        while number < len(samples):
            self.budget.item()
            sample = samples[number]
            if self.is_there(sample, shift):
                if number + 1 == len(samples) or not self.is_there(samples[number + 1], shift):
                    anchors.append((sample[0], sample[0] + shift))
                number += 1
                continue
            found = self.moved(samples, number, shift, tail)
            if found is None:
                return None
            shift = found
            number += 0 if self.is_there(sample, shift) else 1
            if number < len(samples):
                anchors.append((samples[number][0], samples[number][0] + shift))
        if behind is not None and tail is not None:
            anchors.append(behind)
        unique = [a for i, a in enumerate(anchors) if i == 0 or a[0] > anchors[i - 1][0]]
        return between(self.space, unique, end, self.settle)

    def is_there(self, sample: Sample, shift: int) -> bool:
        """Whether units fill the sample exactly when its piece is moved by ``shift``."""
        at, size, prefix = sample
        return at + shift >= 0 and at + shift + size <= self.space.size and sound(self.data, at + shift, size, prefix)

    def moved(self, samples: list[Sample], number: int, shift: int, tail: int | None) -> int | None:
        """By how much the next samples are moved; the one at ``number`` may lie across the break."""
        if tail is not None and tail != shift and number + 1 == len(samples):
            return tail  # the last sample lies across the break: the header behind tells by how much
        witnesses = samples[number + 1 : number + 1 + AGREE] or samples[number:]
        tries = range(shift + self.block, min(shift + GAP, self.space.size), self.block)
        back = range(shift - self.block, shift - min(GAP, samples[number][0] + shift) - 1, -self.block)
        for moved in (*((tail,) if tail is not None and tail != shift else ()), *tries, *back):
            if all(self.is_there(w, moved) for w in witnesses):
                return int(moved)
        return None

    def settle(self, before: Anchor, after: Anchor, places: list[int]) -> int | None:
        """Where the piece ends between two samples: video has no run of zeros in it, and no text."""
        shift, then = before[1] - before[0], after[1] - after[0]
        places = [place for place in places if place + then >= 0]
        low, high = 0, len(places) - 1
        for i, place in enumerate(places[:-1]):
            if self.foreign(place + shift):
                high = i
                break
        for i in range(len(places) - 1, 0, -1):
            if places[i] + then < self.block or self.foreign(places[i - 1] + then):
                low = i
                break
        if low > high:
            return None if not places else places[high]
        self.sure &= low == high
        return places[high]

    def foreign(self, at: int) -> bool:
        """Whether the block is no video."""
        raw = self.data.read_at(at, self.block)
        return bool(fill_of(raw)) or _NO_UNIT.search(raw) is not None


def rejoin(fragments: Fragments, budget: Budget) -> Find | None:
    """The film at the head, in pieces. Raises LimitExceeded."""
    search = _Search(fragments, budget)
    pieces = search.joined()
    if pieces is None or len(pieces) < 2:
        return None
    how = "" if search.sure else "; where a piece ends within a sample is a guess"
    reason = f"video samples where the movie header says, over each gap{how}"
    return Find(sum(n for _, n in pieces), 0.95 if search.sure else 0.6, reason, pieces=tuple(pieces))
