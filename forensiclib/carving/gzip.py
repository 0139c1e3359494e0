"""Compressed single streams whose end is found by decoding: gzip, bzip2, xz."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable

from forensiclib.carving._inflate import inflate
from forensiclib.carving._read import STEP, Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.archives import GZIP_MEMBER

__all__ = ["CARVERS"]

_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16
_TEXT = 4_096
_INPUT = 64 << 10
_SECTOR = 512
_WORTH = 4_096
"""Bytes that must decode before a stream that breaks off counts: random bytes never get so far."""


def _text_end(window: Window, at: int) -> int:
    """Offset behind the zero-terminated text at ``at``, -1 when it has no end within 4 KiB."""
    raw = window.at(at, _TEXT)
    end = raw.find(b"\0")
    return at + end + 1 if end >= 0 else -1


def _header(window: Window, at: int) -> int:
    """Offset of the deflate data of the member at ``at``, -1 when no member is there."""
    raw = window.at(at, GZIP_MEMBER.size)
    if len(raw) < GZIP_MEMBER.size:
        return -1
    magic, method, flags, _time, _extra, system = GZIP_MEMBER.unpack(raw)
    if magic != 0x8B1F or method != 8 or flags & 0xE0 or (system > 19 and system != 255):
        return -1
    end = at + GZIP_MEMBER.size
    if flags & _FEXTRA:
        end += 2 + max(0, window.number(end, 2))
    for bit in (_FNAME, _FCOMMENT):
        if flags & bit and end >= 0:
            end = _text_end(window, end)
    if flags & _FHCRC and end >= 0:
        if window.number(end, 2) != zlib.crc32(window.at(at, end - at)) & 0xFFFF:
            return -1
        end += 2
    return end


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window, at, members, head = Window(data), 0, 0, b""
    while True:
        budget.item()
        start = _header(window, at)
        if start < 0:
            break
        stream = inflate(data, start, budget)
        head = head or stream.head
        whole = stream.whole and window.number(stream.end, 4) == stream.crc
        if not whole or window.number(stream.end + 4, 4) != stream.size & 0xFFFFFFFF:
            if members:
                break  # what follows the last whole member is not of this file
            if stream.end - start < _WORTH:
                return None
            why = "the checksum behind the stream is wrong" if stream.whole else f"the stream breaks off: {stream.why}"
            return Find(stream.end, 0.5, why, *_kind(head), complete=False)
        at, members = stream.end + 8, members + 1
    if not members:
        return None
    return Find(at, 1.0, f"{members} member{'s' if members > 1 else ''}, checksum and length good", *_kind(head))


def _kind(head: bytes) -> tuple[str, str]:
    return ("tgz", "tar archive, gzip-compressed") if head[257:262] == b"ustar" else ("", "")


def _decode(data: ByteSource, at: int, engine: bz2.BZ2Decompressor | lzma.LZMADecompressor, budget: Budget) -> tuple[int, bool, bytes]:
    """(offset behind what was taken, whether the stream ended, its first bytes)."""
    start, step, fed, head = at, 4096, b"", b""
    while True:
        if engine.needs_input:
            fed = data.read_at(at, step)
            step = min(_INPUT, step * 2)
            if not fed:
                return at, False, head
            at += len(fed)
        budget.check()
        try:
            piece = engine.decompress(fed, STEP)
        except (OSError, EOFError, lzma.LZMAError):
            return max(start, at - len(fed)), False, head
        fed = b""
        head = head or piece[:512]
        budget.produce("compressed stream", len(piece), STEP)
        if engine.eof:
            return at - len(engine.unused_data), True, head


def _padding_end(data: ByteSource, at: int, pad: int) -> int:
    """Offset behind the zeros at ``at``, a multiple of ``pad`` bytes on."""
    raw = data.read_at(at, _TEXT)
    zeros = len(raw) - len(raw.lstrip(b"\0"))
    return at + zeros // pad * pad


def _streams(
    data: ByteSource, magic: bytes, pad: int, budget: Budget, make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
) -> Find | None:
    """Streams of one kind one behind the other, all checked by their decoder."""
    at, count, head = 0, 0, b""
    while data.read_at(at, len(magic)) == magic:
        budget.item()
        end, whole, first = _decode(data, at, make(), budget)
        if not whole:
            if count:
                break
            return Find(end, 0.5, "the stream breaks off", *_tar(first), complete=False) if end - at > _WORTH and first else None
        at, count, head = end, count + 1, head or first
        behind = _padding_end(data, at, pad) if pad else at
        if behind % _SECTOR and data.read_at(behind, len(magic)) == magic:
            at = behind
    return Find(at, 1.0, f"{count} stream{'s' if count > 1 else ''} decoded, checksums good", *_tar(head)) if count else None


def _tar(head: bytes) -> tuple[str, str]:
    return ("", "tar archive, compressed") if head[257:262] == b"ustar" else ("", "")


def _measure_bzip2(data: ByteSource, budget: Budget) -> Find | None:
    return _streams(data, b"BZh", 0, budget, bz2.BZ2Decompressor)


def _measure_xz(data: ByteSource, budget: Budget) -> Find | None:
    head = data.read_at(0, 12)
    if len(head) < 12 or zlib.crc32(head[6:8]) != int.from_bytes(head[8:12], "little"):
        return None
    memory = budget.limits.allocation
    return _streams(data, head[:6], 4, budget, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory))


CARVERS = (
    Carver(
        name="gzip",
        title="gzip-compressed file",
        extension="gz",
        mime="application/gzip",
        signatures=(Signature(b"\x1f\x8b\x08"),),
        measure=_measure,
        maximum=64 << 30,
        refs=("RFC 1952", "RFC 1951"),
        gaps=(
            "a second gzip file that starts at the very byte where the first ends is taken for a member of it, as the format says",
            "zeros behind the last member (tape padding) are left out",
        ),
        kinds=(Kind("gz", "application/gzip", "gzip-compressed file"), Kind("tgz", "application/gzip", "tar archive, gzip-compressed")),
    ),
    Carver(
        name="bzip2",
        title="bzip2-compressed file",
        extension="bz2",
        mime="application/x-bzip2",
        signatures=tuple(Signature(b"BZh%d1AY&SY" % level) for level in range(1, 10)),
        measure=_measure_bzip2,
        maximum=64 << 30,
        refs=("J. Seward: bzip2 1.0.8",),
        gaps=("an empty bzip2 file has no block and is not recognised",),
    ),
    Carver(
        name="xz",
        title="xz-compressed file",
        extension="xz",
        mime="application/x-xz",
        signatures=(Signature(b"\xfd7zXZ\x00"),),
        measure=_measure_xz,
        maximum=64 << 30,
        refs=("The .xz File Format 1.2.1",),
        gaps=(
            "streams that need more memory to decode than the allocation limit break off",
            "stream padding is counted between streams (at most 4 KiB, and not up to a sector boundary), not behind the last",
        ),
    ),
)
