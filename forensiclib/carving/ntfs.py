"""NTFS metadata in free space: file records and change journal records, in runs."""

from __future__ import annotations

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.usn import PAGE
from forensiclib.stores import mft, usn

__all__ = ["CARVERS"]

_LONGEST = 600
_SURE = 3
"""Change records in a row that leave no doubt."""


def _record(raw: bytes, size: int) -> int:
    """0 no file record, 1 torn, 2 whole."""
    at, count = int.from_bytes(raw[4:6], "little"), size // 512
    first, used, room = (int.from_bytes(raw[a : a + n], "little") for a, n in ((20, 2), (24, 4), (28, 4)))
    if len(raw) < size or room != size or not first + 8 <= used <= size or first & 7 or not at + 2 * count + 2 <= first:
        return 0
    number = raw[at : at + 2]
    return 2 if all(raw[s + 510 : s + 512] == number for s in range(0, size, 512)) else 1


def _measure_records(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data, 1 << 16)
    size = mft.record_size(window.at(0, 8))
    if not size or not _record(window.at(0, size), size):
        return None
    whole = torn = 0
    while True:
        budget.item()
        raw = window.at((whole + torn) * size, size)
        kind = _record(raw, size) if mft.record_size(raw[:8]) == size else 0
        if not kind:
            break
        whole, torn = whole + (kind == 2), torn + (kind == 1)
    count = whole + torn
    found = f"{count} file records of {size} bytes, {torn} of them torn"
    return Find(count * size, 1.0 if whole else 0.6, found)


def _measure_usn(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data, 1 << 16)
    at = count = last = number = 0
    while True:
        budget.item()
        raw = window.at(at, _LONGEST)
        record = usn.usn_record(raw, 0, at)
        if record is not None and (not count or record.usn - number == at - last):
            at, last, number, count = at + record.length, at, record.usn, count + 1
            continue
        if record is not None or not count:
            break  # another generation, or nothing
        # The rest of a page stays zero: the next record begins on the next one, of the journal's pages.
        rest = -(number + at - last) % PAGE
        if not rest or any(window.at(at, min(rest, 4096))) or usn.usn_record(window.at(at + rest, _LONGEST), 0, 0) is None:
            break
        at += rest
    if not count:
        return None
    return Find(at, 1.0 if count >= _SURE else 0.8, f"{count} change journal records, their numbers in step with their offsets")


CARVERS = (
    Carver(
        name="mft-records",
        title="NTFS file records without their volume",
        extension="mft-records",
        mime="application/octet-stream",
        signatures=mft.SIGNATURES,
        measure=_measure_records,
        refs=("libyal: NTFS, file record",),
        gaps=("resident content is left in its record: windows.mft says where it is", "records of other than 1, 2 and 4 KiB"),
    ),
    Carver(
        name="usn-records",
        title="NTFS change journal records",
        extension="usn-records",
        mime="application/octet-stream",
        signatures=usn.SIGNATURES,
        measure=_measure_usn,
        refs=("[MS-FSCC] 2.3.62",),
        gaps=("records of version 4 end a run: they carry no name and no time",),
    ),
)
