"""BMP: BITMAPFILEHEADER and the common start of the BITMAPINFOHEADER family ([MS-WMF] 2.2.2.3)."""

from forensiclib.formats._dsl import Bytes, Struct, i32, layout, u16, u32

__all__ = ["CORE", "FILE", "INFO"]

FILE = layout(Struct(14, magic=Bytes(2), size=u32, reserved=u32, pixels=u32))
CORE = layout(Struct(12, size=u32, width=u16, height=u16, planes=u16, bits=u16))
INFO = layout(Struct(24, size=u32, width=i32, height=i32, planes=u16, bits=u16, compression=u32, image=u32))
