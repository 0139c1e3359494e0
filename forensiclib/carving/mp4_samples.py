"""Sample tables of ISO media files: where the media data must be, and whether video is there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from forensiclib.core.errors import Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.isobmff import BOX, FULL_COUNT, LARGE, STSC, STSZ

__all__ = ["Track", "first_bad_sample", "sound", "tracks"]

CHECKED = 20_000
"""Samples verified at most in one file, spread evenly."""
_NAL_CODECS = {b"avc1": (b"avcC", 4), b"avc3": (b"avcC", 4), b"hvc1": (b"hvcC", 21), b"hev1": (b"hvcC", 21)}


@dataclass(frozen=True, slots=True)
class Track:
    """One track. ``samples`` yields from (offset in the file, length); ``prefix`` is the size of a NAL
    unit's length field, 0 where samples are not NAL units."""

    chunks: tuple[int, ...]
    sizes: tuple[int, ...] | int
    count: int
    per_chunk: tuple[tuple[int, int], ...]
    prefix: int

    def samples(self) -> Iterator[tuple[int, int]]:
        """Every sample in order."""
        number = 0
        spans = [*self.per_chunk, (len(self.chunks) + 1, 0)]
        for (first, each), (following, _) in pairwise(spans):
            for chunk in range(first, min(following, len(self.chunks) + 1)):
                at = self.chunks[chunk - 1]
                for _ in range(each):
                    if number >= self.count:
                        return
                    size = self.sizes if isinstance(self.sizes, int) else self.sizes[number]
                    yield at, size
                    at += size
                    number += 1

    @property
    def end(self) -> int:
        """First offset after the last byte of any sample."""
        return max((at + size for at, size in self.samples()), default=0)


def _children(data: ByteSource, start: int, budget: Budget) -> Iterator[tuple[bytes, ByteSource]]:
    """(kind, content) of the boxes of ``data`` from ``start``."""
    at = start
    while at + BOX.size <= data.size:
        budget.item()
        head = data.read_at(at, LARGE.size)
        size, kind = BOX.unpack(head)
        skip = BOX.size
        if size == 1 and len(head) == LARGE.size:
            size, skip = LARGE.unpack(head)[2], LARGE.size
        size = size or data.size - at
        if size < skip or at + size > data.size:
            return
        yield kind, data.slice(at + skip, size - skip)
        at += size


def _child(data: ByteSource, path: tuple[bytes, ...], budget: Budget) -> ByteSource | None:
    for name in path:
        found = next((content for kind, content in _children(data, 0, budget) if kind == name), None)
        if found is None:
            return None
        data = found
    return data


def _numbers(data: ByteSource, code: str, skip: int, count: int, budget: Budget) -> tuple[int, ...]:
    size = budget.allocate("sample table", struct.calcsize(code) * count)
    raw = data.read_at(skip, size)
    if len(raw) < size:
        raise Truncated("sample table", None, f"{len(raw)} of {size} bytes")
    return struct.unpack(f">{count}{code}", raw)


def _count(data: ByteSource) -> int:
    head = data.read_at(0, FULL_COUNT.size)
    return int(FULL_COUNT.unpack(head)[1]) if len(head) == FULL_COUNT.size else 0


def _prefix(stsd: ByteSource | None, budget: Budget) -> int:
    """Size of the NAL length field of the first sample description; 0 for other codecs."""
    entry = next(_children(stsd, 8, budget), None) if stsd is not None else None
    if entry is None or entry[0] not in _NAL_CODECS:
        return 0
    name, place = _NAL_CODECS[entry[0]]
    for kind, content in _children(entry[1], 78, budget):  # 78: a visual sample entry's own fields
        if kind == name and (raw := content.read_at(place, 1)):
            return (raw[0] & 3) + 1
    return 0


def _track(table: ByteSource, budget: Budget) -> Track | None:
    parts = dict(_children(table, 0, budget))
    offsets, sizes, spread = parts.get(b"stco") or parts.get(b"co64"), parts.get(b"stsz"), parts.get(b"stsc")
    if offsets is None or sizes is None or spread is None:
        return None
    chunks = _numbers(offsets, "I" if b"stco" in parts else "Q", 8, _count(offsets), budget)
    head = sizes.read_at(0, STSZ.size)
    if len(head) < STSZ.size:
        return None
    _, same, count = STSZ.unpack(head)
    each: tuple[int, ...] | int = same or _numbers(sizes, "I", STSZ.size, count, budget)
    rows = _numbers(spread, "I", 8, 3 * _count(spread), budget)
    per_chunk = tuple((rows[i], rows[i + 1]) for i in range(0, len(rows), STSC.size // 4))
    if any(a >= b for (a, _), (b, _) in pairwise(per_chunk)) or (per_chunk and per_chunk[0][0] != 1):
        return None
    budget.item(count if not same else len(chunks))
    return Track(chunks, each, count, per_chunk, _prefix(parts.get(b"stsd"), budget))


def tracks(movie: ByteSource, budget: Budget) -> list[Track]:
    """The tracks of a moov box that have samples of their own. Raises Truncated."""
    out = []
    for kind, content in _children(movie, BOX.size, budget):
        if kind == b"trak":
            table = _child(content, (b"mdia", b"minf", b"stbl"), budget)
            if table is not None and (track := _track(table, budget)) is not None and track.count:
                out.append(track)
    return out


def sound(data: ByteSource, at: int, size: int, prefix: int) -> bool:
    """Whether NAL units fill a sample exactly."""
    place, end = at, at + size
    while place < end:
        head = data.read_at(place, prefix + 1)
        length = int.from_bytes(head[:prefix], "big")
        if len(head) <= prefix or not length or head[prefix] & 0x80:
            return False
        place += prefix + length
    return place == end


def first_bad_sample(data: ByteSource, listed: list[Track], budget: Budget) -> tuple[int, int | None, int]:
    """(samples verified, offset of the first that holds no NAL units or None, last sound one before it).

    Between the last two the data stops being this file's: a sample is verified by its unit lengths."""
    checked, bad, sure = 0, None, 0
    for track in listed:
        if not track.prefix:
            continue
        step, good = max(1, track.count // CHECKED), 0
        for number, (at, size) in enumerate(track.samples()):
            budget.item()
            if number % step == 0 and size:
                checked += 1
                if not sound(data, at, size, track.prefix):
                    if bad is None or at < bad:
                        bad, sure = at, good
                    break
                good = at
    return checked, bad, sure
