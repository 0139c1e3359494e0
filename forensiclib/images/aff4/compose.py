"""The records of an AFF4 volume as bytes: ZIP64 headers, and the statements of information.turtle."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from forensiclib.core.errors import UsageError
from forensiclib.core.writing import WriteOptions
from forensiclib.formats.aff4 import SCHEMA, XSD
from forensiclib.formats.zip import CENTRAL, END, END64, LOCAL, LOCATOR64

__all__ = [
    "Said",
    "Stored",
    "central",
    "device",
    "directory_end",
    "iri",
    "local_header",
    "long",
    "member_name",
    "statements",
    "text",
    "turtle",
    "urn",
]

DATE = 0x21
"""1 January 1980: a volume says nothing that its content does not say."""
NAMES = {
    "case_number": "caseNumber", "evidence_number": "evidenceNumber", "examiner_name": "examiner", "notes": "notes",
    "unique_description": "caseDescription", "model": "diskModel", "serial_number": "diskSerial", "device_label": "volumeLabel",
    "version": "acquisitionSoftwareVersion", "platform": "acquisitionPlatform",
}  # fmt: skip
_OF_IMAGE = ("model", "serial_number", "device_label", "version", "platform")
DATATYPES = {"md5": "MD5", "sha1": "SHA1", "sha256": "SHA256", "sha512": "SHA512", "blake2b": "Blake2b"}
"""As the reference images write them."""
_PLAIN = re.compile('[\x00-\x1f"\\\\\x7f-\x9f\ud800-\udfff]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Stored:
    """A member that was written: what the directory says of it."""

    name: str
    method: int
    crc: int
    packed: int
    size: int
    header: int


def urn(seed: bytes, role: str) -> str:
    """A name that is the same for the same seed and role, in the form of a random UUID (version 4)."""
    made = bytearray(hashlib.sha256(seed + role.encode()).digest()[:16])
    made[6], made[8] = made[6] & 0x0F | 0x40, made[8] & 0x3F | 0x80
    digits = made.hex()
    return f"aff4://{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def member_name(stream: str) -> str:
    """ "URI to path mapping" of a stream that does not begin with the volume's name."""
    return stream.replace("aff4://", "aff4%3A%2F%2F", 1)


# ZIP


def _flags(name: bytes) -> int:
    return 0 if name.isascii() else 0x800


def local_header(name: str, method: int = 0, crc: int = 0, packed: int = 0, size: int = 0) -> bytes:
    """ "Local file header": APPNOTE 4.3.7. A member has less than 4 GiB."""
    raw = name.encode("utf-8", "surrogatepass")
    return LOCAL.packed.pack(b"PK\x03\x04", 45, _flags(raw), method, 0, DATE, crc, packed, size, len(raw), 0) + raw


def central(member: Stored) -> bytes:
    """ "Central directory header": APPNOTE 4.3.12, with the offset in the ZIP64 field where 32 bits do not hold it."""
    raw, far = member.name.encode("utf-8", "surrogatepass"), member.header >= 0xFFFFFFFF
    extra = b"\1\0\x08\0" + member.header.to_bytes(8, "little") if far else b""
    place = 0xFFFFFFFF if far else member.header
    return CENTRAL.packed.pack(
        b"PK\x01\x02", 45, 45, _flags(raw), member.method, 0, DATE, member.crc, member.packed, member.size, len(raw), len(extra),
        0, 0, 0, 0, place,
    ) + raw + extra  # fmt: skip


def directory_end(count: int, size: int, offset: int, comment: str) -> bytes:
    """The ZIP64 end record, its locator and the end record: "All Zip headers MUST be zip64"."""
    raw = comment.encode()
    far = END64.packed.pack(b"PK\x06\x06", END64.size - 12, 45, 45, 0, 0, count, count, size, offset)
    # Nothing is said twice: readers that look at the old record alone would take the ZIP64 records for a shift of all offsets.
    near = END.packed.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, len(raw))
    return far + LOCATOR64.packed.pack(b"PK\x06\x07", 0, offset + size, 1) + near + raw


# Turtle

Said = Mapping[str, Sequence[str]]
"""Local name of a property -> its values as Turtle writes them; "a" has the local names of classes."""


def text(value: str, kind: str = "") -> str:
    """A literal; ``kind`` is its datatype with a prefix."""
    made = _PLAIN.sub(lambda match: _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04X}", value)
    return f'"{made}"' + (f"^^{kind}" if kind else "")


def long(value: int) -> str:
    """A number."""
    return text(str(value), "xsd:long")


def iri(value: str) -> str:
    """A name; what no IRI can have is written as percent and two digits."""
    return "<" + "".join(c if c > " " and c not in '<>"{}|^`\\\x7f' else quote(c, safe="") for c in value) + ">"


def _time(when: datetime) -> str:
    utc = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return text(utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z"), "xsd:dateTime")


def turtle(volume: str, subjects: Sequence[tuple[str, Said]]) -> bytes:
    """information.turtle of a volume: (subject, what is said of it) in their order."""
    out = [
        f"@prefix :      {iri(volume)} .",
        "@prefix rdf:   <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .",
        f"@prefix xsd:   <{XSD}> .",
        f"@prefix aff4:  <{SCHEMA}> .",
    ]
    for subject, said in subjects:
        lines = []
        for name, values in said.items():
            shown = ", ".join(f"aff4:{value}" if name == "a" else value for value in values)
            lines.append(f"        {'a' if name == 'a' else 'aff4:' + name}  {shown}")
        out += ["", f"{iri(subject)}", " ;\n".join(lines) + " ."]
    return ("\n".join(out) + "\n").encode("utf-8", "replace")


def statements(options: WriteOptions, volume: str, image: str, seed: bytes) -> list[tuple[str, Said]]:
    """What the caller says of the case, the device and the time, beside what is measured. UsageError for other names."""
    unknown = [name for name in options.facts if name not in NAMES]
    if unknown:
        raise UsageError(f"no value {', '.join(unknown)}; there are {', '.join(NAMES)}")
    out: list[tuple[str, Said]] = []
    case = {NAMES[n]: [text(v)] for n, v in options.facts.items() if n not in _OF_IMAGE}
    if case:
        out.append((urn(seed, "case"), {"a": ["CaseDetails"], **case, "stored": [iri(volume)], "target": [iri(image)]}))
    if options.acquired is not None or options.system is not None:
        times = {"startTime": options.acquired, "endTime": options.system}
        said = {name: [_time(when)] for name, when in times.items() if when is not None}
        made: Said = {"a": ["TimeStamps"], "operation": [text("CAPTURE")], **said, "stored": [iri(volume)], "target": [iri(image)]}
        out.append((urn(seed, "times"), made))
    return out


def device(options: WriteOptions) -> dict[str, list[str]]:
    """What the caller says of the device itself."""
    return {NAMES[n]: [text(v)] for n, v in options.facts.items() if n in _OF_IMAGE}
