"""BSD disk labels: inside an MBR partition, and on a disk of their own."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from forensiclib.core.declare import VolumeLayer, VolumeSystem
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats import disklabels
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import Part, span_of, volumes

__all__ = ["FORMAT", "LAYER", "open_label", "open_slice", "probe"]

PLACES = (512, 0, 64, 128)
"""Where ports keep it: sector 1 (PCs), or in the first one behind boot code."""
ABSOLUTE = ("0xa6", "0xa9")
"""MBR types whose labels count from the start of the disk: OpenBSD and NetBSD."""
MOST = 64


def _at(source: ByteSource) -> int | None:
    for at in PLACES:
        head = source.read_at(at, 148)
        if len(head) == 148 and head[:4] == head[132:136] == disklabels.BSD_MAGIC.to_bytes(4, "little"):
            return at
    return None


def probe(source: ByteSource) -> bool:
    """Whether a label's two magic numbers stand in the first two sectors."""
    return _at(source) is not None


def open_label(source: ByteSource, sector_size: int, budget: Budget) -> list[Volume]:
    """Partitions of a disk that has nothing but a label."""
    return volumes(source, list(_parts(source, 0, False, budget)), "bsd", budget, disklabels.BSD_ENTRY.size)


def open_slice(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """Partitions of a label inside an MBR partition, wherever its offsets count from."""
    (member,) = members
    parts = list(_parts(member, max(member.start, 0), member.type_code in ABSOLUTE, budget))
    made = volumes(member, parts, "bsd", budget, disklabels.BSD_ENTRY.size)
    spare = max((p.index for p in parts), default=0)
    for volume in made:
        volume.start = member.start + volume.start if member.start >= 0 else -1
        if volume.state == "slack":
            volume.index = spare = spare + 1
    return made


def _parts(source: ByteSource, base: int, absolute: bool, budget: Budget) -> Iterator[Part]:
    at = _at(source)
    if at is None:
        raise NotThisFormat("BSD disk label", span_of(source, 512, 4), "no magic number")
    head = parse(disklabels.BSD_HEAD, source, at, "BSD disk label")
    size = disklabels.BSD_ENTRY.size
    if not 0 < head.count <= MOST or head.sector not in (512, 1024, 2048, 4096):
        raise NotThisFormat("BSD disk label", span_of(source, at, 148), f"{head.count} partitions, sectors of {head.sector} bytes")
    raw = source.read_at(at, 148 + head.count * size)
    check = 0
    for (word,) in struct.iter_unpack("<H", raw):
        check ^= word
    if check or len(raw) < 148 + head.count * size:
        budget.report(
            Corrupt("BSD disk label", span_of(source, at, 148), f"checksum {head.checksum:#06x}: the words add up to {check:#06x}")
        )
    entries = [disklabels.BSD_ENTRY.dict(raw, n) for n in range(148, len(raw) - size + 1, size)]
    # Partition c is the slice or the disk; where it begins with the slice, offsets count from the disk's start.
    if base and len(entries) > 2 and entries[2]["offset"] * head.sector == base:
        absolute = True
    for number, entry in enumerate(entries, 1):
        budget.item()
        high = head.version == 1
        length = (entry["size"] + (entry["size_high"] << 32 if high else 0)) * head.sector
        start = (entry["offset"] + (entry["offset_high"] << 32 if high else 0)) * head.sector - (base if absolute else 0)
        if entry["type"] == 0 or not length:
            continue  # also "c", the whole
        where = at + 148 + (number - 1) * size
        if start < 0:
            text = f"partition {chr(96 + number)} begins {-start} bytes before the slice"
            budget.report(Corrupt("BSD disk label", span_of(source, where, size), text))
            continue
        kind = disklabels.BSD_TYPES.get(entry["type"], f"type {entry['type']}")
        yield Part(number, start, length, where, f"BSD {kind}", f"{entry['type']:#04x}", chr(96 + number) if number < 27 else "")


_REFS = ("disklabel(5) and sys/disklabel.h of FreeBSD, NetBSD and OpenBSD",)
_GAPS = ("labels of big-endian machines are not read", "partitions of a label that lie outside its MBR partition are clipped and reported")

FORMAT = VolumeSystem(name="bsd", title="BSD disk label on a whole disk", refs=_REFS, gaps=_GAPS, order=50, open=open_label)
LAYER = VolumeLayer(
    name="bsd", title="BSD disk label inside a partition", refs=_REFS, gaps=_GAPS, joins=False, order=20, probe=probe, open=open_slice
)
