"""Fixed headers of 7z, RAR and cabinet archives, and of gzip members.

7-Zip "7zFormat.txt", SignatureHeader; RAR technical note 3.93, block header; [MS-CAB] 2.1 (CFHEADER, CFFOLDER,
CFDATA); RFC 1952 2.3; POSIX.1-1988 ustar.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32, u64

__all__ = ["CAB_DATA", "CAB_FOLDER", "CAB_HEADER", "GZIP_MEMBER", "RAR_BLOCK", "SEVENZIP", "TAR"]

SEVENZIP = layout(Struct(32, signature=Bytes(6), major=u8, minor=u8, start_checksum=u32, next_offset=u64, next_size=u64, next_checksum=u32))
RAR_BLOCK = layout(Struct(7, checksum=u16, type=u8, flags=u16, size=u16))
GZIP_MEMBER = layout(Struct(10, magic=u16, method=u8, flags=u8, time=u32, extra_flags=u8, system=u8))
CAB_HEADER = layout(
    Struct(
        36, signature=Bytes(4), reserved1=u32, size=u32, reserved2=u32, files_offset=u32, reserved3=u32, minor=u8, major=u8,
        folders=u16, files=u16, flags=u16, set_id=u16, index=u16,
    )
)  # fmt: skip
CAB_FOLDER = layout(Struct(8, data_offset=u32, blocks=u16, compression=u16))
CAB_DATA = layout(Struct(8, checksum=u32, packed=u16, unpacked=u16))
TAR = layout(
    Struct(
        512, name=Bytes(100), mode=Bytes(8), uid=Bytes(8), gid=Bytes(8), size=Bytes(12), time=Bytes(12), checksum=Bytes(8), type=Bytes(1),
        link=Bytes(100), magic=Bytes(6), version=Bytes(2), owner=Bytes(32), group=Bytes(32), device_major=Bytes(8),
        device_minor=Bytes(8), prefix=Bytes(155), spare=Bytes(12),
    )
)  # fmt: skip
