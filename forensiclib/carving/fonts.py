"""Fonts: TrueType and OpenType with every table's checksum, collections, WOFF, WOFF2, EOT, PCF, BDF."""

from __future__ import annotations

import struct

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import blocks, find
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_bdf", "measure_eot", "measure_pcf", "measure_sfnt", "measure_ttc", "measure_woff"]

_TTF, _OTF = Kind("ttf", "font/ttf", "TrueType font"), Kind("otf", "font/otf", "OpenType font")
_WOFF, _WOFF2 = Kind("woff", "font/woff", "Web font (WOFF)"), Kind("woff2", "font/woff2", "Web font (WOFF2)")
_NEEDED = {b"cmap", b"name", b"maxp"}
TABLES = 128


def _signatures() -> tuple[Signature, ...]:
    """Version, number of tables, and the search range and entry selector that follow from it."""
    ranges = [bytes((0, 0, *(16 << power).to_bytes(2, "big"), 0, power)) for power in range(2, 7)]
    return tuple(Signature(v + r, mask=b"\xff" * 5 + b"\0" + b"\xff" * 4) for v in (b"\0\1\0\0", b"OTTO", b"true") for r in ranges)


def _checksum(data: ByteSource, at: int, size: int, budget: Budget) -> int:
    total = 0
    for piece in blocks(data, at, at + size, budget, 1 << 18):
        piece += bytes(-len(piece) % 4)
        total += sum(struct.unpack(f">{len(piece) // 4}I", piece))
    return total & 0xFFFFFFFF


def _directory(data: ByteSource, at: int) -> list[tuple[bytes, int, int, int]] | None:
    """(tag, checksum, place, size) of the tables of the font at ``at``."""
    head = data.read_at(at, 12)
    if len(head) < 12:
        return None
    count, reach, power, shift = struct.unpack_from(">4H", head, 4)
    if not 4 <= count <= TABLES or reach != 16 << power or shift != 16 * count - reach or 1 << power > count:
        return None
    raw = data.read_at(at + 12, 16 * count)
    if len(raw) < 16 * count:
        return None
    tables = list(struct.iter_unpack(">4s3I", raw))
    if any(not all(0x20 <= b < 0x7F for b in tag) or not place >= 12 for tag, _, place, _ in tables):
        return None
    return tables if len({tag for tag, *_ in tables}) == count else None


def measure_sfnt(data: ByteSource, budget: Budget) -> Find | None:
    """The furthest table; checksums prove the content."""
    kind = _OTF if data.read_at(0, 4) == b"OTTO" else _TTF
    tables = _directory(data, 0)
    if tables is None:
        return None
    first = 12 + 16 * len(tables)
    names = {tag for tag, *_ in tables}
    if min(place for _, _, place, _ in tables) < first or not (_NEEDED & names and names & {b"head", b"bhed"}):
        return None
    end = max(place + (size + 3 & ~3) for _, _, place, size in tables)
    last = max(place + size for _, _, place, size in tables)
    if last > data.size:
        return broken(data.size, f"{len(tables)} tables, {last} bytes needed", kind)
    if data.read_at(last, end - last) != bytes(end - last):
        end = last
    good = sum(tag in (b"head", b"bhed") or _checksum(data, place, size, budget) == check for tag, check, place, size in tables)
    reason = f"{good} of {len(tables)} tables with good checksum"
    if good < len(tables) * 3 // 4:
        return broken(end, reason, kind)
    return Find(end, 1.0 if good == len(tables) else 0.8, reason, kind.extension, kind.title)


def measure_ttc(data: ByteSource, budget: Budget) -> Find | None:
    """Several fonts that share tables."""
    head = data.read_at(0, 12 + 4 * 256)
    if len(head) < 16:
        return None
    version, count = struct.unpack_from(">II", head, 4)
    if version not in (0x10000, 0x20000) or not 0 < count <= 256 or len(head) < 12 + 4 * count:
        return None
    end, last, good, seen = 0, 0, 0, set()
    for (at,) in struct.iter_unpack(">I", head[12 : 12 + 4 * count]):
        tables = _directory(data, at)
        if tables is None:
            return None if not end else broken(min(end, data.size), f"font at {at} is damaged")
        last = max(last, at + 12 + 16 * len(tables), *(place + size for _, _, place, size in tables))
        end = max(end, last)
        for table in tables:
            if table not in seen:
                seen.add(table)
                tag, check, place, size = table
                end = max(end, place + (size + 3 & ~3))
                good += place + size <= data.size and (tag == b"head" or _checksum(data, place, size, budget) == check)
    reason = f"{count} fonts, {good} of {len(seen)} tables with good checksum"
    if last > data.size or good < len(seen) * 3 // 4:
        return broken(min(end, data.size), reason)
    if data.read_at(last, end - last) != bytes(end - last):
        end = last
    return Find(end, 0.95, reason)


def measure_woff(data: ByteSource, budget: Budget) -> Find | None:
    """The stated length, held against the directory and the blocks behind it."""
    head = data.read_at(0, 48)
    if len(head) < 48:
        return None
    kind = {b"wOFF": _WOFF, b"wOF2": _WOFF2}.get(head[:4])
    if kind is None or head[4:8] not in (b"\0\1\0\0", b"OTTO", b"true", b"ttcf"):
        return None
    length, count, reserved, whole = struct.unpack_from(">IHHI", head, 8)
    if reserved or not 1 <= count <= TABLES or not 12 <= whole <= 1 << 30:
        return None
    if kind is _WOFF2:
        packed = int.from_bytes(head[20:24], "big")
        extra = [struct.unpack_from(">II", head, at) for at in (28, 40)]
        if packed >= length or any(at + size > length for at, size in extra):
            return None
        least = 48 + 2 * count + packed
        if not least <= length <= 48 + 22 * count + 4096 + packed + sum(size + 3 for _, size in extra):
            return None
        return ending(data, length, 0.85, f"{count} tables, {packed} bytes packed", kind)
    raw = data.read_at(44, 20 * count)
    if len(raw) < 20 * count:
        return None
    end = 44 + 20 * count
    for tag, place, size, plain, _ in struct.iter_unpack(">4s4I", raw):
        if not tag.isascii() or size > plain or place < 44 + 20 * count or place + size > length:
            return None
        end = max(end, place + size)
    for at in (24, 36):
        place, size = struct.unpack_from(">II", head, at)
        end = max(end, place + size)
    if not end <= length <= end + 3:
        return None
    return ending(data, length, 0.9, f"{count} tables to the stated length", kind)


def measure_eot(data: ByteSource, budget: Budget) -> Find | None:
    """The stated length: header, names, and as many bytes of font as stated."""
    head = data.read_at(0, 82)
    if len(head) < 82:
        return None
    size, font, version = struct.unpack_from("<3I", head)
    if head[34:36] != b"LP" or version not in (0x10000, 0x20001, 0x20002) or any(head[64:80]) or not font < size <= font + (1 << 18):
        return None
    return ending(data, size, 0.8, f"header and names, then {font} bytes of font")


def measure_pcf(data: ByteSource, budget: Budget) -> Find | None:
    """The furthest of the tables."""
    count = int.from_bytes(data.read_at(4, 4), "little")
    if not 5 <= count <= 16:
        return None
    raw = data.read_at(8, 16 * count)
    if len(raw) < 16 * count:
        return None
    seen, end = 0, 8 + 16 * count
    for kind, form, size, at in struct.iter_unpack("<4I", raw):
        if kind.bit_count() != 1 or kind > 0x100 or kind & seen or at < 8 + 16 * count or at & 3:
            return None
        if at + 4 <= data.size and int.from_bytes(data.read_at(at, 4), "little") != form:
            return None
        seen |= kind
        end = max(end, at + size)
    return ending(data, end, 0.9, f"{count} tables, each repeating its format")


def measure_bdf(data: ByteSource, budget: Budget) -> Find | None:
    """Text from STARTFONT to ENDFONT."""
    head = data.read_at(0, 2048)
    if b"\nFONT " not in head and b"\rFONT " not in head and b"\nCOMMENT" not in head:
        return None
    end = find(data, b"\nENDFONT", 0, data.size, budget)
    if end < 0:
        return None
    text = data.read_at(0, min(end, 1 << 16))
    if not text.isascii() or b"\0" in text:
        return None
    tail = data.read_at(end + 8, 2)
    return Find(end + 8 + (2 if tail == b"\r\n" else tail[:1] == b"\n"), 0.8, "text from STARTFONT to ENDFONT")


CARVERS = (
    Carver(
        name="sfnt",
        title="TrueType or OpenType font",
        extension="ttf",
        mime="font/ttf",
        signatures=_signatures(),
        measure=measure_sfnt,
        maximum=256 << 20,
        refs=("OpenType 1.9.1 (ISO/IEC 14496-22): organisation of an OpenType font",),
        gaps=("data behind the furthest table (a signature that no table holds) is left out",),
        kinds=(_TTF, _OTF),
    ),
    Carver(
        name="ttc",
        title="Font collection",
        extension="ttc",
        mime="font/collection",
        signatures=(Signature(b"ttcf\0\1\0\0"), Signature(b"ttcf\0\2\0\0")),
        measure=measure_ttc,
        maximum=512 << 20,
        refs=("OpenType 1.9.1: font collections",),
        gaps=("a signature table is left out",),
    ),
    Carver(
        name="woff",
        title="Web font",
        extension="woff",
        mime="font/woff",
        signatures=(Signature(b"wOFF"), Signature(b"wOF2")),
        measure=measure_woff,
        maximum=64 << 20,
        refs=("W3C WOFF 1.0 (2012)", "W3C WOFF 2.0 (2022)"),
        gaps=("tables are not decompressed",),
        kinds=(_WOFF, _WOFF2),
    ),
    Carver(
        name="eot",
        title="Embedded OpenType font",
        extension="eot",
        mime="application/vnd.ms-fontobject",
        signatures=tuple(
            Signature(v + bytes(22) + b"LP", offset=8, mask=b"\xff" * 4 + bytes(22) + b"\xff\xff")
            for v in (b"\0\0\1\0", b"\1\0\2\0", b"\2\0\2\0")
        ),
        measure=measure_eot,
        maximum=64 << 20,
        refs=("W3C member submission: Embedded OpenType (2008)",),
        gaps=("the font itself is not read",),
    ),
    Carver(
        name="pcf",
        title="X11 bitmap font (PCF)",
        extension="pcf",
        mime="application/x-font-pcf",
        signatures=(Signature(b"\1fcp"),),
        measure=measure_pcf,
        maximum=64 << 20,
        refs=("X.Org: pcfread.c, table directory", "FontForge: PCF"),
        gaps=("tables are not read",),
    ),
    Carver(
        name="bdf",
        title="X11 bitmap font (BDF)",
        extension="bdf",
        mime="application/x-font-bdf",
        signatures=(Signature(b"STARTFONT 2."),),
        measure=measure_bdf,
        maximum=64 << 20,
        refs=("Adobe Glyph Bitmap Distribution Format 2.2 (1993)",),
        gaps=("glyphs are not counted",),
    ),
)
