"""AccessData logical image (AD1), custom content of FTK Imager.

The vendor publishes nothing. T. Mairi, "Dissecting the AD1 File Format" (2021), and al3ks1s, "Adventures, part 1" (al3ks1s.fr), who
compared images that FTK Imager made; offsets count behind the segment header, over all segments.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32, u64

__all__ = [
    "ATTRIBUTE", "IMAGE_HEADER", "ITEM", "KINDS", "LOGICAL", "NAMES", "SEGMENT_HEADER", "SIGNATURE", "SIGNATURE_ENCRYPTED", "TIMES",
]  # fmt: skip

SIGNATURE = b"ADSEGMENTEDFILE\x00"
SIGNATURE_ENCRYPTED = b"ADCRYPT\x00"
LOGICAL = b"ADLOGICALIMAGE\x00\x00"

SEGMENT_HEADER = layout(
    Struct(44, signature=Bytes(16), unknown1=Bytes(8), segment_index=u32, segment_count=u32, unknown2=Bytes(8), header_size=u32)
)
IMAGE_HEADER = layout(
    Struct(44, signature=Bytes(16), version=u32, unknown1=u32, chunk_size=u32, metadata=u64, first_item=u64)
)  # fmt: skip
ITEM = layout(
    Struct(48, next_item=u64, first_child=u64, first_metadata=u64, zlib_metadata=u64, decompressed_size=u64, item_type=u32, name_length=u32)
)
ATTRIBUTE = layout(Struct(20, next=u64, category=u32, key=u32, length=u32))
KINDS = {5: "directory"}
