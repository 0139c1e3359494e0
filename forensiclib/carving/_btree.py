"""The pages of an SQLite database that its own pointers reach: b-trees, overflow chains, freelist."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.sqlite import BTREE
from forensiclib.stores.sqlite.record import kept_here, serial_size, signed, varint

__all__ = ["Reached", "is_page", "reach"]

_TABLE_INTERIOR, _TABLE_LEAF, _INDEX_INTERIOR, _INDEX_LEAF = 5, 13, 2, 10
_TABLES, _INDEXES = frozenset((_TABLE_INTERIOR, _TABLE_LEAF)), frozenset((_INDEX_INTERIOR, _INDEX_LEAF))
_Due = tuple[int, frozenset[int], int | None, int | None]
"""A page number, the kinds that its parent allows, and the rowids between which its own must lie: above, up to."""
_TYPES = frozenset((_TABLE_INTERIOR, _TABLE_LEAF, _INDEX_INTERIOR, _INDEX_LEAF))


@dataclass(slots=True)
class Reached:
    """What a walk found.

    good, bad  page numbers that are, and are not, what the pointer to them says
    whole      False when the walk stopped at its page limit
    tables     names of tables, as sqlite_schema lists them
    """

    good: set[int] = field(default_factory=set)
    bad: set[int] = field(default_factory=set)
    whole: bool = True
    tables: list[str] = field(default_factory=list)
    free: set[int] = field(default_factory=set)


def is_page(raw: bytes, at: int, usable: int) -> bool:
    """Whether a b-tree page header that holds together is at ``at``."""
    if len(raw) < at + BTREE.size or raw[at] not in _TYPES:
        return False
    freeblock, cells, content = (int(value) for value in BTREE.unpack(raw, at)[1:4])
    content = content or 65_536
    pointers = at + (8 if raw[at] & 8 else 12) + 2 * cells
    return pointers <= content and (content <= usable or usable == content == 65_536) and freeblock < usable


def _schema_row(record: bytes, encoding: str) -> tuple[str, str, int] | None:
    """(type, name, root page) of a row of sqlite_schema, from the part of it on the page."""
    end, at = varint(record, 0, len(record))
    kinds: list[int] = []
    while at < min(end, len(record)) and len(kinds) < 5:
        kind, behind = varint(record, at, len(record))
        if kind < 0:
            return None
        kinds.append(kind)
        at = behind
    if len(kinds) < 5:
        return None
    at, values = end, []
    for kind in kinds[:4]:
        size = max(0, serial_size(kind))
        values.append(record[at : at + size])
        at += size
    if at > len(record):
        return None
    root = 1 if kinds[3] == 9 else int.from_bytes(values[3], "big")
    return values[0].decode(encoding, "replace"), values[1].decode(encoding, "replace"), root


class _Walk:
    def __init__(self, source: ByteSource, page_size: int, usable: int, encoding: str, limit: int, budget: Budget) -> None:
        self.source, self.page_size, self.usable, self.encoding = source, page_size, usable, encoding
        self.limit, self.budget, self.out = limit, budget, Reached()

    def page(self, number: int) -> bytes:
        return self.source.read_at((number - 1) * self.page_size, self.page_size)

    def _chain(self, first: int) -> None:
        number, out = first, self.out
        while number and number not in out.good and len(out.good) < self.limit:
            self.budget.item()
            raw = self.source.read_at((number - 1) * self.page_size, 4)
            if len(raw) < 4:
                out.bad.add(number)
                return
            out.good.add(number)
            number = int.from_bytes(raw, "big")

    def _cells(self, raw: bytes, base: int) -> Iterator[tuple[int, int]]:
        """(child page or 0, offset of what follows it) of each cell."""
        kind, count = raw[base], int.from_bytes(raw[base + 3 : base + 5], "big")
        array = base + (8 if kind & 8 else 12)
        for at in struct.unpack_from(f">{count}H", raw, array):
            if at < array + 2 * count or at + 4 > self.usable:
                continue
            if kind & 8:
                yield 0, at
            else:
                yield int.from_bytes(raw[at : at + 4], "big"), at + 4

    def _payload(self, raw: bytes, kind: int, at: int) -> bytes:
        """The part of a payload on the page; its overflow chain is followed."""
        size, start = varint(raw, at, len(raw))
        if kind == _TABLE_LEAF:
            _rowid, start = varint(raw, start, len(raw))
        kept = kept_here(max(size, 0), self.usable, kind == _TABLE_LEAF)
        if size > kept and start + kept + 4 <= self.usable:
            self._chain(int.from_bytes(raw[start + kept : start + kept + 4], "big"))
        return raw[start : start + kept]

    def tree(self, root: int) -> list[int]:
        """Walk one b-tree; for sqlite_schema the root pages that it lists."""
        out, roots = self.out, []
        todo: list[_Due] = [(root, _TYPES, None, None)]
        while todo:
            number, kinds, low, high = todo.pop()
            if number in out.good or number in out.bad:
                continue
            if len(out.good) >= self.limit:
                out.whole = False
                break
            self.budget.item()
            raw, base = self.page(number) if number else b"", 100 if number == 1 else 0
            if len(raw) < self.page_size or not is_page(raw, base, self.usable) or not self._due(raw, base, kinds, low, high):
                out.bad.add(number)
                continue
            out.good.add(number)
            kinds = _TABLES if raw[base] in _TABLES else _INDEXES
            for child, at in self._cells(raw, base):
                if child:
                    key = signed(varint(raw, at, len(raw))[0]) if at > 0 and kinds is _TABLES else None
                    todo.append((child, kinds, low, key))
                    low = key
                if kinds is _TABLES and child:
                    continue
                if at >= 0:
                    record = self._payload(raw, raw[base], at)
                    if root == 1 and (row := _schema_row(record, self.encoding)) is not None:
                        if row[0] == "table":
                            out.tables.append(row[1])
                        if row[2]:
                            roots.append(row[2])
            if not raw[base] & 8:
                todo.append((int.from_bytes(raw[base + 8 : base + 12], "big"), kinds, low, high))
        return roots

    def _due(self, raw: bytes, base: int, kinds: frozenset[int], low: int | None, high: int | None) -> bool:
        """Whether a page is of the kind, and its first and last key within the bounds, that its parent says."""
        if raw[base] not in kinds:
            return False
        count = int.from_bytes(raw[base + 3 : base + 5], "big")
        if raw[base] not in _TABLES or not count or (low is None and high is None):
            return True
        array = base + (8 if raw[base] & 8 else 12)
        keys = []
        for place in (array, array + 2 * count - 2):
            at = int.from_bytes(raw[place : place + 2], "big")
            at = varint(raw, at, len(raw))[1] if raw[base] & 8 else at + 4
            keys.append(signed(varint(raw, at, len(raw))[0]))
        return (low is None or keys[0] > low) and (high is None or keys[1] <= high)

    def freelist(self, trunk: int) -> None:
        out = self.out
        seen: set[int] = set()
        while trunk and trunk not in seen:
            self.budget.item()
            seen.add(trunk)
            raw = self.page(trunk)
            if len(raw) < self.page_size:
                out.bad.add(trunk)
                return
            out.free.add(trunk)
            count = int.from_bytes(raw[4:8], "big")
            if count > self.usable // 4 - 2:
                out.bad.add(trunk)
                return
            out.free.update(struct.unpack_from(f">{count}I", raw, 8))
            trunk = int.from_bytes(raw[:4], "big")


def reach(source: ByteSource, page_size: int, usable: int, encoding: str, first_trunk: int, limit: int, budget: Budget) -> Reached:
    """Walk the schema, every tree it names and the freelist; at most ``limit`` pages of trees."""
    walk = _Walk(source, page_size, usable, encoding, limit, budget)
    for root in walk.tree(1):
        walk.tree(root)
    walk.freelist(first_trunk)
    return walk.out
