"""ISO base media file format boxes, ISO/IEC 14496-12 section 4.2 and 8.7."""

from forensiclib.formats._dsl import Bytes, Struct, layout, u32be, u64be

__all__ = ["BOX", "FULL_COUNT", "LARGE", "STSC", "STSZ"]

BOX = layout(Struct(8, size=u32be, kind=Bytes(4)))
LARGE = layout(Struct(16, size=u32be, kind=Bytes(4), large=u64be))
FULL_COUNT = layout(Struct(8, flags=u32be, count=u32be))
STSC = layout(Struct(12, first=u32be, samples=u32be, description=u32be))
STSZ = layout(Struct(12, flags=u32be, size=u32be, count=u32be))
