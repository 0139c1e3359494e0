"""What a whole ISO media file tells of another of the same camera: how its pictures are coded, how long they last, what lies between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from forensiclib.carving.mp4_samples import tracks
from forensiclib.carving.nal import Avc, Coding
from forensiclib.carving.nal_hevc import Hevc
from forensiclib.core.errors import EvidenceError, LimitExceeded
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats.isobmff import BOX, LARGE

__all__ = ["Settings", "boxes", "settings"]

MOVIE = 256 << 20
LEAST_GAP = 16 << 10
MOST_GAP = 8 << 20
"""Bytes without video between two pictures, at most."""
_ENTRY = 86
"""A visual sample entry's own fields, its header included (ISO/IEC 14496-12, 12.1.3)."""
_CONFIGURATIONS = {b"avc1": b"avcC", b"avc3": b"avcC", b"hvc1": b"hvcC", b"hev1": b"hvcC"}

Box = tuple[bytes, int, int, int]
"""(kind, place, place of the content, end)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The video track of a whole file.

    entry     its sample description as it stands there;  spans   where
    prefix    bytes of a unit's length
    scale     ticks a second;  delta   ticks that most pictures last
    matrix    how the picture is turned (36 bytes of the track header)
    gap       bytes without video between two pictures, at most twice those of that file; 0: none
    fourcc    of the other tracks
    longest   bytes of its longest picture
    """

    entry: bytes
    spans: tuple[Span, ...]
    prefix: int
    coding: Coding
    scale: int
    delta: int
    matrix: bytes
    gap: int
    fourcc: tuple[bytes, ...]
    longest: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return int.from_bytes(self.entry[32:34], "big"), int.from_bytes(self.entry[34:36], "big")


def boxes(data: ByteSource, start: int, end: int, budget: Budget) -> Iterator[Box]:
    """The boxes in [start, end), until one is cut off or none."""
    at = start
    while at + BOX.size <= end:
        budget.item()
        head = data.read_at(at, LARGE.size)
        if len(head) < BOX.size:
            return
        size, kind = BOX.unpack(head)
        skip = BOX.size
        if size == 1 and len(head) == LARGE.size:
            size, skip = LARGE.unpack(head)[2], LARGE.size
        size = size or end - at
        if size < skip or at + size > end:
            return
        yield kind, at, at + skip, at + size
        at += size


def _inside(data: ByteSource, box: Box, path: tuple[bytes, ...], budget: Budget) -> Box | None:
    found: Box | None = box
    for name in path:
        if found is None:
            return None
        found = next((b for b in boxes(data, found[2], found[3], budget) if b[0] == name), None)
    return found


def _listed(raw: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    """``count`` units, each behind its length of two bytes, and where they end."""
    out: list[bytes] = []
    for _ in range(count):
        size = int.from_bytes(raw[at : at + 2], "big")
        if not size or at + 2 + size > len(raw):
            return out, len(raw)
        out.append(raw[at + 2 : at + 2 + size])
        at += 2 + size
    return out, at


def _avc(raw: bytes) -> tuple[Coding, int]:
    """ISO/IEC 14496-15, 5.3.3.1. Raises EvidenceError."""
    sequences, at = _listed(raw, 6, raw[5] & 31 if len(raw) > 5 else 0)
    pictures, _ = _listed(raw, at + 1, raw[at] if at < len(raw) else 0)
    return Avc(sequences, pictures), (raw[4] & 3) + 1 if len(raw) > 4 else 0


def _hevc(raw: bytes) -> tuple[Coding, int]:
    """ISO/IEC 14496-15, 8.3.3.1. Raises EvidenceError."""
    sets: list[bytes] = []
    at = 23
    for _ in range(raw[22] if len(raw) > 22 else 0):
        some, at = _listed(raw, at + 3, int.from_bytes(raw[at + 1 : at + 3], "big"))
        sets += some
    return Hevc(sets), (raw[21] & 3) + 1 if len(raw) > 21 else 0


def _delta(data: ByteSource, box: Box) -> int:
    """The duration that most samples have."""
    raw = data.read_at(box[2], min(box[3] - box[2], 1 << 20))
    each: Counter[int] = Counter()
    for at in range(8, len(raw) - 7, 8):
        each[int.from_bytes(raw[at + 4 : at + 8], "big")] += int.from_bytes(raw[at : at + 4], "big")
    return each.most_common(1)[0][0] if each else 0


def _scale(data: ByteSource, box: Box) -> int:
    raw = data.read_at(box[2], 24)
    return int.from_bytes(raw[20:24] if raw[:1] == b"\1" else raw[12:16], "big")


def _matrix(data: ByteSource, box: Box) -> bytes:
    raw = data.read_at(box[2], 96)
    return raw[52:88] if raw[:1] == b"\1" else raw[40:76]


def settings(data: ByteSource, budget: Budget) -> Settings | None:
    """Of the first video track of a whole file; None without one of AVC or HEVC. Raises LimitExceeded."""
    try:
        return _settings(data, budget)
    except LimitExceeded:
        raise
    except EvidenceError:
        return None


def _settings(data: ByteSource, budget: Budget) -> Settings | None:
    movie = next((b for b in boxes(data, 0, data.size, budget) if b[0] == b"moov"), None)
    if movie is None or movie[3] - movie[2] > MOVIE:
        return None
    video, fourcc = None, []
    for box in boxes(data, movie[2], movie[3], budget):
        described = _inside(data, box, (b"mdia", b"minf", b"stbl", b"stsd"), budget) if box[0] == b"trak" else None
        if described is None:
            continue
        entry = next(boxes(data, described[2] + 8, described[3], budget), None)
        if entry is None:
            continue
        if video is None and entry[0] in _CONFIGURATIONS:
            video = box, entry
        else:
            fourcc.append(entry[0])
    if video is None:
        return None
    track, entry = video
    parts = [_inside(data, track, path, budget) for path in ((b"tkhd",), (b"mdia", b"mdhd"), (b"mdia", b"minf", b"stbl", b"stts"))]
    kept = next((b for b in boxes(data, entry[1] + _ENTRY, entry[3], budget) if b[0] == _CONFIGURATIONS[entry[0]]), None)
    if kept is None or any(p is None for p in parts) or kept[3] - kept[2] > 1 << 16:
        return None
    header, media, times = (p for p in parts if p is not None)
    raw = data.read_at(kept[2], kept[3] - kept[2])
    coding, prefix = _avc(raw) if kept[0] == b"avcC" else _hevc(raw)
    scale, delta, matrix = _scale(data, media), _delta(data, times), _matrix(data, header)
    samples = sorted(s for t in tracks(data.slice(movie[1], movie[3] - movie[1]), budget) if t.prefix for s in t.samples())
    if not scale or not delta or len(matrix) < 36 or not samples or prefix == 3:
        return None
    gap = max((after - at - size for (at, size), (after, _) in pairwise(samples)), default=0) if fourcc else 0
    size = budget.allocate("sample description", entry[3] - entry[1])
    return Settings(
        data.read_at(entry[1], size),
        data.trace(entry[1], size),
        prefix,
        coding,
        scale,
        delta,
        matrix,
        min(MOST_GAP, max(LEAST_GAP, 2 * gap)) if fourcc else 0,
        tuple(fourcc),
        max(size for _, size in samples),
    )
