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
from forensiclib.core.source import fill_bad
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
BLOCK = 8 << 20
BYTES, BYTES_A_RECORD = 256 << 20, 1024
"""Paths and run lists may take this much, and this much more a record; real volumes need a fifth of the latter."""


@dataclass(frozen=True, slots=True)
class Listing:
    """batch   the table; files   rows before the stale names; extensions   base record to its extension records;
    findings   what was wrong on the way."""

    batch: Batch
    files: int
    extensions: dict[int, list[int]]


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
        raise LimitExceeded("NTFS listing", None, f"more than {rows_bound} rows, or paths and runs too long for {mft.records} records") from error
    _report(mft, problems, budget)
    return Listing(_batch(count, columns), count - len(lost) // kernels.MFT_NAME.size, extensions)


def _scan(mft: Mft, budget: Budget) -> list[bytes]:
    """All blocks of the table through the kernel; its outputs joined, problems reported."""
    geometry, source = mft.geometry, mft.source
    step = BLOCK // geometry.record * geometry.record
    parts: list[list[bytes]] = [[] for _ in range(7)]
    sizes = [0] * 7
    for at in range(0, source.size, step):
        block = source.read_at(at, step)
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
    listed_at = kernels.MFT_RECORD.size
    for number in _with_list(records):
        budget.item()
        record = mft.record(number)
        if record.base:
            continue
        there = set(extensions.get(number, ()))
        missing = sorted({r & REFERENCE for r in mft.listed(record)} - there)
        if missing:
            spans = mft.source.trace(number * mft.geometry.record, listed_at)
            what = "NTFS attribute list: extension records that do not name this base"
            budget.report(
                Finding("Corrupt", what, f"file record {number} lists {missing[:8]}", "$MFT", budget.room, spans[0] if spans else None)
            )


def _with_list(records: bytes) -> Iterator[int]:
    """Numbers of records with an attribute list, by the byte of flags in each row."""
    has = records[67 :: kernels.MFT_RECORD.size]
    for number, bits in enumerate(has):
        if bits & 2:
            yield number


def _index_names(mft: Mft, attributes: bytes, runs: bytes, base: int, budget: Budget) -> tuple[bytes, bytes]:
    """Names in the index blocks of all directories, live or deleted, read in disk order."""
    geometry, volume = mft.geometry, fill_bad(mft.volume, lambda error: budget.report(error, "$I30"))
    ranges: dict[int, list[tuple[int, int]]] = {}
    for row, start, length in struct.iter_unpack("<qqq", kernels.mft_ranges(attributes, runs, 0xA0, geometry.cluster)):
        ranges.setdefault(row, []).append((start, length))
    left, seen = mft.volume.size, set()
    names, texts = bytearray(), bytearray()
    buffer = bytearray()
    for pieces in sorted(ranges.values()):
        key = tuple(pieces)
        size = sum(length for _, length in pieces)
        if key in seen:
            continue
        seen.add(key)
        if size > left:
            budget.report(
                Finding("LimitExceeded", "NTFS directory index", f"{size} bytes of blocks, {left} left of the volume", "$I30", budget.room)
            )
            continue
        left -= size
        for start, length in pieces:
            for at in range(start, start + length, BLOCK):
                budget.check()
                buffer += volume.read_at(at, min(BLOCK, start + length - at)) if at < volume.size else b""
                if len(buffer) >= BLOCK:
                    _index_block(mft, buffer, names, texts, base, budget)
        del buffer[len(buffer) - len(buffer) % geometry.index :]
    _index_block(mft, buffer, names, texts, base, budget)
    return bytes(names), bytes(texts)


def _index_block(mft: Mft, buffer: bytearray, names: bytearray, texts: bytearray, base: int, budget: Budget) -> None:
    """Whole index records from the front of the buffer; the rest stays in it."""
    take = len(buffer) - len(buffer) % mft.geometry.index
    found, text, problems = kernels.index_names(bytes(buffer[:take]), mft.geometry.index, mft.records, base + len(texts))
    names += found
    texts += text
    del buffer[:take]
    for block, code, detail in kernels.MFT_PROBLEM.iter_unpack(problems):
        kind, what = kernels.MFT_PROBLEMS[code]
        budget.report(Finding(kind, f"NTFS {what}", f"block {block}, {detail}", "$I30", budget.room))


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
