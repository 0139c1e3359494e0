"""ext2, ext3 and ext4: superblock, group descriptors, inodes, extents, directory entries.

Linux kernel documentation, "ext4 Data Structures and Algorithms" (Documentation/filesystems/ext4).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32

__all__ = [
    "DIRENT", "DIRENT_LAYOUT", "EXTENT", "EXTENT_HEADER", "EXTENT_HEADER_LAYOUT", "EXTENT_INDEX", "EXTENT_INDEX_LAYOUT",
    "EXTENT_LAYOUT", "EXTENT_MAGIC", "FLAG_ENCRYPT", "FLAG_EXTENTS", "FLAG_INLINE", "GROUP_DESC", "GROUP_DESC_HIGH",
    "GROUP_DESC_HIGH_LAYOUT", "GROUP_DESC_LAYOUT", "INCOMPAT_64BIT", "INCOMPAT_EXTENTS", "INCOMPAT_META_BG", "INODE",
    "INODE_EXTRA", "INODE_EXTRA_LAYOUT", "INODE_LAYOUT", "MAGIC", "RO_BIGALLOC", "RO_SPARSE_SUPER", "SUPERBLOCK", "SUPERBLOCK_AT",
]  # fmt: skip

MAGIC, SUPERBLOCK_AT, EXTENT_MAGIC = 0xEF53, 1024, 0xF30A
INCOMPAT_META_BG, INCOMPAT_EXTENTS, INCOMPAT_64BIT = 0x10, 0x40, 0x80
RO_SPARSE_SUPER, RO_BIGALLOC = 0x1, 0x200
FLAG_ENCRYPT, FLAG_EXTENTS, FLAG_INLINE = 0x800, 0x80000, 0x10000000

SUPERBLOCK = Struct(
    352,
    inodes=u32, blocks_low=u32, reserved_blocks=u32, free_blocks=u32, free_inodes=u32, first_data_block=u32,
    log_block_size=u32, log_cluster_size=u32, blocks_per_group=u32, clusters_per_group=u32, inodes_per_group=u32,
    mounted=u32, written=u32, mounts=u16, max_mounts=u16, magic=u16, state=u16, errors=u16, minor=u16, checked=u32,
    check_interval=u32, creator=u32, revision=u32, reserved_uid=u16, reserved_gid=u16, first_inode=u32, inode_size=u16,
    group=u16, compat=u32, incompat=u32, ro_compat=u32, uuid=Bytes(16), label=Bytes(16), last_mounted=Bytes(64),
    algorithms=u32, prealloc=u8, prealloc_dirs=u8, reserved_gdt=u16, journal_uuid=Bytes(16), journal_inode=u32,
    journal_device=u32, last_orphan=u32, hash_seed=Bytes(16), hash_version=u8, journal_backup=u8, desc_size=u16,
    mount_options=u32, first_meta_bg=u32, made=u32, journal_blocks=Bytes(68), blocks_high=u32, reserved_high=u32,
    free_high=u32, min_extra=u16, want_extra=u16,
)  # fmt: skip
"""Offsets 0 to 351 of struct ext4_super_block."""

GROUP_DESC = Struct(
    32, block_bitmap=u32, inode_bitmap=u32, inode_table=u32, free_blocks=u16, free_inodes=u16, directories=u16, flags=u16,
    exclude=u32, block_checksum=u16, inode_checksum=u16, unused_inodes=u16, checksum=u16,
)  # fmt: skip
GROUP_DESC_LAYOUT = layout(GROUP_DESC)
GROUP_DESC_HIGH = Struct(12, block_bitmap=u32, inode_bitmap=u32, inode_table=u32)
"""Offsets 32 to 43 of a 64-byte descriptor."""
GROUP_DESC_HIGH_LAYOUT = layout(GROUP_DESC_HIGH)

INODE = Struct(
    128, mode=u16, uid=u16, size_low=u32, accessed=u32, changed=u32, modified=u32, deleted=u32, gid=u16, links=u16,
    sectors=u32, flags=u32, version=u32, block=Bytes(60), generation=u32, acl=u32, size_high=u32, fragment=u32,
    sectors_high=u16, acl_high=u16, uid_high=u16, gid_high=u16, checksum=u16, reserved=u16,
)  # fmt: skip
INODE_LAYOUT = layout(INODE)
INODE_EXTRA = Struct(
    28, extra_size=u16, checksum_high=u16, changed_extra=u32, modified_extra=u32, accessed_extra=u32, born=u32,
    born_extra=u32, version_high=u32,
)  # fmt: skip
"""Offsets 128 to 155 of a larger inode. An ``_extra`` word holds nanoseconds << 2 | seconds bits 33:32."""
INODE_EXTRA_LAYOUT = layout(INODE_EXTRA)

EXTENT_HEADER = Struct(12, magic=u16, entries=u16, maximum=u16, depth=u16, generation=u32)
EXTENT_HEADER_LAYOUT = layout(EXTENT_HEADER)
EXTENT = Struct(12, logical=u32, length=u16, start_high=u16, start_low=u32)
"""A leaf; a length above 32768 is an unwritten extent of length - 32768."""
EXTENT_LAYOUT = layout(EXTENT)
EXTENT_INDEX = Struct(12, logical=u32, leaf_low=u32, leaf_high=u16, unused=u16)
EXTENT_INDEX_LAYOUT = layout(EXTENT_INDEX)

DIRENT = Struct(8, inode=u32, length=u16, name_length=u8, type=u8)
"""The fixed part of struct ext4_dir_entry_2; the name follows."""
DIRENT_LAYOUT = layout(DIRENT)
