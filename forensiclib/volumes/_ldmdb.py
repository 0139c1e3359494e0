"""The database of a dynamic disk: found, checked, its records taken apart."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.text import escape
from forensiclib.formats import gpt, ldm, mbr
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import span_of

__all__ = ["Component", "Database", "Dynamic", "Held", "Partition", "Planned", "database", "dynamic", "heads", "table_unit"]

UNITS = (512, 4096)
LARGEST = 64 << 20
"""Bytes of a database; Windows makes them of 1 MiB."""
MANY_PARTS = 64
"""Blocks of one record. The longest that Windows writes, a disk with its device path, takes two or three."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A volume record. ``size`` in sectors; ``kind`` 3 general, 4 RAID-5; ``letter`` the drive letter that it had ("F:")."""

    id: int
    name: str
    state: str
    kind: int
    children: int
    size: int
    type: int
    guid: str
    letter: str


@dataclass(frozen=True, slots=True)
class Component:
    """One copy of a volume. ``kind`` 1 striped, 2 one behind the other, 3 RAID-5; ``chunk`` in sectors."""

    id: int
    name: str
    state: str
    kind: int
    children: int
    parent: int
    chunk: int
    columns: int


@dataclass(frozen=True, slots=True)
class Partition:
    """A range of a disk, ``start`` and ``size`` in sectors from the start of its data; ``offset`` in the component."""

    id: int
    name: str
    start: int
    offset: int
    size: int
    parent: int
    disk: int
    column: int


@dataclass(frozen=True, slots=True)
class Held:
    """A disk as the database has it."""

    id: int
    name: str
    guid: str


@dataclass(slots=True)
class Database:
    """The records in force. ``number`` of the last transaction; ``problems`` what contradicts itself in it."""

    number: int
    name: str
    volumes: dict[int, Planned] = field(default_factory=dict)
    components: dict[int, Component] = field(default_factory=dict)
    partitions: dict[int, Partition] = field(default_factory=dict)
    disks: dict[int, Held] = field(default_factory=dict)
    problems: list[EvidenceError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A dynamic disk by its private header: GUIDs in lower case, ranges in bytes; ``unit`` bytes of a sector."""

    disk: str
    group: str
    group_name: str
    unit: int
    data_start: int
    data_size: int
    config_start: int
    config_size: int


def table_unit(source: ByteSource) -> int:
    """Bytes of a sector by the place of the GPT header; 512 without one."""
    return next((unit for unit in UNITS if source.read_at(unit, 8) == gpt.MAGIC), 512)


def _mbr_types(source: ByteSource) -> set[int]:
    raw = source.read_at(0, 512)
    return {raw[i + 4] for i in range(446, 510, 16)} - {0} if raw[510:] == b"\x55\xaa" else set()


def _places(source: ByteSource) -> Iterator[tuple[int, int]]:
    """(offset, bytes of a sector) of every place where a private header may stand, if the partition table allows one."""
    types = _mbr_types(source)
    if types & {mbr.PROTECTIVE}:
        unit = table_unit(source)
        raw = source.read_at(unit, 92)
        if raw[:8] != gpt.MAGIC:  # the copy at the end
            raw = source.read_at(source.size // unit * unit - unit, 92)
        if raw[:8] != gpt.MAGIC or len(raw) < 92:
            return
        head = gpt.HEADER_LAYOUT.dict(raw)
        size = head["entry_size"]
        if not 128 <= size <= 4096:
            return
        table = source.read_at(head["entries_lba"] * unit, min(head["entry_count"], 1024) * size)
        for at in range(0, len(table) - 127, size):
            if str(uuid.UUID(bytes_le=table[at : at + 16])) == ldm.GPT_METADATA:
                entry = gpt.ENTRY_LAYOUT.dict(table, at)
                yield entry["last"] * unit, unit
                yield (entry["first"] + ldm.PRIVHEADS[0]) * unit, unit
    elif ldm.MBR_TYPE in types or not types:
        for unit in UNITS:
            yield 6 * unit, unit
        for back in (ldm.CONFIG_SECTORS - at for at in ldm.PRIVHEADS):
            yield source.size // 512 * 512 - back * 512, 512


def heads(source: ByteSource) -> list[tuple[int, int]]:
    """(offset, bytes of a sector) of the copies of the private header that are there."""
    return [(at, unit) for at, unit in dict.fromkeys(_places(source)) if at > 0 and source.read_at(at, 8) == b"PRIVHEAD"]


def _sums(raw: bytes) -> int:
    """The sum of all bytes but those of the checksum."""
    return sum(raw) - sum(raw[8:12]) & 0xFFFFFFFF


def _text(raw: bytes) -> str:
    return escape(raw.split(b"\0")[0].decode("utf-8", "replace"))


def dynamic(source: ByteSource, budget: Budget) -> Dynamic:
    """The private header: of the copies whose checksum holds the newest. NotThisFormat without any."""
    found: list[tuple[tuple[bool, int, int], int, int, Any]] = []
    for at, unit in heads(source):
        head = parse(ldm.PRIVHEAD, source, at, "LDM private header")
        stored, computed = head.checksum, _sums(source.read_at(at, 512))
        if stored != computed:
            text = f"checksum {stored:#010x} stored, {computed:#010x} computed"
            budget.report(Corrupt("LDM private header", span_of(source, at, 512), text))
        found.append(((stored == computed, head.number, head.timestamp), at, unit, head))
    if not found:
        raise NotThisFormat("LDM", None, "no private header")
    (valid, *_), at, unit, head = max(found, key=lambda f: f[0])
    where = span_of(source, at, 512)
    if not valid:
        raise Corrupt("LDM private header", where, "no copy has a checksum that holds")
    others = {(h.disk, h.group, h.data_start, h.config_start, h.number) for key, _, _, h in found if key[0]}
    if len(others) > 1:
        budget.report(Corrupt("LDM private header", where, f"the copies disagree: number {head.number} is used"))
    if head.major != 2:
        raise Unsupported("LDM private header", where, f"version {head.major}.{head.minor}")
    end = (head.config_start + head.config_size) * unit
    if head.config_size * unit > LARGEST:
        raise Corrupt("LDM private header", where, f"a database of {head.config_size} sectors")
    if end > source.size:
        raise Truncated("LDM database", where, f"{head.config_size} sectors from {head.config_start} of {source.size // unit}")
    return Dynamic(
        _text(head.disk).lower(), _text(head.group).lower(), _text(head.group_name), unit, head.data_start * unit, head.data_size * unit,
        head.config_start * unit, head.config_size * unit,
    )  # fmt: skip


def _contents(source: ByteSource, disk: Dynamic, budget: Budget) -> tuple[int, int]:
    """(offset, bytes) of the database proper, by the newest table of contents whose checksum holds."""
    found: list[tuple[int, int, int]] = []
    for sector in ldm.TOCS:
        at = disk.config_start + sector * disk.unit
        raw = source.read_at(at, 512)
        if raw[:8] != b"TOCBLOCK" or len(raw) < 512:
            continue
        head = parse(ldm.TOC, source, at, "LDM table of contents")
        if head.checksum != (computed := _sums(raw)):
            text = f"checksum {head.checksum:#010x} stored, {computed:#010x} computed"
            budget.report(Corrupt("LDM table of contents", span_of(source, at, 512), text))
            continue
        for number in range(2):
            entry = ldm.TOC_ENTRY_LAYOUT.dict(raw, ldm.TOC.sizeof() + number * ldm.TOC_ENTRY_LAYOUT.size)
            if _text(entry["name"]) == "config":
                found.append((head.number, entry["start"] * disk.unit, entry["size"] * disk.unit))
    where = span_of(source, disk.config_start, 512)
    if not found:
        raise Corrupt("LDM table of contents", where, "none whose checksum holds and that tells of a database")
    number, start, size = max(found)
    if len({f[1:] for f in found}) > 1:
        budget.report(Corrupt("LDM table of contents", where, f"the copies disagree: number {number} is used"))
    if start + size > disk.config_size or size < 512:
        raise Corrupt("LDM table of contents", where, f"the database has {size} bytes from {start}, the area {disk.config_size}")
    return disk.config_start + start, size


class _Fields:
    """The fields of a record in their order. Corrupt for one that passes its end."""

    __slots__ = ("at", "raw", "what")

    def __init__(self, raw: bytes, what: str) -> None:
        self.raw, self.at, self.what = raw, 0, what

    def take(self, n: int) -> bytes:
        piece = self.raw[self.at : self.at + n]
        if len(piece) < n:
            raise Corrupt(f"LDM {self.what} record", None, f"{len(self.raw)} bytes, a field ends at {self.at + n}")
        self.at += n
        return piece

    def number(self) -> int:
        """A length of one byte, then as many bytes."""
        n = self.take(1)[0]
        if n > 8:
            raise Corrupt(f"LDM {self.what} record", None, f"a number of {n} bytes")
        return int.from_bytes(self.take(n), "big")

    def fixed(self, n: int) -> int:
        return int.from_bytes(self.take(n), "big")

    def text(self) -> str:
        return _text(self.take(self.take(1)[0]))


def _volume(f: _Fields, flags: int, revision: int) -> Planned:
    key, name = f.number(), f.text()
    f.text(), f.text()  # "gen" or "raid5", and one that nobody has explained
    state = _text(f.take(14))
    kind = f.take(6)[0]
    f.take(1)
    children = f.number()
    f.take(16)
    size = f.number()
    f.take(4)
    type_ = f.fixed(1)
    made = str(uuid.UUID(bytes=f.take(16)))
    for bit in (0x08, 0x20):
        if flags & bit:
            f.text()
    if flags & 0x80:
        f.number()
    return Planned(key, name, state, kind, children, size, type_, made, f.text() if flags & 0x02 else "")


def _component(f: _Fields, flags: int, revision: int) -> Component:
    key, name, state, kind = f.number(), f.text(), f.text(), f.fixed(1)
    f.take(4)
    children = f.number()
    f.take(16)
    parent = f.number()
    f.take(1)
    chunk, columns = (f.number(), f.number()) if flags & 0x10 else (0, 0)
    return Component(key, name, state, kind, children, parent, chunk, columns)


def _partition(f: _Fields, flags: int, revision: int) -> Partition:
    key, name = f.number(), f.text()
    f.take(12)
    start, offset, size, parent, disk = f.fixed(8), f.fixed(8), f.number(), f.number(), f.number()
    return Partition(key, name, start, offset, size, parent, disk, f.number() if flags & 0x08 else 0)


def _disk(f: _Fields, flags: int, revision: int) -> Held:
    key, name = f.number(), f.text()
    return Held(key, name, f.text().lower() if revision == 3 else str(uuid.UUID(bytes=f.take(16))))


_READERS: dict[str, tuple[Any, str]] = {
    "volume": (_volume, "volumes"), "component": (_component, "components"), "partition": (_partition, "partitions"),
    "disk": (_disk, "disks"),
}  # fmt: skip


def database(source: ByteSource, disk: Dynamic, budget: Budget) -> Database:
    """The records in force on one disk. Corrupt when there is no database; what contradicts itself in one stands in its
    ``problems``."""
    start, size = _contents(source, disk, budget)
    head = parse(ldm.VMDB, source, start, "LDM database")
    where = span_of(source, start, 512)
    step = head.record_size
    if not 32 <= step <= 4096 or head.first_at < ldm.VMDB.sizeof() or not size > head.first_at:
        raise Corrupt("LDM database", where, f"records of {step} bytes from {head.first_at}, in {size} bytes")
    if (head.major, head.minor) != (4, 10):
        raise Unsupported("LDM database", where, f"version {head.major}.{head.minor}")
    out = Database(head.committed, _text(head.group_name))
    if head.status != 1 or head.pending != head.committed:
        text = f"status {head.status}, transaction {head.committed} committed and {head.pending} pending: a change was under way"
        budget.report(Finding.note("LDM database", text, out.name, where))
    if _text(head.group).lower() != disk.group:
        out.problems.append(Corrupt("LDM database", where, f"of group {_text(head.group)}, the private header says {disk.group}"))
    raw = source.read_at(start + head.first_at, budget.allocate("LDM database", size - head.first_at, where))
    for number, (at, flags, kind, body, status) in enumerate(_records(raw, step, out, budget)):
        budget.item()
        what = ldm.RECORDS.get(kind)
        place = span_of(source, start + head.first_at + at, step)
        try:
            if what is None:
                raise Unsupported("LDM record", place, f"number {number}, type {kind & 15}, revision {kind >> 4}")
            if what in _READERS:
                reader, into = _READERS[what]
                made = reader(_Fields(body, what), flags, kind >> 4)
                _keep(getattr(out, into), made, status, f"{what} {made.name!r}", place, out, budget)
        except EvidenceError as error:
            out.problems.append(type(error)(error.what, error.span or place, error.found))
    for name, said in (("volumes", head.volumes), ("components", head.components), ("partitions", head.partitions), ("disks", head.disks)):
        if (there := len(getattr(out, name))) != said:
            out.problems.append(Corrupt("LDM database", where, f"{there} {name}, its header says {said}"))
    return out


def _keep(into: dict[int, Any], made: Any, status: int, words: str, place: Any, out: Database, budget: Budget) -> None:
    """A record that is not in force (part of a change under way) never takes the place of one that is."""
    if status:
        budget.report(Finding.note("LDM record", f"{words} has status {status}: part of a change under way", out.name, place))
    elif made.id in into:
        out.problems.append(Corrupt("LDM record", place, f"{words}: a second record of number {made.id}"))
    if not status or made.id not in into:
        into[made.id] = made


def _records(raw: bytes, step: int, out: Database, budget: Budget) -> Iterator[tuple[int, int, int, bytes, int]]:
    """(offset, flags, type, body, status) of every record, put together of its parts; those in force first."""
    layout, head = ldm.VBLK_LAYOUT, 16
    parts: dict[int, dict[int, tuple[int, bytes]]] = {}
    counts: dict[int, int] = {}
    whole: list[tuple[int, bytes]] = []
    for at in range(0, len(raw) - step + 1, step):
        if raw[at : at + 4] != b"VBLK":
            break
        _, _, record, part, count, *_ = layout.unpack(raw, at)
        data = raw[at + head : at + step]
        if count <= 1:
            whole.append((at, data))
        elif count > MANY_PARTS or part >= count or counts.setdefault(record, count) != count:
            out.problems.append(Corrupt("LDM record", None, f"part {part} of {count} of record {record}"))
        elif part in parts.setdefault(record, {}):
            out.problems.append(Corrupt("LDM record", None, f"two parts {part} of record {record}"))
        else:
            parts[record][part] = (at, data)
    for record, pieces in parts.items():
        if len(pieces) < counts[record]:
            out.problems.append(Corrupt("LDM record", None, f"{len(pieces)} of the {counts[record]} parts of record {record}"))
        elif 0 in pieces:
            whole.append((pieces[0][0], b"".join(pieces[i][1] for i in range(counts[record]))))
    found = []
    for at, data in sorted(whole):
        status, flags, kind, size = int.from_bytes(data[:2], "big"), data[2], data[3], int.from_bytes(data[4:8], "big")
        if not kind & 15:
            continue  # a block that is free
        if size > len(data) - 8:
            out.problems.append(Corrupt("LDM record", None, f"{size} bytes in parts of {len(data) - 8}"))
            continue
        found.append((at, flags, kind, data[8 : 8 + size], status))
    yield from sorted(found, key=lambda f: bool(f[4]))
