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
BLOCK = 1 << 20
HINTS = 128
"""Directory indexes that are told beforehand: they lie all over the volume, and from afar each would be a request that is waited for."""
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
    records, names, attributes, runs, text, lost_here, lost_text = _scan(mft, budget)
    owners, extensions = kernels.mft_owners(records)
    _check_lists(mft, owners, extensions, records, budget)
    more = _Names(mft, budget, (records, names, text, owners), lost_here, lost_text)
    _index_names(mft, attributes, runs, more, budget)
    lost = kernels.mft_lost(records, names, text, owners, more.names, more.text)
    verdicts = kernels.mft_verdicts(records, attributes, runs, owners, bitmap) if bitmap is not None else bytes([4]) * mft.records
    extents = array("q", [v for pair in mft.extents for v in pair]).tobytes()
    rows_bound = min(budget.limits.items, 64 + 64 * mft.records)
    try:
        count, columns, problems = kernels.mft_listing(
            records, names, attributes, runs, text, owners, verdicts, lost, more.text, extents,
            mft.geometry.record, mft.geometry.cluster, rows_bound, BYTES + BYTES_A_RECORD * mft.records,
        )  # fmt: skip
    except ValueError as error:
        raise LimitExceeded("NTFS listing", None, f"too many rows or too long paths for {mft.records} records") from error
    _report(mft, problems, budget)
    return Listing(_batch(count, columns), count - len(lost) // kernels.MFT_NAME.size)


def _scan(mft: Mft, budget: Budget) -> list[bytearray]:
    """All blocks of the table through the kernel: its tables; problems are reported."""
    geometry, source = mft.geometry, mft.source
    step = BLOCK // geometry.record * geometry.record
    tables, filled = [bytearray() for _ in range(7)], array("Q", bytes(56))
    buffer = memoryview(bytearray(min(step, source.size)))
    for at in range(0, source.size, step):
        block = buffer[: source.read_into(at, buffer[: source.size - at])]
        budget.item(len(block) // geometry.record)
        problems = kernels.mft_scan(
            block, geometry.record, at // geometry.record, geometry.cluster, geometry.clusters, mft.records, tables, filled
        )
        _report(mft, problems, budget)
    for table, used in zip(tables, filled, strict=True):
        del table[used:]
    return tables


def _report(mft: Mft, problems: bytes, budget: Budget, where: str = "file record") -> None:
    """Problem rows to findings, each with the bytes of its record."""
    for number, code, detail in kernels.MFT_PROBLEM.iter_unpack(problems):
        kind, what = kernels.MFT_PROBLEMS[code]
        spans = mft.source.trace(number * mft.geometry.record, mft.geometry.record)
        budget.report(Finding(kind, f"NTFS {what}", f"{where} {number}, {detail}", "$MFT", budget.room, spans[0] if spans else None))


def _check_lists(mft: Mft, owners: bytes, extensions: bytes, records: bytearray, budget: Budget) -> None:
    """Attribute lists against the extension records that name this base: what is missing is a finding."""
    bases, named = memoryview(owners).cast("I"), dict[int, set[int]]()
    for extension in memoryview(extensions).cast("I").tolist():
        named.setdefault(bases[extension], set()).add(extension)
    for number in _with_list(records):
        budget.item()
        record = mft.record(number)
        if record.base:
            continue
        there = named.get(number, set())
        missing = sorted({r & REFERENCE for r in mft.listed(record)} - there)
        if missing:
            spans = mft.source.trace(number * mft.geometry.record, mft.geometry.record)
            what = "NTFS attribute list: extension records that do not name this base"
            budget.report(
                Finding("Corrupt", what, f"file record {number} lists {missing[:8]}", "$MFT", budget.room, spans[0] if spans else None)
            )


def _with_list(records: bytearray) -> Iterator[int]:
    """Numbers of records with an attribute list, by the byte of flags in each row."""
    has = records[67 :: kernels.MFT_RECORD.size].translate(_HAS_LIST)
    number = has.find(1)
    while number >= 0:
        yield number
        number = has.find(1, number + 1)


def _index_names(mft: Mft, attributes: bytearray, runs: bytearray, out: _Names, budget: Budget) -> None:
    """Names in the index blocks of all directories, live or deleted, read in disk order."""
    geometry, volume = mft.geometry, fill_bad(mft.volume, lambda error: budget.report(error, "$I30"))
    ranges: dict[int, list[tuple[int, int]]] = {}
    for row, start, length in struct.iter_unpack("<qqq", kernels.mft_ranges(attributes, runs, 0xA0, geometry.cluster)):
        ranges.setdefault(row, []).append((start, length))
    left, seen = mft.volume.size, set()
    every = sorted(ranges.values())
    for number, pieces in enumerate(every):
        if number % HINTS == 0:
            volume.prefetch([piece for pieces in every[number : number + HINTS] for piece in pieces])
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


class _Names:
    """Collects index blocks in one buffer and parses it whenever it is full; names behind those of file records."""

    def __init__(
        self, mft: Mft, budget: Budget, known: tuple[bytearray, bytearray, bytearray, bytes], names: bytearray, text: bytearray
    ) -> None:
        self.mft, self.budget, self.known, self.size = mft, budget, known, mft.geometry.index
        self.buffer, self.used = memoryview(bytearray(BLOCK // self.size * self.size + self.size)), 0
        self.names, self.text = names, text

    def add(self, volume: ByteSource, start: int, length: int) -> None:
        """Bytes of the volume behind those already there."""
        while length:
            self.budget.check()
            take = min(length, len(self.buffer) - self.used)
            volume.read_into(start, self.buffer[self.used : self.used + take])
            start, length, self.used = start + take, length - take, self.used + take
            if self.used == len(self.buffer):
                self.flush()

    def end(self) -> None:
        """An index ends: a broken last block of it is dropped."""
        self.used -= self.used % self.size

    def flush(self) -> None:
        """Parse what is there."""
        found, text, problems = kernels.index_names(
            self.buffer[: self.used - self.used % self.size], self.size, self.mft.records, len(self.text), *self.known
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
