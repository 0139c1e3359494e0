"""AccessData logical image (AD1): custom content of FTK Imager.

The vendor publishes nothing. The layout is what others found by comparing images: T. Mairi, "Dissecting the AD1 File Format";
al3ks1s, "Adventures, part 1" (al3ks1s.fr). Offsets count behind the segment header, over the bodies of all segments.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32, u64

__all__ = ["ATTRIBUTE", "FOLDER", "IMAGE_HEADER", "ITEM", "LOGICAL", "SEGMENT_HEADER", "SIGNATURE"]

SIGNATURE = b"ADSEGMENTEDFILE\x00"
LOGICAL = b"ADLOGICALIMAGE\x00\x00"
FOLDER = 5

SEGMENT_HEADER = layout(
    Struct(44, signature=Bytes(16), unknown1=Bytes(8), segment_index=u32, segment_count=u32, unknown2=Bytes(8), header_size=u32)
)
IMAGE_HEADER = layout(Struct(44, signature=Bytes(16), version=u32, unknown1=u32, chunk_size=u32, metadata=u64, first_item=u64))
# The name (name_length bytes) and the offset of the parent follow.
ITEM = layout(
    Struct(48, next_item=u64, first_child=u64, metadata=u64, chunks=u64, size=u64, type=u32, name_length=u32),
)
# The value (length bytes of text) follows.
ATTRIBUTE = layout(Struct(20, next=u64, category=u32, key=u32, length=u32))
