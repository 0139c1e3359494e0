"""The log of a VHDX: what was written to it and not yet to its place, laid over the file without writing."""

from __future__ import annotations

from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource, MemorySource, OverlaySource
from forensiclib.core.span import Span
from forensiclib.formats import vhdx as f
from forensiclib.images._blocks import root_of
from forensiclib.kernels import crc32c

__all__ = ["replay", "summed"]

Patch = tuple[int, ByteSource]


def summed(raw: bytes, at: int = 4) -> bool:
    """Whether the CRC-32C at ``at`` is that of the bytes with the field itself zero."""
    return crc32c(raw[:at] + bytes(4) + raw[at + 4 :]) == int.from_bytes(raw[at : at + 4], "little")


@dataclass(slots=True)
class _Entry:
    """One valid entry: where it lies in the log, and its header."""

    at: int
    raw: bytes
    length: int
    tail: int
    sequence: int
    flushed: int
    last: int
    count: int


def _entry(log: bytes, at: int, guid: bytes) -> _Entry | None:
    """The entry at ``at``, which may wrap around; None when none valid begins there (2.3.1.1)."""
    head = f.LOG_ENTRY.dict(log, at)
    length, tail, count = head["length"], head["tail"], head["descriptors"]
    if head["signature"] != b"loge" or head["guid"] != guid or not head["sequence"]:
        return None
    if not 0 < length <= len(log) or length % f.SECTOR or tail % f.SECTOR or tail >= len(log):
        return None
    raw = (log + log)[at : at + length] if at + length > len(log) else log[at : at + length]
    if f.LOG_ENTRY.size + 32 * count > length or not summed(raw):
        return None
    return _Entry(at, raw, length, tail, head["sequence"], head["flushed"], head["last"], count)


def _active(log: bytes, guid: bytes, budget: Budget) -> list[_Entry]:
    """The active sequence, oldest entry first (2.3.2): of all runs of entries that follow each other in the ring, whose last one names the
    first as its tail, the one with the highest sequence number. Empty when there is none."""
    entries: dict[int, _Entry] = {}
    for at in range(0, len(log), f.SECTOR):
        budget.check()
        if log[at : at + 4] == b"loge" and (found := _entry(log, at, guid)) is not None:
            entries[at] = found
    best: list[_Entry] = []
    follow: dict[int, list[_Entry]] = {}
    for head in sorted(entries.values(), key=lambda e: -e.sequence):
        if best and head.sequence <= best[-1].sequence:
            break
        budget.item()
        run = follow.setdefault(head.tail, [])
        if not run:
            at, seen = head.tail, set[int]()
            while (step := entries.get(at)) is not None and at not in seen and (not run or step.sequence == run[-1].sequence + 1):
                seen.add(at)
                run.append(step)
                at = (at + step.length) % len(log)
        for i, step in enumerate(run):
            if step is head:
                best = run[: i + 1]
                break
    return best


def _patches(entry: _Entry, origin: Span, file: ByteSource) -> list[Patch]:
    """What one entry writes (2.3.1.2, 2.3.1.3)."""
    sectors = -(-(f.LOG_ENTRY.size + 32 * entry.count) // f.SECTOR)
    out: list[Patch] = []
    data_at = sectors * f.SECTOR
    for i in range(entry.count):
        at = f.LOG_ENTRY.size + 32 * i
        kind = entry.raw[at : at + 4]
        if kind == b"zero":
            _s, _r, length, offset, sequence = f.LOG_ZERO.unpack(entry.raw, at)
            if offset % f.SECTOR or length % f.SECTOR or sequence != entry.sequence or length > 1 << 46 or offset > 1 << 46:
                raise Corrupt("VHDX log", origin, f"a zero descriptor for {offset:#x}+{length:#x}")
            out.append((offset, ExtentSource(file, [(None, length)], length)))
        elif kind == b"desc":
            _s, trailing, leading, offset, sequence = f.LOG_DATA.unpack(entry.raw, at)
            sector = entry.raw[data_at : data_at + f.SECTOR]
            if len(sector) < f.SECTOR or offset % f.SECTOR or sequence != entry.sequence or offset > 1 << 46:
                raise Corrupt("VHDX log", origin, f"a data descriptor for {offset:#x}")
            mark, high, data, low = f.LOG_SECTOR.unpack(sector)
            if mark != b"data" or (high << 32 | low) != entry.sequence:
                raise Corrupt("VHDX log", origin, "a data sector of another entry")
            out.append((offset, MemorySource(leading + data + trailing, [Span(origin.root, origin.start, f.SECTOR, ("vhdx-log",), False)])))
            data_at += f.SECTOR
        else:
            raise Corrupt("VHDX log", origin, f"a descriptor that begins with {kind!r}")
    return out


def _newest(patches: list[Patch], budget: Budget) -> list[Patch]:
    """Without those that a later one covers wholly at the same place; what is left keeps its order."""
    out: dict[tuple[int, int], Patch] = {}
    for offset, source in patches:
        budget.item()
        out.pop((offset, source.size), None)
        out[offset, source.size] = (offset, source)
    return list(out.values())


def replay(file: ByteSource, offset: int, length: int, guid: bytes, budget: Budget) -> tuple[ByteSource, int]:
    """(the file as it reads with its log applied, number of entries). Raises Corrupt for a log without a valid sequence of entries,
    or one that contradicts itself, Truncated when the file is shorter than when the log was written."""
    root = root_of(file)
    span = Span(root, offset, length)
    if offset % f.MIB or length % f.MIB or not length or offset < f.MIB:
        raise Corrupt("VHDX log", span, "neither place nor length is a multiple of 1 MiB")
    budget.allocate("VHDX log", 4 * length, span)
    log = file.read_at(offset, length)
    if len(log) < length:
        raise Truncated("VHDX log", span, f"{len(log)} of {length} bytes")
    entries = _active(log, guid, budget)
    if not entries:
        raise Corrupt("VHDX log", span, "the header says that it holds writes, and it has no valid entry")
    if file.size < entries[-1].flushed:
        found = f"the file has {file.size} bytes, {entries[-1].flushed} when the log was written"
        raise Truncated("VHDX log", Span(root, file.size, 0), found)
    patches: list[Patch] = []
    for entry in entries:
        patches += _patches(entry, Span(root, offset + entry.at, entry.length), file)
    # The end of the file may have been set behind what is written: the gap reads as zero.
    end = max([file.size, entries[-1].last if entries[-1].last < 1 << 46 else 0, *(at + source.size for at, source in patches)])
    base = ExtentSource(file, [(0, file.size), (None, end - file.size)], end) if end > file.size else file
    return OverlaySource(base, _newest(patches, budget)), len(entries)
