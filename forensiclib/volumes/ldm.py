"""Windows dynamic disks (LDM): from the databases of the disks of a group to its volumes, whole or degraded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.formats import ldm
from forensiclib.volumes._ldmdb import Component, Database, Dynamic, Partition, Planned, database, dynamic, heads, table_unit
from forensiclib.volumes._parts import span_of
from forensiclib.volumes._raid import Mirror, Missing, Parity, Stripes, Zone
from forensiclib.volumes.gpt import open_gpt
from forensiclib.volumes.mbr import open_mbr

__all__ = ["FORMAT", "open_ldm", "probe"]

STRIPED, SPANNED, RAID5 = 1, 2, 3
LEFT_SYMMETRIC = 2
_OWN = {f"{ldm.MBR_TYPE:#04x}", ldm.GPT_DATA, ldm.GPT_METADATA}
"""Type codes of the partitions that hold volumes of the group, or the database."""


@dataclass(slots=True)
class _Disk:
    """A disk that is here: the volume it is, its header, its own copy of the database."""

    volume: Volume
    at: Dynamic
    base: Database

    @property
    def label(self) -> str:
        return self.at.group_name or self.at.group


def probe(source: ByteSource) -> bool:
    """Whether a private header stands in one of its places, on a disk whose partition table allows a dynamic disk."""
    return bool(heads(source))


def open_ldm(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The volumes of every group of which a disk is here; then the partitions of these disks that the group has no part in
    (EFI system, recovery), and as slack what neither takes."""
    disks: list[_Disk] = []
    for member in members:
        try:
            head = dynamic(member, budget)
            disks.append(_Disk(member, head, database(member, head, budget)))
        except EvidenceError as error:
            budget.report(error)
    if not disks:
        raise NotThisFormat("LDM", None, "no private header and database that hold")
    out: list[Volume] = []
    for group in dict.fromkeys(d.at.group for d in disks):
        mine = [d for d in disks if d.at.group == group]
        if len({d.at.unit for d in mine}) > 1:
            raise Unsupported("LDM", None, f"disks of group {mine[0].label} have sectors of different sizes")
        out += _Group(mine, budget).volumes()
    for index, volume in enumerate(out, 1):
        volume.index = index
    return out


class _Group:
    """The disks of one group that are here, and the database that is in force."""

    def __init__(self, disks: list[_Disk], budget: Budget) -> None:
        self.budget = budget
        best = max(disks, key=lambda d: (not d.base.problems, d.base.number))
        self.base, self.label = best.base, best.label
        self.parts: dict[int, list[Partition]] = {}
        for part in self.base.partitions.values():
            self.parts.setdefault(part.parent, []).append(part)
        self.components: dict[int, list[Component]] = {}
        for component in self.base.components.values():
            self.components.setdefault(component.parent, []).append(component)
        self.shown: set[int] = set()
        self.disks: dict[int, _Disk] = {}
        self.stale: set[int] = set()
        self.unused: set[int] = set()
        self.all = disks
        for problem in best.base.problems:
            budget.report(problem, self.label)
        for disk in disks:
            self._place(disk, best)
        for held in self.base.disks.values():
            if held.id not in self.disks:
                budget.report(Finding("Unreadable", "dynamic disk", f"{held.name} ({held.guid}) is not there", self.label))

    def _place(self, disk: _Disk, best: _Disk) -> None:
        where = span_of(disk.volume, disk.at.config_start, 512)
        if disk is not best and disk.base.problems:
            text = f"of transaction {disk.base.number} contradicts itself ({disk.base.problems[0]}): that of another disk is used"
            self.budget.report(Corrupt("LDM database", where, text), self.label)
        elif disk.base.number != best.base.number:
            text = f"disks disagree: transaction {best.base.number} is used, that of disk {disk.at.disk} is {disk.base.number}"
            self.budget.report(Corrupt("LDM database", where, text), self.label)
        key = next((h.id for h in self.base.disks.values() if h.guid == disk.at.disk), None)
        if key is None:
            text = f"{disk.at.disk} is in no record of its group: it left it, or it is of another one of the same name"
            self.budget.report(Finding.note("dynamic disk", text, self.label, where))
        elif key in self.disks:
            self.budget.report(Finding.note("dynamic disk", f"two disks {disk.at.disk}: the first is used", self.label, where))
        else:
            self.disks[key] = disk
            if disk.base.number < best.base.number:
                self.stale.add(key)

    def volumes(self) -> Iterator[Volume]:
        """The volumes, other partitions, slack."""
        for planned in sorted(self.base.volumes.values(), key=lambda v: v.id):
            self.budget.item()
            try:
                made, old = self._volume(planned)
            except EvidenceError as error:
                self.budget.report(error, f"{self.label}/{planned.name}")
                continue
            yield made
            self.shown |= {p.id for c in self.components[planned.id] for p in self.parts.get(c.id, [])} - self.unused
            for content in old:
                kind = f"{made.kind}, as a copy has it that is out of date"
                yield Volume(
                    content, index=0, start=-1, scheme="ldm", kind=kind, type_code=made.type_code, label=made.label, state="snapshot"
                )
        for disk in self.all:
            others = _others(disk, self.budget)
            taken = [(v.start, v.size) for v in others]
            for volume in others:
                volume.start = disk.volume.start + volume.start if disk.volume.start >= 0 else -1
            yield from others
            yield from self._slack(disk, taken)

    def _volume(self, planned: Planned) -> tuple[Volume, list[ByteSource]]:
        """The volume, and its copies that are out of date."""
        mine = sorted(self.components.get(planned.id, []), key=lambda c: c.id)
        if not mine or len(mine) != planned.children:
            raise Corrupt("LDM volume", None, f"{len(mine)} components, its record says {planned.children}")
        if planned.state != "ACTIVE":
            self.budget.report(Finding.note("LDM volume", f"state {planned.state!r}", f"{self.label}/{planned.name}"))
        copies: list[tuple[tuple[bool, bool, int], ByteSource]] = []
        words, lost = "", 0
        for number, component in enumerate(mine):
            try:
                parts = self._parts(component)
                content, words = self._component(planned, component, parts)
            except EvidenceError as error:
                if len(mine) == 1:
                    raise
                self.budget.report(error, f"{self.label}/{planned.name}")
                continue
            lost = sum(p.disk not in self.disks for p in parts)
            old = any(p.disk in self.stale for p in parts) or component.state != "ACTIVE"
            if old and len(mine) > 1:
                text = f"copy {component.name} is {component.state} or on a disk that is behind: read where no other copy is"
                self.budget.report(Finding.note("LDM component", text, f"{self.label}/{planned.name}"))
            if not isinstance(content, Missing):
                copies.append(((old, lost > 0, number), content))
        away = self._names(mine)
        if not copies:
            raise Unsupported("LDM volume", None, f"none of its disks is here ({', '.join(away)})" if away else "no copy can be read")
        if away:
            whole = any(not key[1] for key, _ in copies) or (mine[0].kind == RAID5 and lost == 1)
            text = f"{'degraded, and all of it read' if whole else 'incomplete'} without {', '.join(away)}"
            self.budget.report(Finding("Unreadable", "LDM volume", text, f"{self.label}/{planned.name}"))
        size = planned.size * self.all[0].at.unit
        content = Mirror([c for _, c in sorted(copies, key=lambda c: c[0])], size) if len(mine) > 1 else _sized(copies[0][1], size)
        kind = f"dynamic disk, {'mirrored' if len(mine) > 1 else words} volume" + (f", drive {planned.letter}" if planned.letter else "")
        code = "+".join({STRIPED: "striped", SPANNED: "spanned", RAID5: "raid5"}.get(c.kind, str(c.kind)) for c in mine)
        volume = Volume(content, index=0, start=-1, scheme="ldm", kind=kind, type_code=code, label=f"{self.label}/{planned.name}")
        return volume, [_sized(c, size) for key, c in copies if key[0] and len(copies) > 1]

    def _names(self, components: list[Component]) -> list[str]:
        """The disks that are not here."""
        keys = dict.fromkeys(p.disk for c in components for p in self.parts.get(c.id, []) if p.disk not in self.disks)
        return [self.base.disks[k].name if k in self.base.disks else f"disk {k}" for k in keys]

    def _parts(self, component: Component) -> list[Partition]:
        found = self.parts.get(component.id, [])
        if not found or len(found) != component.children:
            raise Corrupt("LDM component", None, f"{component.name}: {len(found)} partitions, its record says {component.children}")
        return sorted(found, key=lambda p: (p.column, p.offset))

    def _component(self, planned: Planned, component: Component, parts: list[Partition]) -> tuple[ByteSource, str]:
        """(content, what it is in words); Missing when none of its disks is here."""
        sources = [self._part(p) for p in parts]
        if component.kind == SPANNED:
            at = 0
            for part in parts:
                if part.offset != at:
                    raise Corrupt("LDM component", None, f"{component.name}: {part.name} at {part.offset}, {at} expected")
                at += part.size
            if at != planned.size:
                raise Corrupt("LDM component", None, f"{component.name}: {at} sectors for a volume of {planned.size}")
            return _joined(sources), "simple" if len(parts) == 1 else "spanned"
        if component.kind not in (STRIPED, RAID5):
            raise Unsupported("LDM component", None, f"{component.name}: type {component.kind}")
        n, chunk, unit = len(parts), component.chunk * self.all[0].at.unit, self.all[0].at.unit
        if component.columns != n or [p.column for p in parts] != list(range(n)) or any(p.offset for p in parts):
            raise Unsupported("LDM component", None, f"{component.name}: {n} partitions in {component.columns} columns")
        wide = n - (component.kind == RAID5)
        size = planned.size * unit
        if not component.chunk or n < (3 if component.kind == RAID5 else 1) or min(p.size for p in parts) * unit * wide < size:
            text = f"{n} columns of {min(p.size for p in parts)} sectors, chunks of {component.chunk}, for {planned.size}"
            raise Corrupt("LDM component", None, text)
        if all(isinstance(s, Missing) for s in sources):
            return Missing(size, ""), ""
        if component.kind == STRIPED:
            return Stripes(sources, [Zone(0, size, 0, tuple(range(n)))], chunk), "striped"
        return Parity(self._current(planned, parts, sources), 5, LEFT_SYMMETRIC, chunk, size), "RAID-5"

    def _current(self, planned: Planned, parts: list[Partition], sources: list[ByteSource]) -> list[ByteSource]:
        """The columns of a RAID-5: the one that is behind is worked out from the others, as long as it is the only one."""
        behind = [i for i, p in enumerate(parts) if p.disk in self.stale]
        gone = sum(p.disk not in self.disks for p in parts)
        if not behind:
            return sources
        out = len(behind) == 1 and not gone
        text = f"{len(behind)} of its disks are behind: {'worked out from the others' if out else 'read, for too little else is there'}"
        self.budget.report(Finding.note("LDM component", text, f"{self.label}/{planned.name}"))
        self.unused |= {parts[i].id for i in behind} if out else set()
        return [Missing(s.size, "a disk that is behind") if out and i in behind else s for i, s in enumerate(sources)]

    def _part(self, part: Partition) -> ByteSource:
        disk = self.disks.get(part.disk)
        if disk is None:
            held = self.base.disks.get(part.disk)
            name = f"{held.name} ({held.guid})" if held else f"number {part.disk}, which has no record"
            return Missing(part.size * self.all[0].at.unit, f"dynamic disk {name} of group {self.label}, which holds {part.name}")
        unit = disk.at.unit
        at, size = disk.at.data_start + part.start * unit, part.size * unit
        if at + size > disk.volume.size:
            lost = Missing(min(size, at + size - disk.volume.size), f"the disk ends at {disk.volume.size}, inside {part.name}")
            return _joined([disk.volume.strict.slice(at, size - lost.size), lost]) if lost.size < size else lost
        return disk.volume.strict.slice(at, size)

    def _slack(self, disk: _Disk, others: list[tuple[int, int]]) -> Iterator[Volume]:
        """What lies in no volume that was given and in no partition of the table: the database, too."""
        key = next((k for k, d in self.disks.items() if d is disk), None)
        unit, first, base = disk.at.unit, disk.at.data_start, disk.volume.start
        mine = [p for p in self.base.partitions.values() if p.disk == key and p.id in self.shown]
        taken = [(first + p.start * unit, p.size * unit) for p in mine]
        at = 0
        for start, size in [*sorted([*taken, *others]), (disk.volume.size, 0)]:
            low = min(start, disk.volume.size)
            if low > at:
                yield Volume(
                    disk.volume.data.slice(at, low - at), index=0, start=base + at if base >= 0 else -1, scheme="ldm",
                    kind="in no volume", label=f"{self.label}/{self._disk_name(disk)}", state="slack",
                )  # fmt: skip
            at = max(at, start + size)

    def _disk_name(self, disk: _Disk) -> str:
        return next((h.name for h in self.base.disks.values() if h.guid == disk.at.disk), disk.at.disk)


def _others(disk: _Disk, budget: Budget) -> list[Volume]:
    """Partitions of the disk's table that are not the group's; they keep their scheme and their place."""
    unit = table_unit(disk.volume)
    found: list[Volume] = []
    for reader in (open_gpt, open_mbr):
        try:
            found = reader(disk.volume, unit, budget)
            break
        except NotThisFormat:
            continue
        except EvidenceError as error:
            budget.report(error)
    return [v for v in found if v.state != "slack" and v.type_code not in _OWN]


def _joined(parts: list[ByteSource]) -> ByteSource:
    if all(isinstance(p, Missing) for p in parts):
        return Missing(sum(p.size for p in parts), parts[0].what if isinstance(parts[0], Missing) else "")
    return parts[0] if len(parts) == 1 else ConcatSource(parts)


def _sized(source: ByteSource, size: int) -> ByteSource:
    return source if source.size == size else source.slice(0, size)


FORMAT = VolumeLayer(
    name="ldm",
    title="Windows dynamic disks (Logical Disk Manager)",
    refs=(
        "R. Russon, LDM documentation of the Linux-NTFS project",
        "Linux Documentation/admin-guide/ldm.rst; block/partitions/ldm.h",
        "Microsoft, Dynamic disks and volumes (Windows Server documentation)",
    ),
    gaps=(
        "the log of transactions is not replayed: of a change under way the records in force are used",
        "volumes that were deleted are not searched for: Windows clears their records",
        "striped and RAID-5 volumes with more partitions than columns are refused",
        "disks with sectors of 4,096 bytes follow the same rules; no real one was at hand",
        "a copy that went stale is known by its state and by a database that is behind, not by the log of dirty regions",
        "states of a partition that is being rebuilt are not known: it is read as it is",
        "a private header that is left on a disk with another partition table is not looked at",
    ),
    order=20,
    disks=probe,
    probe=probe,
    open=open_ldm,
)
