"""ZIP: local headers, data descriptors, central directory, end records.

PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.9 (data descriptor), 4.3.12 (central
directory), 4.3.14 and 4.3.15 (ZIP64 end record and locator), 4.3.16 (end record).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32, u64

__all__ = ["CENTRAL", "END", "END64", "LOCAL", "LOCATOR64"]

LOCAL = layout(
    Struct(
        30, signature=Bytes(4), version=u16, flags=u16, method=u16, time=u16, date=u16, crc=u32, packed=u32, unpacked=u32,
        name_length=u16, extra_length=u16,
    )
)  # fmt: skip
CENTRAL = layout(
    Struct(
        46, signature=Bytes(4), made_by=u16, version=u16, flags=u16, method=u16, time=u16, date=u16, crc=u32, packed=u32, unpacked=u32,
        name_length=u16, extra_length=u16, comment_length=u16, disk=u16, internal=u16, external=u32, offset=u32,
    )
)  # fmt: skip
END = layout(
    Struct(
        22, signature=Bytes(4), disk=u16, directory_disk=u16, entries_here=u16, entries=u16, directory_size=u32, directory_offset=u32,
        comment_length=u16,
    )
)  # fmt: skip
END64 = layout(
    Struct(
        56, signature=Bytes(4), size=u64, made_by=u16, version=u16, disk=u32, directory_disk=u32, entries_here=u64, entries=u64,
        directory_size=u64, directory_offset=u64,
    )
)  # fmt: skip
LOCATOR64 = layout(Struct(20, signature=Bytes(4), disk=u32, end64_offset=u64, disks=u32))
