"""Cells of one view of a hive: bytes, bounds, and the records that stand in them."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated, Unreadable
from forensiclib.core.sid import sid
from forensiclib.core.source import ByteSource, fill_bad
from forensiclib.core.span import Span
from forensiclib.core.text import utf16
from forensiclib.formats.regf import (
    BIG_DATA,
    BINS,
    COMPRESSED_NAME,
    COMPRESSED_VALUE_NAME,
    HIVE_BIN,
    INDEX,
    KEY_NODE,
    KEY_SECURITY,
    KEY_VALUE,
    NOWHERE,
    PAGE,
    RESIDENT,
    SECURITY_DESCRIPTOR,
    SEGMENT,
)

__all__ = ["Cells", "Data", "KeyNode", "Security", "ValueNode"]

Report = Callable[[EvidenceError], None]
_MAX_INDEX_DEPTH = 4
_LARGEST = 0x7FFF_F000
"""Bytes of hive bins data in the largest hive: offsets have 31 bits."""


@dataclass(frozen=True, slots=True)
class Security:
    """A security descriptor: SIDs as text (None where absent or damaged), the descriptor as stored.

    at, length   its bytes in the hive
    """

    owner: str | None
    group: str | None
    descriptor: bytes
    at: int
    length: int


class KeyNode(NamedTuple):
    """A key node as stored; offsets count from the hive bins data, ``length`` is the cell's."""

    offset: int
    length: int
    flags: int
    last_written: int
    parent: int
    subkeys: int
    subkey_list: int
    values: int
    value_list: int
    security: int
    class_name: int
    class_length: int
    name: str


class ValueNode(NamedTuple):
    """A key value as stored; ``data_size`` still has its resident bit."""

    offset: int
    length: int
    data_size: int
    data: int
    type: int
    name: str


class Data(NamedTuple):
    """Value data and the hive byte ranges it stands in; ``complete`` is False when some is missing."""

    content: bytes
    ranges: tuple[tuple[int, int], ...]
    complete: bool


class Cells:
    """A hive read into memory: ``source`` is where its offsets count, ``data`` the bytes.

    Ranges that could not be read are reported once, kept in ``bad`` (offsets from the hive bins
    data), and no record that touches one is believed. Methods raise EvidenceError.

    part    these are some hive bins of a hive: what an offset leads to may lie outside. reach   offsets are below it
    begin   the offset of the first of them; 0 for a hive
    """

    def __init__(self, source: ByteSource, report: Report, part: bool = False, begin: int = 0) -> None:
        self.source, self.part, self.begin = source, part, begin
        self.bad: list[tuple[int, int]] = []

        def bad_grain(error: EvidenceError, at: int) -> None:
            self.bad.append((at - BINS, at + PAGE - BINS))
            report(error)

        self.data = _read(source, bad_grain, BINS + begin if part else 0)
        self.size = max(0, len(self.data) - BINS)
        self.reach = _LARGEST if part else self.size

    def span(self, offset: int, length: int) -> Span | None:
        """The first image range behind ``length`` bytes at ``offset`` of the hive bins data."""
        spans = self.source.trace(BINS + offset, length) if offset + BINS < self.source.size else ()
        return spans[0] if spans else None

    def cell(self, offset: int, what: str) -> int:
        """Bytes of content in the cell at ``offset``, clipped to the hive."""
        if offset & 7 or offset + 8 > self.size:
            raise Corrupt(what, None, f"cell offset {offset:#x} in a hive of {self.size:#x} bytes")
        size = abs(int.from_bytes(self.data[BINS + offset : BINS + offset + 4], "little", signed=True))
        if size < 8:
            raise Corrupt(what, self.span(offset, 8), f"cell of {size} bytes at {offset:#x}")
        have = min(size, self.size - offset)
        if any(offset < end and start < offset + have for start, end in self.bad):
            raise Unreadable(what, self.span(offset, have), f"the cell at {offset:#x} was not acquired whole")
        return have - 4

    def free(self, offset: int) -> bool:
        """Whether the cell is marked unallocated (a positive size)."""
        return int.from_bytes(self.data[BINS + offset : BINS + offset + 4], "little", signed=True) > 0

    def record(self, offset: int, what: str, signature: bytes, size: int) -> int:
        """As cell(), for a record of at least ``size`` bytes that begins with ``signature``."""
        have = self.cell(offset, what)
        if have < size:
            raise Truncated(what, self.span(offset, have + 4), f"{have} of {size} bytes")
        found = self.data[BINS + offset + 4 : BINS + offset + 6]
        if found != signature:
            raise Corrupt(what, self.span(offset, have + 4), f"{found!r} instead of {signature!r} at {offset:#x}")
        return have

    def content(self, offset: int, length: int) -> bytes:
        """``length`` bytes of the content of the cell at ``offset``; bounds are the caller's."""
        return self.data[BINS + offset + 4 : BINS + offset + 4 + length]

    def key(self, offset: int) -> KeyNode:
        """The key node at ``offset``; a name that runs past its cell is cut at the cell's end."""
        have = self.record(offset, "key", b"nk", KEY_NODE.size)
        (
            _, flags, last_written, _, parent, subkeys, _, subkey_list, _, values, value_list, security, class_name,
            _, _, _, _, _, name_length, class_length,
        ) = KEY_NODE.unpack(self.data, BINS + offset + 4)  # fmt: skip
        raw = self.content(offset, min(have, KEY_NODE.size + name_length))[KEY_NODE.size :]
        name = raw.decode("latin-1") if flags & COMPRESSED_NAME else utf16(raw)
        return KeyNode(
            offset, have + 4, flags, last_written, parent, subkeys, subkey_list, values, value_list, security,
            class_name, class_length, name,
        )  # fmt: skip

    def value(self, offset: int) -> ValueNode:
        """The key value at ``offset``, cut like a key's name."""
        have = self.record(offset, "value", b"vk", KEY_VALUE.size)
        _, length, size, data, kind, flags, _ = KEY_VALUE.unpack(self.data, BINS + offset + 4)
        raw = self.content(offset, min(have, KEY_VALUE.size + length))[KEY_VALUE.size :]
        name = raw.decode("latin-1") if flags & COMPRESSED_VALUE_NAME else utf16(raw)
        return ValueNode(offset, have + 4, size, data, kind, name)

    def value_offsets(self, node: KeyNode) -> tuple[tuple[int, ...], bool]:
        """The value list of a key, and whether it was complete."""
        if not node.values:
            return (), True
        have = self.cell(node.value_list, "value list")
        count = min(node.values, have // 4)
        raw = memoryview(self.content(node.value_list, 4 * count))
        return tuple(_numbers(raw)), count == node.values

    def subkey_offsets(self, offset: int, report: Report, seen: set[int], level: int = 0) -> Iterator[int]:
        """Key offsets of the subkey list at ``offset`` in stored order; a damaged leaf is reported
        and the others go on. ``seen`` holds the lists that were already read."""
        if level > _MAX_INDEX_DEPTH:
            raise Corrupt("subkey list", None, f"index roots nest deeper than {_MAX_INDEX_DEPTH} levels")
        have = self.cell(offset, "subkey list")
        if have < INDEX.size:
            raise Truncated("subkey list", self.span(offset, have + 4), f"{have} bytes")
        signature, count = INDEX.unpack(self.data, BINS + offset + 4)
        if signature not in (b"lf", b"lh", b"li", b"ri"):
            raise Corrupt("subkey list", self.span(offset, have + 4), f"{signature!r} at {offset:#x}")
        if offset in seen:
            raise Corrupt("subkey list", self.span(offset, have + 4), f"the list at {offset:#x} is used twice")
        seen.add(offset)
        stride = 8 if signature in (b"lf", b"lh") else 4
        if INDEX.size + count * stride > have:
            report(Truncated("subkey list", self.span(offset, have + 4), f"{count} entries stated in {have} bytes"))
            count = (have - INDEX.size) // stride
        raw = memoryview(self.content(offset, INDEX.size + count * stride))[INDEX.size :]
        for entry in _numbers(raw)[:: stride // 4]:
            if signature != b"ri":
                yield entry
                continue
            try:
                yield from self.subkey_offsets(entry, report, seen, level + 1)
            except EvidenceError as error:
                report(error)

    def value_data(self, node: ValueNode) -> Data:
        """The data of a value: resident, in one cell, or in Big data segments; what there is of it."""
        if node.data_size & RESIDENT:
            stated = node.data_size & ~RESIDENT
            size = min(stated, 4)
            at = BINS + node.offset + 4 + KEY_VALUE.offsets["data"]
            return Data(self.data[at : at + size], ((at, size),) if size else (), stated == size)
        size = node.data_size
        if size == 0:
            return Data(b"", (), True)
        have = self.cell(node.data, "value data")
        at = BINS + node.data + 4
        if have < size and have >= BIG_DATA.size and self.data[at : at + 2] == b"db":
            return self._big_data(at, size)
        return Data(self.data[at : at + min(size, have)], ((at, min(size, have)),), have >= size)

    def _big_data(self, at: int, size: int) -> Data:
        _, count, segments = BIG_DATA.unpack(self.data, at)
        have = self.cell(segments, "value data segments")
        parts, ranges, left = [], [], size
        for segment in _numbers(memoryview(self.content(segments, 4 * min(count, have // 4)))):
            if left <= 0:
                break
            need = min(SEGMENT, left)
            try:
                take = min(self.cell(segment, "value data segment"), need)
            except EvidenceError:
                break  # the data ends here and says so: complete is False
            parts.append(self.content(segment, take))
            ranges.append((BINS + segment + 4, take))
            left -= take
            if take < need:
                break
        return Data(b"".join(parts), tuple(ranges), left == 0)

    def class_name(self, node: KeyNode) -> str:
        """The class of a key, "" for none."""
        if not node.class_length or node.class_name == NOWHERE:
            return ""
        have = self.cell(node.class_name, "class name")
        return utf16(self.content(node.class_name, min(have, node.class_length)))

    def security(self, node: KeyNode) -> Security | None:
        """The security descriptor of a key, None when it names none."""
        if node.security == NOWHERE:
            return None
        have = self.record(node.security, "key security", b"sk", KEY_SECURITY.size)
        size = min(KEY_SECURITY.dict(self.data, BINS + node.security + 4)["size"], have - KEY_SECURITY.size)
        raw = self.content(node.security, KEY_SECURITY.size + size)[KEY_SECURITY.size :]
        owner = group = None
        if size >= SECURITY_DESCRIPTOR.size:
            _, _, _, owner_at, group_at, _, _ = SECURITY_DESCRIPTOR.unpack(raw)
            owner = sid(raw[owner_at:]) if owner_at else None
            group = sid(raw[group_at:]) if group_at else None
        return Security(owner, group, raw, BINS + node.security + 4 + KEY_SECURITY.size, size)

    def bins(self) -> Iterator[tuple[int, int] | EvidenceError]:
        """(offset, size) of every hive bin; an error for each stretch that is not one."""
        at = self.begin
        while at + HIVE_BIN.size <= self.size:
            signature, offset, size, *_ = HIVE_BIN.unpack(self.data, BINS + at)
            if signature == b"hbin" and offset == at and size >= PAGE and size % PAGE == 0:
                if at + size > self.size:
                    yield Truncated("hive bin", self.span(at, HIVE_BIN.size), f"{self.size - at} of {size} bytes")
                yield at, min(size, self.size - at)
                at += size
                continue
            found = f"{signature!r}, offset {offset:#x}, {size:#x} bytes at {at:#x}"
            yield Corrupt("hive bin", self.span(at, HIVE_BIN.size), found)
            after = self.data.find(b"hbin", BINS + at + 4)
            while after >= 0 and after % PAGE:
                after = self.data.find(b"hbin", after + 1)
            at = after - BINS if after >= 0 else self.size


def _numbers(raw: memoryview) -> list[int]:
    return [int.from_bytes(raw[i : i + 4], "little") for i in range(0, len(raw), 4)]


def _at(bad_grain: Callable[[EvidenceError, int], None], at: int, error: EvidenceError) -> None:
    bad_grain(error, at)


def _read(source: ByteSource, bad_grain: Callable[[EvidenceError, int], None], begin: int) -> bytes:
    """The hive in memory. What lies before ``begin`` is nothing but zeros, and takes no memory."""
    if begin:
        out = mmap.mmap(-1, source.size)
        out[begin:] = _whole(source.slice(begin), lambda error, at: bad_grain(error, begin + at))
        return cast(bytes, out)  # it slices, finds and lends its buffer as bytes do
    return _whole(source, bad_grain)


def _whole(source: ByteSource, bad_grain: Callable[[EvidenceError, int], None]) -> bytes:
    try:
        return source.read_at(0, source.size)
    except EvidenceError:
        pass  # again below, page by page: every bad page is reported there
    out = bytearray()
    for at in range(0, source.size, PAGE):
        out += fill_bad(source, partial(_at, bad_grain, at), PAGE).read_at(at, PAGE)
    return bytes(out)
