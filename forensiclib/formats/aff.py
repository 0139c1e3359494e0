"""Advanced Forensic Format (AFF) version 3: named segments one behind the other, all integers big-endian.

S. Garfinkel, D. Malan, K. Dubec, C. Stevens, C. Pham, "Disk Imaging with the Advanced Forensic Format, Library and Tools" (2006);
AFFLIB 3.7, afflib.h: segment names and flags.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32be

__all__ = [
    "COMPRESSED", "COMPRESSION", "HEAD", "LZMA", "QUAD", "SEGMENT", "SEGMENT_END", "SIGNATURE", "TAIL", "ZERO", "ZLIB",
]  # fmt: skip

SIGNATURE = b"AFF10\r\n\0"
SEGMENT = b"AFF\0"
SEGMENT_END = b"ATT\0"
COMPRESSED, COMPRESSION = 0x0001, 0x00F0
"""Bits of the argument of a page: whether it is compressed, and how."""
ZLIB, LZMA, ZERO = 0x0000, 0x0020, 0x0030

# The name (name_length bytes), the data (data_length bytes) and the tail follow.
HEAD = layout(Struct(16, magic=Bytes(4), name_length=u32be, data_length=u32be, argument=u32be))
# length: bytes of the whole segment, from its head to the end of the tail.
TAIL = layout(Struct(8, magic=Bytes(4), length=u32be))
# A number of 64 bits.
QUAD = layout(Struct(8, low=u32be, high=u32be))
