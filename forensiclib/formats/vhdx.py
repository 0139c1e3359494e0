"""Virtual Hard Disk version 2 (VHDX), little-endian.

Microsoft, [MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format; the numbers in the comments are its sections.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32, u64

__all__ = [
    "HEADER", "HEADERS", "ITEM", "LOCATOR", "LOCATOR_ENTRY", "LOG_DATA", "LOG_ENTRY", "LOG_ZERO", "METADATA", "REGION", "REGIONS",
    "REGION_TABLE", "SIGNATURE",
]  # fmt: skip

SIGNATURE = b"vhdxfile"
SECTOR = 4096
"""Bytes that the log, the headers and their copies count in."""
MIB = 1 << 20

# 2.2.2 Headers: checksum is CRC-32C of the 4 KiB with its own field zero, as in 2.2.3 and 2.3.1.1.
HEADERS = (0x10000, 0x20000)
HEADER = layout(
    Struct(
        80,
        signature=Bytes(4),
        checksum=u32,
        sequence=u64,
        file_write=Bytes(16),
        data_write=Bytes(16),
        log=Bytes(16),
        log_version=u16,
        version=u16,
        log_length=u32,
        log_offset=u64,
    )
)
# 2.2.3 Region Table
REGIONS = (0x30000, 0x40000)
REGION_BYTES = 0x10000
REGION_TABLE = layout(Struct(16, signature=Bytes(4), checksum=u32, count=u32, reserved=u32))
REGION = layout(Struct(32, guid=Bytes(16), offset=u64, length=u32, required=u32))
REGION_BAT = "2dc27766-f623-4200-9d64-115e9bfd4a08"
REGION_METADATA = "8b7ca206-4790-4b9a-b8fe-575f050f886e"
# 2.3.1 Log Entry
LOG_ENTRY = layout(
    Struct(
        64,
        signature=Bytes(4),
        checksum=u32,
        length=u32,
        tail=u32,
        sequence=u64,
        descriptors=u32,
        reserved=u32,
        guid=Bytes(16),
        flushed=u64,
        last=u64,
    )
)
LOG_ZERO = layout(Struct(32, signature=Bytes(4), reserved=u32, length=u64, offset=u64, sequence=u64))
LOG_DATA = layout(Struct(32, signature=Bytes(4), trailing=Bytes(4), leading=Bytes(8), offset=u64, sequence=u64))
LOG_SECTOR = layout(Struct(4096, signature=Bytes(4), sequence_high=u32, data=Bytes(4084), sequence_low=u32))
# 2.5.1 BAT entry: three bits of state, the offset in MiB from bit 20 on
NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULL, PARTIAL = 0, 1, 2, 3, 6, 7
# 2.6 Metadata Region
METADATA = layout(Struct(32, signature=Bytes(8), reserved=u16, count=u16, reserved2=Bytes(20)))
ITEM = layout(Struct(32, guid=Bytes(16), offset=u32, length=u32, flags=u32, reserved=u32))
IS_USER, IS_REQUIRED = 1, 4
FILE_PARAMETERS = "caa16737-fa36-4d43-b3b6-33f0aa44e76b"
DISK_SIZE = "2fa54224-cd1b-4876-b211-5dbed83bf4b8"
DISK_ID = "beca12ab-b2e6-4523-93ef-c309e000c746"
LOGICAL_SECTOR = "8141bf1d-a96f-4709-ba47-f233a8faab5f"
PHYSICAL_SECTOR = "cda348c7-445d-4471-9cc9-e9885251c556"
PARENT_LOCATOR = "a8d35f2d-b30b-454d-abf7-d3d84834ab0c"
KNOWN_ITEMS = (FILE_PARAMETERS, DISK_SIZE, DISK_ID, LOGICAL_SECTOR, PHYSICAL_SECTOR, PARENT_LOCATOR)
HAS_PARENT = 2
# 2.6.2.6 Parent Locator
LOCATOR = layout(Struct(20, type=Bytes(16), reserved=u16, count=u16))
LOCATOR_ENTRY = layout(Struct(12, key_offset=u32, value_offset=u32, key_length=u16, value_length=u16))
