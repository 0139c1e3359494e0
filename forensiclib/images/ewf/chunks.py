"""The media: chunks read, inflated and checked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import islice

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span
from forensiclib.images._files import PooledFile
from forensiclib.images.ewf.tables import Index, Run
from forensiclib.kernels import adler32, inflate

__all__ = ["EwfSource"]

CACHE = 4 << 20
"""Bytes of decoded chunks kept for small reads: enough for a directory walk's neighbourhood."""
HINTED = 4096
"""Chunks of one hint that are looked up: a forged run list names more than anybody will read."""
READ_AHEAD = 1 << 20
"""Bytes of a segment file read at once in a long read."""


class EwfSource(ByteSource):
    """The media of a set. Every chunk that is returned had a matching checksum.

    root  name that spans carry; offsets count in the media
    """

    __slots__ = ("_cache", "_chunk", "_index", "_keep", "_lock", "root", "size")

    def __init__(self, index: Index, size: int, chunk: int, root: str) -> None:
        self.size, self.root, self._index, self._chunk = size, root, index, chunk
        self._keep = max(4, CACHE // chunk)
        self._cache: OrderedDict[int, bytes | bytearray | memoryview] = OrderedDict()
        self._lock = threading.Lock()

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span(self.root, offset, n),) if n else ()

    def stored(self, offset: int, n: int) -> tuple[Span, ...]:
        """The segment-file ranges behind [offset, offset+n): exact for uncompressed chunks, the whole
        stored chunk via "deflate" otherwise; chunks that are nowhere are left out."""
        n = clip(offset, n, self.size)
        out: list[Span] = []
        for chunk in range(offset // self._chunk, -(-(offset + n) // self._chunk) if n else 0):
            run, i = self._find(chunk)
            if run is None or run.hole is not None:
                continue
            start, length, packed = run.place(i)
            root = run.segment.file.root
            if packed:
                out.append(Span(root, start, length, ("deflate",), False))
                continue
            low = max(offset, chunk * self._chunk)
            high = min(offset + n, (chunk + 1) * self._chunk)
            out.append(Span(root, start + low - chunk * self._chunk, high - low))
        return tuple(out)

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done, size = memoryview(buffer)[:n], 0, self._chunk
        while done < n:
            chunk, inside = divmod(offset + done, size)
            if inside == 0 and n - done >= 2 * size:
                done += self._bulk(chunk, (n - done) // size, view[done:])
                continue
            take = min(n - done, size - inside)
            view[done : done + take] = self._cached(chunk)[inside : inside + take]
            done += take
        return n

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        wanted: dict[PooledFile, list[tuple[int, int]]] = {}
        cut = ((offset, clip(offset, n, self.size)) for offset, n in ranges)
        chunks = (c for offset, n in cut if n for c in range(offset // self._chunk, -(-(offset + n) // self._chunk)))
        for chunk in islice(chunks, HINTED):
            run, i = self._find(chunk)
            if run is None or run.hole is not None:
                continue
            if not run.segment.file.distant:
                return
            start, length, packed = run.place(i)
            wanted.setdefault(run.segment.file, []).append((start, self._stored_size(length, packed)))
        for file, places in wanted.items():
            file.prefetch(places)

    def _find(self, chunk: int) -> tuple[Run | None, int]:
        return self._index.find(chunk) if chunk < self._index.count else (None, 0)

    def _cached(self, chunk: int) -> bytes | bytearray | memoryview:
        with self._lock:
            if (held := self._cache.get(chunk)) is not None:
                self._cache.move_to_end(chunk)
                return held
        run, i = self._place(chunk)
        start, length, packed = self._stretch(run, i, 1)[0]
        data = self._decode(chunk, run, start, packed, self._fetch(chunk, run, start, length))
        with self._lock:
            self._cache[chunk] = data
            while len(self._cache) > self._keep:
                self._cache.popitem(last=False)
        return data

    def _place(self, chunk: int) -> tuple[Run, int]:
        run, i = self._find(chunk)
        if run is None:
            raise Truncated("EWF chunk", self._media(chunk), f"chunk {chunk} is in no table")
        if run.hole is not None:
            raise type(run.hole)("EWF chunk", self._media(chunk), f"chunk {chunk} is in no table that can be read; {run.hole}")
        return run, i

    def _stored_size(self, length: int, packed: bool) -> int:
        """Bytes to read of a chunk with ``length`` bytes up to the next one."""
        return min(length, 2 * self._chunk + 64) if packed else min(length, self._chunk + 4)

    def _fetch(self, chunk: int, run: Run, start: int, length: int) -> memoryview:
        file = run.segment.file
        buffer = bytearray(clip(start, length, file.size))
        try:
            file.read_into(start, buffer)
        except EvidenceError as error:
            raise type(error)("EWF chunk", self._media(chunk), f"chunk {chunk}: {error}") from error
        return memoryview(buffer)

    def _stretch(self, run: Run, i: int, most: int) -> list[tuple[int, int, bool]]:
        """(start, stored bytes, compressed) of entry ``i`` and those that follow it in the file, up to READ_AHEAD."""
        start, length, packed = run.place(i)
        begin, end = start, start + self._stored_size(length, packed)
        out = [(start, end - start, packed)]
        for k in range(i + 1, min(i + most, run.count)):
            start, length, packed = run.place(k)
            length = self._stored_size(length, packed)
            if start < end or start + length - begin > READ_AHEAD:
                break
            end = start + length
            out.append((start, length, packed))
        return out

    def _bulk(self, first: int, most: int, view: memoryview) -> int:
        """Up to ``most`` whole chunks from ``first``, with one read of the segment file."""
        run, i = self._place(first)
        places = self._stretch(run, i, most)
        begin, at = places[0][0], 0
        raw = self._fetch(first, run, begin, places[-1][0] + places[-1][1] - begin)
        for chunk, (start, length, packed) in enumerate(places, first):
            data = self._decode(chunk, run, start, packed, raw[start - begin : start - begin + length])
            view[at : at + len(data)] = data
            at += len(data)
        return at

    def _decode(self, chunk: int, run: Run, start: int, packed: bool, raw: memoryview) -> bytes | bytearray | memoryview:
        """The bytes of one chunk, checksum verified; Truncated when the file ends inside, else Corrupt."""
        want = min(self._chunk, self.size - chunk * self._chunk)
        if packed:
            try:
                data = inflate(raw, self._chunk)
            except ValueError as error:
                raise self._damage(chunk, run, start, len(raw), str(error)) from error
            if len(data) < want:
                raise self._damage(chunk, run, start, len(raw), f"{len(data)} of {want} bytes")
            return data if len(data) == want else data[:want]
        for size in (want, self._chunk):
            if len(raw) >= size + 4 and adler32(raw[:size]) == int.from_bytes(raw[size : size + 4], "little"):
                return raw[:want]
        raise self._damage(chunk, run, start, len(raw), "its Adler-32 does not match")

    def _damage(self, chunk: int, run: Run, start: int, have: int, why: str) -> EvidenceError:
        file = run.segment.file
        where = f"chunk {chunk} at {start} of {file.root}"
        if start + have >= file.size and run.segment.cut:
            return Truncated("EWF chunk", self._media(chunk), f"{where}: the file ends at {file.size}")
        return Corrupt("EWF chunk", self._media(chunk), f"{where}: {why}")

    def _media(self, chunk: int) -> Span:
        start = chunk * self._chunk
        return Span(self.root, start, max(0, min(self._chunk, self.size - start)))
