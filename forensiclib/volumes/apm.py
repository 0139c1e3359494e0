"""Apple partition map."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.core.declare import VolumeSystem
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats import disklabels
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import Part, span_of, volumes

__all__ = ["FORMAT", "open_apm"]

MOST = 4096


def open_apm(source: ByteSource, sector_size: int, budget: Budget) -> list[Volume]:
    """Partitions in disk order; what the map calls free is slack. The block size is where the second entry is."""
    unit = next((u for u in (512, 1024, 2048, 4096) if source.read_at(u, 4) == b"PM\0\0"), 0)
    if not unit:
        raise NotThisFormat("Apple partition map", span_of(source, 512, 2), "no entry at block 1")
    return volumes(source, list(_parts(source, unit, budget)), "apm", budget, disklabels.APM_ENTRY.sizeof())


def _parts(source: ByteSource, unit: int, budget: Budget) -> Iterator[Part]:
    count = parse(disklabels.APM_ENTRY, source, unit, "Apple partition map").count
    if not 0 < count <= MOST:
        raise NotThisFormat("Apple partition map", span_of(source, unit, 136), f"{count} entries")
    for number in range(1, count + 1):
        at = number * unit
        budget.item()
        if source.read_at(at, 2) != b"PM":
            budget.report(Corrupt("Apple partition map", span_of(source, at, 2), f"entry {number} of {count} is none"), "apm")
            return
        entry = parse(disklabels.APM_ENTRY, source, at, "Apple partition map")
        kind, name = (raw.split(b"\0")[0].decode("mac_roman") for raw in (entry.type, entry.name))
        if entry.count != count:
            budget.report(
                Corrupt("Apple partition map", span_of(source, at, 8), f"entry {number} counts {entry.count}, the first {count}"), "apm"
            )
        if kind != "Apple_Free":
            yield Part(number, entry.start * unit, entry.blocks * unit, at, kind, kind, name)


FORMAT = VolumeSystem(
    name="apm",
    title="Apple partition map",
    refs=("Inside Macintosh: Devices (1994), 3-13, The Partition Map",),
    gaps=("on media that also carry a GPT or an MBR, that one is read", "a map of 512-byte entries over blocks of 2,048 is read as 512"),
    order=70,
    open=open_apm,
)
