"""JPEG 2000 (JP2, JPX, JPM, MJ2, bare codestream), the JPEG XL container, JPEG-LS, JPEG XR."""

from __future__ import annotations

import re
import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_j2k", "measure_jls", "measure_jp2", "measure_jxl", "measure_jxr"]

_BRANDS = {
    b"jp2 ": Kind("jp2", "image/jp2", "JPEG 2000 picture"),
    b"jpx ": Kind("jpx", "image/jpx", "JPEG 2000 picture (JPX)"),
    b"jpm ": Kind("jpm", "image/jpm", "JPEG 2000 compound document"),
    b"jph ": Kind("jph", "image/jph", "High-throughput JPEG 2000 picture"),
    b"mjp2": Kind("mj2", "video/mj2", "Motion JPEG 2000 video"),
}
_JP2_TOP = {
    b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"jp2i", b"xml ", b"uuid", b"uinf", b"rreq", b"jpch", b"jplh", b"asoc", b"nlst", b"ftbl", b"jpod",
    b"res ", b"dtbl", b"mdat", b"moov", b"free", b"comp", b"drep", b"copt", b"bfil", b"chck", b"cref",
    b"roid", b"mhdr", b"page", b"pcol", b"phdr",
}  # fmt: skip
_JXL_TOP = {b"JXL ", b"ftyp", b"jxlc", b"jxlp", b"jxll", b"jxli", b"jbrd", b"Exif", b"xml ", b"jumb", b"brob", b"free", b"uuid"}
_MARKER = re.compile(rb"\xff[\x80-\xfe]", re.DOTALL)
_SOC, _SOT, _SOD, _EOC, _SIZ = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9, 0xFF51


def measure_j2k(data: ByteSource, budget: Budget) -> Find | None:
    """Main header, tile parts by their lengths, end of codestream."""
    window = Window(data)
    at, tiles = 2, 0
    if window.number(0, 2, True) != _SOC:
        return None
    sizes = window.at(4, 38)
    if window.number(2, 2, True) != _SIZ or len(sizes) < 38:
        return None
    length, _, width, height, left, top = struct.unpack_from(">HHIIII", sizes)
    components = int.from_bytes(sizes[36:38], "big")
    if length != 38 + 3 * components or not components or not left < width or not top < height:
        return None
    while True:
        budget.item()
        marker = window.number(at, 2, True)
        if marker == _EOC and tiles:
            return ending(data, at + 2, 0.95, f"{width - left} x {height - top}, {tiles} tile part(s) to the end of codestream")
        if marker == _SOT:
            part = window.number(at + 6, 4, True)
            if window.number(at + 2, 2, True) != 10 or (part and part < 14):
                break
            tiles += 1
            if not part:
                return _last_tile(data, at + 12, tiles, budget)
            at += part
            continue
        size = window.number(at + 2, 2, True)
        if tiles or not 0xFF50 <= marker <= 0xFF6F or size < 2:
            break
        at += 2 + size
    return broken(min(at, data.size), f"{tiles} tile part(s), then no marker") if tiles else None


def _last_tile(data: ByteSource, at: int, tiles: int, budget: Budget) -> Find:
    """A last tile part may leave its length out: bit stuffing keeps FF90 to FFFF out of coded data."""
    while True:
        budget.item()
        piece = data.read_at(at, 1 << 16)
        place = piece.find(b"\xff\xd9")
        if place >= 0:
            return Find(at + place + 2, 0.8, f"{tiles} tile part(s), the last to the end of codestream")
        if len(piece) < 2:
            return broken(data.size, f"{tiles} tile part(s), the last breaks off")
        at += len(piece) - 1


def _boxes(window: Window, known: set[bytes], budget: Budget) -> tuple[list[tuple[bytes, int, int]], bool]:
    """(kind, place, size) of top-level boxes of known kinds, and whether the last is whole; size 0 is open."""
    out: list[tuple[bytes, int, int]] = []
    at = 0
    while at < window.size:
        budget.item()
        head = window.at(at, 16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if kind not in known or (kind == b"ftyp" and len(out) != 1):
            break
        size = int.from_bytes(head[8:16], "big") if size == 1 and len(head) == 16 else size
        if size and size < 8:
            break
        out.append((kind, at, size))
        if not size or at + size > window.size:
            return out, False
        at += size
    return out, True


def measure_jp2(data: ByteSource, budget: Budget) -> Find | None:
    """Boxes; a last codestream of no stated length is walked."""
    window = Window(data)
    kind = _BRANDS.get(window.at(20, 4))
    if kind is None or window.at(16, 4) != b"ftyp":
        return None
    boxes, whole = _boxes(window, _JP2_TOP, budget)
    kinds = [name for name, _, _ in boxes]
    if len(boxes) < 3 or not {b"jp2c", b"mdat", b"page", b"jp2h"} & set(kinds):
        return None
    name, at, size = boxes[-1]
    reason = f"{len(boxes)} boxes"
    if whole and {b"jp2c", b"mdat", b"ftbl"} & set(kinds):
        return Find(at + size, 0.9, reason + " in a chain", kind.extension, kind.title)
    if name == b"jp2c" and not size:
        inner = measure_j2k(data.slice(at + 8, data.size - at - 8), budget)
        if inner is not None and inner.complete:
            return Find(at + 8 + inner.length, 0.9, f"{reason}; the last holds {inner.reason}", kind.extension, kind.title)
    return broken(min(at + size, data.size) if size else at + 8, reason + ", then damage", kind)


def measure_jxl(data: ByteSource, budget: Budget) -> Find | None:
    """Boxes of a JPEG XL file whose last states its length."""
    window = Window(data)
    if window.at(12, 12) != b"\0\0\0\x14ftypjxl ":
        return None
    boxes, whole = _boxes(window, _JXL_TOP, budget)
    kinds = {name for name, _, _ in boxes}
    if not kinds & {b"jxlc", b"jxlp"}:
        return None
    _name, at, size = boxes[-1]
    parts = [window.number(place + 8, 4, True) >> 31 for kind, place, _ in boxes if kind == b"jxlp"]
    if whole and (b"jxlc" in kinds or parts[-1] == 1):
        return Find(at + size, 0.9, f"{len(boxes)} boxes in a chain")
    return broken(min(at + size, data.size) if size else at + 8, f"{len(boxes)} boxes, then damage or an open end")


def measure_jls(data: ByteSource, budget: Budget) -> Find | None:
    """Segments and scans; in coded data a byte behind FF is below 80."""
    window = Window(data)
    at, scans, framed = 2, 0, False
    if window.number(0, 2, True) != 0xFFD8:
        return None
    while True:
        budget.item()
        marker, size = window.number(at, 2, True), window.number(at + 2, 2, True)
        if marker == 0xFFD9 and scans:
            return ending(data, at + 2, 0.9, f"{scans} scan(s) to the end marker")
        if marker not in (0xFFF7, 0xFFF8, 0xFFDA, 0xFFDD, 0xFFFE) and not 0xFFE0 <= marker <= 0xFFEF:
            break
        if size < 2 or at + 2 + size > data.size:
            break
        body = window.at(at + 4, min(size - 2, 64))
        if marker == 0xFFF7:
            if len(body) < 9 or size != 8 + 3 * body[5] or not 2 <= body[0] <= 16 or not body[5] >= 1 or body[1:3] == b"\0\0":
                return None
            framed = True
        at += 2 + size
        if marker == 0xFFDA:
            if not framed or not body or size != 6 + 2 * body[0]:
                return None
            scans += 1
            while True:
                budget.item()
                piece = data.read_at(at, 1 << 16)
                match = _MARKER.search(piece)
                if match:
                    at += match.start()
                    break
                if len(piece) < 2:
                    return broken(data.size, f"{scans} scan(s), the last breaks off")
                at += len(piece) - 1
            if not window.number(at, 2, True) >= 0xFF80 or window.number(at, 2, True) not in (0xFFD9, 0xFFDA, 0xFFFE, 0xFFF8):
                return broken(at, f"{scans} scan(s), then no marker")
    return broken(min(at, data.size), f"{scans} scan(s), then no marker") if scans else None


def measure_jxr(data: ByteSource, budget: Budget) -> Find | None:
    """A directory as in TIFF that states place and length of picture and transparency."""
    window = Window(data)
    first = window.number(4, 4)
    if window.at(0, 4) not in (b"II\xbc\1", b"II\xbc\0") or not 8 <= first < data.size:
        return None
    count = window.number(first, 2)
    if not 5 <= count <= 256:
        return None
    raw = data.read_at(first + 2, 12 * count + 4)
    if len(raw) < 12 * count + 4:
        return None
    end, places, last = first + 6 + 12 * count, {}, 0
    for tag, kind, number, value in struct.iter_unpack("<HHII", raw[:-4]):
        if tag <= last or not 1 <= kind <= 13 or number > 1 << 26:
            return None
        last = tag
        size = number * (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)[kind]
        if size > 4:
            end = max(end, value + size)
        elif 0xBCC0 <= tag <= 0xBCC3:
            places[tag] = value if kind == 4 else value & 0xFFFF
    if window.at(places.get(0xBCC0, -1), 8) != b"WMPHOTO\0":
        return broken(min(end, data.size), "directory sound, no picture where it points") if places.get(0xBCC0, 0) > data.size else None
    end = max(end, places[0xBCC0] + places.get(0xBCC1, 0), places.get(0xBCC2, 0) + places.get(0xBCC3, 0))
    return ending(data, end, 0.9, f"{count} entries; picture where they point")


CARVERS = (
    Carver(
        name="jp2",
        title="JPEG 2000 file",
        extension="jp2",
        mime="image/jp2",
        signatures=(Signature(b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0ftyp", mask=b"\xff" * 14 + bytes(2) + b"\xff" * 4),),
        measure=measure_jp2,
        maximum=64 << 30,
        refs=("ISO/IEC 15444-1, annex I", "ISO/IEC 15444-2, annex M", "ISO/IEC 15444-3", "ISO/IEC 15444-6"),
        gaps=("packets are not decoded", "a box of a kind not listed at the top level ends the file"),
        kinds=tuple(_BRANDS.values()),
    ),
    Carver(
        name="j2k",
        title="JPEG 2000 codestream",
        extension="j2k",
        mime="image/x-jp2-codestream",
        signatures=(Signature(b"\xff\x4f\xff\x51\0"),),
        measure=measure_j2k,
        maximum=16 << 30,
        refs=("ISO/IEC 15444-1, annex A",),
        gaps=("packets are not decoded",),
    ),
    Carver(
        name="jxl",
        title="JPEG XL picture",
        extension="jxl",
        mime="image/jxl",
        signatures=(Signature(b"\0\0\0\x0cJXL \r\n\x87\n"),),
        measure=measure_jxl,
        maximum=16 << 30,
        refs=("ISO/IEC 18181-2: JPEG XL file format",),
        gaps=(
            "bare codestreams state no length and have a signature of two bytes: not recognised",
            "a last box without a length is reported incomplete",
        ),
    ),
    Carver(
        name="jls",
        title="JPEG-LS picture",
        extension="jls",
        mime="image/jls",
        signatures=(Signature(b"\xff\xd8\xff\xf7\0"), Signature(b"\xff\xd8\xff\xe8\0\x20SPIFF")),
        measure=measure_jls,
        maximum=1 << 30,
        refs=("ITU-T T.87 (1998), annex C", "ITU-T T.84: SPIFF"),
        gaps=("coded data is walked by its markers, not decoded",),
    ),
    Carver(
        name="jxr",
        title="JPEG XR picture",
        extension="jxr",
        mime="image/jxr",
        signatures=(Signature(b"II\xbc\x01"), Signature(b"II\xbc\0")),
        measure=measure_jxr,
        maximum=4 << 30,
        refs=("ITU-T T.832 (2019), annex A",),
        gaps=("coded data is not decoded", "directories behind the first are left out"),
    ),
)
