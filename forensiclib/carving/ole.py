"""Compound files (OLE2): Office 97-2003 documents, messages, installers, thumbnails, jump lists."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from sys import byteorder

from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.ole import ENTRY, HEADER

__all__ = ["CARVERS"]

_FREE, _END, _FAT, _DIFAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
_LARGEST = 0xFFFFFFFA
_ENTRIES = 4_096

_CLASSES = {
    "000c1084-0000-0000-c000-000000000046": ("msi", "Windows Installer package"),
    "000c1086-0000-0000-c000-000000000046": ("msp", "Windows Installer patch"),
    "000c1082-0000-0000-c000-000000000046": ("mst", "Windows Installer transform"),
    "00021201-0000-0000-00c0-000000000046": ("pub", "Publisher document"),
}
_STREAMS = (
    ("WordDocument", "doc", "Word document (97-2003)"),
    ("Workbook", "xls", "Excel workbook (97-2003)"),
    ("Book", "xls", "Excel workbook (5.0/95)"),
    ("PowerPoint Document", "ppt", "PowerPoint presentation (97-2003)"),
    ("__properties_version1.0", "msg", "Outlook message"),
    ("DestList", "automaticDestinations-ms", "Windows jump list"),
    ("VisioDocument", "vsd", "Visio drawing (2003-2010)"),
    ("FileHeader", "hwp", "Hangul document (version 5)"),
    ("MatOST", "wps", "Works document"),
    ("CONTENTS", "wps", "Works document"),
    ("Quill", "pub", "Publisher document"),
    ("PerfectOffice_MAIN", "wpd", "WordPerfect Office document"),
    ("NativeContent_MAIN", "qpw", "Quattro Pro notebook"),
    ("StarWriterDocument", "sdw", "StarWriter document"),
    ("StarCalcDocument", "sdc", "StarCalc spreadsheet"),
    ("StarDrawDocument3", "sdd", "StarImpress presentation"),
    ("TbkStorage", "sldprt", "SolidWorks model"),
    ("Props12", "mpp", "Project plan"),
    ("Props14", "mpp", "Project plan"),
    ("SwDocContentMgr", "sldprt", "SolidWorks model"),
    ("EncryptedPackage", "", "encrypted Office document"),
    ("Catalog", "db", "Thumbs.db thumbnails"),
)


@dataclass(slots=True)
class _File:
    """An opened compound file: sectors that hold the FAT, and the FAT itself."""

    data: ByteSource
    sector: int
    fat: array[int]
    problems: int = 0

    def at(self, number: int) -> int:
        return (number + 1) * self.sector

    def chain(self, first: int, budget: Budget, most: int) -> list[int]:
        """Sectors of a chain, at most ``most``; a link out of the FAT or backwards onto itself ends it
        and is a problem."""
        out: list[int] = []
        seen: set[int] = set()
        while first <= _LARGEST and len(out) < most:
            budget.item()
            if first >= len(self.fat) or first in seen:
                self.problems += 1
                break
            seen.add(first)
            out.append(first)
            first = self.fat[first]
        return out


def _numbers(raw: bytes) -> array[int]:
    """Little-endian 32-bit numbers."""
    out = array("I", raw[: len(raw) & ~3])
    if byteorder == "big":
        out.byteswap()
    return out


def _fat_sectors(data: ByteSource, head: dict[str, int], sector: int, budget: Budget) -> tuple[list[int], bool]:
    """(sectors that hold the FAT, whether the list is whole)."""
    listed = [n for n in _numbers(data.read_at(HEADER.size, 436)) if n <= _LARGEST]
    following, seen = head["first_difat"], set[int]()
    while following <= _LARGEST and len(listed) < head["fat_sectors"]:
        budget.item()
        raw = data.read_at((following + 1) * sector, sector)
        if following in seen or len(raw) < sector:
            return listed, False
        seen.add(following)
        *numbers, following = _numbers(raw)
        listed += [n for n in numbers if n <= _LARGEST]
    return listed[: head["fat_sectors"]], len(listed) >= head["fat_sectors"]


def _open(data: ByteSource, head: dict[str, int], budget: Budget) -> _File | None:
    sector = 1 << head["sector_shift"]
    listed, whole = _fat_sectors(data, head, sector, budget)
    out = _File(data, sector, array("I"), problems=not whole)
    budget.allocate("compound file FAT", len(listed) * sector)
    for number in listed:
        budget.item()
        raw = data.read_at(out.at(number), sector)
        if len(raw) < sector:
            out.problems += 1
            break
        out.fat.extend(_numbers(raw))
    if not out.fat or listed[0] >= len(out.fat) or out.fat[listed[0]] not in (_FAT, _END):
        return None
    out.problems += sum(n >= len(out.fat) or out.fat[n] not in (_FAT, _END) for n in listed)
    return out


def _header(data: ByteSource) -> dict[str, int] | None:
    raw = data.read_at(0, 512)
    if len(raw) < 512:
        return None
    head = HEADER.dict(raw)
    shift = {3: 9, 4: 12}.get(head["major"])
    if head["byte_order"] != 0xFFFE or head["sector_shift"] != shift or head["mini_shift"] != 6 or head["mini_cutoff"] != 4096:
        return None
    sectors = data.size >> head["sector_shift"]
    if not 0 < head["fat_sectors"] <= sectors or head["first_directory"] > sectors:
        return None
    return head


def _names(file: _File, first: int, budget: Budget) -> tuple[list[str], str] | None:
    """(names of the directory, class of its root); None without a root entry."""
    names: list[str] = []
    clsid = ""
    per = file.sector // ENTRY.size
    for number in file.chain(first, budget, _ENTRIES // per):
        raw = file.data.read_at(file.at(number), file.sector)
        for at in range(0, len(raw) - ENTRY.size + 1, ENTRY.size):
            entry = ENTRY.dict(raw, at)
            if not names and (entry["type"] != 5 or entry["name_length"] > 64):
                return None
            if entry["type"] in (1, 2, 5) and 2 <= entry["name_length"] <= 64:
                names.append(entry["name"][: entry["name_length"] - 2].decode("utf-16-le", "replace"))
                if entry["type"] == 5:
                    clsid = guid(entry["clsid"])
    return (names, clsid) if names else None


def _kind(names: list[str], clsid: str) -> tuple[str, str]:
    if clsid in _CLASSES:
        return _CLASSES[clsid]
    present = set(names)
    return next(((extension, title) for name, extension, title in _STREAMS if name in present), ("", ""))


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    head = _header(data)
    file = _open(data, head, budget) if head is not None else None
    if head is None or file is None:
        return None
    listing = _names(file, head["first_directory"], budget)
    if listing is None:
        return None
    kind = _kind(*listing)
    used = len(file.fat)
    while used and file.fat[used - 1] == _FREE:
        used -= 1
    length = file.at(used)
    file.chain(head["first_minifat"], budget, head["minifat_sectors"] + 1)
    if length > data.size:
        return Find(data.size, 0.6, f"{used} sectors in use, the data ends before them", *kind, complete=False)
    if file.problems:
        return Find(length, 0.6, f"{used} sectors in use, {file.problems} links of its tables lead nowhere", *kind, complete=False)
    return Find(length, 0.9, f"{len(listing[0])} directory entries; {used} is the last sector in use", *kind)


def _listed() -> tuple[Kind, ...]:
    """One kind for each (extension, title) that is told apart."""
    rows = [("ole", "compound file (OLE2)"), *_CLASSES.values(), *((e or "ole", t) for _, e, t in _STREAMS)]
    return tuple(Kind(e.lower(), f"application/x-{e.lower()}", t) for e, t in dict.fromkeys(rows))


CARVERS = (
    Carver(
        name="ole",
        title="compound file (OLE2)",
        extension="ole",
        mime="application/x-ole-storage",
        signatures=(Signature(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),),
        measure=_measure,
        refs=("[MS-CFB] 2.2, 2.3, 2.5, 2.6",),
        gaps=(
            "free sectors behind the last one in use are left out",
            "the content of streams is not read: foreign sectors in the middle are not seen",
        ),
        kinds=_listed(),
    ),
)
