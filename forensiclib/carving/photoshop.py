"""Photoshop documents (PSD, PSB): five sections, the last of which the pixel compression measures."""

from __future__ import annotations

import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._inflate import inflate
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_PSD, _PSB = (
    Kind("psd", "image/vnd.adobe.photoshop", "Photoshop document"),
    Kind("psb", "image/vnd.adobe.photoshop", "Large Photoshop document"),
)
_MODES = (0, 1, 2, 3, 4, 7, 8, 9)
_RAW, _RLE, _ZIP = 0, 1, 2


def _resources(window: Window, at: int, end: int, budget: Budget) -> bool:
    """Whether image resource blocks fill [at, end)."""
    while at < end:
        budget.item()
        if window.at(at, 4) not in (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"):
            return False
        name = window.number(at + 6, 1)
        place = at + 6 + (name + 2 & ~1)
        size = window.number(place, 4, big=True)
        if name < 0 or size < 0:
            return False
        at = place + 4 + (size + 1 & ~1)
    return end <= at <= end + 1


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Header, colours, resources, layers, merged picture."""
    window = Window(data)
    head = window.at(0, 26)
    if len(head) < 26:
        return None
    version, channels, height, width, bits, mode = struct.unpack_from(">H6xHIIHH", head, 4)
    kind = {1: _PSD, 2: _PSB}.get(version)
    most = 300_000 if version == 2 else 30_000
    if kind is None or any(head[6:12]) or not 1 <= channels <= 56 or not 0 < width <= most or not 0 < height <= most:
        return None
    if bits not in (1, 8, 16, 32) or mode not in _MODES:
        return None
    colours = window.number(26, 4, big=True)
    at = 30 + colours
    if mode == 2 and colours != 768:
        return None
    resources = window.number(at, 4, big=True)
    if resources < 0 or not _resources(window, at + 4, at + 4 + resources, budget):
        return None
    at += 4 + resources
    wide = 8 if version == 2 else 4
    layers = window.number(at, wide, big=True)
    reason = f"{width} x {height}, {channels} channel(s), {resources} bytes of resources"
    if layers < 0 or at + wide + layers + 2 > data.size:
        return broken(min(max(at, 30), data.size), reason + ", the layers are cut off", kind)
    at += wide + layers
    packing = window.number(at, 2, big=True)
    at += 2
    if packing == _RAW:
        return ending(data, at + (width * bits + 7) // 8 * height * channels, 0.85, reason + ", plain pixels", kind)
    if packing == _RLE:
        unit = 4 if version == 2 else 2
        raw = data.read_at(at, budget.allocate("PSD row table", unit * height * channels))
        if len(raw) < unit * height * channels:
            return broken(data.size, reason + ", the row table is cut off", kind)
        total = sum(struct.unpack(f">{height * channels}{'I' if unit == 4 else 'H'}", raw))
        return ending(data, at + len(raw) + total, 0.9, reason + ", the runs of every row", kind)
    if packing in (_ZIP, _ZIP + 1):
        found = inflate(data, at, budget, wbits=15)
        if found.whole:
            return Find(found.end, 0.95, reason + ", pixels inflated", kind.extension, kind.title)
    return broken(min(at, data.size), reason + ", the pixels break off", kind)


CARVERS = (
    Carver(
        name="psd",
        title="Adobe Photoshop document",
        extension="psd",
        mime="image/vnd.adobe.photoshop",
        signatures=(Signature(b"8BPS\0\1\0\0\0\0\0\0"), Signature(b"8BPS\0\2\0\0\0\0\0\0")),
        measure=measure,
        maximum=1 << 40,
        refs=("Adobe Photoshop File Formats Specification (2019)",),
        gaps=("layers are skipped by their stated length", "runs of the merged picture are counted, not decoded"),
        kinds=(_PSD, _PSB),
    ),
)
