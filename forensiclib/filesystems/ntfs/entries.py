"""Rows of the listing to entries and streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from forensiclib.core.entry import Entry, Stream
from forensiclib.core.errors import Unsupported
from forensiclib.core.guid import guid
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.core.time import FILETIME_EPOCH, Timestamp
from forensiclib.filesystems.ntfs.listing import STREAM_KINDS, UNKNOWN_ID, Listing
from forensiclib.filesystems.ntfs.mft import FileRecord, Mft
from forensiclib.filesystems.ntfs.reparse import TAGS, WOF, target
from forensiclib.filesystems.ntfs.streams import COMPRESSED, ENCRYPTED, Refused, compressed, plain

__all__ = ["Entries"]

TIMES = ("modified", "accessed", "changed", "born", "fn_modified", "fn_accessed", "fn_changed", "fn_born")
PLACES = {"modified": 1, "accessed": 3, "changed": 2, "born": 0}
"""Where each time stands among the four of $STANDARD_INFORMATION and $FILE_NAME."""
REPLACEMENT = "\ufffd"


class Entries:
    """Makes entries from rows; holds nothing but the listing."""

    def __init__(self, mft: Mft, listing: Listing) -> None:
        self._mft, self._listing = mft, listing
        self.get: dict[str, Callable[[int], Any]] = {c.name: c.getter() for c in listing.batch.columns}

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return len(self._listing.batch)

    @property
    def files(self) -> int:
        """Rows of files; the stale names follow."""
        return self._listing.files

    def __iter__(self) -> Iterator[int]:
        """First rows of the entries."""
        ordinal = self.get["ordinal"]
        return (row for row in range(self.rows) if ordinal(row) == 0)

    def first(self, id: int) -> int:
        """The first row of a file record, or where it would stand."""
        low, high, key = 0, self.files, self.get["id"]
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if key(middle) < id else (low, middle)
        return low

    def entry(self, row: int) -> Entry:
        """The entry whose first row this is."""
        value = {name: get(row) for name, get in self.get.items()}
        stale = row >= self.files
        record = None if stale else self._record(value)
        raw_name = value["name"].encode("utf-16-le")
        if record is not None and REPLACEMENT in value["name"]:
            raw_name = next((raw for n, raw in record.names if raw.decode("utf-16-le", "replace") == value["name"]), raw_name)
        nameless = not stale and value["parent_sequence"] == 0 and value["name"] == f"OrphanFile-{value['id']}"
        kind = value["kind"]
        return Entry(
            id=value["id"],
            sequence=value["sequence"],
            parent=None if value["parent"] < 0 else value["parent"],
            raw_name=b"" if nameless else raw_name,
            name=value["name"],
            path=value["path"],
            kind=kind,
            state=value["state"],
            size=value["size"] if value["stream"] == "" else 0,
            times=self._times(value, record),
            links=value["links"],
            verdict=value["verdict"],
            attributes=self._attributes(value, stale),
            link_target=target(self._mft, value["id"]) if value["reparse_tag"] and not stale else "",
            opener=partial(self._open, row) if value["stream_kind"] != "none" else None,
        )

    def _record(self, value: dict[str, Any]) -> FileRecord | None:
        """The file record itself, where the columns cannot say all: lost surrogates, times outside int64."""
        if REPLACEMENT not in value["name"] and None not in (value[t] for t in TIMES):
            return None
        return self._mft.record(value["id"])

    def _times(self, value: dict[str, Any], record: FileRecord | None) -> dict[str, Timestamp]:
        out = {}
        for name in TIMES:
            raw = 0
            if (ns := value[name]) is not None:
                raw = ns // 100 + FILETIME_EPOCH
            elif record is not None:
                raw = self._raw_time(name, value["name"], record)
            if raw:
                out[name] = Timestamp.filetime(raw)
        return out

    @staticmethod
    def _raw_time(name: str, text: str, record: FileRecord) -> int:
        place = PLACES[name.removeprefix("fn_")]
        if not name.startswith("fn_"):
            return record.times[place]
        return next((n[1 + place] for n, raw in record.names if raw.decode("utf-16-le", "replace") == text), 0)

    def _attributes(self, value: dict[str, Any], stale: bool) -> dict[str, Any]:
        out: dict[str, Any] = {"flags": value["flags"], "parent_sequence": value["parent_sequence"]}
        if stale:
            out["reference_known"] = value["id"] != UNKNOWN_ID
            return out
        out["record_flags"] = value["record_flags"] & 0xFFFF
        if value["record_flags"] >> 16:
            out["torn"] = True
        for name in ("usn", "security_id", "dos_name"):
            if value[name]:
                out[name] = value[name]
        if value["object_id"]:
            out["object_id"] = guid(value["object_id"])
        if tag := value["reparse_tag"]:
            out["reparse_tag"] = tag
            out["reparse"] = TAGS.get(tag, f"{tag:#010x}")
        return out

    def _open(self, row: int) -> Sequence[Stream]:
        ordinal = self.get["ordinal"]
        out = [self._stream(row)]
        while (row := row + 1) < self.rows and ordinal(row):
            out.append(self._stream(row))
        return out

    def _stream(self, row: int) -> Stream:
        get = self.get
        starts, lengths = get["run_start"](row), get["run_length"](row)
        runs = [(None if start < 0 else start, length) for start, length in zip(starts, lengths, strict=True)]
        size, valid, flags, kind = get["size"](row), get["valid"](row), get["stream_flags"](row), get["stream_kind"](row)
        unit, resident = get["unit"](row), get["resident"](row)
        shrunk = bool(flags & COMPRESSED) and not resident and unit > 0
        return Stream(
            self._data(row, runs, size, valid, self._mft.geometry.cluster << unit if shrunk else 0, kind),
            name=get["stream"](row),
            kind=kind,
            allocated=get["allocated"](row),
            valid=valid,
            resident=resident,
            compressed=shrunk,
            encrypted=bool(flags & ENCRYPTED),
            runs=runs,
        )

    def _data(self, row: int, runs: list[tuple[int | None, int]], size: int, valid: int, unit: int, kind: str) -> ByteSource:
        volume = self._mft.volume
        if kind == STREAM_KINDS[0] and self.get["reparse_tag"](row) == WOF:
            error = Unsupported("NTFS stream", None, "compressed by the Windows overlay filter; stored form in :WofCompressedData")
            return Refused(size, plain(volume, runs, size, valid), error)
        if unit:
            return compressed(volume, runs, size, valid, unit)
        return plain(volume, runs, size, valid)

    def slack(self, stream: Stream) -> ByteSource | None:
        """From the end of what was written to the end of the last cluster; None when nothing is there."""
        if stream.resident or stream.compressed or stream.kind not in ("data", "alternate"):
            return None
        end = min(stream.valid, stream.size)
        whole = ExtentSource(self._mft.volume, stream.runs)
        return whole.slice(end) if whole.size > end and stream.allocated else None
