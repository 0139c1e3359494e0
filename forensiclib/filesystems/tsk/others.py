"""ISO 9660, HFS+ and NTFS beside The Sleuth Kit: what its Python binding does not say."""

from __future__ import annotations

import calendar
import datetime
import threading
import time
from typing import Any

from forensiclib.core.errors import Corrupt, EvidenceError
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.core.time import Timestamp
from forensiclib.filesystems.tsk.blocks import BitBlocks
from forensiclib.filesystems.tsk.named import Named, Reader
from forensiclib.filesystems.tsk.native import Facts, Native, Place
from forensiclib.formats import hfsplus, iso9660
from forensiclib.formats._dsl import parse

__all__ = ["Hfs", "Iso", "Ntfs"]

NTFS_BITMAP, NTFS_DATA = 6, 0x80
PVD_AT, ROOT_RECORD_AT = 32768, 156
DESCRIPTORS = 32
"""Volume descriptors looked at; a disc has three or four."""
SUPPLEMENTARY = 2


class Ntfs(Native):
    """Clusters from $Bitmap. Content is read through The Sleuth Kit: its binding does not say how
    much of a stream is valid, and bytes past that must read as zero."""

    case_sensitive = False
    trust_runs = False

    def __init__(self, source: ByteSource) -> None:
        self._source = source

    def attach(self, reader: Reader) -> None:
        for attr in reader.meta(NTFS_BITMAP).attrs:
            if attr.type == NTFS_DATA and not attr.name.startswith("$") and attr.runs:
                bitmap = ExtentSource(self._source, attr.runs, attr.size)
                count = min(reader.info.block_count, attr.size * 8)
                self.blocks = BitBlocks(bitmap, 0, count, 0, reader.info.block_size)
                return
        raise Corrupt("NTFS $Bitmap", None, "no content")


class Hfs(Native):
    """Blocks from the allocation file; names compare without case except on HFSX."""

    def __init__(self, source: ByteSource) -> None:
        base = 0
        if source.read_at(1024, 2) == b"BD":  # an HFS wrapper (TN1150, "HFS Wrapper")
            mdb = source.read_at(1024, 162)
            block = int.from_bytes(mdb[20:24], "big")
            base = int.from_bytes(mdb[28:30], "big") * 512 + int.from_bytes(mdb[126:128], "big") * block
        header = parse(hfsplus.HEADER, source, base + hfsplus.HEADER_AT, "HFS+ volume header")
        self.case_sensitive = header.signature == b"HX"
        size = header.block_size
        if size < 512 or not header.blocks:
            raise Corrupt("HFS+ volume header", None, f"{header.blocks} blocks of {size} bytes")
        extents = [(base + e.start * size, e.count * size) for e in header.allocation.extents if e.count]
        bitmap = ExtentSource(source, extents, sum(n for _s, n in extents))
        self.blocks = BitBlocks(bitmap, 0, min(header.blocks, bitmap.size * 8), base, size, high_first=True)


class Iso(Native):
    """Recording times with their own offset from UTC. The Sleuth Kit drops the offset and runs the
    wall clock through the time zone of the process; here the record itself is read."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.label = source.read_at(PVD_AT + 40, 32).rstrip(b" \0").decode("ascii", "backslashreplace")
        self._lock = threading.Lock()
        self._records: dict[tuple[int, int], bytes] | None = None

    def facts(self, named: Named, place: Place) -> Facts | None:
        if named.virtual or named.meta is None:
            return Facts(times={})
        runs = named.attrs[0].runs if named.attrs else ()
        if runs and runs[0][0] is not None:
            raw = self._times().get((runs[0][0] // iso9660.SECTOR, named.attrs[0].size))
            if raw is not None:
                stamp = record_time(raw)
                return Facts({"modified": stamp} if stamp.ns is not None else {}, attributes={"record_time": raw.hex()})
        return Facts(_wall_clock(named.meta.modified[0]))

    def _times(self) -> dict[tuple[int, int], bytes]:
        with self._lock:
            if self._records is None:
                self._records = {}
                for number in range(DESCRIPTORS):
                    head = self._source.read_at(PVD_AT + number * iso9660.SECTOR, iso9660.SECTOR)
                    if head[1:6] != b"CD001" or head[0] == 255:
                        break
                    if head[0] in (1, SUPPLEMENTARY):
                        self._tree(head[ROOT_RECORD_AT : ROOT_RECORD_AT + 34], self._records)
            return self._records

    def _tree(self, root: bytes, out: dict[tuple[int, int], bytes]) -> None:
        pending, seen = [iso9660.RECORD_LAYOUT.dict(root)], set()
        while pending:
            record = pending.pop()
            out.setdefault((record["extent"], record["size"]), record["time"])
            if not record["flags"] & iso9660.DIRECTORY_FLAG or record["extent"] in seen:
                continue
            seen.add(record["extent"])
            pending += self._directory(record)

    def _directory(self, record: dict[str, Any]) -> list[dict[str, Any]]:
        out = []
        start, size = record["extent"] * iso9660.SECTOR, record["size"]
        for at in range(0, min(size, max(0, self._source.size - start)), iso9660.SECTOR):
            sector = self._source.read_at(start + at, iso9660.SECTOR)
            inside = 0
            while inside + iso9660.RECORD_LAYOUT.size <= len(sector) and sector[inside] >= iso9660.RECORD_LAYOUT.size:
                out.append(iso9660.RECORD_LAYOUT.dict(sector, inside))
                inside += sector[inside]
        return out


def record_time(raw: bytes) -> Timestamp:
    """Seven bytes of ECMA-119 9.1.5 as UTC; ``raw`` of the result is them as a big-endian number."""
    number = int.from_bytes(raw, "big")
    offset = raw[6] - 256 if raw[6] > 127 else raw[6]
    try:
        when = datetime.datetime(1900 + raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], tzinfo=datetime.UTC)
    except ValueError:
        return Timestamp(number, "iso9660", None, "utc", 1_000_000_000)
    seconds = int(when.timestamp()) - offset * 900
    return Timestamp(number, "iso9660", seconds * 1_000_000_000, "utc", 1_000_000_000)


def _wall_clock(seconds: int) -> dict[str, Timestamp]:
    """Undo what the time zone of the process did to a wall clock."""
    if not seconds:
        return {}
    parts = time.localtime(seconds)
    return {"modified": Timestamp.unix(calendar.timegm(parts), zone="unknown")}


def attach(native: Native, reader: Reader) -> None:
    """Give a hook that needs it the reader. An unreadable $Bitmap leaves the free ranges to the walk."""
    if isinstance(native, Ntfs):
        try:
            native.attach(reader)
        except EvidenceError:
            native.blocks = None
