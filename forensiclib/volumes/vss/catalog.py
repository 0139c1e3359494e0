"""The header, the catalog and the descriptions of copies: what shadow copies there are, without any of their content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.text import utf16
from forensiclib.core.time import Timestamp
from forensiclib.formats import vss as f
from forensiclib.formats._dsl import layout, parse
from forensiclib.volumes._parts import span_of

__all__ = ["Header", "Snapshot", "copies", "describe", "entries", "header", "looks_like_vss", "record", "records"]

_HEADER, _RECORD, _SNAPSHOT, _STORED, _INFO = (layout(d) for d in (f.HEADER, f.RECORD, f.SNAPSHOT, f.STORED, f.INFO))
MOST = 4096
"""Copies of one volume: Windows keeps 512."""
MOST_CATALOG = 1024
"""Blocks of a catalog, of which one holds 63 copies: Windows makes four."""
TEXTS = ("exposed_name", "exposed_path", "originating_machine", "service_machine")


@dataclass(frozen=True, slots=True)
class Header:
    """What the volume says of its copies: where the catalog is (0: nowhere), which volume it is and which one holds the stores."""

    catalog: int
    volume: str
    storage: str
    span: Span | None


@dataclass(slots=True)
class Snapshot:
    """One copy. ``blocks``, ``ranges``, ``bitmap`` and ``previous`` are the places of its lists on the volume, 0 for none;
    ``stored``: whether the catalog says where its store is. ``facts`` and ``spans`` by the same names."""

    store: str
    size: int = 0
    position: int = 0
    flags: int = 0
    created: Timestamp = field(default_factory=lambda: Timestamp.filetime(0))
    listed: bool = False
    stored: bool = False
    header: int = 0
    blocks: int = 0
    ranges: int = 0
    bitmap: int = 0
    previous: int = 0
    facts: dict[str, str] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How findings call it."""
        return f"shadow copy {self.store} of {self.created.iso() or 'no date'}"

    def fact(self, source: ByteSource, name: str, value: str, at: int, length: int) -> None:
        """Keep a value and where it stands."""
        self.facts[name] = value
        if (span := span_of(source, at, length)) is not None:
            self.spans[name] = span


def looks_like_vss(source: ByteSource) -> bool:
    """Whether the header's identifier and kind stand in the boot area."""
    head = source.read_at(f.HEADER_AT, 24)
    return len(head) == 24 and head[:16] == f.GUID and head[20:24] == f.VOLUME.to_bytes(4, "little")


def header(source: ByteSource) -> Header:
    """The header; Truncated or Corrupt when there is none."""
    raw = parse(f.HEADER, source, f.HEADER_AT, "VSS header")
    return Header(raw.catalog, guid(raw.volume), guid(raw.storage), span_of(source, f.HEADER_AT, f.HEADER.sizeof()))


def record(source: ByteSource, at: int, kind: int, what: str) -> bytes:
    """The block at ``at``; Corrupt when it does not say of itself that it is of that kind and stands there."""
    raw = source.read_at(at, f.BLOCK) if at % 512 == 0 else b""
    if len(raw) < f.BLOCK:
        raise Truncated(what, span_of(source, at, 1), f"{len(raw)} of {f.BLOCK} bytes at {at:#x}")
    head = _RECORD.dict(raw)
    if head["guid"] != f.GUID or head["kind"] != kind or head["offset"] != at:
        found = f"record of kind {head['kind']} for {head['offset']:#x}" if head["guid"] == f.GUID else "no record"
        raise Corrupt(what, span_of(source, at, 128), f"{found}, where one of kind {kind} should be")
    return raw


def records(source: ByteSource, at: int, kind: int, what: str, budget: Budget, most: int) -> Iterator[tuple[int, bytes]]:
    """(place, block) along a chain. Raises at the block that does not hold, Corrupt when the chain returns to itself."""
    seen: set[int] = set()
    while at:
        budget.check()
        if at in seen or len(seen) >= most:
            raise Corrupt(what, span_of(source, at, 128), "the chain returns to itself" if at in seen else f"more than {most} blocks")
        seen.add(at)
        raw = record(source, at, kind, what)
        yield at, raw
        at = int.from_bytes(raw[40:48], "little")


def copies(source: ByteSource, head: Header, budget: Budget) -> list[Snapshot]:
    """Every copy that the catalog names, the oldest first. What does not hold is reported and passed over."""
    found: dict[bytes, Snapshot] = {}
    try:
        for at, raw in records(source, head.catalog, f.CATALOG, "VSS catalog", budget, MOST_CATALOG):
            _block(source, at, raw, found, budget)
    except EvidenceError as error:
        budget.report(error)
    out = [s for s in found.values() if s.listed]
    for lost in (s for s in found.values() if not s.listed):
        text = f"store {lost.store} is of no copy in this catalog: of another volume's, or its entry is gone"
        budget.report(Finding.note("VSS catalog", text, "", lost.spans.get("store")))
    out.sort(key=lambda s: (s.position, s.created.raw, s.store))
    return out


def entries(source: ByteSource, blocks: list[int], budget: Budget) -> list[Snapshot]:
    """Every copy that these blocks of a catalog name, which no header leads to any more."""
    found: dict[bytes, Snapshot] = {}
    for at in blocks:
        try:
            _block(source, at, record(source, at, f.CATALOG, "VSS catalog"), found, budget)
        except EvidenceError as error:
            budget.report(error)
    return sorted((s for s in found.values() if s.listed), key=lambda s: (s.position, s.created.raw, s.store))


def _block(source: ByteSource, at: int, raw: bytes, found: dict[bytes, Snapshot], budget: Budget) -> None:
    for place in range(f.RECORD.sizeof(), f.BLOCK, f.ENTRY):
        _entry(source, at + place, raw[place : place + f.ENTRY], found, budget)


def _entry(source: ByteSource, at: int, raw: bytes, found: dict[bytes, Snapshot], budget: Budget) -> None:
    kind = int.from_bytes(raw[:4], "little")
    if kind in (0, f.UNUSED):
        return
    if kind not in (f.COPY, f.PLACE):
        budget.report(Corrupt("VSS catalog entry", span_of(source, at, f.ENTRY), f"kind {kind}"))
        return
    key = raw[16:32]
    if key not in found and len(found) >= MOST:
        raise Corrupt("VSS catalog", span_of(source, at, f.ENTRY), f"more than {MOST} copies")
    one = found.setdefault(key, Snapshot(guid(key)))
    if one.listed if kind == f.COPY else one.stored:
        budget.report(Corrupt("VSS catalog entry", span_of(source, at, f.ENTRY), f"a second one of kind {kind} for {one.store}"))
        return
    one.fact(source, "store", one.store, at + 16, 16)
    if kind == f.COPY:
        entry = _SNAPSHOT.dict(raw)
        one.listed, one.size, one.position, one.flags = True, entry["volume_size"], entry["position"], entry["flags"]
        one.created = Timestamp.filetime(entry["created"])
        one.fact(source, "created", one.created.iso(), at + 48, 8)
        one.fact(source, "flags", f"{one.flags:#x}", at + 40, 8)
        one.fact(source, "position", str(one.position), at + 32, 8)
    else:
        entry = _STORED.dict(raw)
        one.stored, one.header, one.blocks, one.ranges = True, entry["header"], entry["blocks"], entry["ranges"]
        one.bitmap, one.previous = entry["bitmap"], entry["previous"]
        file, sequence = entry["file"] & (1 << 48) - 1, entry["file"] >> 48
        one.fact(source, "store_file", f"{file}-{sequence}", at + 56, 8)


def describe(source: ByteSource, one: Snapshot, budget: Budget) -> None:
    """Read what the store's own header says: identifiers, attributes, machines. What does not hold is reported."""
    try:
        raw = record(source, one.header, f.STORE, "VSS store header")
    except EvidenceError as error:
        budget.report(error, one.name)
        return
    base = f.RECORD.sizeof()
    info = _INFO.dict(raw, base)
    for name, field_ in (("shadow_copy", "copy"), ("shadow_copy_set", "set"), ("application", "application")):
        one.fact(source, name, guid(info[field_]), one.header + base + _INFO.offsets[field_], 16)
    context, attributes = info["context"], info["attributes"]
    words = [word for bit, word in f.ATTRIBUTES.items() if attributes & bit]
    one.fact(source, "context", f.CONTEXTS.get(context, f"{context:#x}"), one.header + base + _INFO.offsets["context"], 4)
    one.fact(source, "attributes", f"{attributes:#010x}: {', '.join(words)}", one.header + base + _INFO.offsets["attributes"], 4)
    at = base + _INFO.size
    for name in TEXTS:
        length = int.from_bytes(raw[at : at + 2], "little")
        if length % 2 or at + 2 + length > len(raw):
            where = span_of(source, one.header + min(at, len(raw) - 2), 2)
            budget.report(Corrupt("VSS store header", where, f"{name} of {length} bytes"), one.name)
            return
        if length:
            one.fact(source, name, utf16(raw[at + 2 : at + 2 + length]).rstrip("\0"), one.header + at + 2, length)
        at += 2 + length
