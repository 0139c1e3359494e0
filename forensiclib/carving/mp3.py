"""MP3 and its siblings: ID3v2 tag, a chain of frames of one kind, the tags behind."""

from __future__ import annotations

from dataclasses import dataclass

from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "Frame", "frame", "measure", "tail"]

SECTOR = 512
_LAYERS = {
    1: Kind("mp3", "audio/mpeg", "MPEG audio"),
    2: Kind("mp2", "audio/mpeg", "MPEG audio, layer II"),
    3: Kind("mp1", "audio/mpeg", "MPEG audio, layer I"),
}
"""By the layer bits of a frame."""
ENOUGH_TAGGED, ENOUGH_BARE = 3, 12
"""Frames of one kind in a row that make a file: after an ID3v2 tag, and with nothing before them."""
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_KBIT = {
    (3, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s by (version bits, layer bits); version 2.5 uses those of 2."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One audio frame: its bytes, and what all frames of a file have in common."""

    length: int
    kind: tuple[int, int, int]
    mono: bool


def frame(head: bytes) -> Frame | None:
    """The frame whose first four bytes are ``head`` (ISO/IEC 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 0 or not 0 < bitrate < 15 or rate == 3 or head[3] & 3 == 2:
        return None
    kbit = _KBIT[(3 if version == 3 else 2), layer][bitrate - 1]
    hertz = _RATES[version][rate]
    if layer == 3:
        length = (12_000 * kbit // hertz + padding) * 4
    else:
        length = (144_000 if layer == 2 or version == 3 else 72_000) * kbit // hertz + padding
    return Frame(length, (version, layer, hertz), head[3] >> 6 == 3)


def _id3(head: bytes) -> int:
    """Bytes of the ID3v2 tag with that header; 0 when it is none."""
    if len(head) < 10 or head[:3] != b"ID3" or head[3] not in (2, 3, 4) or head[4] == 0xFF or any(b & 0x80 for b in head[6:10]):
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[3] == 4 and head[5] & 0x10 else 0)


def tail(data: ByteSource, at: int) -> int:
    """Bytes of the tags behind the last frame: APEv2, Lyrics3v2 and ID3v1, in the order they come."""
    start = at
    head = data.read_at(at, 32)
    if head[:8] == b"APETAGEX":
        at += 32 + int.from_bytes(head[12:16], "little")
    if data.read_at(at, 11) == b"LYRICSBEGIN":
        near = data.read_at(at, 1 << 16)
        end = near.find(b"LYRICS200")
        at += end + 9 if end > 0 else 0
    if data.read_at(at, 3) == b"TAG" and at + 128 <= data.size:
        at += 128
    return at - start if at <= data.size else 0


def _stated(data: ByteSource, at: int, first: Frame) -> int:
    """Bytes of audio that a Xing or Info frame at ``at`` states, 0 when it says nothing."""
    version, mono = first.kind[0], first.mono
    place = at + 4 + ((17 if mono else 32) if version == 3 else (9 if mono else 17))
    head = data.read_at(place, 16)
    if head[:4] not in (b"Xing", b"Info") or len(head) < 16:
        return 0
    flags = int.from_bytes(head[4:8], "big")
    if not flags & 2:
        return 0
    return int.from_bytes(head[12:16] if flags & 1 else head[8:12], "big")


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Tag, frames, tags."""
    start = _id3(data.read_at(0, 10))
    at = start
    first = frame(data.read_at(at, 4))
    if first is None and start:
        # padding that the tag does not count
        gap = data.read_at(at, 4096)
        at += len(gap) - len(gap.lstrip(b"\0"))
        first = frame(data.read_at(at, 4))
    if first is None:
        return None
    audio, frames, end = at, 0, at
    while (one := frame(data.read_at(at, 4))) is not None and one.kind == first.kind and at + one.length <= data.size:
        budget.item()
        frames += 1
        at = end = at + one.length
    stated = _stated(data, audio, first)
    if frames < (ENOUGH_TAGGED if start or stated else ENOUGH_BARE):
        return None
    extension, title = _LAYERS[first.kind[1]].extension, _LAYERS[first.kind[1]].title
    behind = tail(data, end)
    what = f"{frames} frames of {first.kind[2]} Hz in a chain"
    if stated and abs(audio + stated - end) <= first.length:
        return Find(end + behind, 0.95, what + ", as many bytes as the first frame states", extension, title)
    if stated and end < audio + stated:
        return Find(end, 0.4, what + f", {audio + stated - end} bytes fewer than stated", extension, title, complete=False, owned=end)
    if start and (behind or not stated):
        return Find(end + behind, 0.85 if behind else 0.8, what + " behind an ID3v2 tag", extension, title)
    return Find(end + behind, 0.6, what + ", no tag before it: it may begin earlier", extension, title, owned=end + behind)


CARVERS = (
    Carver(
        name="mp3",
        title="MPEG audio",
        extension="mp3",
        mime="audio/mpeg",
        signatures=(
            Signature(b"ID3\0\0\0\0\0\0\0", mask=b"\xff\xff\xff\xf8\xff\x0f\x80\x80\x80\x80"),
            Signature(b"\xff\xe2", mask=b"\xff\xe6", align=SECTOR),
            Signature(b"\xff\xe4", mask=b"\xff\xe6", align=SECTOR),
        ),
        measure=measure,
        maximum=4 << 30,
        refs=("ISO/IEC 11172-3, 2.4.1.3 and 2.4.2.3", "ISO/IEC 13818-3, 2.4", "ID3v2.4.0 structure, 3.1", "Xing VBR header"),
        gaps=(
            "files without an ID3v2 tag are found only on sector boundaries",
            "free-format bit rates are not recognised",
            "layer I is found only behind an ID3v2 tag",
        ),
        kinds=tuple(_LAYERS.values()),
    ),
)
