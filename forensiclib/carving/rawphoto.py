"""Raw photographs whose makers use no TIFF: Fujifilm RAF, Minolta MRW, Sigma X3F, Canon CRW."""

from __future__ import annotations

import itertools
import struct

from forensiclib.carving._ends import ending
from forensiclib.carving._read import Window, find
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_crw", "measure_mrw", "measure_raf", "measure_x3f"]


_IMAGE, _ENTRIES = b"\x05\x20", 64
"""Tag of the image data in a Canon heap (2005), and the entries of a root directory at most."""


def measure_raf(data: ByteSource, budget: Budget) -> Find | None:
    """The header lists a JPEG, a header of the sensor, and the sensor's data."""
    head = data.read_at(0, 124)
    if len(head) < 108:
        return None
    places = struct.unpack_from(">6I", head, 84)
    parts = [(places[i], places[i + 1]) for i in (0, 2, 4) if places[i] and places[i + 1]]
    if len(parts) < 2 or min(at for at, _ in parts) < 108 or places[0] > 1 << 16:
        return None
    end = max(at + size for at, size in parts)
    ordered = sorted(parts)
    if any(a + n > b for (a, n), (b, _) in itertools.pairwise(ordered)) or data.read_at(places[0], 3) != b"\xff\xd8\xff":
        return None
    return ending(data, end, 0.9, f"{len(parts)} parts, JPEG where the header says")


def measure_mrw(data: ByteSource, budget: Budget) -> Find | None:
    """Blocks to the stated offset, then pixels that the block PRD measures."""
    window = Window(data)
    start, at, size = 8 + window.number(4, 4, True), 8, 0
    if start > 1 << 24 or start < 32:
        return None
    while at + 8 <= start:
        budget.item()
        name, length = window.at(at, 4), window.number(at + 4, 4, True)
        if name[:1] != b"\0" or not name[1:].isalnum() or length < 0 or at + 8 + length > start:
            return None
        if name == b"\0PRD":
            body = window.at(at + 8, 24)
            if len(body) < 19:
                return None
            height, width = struct.unpack_from(">HH", body, 8)
            size = height * width * (12 if body[18] == 0x59 else 16) // 8
        at += 8 + length
    if at != start or not size:
        return None
    return ending(data, start + size, 0.85, f"blocks to the pixels, {size} bytes of them")


def measure_x3f(data: ByteSource, budget: Budget) -> Find | None:
    """Header, sections, and the directory, which the file's last four bytes point to."""
    version = int.from_bytes(data.read_at(4, 4), "little")
    if not 2 <= version >> 16 <= 5 or version & 0xFFFF > 16:
        return None
    at = 40
    while True:
        at = find(data, b"SECd", at, data.size, budget)
        if at < 0:
            return None
        head = data.read_at(at, 12)
        count = int.from_bytes(head[8:12], "little")
        if len(head) == 12 and 0 < count <= 256:
            raw = data.read_at(at + 12, 12 * count + 4)
            if len(raw) == 12 * count + 4 and int.from_bytes(raw[-4:], "little") == at:
                sound = all(data.read_at(place, 3) == b"SEC" for place, _, _ in struct.iter_unpack("<II4s", raw[:-4]))
                return Find(
                    at + 16 + 12 * count, 0.95 if sound else 0.5, f"directory of {count} sections that its pointer proves", complete=sound
                )
        at += 4


def _heap(window: Window, start: int, end: int, budget: Budget) -> int:
    """Entries of the CIFF heap [start, end), -1 when it is none."""
    table = start + window.number(end - 4, 4)
    count = window.number(table, 2)
    if not start <= table < end - 6 or not 0 < count <= 512 or table + 2 + 10 * count > end - 4:
        return -1
    for at in range(table + 2, table + 2 + 10 * count, 10):
        budget.item()
        tag, size, place = window.number(at, 2), window.number(at + 2, 4), window.number(at + 6, 4)
        if tag & 0xC000 == 0 and start + place + size > table:
            return -1
    return count


def measure_crw(data: ByteSource, budget: Budget) -> Find | None:
    """A heap whose last four bytes point to its directory. Nothing states its length: candidates are the places
    behind a number that points to a directory which ends just before it."""
    window = Window(data)
    start = window.number(2, 4)
    if not 14 <= start <= 4096:
        return None
    at = start
    while at < data.size:
        budget.item()
        piece = data.read_at(at, 1 << 18)
        place = piece.find(_IMAGE)
        while place >= 0:
            if (end := _root_with(window, start, at + place, budget)) > 0:
                return Find(end, 0.9, "heap with a root directory that its last number points to, and the image data in it")
            place = piece.find(_IMAGE, place + 1)
        at += (1 << 18) - 1 if len(piece) == 1 << 18 else 1 << 18
    return None


def _root_with(window: Window, start: int, entry: int, budget: Budget) -> int:
    """End of the root directory that has the entry of the image data at ``entry``; 0 when there is none."""
    around = window.at(max(0, entry - 2 - 10 * _ENTRIES), 20 * _ENTRIES + 16)
    before = min(entry, 2 + 10 * _ENTRIES)
    for back in range(2, before + 1, 10):
        table = before - back
        count = int.from_bytes(around[table : table + 2], "little")
        last = table + 2 + 10 * count
        if 10 * count > back - 2 and count <= _ENTRIES and int.from_bytes(around[last : last + 4], "little") == entry - back - start:
            end = entry - back + 6 + 10 * count
            if _heap(window, start, end, budget) >= 2 and end <= window.size:
                return end
    return 0


CARVERS = (
    Carver(
        name="raf",
        title="Fujifilm raw photograph",
        extension="raf",
        mime="image/x-fuji-raf",
        signatures=(Signature(b"FUJIFILMCCD-RAW "),),
        measure=measure_raf,
        maximum=1 << 30,
        refs=("Fujifilm RAF (libopenraw, file formats)",),
        gaps=("sensor data is not decoded",),
    ),
    Carver(
        name="mrw",
        title="Minolta raw photograph",
        extension="mrw",
        mime="image/x-minolta-mrw",
        signatures=(Signature(b"\0MRM\0\0\0\0\0PRD", mask=b"\xff\xff\xff\xff\xff\0\0\0" + b"\xff" * 4),),
        measure=measure_mrw,
        maximum=1 << 28,
        refs=("Dalibor Jelinek: Minolta raw file format (MRW)",),
        gaps=("sensor data is not decoded",),
    ),
    Carver(
        name="x3f",
        title="Sigma raw photograph",
        extension="x3f",
        mime="image/x-sigma-x3f",
        signatures=(Signature(b"FOVb"),),
        measure=measure_x3f,
        maximum=512 << 20,
        refs=("Foveon X3F File Format (2003)",),
        gaps=("sections are not decoded",),
    ),
    Carver(
        name="crw",
        title="Canon raw photograph (CIFF)",
        extension="crw",
        mime="image/x-canon-crw",
        signatures=(Signature(b"II\x1a\0\0\0HEAPCCDR"),),
        measure=measure_crw,
        maximum=32 << 20,
        refs=("Canon: CIFF Specification on Image Data File 1.0 revision 4 (1997)",),
        gaps=("sensor data is not decoded",),
    ),
)
