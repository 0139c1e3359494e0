"""MAM: the container of one compressed file that Windows 10 and 11 use for prefetch and superfetch. Layout as in
libscca's "Windows Prefetch File (PF) format", "Compressed prefetch file"."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, u8, u32

__all__ = ["CHECKED", "CHECKSUM", "HEADER", "METHODS"]

HEADER = Struct(8, signature=Bytes(3), method=u8, size=u32)
CHECKSUM = Struct(4, crc32=u32)
"""Behind the header when bit 7 of ``method`` is set: the CRC-32 of the whole file with this field zero."""
CHECKED = 0x80
METHODS = {2: "LZNT1", 3: "LZXPRESS", 4: "LZXPRESS Huffman"}
"""COMPRESSION_FORMAT_ numbers, [MS-XCA] 1."""
