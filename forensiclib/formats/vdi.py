"""VirtualBox disk image (VDI), little-endian, header version 1.1.

"All about VDIs" (VirtualBox forum tutorial, 2008) and Joachim Metz, "VirtualBox Disk Image (VDI) format", library of file format notes.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32, u64

__all__ = ["DIFF", "DISCARDED", "DYNAMIC", "HEADER", "SIGNATURE", "SIGNATURE_OFFSET", "STATIC", "TYPES", "UNDO", "UNUSED"]

SIGNATURE = bytes.fromhex("7f10dabe")
SIGNATURE_OFFSET = 64
DYNAMIC, STATIC, UNDO, DIFF = 1, 2, 3, 4
TYPES = {DYNAMIC: "dynamic", STATIC: "static", UNDO: "undo", DIFF: "differencing"}
UNUSED, DISCARDED = 0xFFFFFFFF, 0xFFFFFFFE

HEADER = layout(
    Struct(
        472,
        text=Bytes(64),
        signature=Bytes(4),
        version=u32,
        header_size=u32,
        type=u32,
        flags=u32,
        comment=Bytes(256),
        map_offset=u32,
        data_offset=u32,
        cylinders=u32,
        heads=u32,
        sectors=u32,
        sector_size=u32,
        unused=u32,
        disk_size=u64,
        block_size=u32,
        block_extra=u32,
        blocks=u32,
        allocated=u32,
        uuid=Bytes(16),
        uuid_modified=Bytes(16),
        uuid_parent=Bytes(16),
        uuid_parent_modified=Bytes(16),
        pad=Bytes(16),
    )
)
