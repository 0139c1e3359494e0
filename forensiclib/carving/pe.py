"""Windows executables (PE): programs, libraries, drivers, EFI images."""

from __future__ import annotations

from dataclasses import dataclass

from forensiclib.carving._read import Window, blocks
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.pe import COFF, OPTIONAL, SECTION

__all__ = ["CARVERS"]

_MACHINES = frozenset(
    (
        *(0x14C, 0x8664, 0xAA64, 0x1C0, 0x1C2, 0x1C4, 0x200, 0xEBC, 0x162, 0x166, 0x168, 0x184, 0x1A2, 0x1A6, 0x1F0, 0x1F1),
        *(0x266, 0x366, 0x466, 0x5032, 0x5064, 0x6232, 0x6264, 0xA641, 0xA64E),
    )
)
_DLL, _EXECUTABLE = 0x2000, 2
_NATIVE, _EFI = 1, range(10, 14)
_SUMMED = 256 << 20


@dataclass(slots=True)
class _Image:
    end: int
    certificates: int
    certificates_size: int
    checksum: int
    checksum_at: int
    kind: tuple[str, str]
    sections: int


def _kind(flags: int, subsystem: int) -> tuple[str, str]:
    if subsystem in _EFI:
        return "efi", "EFI program"
    if flags & _DLL:
        return "dll", "Windows library"
    return ("sys", "Windows driver") if subsystem == _NATIVE else ("exe", "Windows program")


def _symbols_end(window: Window, coff: dict[str, int]) -> int:
    """End of the COFF symbol table and the strings behind it, 0 without one."""
    at, count = coff["symbols"], coff["symbol_count"]
    if not at or not count:
        return 0
    strings = at + 18 * count
    return strings + max(0, window.number(strings, 4)) if strings < window.size else strings


def _sections_end(window: Window, at: int, count: int, image_size: int, budget: Budget) -> int:
    """End of the data of all sections, -1 for a table that cannot be."""
    end = 0
    for number in range(count):
        budget.item()
        raw = window.at(at + number * SECTION.size, SECTION.size)
        if len(raw) < SECTION.size:
            return -1
        section = SECTION.dict(raw)
        if section["address"] >= max(image_size, 1) or section["raw_offset"] > 0x7FFFFFFF or section["raw_size"] > 0x7FFFFFFF:
            return -1
        if section["raw_size"] and section["raw_offset"]:
            end = max(end, section["raw_offset"] + section["raw_size"])
    return end


def _image(window: Window, budget: Budget) -> _Image | None:
    at = window.number(60, 4)
    if not 4 <= at <= 1 << 20 or at & 3 or window.at(at, 4) != b"PE\0\0":
        return None
    raw = window.at(at, COFF.size)
    if len(raw) < COFF.size:
        return None
    coff = COFF.dict(raw)
    if coff["machine"] not in _MACHINES or not 0 < coff["sections"] <= 96 or not coff["flags"] & _EXECUTABLE:
        return None
    start = at + COFF.size
    raw = window.at(start, OPTIONAL.size)
    if len(raw) < OPTIONAL.size or coff["optional_size"] < 96:
        return None
    optional = OPTIONAL.dict(raw)
    plus = optional["magic"] == 0x20B
    if optional["magic"] not in (0x10B, 0x20B) or optional["file_alignment"] & optional["file_alignment"] - 1:
        return None
    table = start + coff["optional_size"]
    end = _sections_end(window, table, coff["sections"], optional["image_size"], budget)
    if end < 0:
        return None
    directories = start + (112 if plus else 96)
    listed = min(16, max(0, window.number(directories - 4, 4)))
    has_certificates = listed > 4 and directories + 40 <= table
    headers = max(optional["headers_size"], table + coff["sections"] * SECTION.size)
    return _Image(
        end=max(end, headers, _symbols_end(window, coff)),
        certificates=window.number(directories + 32, 4) if has_certificates else 0,
        certificates_size=window.number(directories + 36, 4) if has_certificates else 0,
        checksum=optional["checksum"],
        checksum_at=start + OPTIONAL.offsets["checksum"],
        kind=_kind(coff["flags"], optional["subsystem"]),
        sections=coff["sections"],
    )


def _certificates_end(window: Window, image: _Image, budget: Budget) -> int:
    """End of the attribute certificates that the header points at, 0 when they are not there."""
    at, stop = image.certificates, image.certificates + image.certificates_size
    if at < image.end or image.certificates_size < 8 or stop > window.size:
        return 0
    while at + 8 <= stop:
        budget.item()
        size, revision, kind = window.number(at, 4), window.number(at + 4, 2), window.number(at + 6, 2)
        if size < 8 or revision not in (0x100, 0x200) or not 1 <= kind <= 4 or size > stop - at:
            return 0
        at += size + -size % 8
    return stop


def _sum(data: ByteSource, image: _Image, length: int, budget: Budget) -> bool:
    """Whether the checksum of the optional header is that of the first ``length`` bytes.

    A sum of 16-bit words with the carry added back is the number modulo 65,535.
    """
    total = 0
    for piece in blocks(data, 0, length, budget):
        total = (total + int.from_bytes(piece, "little")) % 0xFFFF
    own = data.read_at(image.checksum_at, 4)
    total = (total - int.from_bytes(own, "little")) % 0xFFFF
    return (image.checksum - length) & 0xFFFFFFFF in (total, total or 0xFFFF)


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    image = _image(window, budget)
    if image is None:
        return None
    what = f"{image.sections} sections"
    if image.end > data.size:
        return Find(data.size, 0.5, f"{what}, the data ends inside them", *image.kind, complete=False)
    length = image.end
    if image.certificates and image.certificates_size:
        length = _certificates_end(window, image, budget)
        if not length:
            return Find(image.end, 0.6, f"{what}; the certificates at {image.certificates} are not there", *image.kind, complete=False)
        what += " and the certificates behind them"
    if image.checksum and length <= _SUMMED and _sum(data, image, length, budget):
        return Find(length, 1.0, f"{what}, checksum of the whole file good", *image.kind)
    note = "the checksum is of other bytes (an overlay, or damage)" if image.checksum else "no checksum stored"
    return Find(length, 0.8, f"{what}; {note}", *image.kind)


CARVERS = (
    Carver(
        name="pe",
        title="Windows executable",
        extension="exe",
        mime="application/vnd.microsoft.portable-executable",
        signatures=(Signature(b"MZ"),),
        measure=_measure,
        refs=("Microsoft: PE Format", "Microsoft: Windows Authenticode Portable Executable Signature Format"),
        gaps=(
            "an overlay (data behind the sections that no header mentions: installers, self-extractors) is left out",
            "LE and LX programs are not recognised",
        ),
        kinds=tuple(
            Kind(extension, "application/vnd.microsoft.portable-executable", title)
            for extension, title in (
                ("exe", "Windows program"),
                ("dll", "Windows library"),
                ("sys", "Windows driver"),
                ("efi", "EFI program"),
            )
        ),
    ),
)
