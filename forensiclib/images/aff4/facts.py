"""What the maker of a volume wrote about it and about its image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

from forensiclib.core.time import Timestamp
from forensiclib.images.aff4.container import Container, local
from forensiclib.images.aff4.turtle import Literal

__all__ = ["facts_of", "stamp"]

NAMES = {
    "caseNumber": "case_number", "evidenceNumber": "evidence_number", "examiner": "examiner_name", "caseDescription": "unique_description",
    "notes": "notes", "diskModel": "model", "model": "model", "diskSerial": "serial_number", "serial": "serial_number",
    "volumeLabel": "device_label",
}  # fmt: skip
"""Values that every format has, under the names that they have in all of ours."""
UNKNOWN = ("imageStreamHash", "linearBlockHash")
"""Digests by Evimetry that nobody says what they are of: shown, not checked."""
_HIDDEN = {"a", "stored", "target", "contains", "interface", "dataStream", "dependentStream", "hash", "size", "Queries"}
_ABOUT = ("CaseDetails", "caseDetails", "CaseNotes", "caseNotes", "TimeStamps", "ComputeResource")
_STAMP = re.compile(r"(-?\d{4,6})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)?")


def stamp(text: str) -> Timestamp | None:
    """An xsd:dateTime. Without a zone it is the clock of an unknown one. None for what is no date."""
    match = _STAMP.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    digits, zone = (match[7] or "").ljust(9, "0")[:9], match[8]
    try:
        away = timedelta(0)
        if zone and zone != "Z":
            away = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
        when = datetime(year, month, day, hour, minute, second, tzinfo=timezone(away) if away else UTC)
        seconds = int((when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))
    except (ValueError, OverflowError):
        return None
    ns = seconds * 1_000_000_000 + int(digits)
    resolution = 10 ** (9 - min(9, len(match[7]))) if match[7] else 1_000_000_000
    return Timestamp(seconds, "xsd", ns, "utc" if zone else "unknown", resolution)


def facts_of(container: Container, image: str, streams: Sequence[str]) -> dict[str, str]:
    """Values by name: of the image, of its case, of the machine, of the volume and its version; those that are there several times one
    behind the other."""
    found: dict[str, list[str]] = {}

    def add(name: str, value: str) -> None:
        kept = found.setdefault(NAMES.get(name, name), [])
        if value and value not in kept:
            kept.append(value)

    about = {image, *streams}
    subjects = [image, *streams] if image else []
    subjects += [u for u in container.of_kind(*_ABOUT) if not image or any(v in about for v in container.values(u, "target", "contains"))]
    for subject in subjects:
        for name, values in container.graph.get(subject, {}).items():
            for value in values if name not in _HIDDEN and (name in UNKNOWN or not name.endswith("Hash")) else ():
                add(name, value.text if isinstance(value, Literal) else local(value))
    for volume in container.volumes:
        add("volume", volume.urn)
        add("creationTime", container.text(volume.urn, "creationTime", "CreationTime"))
    for said in container.versions:
        add("version", ".".join(said[n] for n in ("major", "minor") if n in said))
        add("tool", said.get("tool", ""))
    for stream in container.of_kind("ImageStream", "stream", "image"):
        add("compressionMethod", container.text(stream, "compressionMethod", "CompressionMethod", "compression"))
        add("chunkSize", container.text(stream, "chunkSize", "chunk_size"))
        add("imageStreamHash", container.text(stream, "imageStreamHash"))
    facts = {name: "; ".join(values) for name, values in found.items() if values}
    for source in ("startTime", "StartTime", "creationTime"):
        if (when := stamp(facts.get(source, ""))) is not None and when.zone == "utc":
            facts.setdefault("acquired_date", str(when.raw))
    return facts
