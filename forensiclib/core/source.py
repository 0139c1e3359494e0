"""Byte sources: cursorless, lockless, composable views of evidence.

Any thread may read any source. read_at and read_into return what is there and no more; a range
that cannot be given truthfully raises EvidenceError, never other bytes.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from forensiclib.core.errors import EvidenceError, Unreadable, UsageError
from forensiclib.core.span import Span, merge, zeros

__all__ = [
    "ByteSource",
    "ChunkedSource",
    "ConcatSource",
    "ExtentSource",
    "FileSource",
    "MemorySource",
    "OverlaySource",
    "SliceSource",
    "as_file",
    "clip",
    "fill_bad",
    "filled",
]

WritableBuffer = bytearray | memoryview


def clip(offset: int, n: int, size: int) -> int:
    """How many of ``n`` bytes from ``offset`` a source of ``size`` bytes has; the one bounds check.

    Past the end is 0. A negative offset or count is a UsageError.
    """
    if offset < 0 or n < 0:
        raise UsageError(f"negative offset or length: {offset}, {n}")
    return max(0, min(n, size - offset))


class ByteSource(ABC):
    """A readable range of bytes that knows where each byte lives on the image."""

    __slots__ = ()

    size: int
    """Bytes. Constant for the life of the source."""

    @abstractmethod
    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        """Fill ``buffer`` from ``offset``; returns the count, short only at the end of the source.

        Raises EvidenceError for a range that cannot be read truthfully.
        """

    @abstractmethod
    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        """The spans behind [offset, offset+n), in order, clipped to the size."""

    def read_at(self, offset: int, n: int) -> bytes:
        """Up to ``n`` bytes from ``offset``; short only at the end of the source."""
        n = clip(offset, n, self.size)
        if n == 0:
            return b""
        buffer = bytearray(n)
        got = self.read_into(offset, buffer)
        return bytes(buffer) if got == n else bytes(buffer[:got])

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        """A hint that these (start, length) will be read soon, in any order: a remote source brings them side by side. Never
        fails, and does nothing where bytes are near."""
        return

    def slice(self, start: int, length: int | None = None) -> ByteSource:
        """A view of [start, start+length), clipped to this source."""
        if length is None:
            length = max(0, self.size - start)
        return SliceSource(self, start, length)


class MemorySource(ByteSource):
    """Bytes in memory; ``origin`` says which image bytes they are (or were made from)."""

    __slots__ = ("_data", "_origin", "size")

    def __init__(self, data: bytes | bytearray | memoryview, origin: str | Sequence[Span] = "memory") -> None:
        self._data = memoryview(data).cast("B") if len(data) else memoryview(b"")
        self.size = len(data)
        self._origin: str | tuple[Span, ...] = origin if isinstance(origin, str) else tuple(origin)

    def read_at(self, offset: int, n: int) -> bytes:
        n = clip(offset, n, self.size)
        return bytes(self._data[offset : offset + n])

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        memoryview(buffer)[:n] = self._data[offset : offset + n]
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        if n == 0:
            return ()
        if isinstance(self._origin, str):
            return (Span(self._origin, offset, n),)
        out, at = [], 0
        for span in self._origin:
            if not span.exact and span.root:
                out.append(span)  # a transform's input stands for the whole of its output
                continue
            low, high = max(offset, at), min(offset + n, at + span.length)
            if low < high:
                start = span.start + low - at if span.root else 0
                out.append(Span(span.root, start, high - low, span.via, span.exact))
            at += span.length
        return merge(out)


class FileSource(ByteSource):
    """A file or block device, opened read-only. ``root`` is the name that its spans carry."""

    __slots__ = ("_fd", "_lock", "path", "root", "size")

    def __init__(self, path: str | os.PathLike[str], root: str | None = None) -> None:
        self.path = os.fspath(path)
        self.root = os.path.basename(self.path) if root is None else root
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._fd = os.open(self.path, flags)
        self._lock = threading.Lock()
        # seek, not stat: a block device has st_size 0.
        self.size = os.lseek(self._fd, 0, os.SEEK_END)

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view = memoryview(buffer)[:n]
        done = 0
        while done < n:
            try:
                got = self._read(offset + done, view[done:])
            except OSError as error:
                span = Span(self.root, offset + done, n - done)
                raise Unreadable("file", span, error.strerror or str(error)) from error
            if got == 0:
                raise Unreadable("file", Span(self.root, offset + done, n - done), "it shrank while it was read")
            done += got
        return done

    if sys.platform == "win32":

        def _read(self, offset: int, view: memoryview) -> int:
            with self._lock:
                os.lseek(self._fd, offset, os.SEEK_SET)
                data = os.read(self._fd, len(view))
            view[: len(data)] = data
            return len(data)

    else:

        def _read(self, offset: int, view: memoryview) -> int:
            return os.preadv(self._fd, [view], offset)

        def read_at(self, offset: int, n: int) -> bytes:
            """In one call and without a copy where the file gives all at once; the base's way otherwise, with its errors."""
            n = clip(offset, n, self.size)
            try:
                data = os.pread(self._fd, n, offset) if n else b""
            except OSError:
                data = b""
            return data if len(data) == n else super().read_at(offset, n)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span(self.root, offset, n),) if n else ()

    def close(self) -> None:
        """Give the descriptor back. Later reads raise Unreadable."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def __reduce__(self) -> tuple[type[FileSource], tuple[str, str]]:
        return FileSource, (self.path, self.root)


class SliceSource(ByteSource):
    """A window on another source."""

    __slots__ = ("_base", "_start", "size")
    _base: ByteSource
    _start: int

    def __init__(self, base: ByteSource, start: int, length: int) -> None:
        self.size = clip(start, length, base.size)
        if isinstance(base, SliceSource):  # one window deep, however often it is cut
            start, base = start + base._start, base._base
        self._base, self._start = base, start

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        return self._base.read_into(self._start + offset, memoryview(buffer)[:n]) if n else 0

    def read_at(self, offset: int, n: int) -> bytes:
        n = clip(offset, n, self.size)
        return self._base.read_at(self._start + offset, n) if n else b""

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        self._base.prefetch([(self._start + start, clip(start, n, self.size)) for start, n in ranges])

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return self._base.trace(self._start + offset, n) if n else ()


class ConcatSource(ByteSource):
    """Sources one behind the other. With ``root`` the whole is the image: spans name it and count
    in it, instead of in the parts."""

    __slots__ = ("_parts", "_starts", "root", "size")

    def __init__(self, parts: Sequence[ByteSource], root: str | None = None) -> None:
        self._parts = tuple(parts)
        self._starts: list[int] = []
        at = 0
        for part in self._parts:
            self._starts.append(at)
            at += part.size
        self.size, self.root = at, root

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        while done < n:
            i = bisect_right(self._starts, offset + done) - 1
            done += self._parts[i].read_into(offset + done - self._starts[i], view[done:n])
        return done

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        if self.root is not None:
            return (Span(self.root, offset, n),) if n else ()
        out: list[Span] = []
        done = 0
        while done < n:
            i = bisect_right(self._starts, offset + done) - 1
            take = min(n - done, self._starts[i] + self._parts[i].size - offset - done)
            out += self._parts[i].trace(offset + done - self._starts[i], take)
            done += take
        return merge(out)


class ExtentSource(ByteSource):
    """A stream scattered over another source: run lists, cluster chains, block maps.

    extents  (start, length) pairs in stream order; start None reads as zero (sparse).
    size     bytes of the stream; the extents may cover more (allocation slack) or less (the
             missing tail raises Unreadable, for it is nowhere).
    valid    bytes from which on the stream reads as zero whatever the clusters hold
             (NTFS valid data length); None is no such bound.
    """

    __slots__ = ("_at", "_base", "_runs", "size", "valid")

    def __init__(
        self,
        base: ByteSource,
        extents: Sequence[tuple[int | None, int]],
        size: int | None = None,
        valid: int | None = None,
    ) -> None:
        self._base = base
        self._runs = tuple((s, n) for s, n in extents if n > 0)
        self._at: list[int] = []
        at = 0
        for _start, length in self._runs:
            self._at.append(at)
            at += length
        self.size = at if size is None else size
        self.valid = self.size if valid is None else min(valid, self.size)

    @property
    def extents(self) -> tuple[tuple[int | None, int], ...]:
        """(start in the base or None, length) in stream order."""
        return self._runs

    def _pieces(self, offset: int, n: int) -> list[tuple[int | None, int]]:
        """(base offset or None for zeros, length), covering exactly n bytes."""
        out: list[tuple[int | None, int]] = []
        real = max(0, min(n, self.valid - offset))
        done = 0
        while done < real:
            i = bisect_right(self._at, offset + done) - 1
            start, length = self._runs[i] if i >= 0 else (None, 0)
            inside = offset + done - (self._at[i] if i >= 0 else 0)
            take = min(real - done, length - inside)
            if take <= 0:
                raise Unreadable("extent", None, f"stream offset {offset + done} lies in no extent of {self.size} bytes")
            out.append((None if start is None else start + inside, take))
            done += take
        if n > real:
            out.append((None, n - real))
        return out

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        for start, length in self._pieces(offset, n) if n else ():
            part = view[done : done + length]
            if start is None:
                part[:] = bytes(length)
            else:
                got = self._base.read_into(start, part)
                if got < length:
                    raise Unreadable("extent", None, f"{start + got:#x} lies past the end of the volume ({self._base.size:#x})")
            done += length
        return done

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        out: list[Span] = []
        for start, length in self._pieces(offset, n) if n else ():
            if start is None:
                out.append(zeros(length))
            else:
                out += self._base.trace(start, length)
        return merge(out)


class ChunkedSource(ByteSource):
    """A stream that decodes in chunks of one size (compressed containers, LZNT1 units).

    decode   chunk index -> its bytes (the last may be short); raises EvidenceError
    origin   chunk index -> the span or spans behind it
    keep     decoded chunks held for neighbouring reads; the only state, under a lock
    """

    __slots__ = ("_cache", "_chunk", "_decode", "_keep", "_lock", "_origin", "size")

    def __init__(
        self,
        size: int,
        chunk: int,
        decode: Callable[[int], bytes],
        origin: Callable[[int], tuple[Span, ...]],
        keep: int = 64,
    ) -> None:
        self.size, self._chunk, self._decode, self._origin, self._keep = size, chunk, decode, origin, keep
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def chunk(self, index: int) -> bytes:
        """The decoded bytes of one chunk."""
        with self._lock:
            if (data := self._cache.get(index)) is not None:
                self._cache.move_to_end(index)
                return data
        data = self._decode(index)
        with self._lock:
            self._cache[index] = data
            while len(self._cache) > self._keep:
                self._cache.popitem(last=False)
        return data

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        while done < n:
            index, inside = divmod(offset + done, self._chunk)
            piece = self.chunk(index)[inside : inside + n - done]
            if not piece:
                raise Unreadable("chunk", None, f"chunk {index} is shorter than {inside + 1} bytes")
            view[done : done + len(piece)] = piece
            done += len(piece)
        return done

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        out: list[Span] = []
        done = 0
        while done < n:
            index, inside = divmod(offset + done, self._chunk)
            take = min(n - done, self._chunk - inside)
            at = 0
            for span in self._origin(index):
                if span.root and not span.exact:
                    out.append(span)
                    continue
                low, high = max(inside, at), min(inside + take, at + span.length)
                if low < high:
                    out.append(Span(span.root, span.start + low - at if span.root else 0, high - low, span.via, span.exact))
                at += span.length
            done += take
        return merge(out)


class OverlaySource(ByteSource):
    """A base with patches over it (a replayed transaction log). Later patches win.

    patches  (offset, source) pairs; a patch may reach past the end of the base and grow it. The
             gap between, if any, raises Unreadable.
    """

    __slots__ = ("_edges", "_layers", "size")

    def __init__(self, base: ByteSource, patches: Sequence[tuple[int, ByteSource]]) -> None:
        layers = [(0, base), *patches]
        self.size = max(at + src.size for at, src in layers)
        edges = sorted({0, self.size, *(at for at, _ in patches), *(at + s.size for at, s in layers)})
        self._edges = edges
        tops: list[int] = [-1] * len(edges)
        where = {edge: i for i, edge in enumerate(edges)}
        for number, (at, src) in enumerate(layers):
            for i in range(where[at], where[at + src.size]):
                tops[i] = number
        self._layers = [layers[t] if t >= 0 else None for t in tops]

    def _pieces(self, offset: int, n: int) -> list[tuple[ByteSource, int, int]]:
        out: list[tuple[ByteSource, int, int]] = []
        done = 0
        while done < n:
            i = bisect_right(self._edges, offset + done) - 1
            take = min(n - done, self._edges[i + 1] - offset - done)
            layer = self._layers[i]
            if layer is None:
                raise Unreadable("overlay", None, f"offset {offset + done} is in no layer")
            out.append((layer[1], offset + done - layer[0], take))
            done += take
        return out

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        for src, at, take in self._pieces(offset, n):
            done += src.read_into(at, view[done : done + take])
        return done

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return merge(span for src, at, take in self._pieces(offset, n) for span in src.trace(at, take))


class _FillBad(ByteSource):
    __slots__ = ("_base", "_grain", "_report", "size")

    def __init__(self, base: ByteSource, report: Callable[[EvidenceError], None], grain: int) -> None:
        self._base, self._report, self._grain, self.size = base, report, grain, base.size

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view = memoryview(buffer)[:n]
        try:
            return self._base.read_into(offset, view) if n else 0
        except EvidenceError as error:
            if self._nowhere(offset, n):
                view[:] = bytes(n)  # on a disk that is not there, which may be terabytes: nothing would come of trying each grain
                self._report(error)
                return n
        done = 0  # again, grain by grain: every bad grain is reported
        while done < n:
            take = min(n - done, self._grain - (offset + done) % self._grain)
            try:
                self._base.read_into(offset + done, view[done : done + take])
            except EvidenceError as error:
                view[done : done + take] = bytes(take)
                self._report(error)
            done += take
        return done

    def _nowhere(self, offset: int, n: int) -> bool:
        try:
            spans = self._base.trace(offset, n)
        except EvidenceError:
            return False
        return bool(spans) and all(span.via == ("missing",) for span in spans)

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        self._base.prefetch(ranges)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._base.trace(offset, n)


def fill_bad(source: ByteSource, report: Callable[[EvidenceError], None], grain: int = 4096) -> ByteSource:
    """The same source with unreadable grains read as zero, each reported. For jobs that must go on
    past damage (recovery, carving, hashing with a finding); never a default."""
    return _FillBad(source, report, grain)


def filled(source: ByteSource) -> ByteSource | None:
    """The source whose damage fill_bad fills; None for any other source."""
    return source._base if isinstance(source, _FillBad) else None


class _File(io.RawIOBase):
    def __init__(self, source: ByteSource) -> None:
        self._source, self._pos = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._pos, self._source.size)[whence]
        if base + offset < 0:
            raise UsageError(f"seek before the start: {base + offset}")
        self._pos = base + offset
        return self._pos

    def tell(self) -> int:
        return self._pos

    def readinto(self, buffer: Any, /) -> int:
        got = self._source.read_into(self._pos, memoryview(buffer).cast("B"))
        self._pos += got
        return got


def as_file(source: ByteSource, buffer_size: int = 1 << 16) -> io.BufferedReader:
    """A standard file object over a source, for libraries that want one. It has a cursor: one
    thread each."""
    return io.BufferedReader(_File(source), buffer_size)
