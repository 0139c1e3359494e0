"""Master boot record partitions, with the chain of extended ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from forensiclib.core.declare import VolumeSystem
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats import mbr
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import Part, span_of, volumes

__all__ = ["FORMAT", "open_mbr", "partition_entries"]

SECTOR_SIZES = (512, 4096)


def partition_entries(source: ByteSource) -> list[Any]:
    """The four entries of sector 0, when it can be a master boot record.

    NotThisFormat for anything else. A FAT, exFAT or NTFS boot sector ends in 55 AA too: its code
    is not four entries with boot flags 00 or 80 that start behind sector 0, and an empty table is
    no table.
    """
    if source.size < mbr.RECORD.sizeof():
        raise NotThisFormat("MBR", None, f"{source.size} bytes")
    record = parse(mbr.RECORD, source, 0, "MBR")
    where = span_of(source, mbr.TABLE_AT, 66)
    if record.signature != mbr.SIGNATURE:
        raise NotThisFormat("MBR", where, f"signature {record.signature:#06x}")
    entries = list(record.entries)
    for entry in entries:
        if entry.boot not in (0, 0x80):
            raise NotThisFormat("MBR", where, f"boot flag {entry.boot:#04x}")
        if _used(entry) and (entry.first == 0 or entry.sectors == 0):
            raise NotThisFormat("MBR", where, f"a partition of {entry.sectors} sectors at sector {entry.first}")
    used = [e for e in entries if _used(e)]
    if not used:
        raise NotThisFormat("MBR", where, "no partition")
    if all(e.first * 512 >= source.size for e in used):
        raise NotThisFormat("MBR", where, f"every partition starts behind the end ({source.size} bytes)")
    if _boot_sector(source) and not _tidy(used, source.size):
        raise NotThisFormat("MBR", where, "the boot sector of a file system")
    return entries


def _used(entry: Any) -> bool:
    return bool(entry.type)


def _boot_sector(source: ByteSource) -> bool:
    head = source.read_at(0, 90)
    jump = head[0] == 0xE9 or (head[0] == 0xEB and head[2] == 0x90)
    named = head[3:11] in (b"NTFS    ", b"EXFAT   ", b"-FVE-FS-") or b"FAT" in (head[54:57], head[82:85])
    return jump and named


def _tidy(used: Sequence[Any], size: int) -> bool:
    """Whether the entries lie in the source and apart from each other: a loader that kept a boot
    sector's parameter block (isohybrid, some USB tools) is still a partition table."""
    ends = 1
    for entry in sorted(used, key=lambda e: e.first):
        if entry.first < ends or (entry.first + entry.sectors) * 512 > size:
            return False
        ends = entry.first + entry.sectors
    return True


def open_mbr(source: ByteSource, sector_size: int, budget: Budget) -> list[Volume]:
    """Primary partitions (index 1 to 4) and logical ones (5 and up), gaps as slack, in disk order."""
    entries = partition_entries(source)
    unit = _sector_size(source, entries, sector_size)
    if unit != sector_size:
        text = f"the table fits sectors of {unit} bytes, {sector_size} were stated"
        budget.report(Finding.note("MBR sector size", text, "mbr", span_of(source, mbr.TABLE_AT, 64)))
    return volumes(source, _parts(source, entries, unit, budget), "mbr", budget, mbr.ENTRY_LAYOUT.size)


def _parts(source: ByteSource, entries: Sequence[Any], unit: int, budget: Budget) -> Iterator[Part]:
    logical = 5
    for number, entry in enumerate(entries, 1):
        at = mbr.TABLE_AT + 16 * (number - 1)
        if not _used(entry):
            if entry.first or entry.sectors:
                text = f"type 0, yet sector {entry.first} and {entry.sectors} sectors"
                budget.report(Finding.note("MBR entry", text, f"mbr:{number}", span_of(source, at, 16)))
            continue
        if entry.type == mbr.PROTECTIVE:
            text = "it protects a GUID partition table; read as an MBR, the partitions of that are not seen"
            budget.report(Finding.note("MBR", text, f"mbr:{number}", span_of(source, at, 16)))
        if entry.type in mbr.EXTENDED:
            _check_extended(source, entry, unit, number, budget)
            for part in _logical(source, entry, unit, logical, budget):
                logical = part.index + 1
                yield part
        else:
            yield _part(entry, number, entry.first, unit, at)


def _check_extended(source: ByteSource, entry: Any, unit: int, number: int, budget: Budget) -> None:
    end = (entry.first + entry.sectors) * unit
    if end > source.size:
        at = mbr.TABLE_AT + 16 * (number - 1)
        text = f"ends at {end}, the source at {source.size}"
        budget.report(Truncated("extended partition", span_of(source, at, 16), text), f"mbr:{number}")


def _part(entry: Any, index: int, first: int, unit: int, at: int) -> Part:
    code = f"{entry.type:#04x}"
    return Part(index, first * unit, entry.sectors * unit, at, mbr.TYPES.get(entry.type, f"type {code}"), code)


def _logical(source: ByteSource, extended: Any, unit: int, index: int, budget: Budget) -> Iterator[Part]:
    """Walk the chain: each link holds one partition relative to itself and the next link relative to
    the extended partition."""
    base, link = extended.first, extended.first
    visited: set[int] = set()
    while True:
        budget.item()
        at = link * unit
        where = f"mbr extended link {len(visited) + 1}"
        if link in visited:
            budget.report(Corrupt("extended boot record", span_of(source, at, 512), f"the chain returns to sector {link}"), where)
            return
        visited.add(link)
        if at + mbr.RECORD.sizeof() > source.size:
            budget.report(Truncated("extended boot record", None, f"sector {link} lies past the end ({source.size} bytes)"), where)
            return
        record = parse(mbr.RECORD, source, at, "extended boot record")
        if record.signature != mbr.SIGNATURE:
            found = f"signature {record.signature:#06x}"
            budget.report(Corrupt("extended boot record", span_of(source, at, 512), found), where)
            return
        following = None
        for slot, entry in enumerate(record.entries):
            entry_at = at + mbr.TABLE_AT + 16 * slot
            if not _used(entry) or entry.sectors == 0:
                continue
            if entry.type in mbr.EXTENDED:
                if following is None:
                    following = base + entry.first
                else:
                    budget.report(Corrupt("extended boot record", span_of(source, entry_at, 16), "a second next link"), where)
                continue
            if slot > 1:
                budget.report(Finding.note("extended boot record", f"a partition in slot {slot}", where, span_of(source, entry_at, 16)))
            yield _part(entry, index, link + entry.first, unit, entry_at)
            index += 1
        if following is None:
            return
        link = following


def _sector_size(source: ByteSource, entries: Sequence[Any], stated: int) -> int:
    """The stated size unless the partitions only make sense with another one."""
    best, best_score = stated, _score(source, entries, stated)
    for unit in SECTOR_SIZES:
        score = _score(source, entries, unit)
        if score > best_score:
            best, best_score = unit, score
    return best


def _score(source: ByteSource, entries: Sequence[Any], unit: int) -> tuple[bool, int]:
    used = [e for e in entries if _used(e)]
    inside = all((e.first + e.sectors) * unit <= source.size for e in used)
    known = sum(_known_start(source, e.first * unit) for e in used)
    return inside and known > 0, known


def _known_start(source: ByteSource, at: int) -> bool:
    head = source.read_at(at, 2048)
    return head[510:512] == b"\x55\xaa" or head[1080:1082] == b"\x53\xef" or head[:4] in (b"LUKS", b"XFSB")


FORMAT = VolumeSystem(
    name="mbr",
    title="Master boot record partitions (PC BIOS), with extended ones",
    refs=("UEFI Specification 2.10, 5.2.1 Legacy Master Boot Record", "util-linux sfdisk(8), types of sfdisk -T"),
    gaps=(
        "partitions that a former table had are not searched for",
        "Solaris and Minix sub-partitions inside a partition are not opened",
    ),
    order=60,
    open=open_mbr,
)
