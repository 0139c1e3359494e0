"""Virtual Hard Disk (VHD), all integers big-endian.

Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0, 11 October 2006: "Hard Disk Footer Format", "Dynamic Disk Header
Format", "Parent Locator Entries", "Block Allocation Table and Data Blocks".
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16be, u32be, u64be

__all__ = ["DIFFERENCING", "DYNAMIC", "FIXED", "FOOTER", "HEADER", "LOCATOR", "SIGNATURE", "SIGNATURE_HEADER", "TYPES", "UNUSED"]

SIGNATURE = b"conectix"
SIGNATURE_HEADER = b"cxsparse"
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4
TYPES = {FIXED: "fixed", DYNAMIC: "dynamic", DIFFERENCING: "differencing"}
UNUSED = 0xFFFFFFFF
EPOCH = 946_684_800
"""Unix time of 1 January 2000, from which the time stamps count seconds."""

# The checksum is the one's complement of the sum of all bytes, its own field counted as zero.
FOOTER = layout(
    Struct(
        512,
        cookie=Bytes(8),
        features=u32be,
        version=u32be,
        data_offset=u64be,
        timestamp=u32be,
        creator=Bytes(4),
        creator_version=u32be,
        creator_os=Bytes(4),
        original_size=u64be,
        current_size=u64be,
        cylinders=u16be,
        heads=u8,
        sectors=u8,
        type=u32be,
        checksum=u32be,
        unique_id=Bytes(16),
        saved_state=u8,
        reserved=Bytes(427),
    )
)
HEADER = layout(
    Struct(
        1024,
        cookie=Bytes(8),
        data_offset=u64be,
        table_offset=u64be,
        version=u32be,
        max_entries=u32be,
        block_size=u32be,
        checksum=u32be,
        parent_id=Bytes(16),
        parent_timestamp=u32be,
        reserved=u32be,
        parent_name=Bytes(512),
        locators=Bytes(192),
        reserved2=Bytes(256),
    )
)
LOCATOR = layout(Struct(24, code=Bytes(4), space=u32be, length=u32be, reserved=u32be, offset=u64be))
