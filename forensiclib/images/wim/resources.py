"""Resources: what the offset table lists, unpacked in chunks, their SHA-1 checked by whoever reads to their end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ChunkedSource, ConcatSource, WritableBuffer, clip
from forensiclib.core.span import Span
from forensiclib.formats.wim import COMPRESSED, RESOURCE, SOLID, TABLE_ENTRY
from forensiclib.images._blocks import Table, root_of
from forensiclib.kernels import lzx, lzxpress_huffman

__all__ = ["Kind", "Place", "Resource", "entries", "opened", "place", "unpacked"]

READ = 1 << 20
"""Bytes read at once while the rest of a resource is hashed."""


@dataclass(frozen=True, slots=True)
class Place:
    """``size`` stored bytes at ``offset``, ``original`` when unpacked."""

    size: int
    offset: int
    original: int
    flags: int


@dataclass(frozen=True, slots=True)
class Kind:
    """How the file packs: "", "xpress", "lzx" or "lzms", in chunks of ``chunk`` bytes."""

    name: str
    chunk: int


@dataclass(frozen=True, slots=True)
class Resource:
    """An entry of the offset table; ``file`` is None when it lies in a part that is not here."""

    place: Place
    part: int
    references: int
    sha1: bytes
    file: ByteSource | None = field(repr=False, compare=False)


def place(raw: bytes, at: int = 0) -> Place:
    """The 24 bytes of a resource header."""
    size, offset, original = RESOURCE.unpack(raw, at)
    return Place(size & (1 << 56) - 1, offset, original, size >> 56)


def entries(raw: bytes, files: dict[int, ByteSource], budget: Budget) -> Iterator[Resource]:
    """The entries of an offset table."""
    for at in range(0, len(raw) - TABLE_ENTRY.size + 1, TABLE_ENTRY.size):
        budget.item()
        header, part, references, sha1 = TABLE_ENTRY.unpack(raw, at)
        yield Resource(place(header), part, references, sha1, files.get(part))


def unpacked(file: ByteSource, where: Place, kind: Kind, what: str) -> ByteSource:
    """The bytes of a resource, its SHA-1 not looked at. Unsupported for a kind of packing that is not read, Truncated and Corrupt for
    places that cannot be."""
    span = Span(root_of(file), where.offset, where.size)
    if where.flags & SOLID:
        raise Unsupported(what, span, "a solid resource (ESD): several files packed as one stream")
    if where.offset + where.size > file.size:
        raise Truncated(what, span, f"it ends at {where.offset + where.size}, the file at {file.size}")
    if not where.flags & COMPRESSED:
        if where.size != where.original:
            raise Corrupt(what, span, f"not packed, and {where.size} bytes are stored for {where.original}")
        return file.slice(where.offset, where.size)
    if not where.original:
        return ConcatSource(())
    if kind.name not in ("xpress", "lzx"):
        raise Unsupported(what, span, f"packed with {kind.name.upper() or 'a method that the header does not name'}")
    return _chunked(file, where, kind, what, span)


def _chunked(file: ByteSource, where: Place, kind: Kind, what: str, span: Span) -> ByteSource:
    chunk = kind.chunk
    count = -(-where.original // chunk)
    wide = where.original >= 1 << 32
    head = (count - 1) * (8 if wide else 4)
    if head > where.size:
        raise Corrupt(what, span, f"a table of {count} chunks does not fit into {where.size} bytes")
    table = Table(file, where.offset, count - 1, "Q" if wide else "I", what)
    room = where.size - head
    window = chunk.bit_length() - 1

    def bounds(index: int) -> tuple[int, int]:
        start = table[index - 1] if index else 0
        end = table[index] if index < count - 1 else room
        return start, end

    def stored(index: int) -> Span:
        start, end = bounds(index)
        good = 0 <= start < end <= room
        return Span(span.root, where.offset + head + min(start, room), end - start if good else 0)

    def decode(index: int) -> bytes:
        start, end = bounds(index)
        want = min(chunk, where.original - index * chunk)
        if not 0 <= start < end <= room or end - start > want:
            raise Corrupt(what, span, f"chunk {index} from {start} to {end} of {room} bytes, {want} when unpacked")
        packed = file.read_at(where.offset + head + start, end - start)
        if len(packed) == want:
            return packed
        out, status = lzx(packed, want, window, True) if kind.name == "lzx" else lzxpress_huffman(packed, want)
        if status >= 0:
            raise Corrupt(what, stored(index), f"chunk {index}: {kind.name} breaks at byte {status}, after {len(out)} of {want} bytes")
        return out

    def origin(index: int) -> tuple[Span, ...]:
        place = stored(index)
        if place.length == min(chunk, where.original - index * chunk):
            return (place,)
        return (place.through(kind.name),)

    return ChunkedSource(where.original, chunk, decode, origin, keep=max(2, min(8, (1 << 22) // chunk)))


class CheckedSource(ByteSource):
    """A resource whose SHA-1 is known. The read that reaches its end completes the hash, over what was not read in order too, and raises
    Corrupt when it is another one; so does every later read that reaches the end."""

    __slots__ = ("_base", "_done", "_lock", "_sha1", "_state", "_sum", "size")

    def __init__(self, base: ByteSource, sha1: bytes) -> None:
        self._base, self._sha1, self.size = base, sha1, base.size
        self._sum, self._done, self._state = hashlib.sha1(usedforsecurity=False), 0, ""
        self._lock = threading.Lock()

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._base.trace(offset, n)

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        if not n:
            return 0
        view = memoryview(buffer)[:n]
        self._base.read_into(offset, view)
        if self._state == "good":
            return n
        with self._lock:
            if self._state == "" and offset <= self._done < offset + n:
                self._sum.update(view[self._done - offset :])
                self._done = offset + n
            if offset + n == self.size and self._state == "":
                self._finish()
            if offset + n == self.size and self._state != "good":
                spans = self._base.trace(0, self.size)
                found = f"its SHA-1 is {self._state}, the offset table says {self._sha1.hex()}"
                raise Corrupt("WIM resource", next((s for s in spans if s.root), None), found)
        return n

    def _finish(self) -> None:
        while self._done < self.size:
            piece = self._base.read_at(self._done, READ)
            self._sum.update(piece)
            self._done += len(piece)
        self._state = "good" if self._sum.digest() == self._sha1 else self._sum.hexdigest()


class FailedSource(ByteSource):
    """A resource that cannot be opened: every read raises what was in the way."""

    __slots__ = ("_error", "size")

    def __init__(self, size: int, error: EvidenceError) -> None:
        self.size, self._error = size, error

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        if clip(offset, len(buffer), self.size):
            raise type(self._error)(self._error.what, self._error.span, self._error.found)
        return 0

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span("", 0, n, ("zero",), False),) if n else ()


def opened(resource: Resource, kind: Kind) -> ByteSource:
    """The checked bytes of a resource; a source that raises where it cannot be read."""
    what, where = "WIM resource", resource.place
    if resource.file is None:
        return FailedSource(where.original, Truncated(what, None, f"it lies in part {resource.part}, which is not here"))
    try:
        return CheckedSource(unpacked(resource.file, where, kind, what), resource.sha1)
    except EvidenceError as error:
        return FailedSource(where.original, error)
