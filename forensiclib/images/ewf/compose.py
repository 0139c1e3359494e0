"""The sections of an EWF-E01 set as bytes, in the manner of EnCase 6 and 7."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from sys import byteorder

from forensiclib.core.errors import UsageError
from forensiclib.core.writing import WriteOptions
from forensiclib.formats._dsl import Layout
from forensiclib.formats.ewf import (
    COMPRESSION_LEVELS,
    DIGEST,
    ERROR2_ENTRY,
    ERROR2_HEADER,
    FILE_HEADER,
    HASH,
    HEADER_VALUES,
    MEDIA_TYPES,
    SECTION,
    SESSION_ENTRY,
    SESSION_HEADER,
    SIGNATURE,
    TABLE_HEADER,
    VOLUME,
)
from forensiclib.kernels import adler32

__all__ = [
    "descriptor", "digest_body", "end", "error2_body", "file_header", "hash_body", "headers", "section", "session_body", "table", "volume",
]  # fmt: skip

HEADER2 = ("a", "c", "n", "e", "t", "md", "sn", "l", "av", "ov", "m", "u", "p", "pid", "dc", "ext")
"""Identifiers of header2, "EnCase 5 to 7 (EWF-E01)", "Main category"."""
_LATER = ("l", "pid", "ext")
"""Those that EnCase 6.12 and 6.19 brought: written only where they say something, so that older readers know the set."""
HEADER = ("c", "n", "a", "e", "t", "av", "ov", "m", "u", "p")
"""Identifiers of header, "EnCase 4 to 7 (EWF-E01)"."""
_OTHERS = (
    "srce\n0\t1\np\tn\tid\tev\ttb\tlo\tpo\tah\tgu\taq\n0\t0\n\t\t\t\t\t-1\t-1\t\t\t\n\n"
    "sub\n0\t1\np\tn\tid\tnu\tco\tgu\n0\t0\n\t\t\t\t1\t\n\n"
)
"""The sources and subjects categories without any ("Notes", "Header")."""
_LEVELS = {"none": 0, "empty-block": 0, "fast": 1, "best": 2}
_LIMITS = {"av": 11, "ov": 23}
"""Characters that EnCase shows ("Header values"); the others may have 2,999, a unique description more."""


def _filled(form: Layout, **values: object) -> bytes:
    """A record with these fields, zero in the others, its Adler-32 at the end where it has one."""
    every = form.dict(bytes(form.size)) | values
    raw: bytes = form.packed.pack(*every.values())
    return raw[:-4] + adler32(raw[:-4]).to_bytes(4, "little") if form.names[-1] == "checksum" else raw


def file_header(number: int) -> bytes:
    """ "File header" of segment ``number``."""
    return _filled(FILE_HEADER, signature=SIGNATURE, fields_start=1, segment_number=number, fields_end=0)


def descriptor(kind: str, at: int, size: int) -> bytes:
    """ "Section descriptor" of a section at ``at`` with ``size`` bytes in all."""
    return _filled(SECTION, type=kind.encode(), next_offset=at + size, size=size)


def section(kind: str, at: int, body: bytes) -> bytes:
    """A whole section."""
    return descriptor(kind, at, SECTION.size + len(body)) + body


def end(kind: str, at: int) -> bytes:
    """A next or done section: it points to itself, its size is 0."""
    return _filled(SECTION, type=kind.encode(), next_offset=at, size=0)


def _utc(when: datetime) -> datetime:
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _values(options: WriteOptions, unicode: bool) -> dict[str, str]:
    names = {name: letter for letter, name in HEADER_VALUES.items()}
    out = {"p": "0", "av": "forensiclib"}
    for name, value in options.facts.items():
        letter = names.get(name)
        if letter is None or letter not in HEADER2 or letter in ("m", "u"):
            raise UsageError(f"no header value {name!r}; there are {', '.join(sorted(n for n in names if names[n] in HEADER2))}")
        if any(c in value for c in "\t\r\n\0"):
            raise UsageError(f"{name}: the header of EWF has no place for tabs and line ends")
        if len(value) > (most := _LIMITS.get(letter, 2999)) and letter != "a":
            raise UsageError(f"{name}: {len(value)} characters, EnCase reads {most}")
        out[letter] = value
    for letter, when in (("m", options.acquired), ("u", options.system)):
        if when is not None:
            at = _utc(when)
            out[letter] = str(int(at.timestamp())) if unicode else f"{at.year} {at.month} {at.day} {at.hour} {at.minute} {at.second}"
    return out


def headers(options: WriteOptions) -> list[tuple[str, bytes]]:
    """(section type, body) of header2, twice, and header. Times are UTC. UsageError for what they cannot say.

    The header has no place for more than Windows-1252: other characters are question marks there, and whole in header2.
    """
    wide, narrow = _values(options, True), _values(options, False)
    names = [n for n in HEADER2 if n not in _LATER or wide.get(n)]
    text = "\n".join(("3", "main", "\t".join(names), "\t".join(wide.get(n, "") for n in names), "", _OTHERS))
    first = zlib.compress(b"\xff\xfe" + text.encode("utf-16-le", "surrogatepass"), 6)
    lines = ("1", "main", "\t".join(HEADER), "\t".join(narrow.get(n, "") for n in HEADER), "", "")
    second = zlib.compress("\r\n".join(lines).encode("cp1252", "replace"), 6)
    return [("header2", first), ("header2", first), ("header", second)]


def volume(options: WriteOptions, size: int, identifier: bytes) -> bytes:
    """ "Volume section" and "Data section" of media of ``size`` bytes. UsageError for media that it cannot describe."""
    kinds = {name: number for number, name in MEDIA_TYPES.items()}
    if options.media_type not in kinds or options.media_type == "logical evidence":
        raise UsageError(f"no media type {options.media_type!r}; there are fixed, removable, optical, memory")
    chunks = -(-size // (options.chunk_sectors * options.sector_size))
    if chunks >= 1 << 32:
        raise UsageError(f"{chunks} chunks are more than the format can count: more sectors a chunk")
    level = _LEVELS[options.compression]
    assert level in COMPRESSION_LEVELS
    return _filled(
        VOLUME, media_type=kinds[options.media_type], chunk_count=chunks, sectors_per_chunk=options.chunk_sectors,
        bytes_per_sector=options.sector_size, sectors_count=size // options.sector_size, media_flags=1 | options.physical << 1,
        compression_level=level, error_granularity=options.error_granularity, set_identifier=identifier,
    )  # fmt: skip


def table(entries: array[int], base: int) -> bytes:
    """The body of table and table2: "EnCase 6 to 7 and linen 6 to 7 (EWF-E01)"."""
    if byteorder == "big":
        entries = array("I", entries)
        entries.byteswap()
    raw = entries.tobytes()
    return _filled(TABLE_HEADER, entry_count=len(entries), base_offset=base) + raw + adler32(raw).to_bytes(4, "little")


def session_body(sessions: Sequence[tuple[int, str]]) -> bytes:
    """ "Session section"."""
    raw = b"".join(_filled(SESSION_ENTRY, flags=int(kind == "audio"), start_sector=start) for start, kind in sessions)
    return _filled(SESSION_HEADER, session_count=len(sessions)) + raw + adler32(raw).to_bytes(4, "little")


def error2_body(ranges: Sequence[tuple[int, int]]) -> bytes:
    """ "Error2 section" of (first sector, sectors)."""
    raw = b"".join(ERROR2_ENTRY.packed.pack(start, count) for start, count in ranges)
    return _filled(ERROR2_HEADER, entry_count=len(ranges)) + raw + adler32(raw).to_bytes(4, "little")


def digest_body(md5: str, sha1: str) -> bytes:
    """ "Digest section"; an empty digest is stored as zeros."""
    return _filled(DIGEST, md5=bytes.fromhex(md5), sha1=bytes.fromhex(sha1))


def hash_body(md5: str) -> bytes:
    """ "Hash section"."""
    return _filled(HASH, md5=bytes.fromhex(md5))
