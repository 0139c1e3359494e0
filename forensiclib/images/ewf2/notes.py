"""What the maker wrote about the media: device and case values, hashes, errors, sessions."""

from __future__ import annotations

import bz2
import hashlib
import re
import zlib
from dataclasses import dataclass, field

from forensiclib.core.errors import Corrupt, LimitExceeded, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.ewf2 import (
    CASE_VALUES,
    COMPRESSIONS,
    COUNT_HEADER,
    DEVICE_VALUES,
    DRIVE_TYPES,
    ERROR_ENTRY,
    MD5_HASH,
    SECTION_HASHED,
    SECTION_TYPES,
    SESSION_ENTRY,
    SHA1_HASH,
)
from forensiclib.images.ewf2.segments import Section, Segment, checked

__all__ = ["Geometry", "Notes", "body", "notes", "text_of"]

TEXT_LIMIT = 256 << 20
"""Bytes of one text: the tree of a logical set may hold millions of entries."""
_LAST_BYTE = (1 << 63) - 1


@dataclass(slots=True)
class Notes:
    """facts, hashes by algorithm, (start sector, sectors) of acquisition errors, the text of the file tree ("" for none)."""

    facts: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    errors: list[tuple[int, int]] = field(default_factory=list)
    tree: str | None = None


@dataclass(frozen=True, slots=True)
class Geometry:
    """Bytes of a sector and of a chunk; ``sectors`` is 0 where it is not said."""

    sector_size: int
    chunk_size: int
    sectors: int
    chunks: int


def body(segment: Segment, section: Section, budget: Budget) -> bytes:
    """All of a section that is no media, its MD5 checked where there is one. Corrupt, LimitExceeded."""
    span = segment.span(section.data, section.size)
    raw = segment.file.read_at(section.data, budget.allocate(f"EWF2 {section.name}", section.size, span))
    if section.flags & SECTION_HASHED and hashlib.md5(raw, usedforsecurity=False).digest() != section.md5:
        raise Corrupt(f"EWF2 {section.name}", span, "its MD5 does not match")
    return raw


def text_of(segment: Segment, section: Section, raw: bytes, budget: Budget) -> str:
    """ "Serialized (file) object data": compressed UTF-16, as the file header says; plain where it begins with its mark
    or with a digit ("Single files data")."""
    what, span = f"EWF2 {section.name}", segment.span(section.data, section.size)
    if raw[:2] not in (b"\xff\xfe", b"\xfe\xff") and not (raw[:1].isdigit() and raw[1:2] == b"\0"):
        engine = bz2.BZ2Decompressor() if segment.compression == 2 else zlib.decompressobj()
        most = min(TEXT_LIMIT, budget.limits.allocation)
        try:
            out = engine.decompress(raw, most)
        except (zlib.error, OSError) as error:
            raise Corrupt(what, span, str(error)) from error
        if len(out) >= most:
            raise LimitExceeded(what, span, f"more than {most} bytes of text")
        if not engine.eof:
            raise Truncated(what, span, "the compressed text breaks off")
        raw = out
    if raw[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16-le", "surrogatepass" if len(raw) % 2 == 0 else "replace")
    return raw[2:].decode("utf-16-le" if raw[:1] == b"\xff" else "utf-16-be", "replace")


def _values(text: str, names: dict[str, str]) -> dict[str, str]:
    """The one object "main": tags and values a line each. Escaped line ends and tabs come back ("Serialized object data")."""
    lines = text.split("\n")
    if "main" not in lines[:3]:
        return {}
    at = lines.index("main")
    tags, values = ((lines[i].rstrip("\r").split("\t") if i < len(lines) else []) for i in (at + 1, at + 2))
    plain = str.maketrans({1: "\n", 2: "\r", 3: "\t"})
    return {names.get(tag, tag): value.translate(plain) for tag, value in zip(tags, values) if tag}


def _records(segment: Segment, section: Section, raw: bytes, size: int, budget: Budget) -> bytes:
    """Header, entries and footer of an error or session table -> the entries."""
    what, span = f"EWF2 {section.name}", segment.span(section.data, section.size)
    if len(raw) < COUNT_HEADER.size:
        raise Truncated(what, span, f"{len(raw)} of {COUNT_HEADER.size} bytes")
    if not checked(raw[:20]):
        raise Corrupt(what, span, "the Adler-32 of its header does not match")
    length = size * COUNT_HEADER.unpack(raw)[0]
    entries = raw[COUNT_HEADER.size : COUNT_HEADER.size + length + 4]
    if len(entries) < length + 4:
        raise Corrupt(what, span, f"{length // size} entries do not fit")
    if not checked(entries) and length:
        raise Corrupt(what, span, "the Adler-32 of its entries does not match")
    budget.item(length // size)
    return entries[:-4]


class _Reader:
    def __init__(self, budget: Budget) -> None:
        self.budget, self.out = budget, Notes()

    def hash(self, name: str, raw: bytes, size: int, what: str, span: Span) -> None:
        if len(raw) < size:
            raise Truncated(what, span, f"{len(raw)} of {size} bytes")
        if not checked(raw[:size]):
            raise Corrupt(what, span, "its Adler-32 does not match")
        value = raw[: size - 4].hex()
        if value.strip("0") and self.out.hashes.setdefault(name, value) != value:
            self.budget.report(Corrupt(what, span, f"{name} {value}, another section has {self.out.hashes[name]}"))

    def read(self, segment: Segment, section: Section) -> None:
        what, span = f"EWF2 {section.name}", segment.span(section.data, section.size)
        if section.type in (0x01, 0x02):
            names = DEVICE_VALUES if section.type == 1 else CASE_VALUES
            text = text_of(segment, section, body(segment, section, self.budget), self.budget)
            found = _values(text, names)
            if not found:
                raise Corrupt(what, span, "no main object")
            for name, value in found.items():
                if self.out.facts.setdefault(name, value) != value and name in ("sectors_count", "bytes_per_sector", "sectors_per_chunk"):
                    self.budget.report(Corrupt(what, span, f"{name} {value!r}, another segment says {self.out.facts[name]!r}"))
        elif section.type == 0x05:
            raw = _records(segment, section, body(segment, section, self.budget), ERROR_ENTRY.size, self.budget)
            self.out.errors += [(start, count) for start, count, _ in ERROR_ENTRY.packed.iter_unpack(raw)]
        elif section.type == 0x06:
            raw = _records(segment, section, body(segment, section, self.budget), SESSION_ENTRY.size, self.budget)
            for number, (start, flags, _) in enumerate(SESSION_ENTRY.packed.iter_unpack(raw), 1):
                self.out.facts[f"session_{number}"] = f"{'audio' if flags & 1 else 'data'} from sector {start}"
        elif section.type == 0x08:
            self.hash("md5", segment.file.read_at(section.data, min(MD5_HASH.size, section.size)), MD5_HASH.size, what, span)
        elif section.type == 0x09:
            self.hash("sha1", segment.file.read_at(section.data, min(SHA1_HASH.size, section.size)), SHA1_HASH.size, what, span)
        elif section.type == 0x20:
            self.out.tree = text_of(segment, section, body(segment, section, self.budget), self.budget)
        elif section.type == 0x0C:
            self.budget.report(Finding.note(what, "memory extents are not applied: the pages are read one behind the other", span=span))
        elif section.type not in SECTION_TYPES:
            self.budget.report(Finding.note("EWF2 section", f"type {section.type:#x} is not known", span=span))


def notes(segments: list[Segment], budget: Budget) -> tuple[Notes, Geometry]:
    """Everything but the tables. A damaged section is reported and its values left out.

    Raises Corrupt when no section whole says how large sectors and chunks are.
    """
    reader = _Reader(budget)
    for segment in segments:
        for section in segment.sections:
            if section.type in (0x03, 0x04):
                continue
            try:
                reader.read(segment, section)
            except (Corrupt, Truncated, LimitExceeded) as error:
                budget.report(error)
    facts, first = reader.out.facts, segments[0]
    numbers = {n: _number(facts.get(n, "")) for n in ("bytes_per_sector", "sectors_per_chunk", "sectors_count", "chunk_count")}
    sector, chunk = numbers["bytes_per_sector"], numbers["sectors_per_chunk"] * numbers["bytes_per_sector"]
    span = first.span(0, min(first.file.size, 4096))
    if chunk == 0:
        raise first.broken or Corrupt("EWF2 set", span, f"{sector} bytes a sector, chunks of {chunk} bytes")
    budget.allocate("EWF2 chunk", chunk, span)
    if numbers["sectors_count"] * sector > _LAST_BYTE or numbers["chunk_count"] * chunk > _LAST_BYTE:
        raise Corrupt("EWF2 set", span, f"{numbers['sectors_count']} sectors of {sector} bytes")
    if first.logical and reader.out.tree is None:
        budget.report(Corrupt("EWF2 single files data", span, "the list of files is not there or cannot be read"))
    facts["media_type"] = DRIVE_TYPES.get(facts.get("media_type", ""), facts.get("media_type", ""))
    facts["compression"] = COMPRESSIONS[first.compression]
    facts["set_identifier"] = guid(first.identifier)
    return reader.out, Geometry(sector, chunk, numbers["sectors_count"], numbers["chunk_count"])


def _number(text: str) -> int:
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else 0
