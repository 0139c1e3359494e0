"""Declarations: what each room is, as frozen data. The catalogue and its pages are computed from these."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from forensiclib.core.entry import Entry, FileSystem, Image, Lock, Volume
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row, State
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.writing import WriteCall

__all__ = [
    "Binary", "Carver", "Checked", "Declaration", "Encryption", "Ended", "Events", "Extractor", "Field", "FieldType",
    "FileSystemFormat", "Files", "Find", "Flag", "Found", "Fragments", "Guid", "ImageFormat", "ImageWriter",
    "Integer", "Json", "Keys", "Kind", "Path", "Real", "Remains", "Sid", "Signature", "StoreFormat", "Supplied", "Text",
    "TextPattern", "Time", "Transform", "VolumeLayer", "VolumeSystem",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldType:
    """How a field's values look in Python and in a table; ``column`` is a Batch type."""

    name: str
    column: str
    meaning: str


Text = FieldType("text", "utf8", "text")
Path = FieldType("path", "utf8", "a path as the evidence writes it")
Sid = FieldType("sid", "utf8", "security identifier, S-1-...")
Guid = FieldType("guid", "utf8", "GUID, lower case, without braces")
Json = FieldType("json", "utf8", "JSON text")
Integer = FieldType("integer", "int64", "signed 64-bit integer")
Real = FieldType("real", "float64", "floating point number")
Flag = FieldType("flag", "bool", "true or false")
Binary = FieldType("binary", "binary", "bytes as stored")
Time = FieldType("time", "timestamp", "a Timestamp; becomes an event of the timeline")


@dataclass(frozen=True, slots=True)
class Field:
    """One column of an extractor. ``help`` is what an examiner reads: meaning, unit, zone. ``event``: a
    Time that another row tells already makes no event of the timeline."""

    name: str
    type: FieldType
    help: str
    event: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What every room states.

    name    unique, lower case, dotted for extractors; title   one line for a person
    refs    specifications and research the layout comes from
    gaps    what it does not do, honestly; empty only when nothing is known to be missing
    version raised whenever the same bytes may give other rows
    """

    name: str
    title: str
    refs: tuple[str, ...]
    gaps: tuple[str, ...] = ()
    version: int = 1


@dataclass(frozen=True, slots=True)
class Signature:
    """Bytes that announce a format at ``offset`` from its start.

    mask    same length as ``pattern``: a bit of 0 matches anything; None matches exactly
    align   a carved file counts only where its start is a multiple of this many bytes of the source:
            for signatures so weak that noise is full of them, on media where files start on sectors
    """

    pattern: bytes
    offset: int = 0
    mask: bytes | None = None
    align: int = 1

    def matches(self, head: bytes) -> bool:
        """Whether ``head``, the first bytes of a source, carries it."""
        piece = head[self.offset : self.offset + len(self.pattern)]
        if self.mask is None or len(piece) < len(self.pattern):
            return piece == self.pattern
        return all(a & m == b & m for a, b, m in zip(piece, self.pattern, self.mask, strict=True))


class OpenImage(Protocol):
    """Opens the file at ``path`` (and its sibling segments) as an Image.

    Raises NotThisFormat before anything else when the content is not the format; other
    EvidenceErrors when it is and cannot be opened. Damage that leaves bytes readable goes to
    ``budget.report``. ``paths`` holds more than one when the caller listed the segments.
    """

    def __call__(self, paths: Sequence[str], budget: Budget) -> Image: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFormat(Declaration):
    """A container that holds a disk. ``signatures`` decide; ``extensions`` (lower case, with dot)
    only order the attempts. ``catch_all`` is for raw: tried last, always says yes.

    trailers   signatures in the last 512 bytes of the file; their ``offset`` counts in these
    folder     name of the file that is given instead when the evidence is a folder that holds it
    configure  for ``open_image(format="name:text")``: an opener that goes by the text, for what no content tells (the page size of a
               chip); raises UsageError for a text that it does not know. Its image states the same as its ``format``
    """

    signatures: tuple[Signature, ...] = ()
    trailers: tuple[Signature, ...] = ()
    folder: str = ""
    extensions: tuple[str, ...] = ()
    catch_all: bool = False
    configure: Callable[[str], OpenImage] | None = None
    open: OpenImage


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWriter(Declaration):
    """A container that can be written. ``extensions`` of the first file, lower case, with dot; the first of them is
    the usual one."""

    extensions: tuple[str, ...]
    write: WriteCall


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSystem(Declaration):
    """A partition table. ``open(source, sector_size, budget)`` gives its volumes in disk order, gaps
    as volumes of state "slack"; raises NotThisFormat. ``order``: lower is asked first (GPT before the
    MBR that protects it)."""

    order: int = 50
    open: Callable[[ByteSource, int, Budget], list[Volume]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeLayer(Declaration):
    """Volumes made of volumes: LVM, RAID, snapshots, disk labels inside partitions.

    probe(source)          cheap: whether a volume looks like a member
    open(members, budget)  all volumes that look so, in the order of the image; gives the volumes they make, ``index``
                           counted from 1, what belongs to none of them as state "slack"; raises NotThisFormat when they
                           are no members after all, other EvidenceErrors when they are and do not suffice. A member that
                           is missing or stale where the layer can do without it is a finding
    joins                  open gets all members at once; False: each by itself
    consumes               whether a member is nothing else besides (a snapshot's volume is)
    deep                   open reads the whole volume, for what was deleted: asked only when the run wants that
    order                  lower is asked first
    disks(source)          whether a whole disk looks like a member; asked before its partition table is read, which in a member may be
                           that of the array. When the layer makes nothing of it, the table is read after all. None: members are
                           what tables and other layers give
    """

    order: int = 50
    joins: bool = True
    consumes: bool = True
    deep: bool = False
    disks: Callable[[ByteSource], bool] | None = None
    probe: Callable[[ByteSource], bool]
    open: Callable[[Sequence[Volume], Budget], list[Volume]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption(Declaration):
    """Encryption of a whole volume.

    probe(source)         cheap: whether it is such a volume
    open(source, budget)  its Lock; raises NotThisFormat, or another EvidenceError for a header that is damaged
    unmarked              the format carries no signature (probe says only what could be): asked last, and only when the
                          caller gave keys
    disk                  what is encrypted is a disk with its partition table: probe and open get the disk, never a volume
    """

    order: int = 50
    unmarked: bool = False
    disk: bool = False
    probe: Callable[[ByteSource], bool]
    open: Callable[[ByteSource, Budget], Lock]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystemFormat(Declaration):
    """A file system. ``probe(source)`` is cheap and reads the superblock only; ``open(source, budget)``
    raises NotThisFormat or another EvidenceError. ``engine`` is "native" or "tsk". ``isolated`` is open in a
    child process, for engines of foreign C; its crash is an EvidenceError, and ``FileSystem.close`` ends it."""

    engine: str = "native"
    order: int = 50
    probe: Callable[[ByteSource], bool]
    open: Callable[[ByteSource, Budget], FileSystem]
    isolated: Callable[[ByteSource, Budget], FileSystem] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFormat(Declaration):
    """A database that many artifacts share. ``open(source, companions, budget)``: ``companions`` are
    its transaction logs by lower-case suffix (".log1" ...)."""

    signatures: tuple[Signature, ...] = ()
    companions: tuple[str, ...] = ()
    open: Callable[[ByteSource, dict[str, ByteSource], Budget], Any]


@dataclass(frozen=True, slots=True)
class Files:
    """Files by path: "/"-separated, case-insensitive, * and ? within one part, ** for any parts,
    "path:name" for an alternate stream; by content, wherever they are and whatever their name, when
    ``signatures`` are given; and what the ``carved`` carvers found, for types that no signature tells."""

    patterns: tuple[str, ...]
    signatures: tuple[Signature, ...]
    carved: tuple[str, ...]

    def __init__(self, *patterns: str, signatures: tuple[Signature, ...] = (), carved: tuple[str, ...] = ()) -> None:
        object.__setattr__(self, "patterns", patterns)
        object.__setattr__(self, "signatures", signatures)
        object.__setattr__(self, "carved", carved)


@dataclass(frozen=True, slots=True)
class Keys:
    """Registry keys by hive kind ("SYSTEM", "NTUSER" ...) and path below its root, wildcards as in
    Files but "\\"-separated; live and deleted."""

    hive: str
    patterns: tuple[str, ...]

    def __init__(self, hive: str, *patterns: str) -> None:
        object.__setattr__(self, "hive", hive)
        object.__setattr__(self, "patterns", patterns)


@dataclass(frozen=True, slots=True)
class Events:
    """Event records by channel ("" is any) and event id (none is all)."""

    channel: str = ""
    ids: tuple[int, ...] = ()

    def __init__(self, channel: str = "", *ids: int) -> None:
        object.__setattr__(self, "channel", channel)
        object.__setattr__(self, "ids", ids)


@dataclass(frozen=True, slots=True)
class Found:
    """What a Files extractor receives: one file, already open.

    stream   its main content; path   within the volume; entry   None for a bare file
    sibling  opens a neighbour by name in the same directory, None when there is none
    """

    stream: ByteSource
    path: str
    entry: Entry | None = None
    state: State = "allocated"
    sibling: Callable[[str], ByteSource | None] = field(default=lambda name: None)

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extractor(Declaration):
    """An artifact. ``rows(target, budget)`` gets a Found, a registry key or an event, as ``source``
    says, and yields Rows whose values have exactly the names in ``fields``."""

    platform: str
    source: Files | Keys | Events
    fields: tuple[Field, ...]
    rows: Callable[[Any, Budget], Iterator[Row]]


@dataclass(frozen=True, slots=True)
class Supplied:
    """Bytes of a find that do not lie where it was found.

    at       offset in the file;  content   the bytes
    spans    where they stand as they are, in another file; () when the carver made them
    what     they are, in a few words
    """

    at: int
    content: bytes
    spans: tuple[Span, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Find:
    """What a carver's ``measure`` says of a candidate that it accepts.

    length      bytes from the signature's start, derived from the format itself
    confidence  0 to 1: 1.0 every checksum or structure to the end was verified, 0.5 the structure
                held but its end is inferred
    reason      one line: what was verified, what was inferred
    extension, title  override the declaration's when the content says more (a ZIP that is a DOCX)
    complete    False when the structure breaks off before its end
    owned       bytes from the start that are certainly this file's own, in which no other file is
                looked for (thumbnails, members); None: all of a complete find with a confidence of
                0.8 or more, nothing of any other
    pieces      (offset, length) of each piece in order of the file, in the source that was searched; empty for a
                file in one run
    supplied    what of the file is not evidence of this place, ascending; the file is the ``pieces`` with these between
    """

    length: int
    confidence: float
    reason: str
    extension: str = ""
    title: str = ""
    complete: bool = True
    owned: int | None = None
    pieces: tuple[tuple[int, int], ...] = ()
    supplied: tuple[Supplied, ...] = ()


@dataclass(frozen=True, slots=True)
class Remains:
    """A file that begins with ``data`` and lacks what it takes to open it, and whole files of its type (``kin``). ``data`` reaches
    to what is certainly another file's; a read raises LimitExceeded when enough was tried. ``learned`` is the carver's own: what it
    has read of the kin, kept for the next file."""

    data: ByteSource
    kin: Sequence[ByteSource]
    learned: dict[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Fragments:
    """What is left for a file that begins at ``head`` and breaks off: free blocks of ``block`` bytes, one behind the
    other. Pieces begin at multiples of ``block``; a read raises LimitExceeded when enough was tried."""

    data: ByteSource
    head: int
    block: int


@dataclass(frozen=True, slots=True)
class Kind:
    """One file type of a carver whose content decides the type: what a Find of it says."""

    extension: str
    mime: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Carver(Declaration):
    """A file type that can be recognised without a file system.

    signatures   any of them announces a candidate; offsets are relative to the file's start
    extension    lower case, no dot; mime   IANA type
    measure(data, budget)   ``data`` starts at the candidate and reaches as far as a file may; returns
                 None when it is not one. Reads little, proves progress.
    maximum      bytes; no real file of the type is longer
    kinds        the types that its finds can be; empty: the one of the declaration
    rejoin(fragments, budget)   looks for the further pieces of a file that breaks off; a Find whose ``pieces`` lie in
                 ``fragments.data``, or None. What it gives is measured again.
    holds        files of other types lie in it as they are, so that its pieces may be other finds too
    rebuild(remains, budget)   makes a file that opens of one that lacks its header, with what whole files of the same type tell; a
                 Find whose ``pieces`` lie in ``remains.data`` and whose ``supplied`` says what is not of there, or None
    """

    extension: str
    mime: str
    signatures: tuple[Signature, ...]
    measure: Callable[[ByteSource, Budget], Find | None]
    maximum: int = 4 << 30
    kinds: tuple[Kind, ...] = ()
    rejoin: Callable[[Fragments, Budget], Find | None] | None = None
    holds: bool = False
    rebuild: Callable[[Remains, Budget], Find | None] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What a text pattern's ``check`` says of a text that it accepts.

    normal      the value in one spelling, so that equal values compare equal
    confidence  0 to 1: 1.0 a checksum of some strength holds, 0.5 the form is right and others share it
    valid       False when the form is unmistakable and its checksum does not hold
    group       the coarser value that a histogram also counts ("example.org" of an address there), or ""
    taken       characters of the text that belong to it, where the rest does not (the full stop behind a URL)
    """

    normal: str
    confidence: float = 0.5
    valid: bool = True
    group: str = ""
    taken: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPattern(Declaration):
    """A kind of text that is worth finding by its form: an address, a number with a check digit.

    expression   regular expression; the syntax is that of search/expression.py
    check(text)  judges what matched; None when it is not one
    ignore_case  the expression does not tell upper from lower case
    """

    expression: str
    check: Callable[[str], Checked | None]
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a transform came to its end.

    length    bytes of the stored form, from the candidate on; 0: the candidate is noise
    complete  False when it breaks off, or its checksum does not hold; ``reason`` says which
    literal   (start, end) of what came out that stands in the stored form as it is: not to be told twice
    back      bytes before the candidate that were decoded too; negative: bytes from it on that were not
    """

    length: int
    complete: bool = True
    reason: str = ""
    literal: tuple[tuple[int, int], ...] = ()
    back: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform(Declaration):
    """A way in which content is written so that a search of its bytes does not see it: compressed, encoded, masked.

    signatures  any of them announces a candidate; or else
    scan(data, start, stop, base)   the candidates in [start, stop) of ``data``, whose first byte is byte ``base`` of the stream
    decode(view, budget)   ``view`` starts at the candidate (see search.decode.regions.View); yields what comes out in pieces of
                 bounded size and returns how it ended. Bytes that are not the form end with length 0 or an EvidenceError.
    owns         in the bytes that it decoded nothing else is looked for; False: not it alone
    optional     used when it is asked for by name, not with "all": it costs too much, or says too much
    once         not applied to what it gave itself
    """

    signatures: tuple[Signature, ...] = ()
    scan: Callable[[memoryview, int, int, int], Iterable[int]] | None = None
    decode: Callable[[Any, Budget], Generator[bytes, None, Ended]]
    owns: bool = True
    optional: bool = False
    once: bool = False
