"""Models and drawings: glTF binary, Blender, 3D Studio, PLY, STL and DXF text, binary DXF."""

from __future__ import annotations

import re

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window, find
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_3ds", "measure_blend", "measure_dxf", "measure_glb", "measure_ply", "measure_stl"]


def measure_glb(data: ByteSource, budget: Budget) -> Find | None:
    """JSON chunk first, chunks to the stated end."""
    window = Window(data)
    end, at, seen = window.number(8, 4), 12, 0
    if window.at(0, 8) != b"glTF\2\0\0\0" or window.at(16, 4) != b"JSON" or window.at(20, 1) not in (b"{", b" "):
        return None
    while at + 8 <= end:
        budget.item()
        size = window.number(at, 4)
        if size < 0 or at + 8 + size > end:
            break
        seen += 1
        at += 8 + size
    if at != end:
        return broken(min(at, data.size), f"{seen} chunks, then the chain breaks off") if seen else None
    return ending(data, end, 0.95, f"{seen} chunks to the stated end")


def measure_blend(data: ByteSource, budget: Budget) -> Find | None:
    """Blocks by their lengths to ENDB."""
    window = Window(data)
    head = window.at(0, 17)
    match = re.match(rb"BLENDER(?:([_-])([vV])\d\d\d|17-01v\d\d\d\d)", head)
    if match is None:
        return None
    large, big = match[1] is None, match[2] == b"V"
    at = 17 if large else 12
    pointer = 8 if large or match[1] == b"-" else 4
    fixed = 32 if large else 16 + pointer
    blocks = 0
    while True:
        budget.item()
        head = window.at(at, 4)
        if head == b"ENDB" and blocks > 1:
            # in Blender 5 and later the size stands behind the old address
            return ending(data, at + fixed, 0.95, f"{blocks} blocks to ENDB")
        size = window.number(at + 16, 8) if large else window.number(at + 4, 4, big)
        if len(head) < 4 or not all(b == 0 or 0x30 <= b <= 0x5A for b in head) or not head[0] or size < 0 or at + fixed + size > data.size:
            return broken(min(at, data.size), f"{blocks} blocks, then damage") if blocks > 1 else None
        blocks += 1
        at += fixed + size


def _nested(window: Window, at: int, end: int, budget: Budget) -> int:
    """Chunks of 3D Studio in [at, end); -1 when they do not fill it."""
    seen = 0
    while at < end:
        budget.item()
        size = window.number(at + 2, 4)
        if size < 6 or at + size > end:
            return -1
        seen += 1
        at += size
    return seen


def measure_3ds(data: ByteSource, budget: Budget) -> Find | None:
    """Chunks of the main chunk to its end."""
    window = Window(data)
    end = window.number(2, 4)
    edit = 6 + (10 if window.at(6, 6) == b"\2\0\x0a\0\0\0" else 0)
    inner = window.number(edit + 2, 4)
    if window.at(0, 2) != b"MM" or window.at(edit, 2) != b"==" or not 12 <= inner <= end - edit:
        return None
    if _nested(window, edit + 6, min(edit + inner, data.size), budget) < 1:
        return None if end <= data.size else broken(data.size, "the main chunk is cut off")
    if end > data.size:
        return broken(data.size, "the main chunk is cut off")
    seen = _nested(window, 6, end, budget)
    return Find(end, 0.9, f"{seen} chunks to the end of the main chunk") if seen >= 1 else None


_PLY = re.compile(
    rb"ply\r?\nformat (ascii|binary_little_endian|binary_big_endian) 1\.0\r?\n((?:[^\r\n\0]{0,200}\r?\n){1,200}?)end_header\r?\n"
)
_ELEMENT = re.compile(rb"^element (\S{1,60}) (\d{1,12})\r?$|^property (?:list (\w+) (\w+)|(\w+)) \S+\r?$", re.MULTILINE)
_SIZES = {
    b"char": 1, b"uchar": 1, b"short": 2, b"ushort": 2, b"int": 4, b"uint": 4, b"float": 4, b"double": 8,
    b"int8": 1, b"uint8": 1, b"int16": 2, b"uint16": 2, b"int32": 4, b"uint32": 4, b"float32": 4, b"float64": 8,
}  # fmt: skip


def _ply_elements(text: bytes) -> list[tuple[int, list[tuple[int, int]]]] | None:
    """(count, [(bytes of a list's count or 0, bytes of a value)]) of the elements."""
    out: list[tuple[int, list[tuple[int, int]]]] = []
    for match in _ELEMENT.finditer(text):
        if match[1]:
            out.append((int(match[2]), []))
        elif not out:
            return None
        else:
            size, counted = _SIZES.get(match[5] or match[4]), _SIZES.get(match[3], 0) if match[3] else 0
            if size is None or (match[3] and not counted):
                return None
            out[-1][1].append((counted, size))
    return out or None


def _lines(data: ByteSource, at: int, count: int, budget: Budget) -> int:
    """Where ``count`` lines of text end; -1 when they do not, or are no text."""
    while count:
        budget.item()
        piece = data.read_at(at, 1 << 16)
        here = piece.count(b"\n")
        if not piece or b"\0" in (piece if here < count else b"") or not here:
            return -1
        if here < count:
            last = piece.rfind(b"\n") + 1
            at, count = at + last, count - here
            continue
        place = -1
        for _ in range(count):
            place = piece.index(b"\n", place + 1)
        text = piece[: place + 1]
        return at + place + 1 if text.isascii() and b"\0" not in text else -1
    return at


def measure_ply(data: ByteSource, budget: Budget) -> Find | None:
    """The header's counts and types give every element."""
    match = _PLY.match(data.read_at(0, 16384))
    elements = _ply_elements(match[2]) if match else None
    if match is None or elements is None:
        return None
    at, rows = match.end(), sum(count for count, _ in elements)
    if match[1] == b"ascii":
        end = _lines(data, at, rows, budget)
        return Find(end, 0.8, f"{rows} lines of elements") if end > 0 else broken(at, "header sound, lines are missing")
    window, big = Window(data, 1 << 16), match[1].endswith(b"big_endian")
    for count, properties in elements:
        if not any(counted for counted, _ in properties):
            at += count * sum(size for _, size in properties)
            continue
        for _ in range(count):
            budget.item()
            for counted, size in properties:
                if not counted:
                    at += size
                    continue
                number = window.number(at, counted, big)
                if number < 0 or number > 1 << 24:
                    return broken(min(at, data.size), "header sound, a list is damaged")
                at += counted + number * size
    return ending(data, at, 0.85, f"{rows} elements by the header")


def measure_stl(data: ByteSource, budget: Budget) -> Find | None:
    """Text from solid to endsolid."""
    head = data.read_at(0, 512)
    if not re.match(rb"solid[^\r\n\0]{0,200}\r?\n\s*facet\s+normal\s+[-+.\deE]+\s", head):
        return None
    end = find(data, b"endsolid", 0, data.size, budget)
    if end < 0 or b"\0" in data.read_at(0, min(end, 1 << 16)):
        return broken(len(head), "text begins as facets, no endsolid")
    line = re.match(rb"endsolid[^\r\n\0]{0,200}(?:\r?\n)?", data.read_at(end, 256))
    return Find(end + (line.end() if line else 8), 0.8, "facets to endsolid")


_DXF = re.compile(
    rb"(?:\s{0,4}999\r?\n[^\r\n]{0,200}\r?\n)*\s{0,4}0\r?\nSECTION\r?\n\s{0,4}2\r?\n(?:HEADER|CLASSES|TABLES|BLOCKS|ENTITIES)\r?\n"
)
_EOF = re.compile(rb"\n[ \t]{0,4}0\r?\nEOF\r?(?:\n|\Z)")
_TEXT, _BINARY = (
    Kind("dxf", "image/vnd.dxf", "AutoCAD drawing exchange (text)"),
    Kind("dxf", "image/vnd.dxf", "AutoCAD drawing exchange (binary)"),
)


def measure_dxf(data: ByteSource, budget: Budget) -> Find | None:
    """Text groups from SECTION to EOF, or the binary form to its EOF group."""
    head = data.read_at(0, 1024)
    if head[:22] == b"AutoCAD Binary DXF\r\n\x1a\0":
        if head[22:32] not in (b"\0SECTION\0\2", b"\0\0SECTION\0"):
            return None
        wide = head[23:24] == b"\0"
        end = find(data, b"\0\0\0EOF\0" if wide else b"\0\0EOF\0", 22, data.size, budget)
        if end < 0:
            return broken(len(head), "sections, no end", _BINARY)
        return Find(end + (7 if wide else 6), 0.8, "sections to the EOF group", _BINARY.extension, _BINARY.title)
    if not _DXF.match(head):
        return None
    at = 0
    while True:
        budget.item()
        piece = data.read_at(at, 1 << 16)
        match, fill = _EOF.search(piece), piece.find(b"\0")
        if match and not 0 <= fill < match.start():
            return Find(at + match.end(), 0.9, "groups from SECTION to EOF", _TEXT.extension, _TEXT.title)
        if fill >= 0 or len(piece) < 64:
            return broken(at + fill if fill >= 0 else at + len(piece), "groups, no EOF", _TEXT)
        at += len(piece) - 32


def _solid() -> tuple[Signature, ...]:
    return (Signature(b"solid "), Signature(b"solid\n"))


CARVERS = (
    Carver(
        name="glb",
        title="glTF model (binary)",
        extension="glb",
        mime="model/gltf-binary",
        signatures=(Signature(b"glTF\2\0\0\0"),),
        measure=measure_glb,
        refs=("Khronos glTF 2.0, 4.4: GLB (ISO/IEC 12113:2022)",),
        gaps=("buffers in other files are not part of it",),
    ),
    Carver(
        name="blend",
        title="Blender scene",
        extension="blend",
        mime="application/x-blender",
        signatures=(Signature(b"BLENDER"),),
        measure=measure_blend,
        maximum=64 << 30,
        refs=("Blender: BLO_core_bhead.hh, file blocks",),
        gaps=("compressed scenes are gzip or Zstandard files", "blocks are not read"),
    ),
    Carver(
        name="3ds",
        title="3D Studio model",
        extension="3ds",
        mime="image/x-3ds",
        signatures=(
            Signature(b"MM\0\0\0\0\2\0\x0a\0\0\0==", mask=b"\xff\xff" + bytes(4) + b"\xff" * 8),
            Signature(b"MM\0\0\0\0==\0\0\0\0", mask=b"\xff\xff\0\0\0\xf0\xff\xff\0\0\0\xf0"),
        ),
        measure=measure_3ds,
        maximum=1 << 30,
        refs=("3D Studio File Format (van Velsen, Fercoq, Szilvasi)",),
        gaps=("chunks below the first level are not read",),
    ),
    Carver(
        name="ply",
        title="Polygon model (PLY)",
        extension="ply",
        mime="model/ply",
        signatures=(Signature(b"ply\nformat "), Signature(b"ply\r\nformat ")),
        measure=measure_ply,
        maximum=64 << 30,
        refs=("Turk: The PLY Polygon File Format (1994)",),
        gaps=("values cannot be verified",),
    ),
    Carver(
        name="stl",
        title="Stereolithography model (text)",
        extension="stl",
        mime="model/stl",
        signatures=_solid(),
        measure=measure_stl,
        refs=("3D Systems StereoLithography Interface Specification (1989)",),
        gaps=("the binary form has no signature and is not recognised",),
    ),
    Carver(
        name="dxf",
        title="AutoCAD drawing exchange file",
        extension="dxf",
        mime="image/vnd.dxf",
        signatures=(
            Signature(b"AutoCAD Binary DXF\r\n\x1a\0"),
            Signature(b"0\nSECTION\n"),
            Signature(b"0\r\nSECTION\r\n"),
            Signature(b"  0\nSECTION\n"),
            Signature(b"  0\r\nSECTION\r\n"),
            Signature(b"999\n"),
            Signature(b"999\r\n"),
        ),
        measure=measure_dxf,
        refs=("Autodesk DXF Reference (2012): file structure",),
        gaps=("groups are not parsed one by one",),
        kinds=(_TEXT, _BINARY),
    ),
)
