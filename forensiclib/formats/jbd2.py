"""The journal of ext3 and ext4 (jbd2); every number is big-endian.

Linux kernel documentation, "ext4 Data Structures and Algorithms", 4.6 Journal (jbd2).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16be, u32be

__all__ = [
    "BLOCK_64BIT", "CHECKSUM_V2", "CHECKSUM_V3", "COMMIT", "DESCRIPTOR", "FLAG_ESCAPED", "FLAG_LAST", "FLAG_SAME_UUID",
    "HEADER", "HEADER_LAYOUT", "MAGIC", "SUPERBLOCK", "TAG", "TAG3", "TAG3_LAYOUT", "TAG_LAYOUT",
]  # fmt: skip

MAGIC = 0xC03B3998
DESCRIPTOR, COMMIT = 1, 2
FLAG_ESCAPED, FLAG_SAME_UUID, FLAG_LAST = 1, 2, 8
BLOCK_64BIT, CHECKSUM_V2, CHECKSUM_V3 = 0x2, 0x8, 0x10

HEADER = Struct(12, magic=u32be, kind=u32be, sequence=u32be)
HEADER_LAYOUT = layout(HEADER)

SUPERBLOCK = Struct(
    84, magic=u32be, kind=u32be, sequence0=u32be, block_size=u32be, blocks=u32be, first=u32be, sequence=u32be,
    start=u32be, errno=u32be, compat=u32be, incompat=u32be, ro_compat=u32be, uuid=Bytes(16), users=u32be, dynamic=u32be,
    max_transaction=u32be, max_data=u32be, checksum_type=u8, padding=Bytes(3),
)  # fmt: skip
"""Offsets 0 to 83; ``blocks``, ``first`` and ``start`` in journal blocks."""

TAG = Struct(8, block=u32be, checksum=u16be, flags=u16be)
"""journal_block_tag_t; with BLOCK_64BIT the high word of the block follows."""
TAG_LAYOUT = layout(TAG)
TAG3 = Struct(16, block=u32be, flags=u32be, block_high=u32be, checksum=u32be)
"""journal_block_tag3_t, used with CHECKSUM_V3."""
TAG3_LAYOUT = layout(TAG3)
