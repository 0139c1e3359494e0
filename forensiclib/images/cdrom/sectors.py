"""The data of a track: the user data of its sectors one behind the other, each sector checked."""

from __future__ import annotations

from forensiclib.core.errors import Corrupt, EvidenceError, Unreadable, Unsupported
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.images._blocks import root_of
from forensiclib.kernels import cd_sectors

__all__ = ["SYNC", "SectorSource", "user_data"]

SYNC = b"\0" + b"\xff" * 10 + b"\0"
BATCH = 256
"""Sectors that are read and checked at once."""
_SAID = {
    0: "a sector of mode 1",
    1: "mode 1, and its EDC does not match",
    2: "a sector of mode 2 form 1",
    3: "mode 2 form 1, and its EDC does not match",
    4: "a sector of mode 2 form 2, which holds 2324 bytes",
    5: "mode 2 form 2, and its EDC does not match",
    6: "a sector of mode 2 whose subheaders differ",
    7: "a sector of mode 0, which holds no data",
    8: "it has no sync: audio, or a sector that could not be read",
    9: "a sector of a mode that nobody described",
}
"""What a sector is, by its kind in kernels.cd_sectors."""


class SectorSource(ByteSource):
    """``count`` sectors of ``stride`` bytes, of each ``take`` bytes from ``skip``.

    good   the kinds of ``kernels.cd_sectors`` that are what the track is; another sector raises when it is read. Empty: not checked
    """

    __slots__ = ("_base", "_count", "_good", "_skip", "_start", "_stride", "_take", "size")

    def __init__(self, base: ByteSource, start: int, count: int, stride: int, skip: int, take: int, good: tuple[int, ...] = ()) -> None:
        self._base, self._start, self._count, self._stride = base, start, count, stride
        self._skip, self._take, self._good = skip, take, frozenset(good)
        self.size = count * take

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        stride, skip, take = self._stride, self._skip, self._take
        while done < n:
            first, inside = divmod(offset + done, take)
            count = min(BATCH, -(-(inside + n - done) // take))
            raw = memoryview(self._base.read_at(self._start + first * stride, count * stride))
            if len(raw) < count * stride:
                raise Unreadable(
                    "CD sector", self._span(first), f"sector {first + len(raw) // stride} of the track lies behind the end of the file"
                )
            if self._good:
                for i, kind in enumerate(cd_sectors(raw, stride)):
                    if kind not in self._good:
                        raise self._wrong(first + i, kind)
            for at in range(skip, count * stride, stride):
                piece = raw[at + inside : at + min(take, inside + n - done)]
                view[done : done + len(piece)] = piece
                done += len(piece)
                inside = 0
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        if self._stride == self._take:
            return self._base.trace(self._start + offset, n) if n else ()
        out: list[Span] = []
        end = offset + n
        while offset < end:
            number, inside = divmod(offset, self._take)
            part = min(self._take - inside, end - offset)
            out += self._base.trace(self._start + number * self._stride + self._skip + inside, part)
            offset += part
        return merge(out)

    def _span(self, number: int) -> Span:
        return Span(root_of(self._base), self._start + number * self._stride, self._stride)

    def _wrong(self, number: int, kind: int) -> EvidenceError:
        error = Unsupported if kind in (0, 2, 4, 6) else Corrupt
        return error("CD sector", self._span(number), f"sector {number} of the track: {_SAID[kind]}")


def user_data(base: ByteSource, start: int, count: int, mode: str, stride: int) -> tuple[SectorSource, int, str]:
    """(the data of ``count`` sectors from ``start`` of the file, bytes of a block, what they are in words) for a track of this mode.

    Whether a track of mode 2 is of form 1, form 2 or neither is asked of some of its sectors.
    """
    head = 16 if stride >= 2352 else 0
    if mode in ("AUDIO", "CDG") or stride < 2336:
        take = min(stride, 2352)
        return SectorSource(base, start, count, stride, 0, take), take, "audio track" if take == 2352 else "data track"
    if mode == "MODE1":
        return SectorSource(base, start, count, stride, 16, 2048, (0,)), 2048, "data track, mode 1"
    seen = _sampled(base, start, count, stride)
    if not seen & {2, 3} and seen & {4, 5}:
        return SectorSource(base, start, count, stride, head + 8, 2324, (4,)), 2324, "data track, mode 2 form 2"
    if not seen & {2, 3} and 6 in seen:
        return SectorSource(base, start, count, stride, head, 2336, (2, 3, 4, 5, 6)), 2336, "data track, mode 2 without form"
    return SectorSource(base, start, count, stride, head + 8, 2048, (2,)), 2048, "data track, mode 2 form 1"


def _sampled(base: ByteSource, start: int, count: int, stride: int) -> set[int]:
    kinds: set[int] = set()
    for at in (0, count // 2, max(0, count - 8)):
        kinds |= set(cd_sectors(base.read_at(start + at * stride, min(32 if at == 0 else 8, count) * stride), stride))
    return kinds
