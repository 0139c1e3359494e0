"""Textures and small modern pictures: DDS, KTX, KTX2, QOI, Blizzard BLP."""

from __future__ import annotations

import itertools
import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_blp", "measure_dds", "measure_ktx", "measure_ktx2", "measure_qoi"]

_BLOCKS = {
    b"DXT1": 8,
    b"DXT2": 16,
    b"DXT3": 16,
    b"DXT4": 16,
    b"DXT5": 16,
    b"ATI1": 8,
    b"ATI2": 16,
    b"BC4U": 8,
    b"BC4S": 8,
    b"BC5U": 16,
    b"BC5S": 16,
}
"""Bytes of a block of 4 x 4 pixels."""
_PIXELS = {36: 64, 110: 64, 111: 16, 112: 32, 113: 64, 114: 32, 115: 64, 116: 128}
"""Bits of a pixel of the numeric codes (D3DFORMAT)."""
_DXGI_BLOCKS = {
    **dict.fromkeys((*range(70, 73), *range(79, 82)), 8),
    **dict.fromkeys((*range(73, 79), *range(82, 85), *range(94, 100)), 16),
}
_DXGI_BITS = {
    **dict.fromkeys(range(1, 5), 128), **dict.fromkeys(range(5, 9), 96), **dict.fromkeys(range(9, 23), 64),
    **dict.fromkeys(range(23, 48), 32), **dict.fromkeys(range(48, 60), 16), **dict.fromkeys(range(60, 66), 8),
    67: 32, 85: 16, 86: 16, **dict.fromkeys(range(87, 94), 32), 115: 16,
}  # fmt: skip
_KTX, _KTX2 = b"\xabKTX 11\xbb\r\n\x1a\n", b"\xabKTX 20\xbb\r\n\x1a\n"


def _levels(width: int, height: int, depth: int, levels: int, block: int, bits: int) -> int:
    total = 0
    for _ in range(levels):
        if block:
            total += max(1, (width + 3) // 4) * max(1, (height + 3) // 4) * block * depth
        else:
            total += (width * bits + 7) // 8 * height * depth
        width, height, depth = max(1, width // 2), max(1, height // 2), max(1, depth // 2)
    return total


def measure_dds(data: ByteSource, budget: Budget) -> Find | None:
    """The size of every surface from the header."""
    head = data.read_at(0, 148)
    if len(head) < 128:
        return None
    size, flags, height, width, _, depth, levels = struct.unpack_from("<7I", head, 4)
    form, how, code, bits = struct.unpack_from("<II4sI", head, 76)
    caps2 = int.from_bytes(head[112:116], "little")
    if size != 124 or form != 32 or flags & 7 != 7 or not 0 < width <= 1 << 15 or not 0 < height <= 1 << 15 or levels > 16:
        return None
    depth = max(1, depth) if flags & 0x800000 else 1
    faces, start, block, array = 1, 128, 0, 1
    if how & 4 and code == b"DX10":
        if len(head) < 148:
            return None
        dxgi, dimension, misc, array, _ = struct.unpack_from("<5I", head, 128)
        start, faces = 148, 6 if misc & 4 else 1
        block, bits = _DXGI_BLOCKS.get(dxgi, 0), _DXGI_BITS.get(dxgi, 0)
        array = max(1, array)
        if dimension not in (0, 2, 3, 4) or array > 2048:
            return None
    elif how & 4:
        block, bits = _BLOCKS.get(code, 0), _PIXELS.get(int.from_bytes(code, "little"), 0)
    if caps2 & 0x200 and start == 128:
        faces = (caps2 >> 10 & 63).bit_count()
    if not (block or bits) or bits > 128 or depth > 4096 or not faces:
        return None
    length = start + _levels(width, height, depth, max(1, levels), block, bits) * faces * array
    return ending(data, length, 0.75, f"{width} x {height} x {depth}, {max(1, levels)} level(s), {faces * array} surface(s)")


def measure_ktx(data: ByteSource, budget: Budget) -> Find | None:
    """Key/value pairs, then the levels with their sizes."""
    window = Window(data, 256)
    head = window.at(0, 64)
    if len(head) < 64 or head[:12] != _KTX:
        return None
    order = {b"\1\2\3\4": ">", b"\4\3\2\1": "<"}.get(head[12:16])
    if order is None:
        return None
    numbers = struct.unpack_from(order + "12I", head, 16)
    width, layers, faces, levels, extra = numbers[5], numbers[8], numbers[9], max(1, numbers[10]), numbers[11]
    if not width or faces not in (1, 6) or levels > 32 or extra > 16 << 20 or layers > 1 << 16:
        return None
    at, big = 64 + extra, order == ">"
    for _ in range(levels):
        size = window.number(at, 4, big)
        if size <= 0:
            return None
        at += 4 + (size if faces == 1 or layers else (size + 3 & ~3) * 6) + 3 & ~3
    return ending(data, at, 0.85, f"{levels} level(s), {faces} face(s)")


def measure_ktx2(data: ByteSource, budget: Budget) -> Find | None:
    """The level index states where everything is."""
    head = data.read_at(0, 80)
    if len(head) < 80 or head[:12] != _KTX2:
        return None
    _, _, width, _, _, _, faces, levels, packing = struct.unpack_from("<9I", head, 12)
    described, described_size, pairs, pairs_size = struct.unpack_from("<4I", head, 48)
    common, common_size = struct.unpack_from("<2Q", head, 64)
    count = max(1, levels)
    raw = data.read_at(80, 24 * count)
    if not width or faces not in (1, 6) or levels > 32 or len(raw) < 24 * count or packing > 0x20000:
        return None
    ends = [described + described_size, pairs + pairs_size, common + common_size]
    for place, size, _ in struct.iter_unpack("<3Q", raw):
        if place < 80 + 24 * count or not size:
            return None
        ends.append(place + size)
    if described < 80 + 24 * count or described_size < 24:
        return None
    return ending(data, max(ends), 0.85, f"{count} level(s) by the level index")


def measure_qoi(data: ByteSource, budget: Budget) -> Find | None:
    """Every pixel's code to the end marker."""
    window = Window(data, 1 << 16)
    head = window.at(0, 14)
    if len(head) < 14 or head[:4] != b"qoif" or head[12] not in (3, 4) or head[13] > 1:
        return None
    width, height = struct.unpack_from(">II", head, 4)
    left = width * height
    if not left or left > 400_000_000:
        return None
    at = 14
    while left > 0:
        budget.item()
        piece = window.at(at, 4096)
        i, size = 0, len(piece)
        if size < 5:
            return broken(min(at, data.size), f"{width} x {height}, {left} pixels are missing") if at > 4096 else None
        while i <= size - 5 and left > 0:
            code = piece[i]
            if code >= 0xC0:
                if code >= 0xFE:
                    i += 4 if code == 0xFE else 5
                    left -= 1
                else:
                    left -= (code & 63) + 1
                    i += 1
            else:
                i += 2 if code >= 0x80 else 1
                left -= 1
        at += i
    if left or window.at(at, 8) != b"\0\0\0\0\0\0\0\1":
        return None
    return ending(data, at + 8, 1.0, f"{width} x {height} pixels decoded to the end marker")


def measure_blp(data: ByteSource, budget: Budget) -> Find | None:
    """Sixteen places and sizes of levels."""
    head = data.read_at(0, 156)
    first = 20 if head[:4] == b"BLP2" else 28
    if len(head) < 156 or head[4:8] not in (b"\1\0\0\0", b"\0\0\0\0"):
        return None
    width, height = struct.unpack_from("<II", head, 12)
    places, sizes = struct.unpack_from("<16I", head, first), struct.unpack_from("<16I", head, first + 64)
    used = [(p, s) for p, s in zip(places, sizes, strict=True) if p and s]
    if not used or not 0 < width <= 1 << 15 or not 0 < height <= 1 << 15:
        return None
    ordered = sorted(used)
    if ordered[0][0] < first + 128 or ordered[0][0] > 4096 or any(a + b > c for (a, b), (c, _) in itertools.pairwise(ordered)):
        return None
    return ending(data, max(p + s for p, s in used), 0.8, f"{width} x {height}, {len(used)} level(s)")


_BLPS = (Kind("blp", "image/x-blp", "Blizzard texture (BLP1)"), Kind("blp", "image/x-blp", "Blizzard texture (BLP2)"))

CARVERS = (
    Carver(
        name="dds",
        title="DirectDraw texture",
        extension="dds",
        mime="image/vnd-ms.dds",
        signatures=(Signature(b"DDS \x7c\0\0\0"),),
        measure=measure_dds,
        maximum=4 << 30,
        refs=("Microsoft: Programming Guide for DDS, DDS_HEADER and DDS_HEADER_DXT10",),
        gaps=("pixels cannot be verified", "video and planar formats are not recognised"),
    ),
    Carver(
        name="ktx",
        title="Khronos texture",
        extension="ktx",
        mime="image/ktx",
        signatures=(Signature(_KTX),),
        measure=measure_ktx,
        refs=("Khronos KTX File Format Specification 1.0",),
        gaps=("pixels cannot be verified",),
    ),
    Carver(
        name="ktx2",
        title="Khronos texture (version 2)",
        extension="ktx2",
        mime="image/ktx2",
        signatures=(Signature(_KTX2),),
        measure=measure_ktx2,
        refs=("Khronos KTX File Format Specification 2.0, 3",),
        gaps=("levels are not decompressed",),
    ),
    Carver(
        name="qoi",
        title="QOI picture",
        extension="qoi",
        mime="image/qoi",
        signatures=(Signature(b"qoif\0", mask=b"\xff" * 4 + b"\xfe"),),
        measure=measure_qoi,
        refs=("The Quite OK Image Format Specification 1.0",),
        gaps=("more than 400 million pixels, as the format says",),
    ),
    Carver(
        name="blp",
        title="Blizzard texture",
        extension="blp",
        mime="image/x-blp",
        signatures=(Signature(b"BLP1"), Signature(b"BLP2")),
        measure=measure_blp,
        maximum=256 << 20,
        refs=("BLP file format (wowdev.wiki)",),
        gaps=("pixels are not decoded",),
        kinds=_BLPS,
    ),
)
