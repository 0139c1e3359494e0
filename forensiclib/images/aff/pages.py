"""The media: pages found, unpacked and checked; sectors that carry the bad-sector mark."""

from __future__ import annotations

import hashlib
import lzma
from dataclasses import dataclass, field

from forensiclib.core.errors import Corrupt, Truncated, Unreadable, Unsupported
from forensiclib.core.source import ByteSource, ChunkedSource, WritableBuffer, clip
from forensiclib.core.span import Span, zeros
from forensiclib.formats.aff import COMPRESSED, COMPRESSION, LZMA, ZERO, ZLIB
from forensiclib.images.aff.segments import Segment
from forensiclib.kernels import inflate

__all__ = ["AffSource", "Pages", "unreadable"]

CACHE = 64 << 20
"""Bytes of unpacked pages that are held; AFFLIB's own size of a page is 16 MiB."""
_VIA = {ZLIB: "deflate", LZMA: "lzma"}
_HASHES = ("sha256", "sha1", "md5")


@dataclass(slots=True)
class Pages:
    """Where the pages lie: the segment of each by its number, and those of its digests by (number, algorithm).

    size       bytes of the media; page   bytes of a page, of the last one less
    sector     bytes of a sector; badflag   what stands in one that could not be read ("" when nothing does)
    raw        the media of an AFM, which are no segments
    name       of the image: the root of spans that count in the media, of pages that are in no file
    """

    size: int
    page: int
    sector: int
    badflag: bytes
    stored: dict[int, Segment] = field(default_factory=dict)
    digests: dict[tuple[int, str], Segment] = field(default_factory=dict)
    raw: ByteSource | None = None
    name: str = ""

    def want(self, number: int) -> int:
        """Bytes of the media that the page holds."""
        return min(self.page, self.size - number * self.page)

    def decode(self, number: int) -> bytes:
        """The bytes of a page, as many as are stored. Unreadable for one that is not there, Corrupt where a digest does not match."""
        if self.raw is not None:
            return self.raw.read_at(number * self.page, self.want(number))
        segment = self.stored.get(number)
        if segment is None:
            raise Unreadable("AFF page", self._absent(number), f"page {number} was never stored")
        data = self._unpack(number, segment)
        for name in _HASHES:
            stated = self.digests.get((number, name))
            if stated is None:
                continue
            want = stated.file.read_at(stated.at, stated.length)
            if hashlib.new(name, data, usedforsecurity=False).digest() != want:
                raise Corrupt("AFF page", segment.span, f"page {number}: its {name} does not match the one stored with it")
        return data

    def _unpack(self, number: int, segment: Segment) -> bytes:
        kind = segment.argument & COMPRESSION
        packed = segment.file.read_at(segment.at, segment.length)
        if len(packed) < segment.length:
            raise Truncated("AFF page", segment.span, f"page {number}: {len(packed)} of {segment.length} bytes")
        if not segment.argument & COMPRESSED:
            return packed[: self.page]
        try:
            if kind == ZLIB:
                return bytes(inflate(packed, self.page))
            if kind == LZMA:
                return self._lzma(packed)
        except (ValueError, lzma.LZMAError) as error:
            raise Corrupt("AFF page", segment.span, f"page {number}: {error}") from error
        if kind == ZERO and len(packed) == 4:
            return bytes(min(self.page, int.from_bytes(packed, "big")))
        if kind == ZERO:
            raise Corrupt("AFF page", segment.span, f"page {number}: a count of zeros in {len(packed)} bytes instead of 4")
        raise Unsupported("AFF page", segment.span, f"page {number}: compression {kind:#04x}")

    def _lzma(self, packed: bytes) -> bytes:
        # The dictionary is memory, and the stream states it: no more than its 13 bytes of header may ask for.
        engine = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=(2 * self.page) + (64 << 20))
        data = engine.decompress(packed, self.page + 1)
        if len(data) > self.page:
            raise ValueError(f"more than the {self.page} bytes of a page")
        if not engine.eof:
            raise ValueError(f"the stream breaks off after {len(data)} bytes")
        return data

    def _absent(self, number: int) -> Span:
        return Span(self.name, number * self.page, self.want(number), ("missing",), False)

    def origin(self, number: int) -> tuple[Span, ...]:
        """The spans behind a page."""
        want = self.want(number)
        if self.raw is not None:
            return self.raw.trace(number * self.page, want)
        segment = self.stored.get(number)
        if segment is None:
            return (self._absent(number),)
        if not segment.argument & COMPRESSED:
            return (Span(segment.file.root, segment.at, min(want, segment.length)), zeros(max(0, want - segment.length)))
        if segment.argument & COMPRESSION == ZERO:
            return (zeros(want),)
        return (segment.span.through(_VIA.get(segment.argument & COMPRESSION, "packed")),)


class AffSource(ByteSource):
    """The media. A sector that carries the mark of the acquisition, and what no page holds, raise Unreadable."""

    __slots__ = ("_bad", "_chunks", "_pages", "size")

    def __init__(self, pages: Pages) -> None:
        self._pages, self.size = pages, pages.size
        self._bad: dict[int, tuple[int, ...]] = {}
        keep = max(2, CACHE // pages.page)
        self._chunks = ChunkedSource(pages.size, pages.page, self._decode, pages.origin, keep=min(keep, 1024))

    def _decode(self, number: int) -> bytes:
        data = self._pages.decode(number)
        if bad := _marked(data, self._pages.badflag, self._pages.sector):
            self._bad[number] = bad
        return data

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._chunks.trace(offset, n)

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        while done < n:
            number, inside = divmod(offset + done, self._pages.page)
            take = min(n - done, self._pages.want(number) - inside)
            data = self._chunks.chunk(number)
            self._readable(number, inside, take, len(data))
            view[done : done + take] = memoryview(data)[inside : inside + take]
            done += take
        return n

    def _readable(self, number: int, inside: int, take: int, have: int) -> None:
        """Unreadable when a byte of the range is none that the acquisition read."""
        sector, base = self._pages.sector, number * self._pages.page
        for at in self._bad.get(number, ()):
            if at < inside + take and inside < at + sector:
                where = f"sector {(base + at) // sector} carries the bad-sector mark: the acquisition could not read it"
                raise Unreadable("AFF page", self._at(base + at, sector), where)
        if inside + take > have:
            where = f"page {number} ends after {have} of {self._pages.want(number)} bytes: what follows was never stored"
            raise Unreadable("AFF page", self._at(base, 1), where)

    def _at(self, offset: int, n: int) -> Span | None:
        spans = self.trace(offset, n)
        return spans[0] if spans and spans[0].root else None


def _marked(data: bytes, flag: bytes, sector: int) -> tuple[int, ...]:
    """Offsets of the sectors of a page that hold nothing but the mark."""
    if not flag:
        return ()
    out, at = [], data.find(flag)
    while at >= 0:
        if at % sector == 0:
            out.append(at)
        at = data.find(flag, (at // sector + 1) * sector)
    return tuple(out)


def unreadable(pages: Pages, root: str) -> list[Span]:
    """The ranges of the media for which no page is stored."""
    if pages.raw is not None:
        return [Span(root, pages.raw.size, pages.size - pages.raw.size)] if pages.raw.size < pages.size else []
    count = -(-pages.size // pages.page)
    out, at = [], 0
    for number in [*sorted(n for n in pages.stored if n < count), count]:
        if number > at:
            start = at * pages.page
            out.append(Span(root, start, min(number * pages.page, pages.size) - start))
        at = number + 1
    return out
