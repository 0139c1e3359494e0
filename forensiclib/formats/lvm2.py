"""LVM2: label, physical volume header, metadata area; the exception store of its old snapshots; thin pool metadata.

lvm2 doc/lvm_ondisk_format (label, PV header, text metadata) and lvm.conf(5); G. Grossi and J. Metz, Logical Volume
Manager (LVM) format; Linux Documentation/admin-guide/device-mapper/{snapshot,thin-provisioning,persistent-data}.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Const, Struct, u32, u64

__all__ = [
    "AREA", "CRC_SEED", "LABEL", "LOCATION", "MDA", "MDA_MAGIC", "NODE", "NODE_XOR", "PV", "SNAPSHOT", "SUPER_XOR", "THIN",
    "THIN_MAGIC",
]  # fmt: skip

CRC_SEED = 0xF597A6CF
"""First value of LVM's CRC-32 (polynomial of IEEE 802.3), which is not inverted at the end."""

LABEL = Struct(32, id=Const(b"LABELONE"), sector=u64, crc=u32, offset=u32, type=Const(b"LVM2 001"))
"""In one of the first four sectors. ``crc`` covers the sector from ``offset`` of its own field's end (20) on;
``offset`` is where the PV header stands in the sector."""

PV = Struct(40, uuid=Bytes(32), size=u64)
"""Followed by AREA entries of the data areas, then of the metadata areas, each list ended by one of zeros."""

AREA = Struct(16, offset=u64, size=u64)

MDA_MAGIC = b" LVM2 x[5A%r0N*>"
MDA = Struct(40, crc=u32, magic=Const(MDA_MAGIC), version=u32, start=u64, size=u64)
"""First of the 512 bytes at the start of a metadata area; ``crc`` covers the other 508. LOCATION entries follow."""

LOCATION = Struct(24, offset=u64, size=u64, crc=u32, flags=u32)
"""A text in the ring behind the header: offset from the start of the area. Flag 1: the area is ignored."""

SNAPSHOT = Struct(16, magic=Const(b"SnAp"), valid=u32, version=u32, chunk=u32)
"""First chunk of a persistent exception store; ``chunk`` in sectors. Then areas of one chunk of (old, new) pairs of
64 bits, each area followed by the chunks it tells of."""

THIN_MAGIC = 27022010
THIN = Struct(
    352,
    crc=u32, flags=u32, block=u64, uuid=Bytes(16), magic=u64, version=u32, time=u32, transaction=u64, held_root=u64,
    data_map=Bytes(128), metadata_map=Bytes(128), mapping_root=u64, details_root=u64, data_block=u32, metadata_block=u32,
    metadata_blocks=u64,
)  # fmt: skip
"""Block 0 of the metadata device. Block sizes in sectors."""

NODE = Struct(32, crc=u32, flags=u32, block=u64, entries=u32, most=u32, value_size=u32, padding=u32)
"""Node of a B-tree; ``most`` keys of 64 bits and as many values follow. Flag 1 inner, 2 leaf."""

SUPER_XOR, NODE_XOR = 160774, 121107
"""What the CRC-32C of a block, from its fifth byte on, is combined with (exclusive or) to tell kinds of blocks apart."""
