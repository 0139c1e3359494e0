"""ext2, ext3 and ext4 beside The Sleuth Kit: inodes, extents and bitmaps read from the volume itself."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.time import Timestamp
from forensiclib.filesystems.tsk.blocks import Blocks, spread
from forensiclib.filesystems.tsk.named import Run
from forensiclib.formats import ext
from forensiclib.formats._dsl import parse

__all__ = ["ExtVolume", "Inode", "superblock"]

BLOCK_UNINIT = 0x2
POINTERS_DIRECT, POINTERS_LEVELS = 12, 3
MAX_EXTENT_DEPTH = 5
FIRST_INODE = 11
"""The first one that is not reserved, where the superblock does not say ("Special inodes")."""
INODES_AT_ONCE = 4096
ORPHAN_LINK = 1 << 28
"""The field of the deletion time links the inodes of the orphan list, by number, while a file is still open: a
value this small (before July 1978) is no time."""
FetchBlock = Callable[[int], bytes]


def superblock(source: ByteSource) -> Any:
    """The superblock at 1024, NotThisFormat unless its fields can be one."""
    if source.size < 2048 or source.read_at(1024 + 56, 2) != b"\x53\xef":
        raise NotThisFormat("ext superblock", None, "no magic")
    sb = parse(ext.SUPERBLOCK, source, ext.SUPERBLOCK_AT, "ext superblock")
    inode_size = sb.inode_size if sb.revision else 128
    good = sb.inodes and sb.inodes_per_group and sb.blocks_per_group and sb.log_block_size <= 6 and sb.revision <= 1
    if not good or inode_size < 128 or inode_size & (inode_size - 1) or inode_size > 1024 << sb.log_block_size:
        raise NotThisFormat("ext superblock", None, "fields out of range")
    if sb.group != 0:
        raise NotThisFormat("ext superblock", None, f"the copy of group {sb.group}")
    return sb


@dataclass(frozen=True, slots=True)
class Inode:
    """One inode, or an older copy of it; ``at`` is the byte offset of its bytes in ``source`` terms."""

    number: int
    mode: int
    size: int
    links: int
    uid: int
    gid: int
    flags: int
    generation: int
    block: bytes
    times: dict[str, Timestamp]
    deleted: int

    @property
    def regular(self) -> bool:
        """A regular file."""
        return self.mode & 0xF000 == 0x8000

    @property
    def directory(self) -> bool:
        """A directory."""
        return self.mode & 0xF000 == 0x4000

    @property
    def alive(self) -> bool:
        """Linked and not marked deleted."""
        return self.links > 0 and self.deleted == 0 and self.mode != 0


class _GroupBlocks(Blocks):
    """The block bitmaps of all groups."""

    def __init__(self, volume: ExtVolume) -> None:
        self._volume = volume
        sb = volume.sb
        self.size = volume.block_size
        held = min(volume.block_count, volume.source.size // self.size)
        self.first, self.last = sb.first_data_block, held - 1
        self.start = self.first * self.size

    def used(self, block: int, count: int) -> bytes:
        count = self.clip(block, count)
        out = bytearray()
        per = self._volume.sb.blocks_per_group
        while len(out) < count:
            group, inside = divmod(block + len(out) - self.first, per)
            take = min(count - len(out), per - inside)
            out += self._volume.group_used(group)[inside : inside + take]
        return bytes(out)


class ExtVolume:
    """Groups, inodes and block maps of one volume."""

    def __init__(self, source: ByteSource, budget: Budget) -> None:
        """NotThisFormat without a superblock, Unsupported for layouts that are not read here."""
        self.source = source
        self.sb = sb = superblock(source)
        self.block_size = 1024 << sb.log_block_size
        wide = bool(sb.incompat & ext.INCOMPAT_64BIT)
        self.block_count = sb.blocks_low | (sb.blocks_high << 32 if wide else 0)
        self.inode_size = sb.inode_size if sb.revision else 128
        if sb.incompat & ext.INCOMPAT_META_BG or sb.ro_compat & ext.RO_BIGALLOC:
            raise Unsupported("ext superblock", None, "meta_bg or bigalloc")
        if not 8 <= sb.blocks_per_group <= self.block_size * 8 or sb.first_data_block > 1:
            raise Corrupt("ext superblock", None, f"{sb.blocks_per_group} blocks a group")
        self.first_inode = int(sb.first_inode) if sb.revision else FIRST_INODE
        self.groups = -(-(self.block_count - sb.first_data_block) // sb.blocks_per_group)
        self._desc = sb.desc_size if wide and sb.desc_size >= 64 else 32
        length = budget.allocate("ext group descriptors", self.groups * self._desc)
        self._table = source.read_at((sb.first_data_block + 1) * self.block_size, length)
        if len(self._table) < length:
            raise Truncated("ext group descriptors", None, f"{len(self._table)} of {length} bytes")
        self.blocks = _GroupBlocks(self)
        self._budget = budget
        self._blind: set[int] = set()
        if self.blocks.last + 1 < self.block_count:
            text = f"{self.block_count} blocks of {self.block_size} bytes, the volume ends after {self.blocks.last + 1}"
            budget.report(Truncated("ext file system", None, text))
        self._tables = sorted((self.group(g)["inode_table"], g) for g in range(self.groups))

    def group(self, number: int) -> dict[str, int]:
        """The descriptor of a group, 64-bit fields joined."""
        if not 0 <= number < self.groups:
            raise Corrupt("ext group", None, f"{number} of {self.groups}")
        at = number * self._desc
        low: dict[str, int] = ext.GROUP_DESC_LAYOUT.dict(self._table, at)
        if self._desc >= 64:
            for name, value in ext.GROUP_DESC_HIGH_LAYOUT.dict(self._table, at + 32).items():
                low[name] |= value << 32
        return low

    def group_used(self, number: int) -> bytes:
        """One byte a block of the group: its bitmap, or what an uninitialised one implies. Of a group whose
        bitmap lies outside the volume nothing is known: its blocks count as free, and ``judged`` says so."""
        per = self.sb.blocks_per_group
        desc = self.group(number)
        if not desc["flags"] & BLOCK_UNINIT:
            raw = self.source.read_at(desc["block_bitmap"] * self.block_size, (per + 7) // 8)
            if len(raw) * 8 >= per:
                return spread(raw)[:per]
            if number not in self._blind:
                self._blind.add(number)
                self._budget.report(Truncated("ext block bitmap", None, f"group {number}: its bitmap lies outside the volume"))
            return bytes(per)
        flags = bytearray(per)
        first = self.sb.first_data_block + number * per
        for block, count in self._metadata(number):
            low, high = max(block, first), min(block + count, first + per)
            if low < high:
                flags[low - first : high - first] = b"\1" * (high - low)
        return bytes(flags)

    def judged(self, block: int, count: int) -> bool:
        """Whether the volume says of all those blocks if they are in use."""
        if self.blocks.clip(block, count) < count:
            return False
        per = self.sb.blocks_per_group
        self.blocks.in_use(block, count)
        return self._blind.isdisjoint(range((block - self.blocks.first) // per, (block + count - 1 - self.blocks.first) // per + 1))

    def has(self, block: int) -> bool:
        """Whether the file system has a block of that number, inside the volume or not."""
        return bool(self.blocks.first <= block < self.block_count)

    def _metadata(self, number: int) -> Iterator[tuple[int, int]]:
        """(block, count) of what a group without a bitmap may hold: superblock copies, bitmaps, tables."""
        if not self.sb.ro_compat & ext.RO_SPARSE_SUPER or _has_copy(number):
            copies = 1 + -(-self.groups * self._desc // self.block_size) + self.sb.reserved_gdt
            yield self.sb.first_data_block + number * self.sb.blocks_per_group, copies
        for group in range(max(0, number - 64), min(self.groups, number + 64)):
            desc = self.group(group)
            yield desc["block_bitmap"], 1
            yield desc["inode_bitmap"], 1
            yield desc["inode_table"], self.table_blocks

    @property
    def table_blocks(self) -> int:
        """Blocks of one group's inode table."""
        return -(-int(self.sb.inodes_per_group) * int(self.inode_size) // int(self.block_size))

    def table_first_inode(self, block: int) -> int | None:
        """The first inode in ``block`` when it is part of an inode table, else None."""
        i = bisect_right(self._tables, (block, self.groups)) - 1
        if i < 0 or block - self._tables[i][0] >= self.table_blocks:
            return None
        start, group = self._tables[i]
        return int(group * self.sb.inodes_per_group + (block - start) * (self.block_size // self.inode_size) + 1)

    def inode_at(self, number: int) -> int:
        """The byte offset of an inode in the volume."""
        if not 1 <= number <= self.sb.inodes:
            raise Corrupt("ext inode", None, f"number {number} of {self.sb.inodes}")
        group, inside = divmod(number - 1, self.sb.inodes_per_group)
        return int(self.group(group)["inode_table"] * self.block_size + inside * self.inode_size)

    def inode(self, number: int) -> Inode:
        """An inode as it stands now."""
        raw = self.source.read_at(self.inode_at(number), self.inode_size)
        if len(raw) < self.inode_size:
            raise Truncated("ext inode", None, f"inode {number}")
        return parse_inode(number, raw)

    def dead_inodes(self) -> Iterator[int]:
        """Numbers of the inodes that have a type and no name any more; a table that cannot be read is reported."""
        per, size = int(self.sb.inodes_per_group), self.inode_size
        for group in range(self.groups):
            at = self.group(group)["inode_table"] * self.block_size
            for first in range(0, per, INODES_AT_ONCE):
                try:
                    raw = self.source.read_at(at + first * size, min(INODES_AT_ONCE, per - first) * size)
                except EvidenceError as error:
                    self._budget.report(error, "inode table")
                    continue
                for inside in range(len(raw) // size):
                    mode, links = raw[inside * size : inside * size + 2], raw[inside * size + 26 : inside * size + 28]
                    number = group * per + first + inside + 1
                    if links == b"\0\0" and mode != b"\0\0" and number >= self.first_inode:
                        yield number

    def block(self, number: int) -> bytes:
        """A block as it stands now."""
        return self.source.read_at(number * self.block_size, self.block_size)

    def runs(self, inode: Inode, fetch: FetchBlock) -> list[Run]:
        """Byte runs of an inode's content up to its size, holes as None; ``fetch`` gives the blocks of
        its tree (an older copy's may be in the journal). Raises Corrupt for a tree that cannot be."""
        blocks = -(-inode.size // self.block_size)
        if inode.flags & ext.FLAG_EXTENTS:
            pieces = self._extents(inode.block, fetch, None, set())
        else:
            pieces = self._pointers(inode, fetch, blocks)
        out: list[Run] = []
        at = 0
        for logical, start, count in sorted(pieces, key=lambda piece: piece[0]):
            if logical < at:
                raise Corrupt("ext extents", None, f"inode {inode.number}: block {logical} is mapped twice")
            if logical >= blocks:
                break
            if logical > at:
                _add(out, None, (logical - at) * self.block_size)
            _add(out, None if start is None else start * self.block_size, count * self.block_size)
            at = logical + count
        if at < blocks:
            _add(out, None, (blocks - at) * self.block_size)
        return out

    def _extents(self, node: bytes, fetch: FetchBlock, depth: int | None, seen: set[int]) -> list[tuple[int, int | None, int]]:
        head = ext.EXTENT_HEADER_LAYOUT.dict(node)
        room = (len(node) - 12) // 12
        if head["magic"] != ext.EXTENT_MAGIC or head["entries"] > min(room, head["maximum"]) or head["depth"] > MAX_EXTENT_DEPTH:
            raise Corrupt("ext extent header", None, f"magic {head['magic']:#06x}, {head['entries']} entries, depth {head['depth']}")
        if depth is not None and head["depth"] != depth:
            raise Corrupt("ext extent header", None, f"depth {head['depth']}, its parent says {depth}")
        out: list[tuple[int, int | None, int]] = []
        for i in range(head["entries"]):
            at = 12 + 12 * i
            if head["depth"]:
                index = ext.EXTENT_INDEX_LAYOUT.dict(node, at)
                leaf = index["leaf_low"] | index["leaf_high"] << 32
                if leaf in seen or not self.has(leaf):
                    raise Corrupt("ext extent index", None, f"block {leaf}")
                seen.add(leaf)
                out += self._extents(fetch(leaf), fetch, head["depth"] - 1, seen)
                continue
            extent = ext.EXTENT_LAYOUT.dict(node, at)
            count, start = extent["length"], extent["start_low"] | extent["start_high"] << 32
            unwritten = count > 32768
            count -= 32768 if unwritten else 0
            if not count or not self.has(start) or not self.has(start + count - 1):
                raise Corrupt("ext extent", None, f"{count} blocks from {start}")
            out.append((extent["logical"], None if unwritten else start, count))
        return out

    def _pointers(self, inode: Inode, fetch: FetchBlock, blocks: int) -> list[tuple[int, int | None, int]]:
        words = struct.unpack("<15I", inode.block)
        seen: set[int] = set()
        out: list[tuple[int, int | None, int]] = []
        logical = 0

        def take(level: int, pointer: int) -> None:
            nonlocal logical
            if logical >= blocks:
                return
            span = (self.block_size // 4) ** level
            if pointer == 0:
                logical += span
                return
            if not self.has(pointer) or len(out) > self.block_count or (level and pointer in seen):
                raise Corrupt("ext block pointer", None, f"inode {inode.number}: block {pointer}")
            if level:
                seen.add(pointer)
            if level == 0:
                out.append((logical, pointer, 1))
                logical += 1
                return
            for child in struct.unpack(f"<{self.block_size // 4}I", fetch(pointer)):
                take(level - 1, child)

        for pointer in words[:POINTERS_DIRECT]:
            take(0, pointer)
        for level in range(1, POINTERS_LEVELS + 1):
            take(level, words[POINTERS_DIRECT + level - 1])
        return out


def parse_inode(number: int, raw: bytes) -> Inode:
    """``raw`` is a whole inode record (128 bytes or more)."""
    f = ext.INODE_LAYOUT.dict(raw)
    extra: dict[str, int] = {}
    if len(raw) >= 156 and ext.INODE_EXTRA_LAYOUT.dict(raw, 128)["extra_size"] >= 28:
        extra = ext.INODE_EXTRA_LAYOUT.dict(raw, 128)
    times = {name: _stamp(f[name], extra.get(f"{name}_extra", 0)) for name in ("modified", "accessed", "changed")}
    if extra:
        times["born"] = _stamp(extra["born"], extra["born_extra"])
    if f["deleted"] > ORPHAN_LINK and f["links"] == 0:
        times["deleted"] = Timestamp.unix(f["deleted"])
    size = f["size_low"] | (f["size_high"] << 32 if f["mode"] & 0xF000 == 0x8000 else 0)
    return Inode(
        number, f["mode"], size, f["links"], f["uid"] | f["uid_high"] << 16, f["gid"] | f["gid_high"] << 16, f["flags"],
        f["generation"], f["block"], {k: t for k, t in times.items() if t.ns is not None}, f["deleted"],
    )  # fmt: skip


def _stamp(seconds: int, extra: int) -> Timestamp:
    """Signed 32-bit seconds, two more high bits, nanoseconds ("Inode Timestamps")."""
    signed = seconds - (1 << 32) if seconds & 1 << 31 else seconds
    return Timestamp.unix(signed + ((extra & 3) << 32), extra >> 2)


def _add(runs: list[Run], start: int | None, length: int) -> None:
    if runs and (last := runs[-1]):
        if last[0] is None and start is None:
            runs[-1] = (None, last[1] + length)
            return
        if last[0] is not None and start == last[0] + last[1]:
            runs[-1] = (last[0], last[1] + length)
            return
    runs.append((start, length))


def _has_copy(group: int) -> bool:
    """Groups 0, 1 and powers of 3, 5 and 7 hold a copy of the superblock (sparse_super)."""
    if group <= 1:
        return True
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return True
    return False


def try_inode(volume: ExtVolume, number: int) -> Inode | None:
    """The inode, None when its place cannot be read."""
    try:
        return volume.inode(number)
    except EvidenceError:
        return None
