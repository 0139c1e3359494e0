"""Streams in chunks: bevies, their indexes, the block hashes beside them."""

from __future__ import annotations

import hashlib
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated, Unsupported
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.formats.aff4 import BLOCK_HASHES, DEFLATE, INDEX_ENTRY, LZ4, SNAPPY, SNAPPY_ALWAYS, STORED, ZLIB
from forensiclib.images._blocks import numbers
from forensiclib.kernels import inflate, snappy

__all__ = ["ImageStream", "Shape"]

CACHE = 4 << 20
"""Bytes of decoded chunks kept for small reads."""
READ_AHEAD = 1 << 20
"""Bytes of a bevy read at once in a long read."""
INDEXES = 64 << 20
"""Bytes of indexes held: of a thousand bevies, as they are commonly made."""
CHEAPEST = ("sha256", "sha1", "md5", "blake2b", "sha512")
"""Block hashes in the order in which one of them is chosen to check a chunk that is read: the first two run on the processor's own
instructions. ``verify`` checks them all."""


@dataclass(frozen=True, slots=True)
class Shape:
    """size  bytes; chunk  bytes of one; count  chunks of a bevy; method  the IRI of the compression, "" for none"""

    size: int
    chunk: int
    count: int
    method: str


@dataclass(frozen=True, slots=True)
class _Bevy:
    """One bevy: its bytes, where each chunk begins in it and how long it is, (algorithm, hashes of the chunks) to check."""

    data: ByteSource
    starts: array[int]
    sizes: array[int]
    hashes: tuple[tuple[str, bytes], ...]


def _plain(data: memoryview, size: int) -> bytes | bytearray | memoryview:
    return data


def _inflate_raw(data: memoryview, size: int) -> bytes | bytearray | memoryview:
    return inflate(data, size, raw=True)


def _unsnap(data: memoryview, size: int) -> bytes | bytearray | memoryview:
    out, status = snappy(data, size)
    if status >= 0:
        raise ValueError(f"no Snappy from its byte {status} on")
    return out


def _unlz4(data: memoryview, size: int) -> bytes | bytearray | memoryview:
    import lz4.block

    why = ""
    # pyaff4 writes the size before the block.
    for block in (data, data[4:]) if data[:4] == size.to_bytes(4, "little") else (data,):
        try:
            out: bytes = lz4.block.decompress(block, uncompressed_size=size)
        except (lz4.block.LZ4BlockError, MemoryError, OverflowError) as error:
            why = why or str(error)
        else:
            return out
    raise ValueError(why)


_METHODS: dict[str, tuple[str, Callable[[memoryview, int], bytes | bytearray | memoryview]]] = {
    "": ("", _plain),
    **dict.fromkeys(STORED, ("", _plain)),
    ZLIB: ("deflate", inflate),
    DEFLATE: ("deflate", _inflate_raw),
    "http://tools.ietf.org/html/rfc1951": ("deflate", _inflate_raw),
    LZ4: ("lz4", _unlz4),
    SNAPPY: ("snappy", _unsnap),
    SNAPPY_ALWAYS: ("snappy", _unsnap),
}


class ImageStream(ByteSource):
    """The bytes of a chunked stream. A chunk that has block hashes is given only when one of them matches.

    urn    its name; shape   size, chunks, compression
    """

    __slots__ = (
        "_bevies",
        "_cache",
        "_every",
        "_indexes",
        "_keep",
        "_lock",
        "_root",
        "_segment",
        "_unpack",
        "_via",
        "shape",
        "size",
        "urn",
    )

    def __init__(self, urn: str, shape: Shape, segment: Callable[..., ByteSource | None], root: str, *, every: bool = False) -> None:
        """``segment`` gives the member of the first of some names, or None; ``every`` checks all block hashes of a chunk. Raises
        Unsupported for an unknown compression."""
        if shape.method not in _METHODS:
            raise Unsupported("AFF4 stream", Span(root, 0, 0), f"{urn[:120]}: compressed by {shape.method[:120]}")
        self.urn, self.shape, self.size = urn, shape, shape.size
        self._via, self._unpack = _METHODS[shape.method]
        self._segment, self._root, self._every = segment, root, every
        self._keep = max(2, CACHE // shape.chunk)
        self._indexes = max(2, INDEXES // (32 * min(shape.count, self.chunks + 1)))
        self._cache: OrderedDict[int, bytes | bytearray | memoryview] = OrderedDict()
        self._bevies: OrderedDict[int, _Bevy] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def chunks(self) -> int:
        """How many there are."""
        return -(-self.size // self.shape.chunk)

    def thorough(self) -> ImageStream:
        """The same stream, every block hash of every chunk checked."""
        return ImageStream(self.urn, self.shape, self._segment, self._root, every=True)

    # where chunks lie

    def bevy(self, number: int) -> tuple[ByteSource, ByteSource]:
        """The bevy of that number as stored, and its index. Truncated when one of them is not there."""
        name = f"{self.urn}/{number:08d}"
        data, index = self._segment(name), self._segment(name + ".index", name + "/index")
        if data is None or index is None:
            raise Truncated("AFF4 bevy", Span(self._root, 0, 0), f"{name[:120]}: no {'bevy' if data is None else 'index'}")
        return data, index

    def block_hashes(self, number: int, algorithm: str) -> ByteSource | None:
        """The hashes of the chunks of a bevy, one behind the other; None when none are stored."""
        name = f"{self.urn}/{number:08d}"
        return self._segment(f"{name}.blockHash.{algorithm}", f"{name}/blockHash.{algorithm}", f"{name}.{algorithm}")

    def _bevy(self, number: int) -> _Bevy:
        with self._lock:
            if (held := self._bevies.get(number)) is not None:
                self._bevies.move_to_end(number)
                return held
        made = self._load(number)
        with self._lock:
            self._bevies[number] = made
            while len(self._bevies) > self._indexes:
                self._bevies.popitem(last=False)
        return made

    def _load(self, number: int) -> _Bevy:
        data, index = self.bevy(number)
        want = min(self.shape.count, self.chunks - number * self.shape.count)
        old = self._segment(f"{self.urn}/{number:08d}.index") is None
        raw = index.read_at(0, min(index.size, want * (4 if old else INDEX_ENTRY.size) + (4 if old else 0)))
        if old:
            starts, sizes = _old_index(raw, data.size, want)
        else:
            pairs = list(INDEX_ENTRY.packed.iter_unpack(raw[: len(raw) - len(raw) % INDEX_ENTRY.size]))
            starts, sizes = array("Q", [pair[0] for pair in pairs]), array("Q", [pair[1] for pair in pairs])
        hashes: list[tuple[str, bytes]] = []
        for algorithm in CHEAPEST:
            if (stored := self.block_hashes(number, algorithm)) is not None:
                hashes.append((algorithm, stored.read_at(0, want * BLOCK_HASHES[algorithm])))
                if not self._every:
                    break
        return _Bevy(data, starts, sizes, tuple(hashes))

    def _find(self, chunk: int) -> tuple[_Bevy, int]:
        number, i = divmod(chunk, self.shape.count)
        bevy = self._bevy(number)
        if i >= len(bevy.starts):
            raise Truncated("AFF4 bevy index", self._where(bevy), f"chunk {chunk} of {self.urn[:80]} is not in it")
        start, size = bevy.starts[i], bevy.sizes[i]
        if start + size > bevy.data.size:
            raise Truncated("AFF4 chunk", self._where(bevy), f"chunk {chunk}: {size} bytes at {start} of a bevy of {bevy.data.size}")
        if size > 2 * self.shape.chunk + 64:
            raise Corrupt("AFF4 chunk", self._where(bevy), f"chunk {chunk}: {size} bytes for a chunk of {self.shape.chunk}")
        return bevy, i

    def _where(self, bevy: _Bevy) -> Span:
        spans = bevy.data.trace(0, 1)
        return Span(spans[0].root, spans[0].start, bevy.data.size) if spans else Span(self._root, 0, 0)

    # their bytes

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done, size = memoryview(buffer)[:n], 0, self.shape.chunk
        while done < n:
            chunk, inside = divmod(offset + done, size)
            if inside == 0 and n - done >= 2 * size:
                done += self._bulk(chunk, (n - done) // size, view[done:])
                continue
            take = min(n - done, size - inside)
            view[done : done + take] = self._cached(chunk)[inside : inside + take]
            done += take
        return n

    def _cached(self, chunk: int) -> bytes | bytearray | memoryview:
        with self._lock:
            if (held := self._cache.get(chunk)) is not None:
                self._cache.move_to_end(chunk)
                return held
        bevy, i = self._find(chunk)
        data = self._decode(bevy, i, chunk, memoryview(self._fetch(bevy, bevy.starts[i], bevy.sizes[i])))
        with self._lock:
            self._cache[chunk] = data
            while len(self._cache) > self._keep:
                self._cache.popitem(last=False)
        return data

    def _bulk(self, first: int, most: int, view: memoryview) -> int:
        """Up to ``most`` whole chunks from ``first``, with one read of the bevy."""
        bevy, i = self._find(first)
        begin, end, count = bevy.starts[i], bevy.starts[i] + bevy.sizes[i], 1
        while count < most and i + count < len(bevy.starts):
            start, size = bevy.starts[i + count], bevy.sizes[i + count]
            if start != end or start + size - begin > READ_AHEAD or start + size > bevy.data.size:
                break
            end, count = start + size, count + 1
        raw, at = memoryview(self._fetch(bevy, begin, end - begin)), 0
        for k in range(count):
            start = bevy.starts[i + k] - begin
            data = self._decode(bevy, i + k, first + k, raw[start : start + bevy.sizes[i + k]])
            view[at : at + len(data)] = data
            at += len(data)
        return at

    def _fetch(self, bevy: _Bevy, start: int, length: int) -> bytes:
        raw = bevy.data.read_at(start, length)
        if len(raw) < length:
            raise Truncated("AFF4 chunk", self._where(bevy), f"{len(raw)} of {length} bytes at {start}")
        return raw

    def _decode(self, bevy: _Bevy, i: int, chunk: int, raw: memoryview) -> bytes | bytearray | memoryview:
        """The bytes of one chunk, without the padding of the last. Corrupt when they cannot be right."""
        size = self.shape.chunk
        want = min(size, self.size - chunk * size)
        data: bytes | bytearray | memoryview = raw
        if self._packed(len(raw)):
            try:
                data = self._unpack(raw, size)
            except ValueError as error:
                raise self._damage(bevy, i, chunk, str(error)) from error
        if len(data) < want:
            raise self._damage(bevy, i, chunk, f"{len(data)} of {want} bytes")
        for algorithm, hashes in bevy.hashes:
            length = BLOCK_HASHES[algorithm]
            stored = hashes[i * length : i * length + length]
            # Of a last chunk some have hashed the padding, some not.
            if not any(hashlib.new(algorithm, data[:n], usedforsecurity=False).digest() == stored for n in {len(data), want}):
                raise self._damage(bevy, i, chunk, f"its block hash ({algorithm}) does not match")
        return data if len(data) == want else data[:want]

    def _packed(self, stored: int) -> bool:
        return bool(self._via) and (stored != self.shape.chunk or self.shape.method == SNAPPY_ALWAYS)

    def _damage(self, bevy: _Bevy, i: int, chunk: int, why: str) -> EvidenceError:
        spans = bevy.data.trace(bevy.starts[i], bevy.sizes[i])
        return Corrupt("AFF4 chunk", spans[0] if spans else None, f"chunk {chunk} of {self.urn[:80]}: {why}")

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        """The stored chunks, whole where they are compressed; what is in no index is a range of no file."""
        n = clip(offset, n, self.size)
        out: list[Span] = []
        done = 0
        while done < n:
            chunk, inside = divmod(offset + done, self.shape.chunk)
            take = min(n - done, self.shape.chunk - inside)
            try:
                bevy, i = self._find(chunk)
            except EvidenceError:
                out.append(Span("", 0, take, ("missing",), False))
            else:
                start, size = bevy.starts[i], bevy.sizes[i]
                if self._packed(size):
                    out += [span.through(self._via) for span in bevy.data.trace(start, size)]
                else:
                    out += bevy.data.trace(start + inside, take)
            done += take
        return merge(out)


def _old_index(raw: bytes, bevy: int, want: int) -> tuple[array[int], array[int]]:
    """Offsets of 32 bits: libaff4 wrote where each chunk begins, Evimetry where each ends (its first entry is not 0)."""
    found = numbers(raw[: len(raw) - len(raw) % 4], "I")
    edges = list(found) if found and found[0] == 0 else [0, *found]
    if len(edges) <= want:
        edges.append(bevy)
    edges = edges[: want + 1]
    starts = array("Q", edges[:-1])
    sizes = array("Q", (max(0, b - a) for a, b in pairwise(edges)))
    return starts, sizes
