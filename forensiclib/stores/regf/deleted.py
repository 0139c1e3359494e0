"""Deleted keys and values: what still stands in bytes that no live record uses.

Every byte of the hive bins data that the live tree does not need is searched: free cells, the slack of
cells, allocated cells that nothing leads to, and what lies past the last hive bin. A candidate must
hold up as a whole (see _key_node, _value_node); live records are never found, for their bytes are not searched.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forensiclib.core.entry import Verdict
from forensiclib.core.errors import EvidenceError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.formats.regf import BINS, HIVE_BIN, KEY_NODE, KEY_VALUE, NOWHERE, RESIDENT
from forensiclib.stores.regf.cells import Cells, Data, KeyNode, ValueNode
from forensiclib.stores.regf.keys import LOST, Home, Key, Value

__all__ = ["Live", "Recovered", "recover"]

_SIGNATURE = re.compile(rb"[nv]k")
_KEY_FLAGS = 0xF3FF
_FIRST_TIME, _LAST_TIME = 122_000_000_000_000_000, 160_000_000_000_000_000
"""FILETIMEs of August 1987 and of January 2108: no registry was written outside."""
_MAX_KEY_NAME, _MAX_VALUE_NAME = 512, 32_766
"""Bytes: 256 and 16,383 UTF-16 units, the longest names that Windows makes."""
_MAX_VALUES = 1 << 16


@dataclass(frozen=True, slots=True)
class Live:
    """What the live tree holds: the path and last written time of each key by its offset; the cells in use
    as (offset, bytes used), ascending."""

    keys: Mapping[int, tuple[str, int]]
    used: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Recovered:
    """keys: deleted, by offset; values: of live keys, by the key's offset; lost: a key that holds
    those values of which no key is known, None when there are none."""

    keys: tuple[Key, ...]
    values: Mapping[int, tuple[Value, ...]]
    lost: Key | None


def recover(home: Home, live: Live, budget: Budget) -> Recovered:
    """Everything deleted that can be believed, in the order of offsets."""
    return _Recovery(home, live, budget).run()


def _merged(used: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    starts: list[int] = []
    ends: list[int] = []
    for offset, length in used:
        if ends and offset <= ends[-1]:
            ends[-1] = max(ends[-1], offset + length)
        else:
            starts.append(offset)
            ends.append(offset + length)
    return starts, ends


class _Recovery:
    def __init__(self, home: Home, live: Live, budget: Budget) -> None:
        self.home, self.live, self.budget = home, live, budget
        self.cells: Cells = home.cells
        self.starts, self.ends = _merged(live.used)
        self.live_cells = {offset for offset, _ in live.used}
        self.map = _CellMap(self.cells)
        self.keys: dict[int, KeyNode] = {}
        self.values: dict[int, ValueNode] = {}

    def run(self) -> Recovered:
        self._search()
        shared = Counter(v.data for v in self.values.values() if not v.data_size & RESIDENT and v.data_size)
        self.stale = {data for data, count in shared.items() if count > 1}
        owner: dict[int, int] = {}
        for offset, node in self.keys.items():
            for value in self._listed(node):
                owner.setdefault(value, offset)
        slack = self._list_slack(owner)
        keys = self._deleted_keys(owner)
        lost = [offset for offset in self.values if offset not in owner and offset not in slack]
        of_live: dict[int, list[Value]] = {}
        for offset, key in slack.items():
            parent = Key(self.home, self.cells.key(key), self.live.keys[key][0])
            of_live.setdefault(key, []).append(self._value(offset, parent, "; listed in the slack of the key's value list"))
        return Recovered(keys, {key: tuple(values) for key, values in of_live.items()}, self._lost(lost))

    def _free(self, start: int, end: int) -> bool:
        """Whether no live record uses any byte of [start, end)."""
        i = bisect_right(self.ends, start)
        return start >= 0 and end <= self.cells.size and (i == len(self.starts) or self.starts[i] >= end)

    def _gaps(self) -> Iterator[tuple[int, int]]:
        at = self.cells.begin
        for start, end in zip(self.starts, self.ends, strict=True):
            if at < start:
                yield at, start
            at = max(at, end)
        if at < self.cells.size:
            yield at, self.cells.size

    def _search(self) -> None:
        data = self.cells.data
        for start, end in self._gaps():
            self.budget.check()
            for hit in _SIGNATURE.finditer(data, BINS + start, BINS + min(end, self.cells.size)):
                offset = hit.start() - BINS - 4
                if offset & 7 or offset < start:
                    continue
                self.budget.item()
                if hit.group() == b"nk":
                    key = self._key_node(offset, end)
                    if key is not None:
                        self.keys[offset] = key
                else:
                    value = self._value_node(offset, end)
                    if value is not None:
                        self.values[offset] = value

    def _size(self, offset: int, needed: int, end: int) -> int | None:
        """The size in the header at ``offset`` when ``needed`` bytes of record fit it and the gap."""
        size = abs(int.from_bytes(self.cells.data[BINS + offset : BINS + offset + 4], "little", signed=True))
        fits = not size & 7 and 4 + needed <= size <= self.cells.size - offset and offset + 4 + needed <= end
        return size if fits else None

    def _points(self, *offsets: int) -> bool:
        return all(o == NOWHERE or (not o & 7 and HIVE_BIN.size <= o < self.cells.reach) for o in offsets)

    def _key_node(self, offset: int, end: int) -> KeyNode | None:
        if offset + 4 + KEY_NODE.size > end:
            return None
        f = KEY_NODE.dict(self.cells.data, BINS + offset + 4)
        length, flags = f["name_length"], f["flags"]
        if not 0 < length <= _MAX_KEY_NAME or flags & ~_KEY_FLAGS or (not flags & 0x20 and length & 1):
            return None
        if not _FIRST_TIME <= f["last_written"] <= _LAST_TIME or f["subkeys"] * 4 > self.cells.reach or f["values"] > _MAX_VALUES:
            return None
        lists = [f["security"]]
        lists += [f["subkey_list"]] if f["subkeys"] else []
        lists += [f["value_list"]] if f["values"] else []
        if not self._points(*lists, f["parent"]) or f["parent"] == NOWHERE or self._size(offset, KEY_NODE.size + length, end) is None:
            return None
        try:
            node = self.cells.key(offset)
        except EvidenceError:
            return None  # in a range that was not acquired: reported when it was read
        return node if node.name.strip("\0") else None

    def _value_node(self, offset: int, end: int) -> ValueNode | None:
        if offset + 4 + KEY_VALUE.size > end:
            return None
        _, length, size, where, kind, flags, _ = KEY_VALUE.unpack(self.cells.data, BINS + offset + 4)
        if length > _MAX_VALUE_NAME or flags & ~3 or (not flags & 1 and length & 1) or 0xFFFF < kind < 0xFFFF0000:
            return None
        if self._size(offset, KEY_VALUE.size + length, end) is None:
            return None
        if size & RESIDENT:
            if size & ~RESIDENT > 4:
                return None
        elif size > self.cells.reach or (size and (where == NOWHERE or not self._points(where))):
            return None
        try:
            node = self.cells.value(offset)
        except EvidenceError:
            return None  # as above
        return node if all(c >= " " for c in node.name) else None

    def _listed(self, node: KeyNode) -> list[int]:
        """Recovered values that the value list of a deleted key names, if the list still is its own."""
        size = 4 * node.values
        if not node.values or node.value_list == NOWHERE or not self._free(node.value_list, node.value_list + 4 + size):
            return []
        if self._size(node.value_list, size, self.cells.size) is None:
            return []
        raw = self.cells.content(node.value_list, size)
        found = (int.from_bytes(raw[i : i + 4], "little") for i in range(0, size, 4))
        return [offset for offset in found if offset in self.values]

    def _list_slack(self, owner: Mapping[int, int]) -> dict[int, int]:
        """Recovered value -> live key whose value list has it behind its last entry: Windows shortens the
        list in place when it deletes a value."""
        out: dict[int, int] = {}
        for key in self.live.keys:
            try:
                node = self.cells.key(key)
                have = self.cells.cell(node.value_list, "value list") if node.value_list != NOWHERE and node.values else 0
            except EvidenceError:
                continue  # reported by the walk
            raw = self.cells.content(node.value_list, have)
            for i in range(4 * node.values, have - 3, 4):
                offset = int.from_bytes(raw[i : i + 4], "little")
                if offset in self.values and offset not in owner:
                    out.setdefault(offset, key)
        return out

    def _deleted_keys(self, owner: Mapping[int, int]) -> tuple[Key, ...]:
        made: dict[int, Key] = {}
        values: dict[int, list[Value]] = {offset: [] for offset in self.keys}
        children: dict[int, list[Key]] = {offset: [] for offset in self.keys}
        written: dict[str, set[int]] = {}
        for path, when in self.live.keys.values():
            written.setdefault(path.lower(), set()).add(when)
        stale = 0
        for offset, node in self.keys.items():
            path = self._path(offset)
            if node.last_written in written.get(path.lower(), ()):
                stale += 1  # the key lives: this is where its record stood before
                continue
            place, state = self._place(offset)
            key = Key(self.home, node, path, state, place, values[offset], children[offset])
            made[offset] = key
            if node.parent in children and node.parent != offset:
                children[node.parent].append(key)
        for offset, key_offset in owner.items():
            if key_offset in made:
                values[key_offset].append(self._value(offset, made[key_offset]))
        if stale:
            text = f"{stale} earlier copies of keys that live, left out"
            self.budget.report(Finding.note("deleted keys", text))
        return tuple(made.values())

    def _path(self, offset: int) -> str:
        """Through the parents: "?" first when one of them is not there any more.

        Deleting a key writes its parent, so that a parent written earlier than its deleted child is
        another key in a cell used again.
        """
        parts: list[str] = []
        seen: set[int] = set()
        while offset in self.keys and offset not in seen and len(parts) < 512:
            seen.add(offset)
            node = self.keys[offset]
            parts.append(node.name)
            parent = self.live.keys.get(node.parent)
            written = parent[1] if parent else self.keys[node.parent].last_written if node.parent in self.keys else 0
            if written < node.last_written and self._place(offset)[1] == "deleted":
                break
            if parent:
                return "\\".join([*([parent[0]] if parent[0] else []), *reversed(parts)])
            offset = node.parent
        return "\\".join([LOST, *reversed(parts)])

    def _place(self, offset: int) -> tuple[str, State]:
        cell = self.map.at(offset)
        if cell is None:
            return "past the bins", "deleted"
        start, allocated = cell
        if start in self.live_cells:
            return "slack", "deleted"
        if not allocated:
            return "free cell", "deleted"
        if self.cells.part and start == offset:
            return "hive bin without its hive", "carved"
        return ("unreferenced cell", "orphan") if start == offset else ("slack", "deleted")

    def _value(self, offset: int, key: Key | None, remark: str = "") -> Value:
        node = self.values[offset]
        place, state = self._place(offset)
        verdict, data = self._value_data(node)
        return Value(self.home, node, key, state, verdict, place + remark, data)

    def _value_data(self, node: ValueNode) -> tuple[Verdict, Data]:
        if node.data_size & RESIDENT or not node.data_size:
            return "intact", self.cells.value_data(node)
        try:
            data = self.cells.value_data(node)
        except EvidenceError:
            # no cell there any more; or none here, but in the rest of the hive
            return "unknown" if self.cells.part else "overwritten", Data(b"", (), False)
        kept: list[tuple[int, int]] = []
        for at, length in data.ranges:
            start = at - BINS
            if not self._free(start - 4, start + length):
                break
            kept.append((at, length))
        content = data.content[: sum(length for _, length in kept)]
        if not content:
            return "overwritten", Data(b"", (), False)
        if len(content) < node.data_size:
            return "partly overwritten", Data(content, tuple(kept), False)
        return ("unknown" if node.data in self.stale else "intact"), data

    def _lost(self, offsets: list[int]) -> Key | None:
        if not offsets:
            return None
        first = self.values[offsets[0]]
        node = KeyNode(first.offset, first.length, 0, 0, NOWHERE, 0, NOWHERE, len(offsets), NOWHERE, NOWHERE, NOWHERE, 0, LOST)
        values: list[Value] = []
        key = Key(self.home, node, LOST, "orphan", "", values)
        values += [self._value(offset, key) for offset in offsets]
        return key


class _CellMap:
    """Which cell an offset lies in, after the headers that stand in the hive bins."""

    def __init__(self, cells: Cells) -> None:
        self.starts: list[int] = []
        self.sizes: list[int] = []
        for found in cells.bins():
            if isinstance(found, EvidenceError):
                continue  # reported when the hive was opened
            at, end = found[0] + HIVE_BIN.size, found[0] + found[1]
            while at + 8 <= end:
                size = int.from_bytes(cells.data[BINS + at : BINS + at + 4], "little", signed=True)
                if abs(size) < 8:
                    break
                self.starts.append(at)
                self.sizes.append(size)
                at += abs(size)

    def at(self, offset: int) -> tuple[int, bool] | None:
        """(start, allocated) of the cell that holds ``offset``."""
        i = bisect_right(self.starts, offset) - 1
        if i < 0 or offset >= self.starts[i] + abs(self.sizes[i]):
            return None
        return self.starts[i], self.sizes[i] < 0
