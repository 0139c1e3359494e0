"""CoreStorage volumes and FileVault 2. O. Choudary, J. Metz, "FileVault Drive Encryption (FVDE)" (libfvde), whose names these are where it
has any; O. Choudary, F. Groebert, J. Metz, "Infiltrate the Vault: Security Analysis and Decryption of Lion Full Disk Encryption", 2012.
Numbers little-endian, UUIDs in the order they are written in; block numbers count from the start of a physical volume."""

from __future__ import annotations

from forensiclib.formats._dsl import Array, Bytes, Padding, Struct, layout, u16, u32, u64

__all__ = [
    "BLOCK", "BLOCK_LAYOUT", "BLOCK_SIZE", "DESCRIPTOR", "FAMILY", "HEADER", "LABEL", "LOGICAL", "MORE", "PASSPHRASE_KEK", "SEGMENT_LAYOUT",
    "TYPES", "WIPED", "WRAPPED_KEY",
]  # fmt: skip

HEADER = Struct(
    512, checksum=u32, seed=u32, version=u16, type=u16, serial=u32, _=Padding(32), sector=u32, __=Padding(12), size=u64, ___=Padding(16),
    signature=Bytes(2), algorithm=u32, areas=u16, block_size=u32, area_size=u32, area=Array(8, u64), key_size=u32, method=u32,
    key=Bytes(16), ____=Padding(112), uuid=Bytes(16), group=Bytes(16), _____=Padding(176),
)  # fmt: skip
"""Physical volume header; a copy in the last block. CRC-32C from byte 8 on, begun with the seed and not inverted at its end. ``areas`` of
``area`` count: where the copies of the unencrypted metadata begin. The key and the UUID are those of the encrypted metadata."""

BLOCK_SIZE = 8192
BLOCK = Struct(
    64, checksum=u32, seed=u32, version=u16, type=u16, serial=u32, transaction=u64, oid=u64, number=u64, again=u64, size=u32, flags=u32,
    _=Padding(8),
)  # fmt: skip
"""Begins every block of the metadata; CRC-32C as in the header. ``number`` counts blocks of BLOCK_SIZE."""
BLOCK_LAYOUT = layout(BLOCK)
WIPED = b"LVFwiped"
"""Stands for checksum and seed in a block whose content was taken away."""

TYPES = {"label": 0x11, "family": 0x19, "logical": 0x1A, "more": 0x24, "segments": 0x305, "bases": 0x505}

LABEL = Struct(184, size=u32, _=Padding(152), descriptor=u32, text=u32, text_size=u32, __=Padding(6), index=u16, blocks=u64)
"""Type 11h behind its header. ``descriptor``, ``text``: bytes from the start of the area; ``index``: of the physical volume."""
DESCRIPTOR = Struct(48, state=u64, blocks=u64, _=Padding(16), first=Bytes(6), first_index=u16, second=Bytes(6), second_index=u16)
"""Volume group descriptor: where both copies of the encrypted metadata lie, and on which physical volume, and their blocks."""

FAMILY = Struct(56, _=Padding(32), next=u64, packed=u32, unpacked=u32, at=u32, size=u32)
"""Type 19h behind its header: a family's property list, in zlib when ``packed`` is not ``unpacked``; ``at`` from the block's start."""
MORE = Struct(16, next=u64, size=u32, _=Padding(4))
"""Type 24h behind its header: more of a property list."""
LOGICAL = Struct(72, family=u64, segments=u64, _=Padding(32), bases=u64, packed=u32, unpacked=u32, at=u32, size=u32)
"""Type 1Ah behind its header: a logical volume; the objects of its family, of its segments, and of what these count from (0: nothing)."""
SEGMENT_LAYOUT = layout(Struct(40, _=Padding(8), logical=u64, blocks=u32, flags=u32, __=Padding(8), first=Bytes(6), index=u16))
"""Entry of type 305h: eight bytes behind the header begin as many as its first four say. Blocks of the physical volume ``index``."""

PASSPHRASE_KEK = Struct(284, kind=u32, salt_size=u32, salt=Bytes(16), key_kind=u32, key_size=u32, key=Bytes(24), _=Padding(112), rounds=u32,
                        __=Padding(112))  # fmt: skip
"""PassphraseWrappedKEKStruct: PBKDF2-SHA256 of the password opens the key (RFC 3394). The rounds stand at 168: libfvde's text, but not
its example, says 172."""
WRAPPED_KEY = Struct(256, kind=u32, key_size=u32, key=Bytes(24), _=Padding(224))
"""KEKWrappedVolumeKeyStruct."""
