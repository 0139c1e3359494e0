"""GUID partition table: primary and backup, checked against each other."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from forensiclib.core.declare import VolumeSystem
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.text import utf16
from forensiclib.formats import gpt, mbr
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import Part, span_of, volumes
from forensiclib.volumes.mbr import partition_entries

__all__ = ["FORMAT", "open_gpt"]

SECTOR_SIZES = (512, 4096)
UNUSED = bytes(16)
MAX_ENTRY = 4096


@dataclass(frozen=True, slots=True)
class _Table:
    """One of the two copies. ``problems`` says what its checksums or fields got wrong."""

    which: str
    unit: int
    at: int
    header: Any
    entries: tuple[dict[str, Any], ...]
    crc: int
    problems: tuple[EvidenceError, ...]


def open_gpt(source: ByteSource, sector_size: int, budget: Budget) -> list[Volume]:
    """Partitions, gaps as slack, in disk order; partitions that only the other copy of the table has
    come out with state "deleted"."""
    primary, backup = _copies(source, sector_size, budget)
    table = primary or backup
    if table is None:
        raise NotThisFormat("GPT", span_of(source, sector_size, 8), "no EFI PART at the first or the last sector")
    if primary is not None and primary.problems and backup is not None and not backup.problems:
        table = backup
    _check_mbr(source, table, budget)
    for copy in (primary, backup):
        for problem in copy.problems if copy is not None else ():
            budget.report(problem, f"gpt {copy.which if copy else ''}")
    if table.unit != sector_size:
        text = f"the table fits sectors of {table.unit} bytes, {sector_size} were stated"
        budget.report(Finding.note("GPT sector size", text, "gpt", span_of(source, table.at, 8)))
    parts = list(_parts(source, table, budget))
    parts += _compare(source, table, backup if table is primary else primary, budget)
    return volumes(source, parts, "gpt", budget, table.header.entry_size)


def _copies(source: ByteSource, stated: int, budget: Budget) -> tuple[_Table | None, _Table | None]:
    units = (stated, *(u for u in SECTOR_SIZES if u != stated))
    primary = next(filter(None, (_read(source, unit, unit, "primary", budget) for unit in units)), None)
    if primary is None:
        return None, next(filter(None, (_last(source, unit, budget) for unit in units)), None)
    at = primary.header.alternate_lba * primary.unit
    backup = _read(source, primary.unit, at, "backup", budget) or _last(source, primary.unit, budget)
    return primary, backup


def _last(source: ByteSource, unit: int, budget: Budget) -> _Table | None:
    return _read(source, unit, (source.size // unit - 1) * unit, "backup", budget) if source.size >= 3 * unit else None


def _read(source: ByteSource, unit: int, at: int, which: str, budget: Budget) -> _Table | None:
    """The copy whose header is at byte ``at``, None when no header is there."""
    if at < 0 or source.read_at(at, 8) != gpt.MAGIC or at + gpt.HEADER.sizeof() > source.size:
        return None
    header = parse(gpt.HEADER, source, at, f"{which} GPT header")
    where = span_of(source, at, gpt.HEADER.sizeof())
    problems: list[EvidenceError] = []
    if not gpt.HEADER.sizeof() <= header.header_size <= unit:
        problems.append(Corrupt(f"{which} GPT header", where, f"header size {header.header_size}"))
    else:
        raw = bytearray(source.read_at(at, header.header_size))
        raw[16:20] = bytes(4)
        if (crc := zlib.crc32(raw)) != header.header_crc:
            problems.append(Corrupt(f"{which} GPT header", where, f"checksum {header.header_crc:#010x} stored, {crc:#010x} computed"))
    if header.my_lba * unit != at:
        problems.append(Corrupt(f"{which} GPT header", where, f"says LBA {header.my_lba}, lies at byte {at}"))
    if header.entry_size % 8 or not gpt.ENTRY_LAYOUT.size <= header.entry_size <= MAX_ENTRY:
        problems.append(Corrupt(f"{which} GPT header", where, f"entry size {header.entry_size}"))
        return _Table(which, unit, at, header, (), 0, tuple(problems))
    length = header.entry_count * header.entry_size
    start = header.entries_lba * unit
    if start >= source.size or length > source.size - start:
        problems.append(Truncated(f"{which} GPT entries", where, f"{length} bytes from {start} of {source.size}"))
        length = max(0, source.size - start) // header.entry_size * header.entry_size
    raw_entries = source.read_at(start, budget.allocate("GPT entries", length, where)) if length else b""
    crc = zlib.crc32(raw_entries)
    if crc != header.entries_crc:
        found = f"checksum {header.entries_crc:#010x} stored, {crc:#010x} computed"
        problems.append(Corrupt(f"{which} GPT entries", span_of(source, start, length), found))
    return _Table(which, unit, at, header, tuple(_entries(raw_entries, header, start, budget)), crc, tuple(problems))


def _entries(raw: bytes, header: Any, start: int, budget: Budget) -> Iterator[dict[str, Any]]:
    for number in range(len(raw) // header.entry_size):
        at = number * header.entry_size
        budget.item()
        if raw[at : at + 16] != UNUSED:
            yield gpt.ENTRY_LAYOUT.dict(raw, at) | {"index": number + 1, "at": start + at}


def _check_mbr(source: ByteSource, table: _Table, budget: Budget) -> None:
    """The protective MBR: absent, hybrid, or a table in force that makes the GPT a leftover."""
    where = span_of(source, mbr.TABLE_AT, 66)
    try:
        entries = [e for e in partition_entries(source) if e.type]
    except NotThisFormat:
        budget.report(Finding.note("protective MBR", "absent; the GPT was used all the same", "gpt", where))
        return
    others = [e for e in entries if e.type != mbr.PROTECTIVE]
    if len(others) == len(entries):
        found = f"the MBR in force has no protective entry; a GPT with {len(table.entries)} partitions is left from before"
        budget.report(Finding.note("leftover GPT", found, "gpt", span_of(source, table.at, 92)))
        raise NotThisFormat("GPT", where, found)
    if others:
        text = ", ".join(f"type {e.type:#04x} at sector {e.first} of {e.sectors} sectors" for e in others)
        budget.report(Finding.note("hybrid MBR", text, "gpt", where))


def _parts(source: ByteSource, table: _Table, budget: Budget) -> Iterator[Part]:
    header = table.header
    for entry in table.entries:
        part = _part(entry, table.unit)
        where, span = f"gpt:{part.index}", span_of(source, part.at, header.entry_size)
        if entry["last"] < entry["first"]:
            budget.report(Corrupt("GPT entry", span, f"ends at LBA {entry['last']} before its start {entry['first']}"), where)
            continue
        if entry["first"] < header.first_usable or entry["last"] > header.last_usable:
            text = f"LBA {entry['first']} to {entry['last']}, usable are {header.first_usable} to {header.last_usable}"
            budget.report(Corrupt("GPT entry", span, text), where)
        yield part


def _part(entry: dict[str, Any], unit: int) -> Part:
    code = guid(entry["type"])
    return Part(
        entry["index"],
        entry["first"] * unit,
        (entry["last"] - entry["first"] + 1) * unit,
        entry["at"],
        gpt.TYPES.get(code, f"type {code}"),
        code,
        utf16(entry["name"], stop_at_nul=True),
    )


def _compare(source: ByteSource, table: _Table, other: _Table | None, budget: Budget) -> Iterator[Part]:
    """Report how the two copies disagree; yield, as deleted, what only the other has."""
    name = "backup" if table.which == "primary" else "primary"
    if other is None:
        text = f"no header at LBA {table.header.alternate_lba} or at the last sector"
        budget.report(Truncated(f"{name} GPT header", None, text) if name == "backup" else Corrupt("primary GPT header", None, text), "gpt")
        return
    last = source.size // table.unit - 1
    backup = table if table.which == "backup" else other
    if backup.at // table.unit != last:
        text = f"at LBA {backup.at // table.unit}, the last sector is {last}"
        budget.report(Finding.note("backup GPT header", text, "gpt", span_of(source, backup.at, 92)))
    if other.header.disk_guid != table.header.disk_guid:
        text = f"{guid(table.header.disk_guid)} in the {table.which}, {guid(other.header.disk_guid)} in the {other.which}"
        budget.report(Corrupt("GPT disk GUID", span_of(source, other.at, 92), text), "gpt")
    keys = ("type", "unique", "first", "last", "attributes", "name", "index")
    mine = {tuple(e[k] for k in keys) for e in table.entries}
    if other.crc == table.crc and mine == {tuple(e[k] for k in keys) for e in other.entries}:
        return
    text = f"{len(table.entries)} partitions in the {table.which}, {len(other.entries)} in the {other.which}, not the same"
    budget.report(Corrupt("GPT entries", span_of(source, other.at, 92), text), "gpt")
    places = {(e["first"], e["last"]) for e in table.entries}
    for entry in other.entries:
        if (entry["first"], entry["last"]) not in places and entry["first"] <= entry["last"]:
            part = _part(entry, other.unit)
            yield Part(part.index, part.start, part.length, part.at, part.kind, part.type_code, part.label, "deleted")


FORMAT = VolumeSystem(
    name="gpt",
    title="GUID partition table, primary and backup",
    refs=("UEFI Specification 2.10, 5.3 GUID Partition Table (GPT) Disk Layout",),
    gaps=("partitions of a hybrid MBR that the GPT does not list are reported, not opened",),
    order=40,
    open=open_gpt,
)
