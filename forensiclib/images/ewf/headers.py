"""What the maker wrote about the media: geometry, header values, hashes, acquisition errors, sessions."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape

from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.ewf import (
    COMPRESSION_LEVELS,
    DIGEST,
    ERROR2_ENTRY,
    ERROR2_HEADER,
    HASH,
    HEADER_VALUES,
    LTREE,
    MEDIA_FLAGS,
    MEDIA_TYPES,
    SESSION_ENTRY,
    SESSION_HEADER,
    VOLUME,
    VOLUME_SMART,
)
from forensiclib.images.ewf.sections import Section, Segment, checked

__all__ = ["Geometry", "Notes", "geometry", "notes"]

TEXT_LIMIT = 16 << 20
"""Bytes of one header text: EnCase itself fails on a description of 1 MiB ("Header2 values")."""
_LAST_BYTE = (1 << 63) - 1
_ELEMENT = re.compile(r"<([A-Za-z_][\w.-]*)>([^<>]*)</\1>")


@dataclass(frozen=True, slots=True)
class Geometry:
    """The volume, disk or data section. ``smart`` is the 94-byte form; ``identifier`` "" when not stored; ``logical``: files,
    not a disk."""

    chunk_count: int
    chunk_size: int
    sector_size: int
    sector_count: int
    identifier: str
    smart: bool
    logical: bool
    facts: dict[str, str]
    span: Span

    @property
    def size(self) -> int:
        """Bytes of media."""
        return self.sector_count * self.sector_size

    @property
    def chunks(self) -> int:
        """Chunks that the media need; ``chunk_count`` is what the section says."""
        return -(-self.size // self.chunk_size)


def _facts(values: dict[str, int | bytes]) -> dict[str, str]:
    out = {}
    for name, value in values.items():
        if isinstance(value, int) and name not in ("checksum", "reserved1"):
            out[name] = str(value)
    if "media_type" in values:
        kind, flags, level = (int(out[n]) for n in ("media_type", "media_flags", "compression_level"))
        out["media_type"] = MEDIA_TYPES.get(kind, f"{kind:#04x}")
        out["media_flags"] = " ".join([text for bit, text in MEDIA_FLAGS.items() if flags & bit] or ["none"])
        out["compression_level"] = COMPRESSION_LEVELS.get(level, f"{level:#04x}")
    return out


def _geometry(segment: Segment, section: Section, budget: Budget) -> Geometry:
    form = VOLUME_SMART if section.size < VOLUME.size else VOLUME
    what, span = f"EWF {section.type} section", segment.span(section.data, form.size)
    raw = segment.file.read_at(section.data, form.size)
    if len(raw) < form.size:
        raise Truncated(what, span, f"{len(raw)} of {form.size} bytes")
    if not checked(raw):
        raise Corrupt(what, span, "its Adler-32 does not match")
    values = form.dict(raw)
    logical = values.get("media_type") == 0x0E
    chunk = values["sectors_per_chunk"] * values["bytes_per_sector"]
    if chunk == 0:
        raise Corrupt(what, span, f"{values['sectors_per_chunk']} sectors a chunk of {values['bytes_per_sector']} bytes")
    budget.allocate("EWF chunk", chunk, span)
    if values["sectors_count"] * values["bytes_per_sector"] > _LAST_BYTE:
        raise Corrupt(what, span, f"{values['sectors_count']} sectors of {values['bytes_per_sector']} bytes")
    if values["sectors_count"] == 0 and logical:
        values["sectors_count"] = values["chunk_count"] * values["sectors_per_chunk"]
    if values["sectors_count"] == 0:
        raise Corrupt(what, span, "no sectors")
    identifier = values.get("set_identifier", bytes(16))
    facts = _facts(values)
    if any(identifier):
        facts["set_identifier"] = guid(identifier)
    return Geometry(
        values["chunk_count"],
        chunk,
        values["bytes_per_sector"],
        values["sectors_count"],
        facts.get("set_identifier", ""),
        form is VOLUME_SMART,
        logical,
        facts,
        span,
    )


def _foreign(first: Geometry, other: Geometry, budget: Budget) -> None:
    """Compare a data section with the volume: "Segment file set identifier GUID", "Data section"."""
    if first.identifier != other.identifier and first.identifier and other.identifier:
        found = f"set identifier {other.identifier}, the set's is {first.identifier}: a segment of another set"
        raise Corrupt("EWF segment", other.span, found)
    shape, other_shape = ((g.chunk_size, g.sector_size) for g in (first, other))
    size_differs = other.sector_count not in (0, first.sector_count)
    if not first.identifier and (shape != other_shape or size_differs):
        found = f"{other.sector_count} sectors in chunks of {other.chunk_size} where the set has "
        raise Corrupt("EWF segment", other.span, f"{found}{first.sector_count} in {first.chunk_size}: a segment of another set")
    if shape != other_shape or size_differs:
        found = f"{other.sector_count} sectors, the volume section says {first.sector_count}"
        budget.report(Corrupt("EWF data section", other.span, found))


def geometry(segments: list[Segment], budget: Budget) -> Geometry:
    """The media's shape: the volume (or disk) section, a data section where that one is damaged.

    Raises the volume section's error when no copy is whole, Corrupt when a segment's data section
    belongs to another set.
    """
    found: Geometry | None = None
    problem: EvidenceError | None = None
    for segment in segments:
        for section in segment.sections:
            if section.type not in ("volume", "disk", "data"):
                continue
            try:
                this = _geometry(segment, section, budget)
            except (Corrupt, Truncated) as error:
                problem = problem or error
                budget.report(error)
                continue
            if found is None:
                found = this
            else:
                _foreign(found, this, budget)
    if found is None:
        first = segments[0]
        raise problem or first.broken or Corrupt("EWF segment", first.span(0, first.file.size), "no volume section")
    if found.chunk_count != found.chunks:
        says = f"{found.chunk_count} chunks, {found.sector_count} sectors need {found.chunks}"
        budget.report(Corrupt("EWF volume section", found.span, says))
    return found


@dataclass(slots=True)
class Notes:
    """facts, hashes by algorithm, (start sector, sectors) of acquisition errors, the text of the ltree section."""

    facts: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    errors: list[tuple[int, int]] = field(default_factory=list)
    tree: str | None = None


class _Reader:
    def __init__(self, segment: Segment, section: Section, budget: Budget, into: Notes) -> None:
        self.segment, self.section, self.budget, self.into = segment, section, budget, into

    @property
    def what(self) -> str:
        return f"EWF {self.section.type} section"

    def span(self, offset: int, n: int) -> Span:
        return self.segment.span(self.section.data + offset, n)

    def fixed(self, offset: int, size: int) -> bytes:
        """``size`` bytes with their Adler-32 at the end, checked."""
        raw = self.segment.file.read_at(self.section.data + offset, min(size, max(0, self.section.size - offset)))
        if len(raw) < size:
            raise Truncated(self.what, self.span(offset, len(raw)), f"{len(raw)} of {size} bytes")
        if not checked(raw):
            raise Corrupt(self.what, self.span(offset, size), "its Adler-32 does not match")
        return raw

    def entries(self, header: int, count: int, size: int) -> bytes:
        """``count`` records behind a header, their Adler-32 behind them checked."""
        length = self.budget.allocate(self.what, count * size, self.span(0, header))
        return self.fixed(header, length + 4)[:-4] if count else b""

    def text(self) -> bytes:
        """The inflated content, no more than TEXT_LIMIT."""
        size = self.budget.allocate(self.what, min(self.section.size, TEXT_LIMIT), self.span(0, self.section.size))
        engine = zlib.decompressobj()
        try:
            out = engine.decompress(self.segment.file.read_at(self.section.data, size), TEXT_LIMIT)
        except zlib.error as error:
            raise Corrupt(self.what, self.span(0, size), str(error)) from error
        if not engine.eof:
            if len(out) >= TEXT_LIMIT:
                raise LimitExceeded(self.what, self.span(0, size), f"more than {TEXT_LIMIT} bytes of text")
            raise Truncated(self.what, self.span(0, size), "the compressed text breaks off")
        return out

    def hash(self, name: str, value: str) -> None:
        """Keep a stored digest; a second, different one is damage or forgery."""
        if not value.strip("0"):
            return
        held = self.into.hashes.setdefault(name, value)
        if held != value:
            self.budget.report(Corrupt(self.what, self.span(0, self.section.size), f"{name} {value}, another section has {held}"))


def _decode(raw: bytes) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    # The header's code page is not stored; UTF-8 and ASCII are told from the rest by being valid.
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _header(reader: _Reader) -> None:
    """ "Header section", "Header2 section": the main category's identifiers and values."""
    lines = _decode(reader.text()).rstrip("\0").replace("\r\n", "\n").split("\n")
    if "main" not in lines[:3]:
        raise Corrupt(reader.what, reader.span(0, reader.section.size), "no main category")
    at = lines.index("main")
    names, values = ((lines[i].split("\t") if i < len(lines) else []) for i in (at + 1, at + 2))
    for name, value in zip(names, values):
        if name:
            reader.into.facts.setdefault(HEADER_VALUES.get(name, name), value)


def _xheader(reader: _Reader) -> None:
    """ "Xheader": elements under their own names."""
    for name, value in _ELEMENT.findall(_decode(reader.text())):
        reader.into.facts.setdefault(name, unescape(value))


def _xhash(reader: _Reader) -> None:
    """ "Xhash"."""
    for name, value in _ELEMENT.findall(_decode(reader.text())):
        reader.hash(name.lower(), value.strip().lower())


def _hash(reader: _Reader) -> None:
    """ "Hash section"."""
    reader.hash("md5", HASH.dict(reader.fixed(0, HASH.size))["md5"].hex())


def _digest(reader: _Reader) -> None:
    """ "Digest section"."""
    values = DIGEST.dict(reader.fixed(0, DIGEST.size))
    reader.hash("md5", values["md5"].hex())
    reader.hash("sha1", values["sha1"].hex())


def _error2(reader: _Reader) -> None:
    """ "Error2 section"."""
    count = ERROR2_HEADER.unpack(reader.fixed(0, ERROR2_HEADER.size))[0]
    raw = reader.entries(ERROR2_HEADER.size, count, ERROR2_ENTRY.size)
    for start, sectors in ERROR2_ENTRY.packed.iter_unpack(raw):
        reader.budget.item()
        reader.into.errors.append((start, sectors))


def _session(reader: _Reader) -> None:
    """ "Session section": start sectors as stored (a CD's first says 16 and begins at 0)."""
    count = SESSION_HEADER.unpack(reader.fixed(0, SESSION_HEADER.size))[0]
    raw = reader.entries(SESSION_HEADER.size, count, SESSION_ENTRY.size)
    for number, (flags, start, _) in enumerate(SESSION_ENTRY.packed.iter_unpack(raw), 1):
        reader.budget.item()
        reader.into.facts[f"session_{number}"] = f"{'audio' if flags & 1 else 'data'} from sector {start}"


def _incomplete(reader: _Reader) -> None:
    reader.budget.report(Finding.note(reader.what, "the acquisition was not completed", span=reader.span(-76, 76)))


def _ltree(reader: _Reader) -> None:
    """ "Ltree section": the list of files."""
    head = reader.segment.file.read_at(reader.section.data, min(LTREE.size, reader.section.size))
    if len(head) < LTREE.size:
        raise Truncated(reader.what, reader.span(0, len(head)), f"{len(head)} of {LTREE.size} bytes")
    md5, size, checksum, _ = LTREE.unpack(head)
    if zlib.adler32(head[:24] + bytes(4) + head[28:]) != checksum:
        raise Corrupt(reader.what, reader.span(0, LTREE.size), "its Adler-32 does not match")
    reader.budget.allocate(reader.what, size, reader.span(0, LTREE.size))
    raw = reader.segment.file.read_at(reader.section.data + LTREE.size, size)
    if len(raw) < size:
        raise Truncated(reader.what, reader.span(LTREE.size, len(raw)), f"{len(raw)} of {size} bytes")
    if hashlib.md5(raw, usedforsecurity=False).digest() != md5:
        reader.budget.report(Corrupt(reader.what, reader.span(LTREE.size, size), "the MD5 of the list of files does not match"))
    reader.into.tree = raw.decode("utf-16-le", "surrogatepass" if len(raw) % 2 == 0 else "replace")


def _ltypes(reader: _Reader) -> None:
    """ "Ltypes section": six bytes of unknown meaning."""


_READERS: dict[str, Callable[[_Reader], None]] = {
    "xheader": _xheader,
    "header2": _header,
    "header": _header,
    "hash": _hash,
    "digest": _digest,
    "xhash": _xhash,
    "error2": _error2,
    "session": _session,
    "incomplete": _incomplete,
    "ltree": _ltree,
    "ltypes": _ltypes,
}
_KNOWN = frozenset((*_READERS, "volume", "disk", "data", "sectors", "table", "table2", "next", "done"))


def notes(segments: list[Segment], budget: Budget) -> Notes:
    """Everything but geometry and tables. header2 (Unicode) is read before header (one code page).

    A damaged section is reported and its values left out.
    """
    out = Notes()
    every = [(segment, section) for segment in segments for section in segment.sections]
    for kind, read in _READERS.items():
        for segment, section in every:
            if section.type != kind:
                continue
            try:
                read(_Reader(segment, section, budget, out))
            except (Corrupt, Truncated, LimitExceeded) as error:
                budget.report(error)
    for segment, section in every:
        if section.type not in _KNOWN:
            budget.report(Finding.note("EWF section", f"type {section.type!r} is not known", span=segment.span(section.at, 76)))
    return out
