"""NTFS change journal: the records of a stream, or of what is left of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from forensiclib.core.declare import Signature
from forensiclib.core.errors import Corrupt
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.time import Timestamp
from forensiclib.formats.usn import FLAGS, PAGE, REASONS, V2, V3, V4

__all__ = ["SIGNATURES", "UsnRecord", "named", "records", "usn_record"]

SIGNATURES = tuple(
    Signature(
        bytes([0, 0, 0, 0, version, 0, 0, 0]) + bytes(size - 10) + bytes([size, 0]),
        0,
        bytes([7, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]) + bytes(size - 10) + b"\xff\xff",
    )
    for version, size in ((2, 60), (3, 76))
)
"""Length below 1,024 and a multiple of 8, version, and the offset of the name, which is the header's size."""

_BLOCK = 1 << 20
_LONGEST = 76 + 510 + 7
_EARLIEST, _LATEST = 122_000_000_000_000_000, 160_000_000_000_000_000
"""FILETIMEs of August 1987 and of January 2108."""


@dataclass(frozen=True, slots=True)
class UsnRecord:
    """One change.

    at, length  bytes in the source; version   2 or 3
    file, parent     references: record number and, above 48 bits, its sequence (128 bits in version 3)
    reason, source   bits: formats.usn.REASONS, FLAGS; attributes   file attributes ([MS-FSCC] 2.6)
    """

    at: int
    length: int
    version: int
    file: int
    parent: int
    usn: int
    time: Timestamp
    reason: int
    source: int
    security: int
    attributes: int
    name: str


def named(bits: int, names: dict[int, str]) -> str:
    """Bits as words joined by "|"; what has no name in hexadecimal."""
    words = [word for bit, word in names.items() if bits & bit]
    rest = bits & ~sum(names)
    return "|".join([*words, f"{rest:#x}"] if rest else words)


def usn_record(data: bytes | memoryview, at: int, place: int) -> UsnRecord | None:
    """The record at ``at`` of ``data``, which lies at ``place`` of its source; None when these bytes are not one.

    A record has a length of a multiple of 8 that its name fills, known reasons and a time after 1987."""
    if at + V2.size > len(data):
        return None
    length, major = int.from_bytes(data[at : at + 4], "little"), int.from_bytes(data[at + 4 : at + 6], "little")
    layout = {2: V2, 3: V3}.get(major)
    if layout is None or length & 7 or not layout.size < length <= _LONGEST or at + length > len(data):
        return None
    _, _, minor, file, parent, usn, time, reason, source, security, flags, name_length, name_at = layout.unpack(data, at)
    if minor or name_at != layout.size or name_length & 1 or not 2 <= name_length <= 510 or not 0 <= length - name_at - name_length < 8:
        return None
    if not _EARLIEST < time < _LATEST or not reason or reason & ~sum(REASONS) or source & ~sum(FLAGS):
        return None
    name = bytes(data[at + name_at : at + name_at + name_length]).decode("utf-16-le", "surrogatepass")
    if any(ord(c) < 32 or c == "/" for c in name):
        return None
    if major == 3:
        file, parent = int.from_bytes(file, "little"), int.from_bytes(parent, "little")
    return UsnRecord(place, length, major, file, parent, usn, Timestamp.filetime(time), reason, source, security, flags, name)


def records(source: ByteSource, budget: Budget, ranges: Iterable[tuple[int, int]] | None = None) -> Iterator[UsnRecord]:
    """Every record in ``ranges`` (offset, length; None is everything), on 8-byte boundaries from the start of each.

    What is neither a record, nor zero, nor a range-tracked change (version 4) is reported, one finding a stretch, and the
    search goes on behind it.
    """
    for start, length in [(0, source.size)] if ranges is None else ranges:
        end = min(start + length, source.size)
        bad = -1
        at, held, held_at = start, b"", start
        while at < end:
            if (at + _LONGEST > held_at + len(held) and held_at + len(held) < end) or not held:
                budget.check()
                held, held_at = source.read_at(at, min(_BLOCK, end - at)), at
            here = at - held_at
            record = usn_record(held, here, at)
            skip = record.length if record else _other(held, here)
            if skip and bad >= 0:
                _tell(source, budget, bad, at)
                bad = -1
            if record:
                budget.item()
                yield record
            elif not skip:
                bad = at if bad < 0 else bad
                skip = 8
            at += skip
        if bad >= 0:
            _tell(source, budget, bad, end)


def _other(data: bytes, at: int) -> int:
    """Bytes at ``at`` that are no named record and no damage: zeros, or a version 4 record. 0 for none."""
    if not any(data[at : at + 8]):
        return _zeros(data, at)
    if at + V4.size <= len(data):
        length, major, minor, *_ = V4.unpack(data, at)
        if major == 4 and not minor and not length & 7 and V4.size + 8 <= length <= PAGE:
            return int(length)
    return 0


def _zeros(data: bytes, at: int) -> int:
    """Bytes of the zeros at ``at``, a multiple of 8 (or up to the end)."""
    step = 8
    while at + step < len(data):
        piece = data[at + step : at + 2 * step]
        if any(piece):
            return step + (len(piece) - len(piece.lstrip(b"\0"))) // 8 * 8
        step *= 2
    return len(data) - at


def _tell(source: ByteSource, budget: Budget, start: int, end: int) -> None:
    spans = source.trace(start, 1)
    budget.report(Corrupt("change journal", spans[0] if spans else None, f"{end - start} bytes at {start:#x} are no records"))
