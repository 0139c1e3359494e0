"""JPEG: the segment chain to the last scan's end; images that its multi-picture index lists belong to it."""

from __future__ import annotations

import re
import struct
from array import array
from dataclasses import dataclass, field

from forensiclib.carving.jpeg_join import rejoin
from forensiclib.carving.jpeg_scan import Frame, end_of_scan, frame_of, scan_of, tables_from
from forensiclib.carving.jpeg_segments import APP2, DHT, DQT, DRI, EOI, OTHER, RST, SOF, SOS, TEM, quantisers_from, sound
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

CHUNK = 1 << 18
FILL = bytes(2048)
"""A run of zeros this long in a scan that is not decoded is the space behind a lost rest."""
SLACK = 64
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)


@dataclass(slots=True)
class _Picture:
    """What the walk has learnt."""

    frame: Frame | None = None
    tables: bytearray = field(default_factory=lambda: bytearray(8 * 272))
    quantisers: dict[int, int] = field(default_factory=dict)
    scans: int = 0
    decoded: int = 0
    interval: int = 0
    header: int = 0
    others: list[tuple[int, int]] = field(default_factory=list)
    masks: dict[int, array[int]] = field(default_factory=dict)


def _before_fill(data: ByteSource, at: int, end: int) -> int:
    """Where coded data that breaks off at ``end`` turns into fill: zeros decode for a while."""
    while at < end:
        chunk = data.read_at(at, min(CHUNK + len(FILL), end - at))
        fill = chunk.find(FILL)
        if fill >= 0:
            return at + fill
        at += CHUNK
    return end


def _multi_picture(body: bytes, at: int) -> list[tuple[int, int]]:
    """(offset from the file's start, length) of the further images of an MPF index whose header lies at ``at``."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(body[4:8])
    if order is None or len(body) < 14:
        return []
    (place,) = struct.unpack_from(order + "I", body, 8)
    if not 8 <= place <= len(body) - 6:
        return []
    (count,) = struct.unpack_from(order + "H", body, 4 + place)
    out = []
    for entry in range(4 + place + 2, min(4 + place + 2 + 12 * count, len(body) - 11), 12):
        tag, _, size, value = struct.unpack_from(order + "HHII", body, entry)
        if tag == 0xB002:
            for image in range(4 + value, min(4 + value + size, len(body) - 15), 16):
                _, length, offset = struct.unpack_from(order + "3I", body, image)
                if offset:  # the first image is the file itself and says 0
                    out.append((at + offset, length))
    return out


def _entropy(data: ByteSource, at: int, picture: _Picture, budget: Budget) -> tuple[int, int]:
    """Walk one scan's entropy-coded bytes. (offset, marker) of what ends it; marker 0 when it breaks."""
    restart, carry = 0, b""
    while True:
        budget.item()
        chunk = carry + data.read_at(at + len(carry), CHUNK)
        if len(chunk) == len(carry):
            return at + len(chunk), 0
        fill = chunk.find(FILL)
        for match in _MARKER.finditer(chunk):
            place, marker = match.start(), chunk[match.start() + 1]
            if 0 <= fill < place:
                break
            if marker not in RST:
                return at + place, marker
            if not picture.interval or marker != 0xD0 + restart:
                return at + place, 0
            restart = (restart + 1) & 7
        if fill >= 0:
            return at + fill, 0
        tail = len(chunk.rstrip(b"\0"))
        keep = 1 if chunk.endswith(b"\xff") else min(len(chunk) - tail, len(FILL) - 1)
        carry = chunk[len(chunk) - keep :]
        at += len(chunk) - keep


def _broken(at: int, picture: _Picture, why: str) -> Find | None:
    if not picture.scans or at <= picture.header:
        return None
    return Find(at, 0.4, f"headers and {picture.scans} scan(s) sound, then {why}", complete=False, owned=picture.header)


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """The picture that starts at 0: segments, scans, end marker."""
    picture, at = _Picture(), 2
    if data.read_at(0, 3) != b"\xff\xd8\xff":
        return None
    while True:
        budget.item()
        head = data.read_at(at, 4)
        if len(head) < 2 or head[0] != 0xFF:
            return _broken(at, picture, "no marker")
        marker = head[1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == EOI:
            return _whole(data, at + 2, picture, budget) if picture.scans else None
        if marker == TEM:
            at += 2
            continue
        size = int.from_bytes(head[2:4], "big")
        if size < 2 or len(head) < 4 or not (marker in SOF or marker == SOS or marker in OTHER):
            return _broken(at, picture, f"marker FF{marker:02X}")
        needed = marker in SOF or marker in (SOS, DHT, DQT, DRI) or (marker == APP2 and not picture.others)
        body = data.read_at(at + 4, size - 2) if needed else b""
        if at + 2 + size > data.size or (needed and not sound(marker, body)):
            return _broken(at, picture, f"segment FF{marker:02X} is damaged")
        if marker in SOF:
            picture.frame = frame_of(marker, body)
        elif marker == DHT:
            tables_from(body, picture.tables)
        elif marker == DQT:
            quantisers_from(body, picture.quantisers)
        elif marker == DRI:
            picture.interval = int.from_bytes(body, "big")
        elif marker == APP2 and body[:4] == b"MPF\0":
            picture.others = _multi_picture(body, at + 8)
        at += 2 + size
        if marker == SOS:
            if not picture.frame:
                return None
            picture.scans += 1
            picture.header = picture.header or at
            end, after = _scan(data, at, body, picture, budget)
            if not after:
                return _broken(end, picture, "the coded data breaks off")
            at = end


def _scan(data: ByteSource, at: int, body: bytes, picture: _Picture, budget: Budget) -> tuple[int, int]:
    """As _entropy; decoded where the frame is sequential or progressive."""
    assert picture.frame is not None
    scan = scan_of(body, picture.frame, bytes(picture.tables), picture.quantisers, picture.interval, picture.masks, budget)
    if scan is None:
        return _entropy(data, at, picture, budget)
    end, masks = end_of_scan(data, at, scan, budget)
    if masks:
        picture.masks[scan.chosen[0]] = masks
    if end < 0:
        return _before_fill(data, at, -end), 0
    picture.decoded += 1
    # encoders may leave bytes between the last unit and the marker
    near = data.read_at(end, SLACK)
    match = _MARKER.search(near)
    if match is None:
        return _before_fill(data, at, end), 0
    return end + match.start(), near[match.start() + 1]


def _whole(data: ByteSource, end: int, picture: _Picture, budget: Budget) -> Find:
    sure = picture.decoded == picture.scans
    reason = f"segments and {picture.scans} scan(s) to the end marker" + (", every unit decoded" if sure else "")
    length = end
    for offset, size in sorted(picture.others):
        if offset < end or offset + size > data.size or data.read_at(offset, 3) != b"\xff\xd8\xff":
            continue
        inner = measure(data.slice(offset, size), budget)
        if inner is not None and inner.complete:
            length = max(length, offset + size)
            reason += f"; further image at {offset} of its multi-picture index"
    return Find(length, 1.0 if sure else 0.9, reason)


CARVERS = (
    Carver(
        name="jpeg",
        title="JPEG picture",
        extension="jpg",
        mime="image/jpeg",
        signatures=(Signature(b"\xff\xd8\xff\xc0", mask=b"\xff\xff\xff\xc0"),),
        measure=measure,
        rejoin=rejoin,
        maximum=512 << 20,
        refs=("ITU-T T.81 (1992), annex B: compressed data formats", "CIPA DC-007-2009: Multi-Picture Format, 5.2"),
        gaps=(
            "pieces are joined where the picture itself shows that they are its own; what says too little is left open",
            "of pictures in three and more pieces many are not put together, nor what is cut inside its metadata",
            "lossless, hierarchical and arithmetic scans are walked by their markers, not decoded",
            "data behind the end marker that no multi-picture index lists (motion photos, maker trailers) is not included",
        ),
    ),
)
