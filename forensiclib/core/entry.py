"""Images, volumes, file systems and their entries: the shapes that rooms fill."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from forensiclib.core.batch import Batch, batch_of
from forensiclib.core.errors import UsageError
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource, filled
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp

__all__ = [
    "FILES_SCHEMA", "Check", "Entry", "FileSystem", "Image", "Kind", "Lock", "Seal", "Shadow", "Snapshot", "Stream", "Verdict", "Volume",
    "beneath",
]  # fmt: skip

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


_S = TypeVar("_S", bound=ByteSource)


def beneath(source: ByteSource, kind: type[_S]) -> _S | None:
    """The source of that class under facts and filled damage, which leave its bytes where they are; None when there is none.
    What a layer knows of a volume besides its bytes reaches the room that unlocks or reads it so."""
    while not isinstance(source, kind):
        inner = source.data if isinstance(source, _Over) else filled(source)
        if inner is None:
            return None
        source = inner
    return source


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


@dataclass(frozen=True, slots=True)
class Check:
    """A checksum that the container stores of some bytes; ``OpenImage.verify`` computes it.

    what    in words ("partition 3 (Apple_HFS)"); algorithm   a name of hashing.ALGORITHMS; stored   lower-case hex
    span    what is named when it does not match
    ranges  (offset, bytes) of the media that it covers, one behind the other; or else
    data    the bytes that it covers, which the media does not hold as they are
    """

    what: str
    algorithm: str
    stored: str
    span: Span
    ranges: tuple[tuple[int, int], ...] = ()
    data: ByteSource | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Seal:
    """Digests that a container stores of something else than its media: a table, a stream, one file. ``verify`` checks them.

    name    what they are of; hashes   algorithm -> hex as stored
    open    its bytes; raises EvidenceError when they cannot be had
    listed  one of a few, told one by one; of the others (every file) only those that do not match are
    """

    name: str
    hashes: Mapping[str, str]
    open: Callable[[], ByteSource] = field(repr=False, compare=False)
    listed: bool = True


def no_seals() -> Iterable[Seal]:
    """None are stored."""
    return ()


class Image(_Over):
    """An opened container: the media it holds, and what its maker wrote about it.

    format        room name ("ewf"); name    the root of every span
    facts         header values as stored, names as in the format's specification
    hashes        stored digests of the media, {"md5": hex, ...}
    sector_size   bytes
    bad_sectors   media ranges that the acquisition could not read
    parts         (file name, size) of every segment
    snapshots     earlier states that the container holds; ``open_image(..., snapshot=)`` opens one
    checks        checksums of parts, which are not known to hold before all their bytes were read
    tree          the files of logical evidence, whose media are not a disk but the contents; None for a disk
    tracks        volumes that the container itself lists (the tracks of a disc): they stand for a partition table
    seals         what else the container stores digests of; made anew at every call
    """

    __slots__ = (
        "bad_sectors", "checks", "close_with", "facts", "format", "hashes", "name", "parts", "seals",
        "sector_size", "snapshots", "tracks", "tree",
    )  # fmt: skip

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
        checks: Sequence[Check] = (),
        tracks: Sequence[Volume] = (),
        seals: Callable[[], Iterable[Seal]] = no_seals,
    ) -> None:
        super().__init__(data)
        self.seals = seals
        self.format, self.name, self.tree = format, name, tree
        self.tracks = tuple(tracks)
        self.facts: Mapping[str, str] = dict(facts or {})
        self.hashes: Mapping[str, str] = dict(hashes or {})
        self.sector_size = sector_size
        self.bad_sectors = tuple(bad_sectors)
        self.parts = tuple(parts)
        self.close_with = tuple(close_with)
        self.snapshots = tuple(snapshots)
        self.checks = tuple(checks)

    def close(self) -> None:
        """Close the files behind it."""
        for close in self.close_with:
            close()


class Lock(ABC):
    """An encrypted volume that was recognised, before any key.

    format   name of its declaration; facts   cipher, key derivation, label ... as the header states them
    needs    what would open it, in words a user reads: "password", "recovery key", "key file" ...
    others   further volumes that unlock() opened in the same bytes (a hidden one), ``index`` counted from 1
    """

    format: str = ""
    facts: Mapping[str, str] = {}
    needs: tuple[str, ...] = ("password",)
    others: Sequence[Volume] = ()

    @abstractmethod
    def unlock(self, keys: Keys, budget: Budget) -> ByteSource:
        """The plain bytes, tracing to the encrypted ones with the format in ``via``. Raises Locked when none of the
        keys opens it, without a word of any key; other EvidenceErrors for damage."""


class Shadow(ABC):
    """A snapshot that is a volume with other bytes here and there. Ranges are (start, length), ascending and apart."""

    __slots__ = ()

    @abstractmethod
    def changed(self) -> Sequence[tuple[int, int]]:
        """Where its bytes are not those at the same place of the volume as it is."""

    @abstractmethod
    def foreign(self) -> Sequence[tuple[int, int]]:
        """What is not part of it: what is read there is of a later time, or nothing."""


class Volume(_Over):
    """A range of an image that can hold a file system, or what a layer (LVM, RAID, a snapshot) makes of such ranges.

    index    1-based position in its table; 0 for "the whole image"
    scheme   "mbr", "gpt", "none" ...; kind   the table's type in words; type_code   as stored
    label    the table's name for it
    start    byte offset in the image; -1 when its bytes do not lie there one after the other as they are: see trace
    state    "allocated", "deleted" (found, but in no table), "slack" (a gap between volumes), or "snapshot"
    locked   True while encrypted and not unlocked
    facts    what else its table says, by name; spans   where each of these stands
    shadow   what sets a snapshot apart from the volume that it is of; None for what is no snapshot, or one that does not know
    """

    __slots__ = ("facts", "index", "kind", "label", "locked", "scheme", "shadow", "spans", "start", "state", "type_code")

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
        facts: Mapping[str, str] | None = None,
        spans: Mapping[str, Span] | None = None,
        shadow: Shadow | None = None,
    ) -> None:
        super().__init__(data)
        self.facts: Mapping[str, str] = dict(facts or {})
        self.spans: Mapping[str, Span] = dict(spans or {})
        self.shadow = shadow
        self.index, self.start, self.scheme = index, start, scheme
        self.kind, self.type_code, self.label = kind, type_code, label
        self.state, self.locked = state, locked

    @property
    def strict(self) -> ByteSource:
        """Its bytes with damage raised, where reading the volume itself goes on past it: for layers that have another copy."""
        return self.data


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
