"""The NTFS volume: its listing, entries, free space and file slack."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from forensiclib import kernels
from forensiclib.core.batch import Batch
from forensiclib.core.declare import FileSystemFormat
from forensiclib.core.entry import Entry, FileSystem, Stream
from forensiclib.core.errors import EvidenceError, Truncated, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.text import utf16
from forensiclib.filesystems.ntfs.boot import geometry, looks_like_ntfs
from forensiclib.filesystems.ntfs.entries import Entries
from forensiclib.filesystems.ntfs.listing import listing
from forensiclib.filesystems.ntfs.mft import DATA, Mft
from forensiclib.filesystems.ntfs.reparse import WOF

__all__ = ["FORMAT", "Ntfs"]

VOLUME, BITMAP, UPCASE = 3, 6, 10
VOLUME_NAME, VOLUME_INFORMATION = 0x60, 0x70
_DIRTY = 1


class Ntfs(FileSystem):
    """An NTFS volume. The listing is made once, when first asked for, and kept: about 400 bytes a file."""

    format = "ntfs"
    case_sensitive = False

    def __init__(self, volume: ByteSource, budget: Budget) -> None:
        self._volume, self._budget = volume, budget
        self._geometry = geometry(volume, budget)
        self._mft = Mft(volume, self._geometry, budget)
        if self._mft.short:
            budget.report(Truncated("$MFT", None, f"only {self._mft.source.size} bytes of it have clusters"))
        self.block_size = self._geometry.cluster
        self.serial = f"{self._geometry.serial:016x}"
        facts = self._mft.record(VOLUME)
        self.label = next((utf16(a.content) for a in facts.attributes if a.type == VOLUME_NAME), "")
        information = next((a.content for a in facts.attributes if a.type == VOLUME_INFORMATION and len(a.content) >= 12), None)
        if information is not None and information[10] & _DIRTY:
            budget.report(Finding.note("NTFS volume", "marked dirty: it was not unmounted cleanly, $LogFile may hold changes"))
        self._lock = threading.Lock()
        self._made: Entries | None = None
        self._table: Batch | None = None
        self._paths: dict[str, int] = {}
        self._upcase: dict[int, int] = {}

    def walk(self, deleted: bool = True) -> Iterator[Entry]:
        entries = self._entries()
        state = entries.get["state"]
        for row in entries:
            if deleted or state(row) == "allocated":
                yield entries.entry(row)

    def get(self, path: str) -> Entry:
        """The allocated entry at ``path``, names compared as the volume's own $UpCase folds them."""
        entries = self._entries()
        with self._lock:
            if not self._paths:
                self._index(entries)
        row = self._paths.get(path.strip("/").translate(self._upcase))
        if row is None:
            raise UsageError(f"no file {path!r} on this volume")
        return entries.entry(row)

    def entry(self, id: int, sequence: int | None = None) -> Entry:
        """The first entry with that record number (and sequence number); stale names come after files."""
        entries = self._entries()
        ids, sequences = entries.get["id"], entries.get["sequence"]
        row = entries.first(id)
        while row < entries.files and ids(row) == id:
            if sequence is None or sequences(row) == sequence:
                return entries.entry(row)
            row += 1
        for row in range(entries.files, entries.rows):
            if ids(row) == id and sequence in (None, sequences(row)):
                return entries.entry(row)
        raise UsageError(f"no record {id} with sequence {sequence} on this volume")

    def unallocated(self) -> tuple[tuple[int, int], ...]:
        """Free clusters by $Bitmap; raises EvidenceError when it cannot be read."""
        flat = memoryview(kernels.clear_runs(self._bitmap(), self._geometry.clusters)).cast("q").tolist()
        cluster = self._geometry.cluster
        return tuple((start * cluster, length * cluster) for start, length in zip(flat[::2], flat[1::2], strict=True))

    def table(self) -> Batch:
        """FILES_SCHEMA, then the $FILE_NAME times (fn_*), name, dos_name, namespace, ordinal (of the stream in its
        entry), stream facts, parent_sequence, record_flags (bit 16: torn), usn, security_id, reparse_tag, object_id.

        By record number, then in the order of names and streams in the record; stale directory entries last. They
        carry the times that the directory kept, in the four main columns.
        """
        self._entries()
        assert self._table is not None
        return self._table

    def _slack_of(self, stream: Stream) -> ByteSource | None:
        return self._entries().slack(stream)

    def _entries(self) -> Entries:
        with self._lock:
            if self._made is None:
                try:
                    bitmap: bytes | None = self._bitmap()
                except EvidenceError as error:
                    self._budget.report(error, "$Bitmap")
                    bitmap = None
                made = listing(self._mft, bitmap, self._budget)
                self._table, self._made = made.batch, Entries(self._mft, made)
                self._note_unread(made.batch)
            return self._made

    def _note_unread(self, table: Batch) -> None:
        """Contents that this version knows and cannot give, counted."""
        tags = bytes(table.column("reparse_tag").data)
        wof = tags.count(WOF.to_bytes(4, "little")) if tags != bytes(len(tags)) else 0
        if wof:
            self._budget.report(Finding("Unsupported", "NTFS files compressed by the Windows overlay filter", f"about {wof} rows"))

    def _bitmap(self) -> bytes:
        pieces = self._mft.attribute(BITMAP, DATA)
        if not pieces:
            raise Truncated("NTFS $Bitmap", None, "no data attribute")
        size = self._budget.allocate("NTFS $Bitmap", (self._geometry.clusters + 7) // 8)
        data = self._mft.open(pieces).read_at(0, size)
        if len(data) < size:
            raise Truncated("NTFS $Bitmap", None, f"{len(data)} of {size} bytes")
        return data

    def _index(self, entries: Entries) -> None:
        """Folded path to row, for allocated entries; the first of equal ones wins."""
        raw = self._mft.content(self._mft.attribute(UPCASE, DATA), 1 << 17)
        units = memoryview(raw[: len(raw) & ~1]).cast("H").tolist()
        self._upcase = {i: unit for i, unit in enumerate(units) if unit != i} or {i: ord(chr(i).upper()[0]) for i in range(128)}
        state, path = entries.get["state"], entries.get["path"]
        rows = [row for row in entries if state(row) == "allocated"]
        folded = "\0".join([path(row) for row in rows]).translate(self._upcase).split("\0")
        self._paths = dict(zip(reversed(folded), reversed(rows), strict=True))


FORMAT = FileSystemFormat(
    name="ntfs",
    title="NTFS (Windows NT 4 and later)",
    refs=(
        "Linux-NTFS project, NTFS documentation: boot sector, FILE record, attributes, INDX records",
        "[MS-FSCC] 2.1.2 reparse data, 2.4 file information; [MS-XCA] 2.5 LZNT1",
    ),
    gaps=(
        "$LogFile is not replayed: a dirty volume is shown as it lies on disk, and that is a finding",
        "content compressed by the Windows overlay filter (WOF) or deduplicated is not expanded: reading it raises Unsupported",
        "EFS content is given as stored, encrypted",
        "directories are found by the parent references of file records, not through their indexes; index entries that "
        "contradict the records show as slack",
        "shadow copies are another room",
    ),
    order=20,
    probe=looks_like_ntfs,
    open=Ntfs,
)
