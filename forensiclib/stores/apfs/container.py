"""An APFS container: its superblocks, its checkpoints, one or two devices, and which of its blocks are free.

Apple, "Apple File System Reference", 2020-06-22: Container, Space Manager, Fusion.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource, WritableBuffer, clip
from forensiclib.core.span import Span
from forensiclib.formats import apfs
from forensiclib.formats._dsl import parse
from forensiclib.kernels import clear_runs
from forensiclib.stores.apfs.objects import Blocks, Omap, sealed, span_of

__all__ = ["Checkpoint", "Container", "TwoDevices", "checkpoints", "header", "open_container", "probe"]

Runs = list[tuple[int, int]]
_RING = 1 << 16
"""Blocks of a checkpoint area at the most: macOS makes some hundred."""
_CHUNK_COUNT = 0xFFFFF
_SPLIT = 1 << 31
FUSION = 0x100


def probe(source: ByteSource) -> bool:
    """Whether a container's superblock stands at the start."""
    head = source.read_at(0, 44)
    return len(head) == 44 and head[32:36] == b"NXSB" and _sane(struct.unpack_from("<I", head, 36)[0])


def _sane(size: int) -> bool:
    return 4096 <= size <= 65536 and not size & (size - 1)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A state of the container. ``block``: of its superblock; ``maps``: ephemeral object -> (block, bytes)."""

    block: int
    head: Any = field(repr=False)
    maps: dict[int, tuple[int, int]] = field(default_factory=dict, repr=False)

    @property
    def xid(self) -> int:
        """Its transaction."""
        return int(self.head.xid)


class TwoDevices(ByteSource):
    """The addresses of a Fusion container: the main device from 0 on, the second from TIER2 on, nothing between."""

    __slots__ = ("_main", "_second", "size")

    def __init__(self, main: ByteSource, second: ByteSource) -> None:
        self._main, self._second = main, second
        self.size = apfs.TIER2 + second.size

    def _at(self, offset: int, n: int) -> tuple[ByteSource, int, int]:
        if offset >= apfs.TIER2:
            return self._second, offset - apfs.TIER2, n
        if offset + n > self._main.size:
            found = f"{offset:#x} and {n} bytes: the main device ends at {self._main.size:#x}"
            raise Truncated("APFS Fusion container", None, found)
        return self._main, offset, n

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        device, at, n = self._at(offset, n)
        return device.read_into(at, memoryview(buffer)[:n])

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        device, at, n = self._at(offset, clip(offset, n, self.size))
        return device.trace(at, n)


def header(source: ByteSource) -> Any:
    """The superblock in block 0, its checksum not yet looked at. Raises NotThisFormat, Corrupt, Truncated."""
    if not probe(source):
        raise NotThisFormat("APFS container", span_of(source, 0, 48), "no container superblock")
    return parse(apfs.NXSB, source, 0, "APFS container superblock")


def _superblock(raw: bytes, size: int) -> Any | None:
    """The superblock in a block when it is one and its checksum holds."""
    if raw[32:36] != b"NXSB" or raw[36:40] != struct.pack("<I", size) or not sealed(raw):
        return None
    return parse(apfs.NXSB, MemorySource(raw), 0, "APFS container superblock")


def checkpoints(blocks: Blocks, first: Any, budget: Budget) -> list[Checkpoint]:
    """Every superblock of the checkpoint ring that holds, the newest first; the one in block 0 when there is none.

    Raises Corrupt when none holds, Unsupported for a ring in pieces.
    """
    found: dict[int, tuple[int, Any]] = {}
    raw = blocks.read(0, "APFS container superblock")
    zero = _superblock(raw, blocks.size)
    if zero is None:
        budget.report(Corrupt("APFS container superblock", blocks.span(0), "the checksum of block 0 does not hold"))
    where = zero or first
    count = where.desc_blocks & ~_SPLIT
    if where.desc_blocks & _SPLIT:
        raise Unsupported("APFS checkpoint ring", blocks.span(0), "it is kept in pieces")
    if not 0 < count <= _RING:
        raise Corrupt("APFS checkpoint ring", blocks.span(0), f"{count} blocks")
    ring: dict[int, bytes] = {}
    for number in range(where.desc_base, where.desc_base + count):
        budget.item()
        try:
            raw = blocks.read(number, "APFS checkpoint ring")
        except EvidenceError as error:
            budget.report(error)
            break
        if not sealed(raw):
            continue
        ring[number - where.desc_base] = raw
        head = _superblock(raw, blocks.size)
        if head is not None:
            if head.uuid != where.uuid and zero is not None:
                budget.report(Finding.note("APFS checkpoint", f"block {number:#x} is another container's", span=blocks.span(number)))
                continue
            found[head.xid] = (number, head)
    if not found:
        if zero is None:
            raise Corrupt("APFS container superblock", blocks.span(0), "neither block 0 nor a block of the checkpoint ring holds")
        budget.report(Corrupt("APFS checkpoint ring", blocks.span(where.desc_base), "no superblock in it holds: block 0 is used"))
        found[zero.xid] = (0, zero)
    return [Checkpoint(number, head, _maps(head, ring, count)) for _, (number, head) in sorted(found.items(), reverse=True)]


def _maps(head: Any, ring: dict[int, bytes], count: int) -> dict[int, tuple[int, int]]:
    out: dict[int, tuple[int, int]] = {}
    for step in range(min(head.desc_len, count)):
        raw = ring.get((head.desc_index + step) % count, b"")
        if not raw or struct.unpack_from("<I", raw, 24)[0] & 0xFFFF != 0xC or struct.unpack_from("<Q", raw, 16)[0] != head.xid:
            continue
        number = struct.unpack_from("<I", raw, 36)[0]
        for at in range(40, min(40 + number * apfs.MAPPING_LAYOUT.size, len(raw) - apfs.MAPPING_LAYOUT.size + 1), apfs.MAPPING_LAYOUT.size):
            _, _, size, _, oid, address = apfs.MAPPING_LAYOUT.unpack(raw, at)
            out[oid] = (address, size)
    return out


class Container:
    """A container that was opened at its newest checkpoint.

    blocks    its block addresses; devices   one or two
    current   the newest checkpoint that holds; older   those before it
    """

    def __init__(self, blocks: Blocks, found: Sequence[Checkpoint], devices: Sequence[ByteSource], budget: Budget) -> None:
        self.blocks, self.current, self.older = blocks, found[0], tuple(found[1:])
        self.devices = tuple(devices)
        self.budget = budget
        self.omap = Omap(blocks, int(self.current.head.omap_oid), budget)

    @property
    def head(self) -> Any:
        """The superblock in force."""
        return self.current.head

    @property
    def uuid(self) -> bytes:
        """Of the container."""
        return bytes(self.head.uuid)

    @property
    def bases(self) -> tuple[int, ...]:
        """The first block of each device."""
        return (0, apfs.TIER2 // self.blocks.size)[: len(self.devices)]

    def volumes(self) -> Iterator[tuple[int, int]]:
        """(object, block of the superblock) of each volume; one that cannot be found is reported."""
        for oid in self.head.volumes:
            if not oid:
                continue
            try:
                yield oid, self.omap.find(oid, self.current.xid).block
            except EvidenceError as error:
                self.budget.report(error, f"volume {oid:#x}")

    def free(self) -> Runs:
        """(first, count) of the blocks that the space manager calls free, ascending. Raises EvidenceError without one."""
        oid = int(self.head.spaceman_oid)
        if oid not in self.current.maps:
            raise Corrupt("APFS space manager", self.blocks.span(self.current.block), f"object {oid:#x} is not in the checkpoint")
        block, size = self.current.maps[oid]
        what = "APFS space manager"
        self.budget.allocate(what, size, self.blocks.span(block))
        raw = self.blocks.object(block, what, 5, max(1, -(-size // self.blocks.size)))
        if struct.unpack_from("<I", raw, 32)[0] != self.blocks.size:
            raise Corrupt(what, self.blocks.span(block), "another size of blocks than the container's")
        out: Runs = []
        for number, base in enumerate(self.bases):
            out += self._device(raw, number, base, block)
        return out

    def _device(self, raw: bytes, number: int, base: int, block: int) -> Runs:
        device = parse(apfs.SPACEMAN_DEVICE, MemorySource(raw), apfs.SPACEMAN_DEVICES[number], "APFS space manager")
        what, wanted = "APFS space manager", device.cabs or device.cibs
        if number and device.blocks * self.blocks.size > self.devices[number].size:
            found = f"{device.blocks} blocks on the second device, which has {self.devices[number].size // self.blocks.size}"
            self.budget.report(Truncated("APFS container", self.blocks.span(block), found))
        if device.at + wanted * 8 > len(raw):
            raise Corrupt(what, self.blocks.span(block), f"{wanted} block numbers at {device.at}")
        places = struct.unpack_from(f"<{wanted}Q", raw, device.at)
        if device.cabs:
            places = tuple(address for place in places for address in self._addresses(place))
        out: Runs = []
        seen = set[int]()
        for place in places:
            if place in seen:
                self.budget.report(Corrupt(what, self.blocks.span(place), f"block {place:#x} is listed twice"))
                continue
            seen.add(place)
            try:
                for first, count in self._chunks(place, base + device.blocks):
                    if out and sum(out[-1]) == first:
                        out[-1] = (out[-1][0], out[-1][1] + count)
                    else:
                        out.append((first, count))
            except EvidenceError as error:
                self.budget.report(error)
        total = sum(count for _, count in out)
        if total != device.free:
            found = f"{device.free} free blocks stated, {total} in the bitmaps"
            self.budget.report(Corrupt(what, self.blocks.span(block), found))
        return out

    def _addresses(self, place: int) -> tuple[int, ...]:
        try:
            raw = self.blocks.object(place, "APFS space manager", 6)
            count = struct.unpack_from("<I", raw, 36)[0]
            return struct.unpack_from(f"<{min(count, (len(raw) - 40) // 8)}Q", raw, 40)
        except EvidenceError as error:
            self.budget.report(error)
            return ()

    def _chunks(self, place: int, end: int) -> Iterator[tuple[int, int]]:
        """Free runs of the chunks of one chunk-info block; a chunk whose bitmap cannot be read is reported, and none of it is free."""
        what = "APFS space manager"
        raw = self.blocks.object(place, what, 7)
        number = struct.unpack_from("<I", raw, 36)[0]
        for at in range(40, min(40 + number * 32, len(raw) - 31), 32):
            self.budget.item()
            _, first, blocks, _, bitmap = apfs.CHUNK_LAYOUT.unpack(raw, at)
            count = min(blocks & _CHUNK_COUNT, max(0, end - first))
            if not bitmap:
                if count:
                    yield first, count
                continue
            try:
                bits = self.blocks.read(bitmap, "APFS bitmap")
            except EvidenceError as error:
                self.budget.report(error)
                continue
            for start, length in struct.iter_unpack("<2q", clear_runs(bits, min(count, len(bits) * 8))):
                yield first + start, length


def open_container(sources: Sequence[ByteSource], budget: Budget) -> Container:
    """The container on one device, or on the two of a Fusion set, in any order.

    Raises NotThisFormat, Corrupt, Truncated; Unsupported for the pre-release format and for a Fusion set of which one is missing.
    """
    heads = [header(source) for source in sources]
    size = int(heads[0].block_size)
    if heads[0].incompatible & 1:
        raise Unsupported("APFS container", span_of(sources[0], 0, 48), "the format before its release (version 1)")
    if len(sources) == 1:
        (source,) = sources
        blocks = Blocks(source, size)
        found = checkpoints(blocks, heads[0], budget)
        if found[0].head.incompatible & FUSION or any(found[0].head.fusion_uuid):
            text = "one of the two devices of a Fusion set: give the other image too"
            raise Unsupported("APFS container", span_of(source, 0, 48), text)
        _whole(source, found[0].head, budget)
        return _newest(blocks, found, sources, budget)
    if len(sources) > 2:
        raise Unsupported("APFS container", span_of(sources[0], 0, 48), f"{len(sources)} devices of one container")
    problems: list[EvidenceError] = []
    tried: list[Container] = []
    for main, second in (sources, sources[::-1]):
        quiet = Budget(budget.limits, budget.cancelled)
        try:
            blocks = Blocks(TwoDevices(main, second), size)
            found = checkpoints(blocks, header(main), quiet)
            made = Container(blocks, found, (main, second), budget)
            if next(made.volumes(), None) is not None and found[0].block:
                tried.append(made)
        except EvidenceError as error:
            problems.append(error)
    if len(tried) == 2:
        raise Unsupported(
            "APFS container", span_of(sources[0], 0, 48), "both devices lead to volumes: the first device of a Fusion set twice"
        )
    if not tried:
        raise problems[0] if problems else Corrupt("APFS Fusion container", span_of(sources[0], 0, 48), "neither device leads to a volume")
    (made,) = tried
    _cache(made, budget)
    return made


def _newest(blocks: Blocks, found: list[Checkpoint], sources: Sequence[ByteSource], budget: Budget) -> Container:
    """The container at the newest checkpoint whose object map can be read; those before that one are reported."""
    first: EvidenceError | None = None
    for number, checkpoint in enumerate(found):
        try:
            return Container(blocks, found[number:], sources, budget)
        except EvidenceError as error:
            first = first or error
            budget.report(error, f"checkpoint {checkpoint.xid}")
    raise first or Corrupt("APFS container", blocks.span(0), "no checkpoint")


def _whole(source: ByteSource, head: Any, budget: Budget) -> None:
    need = head.block_count * head.block_size
    if need > source.size:
        budget.report(Truncated("APFS container", span_of(source, 0, 48), f"{need} bytes, of which {source.size} are there"))


def _cache(made: Container, budget: Budget) -> None:
    """A note on what the first device may hold of the second: what lies there may be newer."""
    if made.head.fusion_tree or made.head.cache_blocks:
        text = "blocks of the second device that are cached on the first are read where they belong; the cached ones may be newer"
        budget.report(Finding.note("APFS Fusion container", text, span=made.blocks.span(made.current.block)))
