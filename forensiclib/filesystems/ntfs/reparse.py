"""Reparse points: what a link points at, and the names of the common tags ([MS-FSCC] 2.1.2.1)."""

from __future__ import annotations

from forensiclib.core.text import utf16
from forensiclib.filesystems.ntfs.mft import Mft
from forensiclib.formats._dsl import layout
from forensiclib.formats.ntfs import MOUNT_POINT, REPARSE, SYMLINK

__all__ = ["TAGS", "WOF", "target"]

MOUNT, LINK, LX, WOF = 0xA0000003, 0xA000000C, 0xA000001D, 0x80000017
TAGS = {
    MOUNT: "mount point", LINK: "symlink", LX: "lx symlink", WOF: "wof", 0x80000013: "dedup", 0x8000001B: "appexeclink",
    0x9000001A: "cloud", 0x9000601A: "cloud", 0x9000701A: "cloud", 0x80000023: "af_unix", 0x80000024: "lx fifo",
    0x80000025: "lx chr", 0x80000026: "lx blk", 0x80000018: "wci", 0x9000301A: "cloud", 0x80000008: "sis", 0xC0000004: "hsm",
}  # fmt: skip
_ATTRIBUTE = 0xC0
_BOUND = 1 << 14
"""[MS-FSCC]: reparse data is at most 16 KiB."""
_HEADER, _SYMLINK, _MOUNT = layout(REPARSE), layout(SYMLINK), layout(MOUNT_POINT)


def target(mft: Mft, number: int) -> str:
    """Where the record's reparse point leads, as stored (without the \\??\\ prefix); "" for other kinds."""
    data = mft.content(mft.attribute(number, _ATTRIBUTE), _BOUND)
    if len(data) < _HEADER.size:
        return ""
    tag, _ = _HEADER.unpack(data)
    if tag == LX:
        return data[_HEADER.size + 4 :].decode("utf-8", "replace")
    shape = _SYMLINK if tag == LINK else _MOUNT
    if tag not in (LINK, MOUNT) or len(data) < _HEADER.size + shape.size:
        return ""
    at, length = shape.unpack(data, _HEADER.size)[:2]
    start = _HEADER.size + shape.size + at
    return utf16(data[start : start + length]).removeprefix("\\??\\")
