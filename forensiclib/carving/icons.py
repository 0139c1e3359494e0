"""Icons and cursors of Windows (ICO, CUR) and of macOS (ICNS): a directory, and every picture that it lists."""

from __future__ import annotations

import struct

from forensiclib.carving import png
from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_icns", "measure_ico"]

_ICO, _CUR = Kind("ico", "image/vnd.microsoft.icon", "Windows icon"), Kind("cur", "image/x-win-bitmap", "Windows cursor")
_DEPTHS = (1, 2, 4, 8, 16, 24, 32)
MOST = 512


def _image(data: ByteSource, at: int, size: int, budget: Budget) -> bool:
    """Whether a bitmap with its mask, or a PNG, fills ``size`` bytes."""
    head = data.read_at(at, 40)
    if head[:8] == png.MAGIC:
        found = png.measure(data.slice(at, size), budget)
        return found is not None and found.complete
    if len(head) < 40:
        return False
    fields: tuple[int, ...] = struct.unpack_from("<IiiHHII", head)
    header, width, height, planes, bits = fields[:5]
    if header != 40 or planes > 1 or bits not in _DEPTHS or not 0 < width <= 1024 or not 0 < height <= 2048:
        return False
    colours = int.from_bytes(head[32:36], "little")
    table = 4 * (min(colours, 256) or 1 << bits) if bits <= 8 else 0
    pixels = (width * bits + 31) // 32 * 4 * (height // 2)
    return header + table + pixels <= size <= header + table + pixels * 2 + (width + 31) // 32 * 4 * height + 1024


def measure_ico(data: ByteSource, budget: Budget) -> Find | None:
    """Directory and pictures."""
    head = data.read_at(0, 22)
    if len(head) < 22:
        return None
    zero, what, count, size, place = struct.unpack_from("<3H8xII", head)
    kind = {1: _ICO, 2: _CUR}.get(what)
    first = 6 + 16 * count
    if zero or kind is None or not 0 < count <= MOST or place < first or size < 40:
        return None  # most candidates: numbers in tables
    head = data.read_at(0, first)
    if len(head) < first:
        return None
    places = []
    for at in range(6, first, 16):
        reserved, _, _, size, place = struct.unpack_from("<BHHII", head, at + 3)
        if reserved not in (0, 255) or place < first or size < 40 or size > 16 << 20 or place > 64 << 20:
            return None
        places.append((place, size))
    end = max(place + size for place, size in places)
    if min(places)[0] > first + 4096:
        return None
    good = sum(_image(data, place, size, budget) for place, size in places if place + size <= data.size)
    reason = f"{good} of {count} pictures sound"
    if good == count:
        return Find(end, 0.9, reason, kind.extension, kind.title)
    return broken(min(end, data.size), reason, kind) if good and end > data.size else None


def measure_icns(data: ByteSource, budget: Budget) -> Find | None:
    """Elements, whose sizes count their heads, to the stated end."""
    window = Window(data)
    end, at, seen = window.number(4, 4, big=True), 8, 0
    if window.at(0, 4) != b"icns" or end < 16:
        return None
    while at + 8 <= end:
        budget.item()
        head, size = window.at(at, 4), window.number(at + 4, 4, big=True)
        if size < 8 or at + size > end or not all(0x20 <= b < 0x7F for b in head):
            break
        seen += 1
        at += size
        if at > data.size:
            return broken(data.size, f"{seen} elements, the last cut off")
    if at != end:
        return broken(min(at, data.size), f"{seen} elements, then the chain breaks off") if seen > 1 else None
    return ending(data, end, 0.9, f"{seen} elements to the stated end")


_ENTRY = b"\xff\xff\xff\xff\0\xfe" + b"\0\0\0\xff"

CARVERS = (
    Carver(
        name="ico",
        title="Windows icon or cursor",
        extension="ico",
        mime="image/vnd.microsoft.icon",
        signatures=(
            # reserved, kind, count below 512; of the first entry: reserved, planes and depth below 256, and a place below 64 Ki
            Signature(b"\0\0\1\0" + bytes(18), mask=_ENTRY + b"\xfe\xff\xc0\xff\0\0\0\xff\0\xe0\xff\xff"),
            Signature(b"\0\0\2\0" + bytes(18), mask=_ENTRY + b"\0\xff\0\xff\0\0\0\xff\0\xe0\xff\xff"),
        ),
        measure=measure_ico,
        maximum=64 << 20,
        refs=("Microsoft: Icons (1995), ICONDIR and ICONDIRENTRY", "[MS-WMF] 2.2.2.3: BitmapInfoHeader"),
        gaps=("pictures of bitmap form are checked by their sizes, not decoded",),
        kinds=(_ICO, _CUR),
    ),
    Carver(
        name="icns",
        title="macOS icon",
        extension="icns",
        mime="image/icns",
        signatures=(Signature(b"icns\0", mask=b"\xff\xff\xff\xff\xf0"),),
        measure=measure_icns,
        maximum=256 << 20,
        refs=("Apple: Icon Services, IconFamilyResource (IconStorage.h)",),
        gaps=("elements are walked by their sizes, not decoded",),
    ),
)
