"""Disk Copy 4.2 images of floppy disks (classic Mac OS), big-endian.

Apple II File Type Notes, file type $E0, auxiliary type $8005: "DiskCopy disk image" (Apple, 1990).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16be, u32be

__all__ = ["HEADER", "MAGIC", "MAGIC_OFFSET"]

MAGIC = b"\x01\x00"
MAGIC_OFFSET = 82
HEADER = layout(
    Struct(
        84, name=Bytes(64), data_size=u32be, tag_size=u32be, data_sum=u32be, tag_sum=u32be, encoding=u8, format=u8, private=u16be
    )
)  # fmt: skip
ENCODINGS = {0: "400 KiB GCR", 1: "800 KiB GCR", 2: "720 KiB MFM", 3: "1440 KiB MFM"}
SIZES = {0: 409_600, 1: 819_200, 2: 737_280, 3: 1_474_560}
TAG = 12
"""Bytes of a sector's tag."""
