"""The volume header of TrueCrypt and VeraCrypt, as it is when decrypted; the salt before it is never encrypted.

TrueCrypt User's Guide 7.1a, "TrueCrypt Volume Format Specification"; VeraCrypt documentation, "VeraCrypt Volume Format
Specification".
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16be, u32be, u64be

__all__ = [
    "BACKUP", "BACKUP_HIDDEN", "BOOT_LOADERS", "BOOT_SECTOR", "FLAG_IN_PLACE", "FLAG_SYSTEM", "HEADER", "HEADER_LAYOUT", "HEADER_SIZE",
    "HIDDEN", "KEYS_AT", "MAGICS", "OLD_HIDDEN", "SALT", "UNIT",
]  # fmt: skip

SALT, HEADER_SIZE, UNIT, KEYS_AT = 64, 512, 512, 192
"""Bytes of the salt; of the header with it; of a unit of encryption; where the keys begin behind the salt."""
HIDDEN = 65536
"""Offset of the header of a hidden volume (version 4 of the format and later)."""
BACKUP, BACKUP_HIDDEN, OLD_HIDDEN = 131072, 65536, 1536
"""Bytes before the end: the copies of both headers; the header of a hidden volume before version 4."""
BOOT_SECTOR = 62
"""Sector of a disk whose system is encrypted that holds the header."""
BOOT_LOADERS = (b"TrueCrypt Boot Loader", b"VeraCrypt Boot Loader")
"""Text in the first sector of such a disk, when it boots by BIOS."""
MAGICS = {b"TRUE": "TrueCrypt", b"VERA": "VeraCrypt"}
FLAG_SYSTEM, FLAG_IN_PLACE = 1, 2

HEADER = Struct(
    448,
    magic=Bytes(4),
    version=u16be,
    program=u16be,
    keys_crc=u32be,
    volume_created=u64be,
    header_created=u64be,
    hidden_size=u64be,
    volume_size=u64be,
    start=u64be,
    size=u64be,
    flags=u32be,
    sector_size=u32be,
    reserved=Bytes(120),
    crc=u32be,
    keys=Bytes(256),
)
"""Big-endian, the 448 bytes behind the salt. Times are FILETIMEs of versions before 4; ``start`` and ``size`` of the encrypted area are of
version 4 and later, ``flags`` and ``crc`` likewise, ``sector_size`` of 5."""
HEADER_LAYOUT = layout(HEADER)
