"""Windows Logical Disk Manager (dynamic disks): private header, table of contents, database header, its records.

R. Russon, LDM documentation of the Linux-NTFS project (fields, flags, record types); Linux Documentation/admin-guide/ldm.rst
and block/partitions/ldm.h (numbers). All integers are big-endian; sizes and offsets are in sectors.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Const, Struct, layout, u8, u16be, u32be, u64be

__all__ = [
    "CONFIG_SECTORS", "GPT_DATA", "GPT_METADATA", "MBR_TYPE", "PRIVHEAD", "PRIVHEADS", "RECORDS", "TOC", "TOC_ENTRY",
    "TOC_ENTRY_LAYOUT", "TOCS", "VBLK", "VBLK_LAYOUT", "VMDB",
]  # fmt: skip

MBR_TYPE = 0x42
GPT_METADATA = "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"
GPT_DATA = "af9b60a0-1431-4f62-bc68-3311714a69ad"

CONFIG_SECTORS = 2048
"""Sectors of the database: 1 MiB at the end of a disk with an MBR, the metadata partition of one with a GPT."""
PRIVHEADS = (1856, 2047)
"""Sectors of the database that hold copies of the private header; a disk with an MBR has one more in its own sector 6."""
TOCS = (1, 2, 2045, 2046)
"""Sectors of the database that may hold a table of contents."""

PRIVHEAD = Struct(
    391,
    magic=Const(b"PRIVHEAD"), checksum=u32be, major=u16be, minor=u16be, timestamp=u64be, number=u64be, second_at=u64be, third_at=u64be,
    disk=Bytes(64), host=Bytes(64), group=Bytes(64), group_name=Bytes(32), unknown=Bytes(11), data_start=u64be, data_size=u64be,
    config_start=u64be, config_size=u64be, tocs=u64be, toc_size=u64be, configs=u32be, logs=u32be, config_length=u64be,
    log_length=u64be, signature=u32be, set_guid=Bytes(16), set_guid2=Bytes(16),
)  # fmt: skip
"""``checksum`` is the sum of the other bytes of the sector. ``data_start`` counts from the start of the disk, places of
partitions count from there. The GUIDs are texts. Version 2.11 is of Windows 2000 to 2003, 2.12 of Vista and later."""

TOC_ENTRY = Struct(34, name=Bytes(8), flags=u16be, start=u64be, size=u64be, flags2=u64be)
TOC_ENTRY_LAYOUT = layout(TOC_ENTRY)
TOC = Struct(36, magic=Const(b"TOCBLOCK"), checksum=u32be, unknown=u32be, number=u32be, reserved=Bytes(16))
"""Two entries follow, "config" and "log", counted from the start of the database. ``checksum`` as in the private header;
``number`` tells the newer of two tables."""

VMDB = Struct(
    197,
    magic=Const(b"VMDB"), last=u32be, record_size=u32be, first_at=u32be, status=u16be, major=u16be, minor=u16be, group_name=Bytes(31),
    group=Bytes(64), committed=u64be, pending=u64be, volumes=u32be, components=u32be, partitions=u32be, disks=u32be, pad1=Bytes(12),
    pending_volumes=u32be, pending_components=u32be, pending_partitions=u32be, pending_disks=u32be, pad2=Bytes(12), written=u64be,
)  # fmt: skip
"""``first_at`` bytes from here to the first record, each of ``record_size`` bytes; ``last`` is the number behind the last one, of
which the header itself takes the first ones. ``status`` 1: consistent. ``committed`` counts transactions."""

VBLK = Struct(
    24, magic=Const(b"VBLK"), sequence=u32be, record=u32be, part=u16be, parts=u16be, status=u16be, flags=u8, type=u8, size=u32be,
)  # fmt: skip
"""``part`` of ``parts`` blocks of the record of that number. The last four fields are only in part 0; ``type`` has the revision in
its upper half; ``size`` bytes of the record follow, through all parts (of which each further one has a header of 16 bytes).
``status`` 0: in force."""
VBLK_LAYOUT = layout(VBLK)

RECORDS = {
    0x51: "volume", 0x32: "component", 0x33: "partition", 0x34: "disk", 0x44: "disk", 0x35: "disk group", 0x45: "disk group",
}  # fmt: skip
