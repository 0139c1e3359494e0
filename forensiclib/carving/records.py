"""Captures, repositories, catalogues and profiles: pcap, git, gettext, time zones, ICC, torrents, Android."""

from __future__ import annotations

import hashlib
from itertools import pairwise

from forensiclib.carving._inflate import inflate
from forensiclib.carving._read import Window, blocks
from forensiclib.carving._stated import stated
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_SNAP = 1 << 18
_LARGE = 64 << 20


def _measure_pcap(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data, 1 << 16)
    raw = window.at(0, 24)
    big = raw[:1] == b"\xa1"
    order = "big" if big else "little"
    major, minor, snap, link = (int.from_bytes(raw[a:b], order) for a, b in ((4, 6), (6, 8), (16, 20), (20, 24)))  # type: ignore[arg-type]
    if len(raw) < 24 or (major, minor) != (2, 4) or raw[8:12] != bytes(4) or link & 0xFFFF > 400:
        return None
    fraction = 10**9 if raw[:4] in (b"\xa1\xb2\x3c\x4d", b"\x4d\x3c\xb2\xa1") else 10**6
    at, packets, most, last = 24, 0, min(snap, _SNAP) or _SNAP, 0
    while at < data.size:
        budget.item()
        seconds, part, kept, whole = (window.number(at + i, 4, big) for i in (0, 4, 8, 12))
        if whole < 0 or part >= fraction or kept > most or kept > whole or not whole or (packets and abs(seconds - last) > 86_400 * 366):
            break
        if at + 16 + kept > data.size:
            return Find(at, 0.6, f"{packets} packets, the data ends inside the next", complete=False)
        at, packets, last = at + 16 + kept, packets + 1, seconds
    return Find(at, 0.85 if packets else 0.5, f"{packets} packets, then none") if packets or at == data.size else None


def _measure_pcapng(data: ByteSource, budget: Budget) -> Find | None:
    window, at, count = Window(data, 1 << 16), 0, 0
    big = window.at(8, 4) == b"\x1a\x2b\x3c\x4d"
    while at < data.size:
        budget.item()
        kind, size = window.at(at, 4), window.number(at + 4, 4, big)
        if kind == b"\n\r\r\n":
            big = window.at(at + 8, 4) == b"\x1a\x2b\x3c\x4d"
            size = window.number(at + 4, 4, big)
        number = int.from_bytes(kind, "big" if big else "little")
        known = kind == b"\n\r\r\n" or 1 <= number <= 16 or number in (0x0BAD, 0x40000BAD, 0x80000001)
        if not known or size < 12 or size % 4 or size > _LARGE:
            break
        if window.number(at + size - 4, 4, big) != size:
            break
        at, count = at + size, count + 1
    return Find(at, 0.95, f"{count} blocks, each with its length in front and behind, then none") if count else None


def _measure_snoop(data: ByteSource, budget: Budget) -> Find | None:
    window, at, packets = Window(data, 1 << 16), 16, 0
    if window.number(8, 4, big=True) != 2:
        return None
    while True:
        budget.item()
        whole, kept, record = (window.number(at + i, 4, big=True) for i in (0, 4, 8))
        if record < 24 or not 0 < kept <= whole <= _SNAP or not kept + 24 <= record <= kept + 64 or at + record > data.size:
            break
        at, packets = at + record, packets + 1
    return Find(at, 0.8, f"{packets} packets, then none") if packets else None


def _sha1(data: ByteSource, end: int, budget: Budget) -> bool:
    """Whether the 20 bytes at ``end`` are the SHA-1 of what is before."""
    made = hashlib.sha1(usedforsecurity=False)
    for piece in blocks(data, 0, end, budget):
        made.update(piece)
    return made.digest() == data.read_at(end, 20)


def _measure_pack(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    count, at = window.number(8, 4, big=True), 12
    if not 0 < count < 1 << 28:
        return None
    for number in range(count):
        budget.item()
        kind, size, shift = window.number(at, 1), 0, 4
        first, size = kind >> 4 & 7, kind & 15
        while kind >= 128 and shift < 64:
            at += 1
            kind = window.number(at, 1)
            size, shift = size | (kind & 127) << shift, shift + 7
        at += 1
        if kind < 0 or first in (0, 5):
            return None if not number else Find(min(at, data.size), 0.5, f"{number} of {count} objects, then none", complete=False)
        if first == 7:
            at += 20
        elif first == 6:
            while window.number(at, 1) >= 128:
                at += 1
            at += 1
        stream = inflate(data, at, budget, 15)
        if not stream.whole or stream.size != size:
            return None if not number else Find(min(at, data.size), 0.5, f"{number} of {count} objects, then none", complete=False)
        at = stream.end
    good = _sha1(data, at, budget)
    end = min(at + 20, data.size)
    return Find(end, 1.0 if good else 0.6, f"{count} objects, digest {'good' if good else 'wrong'}", complete=good)


def _measure_git_idx(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(8, 1024)
    fan = [int.from_bytes(raw[i : i + 4], "big") for i in range(0, len(raw) - 3, 4)]
    if len(fan) < 256 or any(a > b for a, b in pairwise(fan)) or not 0 < fan[-1] < 1 << 28:
        return None
    offsets = data.read_at(1032 + 24 * fan[-1], budget.allocate("index offsets", 4 * fan[-1]))
    end = 1032 + 28 * fan[-1] + 8 * sum(byte >> 7 for byte in offsets[::4]) + 20
    if end + 20 > data.size:
        return Find(data.size, 0.4, f"{fan[-1]} objects, the data ends before", complete=False)
    good = _sha1(data, end, budget)
    return Find(end + 20, 1.0, f"{fan[-1]} objects, digest good") if good else None


def _measure_git_index(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    version, count, at = window.number(4, 4, big=True), window.number(8, 4, big=True), 12
    if version not in (2, 3, 4) or not 0 <= count < 1 << 24:
        return None
    for _ in range(count):
        budget.item()
        flags = window.number(at + 60, 2, big=True)
        if flags < 0 or window.number(at + 24, 4, big=True) >> 12 not in (8, 10, 14, 4):
            return None
        head = 64 if flags & 0x4000 else 62
        text = window.at(at + head, 4096)
        size = text.find(b"\0") if version < 4 else text.find(b"\0", next((i + 1 for i, b in enumerate(text) if b < 128), 0))
        if size < 0:
            return None
        at += head + size + 1 if version == 4 else (head + size + 8) & ~7
    while window.at(at, 4).isalpha() and 0 <= (size := window.number(at + 4, 4, big=True)) < _LARGE and at + 8 + size <= data.size:
        budget.item()
        if _sha1(data, at, budget):
            break
        at += 8 + size
    if _sha1(data, at, budget):
        return Find(at + 20, 1.0, f"{count} entries, digest good")
    return Find(min(at, data.size), 0.4, f"{count} entries, the digest behind them is wrong", complete=False) if count else None


def _measure_mo(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    big = window.at(0, 1) == b"\x95"
    revision, count, first, second, hashes, table = (window.number(i, 4, big) for i in range(4, 28, 4))
    if revision & 0xFFFF > 1 or revision >> 16 > 1 or not 0 < count < 1 << 22 or first < 28 or second < first + 8 * count:
        return None
    end = max(second + 8 * count, table + 4 * hashes if hashes else 0)
    for i in range(count):
        budget.item()
        for base in (first, second):
            size, at = window.number(base + 8 * i, 4, big), window.number(base + 8 * i + 4, 4, big)
            if size < 0 or at < second + 8 * count:
                return None
            end = max(end, at + size + 1)
    if end <= data.size and window.at(end - 1, 1) != b"\0":
        return None
    return stated(data, end, 0.95, f"{count} messages; the last text ends there")


def _measure_tzif(data: ByteSource, budget: Budget) -> Find | None:
    window, at, end = Window(data), 0, 0
    version = window.at(4, 1)
    if version not in (b"\0", b"2", b"3", b"4") or any(window.at(5, 15)):
        return None
    for width in (4, 8) if version != b"\0" else (4,):
        budget.item()
        if window.at(at, 4) != b"TZif":
            return None
        utc, standard, leaps, times, types, letters = (window.number(at + i, 4, big=True) for i in range(20, 44, 4))
        if not 0 < types <= 256 or utc not in (0, types) or standard not in (0, types) or times > 1 << 16 or leaps > 1024 or letters > 4096:
            return None
        at = end = at + 44 + times * (width + 1) + types * 6 + letters + leaps * (width + 4) + standard + utc
    if version != b"\0":
        text = window.at(at, 256)
        stop = text.find(b"\n", 1)
        if text[:1] != b"\n" or stop < 0 or not text[1:stop].isascii():
            return None
        end = at + stop + 1
    return stated(
        data, end, 1.0 if version != b"\0" else 0.8, "counts of the header" + (" and the rule behind them" if version != b"\0" else "")
    )


def _measure_icc(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    size, count = window.number(0, 4, big=True), window.number(128, 4, big=True)
    if not 132 < size <= _LARGE or not 0 < count <= 256 or window.number(8, 1) not in (2, 4, 5) or any(window.at(100, 28)):
        return None
    if window.at(12, 4) not in (b"scnr", b"mntr", b"prtr", b"link", b"spac", b"abst", b"nmcl"):
        return None
    for i in range(count):
        budget.item()
        at, length = window.number(136 + 12 * i, 4, big=True), window.number(140 + 12 * i, 4, big=True)
        if at < 132 + 12 * count or at + length > size + 3:
            return None
    return stated(data, size, 0.95, f"size stated by the header, {count} tags lie within")


def _bencoded(data: ByteSource, budget: Budget) -> int:
    """Offset behind the value at the start, -1 when it breaks off."""
    window, at, depth = Window(data, 1 << 16), 0, 0
    while True:
        budget.item()
        mark = window.at(at, 1)
        if mark in (b"d", b"l"):
            depth, at = depth + 1, at + 1
        elif mark == b"e":
            depth, at = depth - 1, at + 1
        elif mark == b"i":
            end = window.at(at, 24).find(b"e")
            if end < 2:
                return -1
            at += end + 1
        elif mark.isdigit():
            head = window.at(at, 12)
            size = head.partition(b":")[0]
            if b":" not in head or not size.isdigit():
                return -1
            at += len(size) + 1 + int(size)
        else:
            return -1
        if at > data.size or depth > 64:
            return -1
        if depth <= 0:
            return at


def _measure_torrent(data: ByteSource, budget: Budget) -> Find | None:
    end = _bencoded(data, budget)
    if end < 32:
        return None
    if b"6:pieces" in data.read_at(0, min(end, 1 << 20)):
        return Find(end, 1.0, "dictionary to its end", "torrent", "BitTorrent metainfo")
    return Find(end, 0.9, "dictionary to its end", "dat", "bencoded settings of a BitTorrent program")


def _measure_axml(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    kind, size = window.number(0, 2), window.number(4, 4)
    start = 8 if kind == 3 else 12
    if not start < size <= _LARGE or window.at(start, 4) != b"\1\0\x1c\0":
        return None
    at, chunks = start, 0
    while at < size:
        budget.item()
        length, head = window.number(at + 4, 4), window.number(at + 2, 2)
        if length < 8 or length % 4 or head < 8 or head > length or at + length > size:
            return Find(min(at, data.size), 0.4, f"{chunks} chunks, then none", complete=False) if chunks else None
        at, chunks = at + length, chunks + 1
    names = ("arsc", "Android resource table") if kind == 2 else ("xml", "Android binary XML")
    return stated(data, size, 0.95, f"{chunks} chunks fill the size stated", *names)


def _measure_backup(data: ByteSource, budget: Budget) -> Find | None:
    head = data.read_at(15, 64)
    lines = head.split(b"\n", 3)
    if len(lines) < 4 or not lines[0].isdigit() or lines[1] not in (b"0", b"1"):
        return None
    start = 15 + sum(map(len, lines[:3])) + 3
    if lines[2] != b"none" or lines[1] == b"0":
        return Find(start, 0.4, f"header; encryption {lines[2]!r}, compression {lines[1]!r}: nothing states the end", complete=False)
    stream = inflate(data, start, budget, 15)
    if not stream.whole:
        return (
            Find(min(stream.end, data.size), 0.5, f"header, {stream.size} bytes decode, then {stream.why}", complete=False)
            if stream.size
            else None
        )
    return Find(stream.end, 1.0, f"header and a compressed archive of {stream.size} bytes, checksum good")


CARVERS = (
    Carver(
        name="pcap",
        title="network capture (pcap)",
        extension="pcap",
        mime="application/vnd.tcpdump.pcap",
        signatures=tuple(
            Signature(m)
            for m in (b"\xd4\xc3\xb2\xa1\2\0\4\0", b"\xa1\xb2\xc3\xd4\0\2\0\4", b"\x4d\x3c\xb2\xa1\2\0\4\0", b"\xa1\xb2\x3c\x4d\0\2\0\4")
        ),
        measure=_measure_pcap,
        maximum=1 << 40,
        refs=("draft-ietf-opsawg-pcap",),
        gaps=("the end is where no packet follows", "packets more than a year apart end the file"),
    ),
    Carver(
        name="pcapng",
        title="network capture (pcapng)",
        extension="pcapng",
        mime="application/x-pcapng",
        signatures=(
            Signature(b"\n\r\r\n\0\0\0\0\x4d\x3c\x2b\x1a", mask=b"\xff" * 4 + bytes(4) + b"\xff" * 4),
            Signature(b"\n\r\r\n\0\0\0\0\x1a\x2b\x3c\x4d", mask=b"\xff" * 4 + bytes(4) + b"\xff" * 4),
        ),
        measure=_measure_pcapng,
        maximum=1 << 40,
        refs=("draft-ietf-opsawg-pcapng",),
        gaps=("a second capture that starts at the very end is a section of the first, as the format says",),
    ),
    Carver(
        name="snoop",
        title="network capture (snoop)",
        extension="snoop",
        mime="application/x-snoop",
        signatures=(Signature(b"snoop\0\0\0"),),
        measure=_measure_snoop,
        maximum=1 << 40,
        refs=("RFC 1761",),
        gaps=("the end is where no packet follows",),
    ),
    Carver(
        name="git-pack",
        title="git pack",
        extension="pack",
        mime="application/x-git-pack",
        signatures=(Signature(b"PACK\0\0\0\2"), Signature(b"PACK\0\0\0\3")),
        measure=_measure_pack,
        maximum=1 << 40,
        refs=("git: gitformat-pack(5)",),
        gaps=("repositories with SHA-256 are reported as incomplete",),
    ),
    Carver(
        name="git-idx",
        title="git pack index",
        extension="idx",
        mime="application/x-git-pack-index",
        signatures=(Signature(b"\xfftOc\0\0\0\2"),),
        measure=_measure_git_idx,
        refs=("git: gitformat-pack(5)",),
        gaps=("version 1 has no signature", "repositories with SHA-256 are refused"),
    ),
    Carver(
        name="git-index",
        title="git index",
        extension="index",
        mime="application/x-git-index",
        signatures=tuple(Signature(b"DIRC\0\0\0" + bytes((v,))) for v in (2, 3, 4)),
        measure=_measure_git_index,
        maximum=1 << 30,
        refs=("git: gitformat-index(5)",),
        gaps=("repositories with SHA-256 are reported as incomplete",),
    ),
    Carver(
        name="mo",
        title="gettext messages",
        extension="mo",
        mime="application/x-gettext-translation",
        signatures=(Signature(b"\xde\x12\x04\x95\0\0"), Signature(b"\x95\x04\x12\xde\0\0")),
        measure=_measure_mo,
        maximum=256 << 20,
        refs=("GNU gettext manual: The Format of GNU MO Files",),
        gaps=("system-dependent strings are not followed",),
    ),
    Carver(
        name="tzif",
        title="time zone data (TZif)",
        extension="tzif",
        mime="application/tzif",
        signatures=(Signature(b"TZif"),),
        measure=_measure_tzif,
        maximum=1 << 20,
        refs=("RFC 9636",),
        gaps=("none known beyond the format",),
    ),
    Carver(
        name="icc",
        title="ICC colour profile",
        extension="icc",
        mime="application/vnd.iccprofile",
        signatures=(Signature(b"acsp", 36),),
        measure=_measure_icc,
        maximum=_LARGE,
        refs=("ICC.1:2022",),
        gaps=("profiles inside files that no carver owns are found as files of their own",),
    ),
    Carver(
        name="bencode",
        title="bencoded file (BitTorrent)",
        extension="torrent",
        mime="application/x-bittorrent",
        signatures=tuple(
            Signature(m)
            for m in (
                b"d8:announce",
                b"d13:announce-list",
                b"d10:created by",
                b"d13:creation date",
                b"d7:comment",
                b"d4:infod",
                b"d5:filesl",
                b"d10:added-date",
                b"d13:activity-datei",
                b"d10:.fileguard",
            )
        ),
        measure=_measure_torrent,
        maximum=256 << 20,
        refs=("BEP 3",),
        gaps=("dictionaries that begin with another key are not recognised",),
        kinds=(
            Kind("torrent", "application/x-bittorrent", "BitTorrent metainfo"),
            Kind("dat", "application/x-bencode", "bencoded settings of a BitTorrent program"),
        ),
    ),
    Carver(
        name="android-xml",
        title="Android binary XML or resource table",
        extension="xml",
        mime="application/vnd.android.axml",
        signatures=(
            Signature(b"\3\0\x08\0\0\0\0\0\1\0\x1c\0", mask=b"\xff" * 4 + bytes(4) + b"\xff" * 4),
            Signature(b"\2\0\x0c\0\0\0\0\0\1\0\0\0\1\0\x1c\0", mask=b"\xff" * 4 + bytes(4) + b"\xff" * 8),
        ),
        measure=_measure_axml,
        maximum=_LARGE,
        refs=("Android: ResourceTypes.h",),
        gaps=("resource tables of several packages without a first count of 1 are not recognised",),
        kinds=(
            Kind("xml", "application/vnd.android.axml", "Android binary XML"),
            Kind("arsc", "application/vnd.android.arsc", "Android resource table"),
        ),
    ),
    Carver(
        name="android-backup",
        title="Android backup",
        extension="ab",
        mime="application/x-android-backup",
        signatures=(Signature(b"ANDROID BACKUP\n"),),
        measure=_measure_backup,
        maximum=1 << 40,
        refs=("Android: BackupManagerService, file header",),
        gaps=("encrypted or uncompressed backups do not state their end: reported as incomplete",),
    ),
)
