"""Android sparse images (as fastboot sends and simg2img unpacks), little-endian.

Android Open Source Project, system/core/libsparse/sparse_format.h.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32

__all__ = ["CHUNK", "HEADER", "SIGNATURE"]

SIGNATURE = bytes.fromhex("3aff26ed")
HEADER = layout(
    Struct(28, magic=Bytes(4), major=u16, minor=u16, header_size=u16, chunk_size=u16, block=u32, blocks=u32, chunks=u32, checksum=u32)
)
CHUNK = layout(Struct(12, kind=u16, reserved=u16, blocks=u32, size=u32))
"""``size`` counts from the start of this header."""
RAW, FILL, DONT_CARE, CRC32 = 0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4
