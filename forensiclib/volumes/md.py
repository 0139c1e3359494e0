"""Linux software RAID (md): superblocks of every version, arrays of every level, whole or degraded."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.core.text import escape
from forensiclib.formats import mdraid
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import span_of
from forensiclib.volumes._raid import LAYOUTS_5, LAYOUTS_6, Mirror, Missing, Parity, Stripes, Tens, stripe_zones

__all__ = ["FORMAT", "open_md", "probe"]

SPARE, FAULTY, JOURNAL = 0xFFFF, 0xFFFE, 0xFFFD
MOST = 4096
_LONG = 1 << 63


@dataclass(slots=True)
class _Super:
    """A superblock, any version. Sizes and offsets in bytes; ``slot`` the place in the array, or SPARE and so on."""

    volume: Volume
    at: int
    version: str
    uuid: str
    name: str
    level: int
    layout: int
    chunk: int
    size: int
    count: int
    events: int
    slot: int
    start: int
    length: int
    number: int
    features: int = 0
    recovered: int = -1
    clean: bool = True
    bad: tuple[tuple[int, int], ...] = ()
    slots: dict[int, int] = field(default_factory=dict)


def _places(size: int) -> Iterator[tuple[str, int]]:
    yield "1.1", 0
    yield "1.2", 4096
    if size >= 16 * 512:
        yield "1.0", ((size // 512 - 16) & ~7) * 512
    if size >= 1 << 16:
        yield "0.90", (size & ~0xFFFF) - (1 << 16)


def probe(source: ByteSource) -> bool:
    """Whether one of the four places holds a superblock."""
    return _found(source) is not None


def _whole(source: ByteSource) -> bool:
    """Whether a whole disk is a member. Version 0.90 cannot tell a disk from a partition that ends with it; the others say where they
    stand."""
    found = _found(source)
    return found is not None and found[0] != "0.90"


def _found(source: ByteSource) -> tuple[str, int, str] | None:
    """(version, offset, byte order); a version 1 superblock says where it stands, which tells copies apart."""
    for version, at in _places(source.size):
        head = source.read_at(at, 256)
        if len(head) < 256:
            continue
        if version == "0.90":
            for order in "<>":
                magic, major, minor = struct.unpack_from(order + "3I", head)
                if (magic, major) == (mdraid.MAGIC, 0) and minor >= 90:
                    return version, at, order
        elif struct.unpack_from("<2I", head) == (mdraid.MAGIC, 1) and int.from_bytes(head[144:152], "little") * 512 == at:
            return version, at, "<"
    return None


def open_md(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """The array of every set of which a member is here; of a mirror also the content of members that fell out before the
    others went on, as state "snapshot"."""
    supers: list[_Super] = []
    for member in members:
        try:
            if (one := _super(member, budget)) is not None:
                supers.append(one)
        except EvidenceError as error:
            budget.report(error)
    if not supers:
        raise NotThisFormat("Linux RAID", None, "no superblock that holds")
    out: list[Volume] = []
    for uuid in dict.fromkeys(s.uuid for s in supers):
        try:
            out += _array([s for s in supers if s.uuid == uuid], budget)
        except EvidenceError as error:
            budget.report(error, f"array {uuid}")
    for index, volume in enumerate(out, 1):
        volume.index = index
    return out


def _super(member: Volume, budget: Budget) -> _Super | None:
    found = _found(member)
    if found is None:
        return None
    version, at, order = found
    return _old(member, at, order, budget) if version == "0.90" else _new(member, at, version, budget)


def _fold(total: int) -> int:
    return (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF


def _check(member: Volume, at: int, stored: int, computed: int, budget: Budget) -> None:
    if stored != computed:
        text = f"checksum {stored:#010x} stored, {computed:#010x} computed"
        budget.report(Corrupt("Linux RAID superblock", span_of(member, at, 256), text))


def _old(member: Volume, at: int, order: str, budget: Budget) -> _Super:
    raw = member.read_at(at, mdraid.OLD_SIZE)
    if len(raw) < mdraid.OLD_SIZE:
        raise Truncated("Linux RAID superblock", span_of(member, at, len(raw)), f"{len(raw)} bytes")
    words, place = struct.unpack(order + "1024I", raw), mdraid.OLD_WORDS
    word = {name: words[number] for name, number in place.items()}
    _check(member, at, word["csum"], _fold(sum(words) - word["csum"]), budget)
    number, _, _, slot, state = words[place["this"] : place["this"] + 5]
    level = word["level"] - (1 << 32 if word["level"] >> 31 else 0)
    length, chunk = at, word["chunk"]
    if level in (-1, 0) and chunk:
        length = length // chunk * chunk
    elif level not in (-1, 0):
        length = word["size"] * 1024
    return _Super(
        member, at, "0.90", "".join(f"{word[f'uuid{i}']:08x}" for i in range(4)), "", level, word["layout"], chunk, word["size"] * 1024,
        word["raid_disks"], struct.unpack_from(order + "Q", raw, 39 * 4)[0], slot if state & 2 else SPARE if not state & 1 else FAULTY, 0,
        length, number, mdraid.BITMAP if word["state"] >> 8 & 1 else 0, clean=bool(word["state"] & 1),
        slots={words[i]: words[i + 3] if words[i + 4] & 2 else FAULTY for i in range(place["disks"], place["this"], 32) if words[i + 4]},
    )  # fmt: skip


def _new(member: Volume, at: int, version: str, budget: Budget) -> _Super:
    head = parse(mdraid.V1, member, at, "Linux RAID superblock")
    where = span_of(member, at, 256)
    if not 0 < head.max_dev <= MOST:
        raise Corrupt("Linux RAID superblock", where, f"{head.max_dev} roles")
    raw = bytearray(member.read_at(at, 256 + 2 * head.max_dev))
    roles = struct.unpack_from(f"<{(len(raw) - 256) // 2}H", raw, 256)
    raw[216:220] = bytes(4)
    total = sum(struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))
    if len(raw) % 4 >= 2:
        total += int.from_bytes(raw[len(raw) // 4 * 4 :][:2], "little")
    _check(member, at, head.csum, _fold(total), budget)
    bad: tuple[tuple[int, int], ...] = ()
    if head.features & 8 and head.bad_size and at // 512 + head.bad_offset >= 0:
        log = member.read_at(at + head.bad_offset * 512, min(head.bad_size, 128) * 512)
        entries = [v for (v,) in struct.iter_unpack("<Q", log[: len(log) // 8 * 8]) if v != (1 << 64) - 1]
        bad = tuple(mdraid.bad_blocks(v, min(head.bad_shift, 32)) for v in entries)
    if head.features & mdraid.CHANGING:
        what = f"from sector {head.reshape_position} on {head.raid_disks} members by {head.delta_disks:+d}".replace("+-", "-")
        raise Unsupported("Linux RAID", where, f"a change of layout is under way ({what}): it must be finished or undone by md first")
    return _Super(
        member, at, version, bytes(head.uuid).hex(), escape(head.name.split(b"\0")[0].decode("utf-8", "replace")), head.level, head.layout,
        head.chunk * 512, head.size * 512, head.raid_disks, head.events, roles[head.number] if head.number < len(roles) else SPARE,
        head.data_offset * 512, head.data_size * 512, head.number, head.features,
        head.recovery_offset * 512 if head.features & 2 else -1, head.resync_offset >= _LONG or head.level in (-1, 0),
        bad, dict(enumerate(roles)),
    )  # fmt: skip


def _array(supers: list[_Super], budget: Budget) -> Iterator[Volume]:
    newest = max(supers, key=lambda s: s.events)
    label = newest.name or newest.uuid
    if newest.level not in mdraid.LEVELS:
        raise Unsupported("Linux RAID", span_of(newest.volume, newest.at, 256), f"level {newest.level}")
    if not 0 < newest.count <= MOST:
        raise Corrupt("Linux RAID superblock", span_of(newest.volume, newest.at, 256), f"{newest.count} members")
    held: dict[int, _Super] = {}
    old: list[_Super] = []
    for one in sorted(supers, key=lambda s: -s.events):
        problem = _excluded(one, newest, held)
        if problem:
            budget.report(Finding.note("Linux RAID member", problem, label, span_of(one.volume, one.at, 256)))
            if one.events < newest.events and one.slot < one.count:
                old.append(one)
            continue
        held[newest.slots.get(one.number, one.slot)] = one
    lost = [i for i in range(newest.count) if i not in held]
    if lost:
        budget.report(Finding("Unreadable", "Linux RAID member", f"{len(lost)} of {newest.count} are not there or not used: {lost}", label))
    _facts(newest, lost, label, budget)
    if not held:
        raise Unsupported("Linux RAID", span_of(newest.volume, newest.at, 256), "none of the members that are here can be used")
    sources: list[ByteSource | None] = [_data(held[i], label, budget) if i in held else None for i in range(newest.count)]
    yield _volume(_content(newest, sources, held), newest, label)
    if newest.level == 1:
        for one in old:
            kind = f"as it was at event {one.events}, when a member fell out"
            yield _volume(Mirror([_data(one, label, budget)], one.size or one.length), one, label, kind)


def _excluded(one: _Super, newest: _Super, held: dict[int, _Super]) -> str:
    """Why a member takes no part; "" when it does."""
    slot = newest.slots.get(one.number, one.slot)
    if (one.level, one.layout, one.chunk, one.count) != (newest.level, newest.layout, newest.chunk, newest.count):
        return f"its level, layout or count differ from those of event {newest.events}: not used"
    if one.events + 1 < newest.events:  # the driver lets a difference of one pass: it comes from a clean stop
        return f"stale: at event {one.events}, the array is at {newest.events}: not used"
    if slot in (SPARE, FAULTY, JOURNAL) or slot >= one.count:
        return {SPARE: "a spare", FAULTY: "failed", JOURNAL: "the journal: what it alone holds is not read"}.get(slot, f"slot {slot}")
    if slot in held:
        return f"a second member says that it is number {slot}: not used"
    if one.recovered >= 0:
        return f"was being rebuilt, up to byte {one.recovered}: not used"
    return ""


def _facts(newest: _Super, lost: list[int], label: str, budget: Budget) -> None:
    where = span_of(newest.volume, newest.at, 256)
    named = [name for bit, name in mdraid.FEATURES.items() if newest.features & bit]
    if named:
        budget.report(Finding.note("Linux RAID", f"the superblock says: {', '.join(named)}", label, where))
    if not newest.clean and newest.level > 0:
        text = "it was not stopped cleanly: copies and parity may differ from the data"
        budget.report(Finding.note("Linux RAID", text + (", and what is missing is worked out of them" if lost else ""), label, where))


def _data(one: _Super, label: str, budget: Budget) -> ByteSource:
    """The data of a member; what its log calls bad raises, so that the others give it."""
    if one.start + one.length > one.volume.size:
        where = span_of(one.volume, one.at, 256)
        budget.report(Truncated("Linux RAID member", where, f"{one.length} bytes from {one.start} of {one.volume.size}"), label)
    data = one.volume.strict.slice(one.start, one.length)  # what cannot be read, the others give
    parts: list[ByteSource] = []
    at = 0
    for first, count in sorted(one.bad):
        low, high = max(at, first * 512), min((first + count) * 512, data.size)
        if low < high:
            parts += [data.slice(at, low - at), Missing(high - low, f"the log of bad blocks of member {one.slot}")]
            at = high
    return ConcatSource([*parts, data.slice(at, data.size - at)]) if parts else data


def _content(newest: _Super, sources: list[ByteSource | None], held: dict[int, _Super]) -> ByteSource:
    level, chunk, n = newest.level, newest.chunk, newest.count
    where = span_of(newest.volume, newest.at, 256)
    if level == 1:
        return Mirror(sources, newest.size)
    if level == -1:
        sizes = [held[i].length // chunk * chunk if chunk and i in held else held[i].length if i in held else None for i in range(n)]
        if None in sizes[:-1]:
            raise Unsupported("Linux RAID", where, "linear, and a member before others is missing: their places are not known")
        return ConcatSource([s.slice(0, size) for s, size in zip(sources, sizes, strict=True) if s is not None and size is not None])
    if chunk <= 0 or chunk % 512:
        raise Corrupt("Linux RAID superblock", where, f"chunks of {chunk} bytes")
    if level == 0:
        lengths = [held[i].length if i in held else max(one.length for one in held.values()) for i in range(n)]
        original = newest.version == "0.90" or (bool(newest.features & 4096) and newest.layout == 1)
        return Stripes(sources, stripe_zones(lengths, chunk, original), chunk)
    size = newest.size // chunk * chunk
    if level == 10:
        return Tens(sources, newest.layout, chunk, size)
    if n < (4 if level == 6 else 2):
        raise Corrupt("Linux RAID superblock", where, f"level {level} of {n} members")
    return Parity(sources, level, newest.layout, chunk, size * (n - (2 if level == 6 else 1)))


def _volume(content: ByteSource, one: _Super, label: str, more: str = "") -> Volume:
    words = f"Linux {mdraid.LEVELS[one.level]}"
    if one.level in (5, 6):
        words += f", {(LAYOUTS_5 if one.level == 5 else LAYOUTS_6).get(one.layout, one.layout)}"
    if more:
        words += f", {more}"
    return Volume(
        content, index=0, start=-1, scheme="md", kind=words, type_code=f"{one.version}:{one.level}:{one.layout}", label=label,
        state="snapshot" if more else "allocated",
    )  # fmt: skip


FORMAT = VolumeLayer(
    name="md",
    title="Linux software RAID (md)",
    refs=("md(4)", "mdadm(8)", "linux/raid/md_p.h", "H. P. Anvin, The mathematics of RAID-6", "Linux RAID wiki, RAID superblock formats"),
    gaps=(
        "an array whose layout is being changed is reported, not read",
        "a write journal and a partial parity log are noted, not replayed",
        "a member that was being rebuilt is not used, not even the part that was done",
        "multipath and faulty, and arrays without a superblock, are not read",
        "whole disks with superblocks of version 0.90 that begin with a partition table are read by that table",
        "RAID 0 of members of unequal size without a stated layout is read in the order of Linux 3.14 and later (0.90: before)",
    ),
    order=30,
    disks=_whole,
    probe=probe,
    open=open_md,
)
