"""RIFF chunks: Multimedia Programming Interface and Data Specifications 1.0 (1991), chapter 2."""

from forensiclib.formats._dsl import Bytes, Struct, layout, u16, u32

__all__ = ["CHUNK", "LIST", "WAVE_FORMAT"]

CHUNK = layout(Struct(8, kind=Bytes(4), size=u32))
LIST = layout(Struct(12, kind=Bytes(4), size=u32, form=Bytes(4)))
WAVE_FORMAT = layout(Struct(16, tag=u16, channels=u16, rate=u32, bytes_per_second=u32, block=u16, bits=u16))
