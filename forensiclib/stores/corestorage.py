"""CoreStorage metadata: physical volumes, the objects of their group, and the logical volumes that these describe.

O. Choudary, J. Metz, "FileVault Drive Encryption (FVDE)" (libfvde).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource, WritableBuffer
from forensiclib.core.span import Span
from forensiclib.core.text import escape
from forensiclib.formats import corestorage as fmt
from forensiclib.formats._dsl import parse
from forensiclib.kernels import crc32c, sectors_decrypt
from forensiclib.stores.kernelplist import plist

__all__ = ["Described", "Group", "LogicalVolume", "Physical", "Segment", "physical", "probe", "read_group"]

_HEAD = fmt.BLOCK_LAYOUT.size
_BLOCK = fmt.BLOCK_SIZE
_CHAIN = 4096
_LV, _LVF = "com.apple.corestorage.lv.", "com.apple.corestorage.lvf."


def _span(source: ByteSource, at: int, n: int) -> Span | None:
    spans = source.trace(at, n) if 0 <= at < source.size else ()
    return spans[0] if spans else None


def _holds(raw: bytes | bytearray | memoryview) -> bool:
    """Whether the CRC-32C in the first four bytes is right: begun with the seed, not inverted at its end."""
    stored, seed = struct.unpack_from("<2I", raw)
    return bool(crc32c(memoryview(raw)[8:], seed ^ 0xFFFFFFFF) ^ 0xFFFFFFFF == stored)


def _places(source: ByteSource) -> tuple[int, ...]:
    """Where the header and its copies may stand: the start, the last block, the last sector."""
    size = source.size // 512 * 512
    return tuple(dict.fromkeys(at for at in (0, (source.size - 4096) // 4096 * 4096, size - 512) if at >= 0))


def probe(source: ByteSource) -> bool:
    """Whether a physical volume's header stands at the start or, whole, at the end."""
    for at in _places(source):
        raw = source.read_at(at, 512)
        if len(raw) == 512 and raw[88:90] == b"CS" and raw[8:12] == b"\x01\0\x10\0" and (at == 0 or _holds(raw)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Physical:
    """A physical volume that is there. ``index``: its place in the group by its own label, which is at byte ``area``."""

    source: ByteSource
    head: Any = field(repr=False)
    index: int = 0
    label: Any = field(default=None, repr=False)
    area: int = 0
    transaction: int = 0

    @property
    def uuid(self) -> UUID:
        """Of the physical volume."""
        return UUID(bytes=bytes(self.head.uuid))

    @property
    def group(self) -> UUID:
        """Of its volume group."""
        return UUID(bytes=bytes(self.head.group))


def physical(source: ByteSource, budget: Budget) -> Physical:
    """The physical volume on a source, with the newest label that holds. Raises NotThisFormat, Corrupt, Truncated, Unsupported."""
    what, head = "CoreStorage physical volume", None
    for at in _places(source):
        raw = source.read_at(at, 512)
        if len(raw) < 512 or raw[88:90] != b"CS":
            continue
        if not _holds(raw):
            budget.report(Corrupt(what, _span(source, at, 512), f"the checksum of the header at {at} does not hold"))
            continue
        head = parse(fmt.HEADER, source, at, what)
        break
    if head is None:
        raise NotThisFormat(what, _span(source, 0, 512), "no header whose checksum holds")
    where = _span(source, 0, 512)
    if (head.version, head.type, head.algorithm, head.method, head.key_size) != (1, 0x10, 1, 2, 16):
        found = f"version {head.version}, type {head.type:#x}, checksum {head.algorithm}, cipher {head.method}, a key of {head.key_size}"
        raise Unsupported(what, where, found)
    if head.block_size not in (512, 1024, 2048, 4096, 8192) or not 0 < head.areas <= 8:
        raise Corrupt(what, where, f"blocks of {head.block_size} bytes, {head.areas} areas")
    if head.size > source.size:
        budget.report(Truncated(what, where, f"{head.size} bytes, of which {source.size} are there"))
    best: tuple[int, Any, int] | None = None
    for number in head.area[: head.areas]:
        at = number * head.block_size
        try:
            raw = source.read_at(at, _BLOCK)
        except EvidenceError as error:
            budget.report(error)
            continue
        if len(raw) < _BLOCK or not any(raw):
            continue
        if not _holds(raw) or struct.unpack_from("<H", raw, 10)[0] != fmt.TYPES["label"]:
            budget.report(Corrupt("CoreStorage label", _span(source, at, _BLOCK), f"the metadata at {at} is damaged"))
            continue
        transaction = struct.unpack_from("<Q", raw, 16)[0]
        if best is None or transaction > best[0]:
            best = (transaction, parse(fmt.LABEL, source, at + _HEAD, "CoreStorage label"), at)
    if best is None:
        raise Corrupt("CoreStorage label", where, "none of the copies of the metadata holds")
    return Physical(source, head, best[1].index, best[1], best[2], best[0])


@dataclass(frozen=True, slots=True)
class Item:
    """The newest block of one object: type, transaction, and its bytes behind the header (empty: wiped)."""

    type: int
    transaction: int
    number: int
    raw: bytes = field(repr=False)
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """``blocks`` of a logical volume from ``logical`` on, at block ``first`` of physical volume ``index``; all in blocks."""

    logical: int
    blocks: int
    first: int
    index: int


@dataclass(frozen=True, slots=True)
class Described:
    """A logical volume as the metadata have it. ``context``: its encryption context; None where the family has none, or was wiped."""

    uuid: str
    name: str
    hint: str
    size: int
    family: str
    segments: tuple[Segment, ...]
    context: dict[str, Any] | None = field(default=None, repr=False)
    wiped: bool = False
    problem: EvidenceError | None = None


@dataclass(slots=True)
class Group:
    """A volume group. ``members``: index -> UUID of a physical volume; ``taken``: (UUID, first block, blocks) of the metadata."""

    uuid: UUID
    name: str
    block: int
    members: dict[int, UUID]
    there: dict[UUID, Physical]
    volumes: list[Described] = field(default_factory=list)
    taken: list[tuple[UUID, int, int]] = field(default_factory=list)
    past: list[str] = field(default_factory=list)


class LogicalVolume(ByteSource):
    """The bytes of a logical volume, and what is known of its encryption.

    described   from the metadata; physical   UUIDs of the group's physical volumes
    """

    __slots__ = ("_data", "described", "physical", "size")

    def __init__(self, data: ByteSource, described: Described, physical: Iterable[UUID]) -> None:
        self._data, self.described, self.physical, self.size = data, described, tuple(physical), data.size

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        return self._data.read_into(offset, buffer)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._data.trace(offset, n)


def read_group(members: Sequence[Physical], budget: Budget) -> Group:
    """The group that the members are of: what the newest metadata on any of them say. Raises Corrupt, Truncated."""
    newest = max(members, key=lambda m: m.transaction)
    there = {m.uuid: m for m in members}
    text = _text(newest, budget)
    named = text.get("com.apple.corestorage.lvg.physicalVolumes", [])
    places = {number: found for number, name in enumerate(named if isinstance(named, list) else []) if (found := _uuid(name)) is not None}
    for member in members:
        if member.uuid not in places.values():
            places.setdefault(member.index, member.uuid)
    group = Group(newest.group, escape(str(text.get("com.apple.corestorage.lvg.name", ""))), newest.head.block_size, places, there)
    for member in members:
        size = member.head.block_size
        group.taken.append((member.uuid, 0, 1))
        group.taken += [(member.uuid, number, -(-member.head.area_size // size)) for number in member.head.area[: member.head.areas]]
    items: dict[int, list[Item]] = {}
    for member in members:
        for owner, at, count in _copies(member, group, budget):
            group.taken.append((owner.uuid, at // group.block, count))
            try:
                for oid, item in _items(owner, at, count * group.block, budget):
                    items.setdefault(oid, []).append(item)
            except EvidenceError as error:
                budget.report(error)
    if not items:
        raise Corrupt("CoreStorage metadata", _span(newest.source, 0, 512), "no block of the encrypted metadata holds")
    latest = {oid: max(found, key=lambda i: (i.transaction, i.number)) for oid, found in items.items()}
    seen: set[str] = set()
    for oid in sorted(latest):
        if latest[oid].type == fmt.TYPES["logical"] and latest[oid].raw:
            try:
                described = _described(latest[oid], latest, budget)
            except EvidenceError as error:
                budget.report(error, f"object {oid:#x}")
                continue
            seen.add(described.uuid)
            group.volumes.append(described)
    group.past = sorted(_past(items, seen, budget))
    return group


def _past(items: dict[int, list[Item]], seen: set[str], budget: Budget) -> set[str]:
    """Logical volumes that only older blocks tell of, in words."""
    out = set[str]()
    for item in (i for found in items.values() for i in found if i.type == fmt.TYPES["logical"] and i.raw):
        try:
            text = _list(item, parse(fmt.LOGICAL, MemorySource(item.raw), _HEAD, "CoreStorage logical volume"), {}, budget)
        except EvidenceError:
            continue  # an older block of which a part was used again
        uuid = str(text.get(_LV + "uuid", "")).lower()
        if uuid not in seen:
            out.add(f"{escape(str(text.get(_LV + 'name', '')))} ({uuid})")
    return out


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def _text(member: Physical, budget: Budget) -> dict[str, Any]:
    """The group's property list; empty where there is none."""
    label = member.label
    if not 0 < label.text_size <= member.head.area_size:
        return {}
    raw = member.source.read_at(member.area + label.text, label.text_size)
    if not any(raw):
        return {}
    try:
        found = plist(raw, budget, "CoreStorage group")
    except Corrupt as error:
        budget.report(error)
        return {}
    return found if isinstance(found, dict) else {}


def _copies(member: Physical, group: Group, budget: Budget) -> Iterator[tuple[Physical, int, int]]:
    """(physical volume, byte, blocks) of each copy of the encrypted metadata that lies on one that is there."""
    what, label = "CoreStorage group", member.label
    at = member.area + label.descriptor
    found = parse(fmt.DESCRIPTOR, member.source, at, what)
    for first, index in ((found.first, found.first_index), (found.second, found.second_index)):
        number = int.from_bytes(first, "little")
        owner = group.there.get(group.members.get(index, UUID(int=0)))
        if not number or owner is None:
            continue
        size = found.blocks * group.block
        if not 0 < size <= owner.source.size or number * group.block >= owner.source.size:
            budget.report(Corrupt(what, _span(member.source, at, 48), f"metadata of {found.blocks} blocks at {number}"))
            continue
        budget.allocate("CoreStorage metadata", size, _span(member.source, at, 48))
        if (owner.uuid, number, found.blocks) not in group.taken:
            yield owner, number * group.block, found.blocks


def _items(owner: Physical, at: int, size: int, budget: Budget) -> Iterator[tuple[int, Item]]:
    """(object, block) of the blocks that hold; those that do not, and are not empty, are one finding."""
    data = bytearray(owner.source.read_at(at, size))
    del data[len(data) // _BLOCK * _BLOCK :]
    empty = bytes(_BLOCK)
    used = [number for number in range(len(data) // _BLOCK) if data[number * _BLOCK : (number + 1) * _BLOCK] != empty]
    sectors_decrypt("aes", "xts", bytes(owner.head.key), bytes(owner.head.uuid), data, _BLOCK)
    bad = []
    for number in used:
        budget.item()
        raw = bytes(data[number * _BLOCK : (number + 1) * _BLOCK])
        _, _, version, kind, _, transaction, oid, stated, _, block_size, _ = fmt.BLOCK_LAYOUT.unpack(raw)
        wiped = raw[:8] == fmt.WIPED
        if version != 1 or block_size != _BLOCK or not (wiped or _holds(raw)):
            bad.append(number)
            continue
        yield oid, Item(kind, transaction, stated, b"" if wiped else raw, _span(owner.source, at + number * _BLOCK, _BLOCK))
    if bad:
        found = f"{len(bad)} of {len(used)} blocks do not hold, the first is {bad[0]}"
        budget.report(Corrupt("CoreStorage metadata", _span(owner.source, at + bad[0] * _BLOCK, _BLOCK), found))


def _list(item: Item, head: Any, items: dict[int, Item], budget: Budget) -> dict[str, Any]:
    """The property list in an item, and in those it goes on in."""
    what = "CoreStorage property list"
    budget.allocate(what, head.packed, item.span)
    budget.allocate(what, head.unpacked, item.span)
    data = item.raw[head.at : head.at + head.size]
    seen, following = set[int](), getattr(head, "next", 0)
    while following and len(data) < head.packed:
        more = items.get(following)
        if following in seen or more is None or more.type != fmt.TYPES["more"] or len(seen) > _CHAIN:
            raise Corrupt(what, item.span, f"it goes on in object {following:#x}, which is not there")
        seen.add(following)
        part = parse(fmt.MORE, MemorySource(more.raw), _HEAD, what)
        data += more.raw[_HEAD + 16 : _HEAD + 16 + part.size]
        following = part.next
    data = data[: head.packed]
    if head.packed != head.unpacked:
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(data, head.unpacked)
        except zlib.error as error:
            raise Corrupt(what, item.span, f"zlib: {error}") from None
        budget.produce(what, len(data), head.packed, item.span)
    found = plist(data, budget, what)
    if not isinstance(found, dict):
        raise Corrupt(what, item.span, "not a dictionary")
    return found


def _described(item: Item, items: dict[int, Item], budget: Budget) -> Described:
    what = "CoreStorage logical volume"
    head = parse(fmt.LOGICAL, MemorySource(item.raw), _HEAD, what)
    text = _list(item, head, items, budget)
    size, family = text.get(_LV + "size"), str(text.get(_LV + "familyUUID", "")).lower()
    if not isinstance(size, int) or not 0 <= size < 1 << 62:
        raise Corrupt(what, item.span, f"size {str(size)[:40]!r}")
    context, wiped = None, True
    owner = items.get(head.family)
    if owner is not None and owner.type == fmt.TYPES["family"] and owner.raw:
        try:
            about = _list(owner, parse(fmt.FAMILY, MemorySource(owner.raw), _HEAD, what), items, budget)
            found = about.get(_LVF + "encryption.context")
            context, wiped = (found if isinstance(found, dict) else None), False
            if (named := str(about.get(_LVF + "uuid", "")).lower()) != family:
                budget.report(Corrupt(what, owner.span, f"of family {family}, its object says {named}"))
        except EvidenceError as error:
            budget.report(error)
    problem: EvidenceError | None = None
    segments: tuple[Segment, ...] = ()
    try:
        segments = tuple(_segments(item, head, items))
    except EvidenceError as error:
        problem = error
    return Described(
        str(text.get(_LV + "uuid", "")).lower(), escape(str(text.get(_LV + "name", ""))), escape(str(text.get(_LV + "contenthint", ""))),
        size, family, segments, context, wiped, problem,
    )  # fmt: skip


def _segments(item: Item, head: Any, items: dict[int, Item]) -> Iterator[Segment]:
    what = "CoreStorage segments"
    found, base, base_index = items.get(head.segments), 0, -1
    if found is None or found.type != fmt.TYPES["segments"]:
        raise Unsupported(what, item.span, f"object {head.segments:#x} is {'missing' if found is None else f'of type {found.type:#x}'}")
    bases = items.get(head.bases) if head.bases else None
    if bases is not None and bases.type == fmt.TYPES["bases"]:
        count = struct.unpack_from("<I", bases.raw, _HEAD)[0]
        if count != 1:
            raise Unsupported(what, bases.span, f"{count} ranges that segments count from: no source says how")
        base, base_index = int.from_bytes(bases.raw[_HEAD + 16 : _HEAD + 22], "little"), struct.unpack_from("<H", bases.raw, _HEAD + 22)[0]
    count = struct.unpack_from("<I", found.raw, _HEAD)[0]
    if _HEAD + 8 + count * fmt.SEGMENT_LAYOUT.size > len(found.raw):
        raise Corrupt(what, found.span, f"{count} segments in one block")
    for number in range(count):
        logical, blocks, _, first, index = fmt.SEGMENT_LAYOUT.unpack(found.raw, _HEAD + 8 + number * fmt.SEGMENT_LAYOUT.size)
        yield Segment(logical, blocks, base + int.from_bytes(first, "little"), index if base_index < 0 else base_index)
