"""LVM2: from labels to volume groups, their volumes, their history and what is free."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource
from forensiclib.formats import lvm2
from forensiclib.formats._dsl import parse
from forensiclib.volumes._lvmgroup import Group
from forensiclib.volumes._lvmtext import Section, group_of, integer, parsed, texts
from forensiclib.volumes._parts import span_of
from forensiclib.volumes._raid import Missing

__all__ = ["FORMAT", "open_lvm", "probe"]

SECTOR = 512
HEADER = 512
MANY_AREAS = 16
LARGEST_TEXT = 64 << 20
_BELOW = ("origin", "cow_store", "thin_pool", "pool", "metadata", "data", "cache_pool", "external_origin", "mirror_log")
"""Keys of a segment that name another logical volume."""
_BEGIN = re.compile(rb'[A-Za-z0-9_.+-]{1,127} \{\n\s*id = "')


@dataclass(slots=True)
class _Text:
    """One generation of a group's metadata: where it stands, and what it says."""

    name: str
    section: Section
    current: bool
    at: int
    length: int

    @property
    def key(self) -> str:
        return str(self.section.get("id", ""))

    @property
    def number(self) -> int:
        return int(self.section["seqno"])


@dataclass(slots=True)
class _Physical:
    """A physical volume: the volume it is on, its uuid, the generations in its rings."""

    volume: Volume
    uuid: str
    texts: list[_Text] = field(default_factory=list)


def probe(source: ByteSource) -> bool:
    """Whether one of the first four sectors is a label."""
    head = source.read_at(0, 4 * SECTOR)
    return any(head[at : at + 8] == b"LABELONE" and head[at + 24 : at + 32] == b"LVM2 001" for at in range(0, 4 * SECTOR, SECTOR))


def _crc(data: bytes) -> int:
    return zlib.crc32(data, lvm2.CRC_SEED ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def open_lvm(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The logical volumes of every group of which a member is here: those that users see, then deleted ones that an older
    generation of the metadata still tells of, then free extents as slack."""
    physical = [found for member in members if (found := _physical(member, budget)) is not None]
    if not physical:
        raise NotThisFormat("LVM2", None, "no label that holds")
    pvs: dict[str, ByteSource] = {}
    for pv in physical:
        if pv.uuid in pvs:
            text = f"two physical volumes {pv.uuid}: the first is used"
            budget.report(Finding.note("LVM physical volume", text, "", span_of(pv.volume, 0, SECTOR)))
        pvs.setdefault(pv.uuid, pv.volume.strict)  # what one copy cannot give, another may
    out: list[Volume] = []
    told: set[str] = set()
    for key in dict.fromkeys(text.key for pv in physical for text in pv.texts):
        generations = sorted((t for pv in physical for t in pv.texts if t.key == key), key=lambda t: (t.current, t.number))
        newest = generations[-1]
        budget.check()
        _say(newest, generations, budget)
        try:
            group = Group(newest.name, newest.section, pvs, budget)
        except EvidenceError as error:
            budget.report(error, newest.name)
            continue
        told |= {str(p.get("id", "")).replace("-", "") for p in group.physical.values()}
        out += _allocated(group, budget)
        out += _deleted(group, generations, pvs, budget)
        out += _slack(group, physical, budget)
    for pv in physical:
        if pv.uuid not in told:
            budget.report(Finding.note("LVM physical volume", f"{pv.uuid} is in no group", "", span_of(pv.volume, 0, SECTOR)))
    for index, volume in enumerate(out, 1):
        volume.index = index
    return out


def _physical(member: Volume, budget: Budget) -> _Physical | None:
    head = member.read_at(0, 4 * SECTOR)
    for at in range(0, len(head), SECTOR):
        if head[at : at + 8] != b"LABELONE" or head[at + 24 : at + 32] != b"LVM2 001" or at + SECTOR > len(head):
            continue
        label = parse(lvm2.LABEL, member, at, "LVM label")
        raw, where = head[at : at + SECTOR], span_of(member, at, SECTOR)
        if (crc := _crc(raw[20:])) != label.crc:
            budget.report(Corrupt("LVM label", where, f"checksum {label.crc:#010x} stored, {crc:#010x} computed"))
        if not 32 <= label.offset <= SECTOR - lvm2.PV.sizeof():
            budget.report(Corrupt("LVM label", where, f"header at {label.offset}"))
            continue
        header = parse(lvm2.PV, member, at + label.offset, "LVM physical volume")
        out = _Physical(member, header.uuid.decode("ascii", "replace"))
        if header.size > member.size:
            budget.report(Truncated("LVM physical volume", where, f"{header.size} bytes, of which {member.size} are there"))
        for start, size in _areas(raw, label.offset + lvm2.PV.sizeof()):
            try:
                out.texts += _ring(member, start, size, budget)
            except EvidenceError as error:
                budget.report(error)
        return out
    return None


def _areas(raw: bytes, at: int) -> Iterator[tuple[int, int]]:
    """The metadata areas, the second of the two lists."""
    lists = 0
    for _ in range(MANY_AREAS):
        if at + 16 > len(raw):
            return
        start, size = int.from_bytes(raw[at : at + 8], "little"), int.from_bytes(raw[at + 8 : at + 16], "little")
        at += 16
        if start == 0:
            lists += 1
            if lists == 2:
                return
        elif lists == 1:
            yield start, size


def _ring(member: Volume, start: int, size: int, budget: Budget) -> list[_Text]:
    """The metadata in force and the older ones that are still in the ring."""
    head = parse(lvm2.MDA, member, start, "LVM metadata area")
    where = span_of(member, start, HEADER)
    raw = member.read_at(start, HEADER)
    if (crc := _crc(raw[4:])) != head.crc:
        budget.report(Corrupt("LVM metadata area", where, f"checksum {head.crc:#010x} stored, {crc:#010x} computed"))
    if head.start != start or not HEADER < head.size <= LARGEST_TEXT:
        raise Corrupt("LVM metadata area", where, f"{head.size} bytes at {head.start}")
    ring = member.read_at(start + HEADER, budget.allocate("LVM metadata", head.size - HEADER, where))
    out: list[_Text] = []
    current = -1
    location = parse(lvm2.LOCATION, member, start + lvm2.MDA.sizeof(), "LVM metadata location")
    if location.offset and location.size and not location.flags & 1:
        current = location.offset - HEADER
        if not 0 <= current < len(ring) or location.size > len(ring):
            raise Corrupt("LVM metadata location", where, f"{location.size} bytes at {location.offset}")
        data = (ring[current:] + ring[:current])[: location.size]
        if (crc := _crc(data)) != location.crc:
            text = f"checksum {location.crc:#010x} stored, {crc:#010x} computed"
            budget.report(Corrupt("LVM metadata", span_of(member, start + HEADER + current, location.size), text))
        else:
            out += _generation(data, True, start + HEADER + current, budget)
    for match in _BEGIN.finditer(ring):
        if match.start() % SECTOR or match.start() == current:
            continue
        data = ring[match.start() :] + ring[: match.start()]
        out += _generation(data[: max(0, data.find(b"\0"))], False, start + HEADER + match.start(), budget)
    return out


def _generation(data: bytes, current: bool, at: int, budget: Budget) -> Iterator[_Text]:
    try:
        found = group_of(parsed(data.rstrip(b"\0").decode("utf-8", "replace"), budget))
    except Corrupt as error:
        if current:
            budget.report(error)
        return  # an older one of which a part is overwritten
    if found is not None:
        yield _Text(found[0], found[1], current, at, len(data))


def _say(newest: _Text, generations: list[_Text], budget: Budget) -> None:
    if not newest.current:
        text = f"no metadata in force holds; generation {newest.number} of group {newest.name!r} is used"
        budget.report(Corrupt("LVM metadata", None, text), newest.name)
    older = sorted({t.number for t in generations if not t.current and t.number < newest.number})
    if older:
        text = f"generation {newest.number} is in force; the ring still holds {', '.join(map(str, older[-20:]))}"
        budget.report(Finding.note("LVM metadata", text, newest.name))
    behind = sorted({t.number for t in generations if t.current} - {newest.number})
    if behind:
        text = f"physical volumes disagree: generation {newest.number} is used, others are at {', '.join(map(str, behind))}"
        budget.report(Finding.note("LVM metadata", text, newest.name))


def _allocated(group: Group, budget: Budget) -> Iterator[Volume]:
    for lost in group.missing():
        budget.report(Finding("Unreadable", "LVM physical volume", f"{lost} is not there", group.name))
    for name, types, content in group.visible():
        where = f"{group.name}/{name}"
        if isinstance(content, EvidenceError):
            budget.report(content, where)
        else:
            state: State = "snapshot" if types == "snapshot" else "allocated"
            yield _volume(content, where, types, state)
    for pool in [name for name in group.logical if "thin-pool" in group.types(name)]:
        yield from _orphans(group, pool, budget)


def _orphans(group: Group, pool: str, budget: Budget) -> Iterator[Volume]:
    """Devices of a thin pool that no logical volume is made of."""
    known = {s.get("device_id") for name in group.logical for s in group.segments(name) if s.get("thin_pool") == pool}
    try:
        for device in sorted(set(group.pool(pool).roots) - known):
            runs = group.pool(pool).runs(device)
            size = sum(runs[-1][::2]) * group.pool(pool).block if runs else 0
            if size and size < 1 << 60:
                where = f"{group.name}/{pool} device {device}"
                budget.report(Finding.note("LVM thin pool", f"device {device} belongs to no logical volume", where))
                yield _volume(group.thin(pool, device, size), where, "thin", "deleted")
    except EvidenceError as error:
        budget.report(error, f"{group.name}/{pool}")


def _deleted(group: Group, generations: list[_Text], pvs: dict[str, ByteSource], budget: Budget) -> Iterator[Volume]:
    """Volumes that only older generations have, by the last one that has them."""
    seen = {str(s.get("id")) for s in group.logical.values()}
    taken = _used(group)
    for text in reversed([t for t in generations if t.number < integer(group.section, "seqno")]):
        try:
            old = Group(text.name, text.section, pvs, Budget(budget.limits, budget.cancelled, lambda finding: None))
        except EvidenceError as error:
            budget.report(error, f"{text.name}, generation {text.number}")
            continue
        for name, section in old.logical.items():
            key = str(section.get("id"))
            types = old.types(name)
            if key in seen or "VISIBLE" not in texts(section, "status") or "thin-pool" in types or "snapshot" in types:
                continue
            seen.add(key)
            where = f"{old.name}/{name}"
            try:
                content = old.volume(name)
            except EvidenceError as error:
                budget.report(error, f"{where}, deleted")
                continue
            mine = _used(old, name)
            lost = sum(_common(mine.get(pv, []), taken.get(pv, [])) for pv in mine)
            total = sum(n for runs in mine.values() for _, n in runs)
            words = f"deleted after generation {text.number}; {lost} of its {total} extents belong to others now"
            budget.report(Finding.note("LVM logical volume", words, where))
            yield _volume(content, where, "+".join(types), "deleted")


def _used(group: Group, name: str | None = None) -> dict[str, list[tuple[int, int]]]:
    """Physical volume's id -> sorted (first extent, extents) that the group, or one volume with all it is made of, takes."""
    out: dict[str, list[tuple[int, int]]] = {}
    todo, seen = [name] if name else list(group.logical), set[str]()
    while todo:
        here = todo.pop()
        if here in seen or here not in group.logical:
            continue
        seen.add(here)
        for segment in group.segments(here):
            count = segment.get("extent_count")
            named = texts(segment, "stripes") + texts(segment, "mirrors") + texts(segment, "raids") + texts(segment, "raid0_lvs")
            width = len(texts(segment, "stripes")) // 2 or 1
            for pv, start in pairwise(named):
                if pv in group.physical and isinstance(start, int) and isinstance(count, int):
                    out.setdefault(str(group.physical[pv].get("id")), []).append((start, -(-count // width)))
            todo += [str(v) for v in (*named, *(segment.get(key) for key in _BELOW)) if isinstance(v, str)]
    return {pv: sorted(runs) for pv, runs in out.items()}


def _common(mine: list[tuple[int, int]], others: list[tuple[int, int]]) -> int:
    return sum(max(0, min(a + n, b + m) - max(a, b)) for a, n in mine for b, m in others)


def _slack(group: Group, physical: list[_Physical], budget: Budget) -> Iterator[Volume]:
    """Extents that no volume takes, and what is behind the last one."""
    used = _used(group)
    by_uuid = {pv.uuid: pv.volume for pv in reversed(physical)}
    for name, section in group.physical.items():
        volume = by_uuid.get(str(section.get("id", "")).replace("-", ""))
        if volume is None:
            continue
        try:
            first = integer(section, "pe_start") * SECTOR
        except EvidenceError as error:
            budget.report(error, group.name)
            continue
        at = first
        for start, count in [*used.get(str(section.get("id")), []), ((volume.size - first) // group.extent + 1, 0)]:
            low = min(first + start * group.extent, volume.size)
            if low > at:
                yield Volume(
                    volume.data.slice(at, low - at), index=0, start=volume.start + at if volume.start >= 0 else -1, scheme="lvm",
                    kind="free extents", label=f"{group.name}/{name}", state="slack",
                )  # fmt: skip
            at = max(at, low + count * group.extent)


def _volume(content: ByteSource, label: str, types: str, state: State) -> Volume:
    kind = f"LVM {types.replace('striped', 'linear or striped')} volume"
    if isinstance(content, Missing):
        kind += ", nothing of it is here"
    return Volume(content, index=0, start=-1, scheme="lvm", kind=kind, type_code=types, label=label, state=state)


FORMAT = VolumeLayer(
    name="lvm",
    title="Linux LVM2 volume groups",
    refs=(
        "lvm2 source tree, doc/lvm_ondisk_format.txt",
        "lvm.conf(5); lvmraid(7); lvmthin(7); lvmcache(7)",
        "Linux, Documentation/admin-guide/device-mapper (dm-raid, snapshot, thin-provisioning, persistent-data)",
        "J. Metz, Logical Volume Manager (LVM) format (libvslvm)",
    ),
    gaps=(
        "a cache is not read: a cached volume is its origin, with a finding",
        "VDO, writecache and integrity segments are reported, not read",
        "LVM1 and clustered pool formats are not read",
        "a group whose members lie partly on arrays and partly beside them is opened in parts",
        "a metadata area that is flagged as ignored is searched for older generations only",
    ),
    order=50,
    probe=probe,
    open=open_lvm,
)
