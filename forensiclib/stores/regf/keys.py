"""Keys and values as callers see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from forensiclib.core.entry import Verdict
from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.record import Row, State
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.core.time import Timestamp
from forensiclib.formats.regf import BINS, RESIDENT
from forensiclib.stores.regf.cells import Cells, Data, KeyNode, Security, ValueNode
from forensiclib.stores.regf.values import Decoded, ValueType, decode, value_type

__all__ = ["LOST", "Home", "Key", "Value"]


LOST = "?"
"""Path of the holder of values without a key, and first part of the path of a key whose parent is not
known. No live path can be it: "?" alone would be a key of that name below the root, and those have
state "allocated"."""


class Home(Protocol):
    """What a key needs of its hive."""

    @property
    def cells(self) -> Cells:
        """The bytes."""

    @property
    def handed(self) -> ByteSource:
        """The source that the caller opened."""

    def report(self, error: EvidenceError) -> None:
        """Damage, once each."""

    def recovered_values(self, key: Key) -> tuple[Value, ...]:
        """Deleted values that were a live key's."""


class Value:
    """One value.

    name       "" for the default value; kind   ValueType(number as stored, name)
    data       bytes, what there is of them (none for overwritten data, see verdict)
    decoded    str, int, list of str or bytes, after its type
    state      "allocated", "deleted", or "orphan": allocated cells that no key leads to
    verdict    for values that are not allocated: whether the data still is its own
    found_in   for those: "free cell", "slack", "unreferenced cell", "past the bins"; else ""
    at, length     the value's cell in the hive; ranges   (at, length) of its data
    complete   False when part of the data is missing
    key        the key it belongs to; None when that is not known
    """

    __slots__ = ("_data", "_home", "_node", "found_in", "key", "state", "verdict")

    def __init__(
        self,
        home: Home,
        node: ValueNode,
        key: Key | None,
        state: State = "allocated",
        verdict: Verdict = "",
        found_in: str = "",
        data: Data | None = None,
    ) -> None:
        self._home, self._node, self.key, self.state = home, node, key, state
        self.verdict, self.found_in, self._data = verdict, found_in, data

    @property
    def live(self) -> bool:
        """Whether its key's value list leads to it."""
        return self.state == "allocated"

    @property
    def name(self) -> str:
        """Name, "" for the default value."""
        return self._node.name

    @property
    def kind(self) -> ValueType:
        """Number and name of its type."""
        return value_type(self._node.type)

    @property
    def size(self) -> int:
        """Bytes of data that the value states."""
        return self._node.data_size & ~RESIDENT if self._node.data_size & RESIDENT else self._node.data_size

    @property
    def at(self) -> int:
        """Offset of its cell in the hive."""
        return BINS + self._node.offset

    @property
    def length(self) -> int:
        """Bytes of its cell."""
        return self._node.length

    def _read(self) -> Data:
        if self._data is None:
            try:
                self._data = self._home.cells.value_data(self._node)
            except EvidenceError as error:
                self._home.report(error)
                self._data = Data(b"", (), False)
            if not self._data.complete:
                found = f"{self.name!r}: {len(self._data.content)} of {self.size} bytes"
                self._home.report(Truncated("value data", self._home.cells.span(self._node.offset, self.length), found))
        return self._data

    @property
    def data(self) -> bytes:
        """The data as stored."""
        return self._read().content

    @property
    def complete(self) -> bool:
        """Whether all of the data is there."""
        return self._read().complete

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """(offset, length) of the data in the hive, in order."""
        return self._read().ranges

    @property
    def data_at(self) -> int | None:
        """Offset of the first byte of data in the hive; None for none."""
        ranges = self.ranges
        return ranges[0][0] if ranges else None

    @property
    def decoded(self) -> Decoded:
        """The data as its type says."""
        return decode(self._node.type, self.data)

    def row(self, **values: Any) -> Row:
        """A Row that stands on this value's cell and on its data, wherever that lies."""
        row = _row(self._home, values, self.at, self.length, self.state)
        outside = [r for r in self.ranges if not self.at <= r[0] < self.at + self.length]
        if not outside:
            return row
        pieces = ExtentSource(self._home.cells.source, [(self.at, self.length), *outside])
        return replace(row, at=0, length=pieces.size, source=pieces)

    def __repr__(self) -> str:
        return f"Value({self.name!r}, {self.kind.name}, {self.size} bytes, {self.state})"


class Key:
    """One key.

    path       names below the root, "\\\\" between them; "" is the root; a path that begins with "?"
               stands below a key that is not known
    flags      as stored
    state, found_in   as for Value
    at, length the key's cell in the hive
    """

    __slots__ = ("_children", "_home", "_recovered", "found_in", "node", "path", "state")

    def __init__(
        self,
        home: Home,
        node: KeyNode,
        path: str,
        state: State = "allocated",
        found_in: str = "",
        recovered: Sequence[Value] = (),
        children: Sequence[Key] = (),
    ) -> None:
        self._home, self.node, self.path, self.state, self.found_in = home, node, path, state, found_in
        self._recovered, self._children = recovered, children

    @property
    def name(self) -> str:
        """Last part of the path; the root has its own name, which is in no path."""
        return self.node.name

    @property
    def flags(self) -> int:
        """Flags as stored."""
        return self.node.flags

    @property
    def last_written(self) -> Timestamp:
        """UTC."""
        return Timestamp.filetime(self.node.last_written)

    @property
    def at(self) -> int:
        """Offset of its cell in the hive."""
        return BINS + self.node.offset

    @property
    def length(self) -> int:
        """Bytes of its cell."""
        return self.node.length

    @property
    def live(self) -> bool:
        """Whether the hive's own lists lead to it."""
        return self.state == "allocated"

    @property
    def lost(self) -> bool:
        """Whether this is no key but the holder of recovered values of which no key is known."""
        return not self.live and self.path == LOST

    @property
    def class_name(self) -> str:
        """Class, "" for none (or for one that is not there any more)."""
        if not self.live:
            return ""
        try:
            return self._home.cells.class_name(self.node)
        except EvidenceError as error:
            self._home.report(error)
            return ""

    @property
    def security(self) -> Security | None:
        """Security descriptor, None when it has none or it is damaged (then a finding)."""
        if not self.live:
            return None
        try:
            return self._home.cells.security(self.node)
        except EvidenceError as error:
            self._home.report(error)
            return None

    def subkeys(self) -> Iterator[Key]:
        """Subkeys in stored order; damaged ones are findings and the others go on."""
        if not self.live:
            yield from self._children
            return
        if not self.node.subkeys:
            return
        cells, found = self._home.cells, 0
        try:
            for offset in cells.subkey_offsets(self.node.subkey_list, self._home.report, set()):
                found += 1
                try:
                    node = cells.key(offset)
                except EvidenceError as error:
                    self._home.report(error)
                    continue
                if cells.free(offset):
                    text = f"{self.path}\\{node.name}: its cell is marked free"
                    self._home.report(Corrupt("key", cells.span(offset, node.length), text))
                yield Key(self._home, node, f"{self.path}\\{node.name}" if self.path else node.name)
        except EvidenceError as error:
            self._home.report(error)
        if found != self.node.subkeys:
            text = f"{self.path}: {found} subkeys listed, {self.node.subkeys} stated"
            self._home.report(Truncated("subkey list", cells.span(self.node.offset, self.length), text))

    def values(self) -> Iterator[Value]:
        """Values in stored order: for a live key its live ones, for another what was recovered."""
        if not self.live:
            yield from self._recovered
            return
        cells = self._home.cells
        try:
            offsets, complete = cells.value_offsets(self.node)
        except EvidenceError as error:
            self._home.report(error)
            return
        if not complete:
            text = f"{self.path}: {len(offsets)} of {self.node.values} values listed"
            self._home.report(Truncated("value list", cells.span(self.node.offset, self.length), text))
        for offset in offsets:
            try:
                yield Value(self._home, cells.value(offset), self)
            except EvidenceError as error:
                self._home.report(error)

    def recovered(self) -> tuple[Value, ...]:
        """Deleted values that were this key's; for a key that is not live, the same as values()."""
        return self._home.recovered_values(self) if self.live else tuple(self._recovered)

    def value(self, name: str) -> Value | None:
        """The value of that name, case-insensitive; "" is the default value."""
        wanted = name.lower()
        return next((v for v in self.values() if v.name.lower() == wanted), None)

    def subkey(self, name: str) -> Key | None:
        """The subkey of that name, case-insensitive."""
        wanted = name.lower()
        return next((k for k in self.subkeys() if k.name.lower() == wanted), None)

    def row(self, **values: Any) -> Row:
        """A Row that stands on this key's cell."""
        return _row(self._home, values, self.at, self.length, self.state)

    def __repr__(self) -> str:
        return f"Key({self.path!r}, {self.state})"


def _row(home: Home, values: dict[str, Any], at: int, length: int, state: State) -> Row:
    source = home.cells.source
    return Row(values, at, length, None if source is home.handed else source, None if state == "allocated" else state)
