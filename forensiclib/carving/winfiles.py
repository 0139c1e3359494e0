"""Small files that Windows keeps: recycle bin records, INFO2, jobs, jump lists, caches, dumps, nicknames."""

from __future__ import annotations

from forensiclib.carving import windows
from forensiclib.carving._read import Window
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_SECTOR = 512
_LNK = next(carver for carver in windows.CARVERS if carver.name == "lnk")
_LNK_ID = _LNK.signatures[0].pattern[4:]


def _path(raw: bytes) -> str:
    """UTF-16 text up to its zero, empty when it is no path."""
    text = raw.decode("utf-16-le", "replace").partition("\0")[0]
    return text if len(text) > 2 and (text[1:3] == ":\\" or text[:2] == "\\\\") and text.isprintable() and "\ufffd" not in text else ""


def _measure_recycled(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 24 + 4 + 2 * 1024)
    if len(raw) < 32:
        return None
    if raw[0] == 1:
        path = _path(raw[24:544])
        return (
            stated(data, 544, 0.9, f"record of {path!r}") if path and (len(raw) < 544 or not any(raw[24 + 2 * len(path) : 544])) else None
        )
    count = int.from_bytes(raw[24:28], "little")
    path = _path(raw[28 : 28 + 2 * count]) if 3 < count <= 1024 else ""
    return stated(data, 28 + 2 * count, 0.95, f"record of {path!r}") if len(path) == count - 1 else None


def _measure_info2(data: ByteSource, budget: Budget) -> Find | None:
    size, at, count = int.from_bytes(data.read_at(12, 4), "little"), 20, 0
    while size in (280, 800):
        budget.item()
        raw = data.read_at(at, size)
        if len(raw) < size:
            break
        index, drive, high = int.from_bytes(raw[260:264], "little"), int.from_bytes(raw[264:268], "little"), raw[275]
        name = raw[:260].split(b"\0")[0]
        wide = _path(raw[280:]) if size == 800 else name.decode("latin-1")
        if drive > 26 or high != 1 or not (name[1:3] == b":\\" or raw[:1] == b"\0") or not wide or index > 1 << 20:
            break
        at, count = at + size, count + 1
    return Find(at, 0.85, f"{count} records of {size} bytes, then none") if count else None


def _measure_job(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    triggers, at = window.number(22, 2), 70
    if not 80 <= triggers <= 1 << 15:
        return None
    for _ in range(5):
        budget.item()
        at += 2 + 2 * max(0, window.number(at, 2))
    at += 2 + max(0, window.number(at, 2))
    at += 2 + max(0, window.number(at, 2))
    count = window.number(triggers, 2)
    if at != triggers or not 0 <= count <= 128:
        return None
    end = triggers + 2
    for _ in range(count):
        if window.number(end, 2) != 48:
            return Find(min(triggers, data.size), 0.4, "texts; the triggers break off", complete=False)
        end += 48
    end += 68 if window.at(end, 4) == b"\1\0\1\0" else 0
    return stated(data, end, 0.95, f"texts and {count} triggers")


_FOOT = b"\xab\xfb\xbf\xba"


def _measure_custom(data: ByteSource, budget: Budget) -> Find | None:
    window, at, links = Window(data), 12, 0
    for _ in range(window.number(4, 4)):
        budget.item()
        kind = window.number(at, 4)
        if kind == 0:
            length = window.number(at + 4, 2)
            at += 6 + 2 * max(0, length)
            count = window.number(at, 4)
        elif kind == 1:
            at, count = at + 4, 0
        elif kind == 2:
            at, count = at + 4, window.number(at + 4, 4)
        else:
            return None
        if not 0 <= count <= 1000:
            return None
        at += 4
        for _ in range(count):
            if window.at(at, 16) != _LNK_ID:
                return None if not links else Find(min(at, data.size), 0.5, f"{links} links, then none", complete=False)
            found = _LNK.measure(data.slice(at + 16), budget)
            if found is None or not found.complete:
                return Find(min(at, data.size), 0.5, f"{links} links, the next breaks off", complete=False)
            at, links = at + 16 + found.length, links + 1
        if window.at(at, 4) != _FOOT:
            return None if not links else Find(min(at, data.size), 0.5, f"{links} links, no mark behind the category", complete=False)
        at += 4
    return Find(at, 0.95, f"{links} links, the mark behind each category") if links else None


def _measure_indexdat(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 72)
    size = int.from_bytes(raw[28:32], "little")
    if len(raw) < 72 or raw[24:27] not in (b"5.2", b"4.7") or size % 4096 or not 8192 <= size <= 1 << 31:
        return None
    table, blocks, used = (int.from_bytes(raw[i : i + 4], "little") for i in (32, 36, 40))
    if table >= size or used > blocks or blocks * 128 > size:
        return None
    return stated(data, size, 0.9, f"size stated by the header, {used} of {blocks} blocks in use")


def _measure_filecache(data: ByteSource, budget: Budget) -> Find | None:
    window, at, count = Window(data), 20, 0
    while (length := window.number(at, 4)) > 3 and length <= 1024:
        budget.item()
        raw = window.at(at + 4, 2 * length + 2)
        if len(raw) < 2 * length + 2 or raw[-2:] != b"\0\0" or not raw[:-2].decode("utf-16-le", "replace").isprintable():
            break
        at, count = at + 6 + 2 * length, count + 1
    return Find(at, 0.9, f"{count} paths, then none") if count else None


_PROPERTY = {0x1E: 1, 0x1F: 1, 0x102: 1, 0x48: 16, 0x101E: 2, 0x101F: 2, 0x1102: 2}


def _measure_nk2(data: ByteSource, budget: Budget) -> Find | None:
    window, at = Window(data), 16
    rows = window.number(12, 4)
    if not 0 < rows <= 1 << 16:
        return None
    for number in range(rows):
        properties, at = window.number(at, 4), at + 4
        if not 0 < properties <= 256:
            return Find(min(at, data.size), 0.4, f"{number} of {rows} rows, then none", complete=False) if number else None
        for _ in range(properties):
            budget.item()
            kind = window.number(at, 2)
            at += 16
            how = _PROPERTY.get(kind, 0)
            if how == 1:
                at += 4 + max(0, window.number(at, 4))
            elif how == 16:
                at += 16
            elif how == 2:
                count, at = window.number(at, 4), at + 4
                for _ in range(min(max(0, count), 4096)):
                    at += 4 + max(0, window.number(at, 4))
            if kind < 0 or at > data.size:
                return Find(data.size, 0.4, f"{number} of {rows} rows, the data ends", complete=False)
    return stated(data, at + 12, 0.9, f"{rows} rows and the closing time")


def _measure_minidump(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    count, at = window.number(8, 4), window.number(12, 4)
    if not 0 < count <= 256 or not 32 <= at <= 1 << 28:
        return None
    end = at + 12 * count
    for i in range(count):
        budget.item()
        kind, size, place = (window.number(at + 12 * i + j, 4) for j in (0, 4, 8))
        if size < 0 or (kind and kind > 0x47670000 + 0xFFFF) or place + size > 1 << 32:
            return None
        if not kind:
            continue
        end = max(end, place + size)
        if kind == 9:  # Memory64List
            ranges, base = window.number(place, 8), window.number(place + 8, 8)
            if not 0 <= ranges <= 1 << 20:
                return None
            total = sum(max(0, window.number(place + 16 + 16 * j + 8, 8)) for j in range(ranges))
            end = max(end, base + total)
        elif kind in (3, 4, 5):
            end = max(end, _listed_end(window, place, kind, budget))
    return stated(data, end, 0.85, f"{count} streams; what they point at ends there") if end > at + 12 * count else None


def _listed_end(window: Window, place: int, kind: int, budget: Budget) -> int:
    """End of stacks and contexts (3), names and records (4), ranges (5) of a list stream."""
    number, end, width = window.number(place, 4), 0, {3: 48, 4: 108, 5: 16}[kind]
    for i in range(min(max(0, number), 1 << 16)):
        budget.item()
        entry = place + 4 + width * i
        for at in {3: (32, 40), 4: (76, 84), 5: (8,)}[kind]:
            size, where = window.number(entry + at, 4), window.number(entry + at + 4, 4)
            end = max(end, where + size if size > 0 else 0)
        if kind == 4 and (name := window.number(entry + 20, 4)) > 0:
            end = max(end, name + 4 + max(0, window.number(name, 4)) + 2)
    return end


def _measure_crash(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    wide = data.read_at(4, 4) == b"DU64"
    raw = data.read_at(0, 0x2000 if wide else 0x1000)
    if len(raw) < (0x2000 if wide else 0x1000) or raw[8:12] not in (b"\x0f\0\0\0", b"\x0c\0\0\0"):
        return None
    machine = int.from_bytes(raw[48:52] if wide else raw[32:36], "little")
    kind, size = (
        int.from_bytes(raw[a:b], "little") for a, b in (((0xF98, 0xF9C), (0xFA0, 0xFA8)) if wide else ((0xF88, 0xF8C), (0xFA0, 0xFA8)))
    )
    if machine not in (0x14C, 0x8664, 0xAA64, 0x200) or kind not in (1, 2, 4, 5, 6) or not 0x2000 <= size <= 1 << 44:
        return None
    return stated(data, size, 0.7, f"size stated by the header, type {kind}")


def _measure_thumbcache(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    version, kind, first = window.number(4, 4), window.number(8, 4), window.number(12, 4)
    at = first if version < 0x1A else window.number(16, 4)
    if version not in (0x14, 0x15, 0x1A, 0x1C, 0x1E, 0x1F, 0x20) or not 0 <= kind <= 13 or not 24 <= at <= 64:
        return None
    count = 0
    while window.at(at, 4) == b"CMMM":
        budget.item()
        size = window.number(at + 4, 4)
        if size < 48 or at + size > data.size:
            return Find(min(at, data.size), 0.5, f"{count} entries, the next breaks off", complete=False) if count else None
        at, count = at + size, count + 1
    return Find(at, 0.7, f"{count} entries, then none") if count else None


_RECYCLED_MASK = b"\xff" * 8 + b"\0" * 6 + b"\xff\xff" + b"\0" * 6 + b"\xc0\xff"

CARVERS = (
    Carver(
        name="recycled",
        title="Windows recycle bin record ($I)",
        extension="recycled",
        mime="application/x-ms-recycle-bin",
        signatures=tuple(Signature(bytes((v,)) + bytes(7) + bytes(14) + b"\xc0\x01", mask=_RECYCLED_MASK, align=8) for v in (1, 2)),
        measure=_measure_recycled,
        maximum=4096,
        refs=("libyal: Windows Recycle.Bin file formats",),
        gaps=(
            "only starts on multiples of 8 bytes, as resident files have them",
            "deletion times before 2009 or after 2066 are not recognised",
        ),
    ),
    Carver(
        name="info2",
        title="Windows recycler index (INFO2)",
        extension="info2",
        mime="application/x-ms-info2",
        signatures=tuple(
            Signature(b"\5\0\0\0" + bytes(8) + size, mask=b"\xff" * 4 + bytes(8) + b"\xff" * 4) for size in (b"\x20\3\0\0", b"\x18\1\0\0")
        ),
        measure=_measure_info2,
        maximum=64 << 20,
        refs=("K. Jones: Forensic Analysis of Microsoft Windows Recycle Bin Records",),
        gaps=("the end is where no record follows",),
    ),
    Carver(
        name="job",
        title="Windows scheduled job",
        extension="job",
        mime="application/x-ms-job",
        signatures=tuple(
            Signature(version + b"\1\0" + bytes(16) + b"\x46\0", mask=b"\xff" * 4 + bytes(16) + b"\xff\xff")
            for version in (b"\0\4", b"\0\5", b"\1\5", b"\2\5", b"\0\6", b"\1\6", b"\2\6", b"\3\6", b"\0\x0a")
        ),
        measure=_measure_job,
        maximum=1 << 20,
        refs=("[MS-TSCH] 2.4",),
        gaps=("the signature behind the triggers is not verified",),
    ),
    Carver(
        name="custom-destinations",
        title="Windows jump list (custom)",
        extension="customdestinations-ms",
        mime="application/x-ms-jumplist",
        signatures=(
            Signature(b"\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", mask=b"\xff" * 4 + b"\xf0" + b"\xff" * 7 + b"\xfc\xff\xff\xff", align=_SECTOR),
        ),
        measure=_measure_custom,
        maximum=16 << 20,
        refs=("libyal: Jump lists format, custom destinations",),
        gaps=("lists without links are refused", "only starts on a sector boundary"),
    ),
    Carver(
        name="index-dat",
        title="Internet Explorer cache index (index.dat)",
        extension="dat",
        mime="application/x-ms-index-dat",
        signatures=(Signature(b"Client UrlCache MMF Ver "),),
        measure=_measure_indexdat,
        maximum=1 << 31,
        refs=("libyal: MSIE Cache File (index.dat) format",),
        gaps=("records are not walked",),
    ),
    Carver(
        name="recent-file-cache",
        title="Windows RecentFileCache.bcf",
        extension="bcf",
        mime="application/x-ms-bcf",
        signatures=(Signature(b"\xfe\xff\xee\xff\x11\x22\0\0\3\0\0\0\1\0\0\0"),),
        measure=_measure_filecache,
        maximum=16 << 20,
        refs=("E. Zimmerman: RecentFileCache.bcf layout",),
        gaps=("the end is where no path follows",),
    ),
    Carver(
        name="nk2",
        title="Outlook nicknames (NK2)",
        extension="nk2",
        mime="application/x-ms-nk2",
        signatures=(Signature(b"\x0d\xf0\xad\xba\x0a\0\0\0\1\0\0\0"),),
        measure=_measure_nk2,
        maximum=64 << 20,
        refs=("libyal: Nickfile (NK2) format", "[MS-OXOCFG] 2.2.9, autocomplete stream"),
        gaps=("property types that no nickname has end the walk",),
    ),
    Carver(
        name="minidump",
        title="Windows minidump",
        extension="dmp",
        mime="application/x-dmp",
        signatures=(Signature(b"MDMP\x93\xa7"),),
        measure=_measure_minidump,
        maximum=1 << 40,
        refs=("Microsoft: minidumpapiset.h, MINIDUMP_HEADER",),
        gaps=("data that no stream lists is left out", "no sample written by Windows was at hand"),
    ),
    Carver(
        name="crash-dump",
        title="Windows crash dump",
        extension="dmp",
        mime="application/x-dmp",
        signatures=(Signature(b"PAGEDU64"), Signature(b"PAGEDUMP")),
        measure=_measure_crash,
        maximum=1 << 44,
        refs=("Volatility and ReactOS: DUMP_HEADER, DUMP_HEADER64",),
        gaps=("the size is the header's", "no sample written by Windows was at hand"),
        kinds=(Kind("dmp", "application/x-dmp", "Windows crash dump"),),
    ),
    Carver(
        name="thumbcache",
        title="Windows thumbnail cache",
        extension="db",
        mime="application/x-ms-thumbcache",
        signatures=(Signature(b"CMMM\0\0\0\0", mask=b"\xff" * 4 + b"\xc0\xff\xff\xff"),),
        measure=_measure_thumbcache,
        maximum=1 << 32,
        refs=("libyal: Windows Explorer Thumbnail Cache database format",),
        gaps=("space behind the last entry is left out", "no sample written by Windows was at hand"),
    ),
)
