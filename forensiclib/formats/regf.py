"""Windows registry hives and their transaction logs.

Layouts and constants after M. Suhanov, "Windows registry file format specification" (sections named
below), and J. Metz, "Windows NT Registry File (REGF) format", libregf.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Padding, Struct, layout, u16, u32, u64

__all__ = [
    "BASE_BLOCK", "BIG_DATA", "BINS", "COMPRESSED_NAME", "COMPRESSED_VALUE_NAME", "HIVE_BIN", "INDEX", "KEY_NODE", "KEY_SECURITY",
    "KEY_VALUE", "LOG_ENTRY", "LOG_SEED", "NOWHERE", "PAGE", "PAGE_REFERENCE", "RESIDENT", "SECTOR", "SECURITY_DESCRIPTOR",
    "SEGMENT", "VALUE_TYPES",
]  # fmt: skip

BINS = 4096
"""Where the hive bins data starts; every offset inside a hive counts from here."""
PAGE = 4096
SECTOR = 512
NOWHERE = 0xFFFFFFFF
SEGMENT = 16344
"""Bytes in every segment of a Big data record but the last."""
RESIDENT = 0x80000000
"""Bit of Key value / Data size: the data (4 bytes at most) stands in the offset field."""
COMPRESSED_NAME = 0x20
"""Key node flag: the name is stored in 8 bits a character (Latin-1), not UTF-16LE."""
COMPRESSED_VALUE_NAME = 1
LOG_SEED = 0x82EF4D887A4E55C5
"""Marvin32 seed of log entries ("New format", note 3), written there as bytes 82 EF 4D 88 7A 4E 55 C5."""

# "Base block", the part before the checksum and the checksum; 512 of its 4096 bytes.
BASE_BLOCK = layout(
    Struct(
        512,
        signature=Bytes(4),
        primary=u32,
        secondary=u32,
        last_written=u64,
        major=u32,
        minor=u32,
        file_type=u32,
        file_format=u32,
        root=u32,
        bins_size=u32,
        clustering=u32,
        file_name=Bytes(64),
        reserved=Padding(396),
        checksum=u32,
    )
)

# "Hive bin"
HIVE_BIN = layout(Struct(32, signature=Bytes(4), offset=u32, size=u32, reserved=Bytes(8), timestamp=u64, spare=u32))

# "Key node"
KEY_NODE = layout(
    Struct(
        76,
        signature=Bytes(2),
        flags=u16,
        last_written=u64,
        access=u32,
        parent=u32,
        subkeys=u32,
        volatile_subkeys=u32,
        subkey_list=u32,
        volatile_list=u32,
        values=u32,
        value_list=u32,
        security=u32,
        class_name=u32,
        largest_subkey_name=u32,
        largest_class_name=u32,
        largest_value_name=u32,
        largest_value_data=u32,
        work_var=u32,
        name_length=u16,
        class_length=u16,
    )
)

# "Key value"
KEY_VALUE = layout(
    Struct(20, signature=Bytes(2), name_length=u16, data_size=u32, data=u32, type=u32, flags=u16, spare=u16),
)

# "Key security"; the security descriptor ([MS-DTYP] 2.4.6) follows.
KEY_SECURITY = layout(Struct(20, signature=Bytes(2), reserved=u16, next=u32, previous=u32, references=u32, size=u32))
SECURITY_DESCRIPTOR = layout(Struct(20, revision=Bytes(1), sbz1=Bytes(1), control=u16, owner=u32, group=u32, sacl=u32, dacl=u32))

# "Index leaf", "Fast leaf", "Hash leaf", "Index root": the head that all four share.
INDEX = layout(Struct(4, signature=Bytes(2), count=u16))

# "Big data"
BIG_DATA = layout(Struct(8, signature=Bytes(2), count=u16, segments=u32))

# "Log entries" and their page references
LOG_ENTRY = layout(Struct(40, signature=Bytes(4), size=u32, flags=u32, sequence=u32, bins_size=u32, pages=u32, hash1=u64, hash2=u64))
PAGE_REFERENCE = layout(Struct(8, offset=u32, size=u32))

VALUE_TYPES = {
    0: "REG_NONE",
    1: "REG_SZ",
    2: "REG_EXPAND_SZ",
    3: "REG_BINARY",
    4: "REG_DWORD",
    5: "REG_DWORD_BIG_ENDIAN",
    6: "REG_LINK",
    7: "REG_MULTI_SZ",
    8: "REG_RESOURCE_LIST",
    9: "REG_FULL_RESOURCE_DESCRIPTOR",
    10: "REG_RESOURCE_REQUIREMENTS_LIST",
    11: "REG_QWORD",
}
"""Key value / Data type ("Data types")."""
