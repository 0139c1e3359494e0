"""Ogg page header, RFC 3533 section 6."""

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u32, u64

__all__ = ["PAGE"]

PAGE = layout(Struct(27, magic=Bytes(4), version=u8, flags=u8, granule=u64, serial=u32, sequence=u32, crc=u32, segments=u8))
