"""Intel Matrix RAID (Rapid Storage Technology): arrays of mainboards.

The metadata is the same on every member and names disks by their serial numbers only, which are not on the disk. So which image is
which disk is taken from their sizes, where these differ, or from serial numbers in the names of the images; where neither says it,
only mirrors are read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.text import escape
from forensiclib.formats import imsm
from forensiclib.volumes._parts import span_of
from forensiclib.volumes._raid import Mirror, Parity, Stripes, Tens, Zone

__all__ = ["FORMAT", "open_imsm", "probe"]

SECTOR = 512
LARGEST = 1 << 20
SPARE, FAILED = 1, 4
REBUILDING = 1 << 24
LEFT_ASYMMETRIC, NEAR_TWO = 0, 0x102


@dataclass(frozen=True, slots=True)
class _Map:
    """Where a volume lies: bytes on each member; ``disks`` (number of the disk, whether it is being rebuilt) by place."""

    start: int
    size: int
    chunk: int
    level: int
    domains: int
    disks: tuple[tuple[int, bool], ...]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A volume as the metadata has it; ``changing`` a change of its layout is under way."""

    name: str
    size: int
    dirty: bool
    changing: bool
    map: _Map


@dataclass(frozen=True, slots=True)
class _Disk:
    """A member: which family it is of, how new its metadata is, the disks ((serial, bytes, status) each) and volumes of that."""

    volume: Volume
    family: int
    generation: int
    disks: tuple[tuple[str, int, int], ...]
    planned: tuple[_Planned, ...]


def _at(source: ByteSource) -> int:
    return source.size // SECTOR * SECTOR - 2 * SECTOR


def probe(source: ByteSource) -> bool:
    """Whether the last sector but one is an anchor."""
    at = _at(source)
    return at >= 0 and source.read_at(at, len(imsm.SIGNATURE)) == imsm.SIGNATURE


def open_imsm(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The volumes of every family of which a disk is here, then as slack what none of them takes."""
    disks: list[_Disk] = []
    for member in members:
        try:
            disks.append(_disk(member, budget))
        except EvidenceError as error:
            budget.report(error)
    if not disks:
        raise NotThisFormat("Intel RAID", None, "no metadata that holds")
    out: list[Volume] = []
    for family in dict.fromkeys(d.family for d in disks):
        out += _Family([d for d in disks if d.family == family], budget).volumes()
    if not any(v.state != "slack" for v in out):
        raise Unsupported("Intel RAID", span_of(members[0], _at(members[0]), SECTOR), "no volume can be read of what is here")
    for index, volume in enumerate(out, 1):
        volume.index = index
    return out


def _disk(member: Volume, budget: Budget) -> _Disk:
    at = _at(member)
    raw = member.read_at(at, SECTOR) if at >= 0 else b""
    where = span_of(member, at, SECTOR) if at >= 0 else None
    if raw[: len(imsm.SIGNATURE)] != imsm.SIGNATURE:
        raise NotThisFormat("Intel RAID", where, "no signature")
    head = imsm.HEAD.parse(raw)
    more = -(-head.size // SECTOR) - 1
    if not imsm.HEAD.sizeof() <= head.size <= LARGEST or head.size % 4 or at < more * SECTOR:
        raise Corrupt("Intel RAID metadata", where, f"{head.size} bytes")
    raw = (raw + member.read_at(at - more * SECTOR, more * SECTOR))[: head.size]
    if len(raw) < head.size:
        raise Truncated("Intel RAID metadata", where, f"{len(raw)} of {head.size} bytes")
    computed = sum(struct.unpack(f"<{len(raw) // 4}I", raw)) - head.checksum & 0xFFFFFFFF
    if computed != head.checksum:
        raise Corrupt("Intel RAID metadata", where, f"checksum {head.checksum:#010x} stored, {computed:#010x} computed")
    if head.bad_blocks > 8:
        budget.report(Finding.note("Intel RAID metadata", "it has a log of bad blocks, which is not looked at", "", where))
    place, disks, planned = imsm.HEAD.sizeof(), [], []
    try:
        for _ in range(head.disks):
            one = imsm.DISK_LAYOUT.dict(raw, place)
            serial = escape(one["serial"].split(b"\0")[0].decode("latin-1").strip())
            disks.append((serial, (one["blocks"] | one["blocks_high"] << 32) * SECTOR, one["status"]))
            place += imsm.DISK.sizeof()
        for _ in range(head.volumes):
            made, place = _planned(raw, place, len(disks))
            planned.append(made)
    except struct.error as error:
        raise Corrupt("Intel RAID metadata", where, f"{head.disks} disks and {head.volumes} volumes in {len(raw)} bytes") from error
    except Corrupt as error:
        raise Corrupt(error.what, where, error.found) from error
    return _Disk(member, head.first_family or head.family, head.generation, tuple(disks), tuple(planned))


def _planned(raw: bytes, at: int, disks: int) -> tuple[_Planned, int]:
    if at + imsm.DEVICE.sizeof() > len(raw):
        raise struct.error("a volume passes the end")
    dev = imsm.DEVICE.parse(raw[at : at + imsm.DEVICE.sizeof()])
    now, at = _map(raw, at + imsm.DEVICE.sizeof(), disks)
    rebuilt = {d for d, flag in now.disks if flag}
    if dev.migrating:
        before, at = _map(raw, at, disks)
        rebuilt |= {d for d, flag in before.disks if flag}
    now = _Map(now.start, now.size, now.chunk, now.level, now.domains, tuple((d, d in rebuilt) for d, _ in now.disks))
    name = escape(dev.name.split(b"\0")[0].decode("latin-1").strip())
    changing = bool(dev.migrating) and dev.migration in (3, 4)
    return _Planned(name, (dev.size | dev.size_high << 32) * SECTOR, bool(dev.dirty & 1), changing, now), at


def _map(raw: bytes, at: int, disks: int) -> tuple[_Map, int]:
    one = imsm.MAP_LAYOUT.dict(raw, at)
    at += imsm.MAP.sizeof()
    order = struct.unpack_from(f"<{one['members']}I", raw, at)
    if not order or any(o & 0xFFFFFF >= disks for o in order) or len({o & 0xFFFFFF for o in order}) < len(order):
        raise Corrupt("Intel RAID map", None, f"members {[o & 0xFFFFFF for o in order]} of {disks} disks")
    made = _Map(
        (one["start"] | one["start_high"] << 32) * SECTOR, (one["blocks"] | one["blocks_high"] << 32) * SECTOR, one["strip"] * SECTOR,
        one["level"], one["domains"], tuple((o & 0xFFFFFF, bool(o & REBUILDING)) for o in order),
    )  # fmt: skip
    return made, at + 4 * len(order)


class _Family:
    """The disks of one family that are here; the newest metadata counts."""

    def __init__(self, disks: list[_Disk], budget: Budget) -> None:
        self.budget = budget
        self.newest = max(disks, key=lambda d: d.generation)
        self.label = f"family {self.newest.family:08x}"
        self.stale: set[int] = set()
        self.unused: dict[int, set[int]] = {}
        self.used: list[tuple[int, int, int]] = []
        """(which disk, start, size) of every extent that a volume shows."""
        for place, disk in enumerate(disks):
            if disk.generation < self.newest.generation:
                self.stale.add(place)
                text = f"generation {disk.generation}, the newest is {self.newest.generation}: used only where no other disk has its bytes"
                budget.report(Finding.note("Intel RAID disk", text, self.label, span_of(disk.volume, _at(disk.volume), SECTOR)))
        self.all = disks
        self.known = self._known()

    def _known(self) -> dict[int, int]:
        """Number of a disk -> which of those that are here it is, by its size or by its serial number in the image's name."""
        out: dict[int, int] = {}
        table = self.newest.disks
        sizes = [size for _, size, _ in table]
        for place, disk in enumerate(self.all):
            size = disk.volume.size // SECTOR * SECTOR
            spans = disk.volume.trace(_at(disk.volume), 1)
            name = _plain(spans[0].root) if spans else ""
            by_size = [i for i, s in enumerate(sizes) if s == size and sizes.count(s) == 1]
            by_name = [i for i, (serial, _, _) in enumerate(table) if len(key := _plain(serial.removesuffix(":0"))) >= 6 and key in name]
            for how, found in (("size", by_size), ("serial number in the name", by_name)):
                if len(found) == 1 and found[0] not in out and place not in out.values():
                    out[found[0]] = place
                    text = f"{name!r} is disk {found[0]} (serial number {table[found[0]][0]!r}), by its {how}"
                    self.budget.report(Finding.note("Intel RAID disk", text, self.label))
        left = [i for i in range(len(table)) if i not in out]
        rest = [p for p in range(len(self.all)) if p not in out.values()]
        if out and len(left) == len(rest) == 1:
            out[left[0]] = rest[0]
        return out

    def volumes(self) -> Iterator[Volume]:
        """The volumes, then slack."""
        for planned in self.newest.planned:
            self.budget.item()
            label, mark = f"{self.label}/{planned.name}", len(self.used)
            try:
                made = self._volume(planned)
            except EvidenceError as error:
                self.budget.report(error, label)
                del self.used[mark:]
                continue
            yield made
            for place in sorted(self.unused) if _mirror(planned.map) else ():
                if planned.map.start in self.unused[place] and (data := self._slice(place, planned.map)) is not None:
                    self.unused[place].discard(planned.map.start)
                    kind = f"Intel RAID 1, as a disk has it that is out of use, at generation {self.all[place].generation}"
                    size = min(planned.size, data.size)
                    yield Volume(
                        data.slice(0, size), index=0, start=-1, scheme="imsm", kind=kind, type_code="1:1", label=label, state="snapshot"
                    )
        for place in range(len(self.all)):
            yield from self._slack(place)

    def _volume(self, planned: _Planned) -> Volume:
        at, label = planned.map, f"{self.label}/{planned.name}"
        where, n = span_of(self.newest.volume, _at(self.newest.volume), SECTOR), len(at.disks)
        if planned.changing:
            raise Unsupported("Intel RAID volume", where, "its layout is being changed: the driver must finish it first")
        if planned.dirty and at.level:
            text = "it was not stopped cleanly: copies and parity may differ from the data"
            self.budget.report(Finding.note("Intel RAID volume", text, label, where))
        mirror = _mirror(at)
        sources = self._unordered(at) if mirror and not self.known else [self._member(at, i, label) for i in range(n)]
        lost = n - sum(s is not None for s in sources)
        if lost:
            text = f"{lost} of {n} disks are not there or not used"
            self.budget.report(Finding("Unreadable", "Intel RAID volume", text, label, "", where))
        if lost == n:
            raise Unsupported("Intel RAID volume", where, f"none of its disks can be used{self._wanted()}")
        if not mirror and not self.known:
            raise Unsupported("Intel RAID volume", where, f"which image is which disk is not known{self._wanted()}")
        content = self._content(at, sources, mirror, where)
        if not 0 < planned.size <= content.size:
            raise Corrupt("Intel RAID volume", where, f"{planned.size} bytes of an array that has {content.size}")
        kind = f"Intel RAID {10 if at.level == 1 and not mirror else at.level}"
        data = content if content.size == planned.size else content.slice(0, planned.size)
        return Volume(data, index=0, start=-1, scheme="imsm", kind=kind, type_code=f"{at.level}:{n}", label=label)

    def _wanted(self) -> str:
        serials = ", ".join(serial for serial, _, _ in self.newest.disks)
        return "" if self.known else f": the metadata has serial numbers only; put these into the names of the images ({serials})"

    def _content(self, at: _Map, sources: list[ByteSource | None], mirror: bool, where: Any) -> ByteSource:
        n = len(sources)
        if mirror:
            return Mirror(sources, at.size)
        if not SECTOR <= at.chunk <= 1 << 25:
            raise Corrupt("Intel RAID map", where, f"strips of {at.chunk} bytes")
        rows = at.size // at.chunk * at.chunk
        if at.level == 0:
            return Stripes(sources, [Zone(0, rows * n, 0, tuple(range(n)))], at.chunk)
        if at.level == 5 and n >= 3:
            return Parity(sources, 5, LEFT_ASYMMETRIC, at.chunk, rows * (n - 1))
        if at.level in (1, 10) and n % 2 == 0 and n >= 4:
            return Tens(sources, NEAR_TWO, at.chunk, rows)
        raise Unsupported("Intel RAID map", where, f"level {at.level} of {n} disks in {at.domains} domains")

    def _unordered(self, at: _Map) -> list[ByteSource | None]:
        """The copies of a mirror whose disks are not told apart: those that are up to date. Which of several disks of a larger set
        they are would have to be known."""
        if len(at.disks) != len(self.newest.disks):
            return [None] * len(at.disks)
        for place in self.stale:
            self.unused.setdefault(place, set()).add(at.start)
        found: list[ByteSource | None] = [self._slice(p, at) for p in range(len(self.all)) if p not in self.stale]
        return [*found, *[None] * len(at.disks)][: len(at.disks)]

    def _slice(self, place: int, at: _Map) -> ByteSource | None:
        data = self.all[place].volume.strict
        self.used.append((place, at.start, at.size))
        return data.slice(at.start, at.size) if at.start < data.size else None

    def _member(self, at: _Map, number: int, label: str) -> ByteSource | None:
        disk, rebuilt = at.disks[number]
        place = self.known.get(disk)
        if place is None:
            return None
        serial, _, status = self.newest.disks[disk]
        bad = "failed" if status & FAILED else "being rebuilt" if rebuilt else "out of date" if place in self.stale else ""
        if bad:
            text = f"disk {disk} ({serial}) is {bad}: {'not used' if at.level else 'read, for no other has its bytes'}"
            self.budget.report(Finding.note("Intel RAID disk", text, label))
            if at.level:
                self.unused.setdefault(place, set()).add(at.start)
                return None
        return self._slice(place, at)

    def _slack(self, place: int) -> Iterator[Volume]:
        """What no volume shows: the metadata, too."""
        volume = self.all[place].volume
        taken = [(start, size) for other, start, size in self.used if other == place]
        at, base = 0, volume.start
        for start, size in [*sorted(taken), (volume.size, 0)]:
            low = min(start, volume.size)
            if low > at:
                yield Volume(
                    volume.data.slice(at, low - at), index=0, start=base + at if base >= 0 else -1, scheme="imsm",
                    kind="in no volume", label=self.label, state="slack",
                )  # fmt: skip
            at = max(at, start + size)


def _mirror(at: _Map) -> bool:
    return at.level == 1 and len(at.disks) == at.domains


def _plain(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


FORMAT = VolumeLayer(
    name="imsm",
    title="Intel Matrix RAID (Rapid Storage Technology)",
    refs=("mdadm, super-intel.c (documentation of the fields)", "mdadm(8), --metadata=imsm"),
    gaps=(
        "which image is which disk must show in sizes or in serial numbers in the names of the images; otherwise only mirrors are read",
        "logs of bad blocks, partial parity, journals and caches (Smart Response, Optane) are not looked at",
        "a disk that was being rebuilt is not used, not even the part that was done",
        "disks with sectors of 4,096 bytes are not recognised",
        "RAID 10 of more than four disks follows what four show",
        "spare disks without volumes are left to the partition table",
    ),
    order=11,
    disks=probe,
    probe=probe,
    open=open_imsm,
)
