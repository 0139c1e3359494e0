"""VirtualBox disk image (VDI): dynamic, static, and differencing upon a parent that only its UUID names."""

from __future__ import annotations

import os
from collections.abc import Sequence

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import vdi as f
from forensiclib.images._blocks import BlockSource, Place, Table, padded, read_exactly
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile

__all__ = ["FORMAT", "layer", "open_vdi"]

_SUFFIXES = (".vdi",)


def _header(file: PooledFile) -> dict[str, int | bytes]:
    if file.read_at(f.SIGNATURE_OFFSET, 4) != f.SIGNATURE:
        raise NotThisFormat("VDI", Span(file.root, f.SIGNATURE_OFFSET, 4), "no signature")
    return f.HEADER.dict(read_exactly(file, 0, f.HEADER.size, "VDI header"))


def layer(family: Family, path: str) -> tuple[ByteSource, dict[str, str], dict[str, int | bytes]]:
    """(the disk in one file upon its parents, what its header says in words, the header)"""
    family.enter(path)
    file = family.open(path)
    head = _header(file)
    n = {k: v for k, v in head.items() if isinstance(v, int)}
    span = Span(file.root, 0, f.HEADER.size)
    if n["version"] >> 16 != 1:
        raise Unsupported("VDI header", span, f"version {n['version'] >> 16}.{n['version'] & 0xFFFF}")
    if n["type"] not in f.TYPES:
        raise Unsupported("VDI header", span, f"an image of type {n['type']}")
    block, extra, size = n["block_size"], n["block_extra"], n["disk_size"]
    if not 512 <= block <= 1 << 30 or block & (block - 1) or extra > block or size > 1 << 60:
        raise Corrupt("VDI header", span, f"blocks of {block} bytes with {extra} in front, a disk of {size}")
    if -(-size // block) > n["blocks"]:
        raise Corrupt("VDI header", span, f"{n['blocks']} blocks of {block} bytes for a disk of {size}")
    table = Table(file, n["map_offset"], n["blocks"], "I", "VDI block map")
    facts = {
        "type": f.TYPES[n["type"]],
        "version": f"{n['version'] >> 16}.{n['version'] & 0xFFFF}",
        "comment": _text(head["comment"]),
        "maker": _text(head["text"]).strip("<> \n"),
        "geometry": f"{n['cylinders']}/{n['heads']}/{n['sectors']}",
        **{k: str(n[k]) for k in ("flags", "disk_size", "block_size", "blocks", "allocated")},
        **{k: _guid(head, k) for k in ("uuid", "uuid_modified", "uuid_parent", "uuid_parent_modified")},
    }
    under = padded(_parent(family, path, head), size) if n["type"] in (f.UNDO, f.DIFF) else None
    first, step = n["data_offset"] + extra, block + extra

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, block)
        run = min(block - inside, size - offset)
        place = table[number]
        if place == f.UNUSED:
            return under, offset if under is not None else 0, run
        if place == f.DISCARDED:
            return None, 0, run
        return file, first + place * step + inside, run

    return BlockSource(size, locate, "VDI block"), facts, head


def _text(raw: int | bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace") if isinstance(raw, bytes) else ""


def _guid(head: dict[str, int | bytes], name: str) -> str:
    value = head[name]
    return guid(value) if isinstance(value, bytes) else ""


def _parent(family: Family, path: str, head: dict[str, int | bytes]) -> ByteSource:
    """The disk with the UUID that the child names: VDI stores no file name."""
    wanted = _guid(head, "uuid_parent")
    for other in family.others(path, _SUFFIXES):
        family.budget.item()
        try:
            there = _header(PooledFile(family.pool, other))
        except (NotThisFormat, Truncated):
            continue
        if _guid(there, "uuid") != wanted:
            continue
        if (stamp := _guid(head, "uuid_parent_modified")) not in ("00000000-0000-0000-0000-000000000000", _guid(there, "uuid_modified")):
            name = os.path.basename(other)
            actual = _guid(there, "uuid_modified")
            found = f"{name} was changed since the child was made: its modification UUID is {actual}, the child wants {stamp}"
            family.budget.report(Finding("Corrupt", "parent of a VDI", found, path, "vdi", Span(os.path.basename(path), 0, f.HEADER.size)))
        return layer(family, other)[0]
    family.need(path, [], "parent of a VDI", f"the disk with the UUID {wanted}")
    raise Truncated("parent of a VDI", None, wanted)


def _open(family: Family, path: str) -> Image:
    source, facts, _head = layer(family, path)
    return Image(source, format="vdi", name=os.path.basename(path), facts=facts)


def open_vdi(paths: Sequence[str], budget: Budget) -> Image:
    """The disk at the first path; parents are found by UUID among the other paths and the .vdi files of its folder.

    Raises NotThisFormat by the signature, Unsupported for headers of version 0, Corrupt for a map too small for the disk, Truncated
    when the parent is missing, naming its UUID. A parent that was changed since is a finding.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="vdi",
    title="VirtualBox disk image (VDI)",
    refs=("All about VDIs, VirtualBox forum tutorial (2008)", "Joachim Metz, VirtualBox Disk Image (VDI) format notes"),
    gaps=(
        "headers of version 0 (before VirtualBox 1.3) are refused",
        "parents are looked for in the disk's own folder only; VirtualBox keeps snapshots in one below: list both paths",
        "the format stores no checksum: damage is seen only where the map makes no sense",
        "encrypted disks are not recognised: VirtualBox says so in the machine's settings, not in the file",
    ),
    signatures=(Signature(f.SIGNATURE, offset=f.SIGNATURE_OFFSET),),
    extensions=(".vdi",),
    open=open_vdi,
)
