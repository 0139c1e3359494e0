"""VMware virtual disks: the sparse extents.

VMware, Inc., "Virtual Disk Format 5.0" (technical note, 2011): SparseExtentHeader ("Hosted Sparse Extent Header"), COWDisk_Header
("ESX Server Sparse Extents"), markers ("Stream-Optimized Compressed Sparse Extents"). The SE-sparse headers have no
published specification; Joachim Metz, "VMware Virtual Disk (VMDK) format specification", libvmdk documentation, and the reader of QEMU
(block/vmdk.c) name their fields. Offsets and sizes count in sectors of 512 bytes.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32, u64

__all__ = [
    "COMPRESSED", "COWD", "COWD_ENTRIES", "DESCRIPTOR", "GD_AT_END", "GRAIN", "MARKER", "MARKERS", "MARKER_END", "MARKER_FOOTER",
    "REDUNDANT", "SE_SPARSE", "SIGNATURE", "SIGNATURE_COWD", "SIGNATURE_SE", "SPARSE", "ZERO_GRAINS",
]  # fmt: skip

SIGNATURE = b"KDMV"
SIGNATURE_COWD = b"COWD"
SIGNATURE_SE = bytes.fromhex("bebafeca00000000")
DESCRIPTOR = b"# Disk DescriptorFile"

# "Hosted Sparse Extent Header"
SPARSE = layout(
    Struct(
        512,
        magic=Bytes(4),
        version=u32,
        flags=u32,
        capacity=u64,
        grain_size=u64,
        descriptor_offset=u64,
        descriptor_size=u64,
        gtes_per_gt=u32,
        rgd_offset=u64,
        gd_offset=u64,
        overhead=u64,
        unclean=u8,
        line_ends=Bytes(4),
        compression=u16,
        pad=Bytes(433),
    )
)
LINE_ENDS = b"\n \r\n"
VALID_LINE_ENDS, REDUNDANT, ZERO_GRAINS, COMPRESSED, MARKERS = 1, 2, 4, 1 << 16, 1 << 17
GD_AT_END = 0xFFFFFFFFFFFFFFFF

# "Stream-Optimized Compressed Sparse Extents": a marker with size 0 has a type, any other is a grain.
MARKER = layout(Struct(16, value=u64, size=u32, type=u32))
GRAIN = layout(Struct(12, lba=u64, size=u32))
MARKER_END, MARKER_TABLE, MARKER_DIRECTORY, MARKER_FOOTER = 0, 1, 2, 3

# "ESX Server Sparse Extents"
COWD = layout(
    Struct(
        2048,
        magic=Bytes(4),
        version=u32,
        flags=u32,
        capacity=u32,
        grain_size=u32,
        gd_offset=u32,
        gd_entries=u32,
        free_sector=u32,
        parent=Bytes(1024),
        parent_generation=u32,
        generation=u32,
        name=Bytes(60),
        description=Bytes(512),
        saved_generation=u32,
        reserved=Bytes(8),
        unclean=u32,
        padding=Bytes(396),
    )
)
COWD_ENTRIES = 4096

SE_SPARSE = layout(
    Struct(
        512,
        magic=u64,
        version=u64,
        capacity=u64,
        grain_size=u64,
        grain_table_size=u64,
        flags=u64,
        reserved=Bytes(32),
        volatile_offset=u64,
        volatile_size=u64,
        journal_header_offset=u64,
        journal_header_size=u64,
        journal_offset=u64,
        journal_size=u64,
        gd_offset=u64,
        gd_size=u64,
        gt_offset=u64,
        gt_size=u64,
        free_bitmap_offset=u64,
        free_bitmap_size=u64,
        backmap_offset=u64,
        backmap_size=u64,
        grains_offset=u64,
        grains_size=u64,
        pad=Bytes(304),
    )
)
# In front: the volatile header, whose last field says that the journal was not replayed.
SE_VOLATILE = layout(Struct(32, magic=u64, free_gt=u64, next_sequence=u64, replay=u64))
SE_VOLATILE_MAGIC = 0xCAFECAFE
