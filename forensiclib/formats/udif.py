"""Universal Disk Image Format (UDIF, .dmg), big-endian.

Joachim Metz, "Mac OS disk image types", documentation of libmodi: "UDIF resource file", "UDIF XML plist". What its names leave open
comes from images that hdiutil made: the checksum of a table covers what its chunks decode to, without those of type ignore; the master
checksum covers the checksums of the tables one behind the other. Resource forks: Apple, "Inside Macintosh: More Macintosh
Toolbox" (1993), chapter 1.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16be, u32be, u64be

__all__ = ["CHUNK", "KOLY", "MISH", "RSRC_HEADER", "RSRC_MAP", "RSRC_REFERENCE", "RSRC_TYPE", "SIGNATURE"]

SIGNATURE = b"koly"
SIGNATURE_TABLE = b"mish"
KOLY = layout(
    Struct(
        512,
        magic=Bytes(4),
        version=u32be,
        header_size=u32be,
        flags=u32be,
        running_offset=u64be,
        data_offset=u64be,
        data_size=u64be,
        rsrc_offset=u64be,
        rsrc_size=u64be,
        segment=u32be,
        segments=u32be,
        segment_id=Bytes(16),
        data_sum_type=u32be,
        data_sum_bits=u32be,
        data_sum=Bytes(128),
        xml_offset=u64be,
        xml_size=u64be,
        reserved=Bytes(120),
        master_type=u32be,
        master_bits=u32be,
        master=Bytes(128),
        variant=u32be,
        sectors=u64be,
        reserved2=Bytes(12),
    )
)
MISH = layout(
    Struct(
        204,
        magic=Bytes(4),
        version=u32be,
        sector=u64be,
        sectors=u64be,
        data_offset=u64be,
        buffers=u32be,
        descriptor=u32be,
        reserved=Bytes(24),
        sum_type=u32be,
        sum_bits=u32be,
        sum=Bytes(128),
        count=u32be,
    )
)
CHUNK = layout(Struct(40, kind=u32be, comment=u32be, sector=u64be, sectors=u64be, offset=u64be, size=u64be))

ZERO, RAW, IGNORE = 0, 1, 2
COMMENT, TERMINATOR = 0x7FFFFFFE, 0xFFFFFFFF
ADC, ZLIB, BZIP2, LZFSE, LZMA = 0x80000004, 0x80000005, 0x80000006, 0x80000007, 0x80000008
KINDS = {
    ZERO: "zero", RAW: "raw", IGNORE: "ignore", ADC: "ADC", ZLIB: "zlib", BZIP2: "bzip2", LZFSE: "LZFSE", LZMA: "LZMA",
}  # fmt: skip
SUM_NONE, SUM_CRC32 = 0, 2
FLAGS = {1: "flattened", 4: "internet enabled"}
VARIANTS = {1: "device", 2: "partition"}

RSRC_HEADER = layout(Struct(16, data_offset=u32be, map_offset=u32be, data_size=u32be, map_size=u32be))
RSRC_MAP = layout(Struct(28, header=Bytes(16), next=u32be, file=u16be, attributes=u16be, types_offset=u16be, names_offset=u16be))
RSRC_TYPE = layout(Struct(8, type=Bytes(4), last=u16be, references=u16be))
"""``last``: one less than there are; ``references`` counts from the list of types."""
RSRC_REFERENCE = layout(Struct(12, id=u16be, name=u16be, attributes=u8, offset=Bytes(3), handle=u32be))
