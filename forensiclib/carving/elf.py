"""Linux and Unix executables (ELF): programs, libraries, objects, core dumps."""

from __future__ import annotations

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.elf import HEADER, PROGRAM, SECTION

__all__ = ["CARVERS"]

_RELOCATABLE, _EXECUTABLE, _SHARED, _CORE = 1, 2, 3, 4
_KINDS = {
    _RELOCATABLE: ("o", "ELF object file"),
    _EXECUTABLE: ("elf", "ELF program"),
    _SHARED: ("so", "ELF library or program"),
    _CORE: ("core", "ELF core dump"),
}
_INTERPRETER = 3
_NO_BITS = 8
_SECTIONS = 1 << 20


def _programs_end(window: Window, head: dict[str, int], form: tuple[bool, bool], budget: Budget) -> tuple[int, bool]:
    """(end of the segments and their table, whether an interpreter is asked for); -1 for a table that
    cannot be."""
    at, count, layout = head["programs"], head["program_count"], PROGRAM[form]
    if not count:
        return 0, False
    if head["program_size"] != layout.size:
        return -1, False
    end, program = at + count * layout.size, False
    for i in range(count):
        budget.item()
        raw = window.at(at + i * layout.size, layout.size)
        if len(raw) < layout.size:
            return max(end, window.size + 1), program
        segment = layout.dict(raw)
        program |= segment["type"] == _INTERPRETER
        end = max(end, segment["offset"] + segment["file_size"])
    return end, program


def _sections_end(window: Window, head: dict[str, int], form: tuple[bool, bool], budget: Budget) -> int:
    """End of the sections and their table; -1 for a table that cannot be."""
    at, count, layout = head["sections"], head["section_count"], SECTION[form]
    if not at:
        return 0
    if head["section_size"] != layout.size:
        return -1
    first = window.at(at, layout.size)
    if len(first) < layout.size:
        return window.size + 1
    if not count:  # more than 65,279: the number is the size of the first
        count = layout.dict(first)["size"]
    if layout.dict(first)["type"] or not 0 < count <= _SECTIONS:
        return -1
    end = at + count * layout.size
    if end > window.size:
        return end
    for i in range(1, count):
        budget.item()
        section = layout.dict(window.at(at + i * layout.size, layout.size))
        if section["type"] != _NO_BITS:
            end = max(end, section["offset"] + section["size"])
    return end


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    ident = window.at(0, 16)
    if len(ident) < 16 or ident[4] not in (1, 2) or ident[5] not in (1, 2) or ident[6] != 1 or any(ident[9:]):
        return None
    form = ident[4] == 2, ident[5] == 2
    layout = HEADER[form]
    raw = window.at(0, layout.size)
    if len(raw) < layout.size:
        return None
    head = layout.dict(raw)
    if head["type"] not in _KINDS or head["version"] != 1 or head["header_size"] != layout.size:
        return None
    segments, program = _programs_end(window, head, form, budget)
    sections = _sections_end(window, head, form, budget)
    kind = ("elf", "ELF program") if program else _KINDS[head["type"]]
    if segments < 0 or (sections < 0 and not segments):
        return None
    if sections < 0:
        return Find(min(segments, data.size), 0.4, "segments alone, the section table is not there", *kind, complete=False)
    length = max(segments, sections, layout.size)
    if length > data.size:
        return Find(data.size, 0.5, f"the data ends before byte {length}, where its tables end", *kind, complete=False)
    if not sections:
        return Find(length, 0.7, "end of the segments; it has no section table", *kind) if segments else None
    return Find(length, 0.9, f"{head['program_count']} segments and {head['section_count']} sections lie within", *kind)


CARVERS = (
    Carver(
        name="elf",
        title="ELF executable",
        extension="elf",
        mime="application/x-elf",
        signatures=(Signature(b"\x7fELF"),),
        measure=_measure,
        refs=("System V ABI 4.1, chapters 4 and 5",),
        gaps=(
            "data behind the last section or segment (an appended signature of a kernel module, AppImage content) is left out",
            "the content of sections is not read",
        ),
    ),
)
