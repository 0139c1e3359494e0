"""Open a VMware virtual disk: its descriptor, its extents, its parents."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource, ExtentSource, MemorySource
from forensiclib.core.span import Span
from forensiclib.formats.vmdk import DESCRIPTOR, SIGNATURE, SIGNATURE_COWD, SIGNATURE_SE
from forensiclib.images._blocks import padded
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile
from forensiclib.images.vmdk.descriptor import Descriptor, Extent, announces, parse
from forensiclib.images.vmdk.sparse import Header, header, sparse

__all__ = ["FORMAT", "Layer", "layer", "open_vmdk"]

SECTOR = 512
_NUMBERED = re.compile(r"^(.*)-(?:[sf]\d{3,}|\d{6}-delta|delta|sesparse)(\.\w+)$", re.IGNORECASE)
_FLAT = ("FLAT", "VMFS")
_SPARSE = ("SPARSE", "VMFSSPARSE", "SESPARSE")


@dataclass(slots=True)
class Layer:
    """One disk of a chain: its bytes, and the descriptor that made it (None for an extent that stands alone)."""

    data: ByteSource
    descriptor: Descriptor | None
    facts: dict[str, str]


def _is_vmdk(head: bytes) -> bool:
    return head[:4] in (SIGNATURE, SIGNATURE_COWD) or head[:8] == SIGNATURE_SE or announces(head)


def _describing(family: Family, path: str) -> str | None:
    """The descriptor that names the file at ``path`` as an extent: among the listed files, then beside it by its usual name."""
    name = os.path.basename(path)
    stem = match[1] + match[2] if (match := _NUMBERED.match(name)) else ""
    beside = family.find(path, [stem]) if stem else None
    for candidate in [*(p for p in family.listed if p != path), *([beside] if beside else [])]:
        file = PooledFile(family.pool, candidate)
        if not announces(file.read_at(0, 64)):
            continue
        try:
            found = parse(file)
        except EvidenceError:
            continue
        if any(os.path.basename(e.name).casefold() == name.casefold() for e in found.extents):
            return candidate
    return None


def _header_facts(made: Header) -> dict[str, str]:
    names = ("version", "flags", "grain_size", "gtes_per_gt", "compression", "unclean")
    return {name: str(made.raw[name]) for name in names if name in made.raw}


def _embedded(made: Header) -> Descriptor | None:
    at, n = made.raw.get("descriptor_offset", 0), made.raw.get("descriptor_size", 0)
    if made.kind != "KDMV" or not at or not n or not any(made.file.read_at(at * SECTOR, 64)):
        return None  # extents of a split disk keep the room and leave it empty
    try:
        return parse(made.file, at * SECTOR, n * SECTOR)
    except NotThisFormat as error:
        raise Corrupt(error.what, error.span, error.found) from error


def layer(family: Family, path: str) -> Layer:
    """The disk that one file describes, upon its parents."""
    family.enter(path)
    file = family.open(path)
    head = file.read_at(0, 64)
    if announces(head):
        return _described(family, path, parse(file), None)
    made = header(file)
    inner = _embedded(made)
    if inner is not None:
        return _described(family, path, inner, made)
    return _bare(family, path, made)


def _bare(family: Family, path: str, made: Header) -> Layer:
    """An extent without any descriptor: all that is here of its disk."""
    found = "an extent whose descriptor is neither listed nor beside it: only this extent's part of the disk is shown, and no parent"
    family.budget.report(Finding("Truncated", "VMDK descriptor", found, path, "vmdk", Span(made.file.root, 0, SECTOR)))
    return Layer(sparse(made, None, family.budget), None, _header_facts(made))


def _described(family: Family, path: str, found: Descriptor, made: Header | None) -> Layer:
    if not found.extents:
        raise Corrupt("VMDK descriptor", Span(os.path.basename(path), 0, 0), "no extent")
    facts = dict(found.values) | {"extents": str(len(found.extents))}
    facts |= _header_facts(made) if made is not None else {}
    parent = _parent(family, path, found)
    parts: list[ByteSource] = []
    at = 0
    for extent in found.extents:
        family.budget.item()
        n = extent.sectors * SECTOR
        under = padded(parent, at + n).slice(at, n) if parent is not None else None
        own = made if made is not None and extent.kind in _SPARSE and len(found.extents) == 1 else None
        parts.append(_extent(family, path, extent, own, under))
        at += n
    return Layer(parts[0] if len(parts) == 1 else ConcatSource(parts), found, facts)


def _parent(family: Family, path: str, found: Descriptor) -> ByteSource | None:
    if not found.has_parent:
        return None
    hint = found.values.get("parentfilenamehint", "")
    name = os.path.basename(path)
    cid = found.values.get("parentcid", "?")
    where = family.need(path, [hint] if hint else [], "parent of a VMDK", f"the disk with the CID {cid}")
    parent = layer(family, where)
    actual = parent.descriptor.cid if parent.descriptor is not None else None
    if actual != found.parent_cid:
        text = f"{name} was made upon the CID {cid}, {os.path.basename(where)} has {'none' if actual is None else f'{actual:08x}'}: " + (
            "the parent was changed since, or is another disk"
        )
        family.budget.report(Finding("Corrupt", "CID of the parent", text, path, "vmdk", Span(name, 0, 0)))
    return parent.data


def _extent(family: Family, path: str, extent: Extent, own: Header | None, under: ByteSource | None) -> ByteSource:
    n = extent.sectors * SECTOR
    where = Span(os.path.basename(path), 0, 0)
    if extent.sectors >= 1 << 51:
        raise Corrupt("VMDK descriptor", where, f"an extent of {extent.sectors} sectors")
    if extent.kind == "ZERO":
        return ExtentSource(MemorySource(b""), [(None, n)], n)
    if extent.access == "NOACCESS":
        family.budget.report(Finding.note("VMDK extent", f"{n} bytes are marked NOACCESS: they are in no file", path))
        return ExtentSource(MemorySource(b""), [], n)
    if extent.kind not in (*_FLAT, *_SPARSE):
        raise Unsupported("VMDK extent", where, f"an extent of type {extent.kind}: the bytes are on a device, not in a file")
    if own is not None:
        made = own
    else:
        file = family.open(family.need(path, [extent.name], "extent of a VMDK"))
        if extent.kind in _FLAT:
            return _flat(family, file, extent)
        try:
            made = header(file)
        except NotThisFormat as error:
            raise Corrupt(error.what, error.span, error.found) from error
    if made.size != n:
        found = f"{extent.sectors} sectors in the descriptor, {made.raw['capacity']} in the header of {made.file.root}"
        family.budget.report(Corrupt("VMDK extent", Span(made.file.root, 0, SECTOR), found))
    return sparse(made, under, family.budget).slice(0, n) if made.size >= n else padded(sparse(made, under, family.budget), n)


def _flat(family: Family, file: PooledFile, extent: Extent) -> ByteSource:
    start, n = extent.offset * SECTOR, extent.sectors * SECTOR
    if start + n > file.size:
        found = f"{file.size} bytes where the descriptor says {start + n}: the rest cannot be read"
        family.budget.report(Truncated("VMDK flat extent", Span(file.root, 0, file.size), found))
    return ExtentSource(file, [(start, n)], n)


def _open(family: Family, path: str) -> Image:
    file = PooledFile(family.pool, path)
    head = file.read_at(0, 64)
    if not _is_vmdk(head):
        raise NotThisFormat("VMDK", Span(file.root, 0, 64), "neither a descriptor nor a sparse extent")
    if not announces(head) and _embedded(header(file)) is None:
        path = _describing(family, path) or path
    found = layer(family, path)
    return Image(found.data, format="vmdk", name=os.path.basename(path), facts=found.facts)


def open_vmdk(paths: Sequence[str], budget: Budget) -> Image:
    """The disk that the first path describes: a descriptor, a disk with its descriptor inside, or one extent, whose descriptor
    is then looked for. Extents and parents come from the other paths or from the disk's folder.

    Raises NotThisFormat by the content; Truncated for an extent or parent that is missing, Corrupt for headers and descriptors that
    contradict themselves, Unsupported for extents on devices. A parent whose CID is another, a disk that was not closed, damaged
    grain tables with a backup, a stream without its end are findings.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="vmdk",
    title="VMware virtual disk (VMDK)",
    refs=(
        "VMware, Inc., Virtual Disk Format 5.0 (technical note, 2011)",
        "Joachim Metz, VMware Virtual Disk (VMDK) format specification, libvmdk documentation (SE-sparse)",
    ),
    gaps=(
        "raw device mappings (VMFSRDM, VMFSRAW) and device-backed flat disks are refused",
        "the journal of an SE-sparse extent that was not closed is not replayed; the finding says so",
        "changed block tracking files (-ctk.vmdk) are not read; encrypted disks are not recognised as such",
        "extents and parents are looked for in the disk's own folder only: list those that are elsewhere",
        "tables of a hosted extent are compared with their backup, entries of the others are checked only against the end of the file",
    ),
    signatures=(Signature(SIGNATURE), Signature(SIGNATURE_COWD), Signature(SIGNATURE_SE), Signature(DESCRIPTOR)),
    extensions=(".vmdk",),
    open=open_vmdk,
)
