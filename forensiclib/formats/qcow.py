"""QEMU copy-on-write disks, versions 1 to 3, big-endian.

QEMU project, docs/interop/qcow2.txt ("Qcow2 Image File Format"): "Header", "Header extensions", "Cluster mapping", "Extended L2 Entries",
"Snapshots". Version 1: Mark McLoughlin, "The QCOW Image Format" (2006), and its fields in Joachim Metz, "QEMU Copy-On-Write file format",
libqcow documentation.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16be, u32be, u64be

__all__ = ["EXTENSION", "HEADER1", "HEADER2", "HEADER3", "SIGNATURE", "SNAPSHOT"]

SIGNATURE = b"QFI\xfb"
HEADER1 = layout(
    Struct(
        48,
        magic=Bytes(4),
        version=u32be,
        backing_offset=u64be,
        backing_size=u32be,
        mtime=u32be,
        size=u64be,
        cluster_bits=u8,
        l2_bits=u8,
        padding=u16be,
        crypt=u32be,
        l1_offset=u64be,
    )
)
HEADER2 = layout(
    Struct(
        72,
        magic=Bytes(4),
        version=u32be,
        backing_offset=u64be,
        backing_size=u32be,
        cluster_bits=u32be,
        size=u64be,
        crypt=u32be,
        l1_size=u32be,
        l1_offset=u64be,
        refcount_offset=u64be,
        refcount_clusters=u32be,
        snapshots=u32be,
        snapshots_offset=u64be,
    )
)
# What version 3 has behind it; compression_type is there when header_length reaches it.
HEADER3 = layout(
    Struct(40, incompatible=u64be, compatible=u64be, autoclear=u64be, refcount_order=u32be, length=u32be, compression=u8, pad=Bytes(7))
)
DIRTY, CORRUPT, EXTERNAL_DATA, COMPRESSION_TYPE, EXTENDED_L2 = 1, 2, 4, 8, 16
RAW_EXTERNAL = 2
"""Autoclear bit: the external data file is a raw image of the disk."""
CRYPTS = {1: "AES-CBC (legacy)", 2: "LUKS"}
COMPRESSIONS = {0: "deflate", 1: "zstd"}

EXTENSION = layout(Struct(8, type=u32be, length=u32be))
EXT_END, EXT_FORMAT, EXT_DATA_FILE = 0, 0xE2792ACA, 0x44415441

# "Cluster mapping"
OFFSET_BITS = 0x00FFFFFFFFFFFE00
COMPRESSED, COPIED, ZERO = 1 << 62, 1 << 63, 1

# "Snapshots": extra data, id and name follow, padded to 8 bytes
SNAPSHOT = layout(
    Struct(
        40,
        l1_offset=u64be,
        l1_size=u32be,
        id_size=u16be,
        name_size=u16be,
        seconds=u32be,
        nanoseconds=u32be,
        clock=u64be,
        state_size=u32be,
        extra_size=u32be,
    )
)
