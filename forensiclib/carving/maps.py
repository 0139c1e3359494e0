"""Maps and tracks in binary: shapefiles and their index, Garmin FIT, LAS point clouds."""

from __future__ import annotations

import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window, blocks
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_fit", "measure_las", "measure_shape"]

_SHP, _SHX = Kind("shp", "application/vnd.shp", "ESRI shapefile"), Kind("shx", "application/vnd.shx", "ESRI shapefile index")
_SHAPES = {0, 1, 3, 5, 8, 11, 13, 15, 18, 21, 23, 25, 28, 31}
_CRC = (0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401, 0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400)
_LAS = {0: 20, 1: 28, 2: 26, 3: 34, 4: 57, 5: 63, 6: 30, 7: 36, 8: 38, 9: 59, 10: 67}


def measure_shape(data: ByteSource, budget: Budget) -> Find | None:
    """Records to the stated length: shapes numbered from 1, or places and lengths of them."""
    window = Window(data)
    head = window.at(0, 108)
    if len(head) < 100:
        return None
    words, version, shape = struct.unpack_from(">I", head, 24) + struct.unpack_from("<II", head, 28)
    end = 2 * words
    if any(head[4:24]) or version != 1000 or shape not in _SHAPES or end < 100:
        return None
    if window.number(100, 4, True) == 50 and (end - 100) % 8 == 0:
        at, place = 100, 50
        while at + 8 <= end:
            budget.item()
            if window.number(at, 4, True) != place or window.number(at + 4, 4, True) < 2:
                break
            place += 4 + window.number(at + 4, 4, True)
            at += 8
        return (
            Find(end, 0.95, f"{(end - 100) // 8} places in a chain", _SHX.extension, _SHX.title)
            if at == end
            else broken(at, "places break off", _SHX)
        )
    at, records = 100, 0
    while at + 12 <= end:
        budget.item()
        size = window.number(at + 4, 4, True)
        if window.number(at, 4, True) != records + 1 or size < 2 or window.number(at + 8, 4) not in (0, shape):
            break
        records += 1
        at += 8 + 2 * size
    if at != end or at > data.size:
        return broken(min(at, data.size), f"{records} shapes, then damage", _SHP) if records else None
    return Find(end, 0.95 if records else 0.6, f"{records} shapes to the stated end", _SHP.extension, _SHP.title)


def measure_fit(data: ByteSource, budget: Budget) -> Find | None:
    """Header and data, proven by the checksum behind them."""
    head = data.read_at(0, 14)
    if len(head) < 12 or head[0] not in (12, 14) or head[8:12] != b".FIT" or head[1] >> 4 not in (1, 2):
        return None
    size = int.from_bytes(head[4:8], "little")
    end = head[0] + size + 2
    if not size or end > 64 << 20:
        return None
    if end > data.size:
        return broken(data.size, f"{end} bytes stated") if data.read_at(head[0], 1) == b"\x40" else None
    crc = 0
    for piece in blocks(data, 0, end, budget, 1 << 16):
        for byte in piece:
            crc = crc >> 4 ^ _CRC[crc & 15] ^ _CRC[byte & 15]
            crc = crc >> 4 ^ _CRC[crc & 15] ^ _CRC[byte >> 4]
    return Find(end, 1.0, "checksum good") if crc == 0 else broken(end, "checksum wrong")


def measure_las(data: ByteSource, budget: Budget) -> Find | None:
    """Points by their number and length, and extended records behind them."""
    head = data.read_at(0, 375)
    if len(head) < 227:
        return None
    major, minor = head[24], head[25]
    size, place, _, form, length, count = struct.unpack_from("<HIIBHI", head, 94)
    if major != 1 or minor > 4 or size < 227 or place < size or form & 0x3F not in _LAS or length < _LAS[form & 0x3F]:
        return None
    if form & 0xC0:
        return None  # LAZ: packed points do not state their length here
    extended = 0
    if minor >= 4 and size >= 375 and len(head) >= 255:
        extended, records, count = struct.unpack_from("<QIQ", head, 235)
        extended = extended if records else 0
    end = place + count * length
    if extended and extended < end:
        return None
    if extended:
        window, end = Window(data), extended
        for _ in range(min(records, 4096)):
            budget.item()
            more = window.number(end + 20, 8)
            if more < 0:
                return broken(data.size, "extended records are cut off")
            end += 60 + more
    return ending(data, end, 0.85, f"{count} points of {length} bytes")


CARVERS = (
    Carver(
        name="shapefile",
        title="ESRI shapefile or its index",
        extension="shp",
        mime="application/vnd.shp",
        signatures=(Signature(b"\0\0\x27\x0a" + bytes(20)),),
        measure=measure_shape,
        maximum=2 << 30,
        refs=("ESRI Shapefile Technical Description (1998)",),
        gaps=("attributes (.dbf) are a file of their own",),
        kinds=(_SHP, _SHX),
    ),
    Carver(
        name="fit",
        title="Garmin FIT activity",
        extension="fit",
        mime="application/vnd.ant.fit",
        signatures=(Signature(b".FIT", offset=8),),
        measure=measure_fit,
        maximum=64 << 20,
        refs=("Garmin FIT Protocol: file structure",),
        gaps=("a chained second file is another find",),
    ),
    Carver(
        name="las",
        title="LAS point cloud",
        extension="las",
        mime="application/vnd.las",
        signatures=(Signature(b"LASF\0\0"),),
        measure=measure_las,
        maximum=1 << 40,
        refs=("ASPRS LAS Specification 1.4 R15 (2019)",),
        gaps=("compressed point clouds (LAZ) are not recognised",),
    ),
)
