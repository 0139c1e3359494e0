"""Registry hive: what tells the extent of a hive and of its transaction log.

libyal "Windows NT Registry File (REGF) format", base block and hive bin; M. Suhanov "Windows registry file
format specification", transaction log files.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32, u64

__all__ = ["BASE", "BIN", "LOG_ENTRY"]

BASE = layout(
    Struct(
        512, signature=Bytes(4), sequence1=u32, sequence2=u32, written=u64, major=u32, minor=u32, type=u32, format=u32, root=u32,
        bins_size=u32, clustering=u32, name=Bytes(64), unknown=Bytes(396), checksum=u32,
    )
)  # fmt: skip
BIN = layout(Struct(32, signature=Bytes(4), offset=u32, size=u32, reserved=u64, written=u64, spare=u32))
LOG_ENTRY = layout(Struct(40, signature=Bytes(4), size=u32, flags=u32, sequence=u32, bins_size=u32, pages=u32, hash1=u64, hash2=u64))
