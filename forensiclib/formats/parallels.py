"""Parallels expanding disk image (.hds, .hdd), little-endian.

QEMU project, docs/interop/parallels.txt ("Parallels Expandable Image File Format"), and docs/interop/prl-xml.txt ("Parallels Disk Format":
DiskDescriptor.xml).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32, u64

__all__ = ["DESCRIPTOR", "HEADER", "IN_USE", "SIGNATURE", "SIGNATURE_EXT"]

SIGNATURE = b"WithoutFreeSpace"
"""The block map counts in sectors."""
SIGNATURE_EXT = b"WithouFreSpacExt"
"""The block map counts in clusters."""
IN_USE = 0x746F6E59
DESCRIPTOR = "DiskDescriptor.xml"
HEADER = layout(
    Struct(
        64,
        magic=Bytes(16),
        version=u32,
        heads=u32,
        cylinders=u32,
        tracks=u32,
        entries=u32,
        sectors=u64,
        in_use=u32,
        data_offset=u32,
        flags=u32,
        extension=u64,
    )
)
