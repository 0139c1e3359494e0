"""The blocks of an APFS container, the objects in them, and its B-trees.

Apple, "Apple File System Reference", 2020-06-22: Objects, B-Trees, Object Maps.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.core.span import Span
from forensiclib.formats import apfs
from forensiclib.formats._dsl import parse

__all__ = ["ENCRYPTED", "Blocks", "Mapped", "Node", "Omap", "Walk", "fletcher64", "node_of", "sealed", "span_of"]

_HEAD, _INFO = apfs.OBJECT_LAYOUT.size, apfs.BTREE_INFO_LAYOUT.size
_NODE = _HEAD + apfs.BTREE_NODE_LAYOUT.size
_MOD = 0xFFFFFFFF
_DEEPEST = 16
_KEPT = 4096
"""Nodes of an object map that are remembered: 16 MiB of the commonest blocks."""
_NONE = 0xFFFF
ROOT, LEAF, FIXED, NO_HEADER = 1, 2, 4, 16
DELETED, ENCRYPTED = 1, 4


def fletcher64(data: bytes | bytearray | memoryview) -> bytes:
    """The checksum over an object behind its own eight bytes (Reference, o_cksum); a number of words of 32 bits."""
    words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
    low, high = sum(words) % _MOD, sum(accumulate(words)) % _MOD
    first = _MOD - (low + high) % _MOD
    return struct.pack("<2I", first, _MOD - (low + first) % _MOD)


def sealed(raw: bytes | bytearray) -> bool:
    """Whether the checksum of an object holds. Zeros, whose checksum would be right in some sense, are no object."""
    return len(raw) > 8 and fletcher64(memoryview(raw)[8:]) == bytes(raw[:8]) and any(raw[8:_HEAD])


def span_of(source: ByteSource, at: int, n: int) -> Span | None:
    """The first span behind a range; None past the end."""
    spans = source.trace(at, n) if 0 <= at < source.size else ()
    return spans[0] if spans else None


@dataclass(frozen=True, slots=True)
class Blocks:
    """Byte ``n * size`` of ``source`` begins block ``n``: of a container in one piece, or of one in two devices."""

    source: ByteSource
    size: int

    def span(self, block: int, count: int = 1) -> Span | None:
        """Where it lies."""
        return span_of(self.source, block * self.size, count * self.size)

    def read(self, block: int, what: str, count: int = 1) -> bytes:
        """Whole blocks. Raises Truncated past the end."""
        at, n = block * self.size, count * self.size
        if at + n > self.source.size:
            raise Truncated(what, None, f"block {block:#x} lies past the end ({self.source.size // self.size} blocks)")
        return self.source.read_at(at, n)

    def object(self, block: int, what: str, kind: int = 0, count: int = 1) -> bytes:
        """An object whose checksum holds and whose type is ``kind`` (0: any). Raises Corrupt, Truncated."""
        raw = self.read(block, what, count)
        if not sealed(raw):
            found = f"block {block:#x}: checksum {raw[:8].hex()} stored, {fletcher64(memoryview(raw)[8:]).hex()} computed"
            raise Corrupt(what, self.span(block, count), found)
        self.typed(raw, block, what, kind)
        return raw

    def typed(self, raw: bytes, block: int, what: str, kind: int) -> None:
        """Corrupt when the object is of another type."""
        found = struct.unpack_from("<I", raw, 24)[0] & 0xFFFF
        if kind and found != kind:
            raise Corrupt(what, self.span(block), f"block {block:#x}: an object of type {found:#x}, not {kind:#x}")


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a B-tree: its entries in order; a value is None for a key that stands alone."""

    block: int
    level: int
    leaf: bool
    entries: tuple[tuple[bytes, bytes | None], ...]


def node_of(raw: bytes, block: int, sizes: tuple[int, int] = (0, 0)) -> tuple[Node, tuple[int, int]]:
    """The node in a block, and the sizes of keys and values that its root states (0: they vary), for the nodes below.

    Raises ValueError for places outside of it.
    """
    flags, level, count, table_at, table_size, *_ = apfs.BTREE_NODE_LAYOUT.unpack(raw, _HEAD)
    end = len(raw) - (_INFO if flags & ROOT else 0)
    table, keys = _NODE + table_at, _NODE + table_at + table_size
    if flags & ROOT:
        info = apfs.BTREE_INFO_LAYOUT.unpack(raw, end)
        sizes = (info[2], info[3])
    wide = 4 if flags & FIXED else 8
    if keys > end or count * wide > table_size or count > len(raw) // 4 or level > _DEEPEST or (level == 0) != bool(flags & LEAF):
        raise ValueError(f"{count} entries, a table of {table_size} bytes at {table}, level {level}, flags {flags:#x}")
    if flags & FIXED and not (0 < sizes[0] <= 256 and 0 <= sizes[1] <= 4096):
        raise ValueError(f"keys of {sizes[0]} and values of {sizes[1]} bytes")
    out: list[tuple[bytes, bytes | None]] = []
    for at in range(table, table + count * wide, wide):
        if flags & FIXED:
            key_at, value_at = struct.unpack_from("<2H", raw, at)
            key_size, value_size = sizes[0], sizes[1] if flags & LEAF else 8
        else:
            key_at, key_size, value_at, value_size = struct.unpack_from("<4H", raw, at)
        start, value = keys + key_at, end - value_at
        if start + key_size > end:
            raise ValueError(f"a key of {key_size} bytes at {start}")
        if value_at == _NONE:
            out.append((raw[start : start + key_size], None))
            continue
        if not _NODE <= value <= value + value_size <= end:
            raise ValueError(f"a value of {value_size} bytes at {value}")
        out.append((raw[start : start + key_size], raw[value : value + value_size]))
    return Node(block, level, bool(flags & LEAF), tuple(out)), sizes


@dataclass(slots=True)
class Walk:
    """A pass over one B-tree whose children are block numbers, in order of its keys.

    seen    blocks of the nodes that were read
    broken  how many parts of it could not be read; each is a finding
    fetch   block -> its bytes, checked
    """

    blocks: Blocks
    what: str
    budget: Budget
    seen: set[int] = field(default_factory=set)
    broken: int = 0
    fetch: Callable[[int], bytes] | None = None

    def entries(self, root: int) -> Iterator[tuple[bytes, bytes | None]]:
        """(key, value) of every leaf. A part that cannot be read, or that comes twice, is reported and left out."""
        todo: list[tuple[int, int, tuple[int, int]]] = [(root, -1, (0, 0))]
        while todo:
            block, level, sizes = todo.pop()
            try:
                if block in self.seen:
                    raise Corrupt(self.what, self.blocks.span(block), f"the tree returns to block {block:#x}")
                self.seen.add(block)
                node, sizes = self.node(block, sizes)
                if level >= 0 and node.level != level - 1:
                    raise Corrupt(self.what, self.blocks.span(block), f"block {block:#x} is of level {node.level} below level {level}")
            except EvidenceError as error:
                self.broken += 1
                self.budget.report(error)
                continue
            if node.leaf:
                for entry in node.entries:
                    self.budget.item()
                    yield entry
                continue
            for _, value in reversed(node.entries):
                if value is None or len(value) < 8:
                    self.broken += 1
                    self.budget.report(Corrupt(self.what, self.blocks.span(block), f"block {block:#x}: a child without a place"))
                else:
                    todo.append((struct.unpack_from("<Q", value)[0], node.level, sizes))

    def node(self, block: int, sizes: tuple[int, int]) -> tuple[Node, tuple[int, int]]:
        """One node. Raises Corrupt, Truncated."""
        raw = self.fetch(block) if self.fetch is not None else self.blocks.object(block, self.what)
        kind = struct.unpack_from("<I", raw, 24)[0] & 0xFFFF
        if kind not in (2, 3):
            raise Corrupt(self.what, self.blocks.span(block), f"block {block:#x}: an object of type {kind:#x}, not a node")
        try:
            return node_of(raw, block, sizes)
        except ValueError as error:
            raise Corrupt(self.what, self.blocks.span(block), f"block {block:#x}: {error}") from None


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where a virtual object lies."""

    block: int
    size: int
    flags: int
    xid: int


class Omap:
    """An object map: (object, transaction) -> block.

    block     of the map itself; tree   of its root; flags   as stored
    """

    def __init__(self, blocks: Blocks, block: int, budget: Budget) -> None:
        raw = blocks.object(block, "APFS object map", 0xB)
        head = parse(apfs.OMAP, MemorySource(raw), _HEAD, "APFS object map")
        self.block, self.tree, self.flags, self.snapshot_tree = block, head.tree, head.flags, head.snapshot_tree
        self._blocks, self._budget = blocks, budget
        self._nodes: dict[int, tuple[Node, tuple[int, int]]] = {}

    def find(self, oid: int, xid: int) -> Mapped:
        """The newest version that is not younger than ``xid``. Corrupt when there is none."""
        walk = Walk(self._blocks, "APFS object map", self._budget)
        block, sizes = self.tree, (0, 0)
        wanted = struct.pack(">2Q", oid, xid)
        for _ in range(_DEEPEST + 1):
            known = self._nodes.get(block)
            if known is None:
                known = walk.node(block, sizes)
                if len(self._nodes) >= _KEPT:
                    self._nodes.clear()
                self._nodes[block] = known
            node, sizes = known
            index = bisect_right(node.entries, wanted, key=lambda entry: _ordered(entry[0])) - 1
            if index < 0:
                break
            key, value = node.entries[index]
            if value is None or len(key) < 16:
                break
            if not node.leaf:
                block = struct.unpack_from("<Q", value)[0] if len(value) >= 8 else 0
                continue
            found, version = apfs.OMAP_KEY.unpack(key)
            flags, size, address = apfs.OMAP_VALUE.unpack(value) if len(value) >= 16 else (DELETED, 0, 0)
            if found != oid or flags & DELETED:
                break
            return Mapped(address, size, flags, version)
        raise Corrupt("APFS object map", self._blocks.span(self.block), f"no object {oid:#x} at transaction {xid}")

    def every(self, walk: Walk) -> Iterator[Mapped]:
        """Every version of every object that is there."""
        for key, value in walk.entries(self.tree):
            if value is not None and len(value) >= 16 and len(key) >= 16:
                flags, size, address = apfs.OMAP_VALUE.unpack(value)
                if not flags & DELETED:
                    yield Mapped(address, size, flags, apfs.OMAP_KEY.unpack(key)[1])


def _ordered(key: bytes) -> bytes:
    return key[7::-1] + key[15:7:-1]
