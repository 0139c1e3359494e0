"""NTFS file records without their volume: a copy of $MFT, or records left in free space."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib import kernels
from forensiclib.core.declare import Signature
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp

__all__ = ["SIGNATURES", "FileName", "FileRecord", "file_records", "record_size"]

SIGNATURES = tuple(Signature(b"FILE" + bytes([at, 0, count, 0])) for at in (42, 48) for count in (3, 5, 9))
"""FILE, where the update sequence stands (42 up to Windows 2000), and how many numbers it has: one and one a sector."""

_BLOCK = 1024
_NO_NUMBER = 0xFFFFFFFF
_FAR = (1 << 47) - 1
"""Clusters of a volume that is not known: every run is believed."""


@dataclass(frozen=True, slots=True)
class FileName:
    """A name of a file. space   0 POSIX, 1 Win32, 2 DOS, 3 both."""

    text: str
    space: int
    parent: int
    size: int
    born: Timestamp
    modified: Timestamp
    changed: Timestamp
    accessed: Timestamp


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One record.

    at        offset in the source; number   as the record states it, None in records of before NTFS 3.1
    base      reference of the base record, 0 for base records
    torn      whether a sector of it carries another update sequence number: what follows is not read
    streams   (name, size, resident) of the data streams that begin in this record
    """

    at: int
    length: int
    number: int | None
    sequence: int
    in_use: bool
    directory: bool
    links: int
    base: int
    flags: int
    born: Timestamp | None
    modified: Timestamp | None
    changed: Timestamp | None
    accessed: Timestamp | None
    names: tuple[FileName, ...]
    streams: tuple[tuple[str, int, bool], ...]
    torn: bool


def record_size(head: bytes) -> int:
    """Bytes a record by its header, 0 when ``head`` does not begin one: an update sequence of a number a sector."""
    fixups, count = int.from_bytes(head[4:6], "little"), int.from_bytes(head[6:8], "little")
    if head[:4] != b"FILE" or fixups not in (42, 48) or count not in (3, 5, 9):
        return 0
    return (count - 1) * 512


def file_records(source: ByteSource, budget: Budget) -> Iterator[FileRecord]:
    """Every record of a stream that begins with one; damage goes to the budget, empty slots to nobody.

    Raises NotThisFormat when it does not begin with a record.
    """
    size = record_size(source.read_at(0, 8))
    if not size:
        raise NotThisFormat("file records", _span(source, 0), repr(source.read_at(0, 8)))
    for start in range(0, source.size - size + 1, size * _BLOCK):
        budget.check()
        data = bytearray(source.read_at(start, min(size * _BLOCK, (source.size - start) // size * size)))
        yield from _block(source, data, start, size, budget)
    if source.size % size:
        rest = source.size % size
        budget.report(Corrupt("file records", _span(source, source.size - rest), f"{rest} bytes behind the last whole record"))


def _block(source: ByteSource, data: bytearray, start: int, size: int, budget: Budget) -> Iterator[FileRecord]:
    tables, filled = [bytearray() for _ in range(7)], array("Q", bytes(56))
    first = start // size
    problems = kernels.mft_scan(data, size, first, 4096, _FAR, source.size // size, tables, filled)
    for number, code, _detail in kernels.MFT_PROBLEM.iter_unpack(problems):
        kind, what = kernels.MFT_PROBLEMS[code]
        problem: type[EvidenceError] = LimitExceeded if kind == "LimitExceeded" else Corrupt
        budget.report(problem(what, _span(source, number * size), f"record {number} of the stream"))
    records, names, attributes, _runs, text = (bytes(t[:n]) for t, n in zip(tables[:5], filled))
    all_names = list(kernels.MFT_NAME.iter_unpack(names))
    all_attributes = list(kernels.MFT_ATTRIBUTE.iter_unpack(attributes))
    for i, row in enumerate(kernels.MFT_RECORD.iter_unpack(records)):
        base, born, modified, changed, accessed, _usn, flags, _security, _tag, sequence, links, kind, status, has, *rest = row
        _object, name, attribute, count, streams, fixups, _, _ = rest
        if status not in (1, 2):
            continue
        budget.item()
        at = i * size
        stated = int.from_bytes(data[at + 44 : at + 48], "little") if fixups >= 48 else _NO_NUMBER
        stamp = Timestamp.filetime if has & 1 else _unknown
        yield FileRecord(
            start + at, size, None if stated == _NO_NUMBER else stated, sequence, bool(kind & 1), bool(kind & 2), links, base, flags,
            stamp(born), stamp(modified), stamp(changed), stamp(accessed),
            tuple(_name(n, text) for n in all_names[name : name + count]),
            tuple(
                (text[a[0] : a[0] + a[10]].decode(), a[3], not a[12])
                for a in all_attributes[attribute : attribute + streams]
                if a[7] == 0x80 and a[1] == 0
            ),
            status == 2,
        )  # fmt: skip


def _unknown(raw: int) -> None:
    """A time of a record without $STANDARD_INFORMATION."""


def _name(row: tuple[int, ...], text: bytes) -> FileName:
    parent, born, modified, changed, accessed, size, at, _flags, _record, _sequence, length, space, _known, _offset = row
    stamp = Timestamp.filetime
    return FileName(text[at : at + length].decode(), space, parent, size, stamp(born), stamp(modified), stamp(changed), stamp(accessed))


def _span(source: ByteSource, at: int) -> Span | None:
    spans = source.trace(at, 1)
    return spans[0] if spans else None
