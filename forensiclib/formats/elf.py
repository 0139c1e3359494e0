"""ELF: file header, program header, section header, in both classes and byte orders.

System V ABI 4.1, chapter 4 (object files) and chapter 5; layouts in the order class 32 then class 64.
"""

from __future__ import annotations

from typing import Final

from forensiclib.formats._dsl import Bytes, Layout, Struct, layout, u16, u16be, u32, u32be, u64, u64be

__all__ = ["HEADER", "PROGRAM", "SECTION"]

_HALF: Final = {False: u16, True: u16be}
_WORD: Final = {False: u32, True: u32be}
_LONG: Final = {False: u64, True: u64be}


def _header(wide: bool, big: bool) -> Layout:
    half, word = _HALF[big], _WORD[big]
    address = _LONG[big] if wide else word
    return layout(
        Struct(
            64 if wide else 52, ident=Bytes(16), type=half, machine=half, version=word, entry=address, programs=address,
            sections=address, flags=word, header_size=half, program_size=half, program_count=half, section_size=half,
            section_count=half, names=half,
        )
    )  # fmt: skip


def _program(wide: bool, big: bool) -> Layout:
    word, long = _WORD[big], _LONG[big]
    if wide:
        return layout(
            Struct(56, type=word, flags=word, offset=long, virtual=long, physical=long, file_size=long, memory_size=long, align=long)
        )
    return layout(Struct(32, type=word, offset=word, virtual=word, physical=word, file_size=word, memory_size=word, flags=word, align=word))


def _section(wide: bool, big: bool) -> Layout:
    word, size = _WORD[big], _LONG[big] if wide else _WORD[big]
    return layout(
        Struct(
            64 if wide else 40, name=word, type=word, flags=size, address=size, offset=size, size=size, link=word, info=word,
            align=size, entry_size=size,
        )
    )  # fmt: skip


HEADER = {(wide, big): _header(wide, big) for wide in (False, True) for big in (False, True)}
PROGRAM = {(wide, big): _program(wide, big) for wide in (False, True) for big in (False, True)}
SECTION = {(wide, big): _section(wide, big) for wide in (False, True) for big in (False, True)}
