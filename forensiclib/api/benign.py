"""What may be shown of a deleted file: not the clusters that belong to another one now."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from forensiclib.core.entry import Entry, FileSystem, Stream, Volume
from forensiclib.core.source import ByteSource, ExtentSource

__all__ = ["Free", "benign"]


@dataclass(slots=True)
class Free:
    """The free byte ranges of a volume, for the question "whose cluster is this now?"."""

    ranges: tuple[tuple[int, int], ...]
    starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.starts = [start for start, _ in self.ranges]

    def split(self, start: int, length: int) -> Iterator[tuple[int | None, int]]:
        """The range cut into (start, n) where free and (None, n) where it belongs to somebody."""
        end = start + length
        while start < end:
            i = bisect_right(self.starts, start) - 1
            free_end = self.ranges[i][0] + self.ranges[i][1] if i >= 0 else -1
            if start < free_end:
                take = min(end, free_end) - start
                yield start, take
            else:
                following = self.starts[i + 1] if i + 1 < len(self.starts) else end
                take = min(end, following) - start
                yield None, take
            start += take


def benign(volume: ByteSource, fs: FileSystem, entry: Entry, stream: Stream, free: Free) -> tuple[ByteSource, int]:
    """A deleted stream as it may be shown: clusters that now belong to another file read as zero
    (NIST DFR-RO-08). Returns (source, bytes replaced)."""
    if entry.state == "allocated" or _whole(volume, entry) or stream.resident or not stream.runs:
        return stream, 0
    if stream.compressed:
        return stream, 0  # a hole inside a compression unit would spoil the whole unit
    pieces: list[tuple[int | None, int]] = []
    replaced = 0
    for start, length in stream.runs:
        if start is None:
            pieces.append((None, length))
            continue
        for piece in free.split(start, length):
            replaced += piece[1] if piece[0] is None else 0
            pieces.append(piece)
    return ExtentSource(volume, pieces, stream.size, stream.valid), replaced


def _whole(volume: ByteSource, entry: Entry) -> bool:
    """Whether all of it is known to be its own: what a shadow copy shows as free may be of a later time."""
    return entry.verdict in ("intact", "") and not (isinstance(volume, Volume) and volume.shadow is not None)
