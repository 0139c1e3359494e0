"""Windows Imaging Format (WIM), little-endian.

Microsoft, "Windows Imaging File Format (WIM)" (2007): header, resources, offset table, metadata. Tagged items behind a name as wimlib
writes them (its documentation, "UNIX data").
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32, u64

__all__ = [
    "COMPRESSED", "DIRECTORY", "DIRENTRY", "FLAG_COMPRESSED", "FLAG_LZMS", "FLAG_LZX", "FLAG_XPRESS", "FLAG_XPRESS2", "HEADER", "METADATA",
    "NO_SECURITY", "REPARSE_POINT", "RESOURCE", "SIGNATURE", "SOLID", "STREAM", "TABLE_ENTRY", "UNIX_DATA",
]  # fmt: skip

SIGNATURE = b"MSWIM\0\0\0"
FLAG_COMPRESSED, FLAG_XPRESS, FLAG_LZX, FLAG_LZMS, FLAG_XPRESS2 = 0x2, 0x20000, 0x40000, 0x80000, 0x200000
METADATA, COMPRESSED, SOLID = 0x02, 0x04, 0x10
"""Flags of a resource."""
DIRECTORY, REPARSE_POINT, NO_SECURITY = 0x10, 0x400, 0xFFFFFFFF
UNIX_DATA = 0x337DD873

# size: bytes as stored in the low 56 bits, flags in the high 8; original: bytes when unpacked.
RESOURCE = layout(Struct(24, size=u64, offset=u64, original=u64))
HEADER = layout(
    Struct(
        208,
        signature=Bytes(8),
        header_size=u32,
        version=u32,
        flags=u32,
        chunk_size=u32,
        guid=Bytes(16),
        part=u16,
        parts=u16,
        images=u32,
        table=Bytes(24),
        xml=Bytes(24),
        boot_metadata=Bytes(24),
        boot_index=u32,
        integrity=Bytes(24),
        unused=Bytes(60),
    )
)
TABLE_ENTRY = layout(Struct(50, resource=Bytes(24), part=u16, references=u32, sha1=Bytes(20)))
# The name (name_length bytes, UTF-16), two zero bytes when there is one, the short name likewise, and tagged items up to length follow;
# then the further streams, each at a multiple of 8 bytes.
DIRENTRY = layout(
    Struct(
        102,
        length=u64,
        attributes=u32,
        security_id=u32,
        subdirectory=u64,
        unused1=u64,
        unused2=u64,
        born=u64,
        accessed=u64,
        modified=u64,
        sha1=Bytes(20),
        unknown=u32,
        link=u64,
        streams=u16,
        short_length=u16,
        name_length=u16,
    )
)
"""link: the group of hard links that the entry is in; of a reparse point its tag in the low 32 bits."""
STREAM = layout(Struct(38, length=u64, reserved=u64, sha1=Bytes(20), name_length=u16))
