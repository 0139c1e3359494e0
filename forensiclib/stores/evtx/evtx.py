"""Windows event logs: the file, and bare chunks without one."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from forensiclib import kernels
from forensiclib.core.batch import Batch, Column
from forensiclib.core.declare import Signature, StoreFormat
from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource
from forensiclib.formats.evtx import CHUNK_MAGIC, CHUNK_SIZE, FILE_HEADER, FILE_MAGIC, RECORD_HEADER
from forensiclib.stores.evtx.chunks import Chunk, Run, chunks, runs, span_of
from forensiclib.stores.evtx.record import EventRecord, Table, damage_words

__all__ = ["FORMAT", "STATES", "Header", "Log", "chunks", "open_log"]

STATES: tuple[State, ...] = ("allocated", "slack", "carved")
"""What the kernel's state codes mean."""
_BLOCK = 4096
_DIRTY, _NO_CHECKSUMS = 1, 4
Parts = tuple[str, str, bytes, bytes | None, bytes | None]


@dataclass(frozen=True, slots=True)
class Header:
    """The file header as stated. None of it is trusted: chunk_count wraps at 65,536 and is stale in
    a log that was not closed (``dirty``)."""

    chunk_count: int
    next_record: int
    major: int
    minor: int
    dirty: bool


class Log:
    """An event log: all chunks from ``start`` to the end of the stream. Holds no cursor."""

    __slots__ = ("header", "source", "start")

    def __init__(self, source: ByteSource, header: Header | None, start: int) -> None:
        self.source, self.header, self.start = source, header, start

    def chunks(self, budget: Budget) -> Iterator[Chunk]:
        """Every chunk, blank ones included; damage goes to the budget."""
        return chunks(self.source, budget, self.start)

    def batches(self, budget: Budget) -> Iterator[Batch]:
        """All records as columns, one Batch for at most 2 MiB of log. Columns: see table()."""
        for table in self._tables(budget):
            yield table.batch

    def table(self, budget: Budget | None = None) -> Batch:
        """All records as one Batch, in the order of the stream.

        at, length: bytes in the source. state. damage: bits as in record.DAMAGE; damage_at: the offset
        of the first. record_id, written_raw (FILETIME), written: the record's header. The System part
        typed, null where absent; keywords as hexadecimal text. data: the rest as compact JSON (names in
        document order, repeated names and nameless Data as lists, "@" before attributes).
        LimitExceeded when it would take more than Limits.allocation: use batches().
        """
        budget = budget or Budget()
        joined: list[list[bytes]] = []
        shapes: tuple[Parts, ...] = ()
        count = size = 0
        bases = [0] * 10
        for run in runs(self.source, budget, self.start):
            made, shapes = self._decode(run, budget, bases)
            count += made
            flat = [buffer for part in shapes for buffer in part[2:]]
            size = budget.allocate("event log table", size + sum(len(b) for b in flat if b))
            joined.append([b or b"" for b in flat])
            bases = [base + len(part[2]) for base, part in zip(bases, (p for p in shapes if p[3] is not None))]
        if not joined:
            return Batch(0, _columns(kernels.evtx_chunks(b"", b"", 0, bases)[1]))
        whole: list[Parts] = []
        for i, (name, kind, _, offsets, valid) in enumerate(shapes):
            data, steps, bits = (b"".join(window[3 * i + j] for window in joined) for j in (0, 2, 2))
            first = [window[3 * i + 1] for window in joined]
            steps = b"".join([first[0], *(w[8:] for w in first[1:])])
            whole.append((name, kind, data, None if offsets is None else steps, None if valid is None else bits))
        return Batch(count, _columns(whole))

    def records(self, budget: Budget) -> Iterator[EventRecord]:
        """Every record, in the order of the stream; damage goes to the budget and ends nothing."""
        for table in self._tables(budget):
            at, length, state = table.batch.list("at"), table.batch.list("length"), table.batch.list("state")
            channel, event_id = table.batch.list("channel"), table.batch.list("event_id")
            for i in range(len(at)):
                yield EventRecord(table, i, at[i], length[i], channel[i] or "", event_id[i], state[i])

    def xml(self, record: EventRecord) -> str:
        """A record of this log as XML text, as the Event Viewer writes it; cut short where damage is."""
        at = record.chunk_at
        chunk = self.source.read_at(at, min(CHUNK_SIZE, record.table.end - at))
        start = record.at - at + RECORD_HEADER.size
        return kernels.evtx_xml(chunk, start, max(start, min(len(chunk), record.at - at + record.length - 4)))

    def _tables(self, budget: Budget) -> Iterator[Table]:
        for run in runs(self.source, budget, self.start):
            count, parts = self._decode(run, budget, [0] * 10)
            if count:
                yield Table(Batch(count, _columns(parts)), run.at, run.at + len(run.data))

    def _decode(self, run: Run, budget: Budget, bases: list[int]) -> tuple[int, tuple[Parts, ...]]:
        count, parts, gaps = kernels.evtx_chunks(run.data, run.kinds, run.at, bases)
        budget.item(count)
        for at, length in gaps:
            found = f"{length} bytes among its live records are none"
            budget.report(Corrupt("event log chunk", span_of(self.source, at, length), found))
        column = {part[0]: part[2] for part in parts}
        damage = array("H", column["damage"])
        if any(damage):
            self._report(budget, damage, column)
        return count, parts

    def _report(self, budget: Budget, damage: array[int], column: dict[str, bytes]) -> None:
        """Each damaged live record is a finding; those in slack are one, for damage is their nature."""
        at, where, length = array("Q", column["at"]), array("Q", column["damage_at"]), array("I", column["length"])
        identity, old = array("Q", column["record_id"]), 0
        for i, bits in enumerate(damage):
            if bits and STATES[column["state"][i]] == "slack":
                old += 1
            elif bits:
                found = f"record {identity[i]}: {damage_words(bits)}; first at offset {where[i]:#x}"
                budget.report(Corrupt("event record", span_of(self.source, at[i], length[i]), found))
        if old:
            span = span_of(self.source, at[0], at[-1] + length[-1] - at[0])
            budget.report(Finding.note("event records in slack", f"{old} are damaged: see their damage", span=span))


def _columns(parts: Any) -> tuple[Column, ...]:
    """The kernel's columns as a Batch's: validity as bits, state as words."""
    out = []
    for name, kind, data, offsets, valid in parts:
        bits = None if valid is None or 0 not in valid else kernels.pack_bits(valid)
        if name == "state":
            out.append(Column(name, "enum", data, categories=STATES))
        else:
            out.append(Column(name, kind, data, offsets, bits))
    return tuple(out)


def _start(source: ByteSource, budget: Budget) -> int:
    """Where the first chunk begins: behind the header, or where its signature is."""
    head = source.read_at(0, _BLOCK + CHUNK_SIZE)
    if head[_BLOCK : _BLOCK + 8] == CHUNK_MAGIC or (at := head.find(CHUNK_MAGIC, FILE_HEADER.size)) < 0:
        return min(_BLOCK, source.size)
    budget.report(Corrupt("event log", span_of(source, at, 8), f"its first chunk begins at {at:#x}"))
    return at


def _read_header(source: ByteSource, budget: Budget) -> Header:
    head = source.read_at(0, FILE_HEADER.size)
    span = span_of(source, 0, len(head))
    if len(head) < FILE_HEADER.size:
        raise NotThisFormat("event log", span, f"{len(head)} bytes")
    stated = FILE_HEADER.dict(head)
    if zlib.crc32(head[:120]) != stated["checksum"] and not stated["flags"] & _NO_CHECKSUMS:
        budget.report(Corrupt("event log header", span, "its checksum does not match"))
    if stated["flags"] & _DIRTY:
        budget.report(Finding.note("event log header", "dirty: the log was not closed; its counts are stale", span=span))
    if stated["major"] != 3:
        budget.report(Finding.note("event log header", f"version {stated['major']}.{stated['minor']}", span=span))
    there = max(0, source.size - _BLOCK) // CHUNK_SIZE
    if stated["chunk_count"] > there:
        budget.report(Corrupt("event log header", span, f"{stated['chunk_count']} chunks stated, room for {there}"))
    return Header(stated["chunk_count"], stated["next_record"], stated["major"], stated["minor"], bool(stated["flags"] & _DIRTY))


def open_log(source: ByteSource, companions: dict[str, ByteSource], budget: Budget) -> Log:
    """A log file, or a stream of bare chunks. Raises NotThisFormat when it is neither."""
    head = source.read_at(0, _BLOCK + 8)
    if head[:8] == CHUNK_MAGIC:
        return Log(source, None, 0)
    if head[:8] == FILE_MAGIC:
        return Log(source, _read_header(source, budget), _start(source, budget))
    if head[_BLOCK:] == CHUNK_MAGIC:
        budget.report(Corrupt("event log header", span_of(source, 0, 8), f"{head[:8]!r} instead of ElfFile"))
        return Log(source, None, _BLOCK)
    raise NotThisFormat("event log", span_of(source, 0, 8), repr(head[:8]))


FORMAT = StoreFormat(
    name="evtx",
    title="Windows event log (EVTX), Windows Vista and later",
    refs=(
        "[MS-EVEN6] 2.2.12 to 2.2.18 (BinXML)",
        "libyal libevtx: Windows XML Event Log (EVTX) format, sections 2 to 4",
        "A. Schuster, Introducing the Microsoft Vista event log file format, DFRWS 2007",
    ),
    gaps=(
        "Messages are not rendered: their texts are in the providers' resource files.",
        "ANSI strings are read as Windows-1252, whatever code page the provider used.",
        "SYSTEMTIME values carry no zone and are written without one.",
        "Namespace declarations are in the XML only. A value whose template was overwritten has a number, not a name.",
    ),
    signatures=(Signature(FILE_MAGIC), Signature(CHUNK_MAGIC)),
    open=open_log,
)
