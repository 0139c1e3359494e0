"""The chunks that are really in a stream, whatever the file header says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib import kernels
from forensiclib.core.errors import Corrupt, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, fill_bad
from forensiclib.core.span import Span
from forensiclib.formats.evtx import CHUNK_HEADER, CHUNK_MAGIC, CHUNK_SIZE

__all__ = ["Chunk", "Run", "chunks", "runs", "span_of"]

_WINDOW = 32
"""Chunks read at once: the largest output that hostile chunks can be made to give stays below 256 MiB."""
_NO_CHECKSUMS = 4
_BLANK = bytes(CHUNK_SIZE)
SKIP, WHOLE, HEADLESS = range(3)
"""Kinds, as kernels.evtx_chunks takes them."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One place of a chunk.

    at, length    bytes in the source; length is 65,536 but where the stream is cut
    kind          1 a chunk; 2 bytes whose chunk header is gone; 0 blank
    first_id, last_id  record ids that the header states; 0 without header
    free_space    offset in the chunk behind the last live record, as stated
    sound         both checksums are right (or switched off)
    """

    at: int
    length: int
    kind: int
    first_id: int = 0
    last_id: int = 0
    free_space: int = 0
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Run:
    """Chunks that follow each other at every 65,536 bytes, and their bytes."""

    at: int
    data: memoryview
    chunks: tuple[Chunk, ...]

    @property
    def kinds(self) -> bytes:
        """One byte a chunk."""
        return bytes(chunk.kind for chunk in self.chunks)


def span_of(source: ByteSource, at: int, length: int) -> Span | None:
    """The first span behind a range, for findings."""
    spans = source.trace(at, length)
    return spans[0] if spans else None


def _plausible(data: memoryview, at: int) -> bool:
    """Whether a chunk header stands at ``at``: its signature and its own size."""
    return data[at : at + 8] == CHUNK_MAGIC and int.from_bytes(data[at + 40 : at + 44], "little") == 128


def _another(data: memoryview, start: int, end: int) -> int:
    """Offset of a chunk header that begins in [start, end), or -1."""
    raw = bytes(data[start : end + 43])
    at = -1
    while (at := raw.find(CHUNK_MAGIC, at + 1)) >= 0 and start + at < end:
        if _plausible(data, start + at):
            return start + at
    return -1


def _checked(source: ByteSource, budget: Budget, at: int, piece: memoryview) -> Chunk:
    """A chunk with its signature; wrong checksums and offsets become findings."""
    span = span_of(source, at, len(piece))
    if len(piece) < CHUNK_HEADER.size:
        budget.report(Truncated("event log chunk header", span, f"{len(piece)} of {CHUNK_HEADER.size} bytes"))
        return Chunk(at, len(piece), HEADLESS, sound=False)
    header = CHUNK_HEADER.dict(piece)
    free, sound = header["free_space"], True
    if not CHUNK_HEADER.size <= free <= CHUNK_SIZE:
        budget.report(Corrupt("event log chunk header", span, f"free space at {free:#x}; read to the end"))
        sound, free = False, CHUNK_SIZE
    if len(piece) < CHUNK_SIZE:
        budget.report(Truncated("event log chunk", span, f"{len(piece)} of {CHUNK_SIZE} bytes"))
    if header["flags"] & _NO_CHECKSUMS:
        budget.report(Finding.note("event log chunk", "it says that it has no checksums", span=span))
    else:
        if kernels.crc32(piece[128:512], kernels.crc32(piece[:120], 0)) != header["checksum"]:
            budget.report(Corrupt("event log chunk header", span, "its checksum does not match"))
            sound = False
        if free <= len(piece) and kernels.crc32(piece[512:free], 0) != header["data_checksum"]:
            budget.report(Corrupt("event log chunk", span, "the checksum of its records does not match"))
            sound = False
    return Chunk(at, len(piece), WHOLE, header["first_id"], header["last_id"], header["free_space"], sound)


def _one(source: ByteSource, budget: Budget, at: int, window: memoryview, start: int) -> Chunk:
    """What stands at ``start`` of the window; it ends early where another chunk's header begins."""
    end = min(start + CHUNK_SIZE, len(window))
    piece = window[start:end]
    if piece[:8] == CHUNK_MAGIC:
        chunk = _checked(source, budget, at + start, piece)
        if chunk.sound or (cut := _another(window, start + CHUNK_HEADER.size, end)) < 0:
            return chunk
        budget.report(Corrupt("event log chunk", span_of(source, at + cut, 8), f"another begins {cut - start} bytes into it"))
        return Chunk(chunk.at, cut - start, chunk.kind, chunk.first_id, chunk.last_id, chunk.free_space, False)
    if piece.tobytes() == _BLANK[: len(piece)]:
        return Chunk(at + start, len(piece), SKIP)
    cut = _another(window, start + 1, end)
    length = (cut if cut >= 0 else end) - start
    found = f"{bytes(piece[:8])!r} instead of ElfChnk; its records are carved"
    budget.report(Corrupt("event log chunk header", span_of(source, at + start, length), found))
    return Chunk(at + start, length, HEADLESS, sound=False)


def runs(source: ByteSource, budget: Budget, start: int = 0) -> Iterator[Run]:
    """Everything from ``start`` to the end of the source as runs of chunks, blank ones included.

    Unreadable ranges are reported and read as zero. Offsets are 64-bit throughout: a log of more
    than 4 GiB (65,535 chunks, where the header's count ends) is read to its end.
    """
    readable = fill_bad(source, budget.report)
    while start < source.size:
        budget.check()
        buffer = bytearray(min(source.size - start, _WINDOW * CHUNK_SIZE + 512))
        data = memoryview(buffer)[: readable.read_into(start, buffer)]
        found: list[Chunk] = []
        at = 0
        while at < len(data) and len(found) < _WINDOW:
            chunk = _one(source, budget, start, data, at)
            found.append(chunk)
            at += chunk.length
            if chunk.length < CHUNK_SIZE:
                break
        yield Run(start, data[:at], tuple(found))
        start += at


def chunks(source: ByteSource, budget: Budget, start: int = 0) -> Iterator[Chunk]:
    """Every chunk from ``start`` on, in the order of the stream; also for one 65,536-byte piece that
    was carved from unallocated space."""
    for run in runs(source, budget, start):
        yield from run.chunks
