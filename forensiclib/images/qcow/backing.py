"""What lies under a disk: any image that its backing file may be."""

from __future__ import annotations

import json
import os

from forensiclib.core.errors import Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import parallels, qcow, vdi, vhd, vhdx, vmdk
from forensiclib.images import parallels as parallels_room
from forensiclib.images import vdi as vdi_room
from forensiclib.images import vhd as vhd_room
from forensiclib.images._family import Family
from forensiclib.images._files import PooledFile
from forensiclib.images.vhdx import vhdx as vhdx_room
from forensiclib.images.vmdk import vmdk as vmdk_room
from forensiclib.images.vmdk.descriptor import announces

__all__ = ["file_name", "format_of", "other"]

NAMES = {"raw": "raw", "host_device": "raw", "qcow2": "qcow", "qcow": "qcow", "vmdk": "vmdk", "vpc": "vhd", "vhdx": "vhdx", "vdi": "vdi"}
"""QEMU's names of formats -> ours."""


def file_name(stated: str) -> str:
    """The path in a backing file's name, which may be wrapped: "file:disk.raw", "json:{...}"."""
    if stated.startswith("json:"):
        try:
            found = json.loads(stated[5:])
        except (ValueError, RecursionError):
            return stated
        while isinstance(found, dict):
            found = found.get("filename", found.get("file.filename", found.get("file")))
        return found if isinstance(found, str) else stated
    return stated.removeprefix("file:")


def format_of(file: PooledFile) -> str:
    """Our name of the format that the content announces; "raw" for none."""
    head = file.read_at(0, 80)
    if head[:4] == qcow.SIGNATURE:
        return "qcow"
    if head[:4] in (vmdk.SIGNATURE, vmdk.SIGNATURE_COWD) or head[:8] == vmdk.SIGNATURE_SE or announces(head):
        return "vmdk"
    if head[:8] == vhdx.SIGNATURE:
        return "vhdx"
    if head[64:68] == vdi.SIGNATURE:
        return "vdi"
    if head[:16] in (parallels.SIGNATURE, parallels.SIGNATURE_EXT):
        return "parallels"
    tail = file.read_at(max(0, file.size - 512), 8)
    return "vhd" if vhd.SIGNATURE in (head[:8], tail) else "raw"


def other(family: Family, path: str, stated: str) -> ByteSource | None:
    """The bytes of a backing file that is no QCOW; None when it is one. ``stated`` is the format in the header, "" for none: then the
    content decides, and that is a note, since a guest can write the start of a raw disk."""
    file = PooledFile(family.pool, path)
    kind = NAMES.get(stated, stated)
    if not kind:
        kind = format_of(file)
        found = f"the header does not say the format of {file.root}: it is read as {kind}, by its content"
        family.budget.report(Finding.note("QCOW backing file", found, path))
    if kind == "qcow":
        return None
    if kind == "vmdk":
        return vmdk_room.layer(family, path).data
    if kind == "vhd":
        return vhd_room.layer(family, path).data
    if kind == "vhdx":
        return vhdx_room.layer(family, path)[0]
    if kind == "vdi":
        return vdi_room.layer(family, path)[0]
    if kind == "parallels":
        return parallels_room.expanding(family, path, None)[0]
    if kind != "raw":
        raise Unsupported("QCOW backing file", Span(os.path.basename(path), 0, 0), f"a backing file of the format {stated}")
    family.enter(path)
    return family.open(path)
