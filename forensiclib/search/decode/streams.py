"""Deflate in its wrappings: gzip members, zlib streams, members of ZIP archives."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from forensiclib import kernels
from forensiclib.core.declare import Ended, Signature, Transform
from forensiclib.core.limits import Budget
from forensiclib.formats.archives import GZIP_MEMBER
from forensiclib.search.decode.regions import View

__all__ = ["TRANSFORMS", "WORTH", "Stream", "inflated"]

WORTH = 512
"""Bytes that must come out of a stream that breaks off: less is what noise gives."""
STEP = 1 << 20
_INPUT = 64
"""Bytes that a stream without its end must have: long copies give much from few bytes of noise."""
_FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 2, 4, 8, 16
_TEXT = 4096
_IDAT = b"IDAT"
_LOCAL = struct.Struct("<IHHHHHIIIHH")


@dataclass(slots=True)
class Stream:
    """How far a deflate stream went: offset behind its last good byte, output, its CRC-32."""

    end: int
    whole: bool = False
    size: int = 0
    crc: int = 0
    why: str = ""


def inflated(view: View, start: int, wbits: int, budget: Budget) -> Generator[bytes, None, Stream]:
    """Pieces of the stream at ``start``. Where it is damaged, all that comes before the damage comes out."""
    engine, out, step = zlib.decompressobj(wbits), Stream(start), 1 << 10
    while True:
        fed = view.read_at(out.end, step)
        if not fed:
            out.why = "the bytes end before the stream does"
            return out
        step = min(2 * step, 1 << 16)
        before = engine.copy()
        done, here = 0, b""
        pending = fed
        try:
            while True:
                budget.check()
                here = engine.decompress(pending, STEP)
                pending = engine.unconsumed_tail
                done = len(fed) - len(engine.unused_data) - len(pending)
                out.size += len(here)
                out.crc = zlib.crc32(here, out.crc)
                yield here
                if engine.eof or not pending:
                    break
                before = engine.copy()
        except zlib.error as error:
            out.why = str(error).rpartition(": ")[2]
            rest = fed[done:]
            grain = max(16, len(rest) // 64)
            for at in range(0, len(rest), grain):
                try:
                    here = before.decompress(rest[at : at + grain])
                except zlib.error:
                    break
                done += grain
                out.size += len(here)
                yield here
            out.end += min(done, len(fed))
            return out
        out.end += done
        if engine.eof:
            out.whole = True
            return out


def _text_end(view: View, at: int) -> int:
    end = view.read_at(at, _TEXT).find(b"\0")
    return at + end + 1 if end >= 0 else -1


def _member(view: View, at: int) -> int:
    """Offset of the deflate data of the gzip member at ``at``, -1 when none is there."""
    raw = view.read_at(at, GZIP_MEMBER.size)
    if len(raw) < GZIP_MEMBER.size:
        return -1
    magic, method, flags, _time, _extra, system = GZIP_MEMBER.unpack(raw)
    if magic != 0x8B1F or method != 8 or flags & 0xE0 or (system > 19 and system != 255):
        return -1
    end = at + GZIP_MEMBER.size
    if flags & _FEXTRA:
        end += 2 + int.from_bytes(view.read_at(end, 2), "little")
    for bit in (_FNAME, _FCOMMENT):
        if flags & bit and end >= 0:
            end = _text_end(view, end)
    return end + 2 if flags & _FHCRC and end >= 0 else end


def _gzip(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    """Members one behind the other are one stream, as RFC 1952 2.2 says."""
    at = made = 0
    while (start := _member(view, at)) >= 0:
        budget.item()
        stream = yield from inflated(view, start, -15, budget)
        made += stream.size
        if not stream.whole:
            return Ended(stream.end if made >= WORTH else 0, False, stream.why)
        trailer = view.read_at(stream.end, 8)
        good = trailer == stream.crc.to_bytes(4, "little") + (stream.size & 0xFFFFFFFF).to_bytes(4, "little")
        at = stream.end + len(trailer)
        if not good:
            return Ended(at if made >= WORTH else 0, False, "the checksum is wrong")
    return Ended(at)


def _zlib(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    if view.before(4) == _IDAT:
        return Ended(0)
    stored = not view.read_at(2, 1)[0] & 6
    stream = yield from inflated(view, 0, 15, budget)
    if not stream.whole and (stored or stream.size < WORTH or stream.end < _INPUT):
        return Ended(0)
    return Ended(stream.end, stream.whole, stream.why)


def _zlib_starts(data: memoryview, start: int, stop: int, base: int) -> Iterable[int]:
    return kernels.zlib_starts(data, start, stop)


def _zip(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    head = view.read_at(0, 30)
    if len(head) < 30:
        return Ended(0)
    _magic, version, flags, method, _time, _date, crc, _packed, _size, name, extra = _LOCAL.unpack(head)
    if version & 0xFF > 63 or flags & 0xD001 or method != 8:
        return Ended(0)
    stream = yield from inflated(view, 30 + name + extra, -15, budget)
    if not stream.whole or not crc or flags & 8:  # the sum may stand in the descriptor behind the data
        behind = view.read_at(stream.end, 8)
        crc = int.from_bytes(behind[4:8] if behind[:4] == b"PK\x07\x08" else behind[:4], "little")
    if stream.whole and crc == stream.crc:
        return Ended(stream.end)
    why = "the checksum is wrong" if stream.whole else stream.why
    return Ended(stream.end if stream.size >= WORTH else 0, False, why)


TRANSFORMS = (
    Transform(
        name="gzip", title="gzip members", refs=("RFC 1952", "RFC 1951"), signatures=(Signature(b"\x1f\x8b\x08"),), decode=_gzip,
        gaps=("the checksum of the header is not checked",),
    ),
    Transform(
        name="zip", title="Members of ZIP archives, whole or broken, by their local header", signatures=(Signature(b"PK\x03\x04"),),
        refs=("PKWARE, APPNOTE.TXT 6.3.10, 4.3.7",), decode=_zip,
        gaps=("other methods than deflate", "encrypted members"),
    ),
    Transform(
        name="zlib", title="zlib streams", refs=("RFC 1950", "RFC 1951"), scan=_zlib_starts, decode=_zlib,
        gaps=(
            "the pixels of PNG pictures (IDAT) are not decoded", "streams with a preset dictionary",
            "a stream that breaks off counts from 512 bytes of output on, and not when its first block is stored",
        ),
    ),
)  # fmt: skip
