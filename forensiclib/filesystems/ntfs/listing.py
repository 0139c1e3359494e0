"""The whole listing as one Batch: the $MFT in big blocks, directory indexes for stale names, verdicts, paths."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib import kernels
from forensiclib.core.batch import Batch, Column
from forensiclib.core.entry import FILES_SCHEMA
from forensiclib.core.errors import LimitExceeded
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.record import STATES
from forensiclib.core.source import ByteSource, fill_bad
from forensiclib.filesystems.ntfs.mft import REFERENCE, Mft

__all__ = ["KINDS", "STREAM_KINDS", "UNKNOWN_ID", "VERDICTS", "Listing", "listing"]

KINDS = ("file", "directory", "link", "unknown")
VERDICTS = ("", "intact", "partly overwritten", "overwritten", "unknown")
STREAM_KINDS = ("data", "alternate", "index", "ea", "raw", "none")
UNKNOWN_ID = REFERENCE
"""The id of a stale directory entry whose file reference is overwritten."""
ENUMS = {"kind": KINDS, "state": STATES, "verdict": VERDICTS, "stream_kind": STREAM_KINDS}
TYPES = {"Q": "uint64", "q": "int64", "I": "uint32", "H": "uint16", "B": "uint8", "t": "utf8", "l": "list_int64", "T": "timestamp"}
NAMES = {"security": "security_id", "reparse": "reparse_tag"}
BLOCK = 2 << 20
_HAS_LIST = bytes(bits >> 1 & 1 for bits in range(256))
BYTES, BYTES_A_RECORD = 256 << 20, 1024
"""Paths and run lists may take this much, and this much more a record; real volumes need a fifth of the latter."""


@dataclass(frozen=True, slots=True)
class Listing:
    """batch   the table; files   rows before the stale names."""

    batch: Batch
    files: int


def listing(mft: Mft, bitmap: bytes | None, budget: Budget) -> Listing:
    """Read everything once. ``bitmap`` is $Bitmap's content, None when it cannot be read (no verdicts then)."""
    parts = _scan(mft, budget)
    records, names, attributes, runs, text, lost, lost_text = parts
    owners = kernels.mft_owners(records)
    extensions = _extensions(owners)
    _check_lists(mft, extensions, records, budget)
    more, more_text = _index_names(mft, attributes, runs, len(lost_text), budget)
    lost, lost_text = lost + more, lost_text + more_text
    lost = kernels.mft_lost(records, names, text, owners, lost, lost_text)
    verdicts = kernels.mft_verdicts(records, attributes, runs, owners, bitmap) if bitmap is not None else bytes([4]) * mft.records
    extents = array("q", [v for pair in mft.extents for v in pair]).tobytes()
    rows_bound = min(budget.limits.items, 64 + 64 * mft.records)
    try:
        count, columns, problems = kernels.mft_listing(
            records, names, attributes, runs, text, owners, verdicts, lost, lost_text, extents,
            mft.geometry.record, mft.geometry.cluster, rows_bound, BYTES + BYTES_A_RECORD * mft.records,
        )  # fmt: skip
    except ValueError as error:
        raise LimitExceeded("NTFS listing", None, f"too many rows or too long paths for {mft.records} records") from error
    _report(mft, problems, budget)
    return Listing(_batch(count, columns), count - len(lost) // kernels.MFT_NAME.size)


def _scan(mft: Mft, budget: Budget) -> list[bytes]:
    """All blocks of the table through the kernel; its outputs joined, problems reported."""
    geometry, source = mft.geometry, mft.source
    step = BLOCK // geometry.record * geometry.record
    parts: list[list[bytes]] = [[] for _ in range(7)]
    sizes = [0] * 7
    buffer = bytearray(min(step, source.size))
    for at in range(0, source.size, step):
        block = memoryview(buffer)[: source.read_into(at, memoryview(buffer)[: source.size - at])]
        budget.item(len(block) // geometry.record)
        bases = (
            sizes[1] // kernels.MFT_NAME.size,
            sizes[2] // kernels.MFT_ATTRIBUTE.size,
            sizes[3] // 16,
            sizes[4],
            sizes[6],
        )
        *made, problems = kernels.mft_scan(
            block, geometry.record, at // geometry.record, geometry.cluster, geometry.clusters, mft.records, bases
        )
        for n, part in enumerate(made):
            parts[n].append(part)
            sizes[n] += len(part)
        _report(mft, problems, budget)
    return [b"".join(part) for part in parts]


def _report(mft: Mft, problems: bytes, budget: Budget, where: str = "file record") -> None:
    """Problem rows to findings, each with the bytes of its record."""
    for number, code, detail in kernels.MFT_PROBLEM.iter_unpack(problems):
        kind, what = kernels.MFT_PROBLEMS[code]
        spans = mft.source.trace(number * mft.geometry.record, mft.geometry.record)
        budget.report(Finding(kind, f"NTFS {what}", f"{where} {number}, {detail}", "$MFT", budget.room, spans[0] if spans else None))


def _extensions(owners: bytes) -> dict[int, list[int]]:
    """Base record to extension records, ascending."""
    numbers = memoryview(owners).cast("I") if owners else memoryview(array("I"))
    if array("I", range(len(numbers))).tobytes() == owners:
        return {}
    out: dict[int, list[int]] = {}
    for number, base in enumerate(numbers):
        if base != number:
            out.setdefault(base, []).append(number)
    return out


def _check_lists(mft: Mft, extensions: dict[int, list[int]], records: bytes, budget: Budget) -> None:
    """Attribute lists against the extension records that name this base: what is missing is a finding."""
    for number in _with_list(records):
        budget.item()
        record = mft.record(number)
        if record.base:
            continue
        there = set(extensions.get(number, ()))
        missing = sorted({r & REFERENCE for r in mft.listed(record)} - there)
        if missing:
            spans = mft.source.trace(number * mft.geometry.record, mft.geometry.record)
            what = "NTFS attribute list: extension records that do not name this base"
            budget.report(
                Finding("Corrupt", what, f"file record {number} lists {missing[:8]}", "$MFT", budget.room, spans[0] if spans else None)
            )


def _with_list(records: bytes) -> Iterator[int]:
    """Numbers of records with an attribute list, by the byte of flags in each row."""
    has = records[67 :: kernels.MFT_RECORD.size].translate(_HAS_LIST)
    number = has.find(1)
    while number >= 0:
        yield number
        number = has.find(1, number + 1)


def _index_names(mft: Mft, attributes: bytes, runs: bytes, base: int, budget: Budget) -> tuple[bytes, bytes]:
    """Names in the index blocks of all directories, live or deleted, read in disk order."""
    geometry, volume = mft.geometry, fill_bad(mft.volume, lambda error: budget.report(error, "$I30"))
    ranges: dict[int, list[tuple[int, int]]] = {}
    for row, start, length in struct.iter_unpack("<qqq", kernels.mft_ranges(attributes, runs, 0xA0, geometry.cluster)):
        ranges.setdefault(row, []).append((start, length))
    left, seen = mft.volume.size, set()
    out = _Names(mft, budget, base)
    for pieces in sorted(ranges.values()):
        key = tuple(pieces)
        size = sum(length for _, length in pieces)
        if key in seen:
            continue
        seen.add(key)
        if size > left:
            what = f"{size} bytes of blocks, {left} left of the volume"
            budget.report(Finding("LimitExceeded", "NTFS directory index", what, "$I30", budget.room))
            continue
        left -= size
        for start, length in pieces:
            out.add(volume, start, min(length, max(0, volume.size - start)))
        out.end()
    out.flush()
    return bytes(out.names), bytes(out.text)


class _Names:
    """Collects index blocks in one buffer and parses it whenever it is full."""

    def __init__(self, mft: Mft, budget: Budget, base: int) -> None:
        self.mft, self.budget, self.base, self.size = mft, budget, base, mft.geometry.index
        self.buffer, self.used = bytearray(BLOCK // self.size * self.size + self.size), 0
        self.names, self.text = bytearray(), bytearray()

    def add(self, volume: ByteSource, start: int, length: int) -> None:
        """Bytes of the volume behind those already there."""
        while length:
            self.budget.check()
            take = min(length, len(self.buffer) - self.used)
            volume.read_into(start, memoryview(self.buffer)[self.used : self.used + take])
            start, length, self.used = start + take, length - take, self.used + take
            if self.used == len(self.buffer):
                self.flush()

    def end(self) -> None:
        """An index ends: a broken last block of it is dropped."""
        self.used -= self.used % self.size

    def flush(self) -> None:
        """Parse what is there."""
        found, text, problems = kernels.index_names(
            memoryview(self.buffer)[: self.used - self.used % self.size], self.size, self.mft.records, self.base + len(self.text)
        )
        self.used = 0
        self.names += found
        self.text += text
        for block, code, detail in kernels.MFT_PROBLEM.iter_unpack(problems):
            kind, what = kernels.MFT_PROBLEMS[code]
            self.budget.report(Finding(kind, f"NTFS {what}", f"block {block}, {detail}", "$I30", self.budget.room))


def _batch(count: int, made: dict[str, tuple[bytes, bytes]]) -> Batch:
    """Kernel columns to a Batch: FILES_SCHEMA first, the rest behind."""
    columns = {}
    for name, code in kernels.MFT_COLUMNS.items():
        data, beside = made[name]
        shown, kind = NAMES.get(name, name), TYPES[code]
        if name in ENUMS:
            column = Column(shown, "enum", data, categories=ENUMS[name])
        elif name == "resident":
            column = Column(shown, "bool", data)
        elif name == "object_id":
            column = Column(shown, "binary", data, beside)
        elif code in "tl":
            column = Column(shown, kind, data, beside)
        else:
            column = Column(shown, kind, data, None, beside or None)
        columns[shown] = column
    columns["zone"] = Column("zone", "enum", bytes(count), categories=("utc",))
    columns["deleted"] = Column("deleted", "timestamp", bytes(8 * count), None, bytes((count + 7) // 8))
    first = [name for name, _ in FILES_SCHEMA]
    return Batch(count, tuple(columns[n] for n in (*first, *(n for n in columns if n not in first))))
