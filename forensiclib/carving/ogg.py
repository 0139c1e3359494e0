"""Ogg: the page chain, every CRC verified, to the end of every stream."""

from __future__ import annotations

import zlib

from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.ogg import PAGE

__all__ = ["CARVERS", "measure"]

_MIRROR = bytes(int(f"{b:08b}"[::-1], 2) for b in range(256))
_FIRST, _LAST = 2, 4
_KINDS = (
    (b"theora", Kind("ogv", "video/ogg", "Ogg video")),
    (b"video", Kind("ogm", "video/x-ogm", "Ogg video (OGM)")),
    (b"OpusHead", Kind("opus", "audio/opus", "Opus audio")),
    (b"\x7fFLAC", Kind("oga", "audio/ogg", "Ogg audio (FLAC)")),
    (b"Speex", Kind("spx", "audio/x-speex", "Speex speech")),
    (b"vorbis", Kind("ogg", "audio/ogg", "Ogg audio (Vorbis)")),
)
"""By what the first packets hold; what comes first decides."""
SECTOR = 512


def _crc(data: bytes) -> int:
    """CRC-32 of RFC 3533 (polynomial 04C11DB7, not mirrored, initial value 0) by way of zlib's mirrored one."""
    raw = zlib.crc32(data.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(raw.to_bytes(4, "big").translate(_MIRROR), "little")


def _page(data: ByteSource, at: int) -> tuple[int, int, int, int] | None:
    """(flags, serial, sequence, length) of the page at ``at``, None when there is no sound one."""
    head = data.read_at(at, PAGE.size + 255)
    if len(head) <= PAGE.size:
        return None
    magic, version, flags, _, serial, sequence, crc, segments = PAGE.unpack(head)
    length = PAGE.size + segments + sum(head[PAGE.size : PAGE.size + segments])
    if magic != b"OggS" or version or flags > 7 or at + length > data.size:
        return None
    raw = data.read_at(at, length)
    return (flags, serial, sequence, length) if _crc(raw[:22] + bytes(4) + raw[26:]) == crc else None


def _content(first: bytes) -> tuple[str, str]:
    """Extension and title by the first packet of the first streams."""
    kind = next((kind for mark, kind in _KINDS if mark in first), None)
    return (kind.extension, kind.title) if kind else ("", "")


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Pages while they chain; another file's first page on a sector behind the end is not this one's."""
    at, pages, opened = 0, 0, {0: 0}
    opened.clear()
    heads = b""
    while (page := _page(data, at)) is not None:
        budget.item()
        flags, serial, sequence, length = page
        if flags & _FIRST:
            if pages and not opened and at % SECTOR == 0:
                break
            if serial in opened:
                break
            heads += data.read_at(at + PAGE.size, 16)
        elif serial not in opened or sequence != (opened[serial] + 1) & 0xFFFFFFFF:
            break
        opened[serial] = sequence
        if flags & _LAST:
            del opened[serial]
        pages += 1
        at += length
    if not pages:
        return None
    extension, title = _content(heads)
    if opened:
        reason = f"{pages} pages with good CRC; no last page of {len(opened)} stream(s)"
        return Find(at, 0.6, reason, extension, title, complete=False, owned=at) if pages > 1 else None
    return Find(at, 1.0, f"{pages} pages with good CRC to the end of every stream", extension, title)


CARVERS = (
    Carver(
        name="ogg",
        title="Ogg audio or video",
        extension="ogg",
        mime="application/ogg",
        signatures=(Signature(b"OggS\0\2", mask=b"\xff\xff\xff\xff\xff\xfe"),),
        measure=measure,
        maximum=64 << 30,
        refs=("RFC 3533, section 6: the Ogg page format", "RFC 3533, section 4: chained and multiplexed streams"),
        gaps=("a chained stream that begins on a multiple of 512 bytes is taken for another file",),
        kinds=(*(kind for _, kind in _KINDS), Kind("ogg", "application/ogg", "Ogg audio or video")),
    ),
)
