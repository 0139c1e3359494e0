"""The $MFT: where its records are, single records, and attributes joined over extension records."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forensiclib import kernels
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource, MemorySource, OverlaySource, fill_bad
from forensiclib.core.span import Span
from forensiclib.filesystems.ntfs.boot import Geometry
from forensiclib.formats.ntfs import LIST_ENTRY

__all__ = ["REFERENCE", "Attribute", "FileRecord", "Mft", "parse_record"]

REFERENCE = (1 << 48) - 1
"""The record number in a file reference; the sequence number is above."""
ATTRIBUTE_LIST, DATA = 0x20, 0x80
_LIST_BOUND = 1 << 18
"""Windows keeps attribute lists within 256 KiB."""
_MIRRORED = 4


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute header. first, after   VCN range of a non-resident piece; runs in clusters, -1 sparse;
    content   the bytes when resident."""

    type: int
    name: str
    resident: bool
    content: bytes
    first: int
    after: int
    size: int
    valid: int
    runs: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file record. status   0 empty, 1 good, 2 torn and used in part, 3 unusable. names   MFT_NAME rows with the
    stored UTF-16 bytes."""

    number: int
    status: int
    base: int
    sequence: int
    flags: int
    times: tuple[int, ...]
    attributes: tuple[Attribute, ...]
    names: tuple[tuple[tuple[Any, ...], bytes], ...]


def parse_record(raw: bytes, number: int, geometry: Geometry) -> FileRecord:
    """One record out of its bytes, by the same kernel that reads the whole table."""
    tables, filled, fixed = [bytearray() for _ in range(7)], array("Q", bytes(56)), bytearray(raw)
    kernels.mft_scan(fixed, geometry.record, 0, geometry.cluster, geometry.clusters, 0, tables, filled)
    record, names, attributes, runs, text = [bytes(table[:used]) for table, used in zip(tables, filled, strict=True)][:5]
    row = kernels.MFT_RECORD.unpack(record)
    pairs = memoryview(runs).cast("q").tolist() if runs else []
    found = []
    for a in kernels.MFT_ATTRIBUTE.iter_unpack(attributes):
        found.append(
            Attribute(
                type=a[7],
                name=str(text[a[0] : a[0] + a[10]], "utf-8"),
                resident=not a[12],
                content=b"" if a[12] else bytes(fixed[a[9] : a[9] + a[3]]),
                first=a[1],
                after=a[2],
                size=a[3],
                valid=a[4],
                runs=tuple((pairs[2 * i], pairs[2 * i + 1]) for i in range(a[5], a[5] + a[8])),
            )
        )
    named = tuple((n, bytes(fixed[n[13] + 66 : n[13] + 66 + 2 * fixed[n[13] + 64]])) for n in kernels.MFT_NAME.iter_unpack(names))
    return FileRecord(number, row[12], row[0], row[9], row[11], row[1:5], tuple(found), named)


class Mft:
    """The table as a source (damaged first records replaced from $MFTMirr), and access to single records.

    extents   (volume offset, bytes) of the table in order; raises NotThisFormat when there is no first record.
    """

    def __init__(self, volume: ByteSource, geometry: Geometry, budget: Budget) -> None:
        self.volume, self.geometry, self.budget = volume, geometry, budget
        self.source: ByteSource
        mirror = volume.slice(min(geometry.mirror * geometry.cluster, volume.size), _MIRRORED * geometry.record)
        first = parse_record(self._record_at(volume, geometry.mft * geometry.cluster), 0, geometry)
        if not self._usable(first):
            spare = parse_record(self._record_at(mirror, 0), 0, geometry)
            if not self._usable(spare):
                raise NotThisFormat(
                    "NTFS $MFT", self._span(volume, geometry.mft * geometry.cluster), "neither its first record nor the mirror's"
                )
            first = spare
        self._begin(first)
        patches = self._repairs(mirror)
        self.source = fill_bad(OverlaySource(self._table, patches) if patches else self._table, self._report, max(4096, geometry.record))

    @staticmethod
    def _usable(record: FileRecord) -> bool:
        return record.status in (1, 2) and any(a.type == DATA and not a.name and a.runs for a in record.attributes)

    def _report(self, error: EvidenceError) -> None:
        self.budget.report(error, "$MFT")

    @staticmethod
    def _span(source: ByteSource, at: int, length: int = 1024) -> Span | None:
        spans = source.trace(at, length)
        return spans[0] if spans else None

    def _record_at(self, source: ByteSource, at: int) -> bytes:
        raw = source.read_at(at, self.geometry.record)
        return raw + bytes(self.geometry.record - len(raw))

    def _begin(self, first: FileRecord) -> None:
        """Collect the table's own runs; those listed in extension records lie in the part already known."""
        pieces = {a.first: a for a in first.attributes if a.type == DATA and not a.name}
        self._set_runs(pieces)
        wanted = self._listed(first, DATA, "")
        while wanted:
            ready = [n for n in wanted if (n + 1) * self.geometry.record <= self._table.size]
            for number in ready:
                record = self.record(number)
                if record.base & REFERENCE:
                    self.budget.report(Corrupt("$MFT extension record", None, f"record {number} belongs to {record.base & REFERENCE}"))
                    continue
                pieces |= {a.first: a for a in record.attributes if a.type == DATA and not a.name}
            self._set_runs(pieces)
            wanted = [n for n in wanted if n not in ready]
            if wanted and not ready:
                self.budget.report(Truncated("$MFT", None, f"extension records {wanted} are in no known part of it"))
                break

    def _set_runs(self, pieces: dict[int, Attribute]) -> None:
        cluster, expected = self.geometry.cluster, 0
        extents: list[tuple[int, int]] = []
        while (piece := pieces.get(expected)) is not None and piece.after > expected:
            extents += [(start * cluster, length * cluster) for start, length in piece.runs if start >= 0]
            expected = piece.after
        covered = sum(length for _, length in extents)
        size = min(pieces[0].size, covered, self.volume.size) if 0 in pieces else 0
        self.short = 0 in pieces and size < pieces[0].size
        self.extents = extents
        self._table: ByteSource = ExtentSource(self.volume, extents, size - size % self.geometry.record)
        self.source = self._table

    def _repairs(self, mirror: ByteSource) -> list[tuple[int, ByteSource]]:
        """The mirror's records in place of damaged ones among the first four."""
        size, out = self.geometry.record, []
        for number in range(min(_MIRRORED, self._table.size // size)):
            try:
                if parse_record(self._record_at(self._table, number * size), number, self.geometry).status == 1:
                    continue
            except EvidenceError as error:
                self._report(error)
            if parse_record(self._record_at(mirror, number * size), number, self.geometry).status == 1:
                self.budget.report(
                    Corrupt("file record", self._span(self._table, number * size, size), f"record {number}: taken from $MFTMirr")
                )
                out.append((number * size, mirror.slice(number * size, size)))
        return out

    @property
    def records(self) -> int:
        """Records in the table, free ones too."""
        return self.source.size // self.geometry.record

    def record(self, number: int) -> FileRecord:
        """One record; status 0 past the end of the table."""
        return parse_record(self._record_at(self.source, number * self.geometry.record), number, self.geometry)

    def _listed(self, record: FileRecord, kind: int, name: str) -> list[int]:
        """Numbers of the extension records that the attribute list names for one attribute."""
        out: list[int] = []
        for attribute in record.attributes:
            if attribute.type != ATTRIBUTE_LIST:
                continue
            data = attribute.content if attribute.resident else self.content([attribute], _LIST_BOUND)
            for entry in list_entries(data):
                number = entry[2] & REFERENCE
                if entry[0] == kind and entry[3] == name and number != record.number and number not in out:
                    out.append(number)
        return out

    def listed(self, record: FileRecord) -> list[int]:
        """Numbers of all extension records that the attribute list of a record names, each with its sequence above."""
        out: list[int] = []
        for attribute in record.attributes:
            if attribute.type == ATTRIBUTE_LIST:
                data = attribute.content if attribute.resident else self.content([attribute], _LIST_BOUND)
                out += [e[2] for e in list_entries(data) if e[2] & REFERENCE != record.number and e[2] not in out]
        return out

    def attribute(self, number: int, kind: int, name: str = "") -> list[Attribute]:
        """The pieces of one attribute in VCN order, extension records included; empty when it is not there."""
        record = self.record(number)
        pieces = [a for a in record.attributes if a.type == kind and a.name == name]
        for extension in self._listed(record, kind, name):
            other = self.record(extension)
            if other.base & REFERENCE == number:
                pieces += [a for a in other.attributes if a.type == kind and a.name == name]
        return sorted(pieces, key=lambda a: a.first)

    def open(self, pieces: Sequence[Attribute]) -> ByteSource:
        """The content of the pieces of one attribute, uncompressed ones only."""
        if pieces[0].resident:
            return MemorySource(pieces[0].content)
        cluster, runs, expected = self.geometry.cluster, [], 0
        for piece in pieces:
            if piece.first != expected:
                break
            runs += [(start * cluster if start >= 0 else None, length * cluster) for start, length in piece.runs]
            expected = piece.after
        return ExtentSource(self.volume, runs, pieces[0].size, pieces[0].valid)

    def content(self, pieces: Sequence[Attribute], bound: int) -> bytes:
        """All bytes of an attribute that may not be longer than ``bound``."""
        if not pieces:
            return b""
        source = self.open(pieces)
        if source.size > bound:
            self.budget.report(Corrupt("NTFS attribute", None, f"{source.size} bytes, {bound} at most"))
        try:
            return source.read_at(0, min(source.size, bound))
        except EvidenceError as error:
            self.budget.report(error)
            return b""


def list_entries(data: bytes) -> list[tuple[int, int, int, str]]:
    """Entries of an attribute list: (type, first VCN, reference, name); ends at the first impossible one."""
    out, at = [], 0
    while at + LIST_ENTRY.size <= len(data):
        kind, length, name_length, name_at, first, reference, _id = LIST_ENTRY.unpack(data, at)
        if length < LIST_ENTRY.size or length & 7 or at + length > len(data):
            break
        name = data[at + name_at : at + name_at + 2 * name_length].decode("utf-16-le", "replace")
        out.append((kind, first, reference, name))
        at += length
    return out
