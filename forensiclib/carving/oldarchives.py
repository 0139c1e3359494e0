"""Archives of other times and systems: cpio, ar, RPM, ARJ, LHA, ACE, StuffIt, WIM, WARC, Chrome extensions."""

from __future__ import annotations

import re
import zlib

from forensiclib.carving import zip as packages
from forensiclib.carving._read import Window
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_BLOCK = 512
_NAME = 4_096


def _hex(raw: bytes, base: int) -> int:
    allowed = b"0123456789abcdefABCDEF" if base == 16 else b"01234567"
    return int(raw, base) if raw and not raw.strip(allowed) else -1


def _cpio_member(window: Window, at: int) -> tuple[int, bytes]:
    """(offset behind the member at ``at``, its name); (-1, b"") when none is there."""
    raw = window.at(at, 110)
    if raw[:6] in (b"070701", b"070702") and len(raw) == 110:
        fields = [_hex(raw[i : i + 8], 16) for i in range(6, 110, 8)]
        header, size, name = 110, fields[6], fields[11]
        if min(fields) < 0:
            return -1, b""
        pad = 4
    elif raw[:6] == b"070707" and len(raw) >= 76:
        header, size, name, pad = 76, _hex(raw[65:76], 8), _hex(raw[59:65], 8), 1
        if _hex(raw[6:76], 8) < 0:
            return -1, b""
    elif raw[:2] in (b"\xc7\x71", b"\x71\xc7") and len(raw) >= 26:
        order = "little" if raw[0] == 0xC7 else "big"
        words = [int.from_bytes(raw[i : i + 2], order) for i in range(0, 26, 2)]  # type: ignore[arg-type]
        header, size, name, pad = 26, words[11] << 16 | words[12], words[10], 2
    else:
        return -1, b""
    text = window.at(at + header, name) if 0 < name <= _NAME else b""
    if len(text) != name or name < 2 or text[-1] or b"\0" in text[:-1] or (len(text) > 1 and min(text[:-1]) < 0x20):
        return -1, b""
    body = at + header + name
    body += -(body - at) % pad
    return body + size + -size % pad, text[:-1]


def _measure_cpio(data: ByteSource, budget: Budget) -> Find | None:
    window, at, members, safe = Window(data), 0, 0, 0
    while True:
        budget.item()
        end, name = _cpio_member(window, at)
        if end < 0 or end > data.size:
            return (
                Find(safe, 0.6, f"{members} members, then neither a member nor the trailer", complete=False, owned=safe) if safe else None
            )
        if name == b"TRAILER!!!":
            break
        at, members, safe = end, members + 1, end
    tail = data.read_at(end, -end % _BLOCK)
    full = len(tail) == -end % _BLOCK and not any(tail)
    return Find(end + len(tail) if full else end, 0.95, f"{members} members and the trailer")


def _measure_ar(data: ByteSource, budget: Budget) -> Find | None:
    window, at, names = Window(data), 8, list[bytes]()
    while True:
        budget.item()
        raw = window.at(at, 60)
        size = raw[48:58].rstrip(b" ")
        if len(raw) < 60 or raw[58:] != b"`\n" or not size.isdigit():
            break
        end = at + 60 + int(size)
        names.append(raw[:16].rstrip())
        if end > data.size:
            return Find(data.size, 0.5, f"{len(names)} members, the data ends inside the last", *_ar_kind(names), complete=False)
        at = end + (end & 1 and window.at(end, 1) == b"\n")
    if not names:
        return None
    return Find(at, 0.9, f"{len(names)} members, then none", *_ar_kind(names))


def _ar_kind(names: list[bytes]) -> tuple[str, str]:
    if names[0].rstrip(b"/") == b"debian-binary":
        return "deb", "Debian package"
    if names[:2] == [b"/", b"/"]:
        return "lib", "Microsoft library"
    return "a", "static library or ar archive"


def _rpm_header(window: Window, at: int) -> tuple[int, int]:
    """(entries, bytes of the store) of the header structure at ``at``; (-1, 0) when none is there."""
    if window.at(at, 4) != b"\x8e\xad\xe8\x01":
        return -1, 0
    entries, store = window.number(at + 8, 4, big=True), window.number(at + 12, 4, big=True)
    return (entries, store) if 0 < entries <= 1 << 16 and 0 < store <= 256 << 20 else (-1, 0)


def _measure_rpm(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    if window.number(4, 1) not in (3, 4) or window.number(78, 2, big=True) != 5:
        return None
    entries, store = _rpm_header(window, 96)
    if entries < 0:
        return None
    size, values = -1, 96 + 16 + 16 * entries
    for i in range(entries):
        budget.item()
        raw = window.at(112 + 16 * i, 16)
        tag, kind, offset = (int.from_bytes(raw[a : a + 4], "big") for a in (0, 4, 8))
        if tag == 1000 and kind == 4:
            size = window.number(values + offset, 4, big=True)
        elif tag == 270 and kind == 5:
            size = window.number(values + offset, 8, big=True)
    start = values + store
    start += -start % 8
    second, more = _rpm_header(window, start)
    if second < 0:
        return Find(min(96, data.size), 0.4, "lead and signature, no header behind them", complete=False)
    if size <= 16 + 16 * second + more:
        return Find(min(data.size, start + 16 + 16 * second + more), 0.5, "headers; the size of the payload is not stated", complete=False)
    return stated(data, start + size, 0.95, f"size stated by the signature header, {second} tags")


def _measure_arj(data: ByteSource, budget: Budget) -> Find | None:
    window, at, files = Window(data), 0, -1
    while True:
        budget.item()
        size = window.number(at + 2, 2)
        if window.at(at, 2) != b"\x60\xea" or size > 2600:
            break
        if size == 0:
            return Find(at + 4, 1.0, f"{files} files, header checksums good, end mark") if files >= 0 else None
        header = window.at(at + 4, size)
        if len(header) < size or window.number(at + 4 + size, 4) != zlib.crc32(header):
            break
        end = at + 8 + size
        while (extended := window.number(end, 2)) > 0:
            end += 2 + extended + 4
        end += 2
        if files >= 0:
            end += int.from_bytes(header[12:16], "little")
        if end > data.size:
            break
        at, files = end, files + 1
    return Find(at, 0.6, f"{files} files, header checksums good, no end mark", complete=False, owned=at) if at else None


def _lha_member(window: Window, at: int) -> int:
    """Offset behind the member at ``at``, -1 when none is there."""
    raw = window.at(at, 26)
    if len(raw) < 24 or raw[2:4] != b"-l" or raw[6:7] != b"-" or raw[20] > 2:
        return -1
    packed = int.from_bytes(raw[7:11], "little")
    if raw[20] == 2:
        total = int.from_bytes(raw[:2], "little")
        return at + total + packed if total >= 26 else -1
    size = raw[0] + 2
    header = window.at(at, size)
    if len(header) < size or size < 24 or sum(header[2:]) & 255 != raw[1]:
        return -1
    return at + size + packed  # the extended headers of level 1 are counted in the packed size


def _measure_lha(data: ByteSource, budget: Budget) -> Find | None:
    window, at, files = Window(data), 0, 0
    while (end := _lha_member(window, at)) > 0:
        budget.item()
        if end > data.size:
            return Find(data.size, 0.5, f"{files} files, the data ends inside the next", complete=False) if files else None
        at, files = end, files + 1
        if window.number(at, 1) == 0:
            return Find(at + 1, 0.9, f"{files} files and the end mark")
        if window.number(at, 1) < 0:
            return Find(at, 0.8, f"{files} files, the data ends without an end mark")
    return Find(at, 0.6, f"{files} files, then neither a file nor the end mark", complete=False, owned=at) if files else None


def _measure_ace(data: ByteSource, budget: Budget) -> Find | None:
    window, at, blocks = Window(data), 0, 0
    while True:
        budget.item()
        raw = window.at(at, 7)
        if len(raw) < 7:
            break
        size = int.from_bytes(raw[2:4], "little")
        header = window.at(at + 4, size)
        if size < 3 or len(header) < size or (zlib.crc32(header) ^ 0xFFFFFFFF) & 0xFFFF != int.from_bytes(raw[:2], "little"):
            break
        more = int.from_bytes(header[3:7], "little") if header[1] & 1 and size >= 7 else 0
        if at + 4 + size + more > data.size:
            return Find(data.size, 0.5, f"{blocks} blocks, the data ends inside the next", complete=False) if blocks else None
        at, blocks = at + 4 + size + more, blocks + 1
    return Find(at, 0.9, f"{blocks} blocks, header checksums good, then none") if blocks > 1 else None


def _measure_sit(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 112)
    if raw[10:14] == b"rLau" and len(raw) == 112:
        size = int.from_bytes(raw[6:10], "big")
        return stated(data, size, 0.8, "size stated by the header") if 22 <= size <= 1 << 31 and raw[14] in (1, 2) else None
    if raw[:16] == b"StuffIt (c)1997-" and len(raw) == 112:
        size = int.from_bytes(raw[84:88], "big")
        return stated(data, size, 0.8, "size stated by the header", "sit", "StuffIt 5 archive") if 114 <= size <= 1 << 31 else None
    return None


def _measure_wim(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 208)
    if len(raw) < 208 or int.from_bytes(raw[8:12], "little") != 208 or raw[13:16] not in (b"\x0d\x01\0", b"\x0e\0\0", b"\x0c\x01\0"):
        return None
    parts, total = int.from_bytes(raw[42:44], "little"), int.from_bytes(raw[40:42], "little")
    end = 208
    for at in (48, 72, 96, 124):
        size, offset = int.from_bytes(raw[at : at + 7], "little"), int.from_bytes(raw[at + 8 : at + 16], "little")
        if size and offset < 208:
            return None
        end = max(end, offset + size if size else 0)
    if end == 208 or end > 1 << 45 or not parts or total > parts:
        return None
    kind = ("esd", "Windows image, solid (ESD)") if raw[12:16] == b"\0\x0e\0\0" else ("", "")
    xml = int.from_bytes(raw[80:88], "little")
    if xml and end <= data.size and data.read_at(xml, 4) != b"\xff\xfe<\0":
        return Find(208, 0.4, "header; no XML data where it says", *kind, complete=False)
    return stated(data, end, 0.9, "the lookup table, XML data and integrity table of the header end there", *kind)


_LENGTH = re.compile(rb"\r\nContent-Length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)


def _measure_warc(data: ByteSource, budget: Budget) -> Find | None:
    at, records = 0, 0
    while True:
        budget.item()
        head = data.read_at(at, 8192)
        end = head.find(b"\r\n\r\n")
        match = _LENGTH.search(head[: end + 2]) if end > 0 and head.startswith(b"WARC/") else None
        if match is None:
            break
        stop = at + end + 4 + int(match[1])
        if data.read_at(stop, 4) != b"\r\n\r\n":
            return Find(min(data.size, max(at, 1)), 0.5, f"{records} records, the next breaks off", complete=False) if records else None
        at, records = stop + 4, records + 1
    return Find(at, 0.95, f"{records} records") if records else None


def _measure_crx(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(4, 12)
    version, first, second = (int.from_bytes(raw[i : i + 4], "little") for i in (0, 4, 8))
    at = 16 + first + second if version == 2 else 12 + first
    if len(raw) < 12 or version not in (2, 3) or not 12 < at <= 1 << 20 or data.read_at(at, 4) != b"PK\3\4":
        return None
    inner = packages.CARVERS[0].measure(data.slice(at), budget)
    if inner is None:
        return None
    return Find(at + inner.length, inner.confidence, f"header; {inner.reason}", complete=inner.complete)


CARVERS = (
    Carver(
        name="cpio",
        title="cpio archive",
        extension="cpio",
        mime="application/x-cpio",
        signatures=(
            *(Signature(mark) for mark in (b"070701", b"070702")),
            Signature(b"070707"),
            Signature(b"\xc7\x71", align=_BLOCK),
            Signature(b"\x71\xc7", align=_BLOCK),
        ),
        measure=_measure_cpio,
        maximum=64 << 30,
        refs=("cpio(5): new ASCII, CRC, portable ASCII and binary formats", "Linux: early userspace, initramfs buffer format"),
        gaps=("zeros behind the trailer are counted to the next multiple of 512", "binary archives only on a sector boundary"),
    ),
    Carver(
        name="ar",
        title="ar archive",
        extension="a",
        mime="application/x-archive",
        signatures=(Signature(b"!<arch>\n"),),
        measure=_measure_ar,
        maximum=16 << 30,
        refs=("ar(5)", "deb(5)", "Microsoft: PE Format, Archive (Library) File Format"),
        gaps=("the end is where no member follows", "thin archives are not recognised"),
        kinds=(
            Kind("a", "application/x-archive", "static library or ar archive"),
            Kind("deb", "application/vnd.debian.binary-package", "Debian package"),
            Kind("lib", "application/x-archive", "Microsoft library"),
        ),
    ),
    Carver(
        name="rpm",
        title="RPM package",
        extension="rpm",
        mime="application/x-rpm",
        signatures=(Signature(b"\xed\xab\xee\xdb"),),
        measure=_measure_rpm,
        maximum=16 << 30,
        refs=("rpm.org: RPM Package File Format (V3/V4)",),
        gaps=("packages of version 6 state no size there and are reported as incomplete",),
    ),
    Carver(
        name="arj",
        title="ARJ archive",
        extension="arj",
        mime="application/x-arj",
        signatures=(Signature(b"\x60\xea\0\0" + bytes(6) + b"\x02", mask=b"\xff\xff\0\xf0\xc0" + bytes(5) + b"\xff"),),
        measure=_measure_arj,
        refs=("ARJ archiver: UNARJ TECHNOTE",),
        gaps=("multi-volume sets are separate finds", "data checksums are not verified"),
    ),
    Carver(
        name="lha",
        title="LHA archive",
        extension="lzh",
        mime="application/x-lzh-compressed",
        signatures=(Signature(b"-lh\0-", 2, mask=b"\xff\xff\xff\0\xff"), Signature(b"-lz\0-", 2, mask=b"\xff\xff\xff\0\xff")),
        measure=_measure_lha,
        refs=("LHA for UNIX: header.doc, levels 0 to 2",),
        gaps=("level 3 headers are refused", "data checksums are not verified"),
    ),
    Carver(
        name="ace",
        title="ACE archive",
        extension="ace",
        mime="application/x-ace-compressed",
        signatures=(Signature(b"**ACE**", 7),),
        measure=_measure_ace,
        refs=("ACE 1.2: TECHINFO, block headers",),
        gaps=("the end is where no block follows; no sample written by ACE itself was at hand",),
    ),
    Carver(
        name="stuffit",
        title="StuffIt archive",
        extension="sit",
        mime="application/x-stuffit",
        signatures=(Signature(b"rLau", 10), Signature(b"StuffIt (c)1997-")),
        measure=_measure_sit,
        refs=("StuffIt file format notes (The Unarchiver project wiki)",),
        gaps=("the length is the header's; members are not walked", "no sample written by StuffIt itself was at hand"),
        kinds=(Kind("sit", "application/x-stuffit", "StuffIt archive"), Kind("sit", "application/x-stuffit", "StuffIt 5 archive")),
    ),
    Carver(
        name="wim",
        title="Windows image (WIM)",
        extension="wim",
        mime="application/x-ms-wim",
        signatures=(Signature(b"MSWIM\0\0\0\xd0\0\0\0"),),
        measure=_measure_wim,
        maximum=1 << 40,
        refs=("Microsoft: Windows Imaging File Format (WIM)", "wimlib: WIM header"),
        gaps=("resources are not verified", "pipable images (WLPWM) are not recognised"),
        kinds=(
            Kind("wim", "application/x-ms-wim", "Windows image (WIM)"),
            Kind("esd", "application/x-ms-wim", "Windows image, solid (ESD)"),
        ),
    ),
    Carver(
        name="warc",
        title="Web archive (WARC)",
        extension="warc",
        mime="application/warc",
        signatures=(Signature(b"WARC/1.0\r\n"), Signature(b"WARC/1.1\r\n")),
        measure=_measure_warc,
        maximum=64 << 30,
        refs=("ISO 28500:2017",),
        gaps=("a record header of more than 8 KiB ends the walk",),
    ),
    Carver(
        name="crx",
        title="Chrome extension",
        extension="crx",
        mime="application/x-chrome-extension",
        signatures=(Signature(b"Cr24\x02\0\0\0"), Signature(b"Cr24\x03\0\0\0")),
        measure=_measure_crx,
        refs=("Chromium: crx_file, CRX2 and CRX3 headers",),
        gaps=("the signature is not verified",),
    ),
)
