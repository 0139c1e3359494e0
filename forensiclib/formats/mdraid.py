"""Superblocks of Linux software RAID: version 0.90 (in either byte order) and 1.0, 1.1, 1.2.

md(4), THE SUPERBLOCK; the kernel's user interface header linux/raid/md_p.h; Linux RAID wiki, RAID superblock formats.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Array, Bytes, Struct, i32, u8, u16, u32, u64

__all__ = ["BITMAP", "CHANGING", "FEATURES", "LEVELS", "MAGIC", "OLD_SIZE", "OLD_WORDS", "V1", "bad_blocks"]

MAGIC = 0xA92B4EFC
OLD_SIZE = 4096
OLD_WORDS = {
    "magic": 0, "major": 1, "minor": 2, "uuid0": 5, "ctime": 6, "level": 7, "size": 8, "raid_disks": 10,
    "uuid1": 13, "uuid2": 14, "uuid3": 15,
    "utime": 32, "state": 33, "csum": 38, "layout": 64, "chunk": 65, "disks": 128, "this": 992,
}  # fmt: skip
"""Version 0.90 is 1,024 words of 32 bits of the machine that wrote it: number of each. ``size`` in KiB, ``chunk`` in bytes;
the event counter is the 64-bit integer at word 39, in that machine's order too. ``disks`` are 27 times 32 words: number, major,
minor, slot, state; ``this`` is the one of the member itself."""

V1 = Struct(
    256,
    magic=u32, major=u32, features=u32, pad0=u32, uuid=Bytes(16), name=Bytes(32), ctime=u64, level=i32, layout=u32, size=u64, chunk=u32,
    raid_disks=u32, bitmap_offset=u32, new_level=u32, reshape_position=u64, delta_disks=u32, new_layout=u32, new_chunk=u32,
    new_offset=u32, data_offset=u64, data_size=u64, super_offset=u64, recovery_offset=u64, number=u32, corrected=u32,
    device_uuid=Bytes(16), flags=u8, bad_shift=u8, bad_size=u16, bad_offset=i32, utime=u64, events=u64, resync_offset=u64, csum=u32,
    max_dev=u32, pad3=Array(8, u32),
)  # fmt: skip
"""Sizes, offsets and ``chunk`` in sectors. ``max_dev`` roles of 16 bits follow: slot, 0xffff spare, 0xfffe faulty, 0xfffd journal."""

BITMAP, RECOVERING, RESHAPING, BAD_BLOCKS, NEW_OFFSET, JOURNAL = 1, 2, 4, 8, 64, 512
FEATURES = {
    1: "bitmap", 2: "recovering", 4: "reshaping", 8: "bad blocks", 16: "replacement", 32: "reshaping backwards",
    64: "new data offset",
    128: "recovery bitmap", 256: "clustered", 512: "journal", 1024: "partial parity log", 2048: "partial parity logs",
    4096: "RAID 0 layout",
}  # fmt: skip
CHANGING = RESHAPING | 32
LEVELS = {-1: "linear", 0: "RAID 0", 1: "RAID 1", 4: "RAID 4", 5: "RAID 5", 6: "RAID 6", 10: "RAID 10"}


def bad_blocks(value: int, shift: int) -> tuple[int, int]:
    """(first sector, sectors) of one entry of the log of bad blocks, counted as the data are."""
    return value >> 10 << shift, (value & 0x3FF) << shift
