"""Objects of an APFS container. Apple, "Apple File System Reference", 2020-06-22; names as there, shortened. Numbers little-endian,
UUIDs in the order they are written in; block numbers count from the start of the container."""

from __future__ import annotations

from forensiclib.formats._dsl import Array, Bytes, Padding, Struct, i64, layout, u16, u32, u64

__all__ = [
    "APSB", "ATTRIBUTES", "BTREE_INFO", "BTREE_INFO_LAYOUT", "BTREE_NODE", "BTREE_NODE_LAYOUT", "CAB", "CHECKPOINT", "CHUNK",
    "CHUNK_LAYOUT", "EPHEMERAL", "FLAG_ONEKEY", "FLAG_UNENCRYPTED", "INCOMPATIBLE", "KEYBAG", "KEYBAG_ENTRY", "KEYBAG_ENTRY_LAYOUT",
    "KEY_USERS", "MAPPING", "MAPPING_LAYOUT", "MOST_VOLUMES", "NXSB", "OBJECT", "OBJECT_LAYOUT", "OMAP", "OMAP_KEY", "OMAP_VALUE",
    "PHYSICAL", "ROLES", "SNAPSHOT", "SNAPSHOT_LAYOUT", "SPACEMAN", "SPACEMAN_DEVICE", "SPACEMAN_DEVICES", "TIER2",
]  # fmt: skip

OBJECT = Struct(32, checksum=Bytes(8), oid=u64, xid=u64, type=u32, subtype=u32)
"""obj_phys_t, at the start of every object. The type's high half: where the object is kept."""
OBJECT_LAYOUT = layout(OBJECT)
EPHEMERAL, PHYSICAL = 0x80000000, 0x40000000
"""Storage types; neither is virtual."""

MOST_VOLUMES = 100

NXSB = Struct(
    1408, checksum=Bytes(8), oid=u64, xid=u64, type=u32, subtype=u32, magic=Bytes(4), block_size=u32, block_count=u64, features=u64,
    readonly=u64, incompatible=u64, uuid=Bytes(16), next_oid=u64, next_xid=u64, desc_blocks=u32, data_blocks=u32, desc_base=u64,
    data_base=u64, desc_next=u32, data_next=u32, desc_index=u32, desc_len=u32, data_index=u32, data_len=u32, spaceman_oid=u64,
    omap_oid=u64, reaper_oid=u64, test_type=u32, max_volumes=u32, volumes=Array(MOST_VOLUMES, u64), counters=Array(32, u64),
    blocked_out=u64, blocked_count=u64, evict_tree=u64, flags=u64, jumpstart=u64, fusion_uuid=Bytes(16), keybag=u64,
    keybag_blocks=u64, ephemeral=Array(4, u64), test_oid=u64, fusion_tree=u64, fusion_cache=u64, cache_base=u64, cache_blocks=u64,
    newest=u64, media_keybag=u64, media_keybag_blocks=u64,
)  # fmt: skip
"""nx_superblock_t. The high bit of desc_blocks and data_blocks: the area is in pieces that a B-tree lists."""
INCOMPATIBLE = {1: "pre-release format", 0x100: "Fusion"}
"""Bits of ``incompatible`` that change how a container is read; 2 is the format as released."""
TIER2 = 0x4000000000000000
"""Byte address from which on a Fusion container counts in its second device."""

CHECKPOINT = Struct(8, flags=u32, count=u32)
"""checkpoint_map_phys_t, behind the object's header; mappings follow. Flag 1: the last block of the map."""
MAPPING = Struct(40, type=u32, subtype=u32, size=u32, _=Padding(4), volume=u64, oid=u64, address=u64)
"""checkpoint_mapping_t: where an ephemeral object of the checkpoint lies."""
MAPPING_LAYOUT = layout(MAPPING)

BTREE_NODE = Struct(
    24, flags=u16, level=u16, count=u32, table_at=u16, table_size=u16, free_at=u16, free_size=u16, keys_at=u16, keys_size=u16,
    values_at=u16, values_size=u16,
)  # fmt: skip
"""btree_node_phys_t, behind the object's header. Flags: 1 root, 2 leaf, 4 keys and values of fixed size, 8 hashed, 16 no header."""
BTREE_NODE_LAYOUT = layout(BTREE_NODE)
BTREE_INFO = Struct(40, flags=u32, node_size=u32, key_size=u32, value_size=u32, longest_key=u32, longest_value=u32, count=u64, nodes=u64)
"""btree_info_t, at the end of a root. Flags: 16 children by block number, 128 hashed, 256 nodes without a header."""
BTREE_INFO_LAYOUT = layout(BTREE_INFO)

OMAP = Struct(56, flags=u32, snapshots=u32, tree_type=u32, snapshot_tree_type=u32, tree=u64, snapshot_tree=u64, newest=u64, revert_min=u64,
              revert_max=u64)  # fmt: skip
"""omap_phys_t, behind the object's header. Flags 2, 4, 8: encryption, decryption, a change of keys under way."""
OMAP_KEY = layout(Struct(16, oid=u64, xid=u64))
OMAP_VALUE = layout(Struct(16, flags=u32, size=u32, address=u64))
"""omap_val_t. Flags: 1 deleted, 4 encrypted, 8 without an object's header. ``size`` in bytes."""

APSB = Struct(
    1056, checksum=Bytes(8), oid=u64, xid=u64, type=u32, subtype=u32, magic=Bytes(4), index=u32, features=u64, readonly=u64,
    incompatible=u64, unmounted=i64, reserve=u64, quota=u64, allocated=u64, crypto_major=u16, crypto_minor=u16, crypto_flags=u32,
    crypto_class=u32, crypto_os=u32, crypto_revision=u16, _=Padding(2), root_type=u32, extents_type=u32, snapshots_type=u32, omap_oid=u64,
    root_oid=u64, extents_oid=u64, snapshots_oid=u64, revert_xid=u64, revert_oid=u64, next_id=u64, files=u64, folders=u64, links=u64,
    others=u64, snapshots=u64, total_allocated=u64, total_freed=u64, uuid=Bytes(16), modified=i64, flags=u64, formatted_by=Bytes(32),
    formatted=i64, formatted_xid=u64, modified_by=Bytes(384), name=Bytes(256), next_document=u32, role=u16, __=Padding(2), root_xid=u64,
    er_state=u64, clone_epoch=u64, clone_xid=u64, snapshot_extra=u64, group=Bytes(16), integrity=u64, sealed_extents=u64,
    sealed_extents_type=u32, ___=Padding(12),
)  # fmt: skip
"""apfs_superblock_t. Times: nanoseconds since 1970, UTC."""
FLAG_UNENCRYPTED, FLAG_ONEKEY = 1, 8
ROLES = {
    0: "none", 1: "System", 2: "User", 4: "Recovery", 8: "VM", 16: "Preboot", 32: "Installer", 1 << 6: "Data", 2 << 6: "Baseband",
    3 << 6: "Update", 4 << 6: "xART", 5 << 6: "Hardware", 6 << 6: "Backup", 9 << 6: "Enterprise", 11 << 6: "Prelogin",
}  # fmt: skip

SNAPSHOT = Struct(50, extents=u64, superblock=u64, created=u64, changed=u64, inode=u64, extents_type=u32, flags=u32, name_size=u16)
"""j_snap_metadata_val_t; the name follows. Its key: the transaction in the low 60 bits, 1 in the high 4."""
SNAPSHOT_LAYOUT = layout(SNAPSHOT)

SPACEMAN = Struct(16, block_size=u32, chunk_blocks=u32, chunks_per_cib=u32, cibs_per_cab=u32)
"""spaceman_phys_t, behind the object's header; two devices follow."""
SPACEMAN_DEVICE = Struct(48, blocks=u64, chunks=u64, cibs=u32, cabs=u32, free=u64, at=u32, _=Padding(12))
"""spaceman_device_t. ``at``: where in the space manager the block numbers of the CABs, or without any of the CIBs, stand."""
SPACEMAN_DEVICES = (48, 96)
CAB = Struct(8, index=u32, count=u32)
"""cib_addr_block_t and chunk_info_block_t, behind the object's header; block numbers of CIBs or chunks follow."""
CHUNK = Struct(32, xid=u64, first=u64, blocks=u32, free=u32, bitmap=u64)
"""chunk_info_t. The low 20 bits of both counts count; without a bitmap all blocks are free. A set bit is a block in use."""
CHUNK_LAYOUT = layout(CHUNK)

KEYBAG = Struct(16, version=u16, count=u16, size=u32, _=Padding(8))
"""kb_locker_t, behind the object's header; entries follow, each from a multiple of 16 bytes on. ``size`` includes it."""
KEYBAG_ENTRY = Struct(24, uuid=Bytes(16), tag=u16, size=u16, _=Padding(4))
"""keybag_entry_t. In a container's bag: 2 the volume's wrapped key, 3 where the volume's bag lies; in a volume's: 3 a wrapped key
of a person, 4 the hint for the password."""
KEYBAG_ENTRY_LAYOUT = layout(KEYBAG_ENTRY)
KEY_USERS = {
    "ebc6c064-0000-11aa-aa11-00306543ecac": "personal recovery key",
    "64c0c6eb-0000-11aa-aa11-00306543ecac": "institutional recovery key",
    "2fa31400-baff-4de7-ae2a-c3aa6e1fd340": "institutional user",
    "c064ebc6-0000-11aa-aa11-00306543ecac": "iCloud recovery key",
    "ec1c2ad9-b618-4ed6-bd8d-50f361c27507": "iCloud user",
}
"""Identifiers of keys that are no person's; the volume's own UUID is its disk password, any other a user's."""
ATTRIBUTES = {
    "version": 0x80, "hmac": 0x81, "salt": 0x82, "blob": 0xA3, "uuid": 0x81, "method": 0x82, "key": 0x83, "rounds": 0x84, "pbkdf2": 0x85,
}  # fmt: skip
"""Tags of the DER that a wrapped key is written in: a sequence of version, HMAC, salt and blob; in the blob the last five."""
