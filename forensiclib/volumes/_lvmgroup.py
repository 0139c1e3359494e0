"""What a volume group makes of its physical volumes: segments to sources."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from forensiclib.core.errors import Corrupt, EvidenceError, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource, ExtentSource
from forensiclib.formats import lvm2
from forensiclib.formats._dsl import parse
from forensiclib.volumes._lvmtext import Section, integer, sections, texts
from forensiclib.volumes._lvmthin import ThinPool, thin_pool
from forensiclib.volumes._parts import span_of
from forensiclib.volumes._raid import Mirror, Missing, Parity, Stripes, Tens, Zone

__all__ = ["Group"]

_PARITY = {
    "raid4": (5, 4), "raid5": (5, 2), "raid5_la": (5, 0), "raid5_ra": (5, 1), "raid5_ls": (5, 2), "raid5_rs": (5, 3), "raid5_0": (5, 4),
    "raid5_n": (5, 5), "raid6": (6, 8), "raid6_zr": (6, 8), "raid6_nr": (6, 9), "raid6_nc": (6, 10), "raid6_n_6": (6, 5),
    "raid6_la_6": (6, 16), "raid6_ra_6": (6, 17), "raid6_ls_6": (6, 18), "raid6_rs_6": (6, 19), "raid6_0_6": (6, 20),
}  # fmt: skip
"""Segment type -> level and md layout: Linux Documentation/admin-guide/device-mapper/dm-raid.rst."""
_MANY = 4096
_META = struct.Struct("<4sIIIQQ")
"""Start of a dm-raid superblock: magic "DmRd", features, members, position, events, failed members (bits)."""


class Group:
    """A volume group of one generation of its metadata.

    pvs     uuid without dashes -> the source of a physical volume that is there
    name    of the group;  extent   bytes
    """

    def __init__(self, name: str, section: Section, pvs: dict[str, ByteSource], budget: Budget) -> None:
        self.name, self.section, self.budget = name, section, budget
        self.extent = integer(section, "extent_size", least=1) * 512
        self.physical = sections(section, "physical_volumes")
        self.logical = sections(section, "logical_volumes")
        self._pvs = pvs
        self._made: dict[str, ByteSource] = {}
        self._busy: set[str] = set()
        self._pools: dict[str, ThinPool] = {}

    def source_of(self, pv: str) -> ByteSource | None:
        """The physical volume of that name in the text; None when it is missing."""
        return self._pvs.get(str(self.physical[pv].get("id", "")).replace("-", ""))

    def missing(self) -> list[str]:
        """Names and ids of physical volumes that are not there."""
        return [f"{pv} ({self.physical[pv].get('id', '')})" for pv in self.physical if self.source_of(pv) is None]

    def visible(self) -> Iterator[tuple[str, str, ByteSource | EvidenceError]]:
        """(name, types of its segments, content or why there is none) of every volume that users see."""
        for name, section in self.logical.items():
            types = self.types(name)
            if "VISIBLE" not in texts(section, "status") or "thin-pool" in types or "cache-pool" in types:
                continue
            shown = name
            if types == ["snapshot"]:
                shown = str(next(iter(self.segments(name))).get("cow_store", name))
            try:
                yield shown, "+".join(types), self.volume(name)
            except EvidenceError as error:
                yield shown, "+".join(types), error

    def types(self, name: str) -> list[str]:
        """The segment types of a logical volume, each once."""
        return list(dict.fromkeys(str(s.get("type", "")) for s in self.segments(name)))

    def segments(self, name: str) -> list[Section]:
        """Its segments in order of content."""
        found = [s for key, s in sections(self.logical[name]).items() if key.startswith("segment")]
        return sorted(found, key=lambda s: s["start_extent"] if isinstance(s.get("start_extent"), int) else -1)

    def volume(self, name: str) -> ByteSource:
        """The content of a logical volume. Corrupt for one that contains itself, Unsupported for a type not read."""
        if name in self._made:
            return self._made[name]
        if name not in self.logical:
            raise Corrupt("LVM metadata", None, f"no volume {name!r} in group {self.name!r}")
        if name in self._busy or len(self._busy) > 32:
            raise Corrupt("LVM metadata", None, f"volume {name!r} contains itself")
        self._busy.add(name)
        try:
            parts: list[ByteSource] = []
            at = 0
            for segment in self.segments(name):
                self.budget.item()
                start, count = integer(segment, "start_extent"), integer(segment, "extent_count", least=1)
                if start > at:
                    parts.append(Missing((start - at) * self.extent, f"volume {name}: no segment for extents {at} to {start - 1}"))
                elif start < at:
                    raise Corrupt("LVM metadata", None, f"segments of volume {name!r} overlap at extent {start}")
                parts.append(_sized(self._segment(name, segment, count * self.extent), count * self.extent))
                at = start + count
            made = _joined(parts)
        finally:
            self._busy.discard(name)
        self._made[name] = made
        return made

    def _segment(self, name: str, segment: Section, size: int) -> ByteSource:
        kind = str(segment.get("type", ""))
        if kind in ("striped", "mirror"):
            areas = self._areas(texts(segment, "stripes" if kind == "striped" else "mirrors"))
            return self._mirror(areas, size) if kind == "mirror" else self._striped(areas, segment, size)
        if kind.startswith("raid"):
            return self._raid(name, kind, segment, size)
        if kind == "thin":
            return self._thin(segment, size)
        if kind == "snapshot":
            return self._snapshot(segment, size)
        if kind == "cache":
            text = f"{name}: read from its origin; blocks that were written to the cache and not yet back are the older ones"
            self.budget.report(Finding.note("LVM cache", text, f"{self.name}/{name}"))
            return self.volume(str(segment.get("origin")))
        if kind == "thin-pool":
            return self.volume(str(segment.get("pool")))
        if kind == "zero":
            return ExtentSource(Missing(0, ""), [(None, size)])
        if kind == "error":
            return Missing(size, f"volume {name}: a segment of type error")
        raise Unsupported("LVM segment", None, f"{self.name}/{name}: type {kind!r}")

    def _areas(self, pairs: list[Any]) -> list[tuple[str, int]]:
        names, starts = pairs[::2], pairs[1::2]
        if not 0 < len(names) == len(starts) <= _MANY or not all(isinstance(s, int) and s >= 0 for s in starts):
            raise Corrupt("LVM metadata", None, f"areas {pairs[:6]!r}")
        return [(str(n), s) for n, s in zip(names, starts, strict=True)]

    def _area(self, name: str, start: int, size: int) -> ByteSource:
        if name not in self.physical:
            return _cut(self.volume(name), start * self.extent, size)
        source = self.source_of(name)
        if source is None:
            return Missing(size, f"physical volume {name} ({self.physical[name].get('id', '')}) of group {self.name}")
        at = integer(self.physical[name], "pe_start") * 512 + start * self.extent
        there = source.slice(at, size) if at < source.size else Missing(0, "")
        lost = Missing(size - there.size, f"physical volume {name} ends at {source.size}")
        return _joined([p for p in (there, lost) if p.size] or [there])

    def _mirror(self, areas: list[tuple[str, int]], size: int) -> ByteSource:
        return Mirror([self._area(name, start, size) for name, start in areas], size)

    def _striped(self, areas: list[tuple[str, int]], segment: Section, size: int) -> ByteSource:
        n = len(areas)
        if n == 1:
            return self._area(*areas[0], size)
        chunk = integer(segment, "stripe_size", least=1) * 512
        return Stripes([self._area(name, start, -(-size // n)) for name, start in areas], [Zone(0, size, 0, tuple(range(n)))], chunk)

    def _raid(self, name: str, kind: str, segment: Section, size: int) -> ByteSource:
        pairs = [str(r) for r in texts(segment, "raids")]
        images, metas = (pairs[1::2], pairs[::2]) if pairs else ([str(r) for r in texts(segment, "raid0_lvs")], [])
        if not 0 < len(images) <= 253:
            raise Corrupt("LVM metadata", None, f"{name}: {len(images)} images")
        members: list[ByteSource | None] = [self.volume(image) for image in images]
        stale = self._stale(name, metas)
        members = [None if i in stale else m for i, m in enumerate(members)]
        if kind == "raid1":
            return Mirror(members, size)
        chunk = integer(segment, "stripe_size", least=1) * 512
        if kind in ("raid0", "raid0_meta"):
            return Stripes(members, [Zone(0, size, 0, tuple(range(len(members))))], chunk)
        if kind in ("raid10", "raid10_near"):
            copies = integer(segment, "data_copies", default=2, least=1)
            return Tens(members, copies | 1 << 8, chunk, -(-size * copies // len(members)), size)
        if kind not in _PARITY or len(members) < 3:
            raise Unsupported("LVM segment", None, f"{self.name}/{name}: type {kind!r} on {len(members)} images")
        return Parity(members, *_PARITY[kind], chunk, size)

    def _stale(self, name: str, metas: list[str]) -> set[int]:
        """Images that the newest superblock calls failed, or whose own is older."""
        events: dict[int, int] = {}
        failed: dict[int, int] = {}
        for number, meta in enumerate(metas):
            try:
                raw = self.volume(meta).read_at(0, _META.size)
            except EvidenceError:
                continue
            if len(raw) == _META.size and raw[:4] == b"DmRd":
                *_, events[number], failed[number] = _META.unpack(raw)
        if not events:
            return set()
        newest = max(events.values())
        lost = max(f for n, f in failed.items() if events[n] == newest)
        out = {n for n, count in events.items() if count < newest} | {n for n in range(len(metas)) if n < 64 and lost >> n & 1}
        for number in sorted(out):
            text = f"image {number} of {name} is failed or out of date ({events.get(number, 0)} of {newest} events): not read"
            self.budget.report(Finding.note("LVM RAID", text, f"{self.name}/{name}"))
        return out

    def pool(self, name: str) -> ThinPool:
        """The thin pool of that name."""
        if name not in self._pools:
            segment = next(iter(self.segments(name)), {}) if name in self.logical else {}
            self._pools[name] = thin_pool(self.volume(str(segment.get("metadata"))), self.budget)
        return self._pools[name]

    def _thin(self, segment: Section, size: int) -> ByteSource:
        name = str(segment.get("thin_pool"))
        origin = segment.get("external_origin")
        return self.thin(name, integer(segment, "device_id"), size, self.volume(str(origin)) if origin else None)

    def thin(self, name: str, device: int, size: int, below: ByteSource | None = None) -> ByteSource:
        """A device of a thin pool: its blocks; what it never wrote is zero, or the external origin's."""
        pool, data = self.pool(name), self.volume(name)
        under = [below] if below is not None and below.size else []
        base = ConcatSource([data, *under, Missing(size, f"thin pool {name}: damaged mapping")])
        holes, lost = data.size, data.size + (below.size if below is not None else 0)
        extents: list[tuple[int | None, int]] = []
        at = 0

        def unmapped(end: int) -> Iterator[tuple[int | None, int]]:
            shown = min(end, below.size if below is not None else 0) - at
            if shown > 0:
                yield holes + at, shown
            yield None, end - at - max(shown, 0)

        for first, there, count in pool.runs(device):
            start, end = first * pool.block, min((first + count) * pool.block, size)
            if start >= size:
                break
            extents += unmapped(start) if start > at else ()
            if there is not None and there * pool.block + end - start > data.size:
                raise Corrupt("thin pool", None, f"device {device} has block {there + count - 1}, the data end before")
            extents.append((lost + start if there is None else there * pool.block, end - start))
            at = end
        extents += unmapped(size) if at < size else ()
        return ExtentSource(base, extents, size)

    def _snapshot(self, segment: Section, size: int) -> ByteSource:
        origin, cow = self.volume(str(segment.get("origin"))), self.volume(str(segment.get("cow_store")))
        head = parse(lvm2.SNAPSHOT, cow, 0, "LVM snapshot")
        chunk = head.chunk * 512
        if not head.valid or head.version != 1 or not 1 <= head.chunk <= 1 << 16 or head.chunk & head.chunk - 1:
            text = f"valid {head.valid}, version {head.version}, chunks of {head.chunk} sectors (it is invalid once its store was full)"
            raise Corrupt("LVM snapshot", span_of(cow, 0, lvm2.SNAPSHOT.sizeof()), text)
        moved = dict(_exceptions(cow, chunk, self.budget))
        base = ConcatSource([origin, cow])
        extents: list[tuple[int | None, int]] = []
        at = 0
        for old in sorted(moved):
            start = old * chunk
            if start >= size:
                break
            extents += [(at, start - at), (origin.size + moved[old] * chunk, min(chunk, size - start))]
            at = min(start + chunk, size)
        return ExtentSource(base, [*extents, (at, size - at)], size)


def _exceptions(cow: ByteSource, chunk: int, budget: Budget) -> Iterator[tuple[int, int]]:
    """(chunk of the origin, chunk of the store) pairs, in the order they were made."""
    each, at = chunk // 16, 1
    while (at + 1) * chunk <= cow.size:
        for old, new in struct.iter_unpack("<QQ", cow.read_at(at * chunk, chunk)):
            budget.item()
            if new == 0:
                return
            if (new + 1) * chunk > cow.size:
                budget.report(Corrupt("LVM snapshot", span_of(cow, at * chunk, chunk), f"chunk {old} is at {new}, past the end"))
                return
            yield old, new
        at += each + 1


def _cut(source: ByteSource, start: int, size: int) -> ByteSource:
    return Missing(size, source.what) if isinstance(source, Missing) else source.slice(start, size)


def _sized(source: ByteSource, size: int) -> ByteSource:
    if source.size >= size:
        return source if source.size == size else _cut(source, 0, size)
    return _joined([source, Missing(size - source.size, f"the volume below ends at {source.size}")])


def _joined(parts: list[ByteSource]) -> ByteSource:
    if len(parts) == 1:
        return parts[0]
    if parts and all(isinstance(p, Missing) for p in parts):
        return Missing(sum(p.size for p in parts), parts[0].what if isinstance(parts[0], Missing) else "")
    return ConcatSource(parts)
