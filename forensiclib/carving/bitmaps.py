"""Old bitmap formats whose headers and run lengths give the end: PCX, DCX, TGA, SGI, Sun raster."""

from __future__ import annotations

import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_dcx", "measure_pcx", "measure_ras", "measure_sgi", "measure_tga"]

LINES = 4
"""Lines in which no packet may cross into the next: noise crosses at once, and the format forbids it."""
FOOTER = b"TRUEVISION-XFILE.\0"


def _pcx_runs(window: Window, at: int, line: int, lines: int, budget: Budget) -> int:
    """Where ``lines`` of ``line`` decoded bytes end; -1 when the data ends or a run leaves the picture."""
    left = line * lines
    while left > 0:
        budget.item()
        piece = window.at(at, 4096)
        if not piece:
            return -1
        i, size = 0, len(piece)
        while i < size and left > 0:
            byte = piece[i]
            if byte < 0xC0:
                left -= 1
                i += 1
            elif i + 1 == size and size == 4096:
                break
            else:
                left -= byte & 63
                i += 2
        if i > size:
            return -1
        at += i
    return at if left == 0 else -1


def measure_pcx(data: ByteSource, budget: Budget) -> Find | None:
    """Header, runs, and the palette of 256 colours where one follows."""
    head = data.read_at(0, 128)
    if len(head) < 128:
        return None
    version, coded, bits, left, top, right, bottom = struct.unpack_from("<xBBB4H", head)
    planes, line = head[65], int.from_bytes(head[66:68], "little")
    width, height = right - left + 1, bottom - top + 1
    if version not in (0, 2, 3, 4, 5) or coded != 1 or bits not in (1, 2, 4, 8) or not 1 <= planes <= 4 or head[64]:
        return None
    if width <= 0 or height <= 0 or not (width * bits + 7) // 8 <= line <= (width * bits + 7) // 8 + 16:
        return None
    window = Window(data, 1 << 16)
    end = _pcx_runs(window, 128, line * planes, height, budget)
    reason = f"{width} x {height}, {planes} plane(s) of {bits} bits"
    if end < 0:
        return broken(data.size, reason + ", the runs break off")
    if version == 5 and bits == 8 and planes == 1:
        if window.at(end, 1) != b"\x0c":
            return broken(end, reason + ", the palette is missing")
        return ending(data, end + 769, 0.9, reason + ", every run decoded, palette")
    return Find(end, 0.6 if any(head[74:128]) else 0.85, reason + ", every run decoded")


def measure_dcx(data: ByteSource, budget: Budget) -> Find | None:
    """A list of PCX pictures."""
    head = data.read_at(0, 4 + 4 * 1024)
    if not 12 <= int.from_bytes(head[4:8], "little") <= 8192:
        return None
    places = []
    for (place,) in struct.iter_unpack("<I", head[4 : len(head) // 4 * 4]):
        if not place:
            break
        places.append(place)
    if head[:4] != b"\xb1\x68\xde\x3a" or not 0 < len(places) < 1024 or min(places) < 8 + 4 * len(places):
        return None
    end, good = 0, 0
    for place in places:
        if place >= data.size:
            break
        page = measure_pcx(data.slice(place, data.size - place), budget)
        if page is None:
            return None
        good += page.complete
        end = max(end, place + page.length)
    reason = f"{good} of {len(places)} pages sound"
    if good == len(places):
        return Find(end, 0.9, reason)
    return broken(min(end, data.size), reason) if end else None


def _tga_runs(window: Window, at: int, size: int, width: int, height: int, budget: Budget) -> int:
    """Where the run-length packets of a picture end; -1 when they do not. The first lines must end with a packet."""
    left = width * height
    strict = left - LINES * width
    while left > 0:
        budget.item()
        piece = window.at(at, 4096)
        i, last = 0, len(piece)
        while i < last and left > 0:
            head = piece[i]
            count = (head & 127) + 1
            if left > strict and (left - 1) % width + 1 < count:
                return -1
            left -= count
            i += 1 + size * (1 if head & 128 else count)
        if i == 0:
            return -1
        at += i
    return at if at <= window.size and left == 0 else -1


def measure_tga(data: ByteSource, budget: Budget) -> Find | None:
    """Header, colour map, pixels; the footer of version 2 must point to areas behind them."""
    window = Window(data, 1 << 14)
    head = window.at(0, 18)
    if len(head) < 18:
        return None
    name, mapped, kind, first, colours, depth, _, _, width, height, bits, flags = struct.unpack("<BBBHHBHHHHBB", head)
    if mapped > 1 or kind not in (1, 2, 3, 9, 10, 11) or bits not in (8, 15, 16, 24, 32) or not width or not height or flags & 0xC0:
        return None
    if (mapped == 0) != (kind & 3 != 1) or (mapped and (depth not in (15, 16, 24, 32) or first + colours > 1 << 15)):
        return None
    at = 18 + name + (colours * ((depth + 7) // 8) if mapped else 0)
    size = (bits + 7) // 8
    if kind < 8:
        at += width * height * size
    else:
        at = _tga_runs(window, at, size, width, height, budget)
    reason = f"{width} x {height} x {bits} bits"
    if at < 0 or at > data.size:
        return None
    # behind the pixels: developer area, extension area of 495 bytes with tables, footer of 26 bytes
    near = data.read_at(at, 1 << 17)
    footer = near.find(FOOTER)
    if footer < 8:
        return None
    extension, developer = struct.unpack_from("<2I", near, footer - 8)
    if any(place and not at <= place < at + footer for place in (extension, developer)):
        return None
    return Find(at + footer + len(FOOTER), 0.95, reason + ", pixels to the areas that the footer lists")


def measure_sgi(data: ByteSource, budget: Budget) -> Find | None:
    """Header and raw channels, or tables of runs of which the furthest is the end."""
    head = data.read_at(0, 512)
    if len(head) < 512:
        return None
    _, coded, wide, dimension, width, height, channels = struct.unpack_from(">HBBHHHH", head)
    least, most = struct.unpack_from(">II", head, 12)
    height, channels = (height if dimension > 1 else 1), (channels if dimension > 2 else 1)
    kinds = int.from_bytes(head[104:108], "big")
    if coded > 1 or wide not in (1, 2) or not 1 <= dimension <= 3 or not width or not height or not 1 <= channels <= 16:
        return None
    if any(head[108:]) or kinds > 3 or least > most or most >= 1 << 8 * wide:
        return None
    reason = f"{width} x {height}, {channels} channel(s)"
    if not coded:
        return ending(data, 512 + width * height * channels * wide, 0.75, reason)
    rows = height * channels
    raw = data.read_at(512, budget.allocate("SGI row tables", 8 * rows))
    if len(raw) < 8 * rows:
        return broken(data.size, reason + ", the row tables are cut off")
    numbers = struct.unpack(f">{2 * rows}I", raw)
    places, sizes = numbers[:rows], numbers[rows:]
    if min(places) < 512 + 8 * rows or max(sizes) > (2 * width + 4) * wide or not min(sizes):
        return None
    end = max(p + s for p, s in zip(places, sizes, strict=True))
    return ending(data, end, 0.85, reason + ", the furthest of all runs")


def measure_ras(data: ByteSource, budget: Budget) -> Find | None:
    """Header, colour map, pixels of the stated or computed size."""
    head = data.read_at(0, 32)
    if len(head) < 32:
        return None
    _, width, height, depth, length, kind, map_kind, map_size = struct.unpack(">8I", head)
    if depth not in (1, 8, 24, 32) or not 0 < width < 1 << 16 or not 0 < height < 1 << 16 or kind > 5 or map_kind > 2:
        return None
    if map_size > 768 * 4 or (map_kind == 0) != (map_size == 0):
        return None
    raw = (width * depth + 15) // 16 * 2 * height
    if kind == 2:
        if not 0 < length <= raw * 2 + 64:
            return None
    elif length not in (0, raw):
        return None
    return ending(data, 32 + map_size + (length or raw), 0.75, f"{width} x {height} x {depth} bits")


_SIGNATURES_TGA = tuple(
    # no name, no colour map; true colour 24 or 32 or grey 8 bits; width and height below 8192
    Signature(bytes((0, 0, kind)) + bytes(13) + bytes((bits, 0)), mask=b"\xff" * 8 + bytes(5) + b"\xc0\0\xc0\xff\xc0")
    for kind, bits in ((2, 24), (2, 32), (10, 24), (10, 32), (3, 8), (11, 8), (2, 16), (10, 16))
) + tuple(
    Signature(
        bytes((0, 1, kind, 0, 0, 0, 0, depth)) + bytes(8) + b"\x08\0",
        mask=b"\xff\xff\xff\xff\xff\0\xfe\xff" + bytes(5) + b"\xc0\0\xc0\xff\xc0",
    )
    for kind in (1, 9)
    for depth in (24, 32, 16, 15)
)

CARVERS = (
    Carver(
        name="pcx",
        title="PCX picture",
        extension="pcx",
        mime="image/vnd.zbrush.pcx",
        signatures=tuple(Signature(bytes((10, v, 1, b))) for v in (0, 2, 3, 4, 5) for b in (1, 2, 4, 8)),
        measure=measure_pcx,
        maximum=1 << 30,
        refs=("ZSoft PCX File Format Technical Reference Manual (1991)",),
        gaps=("pictures whose runs cross the end of the last line are not recognised",),
    ),
    Carver(
        name="dcx",
        title="DCX picture of many pages",
        extension="dcx",
        mime="image/x-dcx",
        signatures=(Signature(b"\xb1\x68\xde\x3a"),),
        measure=measure_dcx,
        maximum=1 << 30,
        refs=("Intel DCX format (1991): a list of PCX files",),
        gaps=("as for PCX",),
    ),
    Carver(
        name="tga",
        title="Truevision TGA picture",
        extension="tga",
        mime="image/x-tga",
        signatures=_SIGNATURES_TGA,
        measure=measure_tga,
        maximum=1 << 30,
        refs=("Truevision TGA File Format Specification 2.0 (1991)",),
        gaps=("files without the footer of version 2, or with an image name, have no signature and are not recognised",),
    ),
    Carver(
        name="sgi",
        title="Silicon Graphics picture",
        extension="sgi",
        mime="image/x-sgi",
        signatures=tuple(Signature(bytes((1, 0xDA, c, w, 0, d))) for c in (0, 1) for w in (1, 2) for d in (1, 2, 3)),
        measure=measure_sgi,
        maximum=4 << 30,
        refs=("The SGI Image File Format 1.00 (Haeberli)",),
        gaps=("pixels of raw pictures cannot be verified; runs are not decoded",),
    ),
    Carver(
        name="ras",
        title="Sun raster picture",
        extension="ras",
        mime="image/x-sun-raster",
        signatures=(Signature(b"\x59\xa6\x6a\x95\0\0"),),
        measure=measure_ras,
        maximum=4 << 30,
        refs=("rasterfile(5), SunOS",),
        gaps=("pixels cannot be verified",),
    ),
)
