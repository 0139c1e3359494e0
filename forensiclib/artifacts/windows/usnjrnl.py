"""The NTFS change journal: what was created, written, renamed and deleted, and when."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.core.declare import Extractor, Field, Files, Found, Integer, Text, Time
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.formats.usn import FLAGS, REASONS
from forensiclib.stores.usn import SIGNATURES, named, records

__all__ = ["EXTRACTOR"]


def rows(found: Found, budget: Budget) -> Iterator[Row]:
    """One row a record; the sparse front of a live journal is not read."""
    ranges = None
    if found.entry is not None:
        stream = next((s for s in found.entry.streams() if s.size == found.stream.size and s.name == "$J"), None)
        if stream is not None and stream.runs:
            ranges, at = [], 0
            for start, length in stream.runs:
                if start is not None:
                    ranges.append((at, length))
                at += length
    for record in records(found.stream, budget, ranges):
        yield Row(
            {
                "time": record.time,
                "name": record.name,
                "reason": named(record.reason, REASONS),
                "source": named(record.source, FLAGS) or None,
                "file": record.file & (1 << 48) - 1,
                "file_sequence": record.file >> 48 & 0xFFFF,
                "parent": record.parent & (1 << 48) - 1,
                "parent_sequence": record.parent >> 48 & 0xFFFF,
                "usn": record.usn,
                "attributes": record.attributes,
                "version": record.version,
            },
            record.at,
            record.length,
        )


EXTRACTOR = Extractor(
    name="windows.usnjrnl",
    title="NTFS change journal: creations, writes, renames and deletions of files",
    platform="Windows 2000 and later",
    source=Files("$Extend/$UsnJrnl:$J", signatures=SIGNATURES),
    fields=(
        Field("time", Time, "When the change was noted, UTC"),
        Field("name", Text, "Name of the file or directory, without its path"),
        Field("reason", Text, "What changed, all since the file was opened; CLOSE ends such a series"),
        Field("source", Text, "Who made the change, when it was not a user's program"),
        Field("file", Integer, "MFT record of the file"),
        Field("file_sequence", Integer, "Sequence number of that record"),
        Field("parent", Integer, "MFT record of its directory"),
        Field("parent_sequence", Integer, "Sequence number of that record"),
        Field("usn", Integer, "Update sequence number: the offset of the record in the journal"),
        Field("attributes", Integer, "File attributes, [MS-FSCC] 2.6"),
        Field("version", Integer, "Version of the record, 2 or 3"),
    ),
    refs=("[MS-FSCC] 2.3.62", "libyal: NTFS, change journal"),
    gaps=(
        "paths are not put together: parent names the directory's record",
        "ranges of version 4 records (range tracking) carry no name and no time and are passed over",
        "128-bit references of ReFS (version 3) are cut to their low 64 bits",
    ),
    rows=rows,
)
