"""Arrays of RAID controllers that follow SNIA's Disk Data Format (DDF): headers, configurations, content."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.core.text import escape
from forensiclib.formats import ddf
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import span_of
from forensiclib.volumes._raid import Mirror, Missing, Parity, Stripes, Tens, Zone

__all__ = ["FORMAT", "open_ddf", "probe"]

BLOCK = 512
MOST = 4096
"""Disks of one virtual disk, virtual disks of one group: the most that the specification has."""
ANCHORS = (1, 257)
"""Blocks from the end: where the specification has the anchor, and where some controllers keep it."""
ONLINE, FAILED, REBUILDING, LOST = 1, 2, 4, 64
_ROTATED_5 = {0: 1, 2: 0, 3: 2}
_ROTATED_6 = {1: 8, 2: 9, 3: 10}
"""Qualifiers of levels 5 and 6 as layouts of md(4)."""


@dataclass(slots=True)
class _Basic:
    """One basic virtual disk as a disk's configuration has it; ``at`` byte offset of the record on that disk."""

    guid: bytes
    sequence: int
    second: int
    head: Any
    references: tuple[int, ...]
    starts: tuple[int, ...]
    disk: _Disk
    at: int


@dataclass(slots=True)
class _Disk:
    """A member: its header in force (``at``), what it says of itself and of all, its configurations."""

    volume: Volume
    guid: bytes
    sequence: int
    reference: int
    at: int
    disks: dict[int, dict[str, Any]] = field(default_factory=dict)
    named: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    basics: list[_Basic] = field(default_factory=list)


def probe(source: ByteSource) -> bool:
    """Whether an anchor stands at the end."""
    return any(True for _ in _anchors(source))


def _anchors(source: ByteSource) -> Iterator[int]:
    for back in ANCHORS:
        at = source.size // BLOCK * BLOCK - back * BLOCK
        if at > 0 and source.read_at(at, 4) == ddf.MAGIC_HEADER.to_bytes(4, "big"):
            yield at


def open_ddf(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The virtual disks of every group of which a member is here, then as slack what none of them takes."""
    disks: list[_Disk] = []
    for member in members:
        try:
            disks.append(_disk(member, budget))
        except EvidenceError as error:
            budget.report(error)
    if not disks:
        raise NotThisFormat("DDF", None, "no header that holds")
    out: list[Volume] = []
    for guid in dict.fromkeys(d.guid for d in disks):
        out += _Group([d for d in disks if d.guid == guid], budget).volumes()
    for index, volume in enumerate(out, 1):
        volume.index = index
    return out


def _checked(raw: bytes) -> tuple[int, int]:
    """(CRC stored, CRC computed) of a structure. mdadm's starts from zero and is not inverted; other writers use the usual form of
    this CRC, which is accepted too."""
    stored, data = int.from_bytes(raw[4:8], "big"), raw[:4] + b"\xff" * 4 + raw[8:]
    usual, plain = zlib.crc32(data), zlib.crc32(data, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return stored, usual if stored == usual else plain


def _header(member: Volume, at: int, what: str, budget: Budget) -> Any:
    """The header at a byte offset; None, reported, for one that is not there or whose checksum does not hold."""
    try:
        raw = member.read_at(at, BLOCK) if 0 <= at <= member.size - BLOCK else b""
    except EvidenceError as error:
        return budget.report(error)
    if len(raw) < BLOCK:
        return budget.report(Truncated(what, None, f"at {at} of {member.size} bytes"))
    where = span_of(member, at, BLOCK)
    stored, computed = _checked(raw)
    if raw[:4] != ddf.MAGIC_HEADER.to_bytes(4, "big"):
        return budget.report(Corrupt(what, where, f"starts with {raw[:4].hex()}"))
    if stored != computed:
        return budget.report(Corrupt(what, where, f"checksum {stored:#010x} stored, {computed:#010x} computed"))
    return parse(ddf.HEADER, member, at, what)


def _disk(member: Volume, budget: Budget) -> _Disk:
    for anchored in _anchors(member):
        anchor = _header(member, anchored, "DDF anchor", budget)
        if anchor is None:
            continue
        copies = []
        for name, block in (("primary", anchor.primary), ("secondary", anchor.secondary)):
            if block != (1 << 64) - 1 and (head := _header(member, block * BLOCK, f"{name} DDF header", budget)) is not None:
                copies.append((head.sequence, name == "primary", block, head))
        for _, _, block, head in sorted(copies, key=lambda c: c[:2], reverse=True):
            if len({c[0] for c in copies}) > 1:
                text = f"the copies disagree ({', '.join(f'{c[0]}' for c in copies)}): sequence {head.sequence} is used"
                budget.report(Finding.note("DDF header", text, "", span_of(member, block * BLOCK, BLOCK)))
            try:
                return _sections(member, block, head, budget)
            except EvidenceError as error:
                budget.report(error)
    raise Corrupt("DDF header", span_of(member, max(0, member.size - BLOCK), BLOCK), "neither copy can be read")


def _section(member: Volume, block: int, at: int, size: int, magic: int, what: str, budget: Budget) -> bytes:
    start = (block + at) * BLOCK
    length = budget.allocate(what, size * BLOCK)
    raw = member.read_at(start, length) if start < member.size else b""
    where = span_of(member, start, min(len(raw), BLOCK))
    if len(raw) < max(length, BLOCK):
        raise Truncated(what, where, f"{len(raw)} of {length} bytes at {start}")
    if raw[:4] != magic.to_bytes(4, "big"):
        raise Corrupt(what, where, f"starts with {raw[:4].hex()}")
    stored, computed = _checked(raw)
    if stored != computed:
        raise Corrupt(what, where, f"checksum {stored:#010x} stored, {computed:#010x} computed")
    return raw


def _sections(member: Volume, block: int, head: Any, budget: Budget) -> _Disk:
    own = _section(member, block, head.data_at, head.data_size, ddf.MAGIC_DATA, "DDF data of the disk", budget)
    out = _Disk(member, head.guid, head.sequence, ddf.DISK_DATA.parse(own[:BLOCK]).reference, block * BLOCK)
    for at, size, magic, entry, into, key in (
        (head.disks_at, head.disks_size, ddf.MAGIC_DISKS, ddf.PHYSICAL_LAYOUT, out.disks, "reference"),
        (head.volumes_at, head.volumes_size, ddf.MAGIC_VOLUMES, ddf.VIRTUAL_LAYOUT, out.named, "guid"),
    ):
        raw = _section(member, block, at, size, magic, f"DDF {'physical' if into is out.disks else 'virtual'} disks", budget)
        for place in range(ddf.TABLE.sizeof(), len(raw) - entry.size + 1, entry.size):
            budget.item()
            if len(into) > MOST:
                raise LimitExceeded("DDF records", span_of(member, (block + at) * BLOCK, BLOCK), f"more than {MOST}")
            found = entry.dict(raw, place)
            if found["guid"] != b"\xff" * 24:
                into.setdefault(found[key], found)
    width = head.record_size * BLOCK
    if not width or not 0 < head.most_elements <= MOST or BLOCK + head.most_elements * 12 > width:
        where = span_of(member, block * BLOCK, BLOCK)
        raise Corrupt("DDF header", where, f"records of {head.record_size} blocks for {head.most_elements} disks")
    start = (block + head.configs_at) * BLOCK
    raw = member.read_at(start, budget.allocate("DDF configurations", head.configs_size * BLOCK))
    for at in range(0, len(raw) - width + 1, width):
        record = raw[at : at + width]
        if record[:4] != ddf.MAGIC_CONFIG.to_bytes(4, "big"):
            continue
        budget.item()
        if len(out.basics) >= MOST:
            raise LimitExceeded("DDF configurations", span_of(member, start + at, BLOCK), f"more than {MOST}")
        stored, computed = _checked(record)
        if stored != computed:
            text = f"checksum {stored:#010x} stored, {computed:#010x} computed"
            budget.report(Corrupt("DDF configuration", span_of(member, start + at, BLOCK), text))
            continue
        conf = ddf.CONFIG.parse(record[:BLOCK])
        count = head.most_elements
        references = struct.unpack_from(f">{count}I", record, BLOCK)
        starts = struct.unpack_from(f">{count}Q", record, BLOCK + 4 * count)
        out.basics.append(_Basic(conf.guid, conf.sequence, conf.second, conf, references, starts, out, start + at))
    return out


class _Group:
    """The disks of one group that are here; the newest header says how each of them is."""

    def __init__(self, disks: list[_Disk], budget: Budget) -> None:
        self.all, self.budget = disks, budget
        self.newest = max(disks, key=lambda d: d.sequence)
        self.label = _name(self.newest.guid)
        self.disks: dict[int, _Disk] = {}
        self.basics: dict[bytes, list[_Basic]] = {}
        self.unused: set[tuple[int, int]] = set()
        self.used: list[tuple[int, int, int]] = []
        """(reference, start, size) of every extent that a volume shows."""
        for disk in disks:
            for basic in disk.basics:
                self.basics.setdefault(basic.guid, []).append(basic)
            where = span_of(disk.volume, disk.at, BLOCK)
            if disk.sequence != self.newest.sequence:
                text = f"disks disagree: sequence {self.newest.sequence} is used, disk {disk.reference:#010x} is at {disk.sequence}"
                budget.report(Finding.note("DDF header", text, self.label, where))
            if disk.reference in self.disks:
                text = f"two disks {disk.reference:#010x}: the first is used"
                budget.report(Finding.note("DDF disk", text, self.label, where))
            else:
                self.disks[disk.reference] = disk

    def volumes(self) -> Iterator[Volume]:
        """The virtual disks, then slack."""
        for guid in [*(g for g in self.newest.named if g in self.basics), *(g for g in self.basics if g not in self.newest.named)]:
            entry = self.newest.named.get(guid)
            label = escape(entry["name"].rstrip(b"\0 \xff").decode("utf-8", "replace")) if entry else ""
            label = label or _name(guid)
            self.budget.item()
            before, mark = set(self.unused), len(self.used)
            try:
                if entry is None:
                    text = "no entry of the virtual disks has it: it was deleted, or its group is another one now"
                    self.budget.report(Finding.note("DDF virtual disk", text, label))
                made = self._volume(guid, entry, label)
            except EvidenceError as error:
                self.budget.report(error, label)
                del self.used[mark:]
                continue
            yield made
            if made.type_code.startswith("1:") and made.type_code.count(":") == 1:
                yield from self._copies(made, self.unused - before)
        for guid in self.newest.named:
            if guid not in self.basics:
                text = "none of the disks that are here is part of it"
                self.budget.report(Unsupported("DDF virtual disk", None, text), _name(guid))
        for disk in self.all:
            yield from self._slack(disk)

    def _volume(self, guid: bytes, entry: dict[str, Any] | None, label: str) -> Volume:
        basics: dict[int, _Basic] = {}
        mine = self.basics[guid]
        for one in sorted(mine, key=lambda b: (-b.sequence, -b.disk.sequence)):
            basics.setdefault(one.second, one)
        newest = max(mine, key=lambda b: b.sequence)
        head, where = newest.head, span_of(newest.disk.volume, newest.at, BLOCK)
        if len({b.sequence for b in mine}) > 1:
            text = f"the disks disagree ({', '.join(map(str, sorted({b.sequence for b in mine})))}): number {newest.sequence} is used"
            self.budget.report(Finding.note("DDF configuration", text, label, where))
        if entry is not None and entry["state"] & 8:
            raise Unsupported("DDF virtual disk", where, "its layout is being changed: the controller must finish it first")
        if entry is not None and entry["state"]:
            words = {0: "", 1: "degraded", 2: "deleted", 3: "missing", 4: "failed", 5: "partly optimal"}.get(entry["state"] & 7, "")
            words += ", not consistent" if entry["state"] & 16 else ""
            self.budget.report(Finding.note("DDF virtual disk", f"the header calls it {words.strip(', ')}", label, where))
        if not 0 < head.seconds <= 256 or (head.seconds == 1 and set(basics) != {head.second}):
            raise Corrupt("DDF configuration", where, f"{head.seconds} basic disks, {len(basics)} are told of")
        kind = ddf.LEVELS.get(head.level, f"level {head.level:#04x}")
        if head.seconds == 1:
            content = self._basic(newest, label)
        else:
            if any(b.head.level != head.level or b.head.seconds != head.seconds for b in basics.values()):
                raise Corrupt("DDF configuration", where, "its basic disks have different levels")
            content = self._second(basics, newest, label)
            kind += f", {ddf.SECONDARY.get(head.second_level, head.second_level)}"
        size = head.array_blocks * BLOCK
        if not 0 < size <= content.size:
            raise Corrupt("DDF configuration", where, f"{size} bytes of an array that has {content.size}")
        if content.size != size:
            content = content.slice(0, size)
        code = f"{head.level}:{head.qualifier}:{head.second_level if head.seconds > 1 else ''}".rstrip(":")
        state: Any = "deleted" if entry is None or entry["state"] & 7 == 2 else "allocated"
        return Volume(content, index=0, start=-1, scheme="ddf", kind=f"DDF {kind}", type_code=code, label=label, state=state)

    def _copies(self, made: Volume, unused: set[tuple[int, int]]) -> Iterator[Volume]:
        """A mirror as the disks have it that are out of use."""
        self.unused -= unused
        for reference, start in sorted(unused):
            data = self.disks[reference].volume.data.slice(start, made.size)
            self.used.append((reference, start, made.size))
            kind = f"{made.kind}, as disk {reference:#010x} has it, which is out of use"
            yield Volume(data, index=0, start=-1, scheme="ddf", kind=kind, type_code=made.type_code, label=made.label, state="snapshot")

    def _second(self, basics: dict[int, _Basic], newest: _Basic, label: str) -> ByteSource:
        """Basic disks joined by the secondary level."""
        head, where = newest.head, span_of(newest.disk.volume, newest.at, BLOCK)
        if max(basics) >= head.seconds:
            raise Corrupt("DDF configuration", where, f"basic disk {max(basics)} of {head.seconds}")
        made: dict[int, ByteSource] = {}
        for number, basic in basics.items():
            try:
                made[number] = self._basic(basic, label)
            except Unsupported as error:
                self.budget.report(error, label)
        sizes = {p.size for p in made.values()}
        lost = [i for i in range(head.seconds) if i not in made]
        if not made:
            raise Unsupported("DDF virtual disk", where, "none of its basic disks can be read")
        if lost:
            text = f"basic disks {lost} of {head.seconds} are not here or not used"
            self.budget.report(Finding("Unreadable", "DDF basic disk", text, label))
            if len(sizes) > 1:
                raise Unsupported("DDF virtual disk", where, "of basic disks of unequal size some are missing: their places are not known")
        parts = [made[i] if i in made else Missing(max(sizes), f"basic disk {i} of {label}") for i in range(head.seconds)]
        if head.second_level == 1:
            return Mirror([None if isinstance(p, Missing) else p for p in parts], min(sizes))
        if head.second_level == 2:
            return ConcatSource(parts)
        if head.second_level in (0, 3) and len(sizes) == 1 and head.level in (0x00, 0x01) and head.chunk_shift <= 20:
            chunk, size = BLOCK << head.chunk_shift, sizes.pop()
            return Stripes(parts, [Zone(0, size // chunk * chunk * len(parts), 0, tuple(range(len(parts))))], chunk)
        text = f"{ddf.SECONDARY.get(head.second_level, head.second_level)} over {ddf.LEVELS.get(head.level, head.level)}"
        raise Unsupported("DDF virtual disk", where, text)

    def _basic(self, one: _Basic, label: str) -> ByteSource:
        head, n = one.head, one.head.elements
        where = span_of(one.disk.volume, one.at, BLOCK)
        level, qualifier, chunked = head.level, head.qualifier, head.level not in (0x01, 0x0F, 0x1F)
        if not 0 < n <= len(one.references) or (chunked and head.chunk_shift > 20):
            raise Corrupt("DDF configuration", where, f"{n} disks, chunks of 512 << {head.chunk_shift}")
        chunk = BLOCK << head.chunk_shift if chunked else BLOCK
        copies = level in (0x01, 0x04, 0x05, 0x06, 0x11) or (head.seconds > 1 and head.second_level == 1)
        size = head.blocks * BLOCK
        sources = [self._member(one, i, size, copies, label) for i in range(n)]
        lost = [i for i, s in enumerate(sources) if s is None]
        if lost:
            text = f"{len(lost)} of {n} are not there or not used: {lost}"
            self.budget.report(Finding("Unreadable", "DDF member", text, label))
        if all(s is None for s in sources):
            raise Unsupported("DDF virtual disk", where, "none of its disks that are here can be used")
        if level == 0x01:
            return Mirror(sources, size)
        if level in (0x0F, 0x1F):
            return self._joined(one, sources)
        rows = size // chunk * chunk
        if level == 0x00:
            return Stripes(sources, [Zone(0, rows * n, 0, tuple(range(n)))], chunk)
        if level == 0x11 and qualifier in (0, 1):
            return Tens(sources, 0x102 if qualifier == 0 else 0x10201, chunk, rows)
        layout = {0x04: {0: 4, 1: 5}, 0x05: _ROTATED_5, 0x06: _ROTATED_6}.get(level, {}).get(qualifier)
        if layout is None:
            raise Unsupported("DDF virtual disk", where, f"{ddf.LEVELS.get(level, f'level {level:#04x}')}, qualifier {qualifier}")
        if n < (4 if level == 0x06 else 3):
            raise Corrupt("DDF configuration", where, f"{ddf.LEVELS[level]} of {n} disks")
        return Parity(sources, 6 if level == 0x06 else 5, layout, chunk, rows * (n - (2 if level == 0x06 else 1)))

    def _member(self, one: _Basic, number: int, size: int, copies: bool, label: str) -> ByteSource | None:
        """The extent of one disk; None when it is not here, or not to be believed where others can give its bytes."""
        reference = one.references[number]
        disk = self.disks.get(reference)
        if disk is None:
            return None
        state, start = self.newest.disks.get(reference, {}).get("state", 0), one.starts[number] * BLOCK
        where = span_of(disk.volume, disk.at, BLOCK)
        if state & (FAILED | LOST | REBUILDING) or not state & ONLINE:
            words = "failed" if state & FAILED else "missing" if state & LOST else "being rebuilt" if state & REBUILDING else "not online"
            text = f"disk {reference:#010x} is {words} by the newest header: {'not used' if copies else 'read, for no other has its bytes'}"
            self.budget.report(Finding.note("DDF member", text, label, where))
            if copies:
                self.unused.add((reference, start))
                return None
        if start + size > disk.volume.size:
            text = f"{size} bytes from {start} of {disk.volume.size}"
            self.budget.report(Truncated("DDF member", where, text), label)
            if start >= disk.volume.size:
                return None
        self.used.append((reference, start, size))
        return disk.volume.strict.slice(start, size)

    def _joined(self, one: _Basic, sources: list[ByteSource | None]) -> ByteSource:
        """One disk behind the other; each may have its own size, which only its own record says."""
        parts: list[ByteSource] = []
        for number, source in enumerate(sources):
            disk = self.disks.get(one.references[number])
            own = next((b for b in disk.basics if b.guid == one.guid and b.second == one.second), None) if disk else None
            if source is None or disk is None or own is None:
                where = span_of(one.disk.volume, one.at, BLOCK)
                raise Unsupported("DDF virtual disk", where, f"disks one behind the other, and number {number} is missing")
            self.used.append((disk.reference, own.starts[number] * BLOCK, own.head.blocks * BLOCK))
            parts.append(disk.volume.strict.slice(*self.used[-1][1:]))
        return ConcatSource(parts)

    def _slack(self, disk: _Disk) -> Iterator[Volume]:
        """What no virtual disk is read from: the metadata and the controller's own space at the end, too."""
        taken = [(start, size) for reference, start, size in self.used if self.disks[reference] is disk]
        at, base = 0, disk.volume.start
        for start, size in [*sorted(taken), (disk.volume.size, 0)]:
            low = min(start, disk.volume.size)
            if low > at:
                yield Volume(
                    disk.volume.data.slice(at, low - at), index=0, start=base + at if base >= 0 else -1, scheme="ddf",
                    kind="in no virtual disk", label=f"{self.label}/{disk.reference:#010x}", state="slack",
                )  # fmt: skip
            at = max(at, start + size)


def _name(guid: bytes) -> str:
    """A GUID of 24 bytes: the vendor's eight characters, then the rest in hex."""
    return escape(guid[:8].decode("latin-1").strip()) + "-" + guid[8:].hex()


FORMAT = VolumeLayer(
    name="ddf",
    title="RAID controllers with SNIA Disk Data Format (DDF)",
    refs=("SNIA, Common RAID Disk Data Format Specification, revision 2.0", "mdadm(8), --metadata=ddf"),
    gaps=(
        "RAID 3, 5E, 5EE, 5R and MDF levels are named, not read; nor is a secondary level striped over RAID 4, 5 or 6",
        "a controller's write cache, logs and lists of bad blocks are not looked at",
        "a disk that was being rebuilt is not used, not even the part that was done",
        "headers whose fields are little-endian, as some controllers wrote, and disks with blocks other than 512 bytes are not read",
        "RAID 4, 1E, JBOD and concatenation follow the specification; only RAID 0, 1, 5, 6 and 10 were there to be compared",
        "when the anchor is lost, the copies of the header are not searched for",
    ),
    order=10,
    disks=probe,
    probe=probe,
    open=open_ddf,
)
