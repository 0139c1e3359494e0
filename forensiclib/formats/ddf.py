"""SNIA Common RAID Disk Data Format (DDF): what RAID controllers, mainboards and mdadm keep at the end of every member.

SNIA, Common RAID Disk Data Format Specification, revision 2.0. All integers are big-endian; sizes and offsets are in blocks
of 512 bytes, those of sections count from their header. Every structure has a CRC-32 (polynomial of IEEE 802.3) over all of it,
with the field itself as ones.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Padding, Struct, layout, u8, u16be, u32be, u64be

__all__ = [
    "CONFIG", "DISK_DATA", "HEADER", "LEVELS", "MAGIC_CONFIG", "MAGIC_DATA", "MAGIC_DISKS", "MAGIC_HEADER", "MAGIC_VOLUMES",
    "PHYSICAL", "PHYSICAL_LAYOUT", "SECONDARY", "TABLE", "VIRTUAL", "VIRTUAL_LAYOUT",
]  # fmt: skip

MAGIC_HEADER = 0xDE11DE11
MAGIC_DISKS, MAGIC_VOLUMES, MAGIC_CONFIG, MAGIC_DATA = 0x22222222, 0xDDDDDDDD, 0xEEEEEEEE, 0x33333333

HEADER = Struct(
    512,
    magic=u32be, crc=u32be, guid=Bytes(24), revision=Bytes(8), sequence=u32be, timestamp=u32be, open=u8, foreign=u8, grouped=u8,
    pad0=Bytes(13), extension=Bytes(32), primary=u64be, secondary=u64be, type=u8, pad1=Bytes(3), workspace_size=u32be,
    workspace=u64be, most_disks=u16be, most_volumes=u16be, most_partitions=u16be, record_size=u16be, most_elements=u16be,
    pad2=Bytes(54), controller_at=u32be, controller_size=u32be, disks_at=u32be, disks_size=u32be, volumes_at=u32be,
    volumes_size=u32be, configs_at=u32be, configs_size=u32be, data_at=u32be, data_size=u32be, bad_at=u32be, bad_size=u32be,
    diagnostic_at=u32be, diagnostic_size=u32be, vendor_at=u32be, vendor_size=u32be, pad3=Padding(256),
)  # fmt: skip
"""4.2. The anchor (type 0) is the last block of the disk, and leads to the primary (1) and the secondary (2) copy."""

TABLE = Struct(64, magic=u32be, crc=u32be, used=u16be, most=u16be, pad=Bytes(52))
"""4.4, 4.5: head of the records of physical and of virtual disks; ``most`` entries of 64 bytes follow."""

PHYSICAL = Struct(64, guid=Bytes(24), reference=u32be, type=u16be, state=u16be, end=u64be, path=Bytes(18), pad=Bytes(6))
PHYSICAL_LAYOUT = layout(PHYSICAL)
"""``state``: 1 online, 2 failed (overrides it), 4 being rebuilt, 8 in transition, 64 missing. Data lie before block ``end``."""

VIRTUAL = Struct(
    64, guid=Bytes(24), unit=u16be, pad0=Bytes(2), guid_crc=u16be, type=u16be, state=u8, init=u8, pad1=Bytes(14), name=Bytes(16),
)  # fmt: skip
VIRTUAL_LAYOUT = layout(VIRTUAL)
"""``state``: 0 optimal, 1 degraded, 2 deleted, 3 missing, 4 failed, 5 partly optimal; 8 is being changed, 16 not consistent."""

CONFIG = Struct(
    512,
    magic=u32be, crc=u32be, guid=Bytes(24), timestamp=u32be, sequence=u32be, pad0=Bytes(24), elements=u16be, chunk_shift=u8,
    level=u8, qualifier=u8, seconds=u8, second=u8, second_level=u8, blocks=u64be, array_blocks=u64be, pad1=Bytes(8),
    spares=Bytes(32), cache=Bytes(8), rate=u8, pad2=Bytes(55), pad3=Bytes(192), versions=Bytes(96), vendor=Bytes(32),
)  # fmt: skip
"""4.6.1, one basic virtual disk: ``blocks`` of each of ``elements`` disks, chunks of 512 << ``chunk_shift`` bytes. Then come as
many references of 32 bits and offsets of 64 bits as the header says at most (``most_elements``); a secondary level joins
``seconds`` of them, this is number ``second``."""

DISK_DATA = Struct(
    512, magic=u32be, crc=u32be, guid=Bytes(24), reference=u32be, forced=u8, forced_guid=u8, vendor=Bytes(32), pad=Bytes(442)
)
"""4.7: which disk of the records this one is."""

LEVELS = {
    0x00: "RAID 0", 0x01: "RAID 1", 0x03: "RAID 3", 0x04: "RAID 4", 0x05: "RAID 5", 0x06: "RAID 6", 0x07: "MDF RAID", 0x0F: "JBOD",
    0x11: "RAID 1E", 0x15: "RAID 5E", 0x1F: "concatenation", 0x25: "RAID 5EE", 0x35: "RAID 5R",
}  # fmt: skip
SECONDARY = {0: "striped", 1: "mirrored", 2: "concatenated", 3: "spanned"}
