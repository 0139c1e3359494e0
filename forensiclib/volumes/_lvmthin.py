"""Which blocks of a thin pool's data belong to which thin device: the B-trees of its metadata.

Linux Documentation/admin-guide/device-mapper/thin-provisioning.rst and persistent-data.rst; thin_dump(8).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats import lvm2
from forensiclib.formats._dsl import layout, parse
from forensiclib.volumes._parts import span_of

__all__ = ["ThinPool", "thin_pool"]

BLOCK = 4096
_NODE = layout(lvm2.NODE)
_INNER, _LEAF = 1, 2
_DEEPEST = 16
_END = 1 << 64


def _table() -> tuple[int, ...]:
    out = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        out.append(value)
    return tuple(out)


_CASTAGNOLI = _table()


def _crc(data: bytes) -> int:
    """CRC-32C with its first value inverted and its last one not, as the device mapper has it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CASTAGNOLI[(crc ^ byte) & 0xFF]
    return crc


@dataclass(slots=True)
class ThinPool:
    """An opened pool. ``block`` in bytes; ``roots``: device id -> root block of its own tree."""

    source: ByteSource
    block: int
    transaction: int
    budget: Budget
    roots: dict[int, int] = field(default_factory=dict)

    def runs(self, device: int) -> list[tuple[int, int | None, int]]:
        """(first block of the device, first block of the data or None where the tree is damaged, blocks), ascending;
        what is in none was never written. Corrupt when the pool has no such device."""
        if device not in self.roots:
            raise Corrupt("thin pool", None, f"no device {device}")
        out: list[tuple[int, int | None, int]] = []
        for key, value, end in self._walk(self.roots[device], 0, _END, 0, set()):
            self.budget.item()
            if value is None:
                out.append((key, None, end - key))
                continue
            there = value >> 24  # the low bits are the time of the last sharing
            if out and out[-1][1] is not None and out[-1][0] + out[-1][2] == key and out[-1][1] + out[-1][2] == there:
                out[-1] = (out[-1][0], out[-1][1], out[-1][2] + 1)
            else:
                out.append((key, there, 1))
        return out

    def _walk(self, at: int, low: int, high: int, depth: int, seen: set[int]) -> Iterator[tuple[int, int | None, int]]:
        """(key, value, key + 1) in order; (key, None, end) for a part of the tree that cannot be read."""
        try:
            if at in seen or depth > _DEEPEST:
                raise Corrupt("thin pool B-tree", None, f"the tree returns to block {at}")
            seen.add(at)
            flags, keys, values = self._node(at)
        except EvidenceError as error:
            self.budget.report(error, f"thin pool block {at}")
            yield low, None, high
            return
        inside = [(k, v) for k, v in zip(keys, values, strict=True) if low <= k < high]
        if len(inside) < len(keys) or any(a[0] >= b[0] for a, b in pairwise(inside)):
            self.budget.report(Corrupt("thin pool B-tree", span_of(self.source, at * BLOCK, BLOCK), f"keys of block {at} out of order"))
            yield low, None, high
            return
        for number, (key, value) in enumerate(inside):
            if flags & _LEAF:
                yield key, value, key + 1
            else:
                end = inside[number + 1][0] if number + 1 < len(inside) else high
                yield from self._walk(value, key, end, depth + 1, seen)

    def _node(self, at: int) -> tuple[int, list[int], list[int]]:
        """(flags, keys, values of 64 bits) of a node whose checksum holds."""
        raw = self.source.read_at(at * BLOCK, BLOCK) if at < self.source.size // BLOCK else b""
        where = span_of(self.source, at * BLOCK, BLOCK) if raw else None
        if len(raw) < BLOCK:
            raise Truncated("thin pool B-tree", where, f"block {at} lies past the end")
        crc, flags, _block, count, most, width, _ = _NODE.unpack(raw)
        if (wanted := _crc(raw[4:]) ^ lvm2.NODE_XOR) != crc:
            raise Corrupt("thin pool B-tree", where, f"checksum {crc:#010x} stored, {wanted:#010x} computed")
        if count > most or _NODE.size + most * (8 + width) > BLOCK or width != 8 or flags not in (_INNER, _LEAF):
            raise Corrupt("thin pool B-tree", where, f"{count} of {most} entries of {width} bytes, flags {flags}")
        keys = struct.unpack_from(f"<{count}Q", raw, _NODE.size)
        return flags, list(keys), list(struct.unpack_from(f"<{count}Q", raw, _NODE.size + 8 * most))


def thin_pool(metadata: ByteSource, budget: Budget) -> ThinPool:
    """The pool whose metadata these are; Corrupt or Truncated when its superblock does not hold."""
    head = parse(lvm2.THIN, metadata, 0, "thin pool superblock")
    where = span_of(metadata, 0, lvm2.THIN.sizeof())
    if head.magic != lvm2.THIN_MAGIC:
        raise Corrupt("thin pool superblock", where, f"magic {head.magic}")
    if (wanted := _crc(metadata.read_at(4, BLOCK - 4)) ^ lvm2.SUPER_XOR) != head.crc:
        raise Corrupt("thin pool superblock", where, f"checksum {head.crc:#010x} stored, {wanted:#010x} computed")
    if not 128 <= head.data_block <= 2 << 20 or head.metadata_block * 512 != BLOCK:
        raise Corrupt("thin pool superblock", where, f"blocks of {head.data_block} and {head.metadata_block} sectors")
    pool = ThinPool(metadata, head.data_block * 512, head.transaction, budget)
    for device, root, _ in pool._walk(head.mapping_root, 0, _END, 0, set()):
        budget.item()
        if root is not None:
            pool.roots[device] = root
    return pool
