"""NTFS file records that no volume holds any more: copies of $MFT and records in free space."""

from __future__ import annotations

import json
from collections.abc import Iterator

from forensiclib.core.declare import Extractor, Field, Files, Flag, Found, Integer, Json, Text, Time
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.stores.mft import SIGNATURES, FileName, FileRecord, file_records

__all__ = ["EXTRACTOR"]

_LISTED = {"$MFT", "$MFTMirr"}
_REFERENCE = (1 << 48) - 1


def _values(record: FileRecord, name: FileName | None) -> dict[str, object]:
    main = next(((size, resident) for title, size, resident in record.streams if not title), (None, None))
    others = [{"name": title, "size": size} for title, size, _ in record.streams if title]
    return {
        "record": record.number,
        "sequence": record.sequence,
        "in_use": record.in_use,
        "directory": record.directory,
        "name": name.text if name else None,
        "namespace": name.space if name else None,
        "parent": name.parent & _REFERENCE if name else None,
        "parent_sequence": name.parent >> 48 if name else None,
        "size": main[0],
        "resident": main[1],
        "streams": json.dumps(others, ensure_ascii=False) if others else None,
        "born": record.born,
        "modified": record.modified,
        "changed": record.changed,
        "accessed": record.accessed,
        "fn_born": name.born if name else None,
        "fn_modified": name.modified if name else None,
        "fn_changed": name.changed if name else None,
        "fn_accessed": name.accessed if name else None,
        "flags": record.flags,
        "links": record.links,
        "base": record.base & _REFERENCE if record.base else None,
        "torn": record.torn,
    }


def rows(found: Found, budget: Budget) -> Iterator[Row]:
    """One row for each name of a record, or one without a name; DOS names only where they are the only ones."""
    if found.entry is not None and found.path in _LISTED:
        return
    for record in file_records(found.stream, budget):
        long: list[FileName | None] = [n for n in record.names if n.space != 2]
        for name in long or record.names or [None]:
            yield Row(_values(record, name), record.at, record.length)


EXTRACTOR = Extractor(
    name="windows.mft",
    title="NTFS file records outside their volume: copies of $MFT, records left in free space",
    platform="Windows NT 3.1 and later",
    source=Files(signatures=SIGNATURES),
    fields=(
        Field("record", Integer, "Number of the record as it states it; not stated before Windows XP"),
        Field("sequence", Integer, "How often the record was used"),
        Field("in_use", Flag, "False when the file was deleted before the record was left behind"),
        Field("directory", Flag, "Whether it is a directory"),
        Field("name", Text, "Name"),
        Field("namespace", Integer, "0 POSIX, 1 Win32, 2 DOS, 3 both"),
        Field("parent", Integer, "Record of the directory that holds the name"),
        Field("parent_sequence", Integer, "Sequence number of that record"),
        Field("size", Integer, "Bytes of the content, when this record states it"),
        Field("resident", Flag, "Whether the content lies in the record itself"),
        Field("streams", Json, "Alternate data streams: name and size"),
        Field("born", Time, "Creation, from $STANDARD_INFORMATION, UTC"),
        Field("modified", Time, "Last write, from $STANDARD_INFORMATION, UTC"),
        Field("changed", Time, "Last change of the record, from $STANDARD_INFORMATION, UTC"),
        Field("accessed", Time, "Last access, from $STANDARD_INFORMATION, UTC"),
        Field("fn_born", Time, "Creation, from the name's $FILE_NAME, UTC", event=False),
        Field("fn_modified", Time, "Last write, from the name's $FILE_NAME, UTC", event=False),
        Field("fn_changed", Time, "Last change of the record, from the name's $FILE_NAME, UTC", event=False),
        Field("fn_accessed", Time, "Last access, from the name's $FILE_NAME, UTC", event=False),
        Field("flags", Integer, "File attributes, [MS-FSCC] 2.6"),
        Field("links", Integer, "Hard links"),
        Field("base", Integer, "Record that this one is an extension of"),
        Field("torn", Flag, "Whether the record was written in part: what follows the tear is not read"),
    ),
    refs=("libyal: NTFS, file record", "Windows Internals: NTFS on-disk structure"),
    gaps=(
        "the live $MFT of a volume is not repeated here: it is the file listing",
        "paths are not put together: parent names the directory's record",
        "non-resident content is not followed: without the volume its cluster size is not known",
    ),
    rows=rows,
)
