"""The chunks of a UDIF image: where they lie, and what they decode to."""

from __future__ import annotations

import bz2
import lzma
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from forensiclib.core.entry import Check
from forensiclib.core.errors import Corrupt, LimitExceeded, Truncated, Unreadable, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ChunkedSource, MemorySource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.formats import udif as f
from forensiclib.images._blocks import BlockSource, Place, root_of
from forensiclib.kernels import adc, crc32, inflate, lzfse

__all__ = ["Blocks", "disk", "stored_sum"]

SECTOR = 512
LARGEST = 64 << 20
"""Bytes that one compressed chunk may hold, packed or not: hdiutil writes 1 MiB at most, QEMU takes 64 MiB."""
CACHE = 16 << 20
"""Bytes of decoded chunks kept for small reads."""
WINDOW = 256 << 20
"""Memory that the decoder of one LZMA chunk may want: what xz asks for at its highest level, four times."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """One table of chunks (``blkx`` resource) and where its bytes came from."""

    name: str
    id: str
    raw: bytes
    span: Span


class _Stream(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


def _streamed(make: Callable[[], _Stream], data: bytes, size: int) -> bytes:
    """Streams one behind the other, exactly ``size`` bytes, read to their end: it holds their checksum. ValueError on damage."""
    out, engine = bytearray(), make()
    try:
        out += engine.decompress(data, size)
        while engine.eof and len(out) < size and engine.unused_data:
            data, engine = engine.unused_data, make()
            out += engine.decompress(data, size - len(out))
        if not engine.eof and engine.decompress(b"", 1):
            raise ValueError("more than the chunk has room for")
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise ValueError(str(error)) from error
    if not engine.eof:
        raise ValueError("the stream breaks off")
    return bytes(out)


def _kernel(decode: Callable[[bytes, int], tuple[bytes, int]]) -> Callable[[bytes, int], bytes]:
    def read(data: bytes, size: int) -> bytes:
        out, status = decode(data, size)
        if status >= 0:
            raise ValueError(f"{len(out)} of {size} bytes, then byte {status} cannot be followed")
        return out

    return read


CODECS: dict[int, tuple[str, Callable[[bytes, int], bytes | bytearray]]] = {
    f.ADC: ("adc", _kernel(adc)),
    f.ZLIB: ("deflate", inflate),
    f.BZIP2: ("bzip2", lambda data, size: _streamed(bz2.BZ2Decompressor, data, size)),
    f.LZFSE: ("lzfse", _kernel(lzfse)),
    f.LZMA: ("lzma", lambda data, size: _streamed(lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW), data, size)),
}
"""Kind of chunk -> (name in ``via``, (packed, size) -> the bytes; ValueError on damage)."""


class _Map:
    """The chunks in the order of the disk, as columns: ``start`` and ``length`` on the disk, ``at`` and ``stored`` in the data fork."""

    def __init__(self) -> None:
        self.start, self.length, self.at, self.stored = array("Q"), array("Q"), array("Q"), array("Q")
        self.kind = array("I")

    def __len__(self) -> int:
        return len(self.start)

    def add(self, kind: int, start: int, length: int, at: int, stored: int) -> None:
        self.kind.append(kind)
        self.start.append(start)
        self.length.append(length)
        self.at.append(at)
        self.stored.append(stored)

    def order(self) -> None:
        """Sort by place; of chunks that begin at the same place the one that was added last counts."""
        start = self.start
        if any(a > b for a, b in pairwise(start)):
            order = sorted(range(len(start)), key=start.__getitem__)
            for name in ("start", "length", "at", "stored", "kind"):
                column = getattr(self, name)
                setattr(self, name, array(column.typecode, [column[i] for i in order]))

    def find(self, offset: int) -> int:
        """The chunk that holds the byte, -1 for none."""
        i = bisect_right(self.start, offset) - 1
        return i if i >= 0 and offset - self.start[i] < self.length[i] else -1

    def end(self, i: int) -> int:
        """Where what chunk i gives ends: its end, or the next one's beginning."""
        end = self.start[i] + self.length[i]
        return min(end, self.start[i + 1]) if i + 1 < len(self.start) else end


class _Packed(ChunkedSource):
    """The compressed chunks, at the disk's offsets. Only where they are may be read."""

    __slots__ = ("_data", "_map")

    def __init__(self, data: ByteSource, chunks: _Map, size: int) -> None:
        largest = max((n for n, kind in zip(chunks.length, chunks.kind) if kind in CODECS), default=1)
        super().__init__(size, 1, self._read, self._from, max(4, CACHE // min(largest, LARGEST)))
        self._data, self._map = data, chunks

    def _span(self, i: int) -> Span:
        at, n = self._map.at[i], self._map.stored[i]
        spans = self._data.trace(at, n)
        return spans[0] if spans else Span(root_of(self._data), at, 0)

    def _read(self, i: int) -> bytes:
        chunks = self._map
        at, n, size = chunks.at[i], chunks.stored[i], chunks.length[i]
        via, decode = CODECS[chunks.kind[i]]
        if max(size, n) > LARGEST:
            raise LimitExceeded("UDIF chunk", self._span(i), f"{n} bytes for {size}; {LARGEST} allowed")
        raw = self._data.read_at(at, n)
        if len(raw) < n:
            raise Truncated("UDIF chunk", self._span(i), f"{len(raw)} of {n} bytes are there")
        try:
            data = bytes(decode(raw, size))
        except ValueError as error:
            raise Corrupt("UDIF chunk", self._span(i), f"{via}, offset {chunks.start[i]} of the disk: {error}") from error
        if len(data) < size:
            raise Corrupt("UDIF chunk", self._span(i), f"{via}, offset {chunks.start[i]} of the disk: {len(data)} of {size} bytes")
        return data

    def _from(self, i: int) -> tuple[Span, ...]:
        via = CODECS[self._map.kind[i]][0]
        return tuple(s.through(via) for s in self._data.trace(self._map.at[i], self._map.stored[i]))

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        while done < n:
            i = self._map.find(offset + done)
            take = min(n - done, self._map.end(i) - offset - done)
            inside = offset + done - self._map.start[i]
            view[done : done + take] = self.chunk(i)[inside : inside + take]
            done += take
        return done

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        end = offset + clip(offset, n, self.size)
        out: list[Span] = []
        while offset < end:
            i = self._map.find(offset)
            out += self._from(i)
            offset = self._map.end(i)
        return merge(out)


def stored_sum(kind: int, bits: int, raw: bytes, what: str, span: Span, budget: Budget) -> str:
    """The stored CRC-32 as hex; "" for none, and for a kind that is not known, which is a finding."""
    if kind == f.SUM_NONE:
        return ""
    if (kind, bits) != (f.SUM_CRC32, 32):
        budget.report(Finding.note(what, f"a checksum of type {kind} with {bits} bits is not verified", span.root, span))
        return ""
    return raw[:4].hex()


def _read_table(blocks: Blocks, into: _Map, size: int, budget: Budget) -> tuple[dict[str, Any], list[tuple[int, int]], bool]:
    """(its header, the (start, length) that its checksum covers, whether it has one chunk that lies outside of the disk)"""
    raw, span = blocks.raw, blocks.span
    if len(raw) < f.MISH.size or raw[:4] != f.SIGNATURE_TABLE:
        raise Corrupt("UDIF block table", span, f"{blocks.name}: {len(raw)} bytes, beginning {raw[:4]!r}")
    head = f.MISH.dict(raw)
    count = min(head["count"], (len(raw) - f.MISH.size) // f.CHUNK.size)
    if count < head["count"]:
        budget.report(Truncated("UDIF block table", span, f"{blocks.name}: {count} of {head['count']} chunks are there"))
    summed: list[tuple[int, int]] = []
    ended = outside = False
    for kind, _comment, sector, sectors, offset, stored in f.CHUNK.packed.iter_unpack(
        raw[f.MISH.size : f.MISH.size + count * f.CHUNK.size]
    ):
        budget.item()
        if kind == f.TERMINATOR:
            ended = True
            break
        if kind == f.COMMENT or not sectors:
            continue
        start, length, at = (head["sector"] + sector) * SECTOR, sectors * SECTOR, head["data_offset"] + offset
        if start + length > size or at + stored >= 1 << 63:
            outside = True
            continue
        into.add(kind, start, length, at, stored)
        if kind != f.IGNORE:
            if summed and sum(summed[-1]) == start:
                summed[-1] = (summed[-1][0], summed[-1][1] + length)
            else:
                summed.append((start, length))
    if not ended and count == head["count"]:
        budget.report(Corrupt("UDIF block table", span, f"{blocks.name}: no terminator behind {count} chunks"))
    return head, summed, outside


def disk(
    data: ByteSource, tables: Sequence[Blocks], size: int, master: tuple[str, Span], budget: Budget
) -> tuple[ByteSource, dict[str, str], list[Check]]:
    """(the disk of ``size`` bytes whose chunks lie in the data fork, facts, its checksums)

    master   (the stored checksum of the tables' checksums or "", where it stands)
    Chunks outside of the disk, over each other, or of a kind that is not known are findings; so is what no chunk holds. Reading that
    raises Unreadable.
    """
    chunks, checks, sums, heads = _Map(), list[Check](), bytearray(), list[tuple[Blocks, str, list[tuple[int, int]]]]()
    for blocks in tables:
        head, summed, outside = _read_table(blocks, chunks, size, budget)
        sums += head["sum"][: head["sum_bits"] // 8 if head["sum_bits"] <= 1024 else 0]
        if outside:
            budget.report(
                Corrupt("UDIF block table", blocks.span, f"{blocks.name}: chunks outside of the disk of {size} bytes are left out")
            )
        stored = stored_sum(head["sum_type"], head["sum_bits"], head["sum"], f"UDIF block table {blocks.name}", blocks.span, budget)
        heads.append((blocks, stored, summed))
    chunks.order()
    facts = _judged(chunks, size, tables, budget)
    packed = _Packed(data, chunks, size)
    media = BlockSource(size, _locator(data, chunks, packed, size), "UDIF chunk")
    for blocks, stored, summed in heads:
        # Without a byte that it covers the sum is the empty one, 0, and says nothing.
        if stored and summed:
            what = f"partition {blocks.id} ({blocks.name})"
            checks.append(Check(what, "crc32", stored, blocks.span, tuple(summed)))
    if master[0]:
        found = f"{crc32(bytes(sums), 0):08x}"
        if master[0] != found:
            budget.report(Corrupt("UDIF master checksum", master[1], f"{master[0]}, the tables' checksums give {found}"))
        checks.append(Check("all tables", "crc32", master[0], master[1], data=MemorySource(bytes(sums), (master[1],))))
    return media, facts, checks


def _judged(chunks: _Map, size: int, tables: Sequence[Blocks], budget: Budget) -> dict[str, str]:
    """Facts about the chunks; what does not fit together is a finding."""
    span = tables[0].span if tables else Span("", 0, 0)
    reached = missing = over = 0
    for start, length in zip(chunks.start, chunks.length):
        missing += max(0, start - reached)
        over += start < reached
        reached = max(reached, start + length)
    missing += size - reached
    if over:
        budget.report(
            Corrupt("UDIF block table", span, f"{over} chunks begin inside of others; each byte is read from the one that begins last")
        )
    if missing:
        budget.report(Corrupt("UDIF block table", span, f"{missing} bytes of the disk lie in no chunk: they cannot be read"))
    bytes_of: Counter[int] = Counter()
    for kind, length in zip(chunks.kind, chunks.length):
        bytes_of[kind] += length
    if unknown := sorted(set(bytes_of) - set(f.KINDS)):
        text = ", ".join(f"{kind:#x} ({bytes_of[kind]} bytes)" for kind in unknown)
        budget.report(Unsupported("UDIF chunk", span, f"of types that are not known: {text}; they cannot be read"))
    if bytes_of[f.IGNORE]:
        text = f"{bytes_of[f.IGNORE]} bytes that the file system did not use were not stored: they read as zero"
        budget.report(Finding.note("UDIF image", text, span.root, span))
    return {
        "partitions": ", ".join(b.name for b in tables),
        "chunks": ", ".join(f"{f.KINDS.get(kind, hex(kind))} {count}" for kind, count in sorted(Counter(chunks.kind).items())),
        "not_stored": str(bytes_of[f.IGNORE]),
    }


def _locator(data: ByteSource, chunks: _Map, packed: _Packed, size: int) -> Callable[[int], Place]:
    root = root_of(data)

    def locate(offset: int) -> Place:
        i = chunks.find(offset)
        if i < 0:
            raise Unreadable("UDIF image", Span(root, 0, 0), f"offset {offset} of the disk lies in no chunk")
        kind, run = chunks.kind[i], chunks.end(i) - offset
        if kind in CODECS:
            return packed, offset, run
        if kind in (f.ZERO, f.IGNORE):
            return None, 0, run
        if kind != f.RAW:
            raise Unsupported("UDIF chunk", Span(root, chunks.at[i], 0), f"type {kind:#x}, offset {offset} of the disk")
        inside = offset - chunks.start[i]
        if inside >= chunks.stored[i]:
            span = Span(root, chunks.at[i], chunks.stored[i])
            raise Truncated("UDIF chunk", span, f"{chunks.stored[i]} stored bytes for {chunks.length[i]} of the disk")
        return data, chunks.at[i] + inside, min(run, chunks.stored[i] - inside)

    return locate
