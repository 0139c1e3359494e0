"""Encrypted disk images of Apple, big-endian: version 2 ("encrcdsa", at the start) and version 1 ("cdsaencr", at the end).

Jacob Appelbaum and Ralf-Philipp Weinmann, "Unlocking FileVault" (23C3, 2006), with VileFault's description of both headers;
Willem Hengeveld, readencrcdsa (2019), for the names of the fields. Numbers of algorithms: Apple, cssmtype.h and cssmapple.h.
Version 1 wraps its keys after RFC 3217.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32be, u64be

__all__ = ["HEADER1", "HEADER2", "ITEM", "PASSWORD", "SIGNATURE", "SIGNATURE1", "TRAILER1"]

SIGNATURE = b"encrcdsa"
SIGNATURE1 = b"cdsaencr"
PBKDF2, DES3, AES, HMAC_SHA1 = 0x67, 0x11, 0x80000001, 0x5B
PKCS7 = 7
CBC_PAD, CBC = 6, 5
ITEM_PASSWORD, ITEM_CERTIFICATE, ITEM_SIGNATURE = 1, 2, 3
ITEMS = {ITEM_PASSWORD: "password", ITEM_CERTIFICATE: "certificate"}
SUFFIX = b"CKIE\0"
"""What ends the keys that a password opens."""
WRAP_IV = bytes.fromhex("4adda22c79e82105")
"""RFC 3217, 3.2."""

HEADER2 = layout(
    Struct(
        76,
        magic=Bytes(8),
        version=u32be,
        iv_bytes=u32be,
        mode=u32be,
        algorithm=u32be,
        key_bits=u32be,
        iv_algorithm=u32be,
        iv_key_bits=u32be,
        uuid=Bytes(16),
        block=u32be,
        size=u64be,
        offset=u64be,
        items=u32be,
    )
)
ITEM = layout(Struct(20, kind=u32be, offset=u64be, size=u64be))
PASSWORD = layout(
    Struct(
        104,
        kdf=u32be,
        rounds=u64be,
        salt_bytes=u32be,
        salt=Bytes(32),
        iv_bytes=u32be,
        iv=Bytes(32),
        key_bits=u32be,
        algorithm=u32be,
        padding=u32be,
        mode=u32be,
        blob_bytes=u32be,
    )
)
HEADER1 = layout(
    Struct(
        1256,
        uuid=Bytes(16),
        block=u32be,
        wrap_algorithm=u32be,
        wrap_padding=u32be,
        wrap_mode=u32be,
        wrap_key_bits=u32be,
        wrap_iv_bytes=u32be,
        kdf=u32be,
        kdf_prng=u32be,
        rounds=u32be,
        salt_bytes=u32be,
        salt=Bytes(32),
        iv_bytes=u32be,
        mode=u32be,
        algorithm=u32be,
        key_bits=u32be,
        key_iv=Bytes(32),
        key_bytes=u32be,
        key=Bytes(256),
        hmac_algorithm=u32be,
        hmac_bits=u32be,
        hmac_iv=Bytes(32),
        hmac_bytes=u32be,
        hmac=Bytes(256),
        integrity_algorithm=u32be,
        integrity_bits=u32be,
        integrity_iv=Bytes(32),
        integrity_bytes=u32be,
        integrity=Bytes(256),
        unknown_bytes=u32be,
        unknown=Bytes(256),
    )
)
TRAILER1 = layout(Struct(20, header=u64be, version=u32be, magic=Bytes(8)))
