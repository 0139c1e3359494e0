"""Files that macOS and iOS keep: .DS_Store, AppleDouble, bookmarks, keychains, cookies, logs, event streams."""

from __future__ import annotations

import zlib

from forensiclib.carving import plist
from forensiclib.carving._read import Window
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_LARGE = 64 << 20


def _measure_dsstore(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    offset, size, again = (window.number(i, 4, big=True) for i in (8, 12, 16))
    if offset != again or not 32 <= offset <= _LARGE or not 32 <= size <= _LARGE:
        return None
    at = offset + 4
    count = window.number(at, 4, big=True)
    if not 0 < count <= 1 << 16 or window.number(at + 4, 4, big=True):
        return Find(min(36, data.size), 0.4, "header; no list of blocks where it says", complete=False) if offset < data.size else None
    end = offset + size + 4
    for i in range(count):
        budget.item()
        block = window.number(at + 8 + 4 * i, 4, big=True)
        if block > 0:
            end = max(end, (block & ~31) + 4 + (1 << (block & 31)))
    return stated(data, end, 0.9, f"{count} blocks of the buddy allocator") if end < 1 << 31 else None


def _measure_double(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    single, count = window.number(3, 1) == 0, window.number(24, 2, big=True)
    if window.at(4, 4) not in (b"\0\2\0\0", b"\0\1\0\0") or not 0 < count <= 32:
        return None
    end, fork = 26 + 12 * count, 0
    for i in range(count):
        budget.item()
        kind, offset, size = (window.number(26 + 12 * i + j, 4, big=True) for j in (0, 4, 8))
        if size < 0 or (not 0 < kind <= 16 and kind < 0x80000000) or (size and offset < 26 + 12 * count) or offset + size > 1 << 32:
            return None
        end, fork = max(end, offset + size), fork + (kind == 2)
    kind = ("as", "AppleSingle file") if single else ("ad", "AppleDouble file (resource fork)")  # type: ignore[assignment]
    return stated(data, end, 0.9, f"{count} entries; the last one ends there", *kind)  # type: ignore[misc]


def _measure_bookmark(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    size, head = window.number(4, 4), window.number(12, 4)
    if not 48 < size <= 1 << 24 or head not in (48, 64) or window.at(8, 4) not in (b"\0\0\4\x10", b"\0\0\5\x10", b"\0\0\3\x10"):
        return None
    table = head + window.number(head, 4)
    if head + 4 <= data.size and not head < table < size:
        return None
    while 0 < table < size and table + 20 <= data.size:
        budget.item()
        if window.at(table + 4, 4) != b"\xfe\xff\xff\xff":
            return None
        following = window.number(table + 12, 4)
        if not following or head + following <= table:
            break
        table = head + following
    return stated(data, size, 0.95, "size stated by the header, tables of contents in their place")


def _measure_keychain(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    tables = window.number(12, 4, big=True)
    size, count = window.number(tables, 4, big=True), window.number(tables + 4, 4, big=True)
    if window.number(8, 4, big=True) != 16 or tables != 20 or not 0 < count <= 256 or not 8 + 4 * count <= size <= _LARGE:
        return None
    for i in range(count):
        budget.item()
        at = window.number(tables + 8 + 4 * i, 4, big=True)
        if not 8 + 4 * count <= at < size:
            return None
    return stated(data, tables + size + 4, 0.9, f"{count} tables and the version behind them")


def _measure_cookies(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    count = window.number(4, 4, big=True)
    if not 0 < count <= 1 << 16:
        return None
    at = 8 + 4 * count
    for i in range(count):
        budget.item()
        if at + 4 <= data.size and window.at(at, 4) != b"\0\0\1\0":
            return None
        at += max(0, window.number(8 + 4 * i, 4, big=True))
    if window.at(at + 4, 4) == b"\x07\x17\x20\x05" and window.at(at + 8, 4) != b"\0\0\0\x4b":
        return Find(at + 8, 0.9, f"{count} pages and the mark behind them")
    if window.at(at + 4, 8) != b"\x07\x17\x20\x05\0\0\0\x4b":
        return Find(min(at, data.size), 0.5, f"{count} pages, the mark behind them is missing", complete=False)
    at += 12
    if window.at(at, 6) == b"bplist":
        inner = plist.CARVERS[0].measure(data.slice(at), budget)
        if inner is None or not inner.complete:
            return Find(min(at, data.size), 0.6, f"{count} pages, the properties behind them break off", complete=False)
        at += inner.length
    return Find(at, 0.95, f"{count} pages, the mark and the properties behind them")


def _measure_tracev3(data: ByteSource, budget: Budget) -> Find | None:
    window, at, chunks = Window(data), 0, 0
    while True:
        budget.item()
        tag, size = window.number(at, 4), window.number(at + 8, 8)
        if tag not in (0x1000, 0x600B, 0x600D, 0x600E) or not 0 < size <= _LARGE:
            break
        end = at + 16 + size
        if end > data.size:
            return Find(data.size, 0.5, f"{chunks} chunks, the data ends inside the next", complete=False) if chunks else None
        at, chunks = end + -end % 8, chunks + 1
        if at > data.size:
            at = end
    return Find(at, 0.9, f"{chunks} chunks, then none") if chunks > 1 else None


def _measure_timesync(data: ByteSource, budget: Budget) -> Find | None:
    window, at, count = Window(data), 0, 0
    while True:
        budget.item()
        mark = window.at(at, 4)
        if mark == b"\xb0\xbb\x30\0" and window.at(at + 4, 4) == bytes(4):
            at += 48
        elif mark == b"Ts \0" and count:
            at += 32
        else:
            break
        count += 1
    if at > data.size:
        return Find(data.size, 0.4, f"{count} records, the data ends inside the last", complete=False)
    return Find(at, 0.85, f"{count} records, then none") if count > 2 else None


def _measure_segb(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    stop, at, records = window.number(0, 4), 56, 0
    if not 56 < stop <= 1 << 30:
        return None
    while at < stop:
        budget.item()
        size, state, crc = window.number(at, 4), window.number(at + 4, 4), window.number(at + 24, 4)
        raw = data.read_at(at + 32, size) if 0 < size <= _LARGE and at + 32 + size <= data.size else b""
        if not raw or state > 4 or (state == 1 and zlib.crc32(raw) != crc):
            return Find(min(at, data.size), 0.5, f"{records} records, then none", complete=False) if records else None
        at, records = at + 32 + size, records + 1
        at += -at % 8
    return Find(min(stop, data.size), 0.9, f"{records} records, checksums good") if stop <= data.size else None


def _measure_mlocate(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data, 1 << 16)
    at, directories = 16, 0
    configuration = window.number(8, 4, big=True)
    if window.number(12, 1) or window.number(13, 1) > 1 or not 0 <= configuration <= 1 << 20 or window.at(16, 1) != b"/":
        return None
    at += window.at(16, 4096).find(b"\0") + 1 + configuration
    while window.at(at + 16, 1) == b"/" and window.number(at + 8, 4, big=True) < 10**9:
        budget.item()
        here = at + 16 + window.at(at + 16, 4096).find(b"\0") + 1
        while (kind := window.number(here, 1)) in (0, 1):
            budget.item()
            length = window.at(here + 1, 512).find(b"\0")
            if length <= 0:
                break
            here += 2 + length
        if kind != 2:
            break
        at, directories = here + 1, directories + 1
    return Find(at, 0.9, f"{directories} directories, then none") if directories and at <= data.size else None


CARVERS = (
    Carver(
        name="ds-store",
        title="Finder folder settings (.DS_Store)",
        extension="ds_store",
        mime="application/x-apple-ds-store",
        signatures=(Signature(b"\0\0\0\1Bud1"),),
        measure=_measure_dsstore,
        maximum=_LARGE,
        refs=("W. Moore: DS_Store format", "Mac::Finder::DSStore: BuddyAllocator"),
        gaps=("no sample written by the Finder was at hand",),
    ),
    Carver(
        name="appledouble",
        title="AppleDouble or AppleSingle file",
        extension="ad",
        mime="multipart/appledouble",
        signatures=(Signature(b"\0\5\x16\7\0\2\0\0"), Signature(b"\0\5\x16\0\0\2\0\0"), Signature(b"\0\5\x16\0\0\1\0\0")),
        measure=_measure_double,
        refs=("RFC 1740", "Apple: AppleSingle/AppleDouble Formats"),
        gaps=("entries are not read",),
        kinds=(
            Kind("ad", "multipart/appledouble", "AppleDouble file (resource fork)"),
            Kind("as", "application/applefile", "AppleSingle file"),
        ),
    ),
    Carver(
        name="bookmark",
        title="macOS bookmark",
        extension="bookmark",
        mime="application/x-apple-bookmark",
        signatures=(Signature(b"book\0\0\0\0\0\0\0\x10", mask=b"\xff" * 4 + b"\0\0\0\xff\xff\xff\xf8\xff"),),
        measure=_measure_bookmark,
        maximum=1 << 24,
        refs=("A. Mollison: mac_alias, bookmark format",),
        gaps=("bookmarks inside property lists belong to these",),
    ),
    Carver(
        name="keychain",
        title="macOS keychain",
        extension="keychain",
        mime="application/x-apple-keychain",
        signatures=(Signature(b"kych\0\1\0\0\0\0\0\x10"),),
        measure=_measure_keychain,
        maximum=_LARGE,
        refs=("libyal: Apple OS X Keychain database file format",),
        gaps=("records are not walked",),
    ),
    Carver(
        name="binarycookies",
        title="Safari cookies (binarycookies)",
        extension="binarycookies",
        mime="application/x-apple-binarycookies",
        signatures=(Signature(b"cook\0\0"),),
        measure=_measure_cookies,
        maximum=_LARGE,
        refs=("S. Gopisetty: Safari Cookies.binarycookies format",),
        gaps=("the checksum is not verified",),
    ),
    Carver(
        name="tracev3",
        title="Apple unified log (tracev3)",
        extension="tracev3",
        mime="application/x-apple-tracev3",
        signatures=(Signature(b"\0\x10\0\0\x11\0\0\0\xd0\0\0\0\0\0\0\0"),),
        measure=_measure_tracev3,
        maximum=1 << 31,
        refs=("libyal: Apple Unified Logging and Activity Tracing formats",),
        gaps=("chunks are not decompressed",),
    ),
    Carver(
        name="timesync",
        title="Apple unified log clock (timesync)",
        extension="timesync",
        mime="application/x-apple-timesync",
        signatures=(Signature(b"\xb0\xbb\x30\0\0\0\0\0"),),
        measure=_measure_timesync,
        maximum=_LARGE,
        refs=("libyal: Apple Unified Logging and Activity Tracing formats",),
        gaps=("the end is where no record follows",),
    ),
    Carver(
        name="segb",
        title="iOS event stream (SEGB 1)",
        extension="segb",
        mime="application/x-apple-segb",
        signatures=(Signature(b"SEGB", 52),),
        measure=_measure_segb,
        maximum=1 << 30,
        refs=("A. Caithness: SEGB file format (ccl_segb)",),
        gaps=("version 2 is not recognised", "space set aside behind the last record is left out", "no sample written by iOS was at hand"),
    ),
    Carver(
        name="mlocate",
        title="locate database (mlocate)",
        extension="mlocate",
        mime="application/x-mlocate",
        signatures=(Signature(b"\0mlocate\0"),),
        measure=_measure_mlocate,
        maximum=1 << 32,
        refs=("mlocate.db(5)",),
        gaps=("the end is where no directory follows",),
    ),
)
