"""Serialized property stores ([MS-PROPSTORE] 2.2 to 2.4; values as in [MS-OLEPS] 2.15)."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, u8, u16, u32

__all__ = ["NAMED", "STORAGE", "TYPED", "VALUE", "VERSION"]

STORAGE = Struct(24, size=u32, version=u32, format=Bytes(16))
VERSION = 0x53505331
"""'1SPS', read as a little-endian number."""
NAMED = "d5cdd505-2e9c-101b-9397-08002b2cf9ae"
"""Format whose properties have names instead of numbers."""
VALUE = Struct(9, size=u32, id=u32, reserved=u8)
"""``id`` is the bytes of the name that follows in a NAMED storage."""
TYPED = Struct(4, type=u16, padding=u16)
