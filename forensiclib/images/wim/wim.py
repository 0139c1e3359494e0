"""Open a WIM: the files of its images, one folder an image."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import xml.etree.ElementTree as ET
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import accumulate

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Entry, Image, Stream
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge
from forensiclib.core.time import Timestamp
from forensiclib.formats.wim import (
    FLAG_COMPRESSED,
    FLAG_LZMS,
    FLAG_LZX,
    FLAG_XPRESS,
    FLAG_XPRESS2,
    HEADER,
    METADATA,
    SIGNATURE,
    SOLID,
    TABLE_ENTRY,
)  # fmt: skip
from forensiclib.images._blocks import read_exactly
from forensiclib.images._files import FilePool, PooledFile, expand
from forensiclib.images._tree import TreeFileSystem
from forensiclib.images.wim.resources import Kind, Place, Resource, entries, opened, place, unpacked
from forensiclib.images.wim.tree import ImageTree

__all__ = ["FORMAT", "open_wim"]

XML = 16 << 20
"""Bytes of the XML data: some 1 KiB an image."""
HELD = 64
"""Resources of the media that stay open for neighbouring reads."""
_KINDS = ((FLAG_LZX, "lzx"), (FLAG_XPRESS, "xpress"), (FLAG_XPRESS2, "xpress"), (FLAG_LZMS, "lzms"))
Texts = dict[int, dict[str, str]]
"""What is said of an image, by its number."""
_LOST = 1 << 62
"""Ids of contents that no entry names begin here."""


class _Media(ByteSource):
    """The contents of all resources one behind the other."""

    __slots__ = ("_kind", "_lock", "_open", "_resources", "_starts", "size")

    def __init__(self, resources: Sequence[Resource], kind: Kind) -> None:
        self._resources, self._kind = [r for r in resources if r.place.original], kind
        self._starts = list(accumulate((r.place.original for r in self._resources), initial=0))
        self.size = self._starts[-1]
        self._open: OrderedDict[int, ByteSource] = OrderedDict()
        self._lock = threading.Lock()

    def _source(self, number: int) -> ByteSource:
        with self._lock:
            if (held := self._open.get(number)) is None:
                held = self._open[number] = opened(self._resources[number], self._kind)
                while len(self._open) > HELD:
                    self._open.popitem(last=False)
            return held

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        view, done = memoryview(buffer), 0
        while done < n:
            number = bisect_right(self._starts, offset + done) - 1
            inside = offset + done - self._starts[number]
            take = min(n - done, self._resources[number].place.original - inside)
            done += self._source(number).read_into(inside, view[done : done + take])
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        out: list[Span] = []
        end = offset + n
        while offset < end:
            number = bisect_right(self._starts, offset) - 1
            inside = offset - self._starts[number]
            take = min(end - offset, self._resources[number].place.original - inside)
            out += self._source(number).trace(inside, take)
            offset += take
        return merge(out)


def _header(file: PooledFile) -> dict[str, int | bytes]:
    if file.read_at(0, len(SIGNATURE)) != SIGNATURE:
        raise NotThisFormat("WIM header", Span(file.root, 0, len(SIGNATURE)), "no signature")
    return HEADER.dict(read_exactly(file, 0, HEADER.size, "WIM header"))


def _number(head: dict[str, int | bytes], name: str) -> int:
    value = head[name]
    assert isinstance(value, int)
    return value


def _place(head: dict[str, int | bytes], name: str) -> Place:
    value = head[name]
    assert isinstance(value, bytes)
    return place(value)


def _parts(pool: FilePool, paths: list[str], first: PooledFile, head: dict[str, int | bytes], budget: Budget) -> dict[int, PooledFile]:
    """The files of a split set by number: those listed, and those beside the first that have its GUID."""
    found = {_number(head, "part"): first}
    if _number(head, "parts") < 2:
        return found
    stem, suffix = os.path.splitext(paths[0])
    stem = re.sub(r"(?<=\D)\d+$", "", stem) if _number(head, "part") > 1 else stem
    beside = [f"{stem}{n if n > 1 else ''}{suffix}" for n in range(1, min(_number(head, "parts"), 999) + 1)]
    for path in [*paths[1:], *(p for p in beside if os.path.isfile(p))]:
        budget.item()
        file = PooledFile(pool, path)
        try:
            other = _header(file)
        except EvidenceError as error:
            budget.report(error)
            continue
        if other["guid"] == head["guid"]:
            found.setdefault(_number(other, "part"), file)
        elif path in paths:
            budget.report(Finding.note("WIM part", "another set: it was not read", where=path))
    missing = [n for n in range(1, _number(head, "parts") + 1) if n not in found]
    if missing:
        listed = ", ".join(map(str, missing[:8]))
        text = f"{len(missing)} of {_number(head, 'parts')} parts are missing ({listed}): their contents cannot be read"
        budget.report(Truncated("WIM part", Span(first.root, 40, 4), text))
    return found


def _kind(head: dict[str, int | bytes], root: str, budget: Budget) -> Kind:
    flags, chunk = _number(head, "flags"), _number(head, "chunk_size")
    name = next((name for bit, name in _KINDS if flags & bit), "") if flags & FLAG_COMPRESSED else ""
    most = {"lzx": 1 << 21, "xpress": 1 << 16}.get(name, 1 << 30)
    if name in ("lzx", "xpress") and (chunk & (chunk - 1) or not (1 << 15 if name == "lzx" else 1 << 12) <= chunk <= most):
        if chunk:
            budget.report(Corrupt("WIM header", Span(root, 20, 4), f"chunks of {chunk} bytes: taken to be 32768"))
        chunk = 1 << 15
    return Kind(name, chunk)


def _texts(file: PooledFile, where: Place, budget: Budget) -> Texts:
    """What the XML data say of each image."""
    span = Span(file.root, where.offset, where.size)
    raw = file.read_at(where.offset, where.size) if where.size <= XML else b""
    if not raw or len(raw) < where.size:
        budget.report(Corrupt("WIM XML data", span, f"{where.size} bytes at {where.offset} of {file.size}"))
        return {}
    text = raw.decode("utf-16", "replace") if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else raw.decode("utf-16-le", "replace")
    try:
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("a document type: no WIM has one")
        root = ET.fromstring(text.rstrip("\0"))
    except (ET.ParseError, ValueError) as error:
        budget.report(Corrupt("WIM XML data", span, str(error)))
        return {}
    out: Texts = {}
    for node in root.findall("IMAGE"):
        number = node.get("INDEX", "")
        said = {child.tag.lower(): (child.text or "").strip() for child in node if not len(child)}
        for name in ("CREATIONTIME", "LASTMODIFICATIONTIME"):
            try:
                high, low = (int(node.findtext(f"{name}/{half}") or "", 16) for half in ("HIGHPART", "LOWPART"))
            except ValueError:
                continue
            said[name.lower()] = str(high << 32 | low)
        if re.fullmatch(r"[1-9]\d{0,4}", number, re.ASCII):
            out[int(number)] = said
    return out


def _lost(known: dict[bytes, Resource], used: set[bytes], kind: Kind) -> list[Entry]:
    """Contents that no entry of any image names."""
    out = []
    for number, (sha1, resource) in enumerate(known.items()):
        if sha1 in used or resource.place.flags & METADATA:
            continue

        def streams(resource: Resource = resource) -> Sequence[Stream]:
            return (Stream(opened(resource, kind)),)

        name = sha1.hex()
        out.append(
            Entry(_LOST + number, 0, None, name.encode(), name, name, "file", "orphan", resource.place.original, attributes={
                "flags": 0, "sha1": name, "references": resource.references}, opener=streams)
        )  # fmt: skip
    return out


def _images(
    metadata: list[Resource], kind: Kind, known: dict[bytes, Resource], texts: dict[int, dict[str, str]], budget: Budget
) -> list[Entry]:
    """The entries of all images. Raises the error of the first image when none can be read."""
    out: list[Entry] = []
    used: set[bytes] = set()
    failed: list[EvidenceError] = []
    for number, resource in enumerate(metadata, 1):
        span = Span(getattr(resource.file, "root", ""), resource.place.offset, resource.place.size)
        try:
            if resource.file is None:
                raise Truncated("WIM metadata", span, f"it lies in part {resource.part}, which is not here")
            size = budget.allocate("WIM metadata", resource.place.original, span)
            raw = unpacked(resource.file, resource.place, kind, "WIM metadata").read_at(0, size)
            if hashlib.sha1(raw, usedforsecurity=False).digest() != resource.sha1:
                budget.report(Corrupt("WIM metadata", span, f"image {number}: its SHA-1 does not match; it is read as it is"))
            tree = ImageTree(number, raw, span, known.get, kind, budget)
            said = texts.get(number, {})
            found = tree.read(said.get("name", ""))
            if born := said.get("creationtime"):
                found[0] = replace(found[0], times={"born": Timestamp.filetime(int(born) & (1 << 64) - 1)})
        except EvidenceError as error:
            budget.report(error, f"image {number}")
            failed.append(error)
            continue
        out += found
        used |= tree.used
    if failed and not out:
        raise failed[0]
    return [*out, *_lost(known, used, kind)]


def open_wim(paths: Sequence[str], budget: Budget) -> Image:
    """The images in the file, or in the parts of a split one. The media are the contents of the resources one behind the other.

    Raises NotThisFormat by the signature; Corrupt and Truncated for a header or table that cannot be; Unsupported when the images are
    packed in a way that is not read (LZMS, solid). One image of several that is damaged, and parts that are missing, are findings;
    contents that nothing names are entries of state "orphan". A content with another SHA-1 raises Corrupt when it is read to its end.
    """
    with ExitStack() as stack:
        pool = FilePool()
        stack.callback(pool.close)
        listed = expand(paths)
        first = PooledFile(pool, listed[0])
        head = _header(first)
        parts = _parts(pool, listed, first, head, budget)
        kind = _kind(head, first.root, budget)
        files: dict[int, ByteSource] = dict(parts.items())
        known: dict[bytes, Resource] = {}
        metadata: list[Resource] = []
        solid = 0
        for number, file in sorted(parts.items()):
            where = _place(_header(file), "table")
            span = Span(file.root, where.offset, where.size)
            if where.original % TABLE_ENTRY.size or where.original > budget.limits.allocation:
                raise Corrupt("WIM offset table", span, f"{where.original} bytes")
            raw = unpacked(file, where, kind, "WIM offset table").read_at(0, where.original)
            for resource in entries(raw, files, budget):
                if resource.place.flags & SOLID:
                    solid += 1
                if resource.place.flags & METADATA and number == 1:
                    metadata.append(resource)
                else:
                    known.setdefault(resource.sha1, resource)
        if solid:
            found = f"{solid} entries of the offset table are of solid resources (ESD): what they hold cannot be read"
            budget.report(Finding("Unsupported", "WIM offset table", found, first.root, "wim"))
        if len(metadata) != _number(head, "images"):
            text = f"{_number(head, 'images')} images in the header, {len(metadata)} in the offset table"
            budget.report(Corrupt("WIM header", Span(first.root, 44, 4), text))
        texts = _texts(parts.get(1, first), _place(_header(parts.get(1, first)), "xml"), budget)
        tree = _images(metadata, kind, known, texts, budget)
        order = sorted([*metadata, *known.values()], key=lambda r: (r.part, r.place.offset))
        media = _Media([r for r in order if not r.place.flags & SOLID and r.place.original <= 1 << 60], kind)
        stack.pop_all()
    packed = kind.name or "none"
    facts = {"guid": guid(bytes(head["guid"])), "version": str(head["version"]), "images": str(len(metadata)), "compression": packed}
    facts |= {"chunk_size": str(kind.chunk), "parts": str(head["parts"]), "boot_index": str(head["boot_index"])}
    for number, said in texts.items():
        facts |= {f"image {number} {name}": value for name, value in said.items() if value}
    return Image(
        media, format="wim", name=first.root, facts=facts, parts=tuple((f.root, f.size) for _, f in sorted(parts.items())),
        close_with=(pool.close,), tree=TreeFileSystem("logical", tree),
    )  # fmt: skip


FORMAT = ImageFormat(
    name="wim",
    title="Windows Imaging Format (WIM, split WIM)",
    refs=(
        "Microsoft, Windows Imaging File Format (WIM), white paper (2007)",
        "[MS-XCA] Xpress Compression Algorithm; Microsoft, LZX Data Compression Format",
    ),
    gaps=(
        "LZMS and solid resources (ESD) are refused; a WIM that holds some is read without them, and says so",
        "the SHA-1 of a content is checked by the read that reaches its end; a read of a part of it is not checked",
        "security descriptors keep their number and are not shown; object ids and extended attributes are not read",
        "what a delta WIM takes from another file raises when it is read; the integrity table is not used, each content has its own SHA-1",
        "the mount point and volume data that Windows adds to the XML are not shown",
    ),
    signatures=(Signature(SIGNATURE),),
    extensions=(".wim", ".swm", ".esd"),
    open=open_wim,
)
