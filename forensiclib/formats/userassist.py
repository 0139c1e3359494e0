"""Data of the values below Explorer\\UserAssist\\{GUID}\\Count.

16 bytes: J. Metz, "User Assist", winreg-kb, "Entry value data - version 3"; 72 bytes: the same,
"version 5" (Windows 7 and later).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32, u64

__all__ = ["ENTRY_3", "ENTRY_5", "FIRST_COUNT_3"]

ENTRY_3 = layout(Struct(16, session=u32, count=u32, last_run=u64))
FIRST_COUNT_3 = 5
"""Version 3 counts from here: the first run is stored as 6."""

ENTRY_5 = layout(Struct(72, session=u32, count=u32, focus_count=u32, focus_time=u32, usage=Bytes(44), last_run=u64, unknown=u32))
