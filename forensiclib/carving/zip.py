"""ZIP archives and everything built on them: office documents, packages, books."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from forensiclib.carving._inflate import inflate
from forensiclib.carving._read import Window, blocks, crc32
from forensiclib.carving.zip_join import rejoin
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.zip import CENTRAL, END, END64, LOCAL, LOCATOR64

__all__ = ["CARVERS"]

_METHODS = frozenset({*range(11), 12, 14, 16, 18, 19, 20, *range(93, 100)})
_NAMES_KEPT = 10_000
_CRC_CHECKED = 64 << 20
_SEARCHED = 1 << 30
_UNSTATED = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
_APK_BLOCK = b"APK Sig Block 42"

_MIME = (
    (b"application/epub+zip", "epub", "EPUB book"),
    (b"application/vnd.oasis.opendocument.text", "odt", "OpenDocument text"),
    (b"application/vnd.oasis.opendocument.spreadsheet", "ods", "OpenDocument spreadsheet"),
    (b"application/vnd.oasis.opendocument.presentation", "odp", "OpenDocument presentation"),
    (b"application/vnd.oasis.opendocument.graphics", "odg", "OpenDocument drawing"),
    (b"application/vnd.oasis.opendocument.formula", "odf", "OpenDocument formula"),
    (b"application/vnd.oasis.opendocument.database", "odb", "OpenDocument database"),
    (b"application/vnd.oasis.opendocument.base", "odb", "OpenDocument database"),
)
_OFFICE = (
    ("word/vbaProject.bin", "docm", "Word document with macros"),
    ("xl/vbaProject.bin", "xlsm", "Excel workbook with macros"),
    ("ppt/vbaProject.bin", "pptm", "PowerPoint presentation with macros"),
    ("xl/workbook.bin", "xlsb", "Excel binary workbook"),
    ("word/", "docx", "Word document (Office Open XML)"),
    ("xl/", "xlsx", "Excel workbook (Office Open XML)"),
    ("ppt/", "pptx", "PowerPoint presentation (Office Open XML)"),
    ("visio/", "vsdx", "Visio drawing (Office Open XML)"),
    ("FixedDocSeq.fdseq", "xps", "XPS document"),
    ("FixedDocumentSequence.fdseq", "oxps", "OpenXPS document"),
)
_PACKAGES = (
    ("AndroidManifest.xml", "apk", "Android package"),
    ("BundleConfig.pb", "aab", "Android app bundle"),
    ("information.turtle", "aff4", "AFF4 image"),
    ("WEB-INF/", "war", "Java web archive"),
    ("META-INF/MANIFEST.MF", "jar", "Java archive"),
    ("doc.kml", "kmz", "Google Earth placemarks"),
    ("Index/Document.iwa", "iwork", "Apple iWork document"),
    ("index.apxl", "key", "Keynote presentation (2009)"),
    ("buildVersionHistory.plist", "iwork", "Apple iWork document (2009)"),
    ("3D/3dmodel.model", "3mf", "3D manufacturing model"),
    ("designmap.xml", "idml", "InDesign markup"),
    ("extension.vsixmanifest", "vsix", "Visual Studio extension"),
    ("install.rdf", "xpi", "Mozilla extension"),
    ("Report/Layout", "pbix", "Power BI report"),
)
_BY_NAME = ((".dist-info/WHEEL", "whl", "Python wheel"), (".nuspec", "nupkg", "NuGet package"), (".npy", "npz", "NumPy arrays"))


@dataclass(slots=True)
class _Walk:
    """What was met so far. ``safe`` is the end of the last member proven whole: up to there the bytes are
    the archive's own, or each of its members would be carved as an archive of what follows it."""

    safe: int = 0
    starts: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    mimetype: bytes = b""


@dataclass(slots=True)
class _Member:
    name: str
    flags: int
    method: int
    crc: int
    data: int
    packed: int
    unpacked: int
    zip64: bool


def _extra64(extra: bytes, wanted: int) -> list[int] | None:
    """The 64-bit values of extra field 0x0001, at least ``wanted`` of them; None without them."""
    at = 0
    while at + 4 <= len(extra):
        tag, size = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if tag == 1 and size >= 8 * wanted and at + 4 + size <= len(extra):
            return [int.from_bytes(extra[i : i + 8], "little") for i in range(at + 4, at + 4 + size - 7, 8)]
        at += 4 + size
    return None


def _name(raw: bytes, utf8: bool) -> str | None:
    """The name, or None for bytes that no archiver writes."""
    if not raw or min(raw) < 0x20:
        return None
    try:
        return raw.decode("utf-8" if utf8 else "cp437")
    except UnicodeDecodeError:
        return None


def _local(window: Window, at: int) -> _Member | None:
    raw = window.at(at, LOCAL.size)
    if len(raw) < LOCAL.size or raw[:4] != b"PK\3\4":
        return None
    _sig, version, flags, method, _time, _date, crc, packed, unpacked, name_length, extra_length = LOCAL.unpack(raw)
    if method not in _METHODS or version & 0xFF > 100 or flags & 0x1700:
        return None
    tail = window.at(at + LOCAL.size, name_length + extra_length)
    name = _name(tail[:name_length], bool(flags & 0x800))
    if name is None or len(tail) < name_length + extra_length:
        return None
    zip64 = _extra64(tail[name_length:], 2)
    if 0xFFFFFFFF in (packed, unpacked) and zip64 is not None:
        unpacked, packed = zip64[0], zip64[1]
    data = at + LOCAL.size + len(tail)
    return _Member(name, flags, method, crc, data, packed, unpacked, zip64 is not None)


def _descriptor(window: Window, at: int, packed: int, zip64: bool) -> int | None:
    """End of the data descriptor at ``at`` for ``packed`` bytes of data, with or without signature."""
    start = at + 4 if window.at(at, 4) == b"PK\7\x08" else at
    for width in (8, 4) if zip64 else (4, 8):
        if window.number(start + 4, width) == packed & ((1 << 8 * width) - 1) and window.at(start + 4 + 2 * width, 2) == b"PK":
            return start + 4 + 2 * width
    for width in (8, 4) if zip64 else (4, 8):  # the last member before a cut
        if window.number(start + 4, width) == packed and start != at:
            return start + 4 + 2 * width
    return None


def _headers_ahead(source: ByteSource, start: int, budget: Budget) -> Iterator[tuple[int, bytes]]:
    """(offset, signature) of each place in reach behind ``start`` where a ZIP structure may begin."""
    at, tail = start, b""
    for piece in blocks(source, start, start + _SEARCHED, budget):
        buffer = tail + piece
        hit = buffer.find(b"PK")
        while 0 <= hit <= len(buffer) - 4:
            if (mark := buffer[hit : hit + 4]) in (b"PK\7\x08", b"PK\3\4", b"PK\1\2"):
                yield at - len(tail) + hit, mark
            hit = buffer.find(b"PK", hit + 1)
        at += len(piece)
        tail = buffer[-3:]


def _search_end(window: Window, member: _Member, budget: Budget) -> int | None:
    """End of a member that does not state its size and cannot be inflated: the first descriptor that
    states exactly the distance to itself."""
    for at, mark in _headers_ahead(window.source, member.data, budget):
        budget.item()
        distance = at - member.data
        if mark == b"PK\7\x08":
            end = _descriptor(window, at, distance, member.zip64)
            if end is not None:
                return end
            continue
        for width in (4, 8):
            size = distance - 4 - 2 * width
            if size >= 0 and window.number(at - 2 * width, width) == size:
                return at
    return None


def _end_of(window: Window, member: _Member, budget: Budget) -> int | None:
    """Offset behind the member and its descriptor, None when that cannot be found."""
    if not member.flags & 8:
        return member.data + member.packed
    if member.packed not in _UNSTATED:
        end = member.data + member.packed
        if window.at(end, 4) in (b"PK\3\4", b"PK\1\2"):  # sizes filled in later, the flag left, no descriptor
            return end
        return _descriptor(window, end, member.packed, member.zip64)
    if member.method == 8 and not member.flags & 1:
        stream = inflate(window.source, member.data, budget)
        if not stream.whole:
            return None
        return _descriptor(window, stream.end, stream.end - member.data, member.zip64)
    empty = _descriptor(window, member.data, 0, member.zip64)
    return empty if empty is not None else _search_end(window, member, budget)


def _proven(window: Window, member: _Member, end: int, budget: Budget) -> bool:
    """Whether the member's data is whole by its own checksum."""
    if end > window.size or member.flags & 9 or not member.packed:
        return False
    if member.method == 8:
        stream = inflate(window.source, member.data, budget)
        return stream.whole and stream.end == member.data + member.packed and stream.crc == member.crc
    if member.method == 0 and member.packed == member.unpacked <= _CRC_CHECKED:
        return crc32(window.source, member.data, member.packed, budget) == member.crc
    return False


def _apk_block(window: Window, at: int) -> int | None:
    """End of an APK signing block at ``at``."""
    size = window.number(at, 8)
    end = at + 8 + size
    if size < 32 or end > window.size or window.at(end - 16, 16) != _APK_BLOCK:
        return None
    return end


def _note(window: Window, walk: _Walk, at: int, member: _Member) -> None:
    walk.starts.add(at)
    if len(walk.names) < _NAMES_KEPT:
        walk.names.add(member.name)
    if at == 0 and member.name == "mimetype" and member.method == 0:
        walk.mimetype = window.at(member.data, min(member.packed, 100))


def _members(window: Window, walk: _Walk, budget: Budget) -> int | None:
    """Walk the local headers; the offset of the central directory, or None where the chain breaks
    (``walk.safe`` then says how far it held)."""
    at = 0
    while True:
        budget.item()
        mark = window.at(at, 4)
        if mark == b"PK\1\2" and at:
            walk.safe = at
            return at
        if at and mark != b"PK\3\4" and (behind := _apk_block(window, at)) is not None:
            walk.safe = at
            return behind if window.at(behind, 4) == b"PK\1\2" else None
        member = _local(window, at)
        if member is None:
            return None
        if at:
            walk.safe = at
        end = _end_of(window, member, budget)
        if end is None or end > window.size:
            return None
        _note(window, walk, at, member)
        if window.at(end, 2) != b"PK" and _apk_block(window, end) is None:
            if _proven(window, member, end, budget):
                walk.safe = end
            return None
        at = end


@dataclass(slots=True)
class _Directory:
    end: int
    entries: int
    offsets: list[int]


def _directory(window: Window, at: int, budget: Budget) -> _Directory:
    out = _Directory(at, 0, [])
    while True:
        raw = window.at(out.end, CENTRAL.size)
        if len(raw) < CENTRAL.size or raw[:4] != b"PK\1\2":
            return out
        budget.item()
        entry = CENTRAL.dict(raw)
        lengths = entry["name_length"], entry["extra_length"], entry["comment_length"]
        offset = entry["offset"]
        if offset == 0xFFFFFFFF:
            before = (entry["packed"], entry["unpacked"]).count(0xFFFFFFFF)
            extra = window.at(out.end + CENTRAL.size + lengths[0], lengths[1])
            large = _extra64(extra, before + 1)
            offset = large[before] if large is not None else offset
        if out.end + CENTRAL.size + sum(lengths) > window.size:
            return out
        out.offsets.append(offset)
        out.entries += 1
        out.end += CENTRAL.size + sum(lengths)


@dataclass(slots=True)
class _End:
    """``bare`` is where the file would end without its comment."""

    end: int
    bare: int
    comment: bytes
    entries: int
    directory_size: int
    directory_offset: int


def _end_record(window: Window, at: int) -> _End | None:
    """The end record behind the directory, ZIP64 included; None when it is not there."""
    if window.at(at, 4) == b"PK\5\5":  # digital signature of the directory
        at += 6 + max(0, window.number(at + 4, 2))
    large: dict[str, int] | None = None
    if window.at(at, 4) == b"PK\6\6":
        raw = window.at(at, END64.size)
        if len(raw) < END64.size:
            return None
        large = END64.dict(raw)
        at += 12 + large["size"]
        if window.at(at, 4) != b"PK\6\7":
            return None
        at += LOCATOR64.size
    raw = window.at(at, END.size)
    if len(raw) < END.size or raw[:4] != b"PK\5\6":
        return None
    small = END.dict(raw)
    stop = at + END.size + small["comment_length"]
    if stop > window.size:
        return None
    stated = {
        key: large[key] if large is not None and small[key] in (0xFFFF, 0xFFFFFFFF) else small[key]
        for key in ("entries", "directory_size", "directory_offset")
    }
    return _End(stop, at + END.size, window.source.read_at(at + END.size, small["comment_length"]), **stated)


def _is_comment(raw: bytes) -> bool:
    """Text, or the signature that Android puts there: its last six bytes state the comment's length."""
    signed = raw[-4:-2] == b"\xff\xff" and int.from_bytes(raw[-2:], "little") == len(raw)
    return signed or not any(byte < 0x20 and byte not in b"\0\t\n\x0b\x0c\r\x1a" for byte in raw)


def _kind(walk: _Walk) -> tuple[str, str]:
    """(extension, title) by content; empty strings for a plain archive."""
    for mime, extension, title in _MIME:
        if walk.mimetype.startswith(mime):
            template = walk.mimetype.startswith(mime + b"-template")
            return (extension, title + (" template" if template else ""))
    parts = walk.names | {name.split("/", 1)[0] + "/" for name in walk.names if "/" in name}
    for table in (_OFFICE if "[Content_Types].xml" in parts else (), _PACKAGES):
        for name, extension, title in table:
            if name in parts:
                return extension, title
    if "Payload/" in parts and any(name.startswith("Payload/") and ".app/" in name for name in walk.names):
        return "ipa", "iOS application"
    for ending, extension, title in _BY_NAME:
        if any(name.endswith(ending) for name in walk.names):
            return extension, title
    if "Documents/" in parts and any(name.endswith(".fpage") for name in walk.names):
        return "xps", "XPS document"
    return "", ""


def _judge(walk: _Walk, start: int, directory: _Directory, end: _End) -> tuple[float, str, bool]:
    """(confidence, reason, complete) of a walk that reached the end record."""
    shift = end.directory_offset - start
    missing = sum(offset - shift not in walk.starts for offset in directory.offsets)
    if missing and shift > 0:
        return 0.7, f"{missing} of {directory.entries} members lie before the first header that is left", False
    if missing:
        return 0.6, f"{missing} of {directory.entries} directory entries point at no local header", False
    if end.entries & 0xFFFF != directory.entries & 0xFFFF or end.directory_size > end.end:
        return 0.7, f"{directory.entries} directory entries, the end record says {end.entries}", True
    if shift:
        return 0.9, f"{directory.entries} members at their directory offsets less {shift}: something stood before them", True
    return 1.0, f"{directory.entries} members at the offsets of the central directory", True


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window, walk = Window(data), _Walk()
    start = _members(window, walk, budget)
    extension, title = _kind(walk)
    if start is None:
        if not walk.safe:
            return None
        why = f"{len(walk.starts)} members seen, the chain of local headers breaks off"
        return Find(walk.safe, 0.5, why, extension, title, complete=False, owned=walk.safe)
    directory = _directory(window, start, budget)
    end = _end_record(window, directory.end)
    if end is None:
        why = f"{len(walk.starts)} members, central directory breaks off after {directory.entries} entries"
        return Find(walk.safe, 0.7, why, extension, title, complete=False, owned=walk.safe)
    if not _is_comment(end.comment):
        why = f"{directory.entries} members, end record; the comment of {len(end.comment)} bytes that it states is no text"
        return Find(end.bare, 0.7, why, extension, title, complete=False, owned=walk.safe)
    confidence, reason, complete = _judge(walk, start, directory, end)
    return Find(end.end, confidence, reason, extension, title, complete, owned=walk.safe if confidence < 0.9 else None)


_TYPES = {
    "docx": "vnd.openxmlformats-officedocument.wordprocessingml.document",
    "apk": "vnd.android.package-archive",
    "jar": "java-archive",
    "epub": "epub+zip",
}


def _listed() -> tuple[Kind, ...]:
    """One kind for each (extension, title) that is told apart."""
    rows = [("zip", "ZIP archive"), *((e, t) for _, e, t in (*_MIME, *_OFFICE, *_PACKAGES, *_BY_NAME)), ("ipa", "iOS application")]
    return tuple(Kind(e, f"application/{_TYPES.get(e, 'x-' + e + '+zip')}", t) for e, t in dict.fromkeys(rows))


CARVERS = (
    Carver(
        name="zip",
        title="ZIP archive",
        extension="zip",
        mime="application/zip",
        signatures=(Signature(b"PK\x03\x04"),),
        measure=_measure,
        rejoin=rejoin,
        holds=True,
        maximum=64 << 30,
        refs=("PKWARE APPNOTE.TXT 6.3.10", "Android: APK Signature Scheme v2, APK Signing Block"),
        gaps=(
            "pieces are joined by the central directory: one that is in pieces itself, or is ZIP64, joins nothing",
            "encrypted central directories and archives split over several files are reported as incomplete",
            "a stored or encrypted member that states its size only behind its data is followed for 1 GiB",
            "a gap between members (other than an APK signing block) ends the walk",
            "member checksums are read only where the structure does not prove the member",
        ),
        kinds=_listed(),
    ),
)
