"""Portable Executable: the headers that tell its extent.

Microsoft "PE Format": COFF file header, optional header, section table; MZ header of MS-DOS.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32

__all__ = ["COFF", "OPTIONAL", "SECTION"]

COFF = layout(
    Struct(24, signature=Bytes(4), machine=u16, sections=u16, time=u32, symbols=u32, symbol_count=u32, optional_size=u16, flags=u16)
)
OPTIONAL = layout(
    Struct(
        72, magic=u16, linker_major=u8, linker_minor=u8, code=u32, data=u32, bss=u32, entry=u32, code_base=u32, unknown=Bytes(8),
        section_alignment=u32, file_alignment=u32, versions=Bytes(12), win32_version=u32, image_size=u32, headers_size=u32,
        checksum=u32, subsystem=u16, characteristics=u16,
    )
)  # fmt: skip
SECTION = layout(
    Struct(
        40, name=Bytes(8), virtual_size=u32, address=u32, raw_size=u32, raw_offset=u32, relocations=u32, lines=u32,
        relocation_count=u16, line_count=u16, flags=u32,
    )
)  # fmt: skip
