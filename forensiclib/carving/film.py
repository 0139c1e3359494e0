"""Pictures of film and high dynamic range: DPX, Cineon, OpenEXR, Radiance."""

from __future__ import annotations

import re
import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_cineon", "measure_dpx", "measure_exr", "measure_hdr"]

_SIDE = 1 << 17
_EXR_LINES = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256)
"""Lines in a block, by compression."""
_EXR_TILED, _EXR_DEEP, _EXR_PARTS = 0x200, 0x800, 0x1000


def measure_dpx(data: ByteSource, budget: Budget) -> Find | None:
    """The size that the header states, behind pixels that fit it."""
    head = data.read_at(0, 2048)
    if len(head) < 820:
        return None
    order = ">" if head[:4] == b"SDPX" else "<"
    place, version, size = struct.unpack_from(order + "I8sI", head, 4)
    orientation, elements, width, height = struct.unpack_from(order + "HHII", head, 768)
    bits = head[803]
    if not version.startswith((b"V1.", b"V2.")) or not 640 <= place <= 1 << 20 or not 1 <= elements <= 8 or orientation > 7:
        return None
    if not 0 < width < _SIDE or not 0 < height < _SIDE or bits not in (1, 8, 10, 12, 16, 32, 64):
        return None
    samples = {50: 3, 51: 4, 52: 4, 100: 2, 101: 3, 102: 3, 103: 4}.get(head[800], 1)
    wide = 32 if bits == 10 and samples == 3 else bits * samples
    least = place + width * height * wide // 8
    reason = f"{width} x {height}, {elements} element(s) of {bits} bits; the header says {size} bytes"
    if size > place + width * height * 64 * elements + (1 << 20):
        return None
    # writers forget the pixels that they add: those decide
    return ending(data, max(size, least), 0.8 if size >= least else 0.6, reason)


def measure_cineon(data: ByteSource, budget: Budget) -> Find | None:
    """As DPX."""
    head = data.read_at(0, 1024)
    if len(head) < 1024:
        return None
    order = ">" if head[:4] == b"\x80\x2a\x5f\xd7" else "<"
    _, place, generic, _, _, size = struct.unpack_from(order + "6I", head)
    channels, bits = head[193], head[198]
    width, height = struct.unpack_from(order + "II", head, 200)
    if not 1024 <= place <= 1 << 20 or generic != 1024 or not 1 <= channels <= 8 or not 1 <= bits <= 32:
        return None
    if not 0 < width < _SIDE or not 0 < height < _SIDE or size > 1 << 31:
        return None
    least = place + width * height * (32 if bits == 10 and channels == 3 else bits * channels) // 8
    reason = f"{width} x {height}, {channels} channel(s) of {bits} bits; the header says {size} bytes"
    return ending(data, max(size, least), 0.8 if size >= least else 0.6, reason)


def _exr_header(window: Window, at: int, budget: Budget) -> tuple[int, dict[bytes, tuple[bytes, bytes]]] | None:
    """(end, attributes) of one header: names to (type, first bytes)."""
    attributes: dict[bytes, tuple[bytes, bytes]] = {}
    while True:
        budget.item()
        name = window.at(at, 256).partition(b"\0")[0]
        if not name:
            return (at + 1, attributes) if attributes and window.at(at, 1) == b"\0" else None
        at += len(name) + 1
        kind = window.at(at, 256).partition(b"\0")[0]
        at += len(kind) + 1
        size = window.number(at, 4)
        if not kind or len(name) > 254 or not kind.isascii() or size < 0 or size > 64 << 20 or at + 4 + size > window.size:
            return None
        attributes[name] = kind, window.at(at + 4, min(size, 64))
        at += 4 + size


def _exr_blocks(attributes: dict[bytes, tuple[bytes, bytes]], tiled: bool) -> int:
    """How many blocks a part has; 0 where it takes more than its header's first lines to know."""
    if b"chunkCount" in attributes:
        return int.from_bytes(attributes[b"chunkCount"][1][:4], "little")
    window, packed = attributes.get(b"dataWindow"), attributes.get(b"compression")
    if window is None or packed is None or len(window[1]) < 16 or len(packed[1]) < 1 or packed[1][0] >= len(_EXR_LINES):
        return 0
    sides: tuple[int, ...] = struct.unpack("<4i", window[1][:16])
    left, top, right, bottom = sides
    width, height = right - left + 1, bottom - top + 1
    if not 0 < width < 1 << 20 or not 0 < height < 1 << 20:
        return 0
    if not tiled:
        lines = _EXR_LINES[packed[1][0]]
        return (height + lines - 1) // lines
    tiles = attributes.get(b"tiles", (b"", b""))[1]
    if len(tiles) < 9:
        return 0
    wide, high, mode = int.from_bytes(tiles[:4], "little"), int.from_bytes(tiles[4:8], "little"), int(tiles[8])
    if not wide or not high:
        return 0
    total, up = 0, mode >> 4
    if mode & 15 == 2:
        return 0
    while True:
        total += -(-width // wide) * -(-height // high)
        if mode & 15 == 0 or (width == 1 and height == 1):
            return total
        width, height = (max(1, (n + up) // 2) for n in (width, height))


def measure_exr(data: ByteSource, budget: Budget) -> Find | None:
    """Headers, the table of blocks, and the furthest block."""
    window = Window(data)
    flags = window.number(4, 4)
    if window.number(0, 4) != 20000630 or flags & 0xFF != 2 or flags >> 13:
        return None
    at, blocks, parts = 8, 0, 0
    while True:
        header = _exr_header(window, at, budget)
        if header is None:
            return None
        at, attributes = header
        count = _exr_blocks(attributes, bool(flags & _EXR_TILED))
        if b"channels" not in attributes or not 0 < count < 1 << 22:
            return None
        blocks, parts = blocks + count, parts + 1
        if not flags & _EXR_PARTS:
            break
        if window.at(at, 1) == b"\0":
            at += 1
            break
    table = data.read_at(at, budget.allocate("EXR block table", 8 * blocks))
    reason = f"{parts} part(s), {blocks} blocks"
    if len(table) < 8 * blocks:
        return broken(data.size, reason + ", the table is cut off")
    places = struct.unpack(f"<{blocks}Q", table)
    if min(places) < at + 8 * blocks:
        return None
    end, skip = at + 8 * blocks, (4 if flags & _EXR_PARTS else 0) + (16 if flags & _EXR_TILED else 4)
    for place in places:
        budget.item()
        if flags & _EXR_DEEP:
            table_size, pixels = window.number(place + skip, 8), window.number(place + skip + 8, 8)
            size = table_size + pixels + 24 if table_size >= 0 and pixels >= 0 else -1
        else:
            size = window.number(place + skip, 4)
            size += 4 if size >= 0 else 0
        if size < 0:
            return broken(min(end, data.size), reason + ", blocks are cut off")
        end = max(end, place + skip + size)
    return ending(data, end, 0.9, reason + ", all inside")


_HDR = re.compile(rb"#\?(?:RADIANCE|RGBE)\n(?:[^\n]{0,400}\n){0,60}?\n([-+][YX]) (\d{1,6}) ([-+][YX]) (\d{1,6})\n")


def measure_hdr(data: ByteSource, budget: Budget) -> Find | None:
    """Text header, then scan lines: four runs each, or plain pixels."""
    match = _HDR.match(data.read_at(0, 8192))
    if match is None:
        return None
    lines, width = int(match[2]), int(match[4])
    if not lines or not width:
        return None
    window, at = Window(data, 1 << 16), match.end()
    reason = f"{width} x {lines} pixels"
    mark = b"\2\2" + width.to_bytes(2, "big") if 8 <= width < 0x8000 else b""
    if not mark or window.at(at, 4) != mark:
        return ending(data, at + 4 * width * lines, 0.7, reason + ", plain")
    for line in range(lines):
        if window.at(at, 4) != mark:
            return broken(min(at, data.size), f"{reason}, line {line} is none")
        at += 4
        for _ in range(4):
            left = width
            while left > 0:
                budget.item()
                count = window.number(at, 1)
                if count <= 0:
                    return broken(min(at, data.size), f"{reason}, line {line} breaks off")
                left -= count & 127 if count > 128 else count
                at += 2 if count > 128 else 1 + count
            if left < 0:
                return broken(min(at, data.size), f"{reason}, line {line} is too long")
    return ending(data, at, 0.95, reason + ", the runs of every line decoded")


CARVERS = (
    Carver(
        name="dpx",
        title="DPX film picture",
        extension="dpx",
        mime="image/dpx",
        signatures=tuple(Signature(m + bytes(4) + b"V", mask=b"\xff" * 4 + bytes(4) + b"\xff") for m in (b"SDPX", b"XPDS")),
        measure=measure_dpx,
        maximum=4 << 30,
        refs=("SMPTE ST 268-1:2014",),
        gaps=("pixels cannot be verified",),
    ),
    Carver(
        name="cineon",
        title="Kodak Cineon film picture",
        extension="cin",
        mime="image/cineon",
        signatures=(Signature(b"\x80\x2a\x5f\xd7\0"), Signature(b"\xd7\x5f\x2a\x80")),
        measure=measure_cineon,
        maximum=4 << 30,
        refs=("Kodak Cineon Image File Format Draft 2.1 (1993)",),
        gaps=("pixels cannot be verified",),
    ),
    Carver(
        name="exr",
        title="OpenEXR picture",
        extension="exr",
        mime="image/x-exr",
        signatures=(Signature(b"\x76\x2f\x31\x01\x02\0\0\0", mask=b"\xff" * 5 + b"\xe1\xff\xff"),),
        measure=measure_exr,
        maximum=16 << 30,
        refs=("OpenEXR File Layout (Academy Software Foundation)",),
        gaps=("blocks are not decompressed", "tiled pictures reduced in each direction by itself need the attribute chunkCount"),
    ),
    Carver(
        name="hdr",
        title="Radiance picture",
        extension="hdr",
        mime="image/vnd.radiance",
        signatures=(Signature(b"#?RADIANCE\n"), Signature(b"#?RGBE\n")),
        measure=measure_hdr,
        maximum=4 << 30,
        refs=("Ward: Real Pixels, Graphics Gems II (1991)", "Radiance picture file format (filefmts)"),
        gaps=("pictures in the old run-length form are taken for plain ones",),
    ),
)
