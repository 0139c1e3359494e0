"""Transaction logs, replayed into an overlay: the hive itself is never changed.

What Windows would apply is applied, after "Format of transaction log files" of the specification;
what it would not is a finding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, OverlaySource
from forensiclib.core.span import Span
from forensiclib.formats.regf import BINS, LOG_ENTRY, LOG_SEED, PAGE, PAGE_REFERENCE, SECTOR
from forensiclib.kernels import marvin32
from forensiclib.stores.regf.base import Base, read_base

__all__ = ["Replay", "replay"]

NEW_FORMAT = 6
_OLD_FORMAT = (1, 2)
_LOGS = (".log", ".log1", ".log2")
Patch = tuple[int, ByteSource]


@dataclass(frozen=True, slots=True)
class Replay:
    """What replaying came to.

    source    the hive with the dirty pages over it
    pages     dirty pages applied; sequences   of the log entries applied (new format), in order
    logs      suffixes of the logs that gave them; base   the hive's own or, where that was
              damaged, a log's; its bins_size is that of the last entry applied
    """

    source: ByteSource
    base: Base
    pages: int
    sequences: tuple[int, ...]
    logs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    sequence: int
    bins_size: int
    patches: tuple[Patch, ...]


@dataclass(frozen=True, slots=True)
class _Log:
    name: str
    source: ByteSource
    base: Base
    entries: tuple[_Entry, ...] = ()


def replay(hive: ByteSource, base: Base, companions: Mapping[str, ByteSource], budget: Budget) -> Replay | None:
    """The hive as Windows would load it, or None when no log applies. Problems go to the budget."""
    logs = [log for name in _LOGS if (log := _open(name, companions.get(name), budget)) is not None]
    new = [log for log in logs if log.base.file_type == NEW_FORMAT]
    if not base.dirty:
        for log in new:
            late = [e.sequence for e in log.entries if e.sequence > base.primary]
            if late:
                text = f"entries {late[0]} to {late[-1]}, while the hive is clean at {base.primary}: not applied"
                budget.report(Finding.note(f"transaction log {log.name}", text))
        return None
    if new:
        return _replay_new(hive, base, new, budget)
    return _replay_old(hive, base, [log for log in logs if log.base.file_type in _OLD_FORMAT], budget)


def _open(name: str, source: ByteSource | None, budget: Budget) -> _Log | None:
    """A log whose base block can be believed; None for none, an empty one, or a finding."""
    if source is None or source.size == 0:
        return None
    what = f"transaction log {name}"
    try:
        if not any(source.read_at(0, SECTOR)):
            return None  # made, never written
        base = read_base(source)
        if not base.intact:
            raise Corrupt(what, _span(source, 0, SECTOR), "the checksum of its base block is wrong: not applied")
        if base.file_type == NEW_FORMAT:
            return _Log(name, source, base, tuple(_entries(what, source, budget)))
        if base.file_type in _OLD_FORMAT:
            return _Log(name, source, base)
        raise Corrupt(what, _span(source, 0, SECTOR), f"file type {base.file_type}: not applied")
    except EvidenceError as error:
        budget.report(error, where=name)
        return None


def _span(source: ByteSource, at: int, n: int) -> Span | None:
    spans = source.trace(at, n)
    return spans[0] if spans else None


def _entries(what: str, source: ByteSource, budget: Budget) -> list[_Entry]:
    """The log entries up to the first that is not one; a damaged one is a finding."""
    out: list[_Entry] = []
    at = SECTOR
    while at + LOG_ENTRY.size <= source.size:
        budget.item()
        if source.read_at(at, 4) != b"HvLE":
            break
        size = LOG_ENTRY.dict(source.read_at(at, LOG_ENTRY.size))["size"]
        try:
            out.append(_entry(what, source, at, size, budget))
        except EvidenceError as error:
            budget.report(error)
            break
        at += size
    return out


def _entry(what: str, source: ByteSource, at: int, size: int, budget: Budget) -> _Entry:
    span = _span(source, at, LOG_ENTRY.size)

    def damaged(found: str) -> Corrupt:
        return Corrupt(f"{what}, entry at {at:#x}", span, f"{found}: recovery stops before it")

    if size < LOG_ENTRY.size or size % SECTOR or at + size > source.size:
        raise damaged(f"{size} bytes in a log of {source.size}")
    raw = source.read_at(at, budget.allocate(what, size, span))
    head = LOG_ENTRY.dict(raw)
    if head["hash1"] != marvin32(memoryview(raw)[LOG_ENTRY.size :], LOG_SEED):
        raise damaged("its data does not have the stored hash")
    if head["hash2"] != marvin32(memoryview(raw)[:32], LOG_SEED):
        raise damaged("its header does not have the stored hash")
    if head["bins_size"] % PAGE:
        raise damaged(f"hive bins of {head['bins_size']:#x} bytes")
    data = LOG_ENTRY.size + head["pages"] * PAGE_REFERENCE.size
    if data > size:
        raise damaged(f"{head['pages']} pages in {size} bytes")
    patches = []
    for i in range(head["pages"]):
        offset, length = PAGE_REFERENCE.unpack(raw, LOG_ENTRY.size + i * PAGE_REFERENCE.size)
        if data + length > size or offset + length > head["bins_size"]:
            raise damaged(f"page {offset:#x}+{length:#x} of hive bins of {head['bins_size']:#x} bytes")
        patches.append((BINS + offset, source.slice(at + data, length)))
        data += length
    return _Entry(head["sequence"], head["bins_size"], tuple(patches))


def _replay_new(hive: ByteSource, base: Base, logs: list[_Log], budget: Budget) -> Replay | None:
    if not base.intact:
        newest = max(logs, key=lambda log: log.entries[-1].sequence if log.entries else -1)
        logs = [newest]
    logs = sorted(logs, key=lambda log: log.entries[0].sequence if log.entries else -1)
    patches: list[Patch] = []
    sequences: list[int] = []
    used: list[str] = []
    bins_size = base.bins_size
    for log in logs:
        taken = _applicable(log, base, sequences[-1] if sequences else None, budget)
        if taken and not sequences and base.intact and taken[0].sequence > base.primary:
            text = f"the hive was written at {base.primary}, the log begins at {taken[0].sequence}: what lies between is in no log"
            budget.report(Finding.note(f"transaction log {log.name}", text))
        if taken:
            used.append(log.name)
            sequences += [e.sequence for e in taken]
            bins_size = taken[-1].bins_size
            patches += [patch for e in taken for patch in e.patches]
    if not patches:
        return None
    if not base.intact:
        patches.insert(0, (0, logs[0].source.slice(0, SECTOR)))
    pages = sum(1 for at, _ in patches if at)
    found = base if base.intact else logs[0].base
    found = dataclasses.replace(found, bins_size=bins_size)
    return Replay(_over(hive, patches, budget), found, pages, tuple(sequences), tuple(used))


def _applicable(log: _Log, base: Base, last: int | None, budget: Budget) -> list[_Entry]:
    """The run of entries that follows what is there: ``last`` applied, else the base block's number."""
    if not log.entries:
        return []
    first = log.entries[0].sequence
    why = ""
    if first != log.base.primary:
        why = f"it begins with entry {first}, its base block says {log.base.primary}"
    elif last is None and base.intact and first < base.secondary:
        why = f"its entries, from {first}, are older than the hive at {base.secondary}"
    elif last is not None and first != last + 1:
        why = f"it begins with entry {first}, after {last} was applied"
    if why:
        budget.report(Finding.note(f"transaction log {log.name}", f"{why}: not applied"))
        return []
    out: list[_Entry] = []
    for entry in log.entries:
        if out and entry.sequence != out[-1].sequence + 1:
            break  # remnants of an earlier round: a log is written from its start again
        out.append(entry)
    return out


def _replay_old(hive: ByteSource, base: Base, logs: list[_Log], budget: Budget) -> Replay | None:
    """The first log that was written for this state of the hive; whole or not at all."""
    for log in logs:
        what = f"transaction log {log.name}"
        try:
            if log.base.primary != log.base.secondary:
                raise Corrupt(what, None, f"sequence numbers {log.base.primary} and {log.base.secondary}: not applied")
            if base.intact and log.base.last_written != base.last_written:
                raise Corrupt(what, None, f"written {log.base.last_written}, the hive {base.last_written}: not applied")
            patches = _dirty_pages(what, log, budget)
            if not patches:
                continue
            whole = patches if base.intact else [(0, log.source.slice(0, SECTOR)), *patches]
            _check_bins(what, patches)
            return Replay(_over(hive, whole, budget), base if base.intact else log.base, len(patches), (), (log.name,))
        except EvidenceError as error:
            budget.report(error, where=log.name)
    return None


def _dirty_pages(what: str, log: _Log, budget: Budget) -> list[Patch]:
    start = SECTOR * max(1, log.base.clustering)
    if log.source.read_at(start, 4) != b"DIRT":
        return []
    length = budget.allocate(what, log.base.bins_size // SECTOR // 8)
    bitmap = log.source.read_at(start + 4, length)
    if len(bitmap) < length:
        raise Truncated(what, _span(log.source, start, 4), f"{len(bitmap)} of {length} bytes of the dirty vector: not applied")
    at = -(-(start + 4 + length) // start) * start
    out = []
    for number, byte in enumerate(bitmap):
        for bit in range(8) if byte else ():
            if byte >> bit & 1:
                budget.item()
                out.append((BINS + SECTOR * (8 * number + bit), log.source.slice(at, SECTOR) if at <= log.source.size else log.source))
                at += SECTOR
    if at > log.source.size:
        raise Truncated(what, _span(log.source, start, 4), f"{len(out)} dirty pages end at {at}, the log at {log.source.size}: not applied")
    return out


def _check_bins(what: str, patches: list[Patch]) -> None:
    """A dirty page that starts a hive bin names its own place; no other page may say so falsely."""
    for at, page in patches:
        head = page.read_at(0, 12)
        if head[:4] == b"hbin" and at % PAGE == 0 and int.from_bytes(head[4:8], "little") != at - BINS:
            raise Corrupt(what, _span(page, 0, 12), f"the page for {at:#x} is the hive bin of another place: not applied")


def _over(hive: ByteSource, patches: list[Patch], budget: Budget) -> ByteSource:
    end = max(at + page.size for at, page in patches)
    budget.allocate("replayed hive", max(end, hive.size))
    return OverlaySource(hive, patches)
