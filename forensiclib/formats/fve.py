"""BitLocker's volume header, metadata blocks and entries. J. Metz, "BitLocker Drive Encryption (BDE) format specification" (libbde);
J. Kornblum, "Implementing BitLocker Drive Encryption for Forensic Analysis", 2009."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32, u64

__all__ = [
    "BLOCK", "BLOCK_LAYOUT", "ENTRY", "ENTRY_LAYOUT", "GUID", "GUIDS", "GUID_EOW", "HEADER", "HEADER_LAYOUT", "METADATA_SIZE", "METHODS",
    "PROTECTORS", "SIGNATURE", "VMK", "VMK_LAYOUT",
]  # fmt: skip

SIGNATURE = b"-FVE-FS-"
METADATA_SIZE = 0x10000
"""Bytes that a metadata block takes of the volume; they read as zeros."""

GUIDS = (160, 424)
"""Where a volume header has BitLocker's GUID and the offsets of the three blocks: Windows 7 and later; BitLocker To Go."""
GUID = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
GUID_EOW = bytes.fromhex("3b4da89280dd0e4d9e4eb1e3284eaed8")
"""Of a volume encrypted while it is written."""

BLOCK = Struct(
    64, signature=Bytes(8), size=u16, version=u16, state=u16, next_state=u16, encrypted=u64, converted=u32, header_sectors=u32,
    first=u64, second=u64, third=u64, header=u64,
)  # fmt: skip
"""Metadata block header. ``size`` counts 16 bytes and ends where the validation begins; ``header``: version 2, where the volume's first
sectors are kept; version 1 (Vista), the cluster of the MFT mirror."""
BLOCK_LAYOUT = layout(BLOCK)

HEADER = Struct(
    48, size=u32, version=u32, header_size=u32, copy_size=u32, guid=Bytes(16), nonce=u32, method=u16, method_copy=u16, created=u64,
)  # fmt: skip
"""Metadata header, after the block header; entries follow to ``size``. Also begins a .BEK file."""
HEADER_LAYOUT = layout(HEADER)

ENTRY = Struct(8, size=u16, type=u16, value=u16, version=u16)
"""Entry header; ``size`` with it. Types: 2 volume master key, 3 full volume encryption key, 6 startup key, 7 description, 15 volume header.
Values: 1 key, 2 text, 3 stretched key, 5 AES-CCM, 6 TPM, 8 volume master key, 9 external key, 15 offset and size."""
ENTRY_LAYOUT = layout(ENTRY)

VMK = Struct(28, guid=Bytes(16), modified=u64, unknown=u16, protection=u16)
"""Begins a volume master key; entries follow."""
VMK_LAYOUT = layout(VMK)

METHODS = {
    0x8000: ("AES-CBC 128 with diffuser", 16), 0x8001: ("AES-CBC 256 with diffuser", 32), 0x8002: ("AES-CBC 128", 16),
    0x8003: ("AES-CBC 256", 32), 0x8004: ("AES-XTS 128", 32), 0x8005: ("AES-XTS 256", 64),
}  # fmt: skip
"""Encryption method -> (words, bytes of key)."""

PROTECTORS = {
    0x0000: "clear key", 0x0100: "TPM", 0x0200: "startup key", 0x0500: "TPM and PIN", 0x0600: "TPM and startup key",
    0x0700: "TPM, PIN and startup key", 0x0800: "recovery key", 0x1000: "smart card", 0x2000: "password",
}  # fmt: skip
