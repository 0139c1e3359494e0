"""Recycle bins: INFO2 of Windows 95 to XP ("Windows Recycler format", libyal dtformats) and $I of Vista and later
("$Recycle.Bin format", same)."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, u32, u64

__all__ = ["INFO2", "INFO2_ENTRY", "INFO2_NAME", "ITEM", "ITEM_NAME"]

INFO2 = Struct(20, version=u32, unknown1=u32, unknown2=u32, entry_size=u32, unknown3=u32)
"""``version`` 0 Windows 95, 4 NT 4 and 98, 5 Me and later."""
INFO2_ENTRY = Struct(280, name=Bytes(260), index=u32, drive=u32, deleted=u64, size=u32)
"""``name`` in the ANSI code page, its first byte zero once the file left the bin; ``drive`` 0 is A:, 2 is C:;
``size`` on the disk."""
INFO2_NAME = 520
"""Bytes of UTF-16 path behind the entry where entries have 800 bytes."""

ITEM = Struct(24, version=u64, size=u64, deleted=u64)
"""$I: version 1 (Vista to 8.1) is followed by ITEM_NAME bytes of UTF-16 path, version 2 by a u32 count of UTF-16
units, NUL included, and the path."""
ITEM_NAME = 520
