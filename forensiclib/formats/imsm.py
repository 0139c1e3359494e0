"""Intel Matrix RAID (Rapid Storage Technology) metadata: the anchor, disks, volumes and their maps.

mdadm, super-intel.c (names and offsets of the fields as that driver documents them); mdadm(8), --metadata=imsm; checked against
containers that it wrote. Integers are little-endian, sizes and places in sectors of 512 bytes.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32

__all__ = ["DEVICE", "DISK", "DISK_LAYOUT", "HEAD", "MAP", "MAP_LAYOUT", "SIGNATURE"]

SIGNATURE = b"Intel Raid ISM Cfg Sig. "
HEAD = Struct(
    216,
    signature=Bytes(32), checksum=u32, size=u32, family=u32, generation=u32, error_log=u32, attributes=u32, disks=u8, volumes=u8,
    error_at=u8, fill=u8, cache=u32, first_family=u32, cycles=u32, bad_blocks=u32, created=u16, filler=Bytes(138),
)  # fmt: skip
"""In the last sector but one; what is longer than a sector goes on in the sectors before it. ``checksum`` is the sum of the
other 32-bit words; ``generation`` counts writes."""

DISK = Struct(48, serial=Bytes(16), blocks=u32, scsi=u32, status=u32, owner=u32, blocks_high=u32, filler=Bytes(12))
DISK_LAYOUT = layout(DISK)
"""``status``: 1 spare, 2 configured, 4 failed. Nothing but the serial number tells which disk an entry is."""

DEVICE = Struct(
    112,
    name=Bytes(16), size=u32, size_high=u32, status=u32, reserved=u32, priority=u8, parts=u8, tid=u8, master=u8, policy=u16,
    state=u8, substate=u8, number=u16, cache_mode=u8, cache_flags=u8, cache_family=u32, cache_number=u16, hole=u8,
    journal=Bytes(16), filler=Bytes(13), migrated=u32, checkpoint=u32, migrating=u8, migration=u8, dirty=u8, sync=u8, errors=u16,
    bad=u16, migrated_high=u32, filler2=Bytes(12),
)  # fmt: skip
"""A volume; a MAP follows, while ``migrating`` is set a second one, of the state before. ``migration``: 0 initialisation,
1 rebuild, 2 verification, 3 change of layout, 4 change of state, 5 repair."""

MAP = Struct(
    48,
    start=u32, blocks=u32, stripes=u32, strip=u16, state=u8, level=u8, members=u8, domains=u8, failed=u8, ddf=u8, start_high=u32,
    blocks_high=u32, stripes_high=u32, filler=Bytes(16),
)  # fmt: skip
MAP_LAYOUT = layout(MAP)
"""``members`` numbers of disks follow, 32 bits each, the highest byte of which has flags (1: being rebuilt)."""
