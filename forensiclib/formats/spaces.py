"""Windows Storage Spaces: what is publicly known of the database at the start of a pool's partition.

J. Kim et al., Storage Space Reconstructor, and gus33000, StorageSpace (both public readers; stated here is only what the two
agree in); S. Prade et al., Forensic analysis of the Resilient File System (ReFS) version 3.4, 2020. Integers are big-endian, GUIDs as
Microsoft stores them, texts UTF-16 big-endian.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Const, Struct, layout, u16be, u32be

__all__ = ["CHANGES", "CHANGES_AT", "ENTRY", "ENTRY_LAYOUT", "GPT_TYPE", "KINDS", "MAGIC", "POOL"]

GPT_TYPE = "e75caf8f-f680-4cee-afa3-b001e56efc2d"
MAGIC = b"SPACEDB "
POOL = Struct(16, magic=Const(MAGIC), guids=u16be, size=u16be, crc=u32be)
"""At 16 * ``guids`` bytes the GUID of the pool, then that of the disk."""

CHANGES_AT = 4096
CHANGES = Struct(16, magic=Const(b"SDBC    "), guids=u16be, size=u16be, crc=u32be)
"""At 16 * ``guids`` bytes the GUID of the pool; 24 bytes behind its start the number of entries. These begin ``size`` bytes from here."""

ENTRY = Struct(64, magic=Bytes(4), number=u32be, record=u32be, part=u16be, parts=u16be, data=Bytes(48))
"""``magic`` SDBB; the parts of a record one behind the other are: type (1 byte), 3 bytes, length (32 bits), content."""
ENTRY_LAYOUT = layout(ENTRY)

KINDS = {1: "pool", 2: "disk", 3: "space", 4: "slab"}
