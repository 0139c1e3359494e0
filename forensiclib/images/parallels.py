"""Parallels disk: an expanding image (.hds), a plain one, and the .hdd folder whose DiskDescriptor.xml chains them."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image, Snapshot
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.core.span import Span
from forensiclib.formats import parallels as f
from forensiclib.images._blocks import BlockSource, Place, Table, padded, read_exactly
from forensiclib.images._family import Family, base_name, opened
from forensiclib.images._files import PooledFile

__all__ = ["FORMAT", "expanding", "open_parallels"]

SECTOR = 512
NONE = "{00000000-0000-0000-0000-000000000000}"
CURRENT = "{5fbaabe3-6958-40ff-92a7-860e329aab41}"
"""The image that is written to, where the descriptor names no top ("Snapshots element")."""
LONGEST = 16 << 20
"""Bytes of a descriptor."""


def expanding(family: Family, path: str, under: ByteSource | None) -> tuple[ByteSource, dict[str, str]]:
    """(the disk in one expanding image, upon ``under``; what its header says)"""
    family.enter(path)
    file = family.open(path)
    if file.read_at(0, 16) not in (f.SIGNATURE, f.SIGNATURE_EXT):
        raise NotThisFormat("Parallels image", Span(file.root, 0, 16), "no signature")
    head = f.HEADER.dict(read_exactly(file, 0, f.HEADER.size, "Parallels header"))
    span = Span(file.root, 0, f.HEADER.size)
    new = head["magic"] == f.SIGNATURE_EXT
    if head["version"] != 2:
        raise Unsupported("Parallels header", span, f"version {head['version']}")
    cluster = head["tracks"] * SECTOR
    size = (head["sectors"] if new else head["sectors"] & 0xFFFFFFFF) * SECTOR
    if not SECTOR <= cluster <= 1 << 30 or size > 1 << 60:
        raise Corrupt("Parallels header", span, f"clusters of {cluster} bytes, a disk of {size}")
    if -(-size // cluster) > head["entries"]:
        raise Corrupt("Parallels header", span, f"{head['entries']} clusters of {cluster} bytes for a disk of {size}")
    if head["in_use"] == f.IN_USE:
        family.budget.report(Finding.note("Parallels image", "it was not closed: the last writes may be missing", path, span))
    table = Table(file, f.HEADER.size, head["entries"], "I", "Parallels block map")
    unit, below = cluster if new else SECTOR, padded(under, size) if under is not None else None

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, cluster)
        run = min(cluster - inside, size - offset)
        entry = table[number]
        if not entry:
            return below, offset if below is not None else 0, run
        return file, entry * unit + inside, run

    facts = {"magic": head["magic"].decode("ascii"), "cluster_size": str(cluster), "sectors": str(size // SECTOR)}
    facts |= {name: str(head[name]) for name in ("version", "heads", "cylinders", "in_use", "flags")}
    return BlockSource(size, locate, "Parallels cluster"), facts


@dataclass(slots=True)
class _Storage:
    """A stretch of the disk in sectors, and its images: GUID -> (type, file name)."""

    start: int
    end: int
    images: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class _Descriptor:
    """parents   GUID -> GUID of the snapshot below; top   the GUID of the current state"""

    storages: list[_Storage]
    parents: dict[str, str]
    names: dict[str, str]
    top: str
    facts: dict[str, str]


def _number(node: ET.Element, name: str, span: Span) -> int:
    text = (node.findtext(name) or "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Corrupt("DiskDescriptor.xml", span, f"{name} is {text[:40]!r}")
    return int(text)


def _guid(node: ET.Element, name: str) -> str:
    return (node.findtext(name) or "").strip().lower()


def _described(file: PooledFile, budget: Budget) -> _Descriptor:
    """NotThisFormat when it is another document; Corrupt for one that is not well-formed; Locked for an encrypted disk."""
    span = Span(file.root, 0, file.size)
    head = file.read_at(0, 4096)
    if b"<Parallels_disk_image" not in head:
        raise NotThisFormat("DiskDescriptor.xml", Span(file.root, 0, len(head)), "no Parallels_disk_image")
    if file.size > LONGEST:
        raise Corrupt("DiskDescriptor.xml", span, f"more than {LONGEST} bytes")
    raw = file.read_at(0, file.size)
    if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
        raise Corrupt("DiskDescriptor.xml", span, "a document type: no descriptor has one")
    try:
        root = ET.fromstring(raw)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise Corrupt("DiskDescriptor.xml", span, str(error)) from error
    engine = (root.findtext("Disk_Parameters/Encryption/Engine") or NONE).strip()
    if engine not in (NONE, ""):
        raise Locked("Parallels disk", span, f"encrypted (engine {engine}), and no key can be given yet")
    storages = []
    for node in root.findall("StorageData/Storage"):
        budget.item()
        one = _Storage(_number(node, "Start", span), _number(node, "End", span))
        for image in node.findall("Image"):
            one.images[_guid(image, "GUID")] = ((image.findtext("Type") or "").strip(), (image.findtext("File") or "").strip())
        storages.append(one)
    storages.sort(key=lambda s: s.start)
    if not storages or storages[0].start or any(a.end != b.start for a, b in pairwise(storages)) or storages[-1].end > 1 << 50:
        raise Corrupt("DiskDescriptor.xml", span, "its storages do not cover the disk without a gap")
    if any(s.end < s.start for s in storages):
        raise Corrupt("DiskDescriptor.xml", span, "a storage that ends before it starts")
    shots = root.findall("Snapshots/Shot")
    parents = {_guid(s, "GUID"): _guid(s, "ParentGUID") for s in shots}
    names = {_guid(s, "GUID"): (s.findtext("Name") or "").strip() for s in shots}
    facts = {n.tag: (n.text or "").strip() for n in root.findall("Disk_Parameters/*") if not len(n)}
    top = (root.findtext("Snapshots/TopGUID") or "").strip().lower() or (CURRENT if CURRENT in storages[0].images else "")
    if not top:
        leaves = [g for g in storages[0].images if g not in parents.values()]
        if len(leaves) != 1:
            raise Corrupt("DiskDescriptor.xml", span, f"{len(leaves)} images could be the current one")
        top = leaves[0]
    return _Descriptor(storages, parents, names, top, facts)


class _Builder:
    """The states of one described disk; what they share is opened once."""

    def __init__(self, family: Family, path: str, found: _Descriptor) -> None:
        self.family, self.path, self.found = family, path, found
        self.span = Span(os.path.basename(path), 0, 0)
        self._made: dict[tuple[int, str], ByteSource] = {}

    def chain(self, guid: str) -> list[str]:
        """The state and those below it, lowest first."""
        out: list[str] = []
        while guid not in ("", NONE):
            if guid in out or len(out) > 128:
                raise Corrupt("DiskDescriptor.xml", self.span, f"snapshots that follow each other without end, from {out[0]}")
            out.append(guid)
            guid = self.found.parents.get(guid, "")
        return out[::-1]

    def state(self, guid: str) -> ByteSource:
        """The whole disk at that state."""
        parts = [self._part(i, guid) for i in range(len(self.found.storages))]
        return parts[0] if len(parts) == 1 else ConcatSource(parts)

    def _part(self, index: int, guid: str) -> ByteSource:
        storage, source = self.found.storages[index], None
        size = (storage.end - storage.start) * SECTOR
        for step in self.chain(guid):
            if step not in storage.images:
                if step == guid:
                    raise Corrupt("DiskDescriptor.xml", self.span, f"no image of the state {guid}")
                continue
            made = self._made.get((index, step))
            if made is None:
                made = self._made[index, step] = self._image(storage.images[step], source, size)
            source = made
        if source is None:
            raise Corrupt("DiskDescriptor.xml", self.span, f"no image of the state {guid}")
        return source

    def _image(self, image: tuple[str, str], under: ByteSource | None, size: int) -> ByteSource:
        kind, name = image
        where = self.family.need(self.path, [name], "image of a Parallels disk")
        if kind.lower() == "plain":
            self.family.enter(where)
            file: ByteSource = self.family.open(where)
        elif kind.lower() == "compressed":
            try:
                file = expanding(self.family, where, under)[0]
            except NotThisFormat as error:
                raise Corrupt(error.what, error.span, error.found) from error
        else:
            raise Unsupported("DiskDescriptor.xml", self.span, f"an image of type {kind}")
        if file.size != size:
            found = f"{file.size} bytes, the descriptor says {size}"
            if file.size < size and kind.lower() == "plain":
                self.family.budget.report(Truncated("Parallels image", Span(os.path.basename(where), 0, file.size), found))
                return BlockSource(size, lambda offset: (file, offset, size - offset), "Parallels image")
            self.family.budget.report(Corrupt("Parallels image", Span(os.path.basename(where), 0, 64), found))
        return padded(file, size).slice(0, size)


def _open(family: Family, path: str) -> Image:
    file = PooledFile(family.pool, path)
    name = os.path.basename(path)
    only = ""
    if file.read_at(0, 16) in (f.SIGNATURE, f.SIGNATURE_EXT):
        beside = family.find(path, [f.DESCRIPTOR])
        found = _described(family.open(beside), family.budget) if beside is not None else None
        only = _state_of(found, name) if found is not None else ""
        if found is None or beside is None or not only:
            source, facts = expanding(family, path, None)
            return Image(source, format="parallels", name=name, facts=facts)
        path = beside
    else:
        found = _described(family.open(path), family.budget)
        if path in family.listed and name == f.DESCRIPTOR:
            name = os.path.basename(os.path.dirname(os.path.abspath(path))) or name
    builder, top = _Builder(family, path, found), only or found.top
    source = builder.state(top)
    facts = {**found.facts, "state": top, "chain": " <- ".join(builder.chain(top)[::-1])}
    return Image(source, format="parallels", name=name, facts=facts, snapshots=_snapshots(builder, found, top))


def _state_of(found: _Descriptor, name: str) -> str:
    """The state whose image is the file; "" when the descriptor does not name it."""
    for storage in found.storages:
        for guid, (_kind, file) in storage.images.items():
            if base_name(file).casefold() == name.casefold():
                return guid
    return ""


def _snapshots(builder: _Builder, found: _Descriptor, top: str) -> list[Snapshot]:
    out = []
    for guid in found.parents:
        if guid == top:
            continue
        try:
            source = builder.state(guid)
        except EvidenceError as error:
            builder.family.budget.report(error, f"snapshot {guid}")
            continue
        out.append(Snapshot(guid, found.names.get(guid, ""), source.size, source))
    return out


def open_parallels(paths: Sequence[str], budget: Budget) -> Image:
    """The disk that the first path describes: a DiskDescriptor.xml, or an expanding image, whose descriptor beside it is used when it
    names the image. The states below the current one are in ``image.snapshots``.

    Raises NotThisFormat by the content; Locked when encrypted; Truncated for an image that is missing; Corrupt for a descriptor or header
    that contradicts itself. An image that was not closed, or of another size than described, is a finding.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="parallels",
    title="Parallels disk (HDD)",
    refs=(
        "QEMU project, docs/interop/parallels.txt: Parallels Expandable Image File Format",
        "QEMU project, docs/interop/prl-xml.txt: Parallels Disk Format",
    ),
    gaps=(
        "encrypted disks are recognised and refused",
        "the format extension (dirty bitmaps) is not read",
        "images are looked for in the folder of the descriptor only",
        "the format stores no checksum: damage is seen only where a map makes no sense",
    ),
    signatures=(Signature(f.SIGNATURE), Signature(f.SIGNATURE_EXT)),
    extensions=(".hds", ".hdd", ".xml"),
    folder=f.DESCRIPTOR,
    open=open_parallels,
)
