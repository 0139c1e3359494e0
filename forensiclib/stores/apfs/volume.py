"""An APFS volume: its superblock, its snapshots, and which blocks of the container are its own.

Apple, "Apple File System Reference", 2020-06-22: Volumes, Snapshot Metadata, Extent Reference.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from forensiclib.core.errors import Corrupt, EvidenceError, Locked
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource, ExtentSource, MemorySource, WritableBuffer
from forensiclib.core.span import Span
from forensiclib.core.text import escape
from forensiclib.core.time import Timestamp
from forensiclib.formats import apfs
from forensiclib.formats._dsl import parse
from forensiclib.stores.apfs.container import Container
from forensiclib.stores.apfs.objects import ENCRYPTED, Omap, Walk, sealed

__all__ = ["ApfsVolume", "Owned", "Snapshot", "minus", "open_volume", "owned", "snapshots", "union"]

Runs = list[tuple[int, int]]
_ID = (1 << 60) - 1
_SNAPSHOT, _EXTENT, _SEALED_EXTENT = 1, 2, 0
_PHYSICAL = apfs.PHYSICAL


def union(runs: Iterable[tuple[int, int]]) -> Runs:
    """(first, count) runs in order, those that touch or overlap made one."""
    out: Runs = []
    for first, count in sorted(runs):
        if out and first <= sum(out[-1]):
            out[-1] = (out[-1][0], max(sum(out[-1]), first + count) - out[-1][0])
        elif count > 0:
            out.append((first, count))
    return out


def minus(runs: Runs, taken: Runs) -> Runs:
    """What of ``runs`` is in none of ``taken``; both as union gives them."""
    out: Runs = []
    at = 0
    for first, count in runs:
        end = first + count
        while at < len(taken) and sum(taken[at]) <= first:
            at += 1
        number = at
        while first < end and number < len(taken) and taken[number][0] < end:
            low, high = taken[number][0], sum(taken[number])
            if low > first:
                out.append((first, low - first))
            first = max(first, high)
            number += 1
        if first < end:
            out.append((first, end - first))
    return out


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot as the volume lists it. ``block``: of the superblock that it keeps; ``extents``: root of its extent tree."""

    xid: int
    name: str
    created: Timestamp
    changed: Timestamp
    block: int
    extents: int


@dataclass(slots=True)
class Owned:
    """The blocks of a volume with all its snapshots.

    plain    what is never encrypted: superblock, object map, extent and snapshot trees
    secret   what is when the volume is: nodes of the file system tree, and the content of files
    kept     for each snapshot, by transaction: its superblock, and what came to the volume before it and is in no other of these
    broken   parts of trees that could not be read: what they list is in none of these
    """

    plain: Runs = field(default_factory=list)
    secret: Runs = field(default_factory=list)
    kept: dict[int, Runs] = field(default_factory=dict)
    broken: int = 0

    def every(self) -> Runs:
        """All of it."""
        return union([*self.plain, *self.secret, *(run for runs in self.kept.values() for run in runs)])


class ApfsVolume(ByteSource):
    """A volume's own blocks, its superblock's first, the others by number: until a file system reader tells more, what there is of it.

    container, head, block   where it is; head as formats.apfs.APSB, of the snapshot when it is one
    omap     of the volume; snapshots share it
    xid      the transaction that it is seen at
    runs     (first block, count) in order; ``secret`` those of them that are encrypted when the volume is
    opener   number -> the container's addresses with every block decrypted, the number added to that of each sector of 512
             bytes; None when nothing is encrypted or no key was given
    family   what a room keeps for the volume and its snapshots together
    """

    __slots__ = ("_at", "_source", "block", "container", "family", "head", "omap", "opener", "runs", "secret", "size", "xid")

    def __init__(
        self, container: Container, head: Any, block: int, omap: Omap, xid: int, runs: Runs, secret: Runs,
        opener: Callable[[int], ByteSource] | None = None, family: dict[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        self.family: dict[Any, Any] = {} if family is None else family
        self.container, self.head, self.block, self.omap, self.xid = container, head, block, omap, xid
        self.secret, self.opener = secret, opener
        size, base = container.blocks.size, container.blocks.source
        self.runs = [(block, 1), *minus(runs, [(block, 1)])]
        self._at: list[tuple[int, int]] = []
        at, pieces = 0, []
        for first, count in self.runs:
            pieces.append((first, count))
            self._at.append((first, at))
            at += count
        self.size = at * size
        extents: list[tuple[int | None, int]] = []
        if opener is not None:
            hidden, far = union(secret), base.size
            for first, count in pieces:
                for start, length, is_secret in _split(first, count, hidden):
                    extents.append((start * size + (far if is_secret else 0), length * size))
            base = ConcatSource([base, opener(0)])
        else:
            extents = [(first * size, count * size) for first, count in pieces]
        self._source = ExtentSource(base, extents, self.size)

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        return self._source.read_into(offset, buffer)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._source.trace(offset, n)

    @property
    def encrypted(self) -> bool:
        """Whether files and their names are."""
        return not self.head.flags & apfs.FLAG_UNENCRYPTED

    @property
    def uuid(self) -> UUID:
        """Of the volume."""
        return UUID(bytes=bytes(self.head.uuid))

    @property
    def name(self) -> str:
        """Of the volume, as text that can be shown."""
        return escape(bytes(self.head.name).split(b"\0")[0].decode("utf-8", "replace"))

    def opened(self, opener: Callable[[int], ByteSource]) -> ApfsVolume:
        """The same with a key."""
        return ApfsVolume(self.container, self.head, self.block, self.omap, self.xid, self.runs, self.secret, opener, self.family)

    def place(self, block: int) -> int | None:
        """Where in this source a block of the container is; None when it is not the volume's."""
        if block == self.block:
            return 0
        number = bisect_right(self._at, block, 1, key=lambda pair: pair[0]) - 1
        if number < 1 or block >= sum(self.runs[number]):
            return None
        return (self._at[number][1] + block - self.runs[number][0]) * self.container.blocks.size

    def content(self, block: int, count: int, crypto: int | None = None) -> ByteSource:
        """Blocks of a file. ``crypto``: the number that its first one was encrypted under, where it is not the block's own."""
        size = self.container.blocks.size
        source = self.container.blocks.source
        if self.opener is not None:
            source = self.opener(0 if crypto is None else (crypto - block) * (size // 512))
        return source.slice(block * size, count * size)

    def node(self, oid: int) -> bytes:
        """A node of the volume's file system tree, decrypted, its checksum proven.

        Raises Locked for an encrypted one without a key, Corrupt when the checksum does not hold.
        """
        what = "APFS file system tree"
        found = self.omap.find(oid, self.xid)
        blocks = self.container.blocks
        if not found.flags & ENCRYPTED:
            return blocks.object(found.block, what, 0, max(1, min(found.size // blocks.size, 16)))
        if self.opener is None:
            raise Locked(what, blocks.span(found.block), "the node is encrypted, and there is no key")
        count = max(1, min(found.size // blocks.size, 16))
        blocks.read(found.block, what, count)  # Truncated past the end
        raw = self.opener(0).read_at(found.block * blocks.size, count * blocks.size)
        if not sealed(raw):
            raise Corrupt(what, blocks.span(found.block), f"block {found.block:#x}: the checksum does not hold after decryption")
        return raw


def _split(first: int, count: int, hidden: Runs) -> Iterator[tuple[int, int, bool]]:
    """(first, count, whether hidden) parts of a run, in order."""
    end = first + count
    number = max(0, bisect_right(hidden, first, key=lambda run: run[0]) - 1)
    while first < end:
        while number < len(hidden) and sum(hidden[number]) <= first:
            number += 1
        low = hidden[number][0] if number < len(hidden) else end
        stop = min(end, sum(hidden[number])) if low <= first else min(end, low)
        yield first, stop - first, low <= first
        first = stop


def superblock(container: Container, block: int) -> Any:
    """The volume superblock in a block. Raises Corrupt, Truncated."""
    raw = container.blocks.object(block, "APFS volume superblock", 0xD)
    if raw[32:36] != b"APSB":
        raise Corrupt("APFS volume superblock", container.blocks.span(block), f"block {block:#x} begins with {raw[32:36]!r}")
    return parse(apfs.APSB, MemorySource(raw), 0, "APFS volume superblock")


def snapshots(container: Container, head: Any, budget: Budget, nodes: set[int] | None = None) -> list[Snapshot]:
    """The snapshots that a volume lists, oldest first. ``nodes`` takes the blocks of the tree."""
    out: list[Snapshot] = []
    if not head.snapshots_oid or not head.snapshots_type & _PHYSICAL:
        return out
    walk = Walk(container.blocks, "APFS snapshot tree", budget)
    for key, value in walk.entries(head.snapshots_oid):
        if value is None or len(key) < 8 or len(value) < apfs.SNAPSHOT_LAYOUT.size:
            continue
        number = struct.unpack_from("<Q", key)[0]
        if number >> 60 != _SNAPSHOT:
            continue
        extents, block, created, changed, _, _, _, length = apfs.SNAPSHOT_LAYOUT.unpack(value)
        name = value[apfs.SNAPSHOT_LAYOUT.size :][:length].split(b"\0")[0].decode("utf-8", "replace")
        out.append(Snapshot(number & _ID, escape(name), _time(created), _time(changed), block, extents))
    if nodes is not None:
        nodes |= walk.seen
    if len(out) != head.snapshots:
        found = f"{head.snapshots} snapshots stated, {len(out)} found"
        budget.report(Corrupt("APFS snapshot tree", container.blocks.span(head.snapshots_oid), found))
    return out


def _time(ns: int) -> Timestamp:
    seconds, rest = divmod(ns - (1 << 64) if ns >> 63 else ns, 1_000_000_000)
    return replace(Timestamp.unix(seconds, rest), resolution=1)


def _extents(container: Container, root: int, budget: Budget, nodes: set[int]) -> tuple[Runs, int]:
    """The runs that an extent reference tree lists, and how many parts of it were broken; of trees that share nodes each once."""
    out: Runs = []
    if not root or root in nodes:
        return out, 0
    walk = Walk(container.blocks, "APFS extent tree", budget, nodes)
    for key, value in walk.entries(root):
        if value is None or len(key) < 8 or len(value) < 8:
            continue
        number, length = struct.unpack("<Q", key[:8])[0], struct.unpack("<Q", value[:8])[0]
        if number >> 60 == _EXTENT:
            out.append((number & _ID, length & _ID))
    return out, walk.broken


def owned(container: Container, head: Any, block: int, omap: Omap, listed: Iterable[Snapshot], budget: Budget) -> Owned:
    """Which blocks are the volume's, by its own trees."""
    out = Owned()
    nodes = {block, omap.block}
    snapshots(container, head, Budget(budget.limits, budget.cancelled), nodes)
    secret: Runs = []
    walk = Walk(container.blocks, "APFS object map", budget)
    for mapped in omap.every(walk):
        count = max(1, -(-mapped.size // container.blocks.size))
        (secret if mapped.flags & ENCRYPTED else out.plain).append((mapped.block, count))
    nodes |= walk.seen
    out.broken += walk.broken
    if omap.snapshot_tree:
        walk = Walk(container.blocks, "APFS object map", budget)
        for _ in walk.entries(omap.snapshot_tree):
            pass
        nodes |= walk.seen
    if head.extents_type & _PHYSICAL:
        found, broken = _extents(container, head.extents_oid, budget, nodes)
        secret += found
        out.broken += broken
    kept: dict[int, Runs] = {}
    for snapshot in listed:
        runs, broken = _extents(container, snapshot.extents, budget, nodes)
        kept[snapshot.xid] = [*kept.get(snapshot.xid, []), *runs, (snapshot.block, 1)]
        out.broken += broken
    limit = [(base, device.size // container.blocks.size) for base, device in zip(container.bases, container.devices, strict=True)]
    out.plain = _inside(union([*out.plain, *((n, 1) for n in nodes)]), limit, container, budget)
    out.secret = minus(_inside(union(secret), limit, container, budget), out.plain)
    live = union([*out.plain, *out.secret])
    parts = sorted((first, number, count, xid) for number, (xid, runs) in enumerate(kept.items()) for first, count in runs)
    out.kept = {xid: [] for xid in kept}
    at = 0
    for first, _, count, xid in parts:
        if first + count > at:
            out.kept[xid].append((max(first, at), first + count - max(first, at)))
            at = first + count
    out.kept = {xid: minus(_inside(union(runs), limit, container, budget), live) for xid, runs in out.kept.items()}
    return out


def _inside(runs: Runs, limit: Runs, container: Container, budget: Budget) -> Runs:
    """The part of the runs that lies on the devices; the rest is reported."""
    inside = [
        (max(first, low), min(first + count, low + size) - max(first, low))
        for first, count in runs for low, size in limit if first < low + size and low < first + count
    ]  # fmt: skip
    lost = sum(count for _, count in runs) - sum(count for _, count in inside)
    if lost:
        budget.report(Corrupt("APFS volume", container.blocks.span(container.current.block), f"{lost} of its blocks lie past the end"))
    return inside


def open_volume(container: Container, block: int, budget: Budget) -> tuple[ApfsVolume, list[tuple[Snapshot, ApfsVolume]], Owned]:
    """The volume whose superblock is in a block, its snapshots, and the blocks of all. A snapshot that cannot be opened is reported.

    Raises Corrupt, Truncated.
    """
    head = superblock(container, block)
    omap = Omap(container.blocks, head.omap_oid, budget)
    listed = snapshots(container, head, budget)
    mine = owned(container, head, block, omap, listed, budget)
    volume = ApfsVolume(container, head, block, omap, container.current.xid, union([*mine.plain, *mine.secret]), mine.secret)
    out = []
    for snapshot in listed:
        try:
            then = superblock(container, snapshot.block)
        except EvidenceError as error:
            budget.report(error, f"snapshot {snapshot.name}")
            mine.kept.pop(snapshot.xid, None)  # nobody's then: see the blocks of no volume
            continue
        runs = mine.kept.get(snapshot.xid, [])
        secret = minus(runs, [(snapshot.block, 1)])
        out.append((snapshot, ApfsVolume(container, then, snapshot.block, omap, snapshot.xid, runs, secret, family=volume.family)))
    return volume, out, mine
