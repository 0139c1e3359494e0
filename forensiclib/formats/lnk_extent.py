"""Shell link: the header that tells which parts follow.

[MS-SHLLINK] 2.1 (ShellLinkHeader).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, i32, layout, u16, u32, u64

__all__ = ["HEADER"]

HEADER = layout(
    Struct(
        76, size=u32, clsid=Bytes(16), flags=u32, attributes=u32, created=u64, accessed=u64, written=u64, file_size=u32, icon=i32,
        show=u32, hot_key=u16, reserved=Bytes(10),
    )
)  # fmt: skip
