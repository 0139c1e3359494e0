"""Sun disk label of SPARC machines."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from forensiclib.core.declare import VolumeSystem
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats import disklabels
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import Part, span_of, volumes

__all__ = ["FORMAT", "open_sun"]

WHOLE = 5
AT = 444
"""Offset of the first slice in the label."""


def open_sun(source: ByteSource, sector_size: int, budget: Budget) -> list[Volume]:
    """Slices in disk order, but for the one that is the whole disk."""
    raw = source.read_at(0, 512)
    if len(raw) < 512 or int.from_bytes(raw[508:510], "big") != disklabels.SUN_MAGIC:
        raise NotThisFormat("Sun disk label", span_of(source, 508, 2), "no magic number")
    label = parse(disklabels.SUN_LABEL, source, 0, "Sun disk label")
    check = 0
    for (word,) in struct.iter_unpack(">H", raw):
        check ^= word
    if not label.heads or not label.sectors:
        raise NotThisFormat("Sun disk label", span_of(source, 436, 4), f"{label.heads} heads of {label.sectors} sectors")
    if check:
        text = f"checksum {label.checksum:#06x}: the words add up to {check:#06x}"
        budget.report(Corrupt("Sun disk label", span_of(source, 0, 512), text))
    return volumes(source, _parts(label), "sun", budget, 8)


def _parts(label: Any) -> Iterator[Part]:
    cylinder = label.heads * label.sectors * 512
    for number, (one, info) in enumerate(zip(label.slices, label.infos, strict=True), 1):
        if one.sectors and info.tag != WHOLE:
            kind = disklabels.SUN_TYPES.get(info.tag, f"tag {info.tag}")
            yield Part(number, one.cylinder * cylinder, one.sectors * 512, AT + 8 * (number - 1), kind, f"{info.tag:#04x}")


FORMAT = VolumeSystem(
    name="sun",
    title="Sun disk label (SPARC)",
    refs=("SunOS dklabel(7)", "sys/dklabel.h, sys/vtoc.h"),
    gaps=("the VTOC of Solaris on PCs, inside an MBR partition, is not read",),
    order=55,
    open=open_sun,
)
