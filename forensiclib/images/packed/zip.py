"""A raw image in a ZIP archive: stored or deflated, ZIP64, in one file or split (.z01 ... .zip)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from forensiclib.core.declare import ImageFormat, OpenImage, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, Locked, NotThisFormat, Truncated, Unsupported, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.core.span import Span
from forensiclib.formats.zip import CENTRAL, END, END64, LOCAL, LOCATOR64
from forensiclib.images._blocks import read_exactly
from forensiclib.images._files import FilePool, PooledFile, expand
from forensiclib.images.packed._choice import looks_like_an_image, must_be_raw
from forensiclib.images.packed.deflated import RATIO, DeflateSource

__all__ = ["FORMAT", "open_zip"]

METHODS = {0: "stored", 8: "deflate", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 99: "AES encryption"}
SHARE = 0.9
"""Of all unpacked bytes that the one member must hold to be obvious, where several are there."""
_SPLIT = re.compile(r"(.*)\.zip", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    disk: int
    offset: int


class _Archive:
    """The files of an archive one behind the other, and where each begins."""

    def __init__(self, files: list[PooledFile]) -> None:
        self.files = files
        self.data: ByteSource = files[0] if len(files) == 1 else ConcatSource(files)
        self.starts = [sum(f.size for f in files[:i]) for i in range(len(files))]

    def at(self, disk: int, offset: int) -> int:
        """Where a byte of a part lies."""
        if disk >= len(self.starts):
            raise Truncated("ZIP part", Span(self.files[-1].root, 0, 0), f"part {disk + 1} is wanted, {len(self.starts)} are here")
        return self.starts[disk] + offset

    def span(self, at: int, n: int) -> Span | None:
        """The first piece of a range."""
        spans = self.data.trace(at, n)
        return spans[0] if spans else None


def _parts(pool: FilePool, paths: list[str], budget: Budget) -> list[PooledFile]:
    """The parts in order, the one with the directory last."""
    if len(paths) > 1:
        numbered = sorted(paths, key=lambda p: (p.lower().endswith(".zip"), p.lower()))
        return [PooledFile(pool, path) for path in numbered]
    last = PooledFile(pool, paths[0])
    end = _end(last)
    match = _SPLIT.fullmatch(paths[0])
    count = END.dict(end)["disk"]
    if not count or count == 0xFFFF or match is None:
        return [last]
    out = []
    for number in range(1, count + 1):
        budget.item()
        path = next((p for p in (f"{match[1]}.z{number:02}", f"{match[1]}.Z{number:02}") if os.path.isfile(p)), "")
        if not path:
            text = f"{os.path.basename(match[1])}.z{number:02} of {count} is not beside it"
            raise Truncated("ZIP part", Span(last.root, 0, 0), text)
        out.append(PooledFile(pool, path))
    return [*out, last]


def _end(file: ByteSource) -> bytes:
    """The end record. NotThisFormat when there is none."""
    tail = file.read_at(max(0, file.size - END.size - 65_535), END.size + 65_535)
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        if len(tail) - at >= END.size and at + END.size + int.from_bytes(tail[at + 20 : at + 22], "little") <= len(tail):
            return tail[at : at + END.size]
        at = tail.rfind(b"PK\5\6", 0, at)
    raise NotThisFormat("ZIP archive", None, "no end of central directory: no archive, or one that is cut off")


def _directory(archive: _Archive, budget: Budget) -> list[_Member]:
    data = archive.data
    raw = _end(data)
    end = END.dict(raw)
    tail_at = data.size - min(data.size, END.size + 65_535)
    place = tail_at + data.read_at(tail_at, END.size + 65_535).rfind(raw)
    disk, offset, size, count = end["directory_disk"], end["directory_offset"], end["directory_size"], end["entries"]
    locator = data.read_at(max(0, place - LOCATOR64.size), LOCATOR64.size)
    if locator[:4] == b"PK\6\7" and len(locator) == LOCATOR64.size:
        _, where, at64, _ = LOCATOR64.unpack(locator)
        big = END64.dict(read_exactly(data, archive.at(where, at64), END64.size, "ZIP64 end record"))
        if big["signature"] != b"PK\6\6":
            raise Corrupt("ZIP64 end record", archive.span(archive.at(where, at64), 4), "no signature")
        disk, offset, size, count = big["directory_disk"], big["directory_offset"], big["directory_size"], big["entries"]
    begin = archive.at(disk, offset)
    if begin + size > place:
        raise Corrupt(
            "ZIP central directory", archive.span(place, END.size), f"{size} bytes at {begin} reach past the end record at {place}"
        )
    raw = read_exactly(data, begin, budget.allocate("ZIP central directory", size, archive.span(begin, 46)), "ZIP central directory")
    out: list[_Member] = []
    at = 0
    while at + CENTRAL.size <= len(raw) and len(out) < count:
        budget.item()
        head = CENTRAL.dict(raw, at)
        if head["signature"] != b"PK\1\2":
            break
        after = at + CENTRAL.size + head["name_length"]
        name = raw[at + CENTRAL.size : after].decode("utf-8" if head["flags"] & 0x800 else "cp437", "replace")
        extra = raw[after : after + head["extra_length"]]
        out.append(_member(head, name, extra))
        at = after + head["extra_length"] + head["comment_length"]
    if len(out) != count:
        budget.report(Corrupt("ZIP central directory", archive.span(begin, size), f"{count} members are stated, {len(out)} are listed"))
    return out


def _member(head: dict[str, int], name: str, extra: bytes) -> _Member:
    """With what ZIP64 keeps in the extra field, in its order, of the values that are full."""
    values = {"unpacked": head["unpacked"], "packed": head["packed"], "offset": head["offset"], "disk": head["disk"]}
    at = 0
    while at + 4 <= len(extra):
        kind, size = int.from_bytes(extra[at : at + 2], "little"), int.from_bytes(extra[at + 2 : at + 4], "little")
        if kind == 1:
            field = extra[at + 4 : at + 4 + size]
            for key, width in (("unpacked", 8), ("packed", 8), ("offset", 8), ("disk", 4)):
                if values[key] == (0xFFFF if key == "disk" else 0xFFFFFFFF) and len(field) >= width:
                    values[key], field = int.from_bytes(field[:width], "little"), field[width:]
        at += 4 + size
    return _Member(name, head["method"], head["flags"], head["crc"], values["packed"], values["unpacked"], values["disk"], values["offset"])


def _chosen(members: list[_Member], wanted: str | None, root: str) -> _Member:
    """The member of that name, or the one that is obviously an image. NotThisFormat when none is, Unsupported when several are."""
    files = [m for m in members if not m.name.endswith("/")]
    if wanted is not None:
        named = [m for m in files if m.name == wanted] or [m for m in files if m.name.rpartition("/")[2] == wanted]
        if len(named) == 1:
            return named[0]
        raise UsageError(f"{root}: {len(named) or 'no'} members called {wanted!r}; there are {', '.join(m.name for m in files[:20])}")
    images = [m for m in files if looks_like_an_image(m.name)]
    total = sum(m.size for m in files)
    if len(images) == 1 and (len(files) == 1 or images[0].size >= SHARE * total):
        return images[0]
    if len(images) > 1 and sum(m.size for m in images) >= SHARE * total:
        listed = ", ".join(m.name for m in images[:8])
        raise Unsupported(
            "ZIP archive", Span(root, 0, 0), f"{len(images)} images: say which, as in format='zip:{images[0].name}' ({listed})"
        )
    raise NotThisFormat("ZIP archive", Span(root, 0, 4), f"{len(files)} members, none of them obviously an image")


def _content(archive: _Archive, member: _Member) -> ByteSource:
    at = archive.at(member.disk, member.offset)
    span = archive.span(at, LOCAL.size)
    if member.flags & 1 or member.method == 99:
        raise Locked("ZIP member", span, f"{member.name} is encrypted: its password would open it, which is not supported here")
    if member.method not in (0, 8):
        raise Unsupported("ZIP member", span, f"{member.name} is packed with {METHODS.get(member.method, f'method {member.method}')}")
    head = LOCAL.dict(read_exactly(archive.data, at, LOCAL.size, "ZIP local header"))
    if head["signature"] != b"PK\3\4":
        raise Corrupt("ZIP local header", span, f"no signature where the directory says that {member.name} begins")
    start = at + LOCAL.size + head["name_length"] + head["extra_length"]
    if start + member.packed > archive.data.size:
        raise Truncated("ZIP member", span, f"{member.name} ends at {start + member.packed}, the archive at {archive.data.size}")
    if member.method == 8:
        if member.size > member.packed * RATIO + RATIO:
            raise Corrupt("ZIP member", span, f"{member.size} bytes are stated for {member.packed} packed ones: deflate cannot do that")
        return DeflateSource(archive.data, start, member.packed, member.size, "ZIP member")
    if member.packed != member.size:
        raise Corrupt("ZIP member", span, f"{member.name} is stored, and {member.packed} bytes are there for {member.size}")
    return archive.data.slice(start, member.size)


def open_zip(paths: Sequence[str], budget: Budget, wanted: str | None = None) -> Image:
    """The raw image in the archive: the member ``wanted``, or the one that is obviously an image.

    Raises NotThisFormat without an end record and when no member is obviously an image; Unsupported for several, for a container inside
    and for another method than stored and deflate; Locked for an encrypted member; Truncated for a part that is missing; UsageError
    for a member that is not there.
    """
    with ExitStack() as stack:
        pool = FilePool()
        stack.callback(pool.close)
        archive = _Archive(_parts(pool, expand(paths), budget))
        root = archive.files[-1].root
        members = _directory(archive, budget)
        member = _chosen(members, wanted, root)
        data = _content(archive, member)
        if wanted is None or looks_like_an_image(member.name):
            must_be_raw(data, member.name, archive.span(archive.at(member.disk, member.offset), LOCAL.size))
        stack.pop_all()
    facts = {"member": member.name, "method": METHODS[member.method], "packed": str(member.packed), "members": str(len(members))}
    return Image(
        data, format="zip" if wanted is None else f"zip:{member.name}", name=root, facts=facts, hashes={"crc32": f"{member.crc:08x}"},
        parts=tuple((file.root, file.size) for file in archive.files), close_with=(pool.close,),
    )  # fmt: skip


def _configured(text: str) -> OpenImage:
    if not text:
        raise UsageError("format='zip:': the name of a member is missing")
    return partial(open_zip, wanted=text)


FORMAT = ImageFormat(
    name="zip",
    title="Raw image in a ZIP archive",
    refs=("PKWARE, APPNOTE.TXT 6.3.10: 4.3 structure, 4.5.3 ZIP64, 8 split archives", "RFC 1951, DEFLATE compressed data format (1996)"),
    gaps=(
        "stored and deflate are read; deflate64, bzip2, LZMA, zstd and xz members are refused by name, encrypted ones as Locked",
        "a container (E01, AFF, VMDK ...) inside is refused by name, not opened",
        "of a deflated image nothing behind damage can be read, and the first read of its end unpacks all before it",
        "the CRC-32 of the member is what verify() compares; other reads do not check it",
        "archives without an obvious image are not opened: format='zip:MEMBER' says which",
        "archives that are cut off before their directory, and 7z archives, are not read",
    ),
    signatures=(Signature(b"PK\3\4"), Signature(b"PK\7\x08")),
    extensions=(".zip",),
    configure=_configured,
    open=open_zip,
)
