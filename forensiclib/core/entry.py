"""Images, volumes, file systems and their entries: the shapes that rooms fill."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from forensiclib.core.batch import Batch, batch_of
from forensiclib.core.errors import UsageError
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp

__all__ = ["FILES_SCHEMA", "Entry", "FileSystem", "Image", "Kind", "Lock", "Snapshot", "Stream", "Verdict", "Volume"]

Kind = Literal["file", "directory", "link", "device", "fifo", "socket", "special", "unknown"]
Verdict = Literal["", "intact", "partly overwritten", "overwritten", "unknown"]
"""For entries that are not allocated: whether the clusters they name now belong to others."""


class _Over(ByteSource):
    """A source that is another source plus facts."""

    __slots__ = ("data", "size")

    def __init__(self, data: ByteSource) -> None:
        self.data = data
        self.size = data.size

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        return self.data.read_into(offset, buffer)

    def read_at(self, offset: int, n: int) -> bytes:
        return self.data.read_at(offset, n)

    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None:
        self.data.prefetch(ranges)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self.data.trace(offset, n)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An earlier state of the disk that the container holds besides the current one.

    id, name   as stored; time   when it was taken; size   bytes of the disk then
    data       its bytes; reads share the image's files
    """

    id: str
    name: str
    size: int
    data: ByteSource = field(repr=False, compare=False)
    time: Timestamp | None = None


class Image(_Over):
    """An opened container: the media it holds, and what its maker wrote about it.

    format        room name ("ewf"); name    the root of every span
    facts         header values as stored, names as in the format's specification
    hashes        stored digests of the media, {"md5": hex, ...}
    sector_size   bytes
    bad_sectors   media ranges that the acquisition could not read
    parts         (file name, size) of every segment
    snapshots     earlier states that the container holds; ``open_image(..., snapshot=)`` opens one
    check         chunk index range -> None; raises on a bad stored checksum; None when the format
                  stores none
    tree          the files of logical evidence, whose media are not a disk but the contents; None for a disk
    """

    __slots__ = ("bad_sectors", "close_with", "facts", "format", "hashes", "name", "parts", "sector_size", "snapshots", "tree")

    def __init__(
        self,
        data: ByteSource,
        *,
        format: str,
        name: str,
        facts: Mapping[str, str] | None = None,
        hashes: Mapping[str, str] | None = None,
        sector_size: int = 512,
        bad_sectors: Sequence[Span] = (),
        parts: Sequence[tuple[str, int]] = (),
        close_with: Sequence[Callable[[], None]] = (),
        snapshots: Sequence[Snapshot] = (),
        tree: FileSystem | None = None,
    ) -> None:
        super().__init__(data)
        self.format, self.name, self.tree = format, name, tree
        self.facts: Mapping[str, str] = dict(facts or {})
        self.hashes: Mapping[str, str] = dict(hashes or {})
        self.sector_size = sector_size
        self.bad_sectors = tuple(bad_sectors)
        self.parts = tuple(parts)
        self.close_with = tuple(close_with)
        self.snapshots = tuple(snapshots)

    def close(self) -> None:
        """Close the files behind it."""
        for close in self.close_with:
            close()


class Lock(ABC):
    """An encrypted volume that was recognised, before any key.

    format   name of its declaration; facts   cipher, key derivation, label ... as the header states them
    needs    what would open it, in words a user reads: "password", "recovery key", "key file" ...
    """

    format: str = ""
    facts: Mapping[str, str] = {}
    needs: tuple[str, ...] = ("password",)

    @abstractmethod
    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The plain bytes, tracing to the encrypted ones with the format in ``via``. Raises Locked when none of the
        keys opens it, without a word of any key; other EvidenceErrors for damage."""


class Volume(_Over):
    """A range of an image that can hold a file system, or what a layer (LVM, RAID, a snapshot) makes of such ranges.

    index    1-based position in its table; 0 for "the whole image"
    scheme   "mbr", "gpt", "none" ...; kind   the table's type in words; type_code   as stored
    label    the table's name for it
    start    byte offset in the image; -1 when its bytes do not lie there one after the other as they are: see trace
    state    "allocated", "deleted" (found, but in no table), "slack" (a gap between volumes), or "snapshot"
    locked   True while encrypted and not unlocked
    """

    __slots__ = ("index", "kind", "label", "locked", "scheme", "start", "state", "type_code")

    def __init__(
        self,
        data: ByteSource,
        *,
        index: int,
        start: int,
        scheme: str,
        kind: str = "",
        type_code: str = "",
        label: str = "",
        state: State = "allocated",
        locked: bool = False,
    ) -> None:
        super().__init__(data)
        self.index, self.start, self.scheme = index, start, scheme
        self.kind, self.type_code, self.label = kind, type_code, label
        self.state, self.locked = state, locked


class Stream(_Over):
    """One named content of an entry.

    name        "" for the main data, the stream's name for an alternate one
    kind        "data", "alternate", "index", "ea", "fork", "raw"
    allocated   bytes reserved on the volume (0 when resident)
    valid       bytes from which on it reads as zero
    resident    the bytes lie inside the metadata record
    compressed  the stored form differs from what is read
    runs        volume byte ranges in stream order; start None for sparse
    """

    __slots__ = ("allocated", "compressed", "encrypted", "kind", "name", "resident", "runs", "valid")

    def __init__(
        self,
        data: ByteSource,
        *,
        name: str = "",
        kind: str = "data",
        allocated: int = 0,
        valid: int | None = None,
        resident: bool = False,
        compressed: bool = False,
        encrypted: bool = False,
        runs: Sequence[tuple[int | None, int]] = (),
    ) -> None:
        super().__init__(data)
        self.name, self.kind, self.allocated = name, kind, allocated
        self.valid = self.size if valid is None else valid
        self.resident, self.compressed, self.encrypted = resident, compressed, encrypted
        self.runs = tuple(runs)


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a file system (a hard-linked file is several entries with one id).

    id, sequence   record or inode number, and its reuse counter (0 where the format has none);
                   with the volume, an identity that survives reopening
    parent         id of the directory that holds the name; None when unknown
    raw_name       the name's bytes as stored; name, path   text, "/" separated, no leading "/"
    times          "modified", "accessed", "changed" (metadata), "born", "deleted", and the
                   format's own further ones ("fn_modified" ...)
    verdict        for entries not allocated: see Verdict
    attributes     the format's own facts (flags, mode, uid ...), stable names
    """

    id: int
    sequence: int
    parent: int | None
    raw_name: bytes
    name: str
    path: str
    kind: Kind
    state: State
    size: int
    times: Mapping[str, Timestamp] = field(default_factory=dict)
    links: int = 1
    verdict: Verdict = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    link_target: str = ""
    opener: Callable[[], Sequence[Stream]] | None = field(default=None, repr=False, compare=False)

    def streams(self) -> tuple[Stream, ...]:
        """All contents, the main one first; empty for a directory without any."""
        return tuple(self.opener()) if self.opener is not None else ()

    def open(self, stream: str = "") -> Stream:
        """The content of that name ("" is the main one); UsageError when there is none."""
        for candidate in self.streams():
            if candidate.name == stream:
                return candidate
        raise UsageError(f"{self.path}: no stream {stream!r}")


FILES_SCHEMA: tuple[tuple[str, str], ...] = (
    ("id", "uint64"), ("sequence", "uint32"), ("parent", "int64"), ("path", "utf8"), ("stream", "utf8"),
    ("kind", "utf8"), ("state", "utf8"), ("verdict", "utf8"), ("size", "uint64"), ("allocated", "uint64"),
    ("modified", "timestamp"), ("accessed", "timestamp"), ("changed", "timestamp"), ("born", "timestamp"),
    ("deleted", "timestamp"), ("zone", "utf8"), ("links", "uint32"), ("flags", "uint32"),
    ("run_start", "list_int64"), ("run_length", "list_int64"),
)  # fmt: skip
"""Columns that every ``FileSystem.table()`` has, in this order; a file system may add more behind.
kind, state and verdict may be of type enum instead of utf8. One row for each entry and stream:
``stream`` is "" for the main content. ``parent`` is -1 when unknown. ``run_start`` is a byte offset in
the volume, -1 for sparse; resident content has the runs of its bytes in the metadata record.
``zone`` is "utc" or "local". ``flags`` is the format's attribute or mode word."""


class FileSystem(ABC):
    """A mounted volume, read without mounting. Readers are thread-safe.

    format      room name; label, serial   as stored; block_size   bytes of a cluster or block
    case_sensitive   how get() compares names
    """

    format: str = ""
    label: str = ""
    serial: str = ""
    block_size: int = 0
    case_sensitive: bool = True

    @abstractmethod
    def walk(self, deleted: bool = True) -> Iterator[Entry]:
        """Every entry in a fixed order; with ``deleted`` also those that are not allocated."""

    @abstractmethod
    def get(self, path: str) -> Entry:
        """The allocated entry at "/"-separated ``path``; UsageError when there is none."""

    @abstractmethod
    def entry(self, id: int, sequence: int | None = None) -> Entry:
        """The entry with that id, allocated or not; UsageError when there is none."""

    @abstractmethod
    def unallocated(self) -> tuple[tuple[int, int], ...]:
        """(start, length) byte ranges of the volume that belong to no file, ascending."""

    def close(self) -> None:  # noqa: B027  # most hold nothing
        """End what it holds, such as a child process. Its streams are not read after that."""

    def loose(self) -> Iterator[tuple[tuple[int, int], ...]]:
        """Contents of deleted files of which only the place is left, no name and no size: each as (start, length)
        byte ranges of the volume in order of content, up to the end of its last block. A guess that the content
        must prove: see the carving of them."""
        return iter(())

    def slack(self) -> Iterator[tuple[Entry, ByteSource]]:
        """The bytes between the end of each file's content and the end of its last cluster."""
        for entry in self.walk(deleted=False):
            if entry.kind != "file":
                continue
            for stream in entry.streams():
                tail = self._slack_of(stream)
                if tail is not None:
                    yield entry, tail

    def slack_of(self, stream: Stream) -> ByteSource | None:
        """The bytes behind the end of one content in its last cluster; None when there are none."""
        return self._slack_of(stream)

    def _slack_of(self, stream: Stream) -> ByteSource | None:
        return None

    def table(self) -> Batch:
        """The whole listing, FILES_SCHEMA and perhaps more columns. Fast file systems override it
        with compiled code; this one walks."""
        return batch_of(FILES_SCHEMA, self._rows())

    def _rows(self) -> Iterator[dict[str, Any]]:
        for entry in self.walk():
            yield from file_rows(entry)


def file_rows(entry: Entry) -> Iterator[dict[str, Any]]:
    """The FILES_SCHEMA rows of one entry."""
    times = entry.times
    zones = {t.zone for t in times.values()}
    base = {
        "id": entry.id,
        "sequence": entry.sequence,
        "parent": -1 if entry.parent is None else entry.parent,
        "path": entry.path,
        "kind": entry.kind,
        "state": entry.state,
        "verdict": entry.verdict,
        "zone": "local" if "local" in zones else "utc",
        "links": entry.links,
        "flags": int(entry.attributes.get("flags", 0)) & 0xFFFFFFFF,
        **{name: times.get(name) for name in ("modified", "accessed", "changed", "born", "deleted")},
    }
    streams = entry.streams()
    if not streams:
        yield base | {"stream": "", "size": entry.size, "allocated": 0, "run_start": [], "run_length": []}
    for stream in streams:
        yield base | {
            "stream": stream.name,
            "size": stream.size,
            "allocated": stream.allocated,
            "run_start": [-1 if start is None else start for start, _ in stream.runs],
            "run_length": [length for _, length in stream.runs],
        }
