"""Documents of many programs: RTF, OneNote, WordPerfect, CHM, MOBI, Write, WinHelp, spreadsheets, HWP; mail stores."""

from __future__ import annotations

import zlib
from itertools import pairwise

from forensiclib.carving._inflate import inflate
from forensiclib.carving._read import Window, blocks
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_STEP = 64 << 10
_CONTROL = frozenset(range(32)) - {0, 9, 10, 11, 12, 13, 26}


def _measure_rtf(data: ByteSource, budget: Budget) -> Find | None:
    """Braces counted, escapes and \\bin data stepped over."""
    head = data.read_at(0, 64)
    if len(head) < 8 or head[5:6] not in b"1\\ \r\n{" or head.count(b"\0") or len(_CONTROL.intersection(head)):
        return None
    depth, skip, at, word, controls = 0, 0, 0, b"", 0
    for piece in blocks(data, 0, data.size, budget, _STEP):
        piece, here = word + piece, 0
        at -= len(word)
        word = b""
        if skip >= len(piece):
            skip, at = skip - len(piece), at + len(piece)
            continue
        here, skip = skip, 0
        while here < len(piece):
            places = [p for p in (piece.find(b"{", here), piece.find(b"}", here), piece.find(b"\\", here)) if p >= 0]
            stop = min(places, default=len(piece))
            text = piece[here:stop]
            if b"\0" in text and text.strip(b"\0\r\n "):
                return _rtf_broken(at + here + text.index(b"\0"), controls)
            if _CONTROL.intersection(text[:512]):
                return _rtf_broken(at + here, controls)
            here = stop
            if here >= len(piece):
                break
            mark = piece[here]
            if mark == 0x5C:
                if here + 32 > len(piece) and at + len(piece) < data.size:
                    word = piece[here:]
                    break
                controls += 1
                if piece[here + 1 : here + 5] == b"bin" + piece[here + 4 : here + 5] and piece[here + 4 : here + 5].isdigit():
                    digits = piece[here + 4 : here + 14]
                    digits = digits[: len(digits) - len(digits.lstrip(b"0123456789"))] or digits
                    size = int(digits[:9]) if digits.isdigit() else 0
                    here += 4 + len(digits) + 1 + size
                    if here > len(piece):
                        skip, here = here - len(piece), len(piece)
                else:
                    here += 2
                continue
            depth += 1 if mark == 0x7B else -1
            here += 1
            if depth == 0:
                return _rtf_end(data, at + here, controls)
        at += len(piece) - len(word)
    return _rtf_broken(min(at, data.size), controls)


def _rtf_end(data: ByteSource, end: int, controls: int) -> Find | None:
    if controls < 3:
        return None
    tail = data.read_at(end, 4)
    for line in (b"\r\n", b"\n"):
        if tail.startswith(line):
            end += len(line)
            break
    return Find(end, 0.95, f"{controls} control words, every brace closed")


def _rtf_broken(at: int, controls: int) -> Find | None:
    return Find(at, 0.4, f"{controls} control words, then no text; a brace is open", complete=False) if controls > 8 and at else None


_ONE = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3")
_TOC = bytes.fromhex("a12ff743d9ef764c9ee210ea5722765f")


def _measure_one(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 1024)
    if len(raw) < 1024 or not any(raw[16:32]) or not any(raw[48:64]):
        return None
    size = int.from_bytes(raw[196:204], "little")
    kind = ("onetoc2", "OneNote table of contents") if raw[:16] == _TOC else ("one", "OneNote section")
    return stated(data, size, 0.9, "size stated by the header", *kind) if 1024 <= size <= 1 << 36 else None


def _measure_wp(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 32)
    start, major = int.from_bytes(raw[4:8], "little"), raw[10] if len(raw) == 32 else 0
    product, kind = (raw[8], raw[9]) if len(raw) == 32 else (0, 0)
    if len(raw) < 32 or not 16 <= start <= 1 << 24 or major > 3 or not 1 <= kind <= 0x50 or not 1 <= product <= 0x40:
        return None
    size = int.from_bytes(raw[20:24], "little")
    names = {
        0x0A: ("wpd", "WordPerfect document"),
        0x16: ("wpg", "WordPerfect graphic"),
        0x10: ("shw", "WordPerfect presentation"),
        0x0F: ("shw", "WordPerfect presentation"),
    }.get(kind, ("wpd", "WordPerfect file"))
    if major >= 1 and start <= size <= 1 << 28:
        return stated(data, size, 0.85, "size stated by the header", *names)
    return Find(min(start, data.size), 0.4, "header of an early version, which states no size", *names, complete=False)


def _measure_chm(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 112)
    version, header = int.from_bytes(raw[4:8], "little"), int.from_bytes(raw[8:12], "little")
    if len(raw) < 112 or version not in (2, 3) or not 88 <= header <= 256:
        return None
    first, size = int.from_bytes(raw[56:64], "little"), int.from_bytes(raw[64:72], "little")
    part = data.read_at(first, 24)
    total = int.from_bytes(part[8:16], "little")
    second = int.from_bytes(raw[72:80], "little")
    if size != 24 or part[:2] != b"\xfe\x01" or not second <= total <= 1 << 32:
        return None
    if second + 4 <= data.size and data.read_at(second, 4) != b"ITSP":
        return None
    return stated(data, total, 0.95, "size stated by header section 0")


def _measure_palm(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 78)
    count = int.from_bytes(raw[76:78], "big")
    if len(raw) < 78 or count < 2 or b"\0" not in raw[:32] or min(raw[:32].split(b"\0")[0], default=0) < 0x20:
        return None
    table = data.read_at(78, 8 * count)
    budget.item(count)
    places = [int.from_bytes(table[i : i + 4], "big") for i in range(0, len(table) - 7, 8)]
    if len(places) < count or places[0] < 78 + 8 * count or any(a > b for a, b in pairwise(places)):
        return None
    first = data.read_at(places[0], 280)
    kind = ("prc", "Palm document") if raw[60:64] == b"TEXt" else ("mobi", "Mobipocket book")
    if kind[0] == "mobi" and first[16:20] != b"MOBI":
        return Find(min(78, data.size), 0.4, "header; no book record where it says", *kind, complete=False)
    if kind[0] == "mobi" and int.from_bytes(first[36:40], "big") >= 8:
        kind = "azw3", "Kindle book (KF8)"
    last = places[-1]
    if last > data.size:
        return Find(data.size, 0.4, f"{count} records, the data ends before the last", *kind, complete=False)
    if data.read_at(last, 4) == b"\xe9\x8e\r\n":
        return Find(last + 4, 1.0, f"{count} records, the last one is the end mark", *kind)
    tail = data.read_at(last, 4096)
    size = tail.find(bytes(16))
    return Find(last + (size if size >= 0 else len(tail)), 0.5, f"{count} records; the end of the last one is inferred", *kind)


def _measure_wri(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 128)
    if len(raw) < 128 or raw[4:6] != b"\0\xab" or any(raw[6:14]):
        return None
    end, para, foot, section, pages, fonts, last = (
        int.from_bytes(raw[a : a + n], "little") for a, n in ((14, 4), (18, 2), (20, 2), (22, 2), (26, 2), (28, 2), (96, 2))
    )
    kind = ("", "") if last else ("doc", "Word for DOS document")
    last = last or fonts
    if not 128 <= end <= last * 128 or not 0 < para <= foot <= section <= pages <= fonts <= last:
        return None
    return stated(data, last * 128, 0.85, f"{last} pages of 128 bytes stated by the header", *kind)


def _measure_hlp(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, 16)
    directory, free, size = (int.from_bytes(raw[i : i + 4], "little") for i in (4, 8, 12))
    if len(raw) < 16 or not 16 <= directory < size <= 1 << 30 or (free != 0xFFFFFFFF and free >= size):
        return None
    if directory + 11 <= data.size and int.from_bytes(data.read_at(directory + 9, 2), "little") != 0x293B:
        return None
    budget.check()
    return stated(data, size, 0.9, "size stated by the header, the directory is a B-tree")


_SHEETS = {
    b"\x06\x04": ("wk1", "Lotus 1-2-3 worksheet"),
    b"\x04\x04": ("wks", "Lotus 1-2-3 worksheet (1A)"),
    b"\x05\x04": ("wrk", "Symphony worksheet"),
    b"\x20\x51": ("wq1", "Quattro Pro worksheet"),
    b"\x21\x51": ("wq2", "Quattro Pro worksheet (5)"),
}


def _measure_lotus(data: ByteSource, budget: Budget) -> Find | None:
    window, at, count = Window(data), 0, 0
    if window.at(2, 2) == b"\2\0":
        kind = _SHEETS.get(window.at(4, 2))
    else:
        kind = {0x1000: ("wk3", "Lotus 1-2-3 worksheet (3)"), 0x1002: ("wk4", "Lotus 1-2-3 worksheet (4 and 5)")}.get(window.number(4, 2))
        kind = kind or {0x1003: ("123", "Lotus 1-2-3 workbook (97)"), 0x1005: ("123", "Lotus 1-2-3 workbook (97)")}.get(window.number(4, 2))
    if kind is None:
        return None
    while True:
        budget.item()
        tag, size = window.number(at, 2), window.number(at + 2, 2)
        if size < 0 or tag > 0x7FFF or at + 4 + size > data.size:
            return Find(min(at, data.size), 0.3, f"{count} records, then none", *kind, complete=False) if count > 8 else None
        at, count = at + 4 + size, count + 1
        if tag == 1 and not (size == 0 and window.at(at, 4) == b"\0\0\x1a\0"):  # release 4: the formats follow as a second part
            return Find(at, 0.85, f"{count} records to the end of file record", *kind) if count > 4 else None


def _measure_biff(data: ByteSource, budget: Budget) -> Find | None:
    window, at, count, depth = Window(data), 0, 0, 0
    version = {9: 2, 0x209: 3, 0x409: 4}.get(window.number(0, 2), 0)
    kind = window.number(6, 2)
    if not version or kind not in (0x10, 0x20, 0x40, 0x100):
        return None
    while True:
        budget.item()
        tag, size = window.number(at, 2), window.number(at + 2, 2)
        if not 0 <= size <= 8224 or tag > 0x8FF or at + 4 + size > data.size:
            return Find(min(at, data.size), 0.3, f"{count} records, then none", complete=False) if count > 8 else None
        depth += (tag & 0xFF == 9 and tag >> 8 in (0, 2, 4)) - (tag == 10)
        at, count = at + 4 + size, count + 1
        if tag == 10 and depth <= 0:
            return Find(at, 0.85, f"{count} records of Excel {version} to the end of file record") if count > 4 else None


def _measure_tnef(data: ByteSource, budget: Budget) -> Find | None:
    window, at, count = Window(data, 1 << 16), 6, 0
    while True:
        budget.item()
        level, size = window.number(at, 1), window.number(at + 5, 4)
        if level not in (1, 2) or size < 0 or size > 1 << 31 or at + 11 + size > data.size:
            break
        total = sum(sum(piece) for piece in blocks(data, at + 9, at + 9 + size, budget))
        if total & 0xFFFF != window.number(at + 9 + size, 2):
            break
        at, count = at + 11 + size, count + 1
    return Find(at, 0.95, f"{count} attributes with good checksums, then none") if count > 1 else None


def _measure_pst(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 580)
    if len(raw) < 580 or raw[8:10] not in (b"SM", b"SO", b"AB"):
        return None
    crc = zlib.crc32(raw[8:479], 0xFFFFFFFF) ^ 0xFFFFFFFF
    version = int.from_bytes(raw[10:12], "little")
    wide = version >= 20
    size = int.from_bytes(raw[184:192], "little") if wide else int.from_bytes(raw[168:172], "little")
    good = crc == int.from_bytes(raw[4:8], "little")
    if version not in (14, 15, 20, 21, 23, 36, 37) or size < 1024 or size > 1 << 44 or not good:
        return None
    kind = {b"SM": ("pst", "Outlook store (PST)"), b"SO": ("ost", "Outlook offline store (OST)"), b"AB": ("pab", "Outlook address book")}[
        raw[8:10]
    ]
    return stated(data, size, 0.9, f"size stated by the root of version {version}, header checksum good", *kind)


def _measure_dbx(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 0x24BC)
    size = int.from_bytes(raw[0x7C:0x80], "little")
    if len(raw) < 0x24BC or raw[4:16] not in _DBX or not 0x24BC <= size <= 1 << 31:
        return None
    return stated(data, size, 0.6, "size stated by the header", "dbx", "Outlook Express folder")


_DBX = (
    bytes.fromhex("c5fd746f66e3d1119a4e00c0"),
    bytes.fromhex("c6fd746f66e3d1119a4e00c0"),
    bytes.fromhex("c7fd746f66e3d1119a4e00c0"),
    bytes.fromhex("309dfe26cf12d1119a4e00c0"),
)


def _measure_hwp(data: ByteSource, budget: Budget) -> Find | None:
    """HWP 3: header, information blocks, then deflated text whose end is the file's but for attached data."""
    window = Window(data)
    at = 30 + 128 + 1008
    packed, information = window.number(30 + 124, 1), window.number(30 + 126, 2)
    if packed not in (0, 1) or information < 0 or window.at(17, 4) != b" V3.":
        return None
    if not packed:
        return Find(at, 0.4, "header; text that is not compressed states no end", complete=False) if data.size >= at else None
    stream = inflate(data, at + information, budget)
    if not stream.whole:
        return Find(min(at, data.size), 0.4, f"header; {stream.why}", complete=False)
    return Find(stream.end, 0.6, f"header and {stream.size} bytes of text; data behind them is left out")


CARVERS = (
    Carver(
        name="rtf",
        title="Rich Text Format document",
        extension="rtf",
        mime="application/rtf",
        signatures=(Signature(b"{\\rtf"),),
        measure=_measure_rtf,
        maximum=1 << 30,
        refs=("Microsoft: Rich Text Format Specification 1.9.1",),
        gaps=("one line end behind the last brace is counted, a zero that Word puts there is not",),
    ),
    Carver(
        name="onenote",
        title="OneNote file",
        extension="one",
        mime="application/onenote",
        signatures=(Signature(_ONE), Signature(_TOC)),
        measure=_measure_one,
        maximum=1 << 36,
        refs=("[MS-ONESTORE] 2.3.1",),
        gaps=("the file node lists are not walked",),
        kinds=(Kind("one", "application/onenote", "OneNote section"), Kind("onetoc2", "application/onenote", "OneNote table of contents")),
    ),
    Carver(
        name="wordperfect",
        title="WordPerfect file",
        extension="wpd",
        mime="application/vnd.wordperfect",
        signatures=(Signature(b"\xffWPC"),),
        measure=_measure_wp,
        maximum=1 << 28,
        refs=("Corel: WordPerfect File Format SDK, file prefix",),
        gaps=("versions before 6 state no size: reported as incomplete",),
        kinds=(
            Kind("wpd", "application/vnd.wordperfect", "WordPerfect document"),
            Kind("wpg", "application/x-wpg", "WordPerfect graphic"),
            Kind("shw", "application/x-corelpresentations", "WordPerfect presentation"),
        ),
    ),
    Carver(
        name="chm",
        title="compiled HTML help",
        extension="chm",
        mime="application/vnd.ms-htmlhelp",
        signatures=(Signature(b"ITSF\2\0\0\0"), Signature(b"ITSF\3\0\0\0")),
        measure=_measure_chm,
        refs=("M. Russotto: Microsoft's HTML Help (.chm) format",),
        gaps=("sections are not decompressed",),
    ),
    Carver(
        name="palm",
        title="Mobipocket or Palm book",
        extension="mobi",
        mime="application/x-mobipocket-ebook",
        signatures=(Signature(b"BOOKMOBI", 60), Signature(b"TEXtREAd", 60)),
        measure=_measure_palm,
        refs=("MobileRead wiki: MOBI", "Palm File Format Specification, PDB"),
        gaps=("the end of a last record without end mark is inferred",),
        kinds=(
            Kind("mobi", "application/x-mobipocket-ebook", "Mobipocket book"),
            Kind("azw3", "application/vnd.amazon.mobi8-ebook", "Kindle book (KF8)"),
            Kind("prc", "application/vnd.palm", "Palm document"),
        ),
    ),
    Carver(
        name="write",
        title="Windows Write document",
        extension="wri",
        mime="application/x-mswrite",
        signatures=(Signature(b"\x31\xbe\0\0\0\xab"), Signature(b"\x32\xbe\0\0\0\xab")),
        measure=_measure_wri,
        maximum=16 << 20,
        refs=("Microsoft: Write binary file format",),
        gaps=("pages are not read",),
        kinds=(Kind("wri", "application/x-mswrite", "Windows Write document"), Kind("doc", "application/msword", "Word for DOS document")),
    ),
    Carver(
        name="winhelp",
        title="Windows help file",
        extension="hlp",
        mime="application/winhlp",
        signatures=(Signature(b"\x3f\x5f\x03\0"),),
        measure=_measure_hlp,
        maximum=1 << 30,
        refs=("M. Winterhoff, L. Soomla: HELPFILE.TXT",),
        gaps=("internal files are not walked", "no sample written by the help compiler was at hand"),
    ),
    Carver(
        name="lotus",
        title="Lotus or Quattro Pro worksheet",
        extension="wk1",
        mime="application/vnd.lotus-1-2-3",
        signatures=(
            Signature(b"\0\0\2\0\4\4", mask=b"\xff" * 4 + b"\xfc\xff"),
            Signature(b"\0\0\2\0\x20\x51", mask=b"\xff" * 4 + b"\xfe\xff"),
            Signature(b"\0\0\x1a\0\0\x10", mask=b"\xff" * 4 + b"\xf8\xff"),
        ),
        measure=_measure_lotus,
        maximum=256 << 20,
        refs=("Lotus: Worksheet File Format (WKS, WK1, WK3)",),
        gaps=("formatting files (FMT, FM3) are other files",),
        kinds=(
            *(Kind(extension, "application/vnd.lotus-1-2-3", title) for extension, title in _SHEETS.values()),
            Kind("wk3", "application/vnd.lotus-1-2-3", "Lotus 1-2-3 worksheet (3)"),
            Kind("wk4", "application/vnd.lotus-1-2-3", "Lotus 1-2-3 worksheet (4 and 5)"),
            Kind("123", "application/vnd.lotus-1-2-3", "Lotus 1-2-3 workbook (97)"),
        ),
    ),
    Carver(
        name="biff",
        title="Excel worksheet (2 to 4)",
        extension="xls",
        mime="application/vnd.ms-excel",
        signatures=(
            Signature(b"\x09\0\4\0", mask=b"\xff" * 4, align=4),
            Signature(b"\x09\2\6\0\0\0", align=4),
            Signature(b"\x09\4\6\0\0\0", align=4),
        ),
        measure=_measure_biff,
        maximum=256 << 20,
        refs=("OpenOffice: Documentation of the Microsoft Excel File Format, 4 and 5",),
        gaps=("only starts on multiples of 4 bytes",),
    ),
    Carver(
        name="tnef",
        title="Outlook attachment container (TNEF)",
        extension="tnef",
        mime="application/vnd.ms-tnef",
        signatures=(Signature(b"\x78\x9f\x3e\x22"),),
        measure=_measure_tnef,
        maximum=1 << 31,
        refs=("[MS-OXTNEF] 2.1.3",),
        gaps=("an attribute with a wrong checksum ends the file before it",),
    ),
    Carver(
        name="pst",
        title="Outlook store",
        extension="pst",
        mime="application/vnd.ms-outlook-pst",
        signatures=(Signature(b"!BDN"),),
        measure=_measure_pst,
        maximum=1 << 44,
        refs=("[MS-PST] 2.2.2.5, 2.2.2.6",),
        gaps=("pages and blocks are not walked",),
        kinds=(
            Kind("pst", "application/vnd.ms-outlook-pst", "Outlook store (PST)"),
            Kind("ost", "application/vnd.ms-outlook-pst", "Outlook offline store (OST)"),
            Kind("pab", "application/vnd.ms-outlook-pab", "Outlook address book"),
        ),
    ),
    Carver(
        name="dbx",
        title="Outlook Express folder",
        extension="dbx",
        mime="application/x-ms-dbx",
        signatures=(Signature(b"\xcf\xad\x12\xfe"),),
        measure=_measure_dbx,
        maximum=1 << 31,
        refs=("A. Schloss: Outlook Express dbx file format",),
        gaps=("the tree is not walked", "no sample written by Outlook Express was at hand"),
    ),
    Carver(
        name="hwp3",
        title="Hangul document (version 3)",
        extension="hwp",
        mime="application/x-hwp",
        signatures=(Signature(b"HWP Document File V3."),),
        measure=_measure_hwp,
        maximum=1 << 28,
        refs=("Hancom: HWP 3.0 file format",),
        gaps=("attached data behind the text is left out",),
    ),
)
