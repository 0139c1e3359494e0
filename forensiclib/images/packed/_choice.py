"""Which member of an archive is the image, and whether it is one that can be read from within."""

from __future__ import annotations

import os

from forensiclib.core.errors import Unsupported
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import ad1, aff, ewf, qcow, vhd, vhdx, vmdk, wim

__all__ = ["looks_like_an_image", "must_be_raw"]

_RAW = (".dd", ".raw", ".img", ".image", ".iso", ".bin", ".dmp", ".001", ".000")
_CONTAINERS = {
    ewf.SIGNATURE: "an EWF image",
    ewf.SIGNATURE_EX01: "an EWF2 image",
    ewf.SIGNATURE_L01: "logical evidence",
    ewf.SIGNATURE_LX01: "logical evidence",
    aff.SIGNATURE: "an AFF image",
    ad1.SIGNATURE: "an AD1 image",
    wim.SIGNATURE: "a WIM",
    vmdk.SIGNATURE: "a VMDK",
    qcow.SIGNATURE: "a QCOW disk",
    vhdx.SIGNATURE: "a VHDX",
    vhd.SIGNATURE: "a VHD",
    b"PK\3\4": "an archive",
    b"\x1f\x8b": "an archive",
    b"7z\xbc\xaf\x27\x1c": "an archive",
}
_NAMES = (
    ".e01", ".ex01", ".l01", ".lx01", ".s01", ".aff", ".afm", ".aff4", ".ad1", ".vmdk", ".vhd", ".vhdx", ".vdi", ".qcow2", ".qcow", ".wim",
)  # fmt: skip


def looks_like_an_image(name: str) -> bool:
    """Whether a file of that name is one that examiners pack: raw media or a container of them."""
    return os.path.splitext(name.lower())[1] in (*_RAW, *_NAMES)


def must_be_raw(data: ByteSource, name: str, span: Span | None) -> None:
    """Unsupported when the member is a container itself: these are opened by their files only."""
    head = data.read_at(0, 32)
    kind = next((said for magic, said in _CONTAINERS.items() if head.startswith(magic)), "")
    if not kind and os.path.splitext(name.lower())[1] in _NAMES:
        kind = "an image by its name"
    if kind:
        raise Unsupported("packed image", span, f"{name} is {kind}: containers inside an archive are not opened, unpack it first")
