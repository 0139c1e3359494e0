"""DICOM: data elements in ascending order behind the preamble, to the first thing that is none."""

from __future__ import annotations

from forensiclib.carving._ends import broken
from forensiclib.carving._inflate import inflate
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.errors import Corrupt, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

START = 132
UNDEFINED = 0xFFFFFFFF
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"))
_SHORT = frozenset(
    (
        b"AE",
        b"AS",
        b"AT",
        b"CS",
        b"DA",
        b"DS",
        b"DT",
        b"FL",
        b"FD",
        b"IS",
        b"LO",
        b"LT",
        b"PN",
        b"SH",
        b"SL",
        b"SS",
        b"ST",
        b"TM",
        b"UI",
        b"UL",
        b"US",
    )
)
_DEFLATED, _BIG, _IMPLICIT = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2"
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS, _PADDING = 0x7FE00010, 0xFFFCFFFC


class _Walk:
    def __init__(self, window: Window, budget: Budget, explicit: bool, big: bool) -> None:
        self.window, self.budget, self.explicit, self.big = window, budget, explicit, big
        self.pixels = False

    def tag(self, at: int) -> int:
        high, low = self.window.number(at, 2, self.big), self.window.number(at + 2, 2, self.big)
        return -1 if low < 0 or high < 0 else high << 16 | low

    def element(self, at: int) -> tuple[int, int] | None:
        """(start of the value, its length) of the element at ``at``; None when there is none."""
        if not self.explicit:
            size = self.window.number(at + 4, 4)
            return None if size < 0 else (at + 8, size)
        kind = self.window.at(at + 4, 2)
        if kind in _LONG:
            size = self.window.number(at + 8, 4, self.big)
            return (at + 12, size) if size >= 0 and self.window.at(at + 6, 2) == b"\0\0" else None
        size = self.window.number(at + 6, 2, self.big)
        return (at + 8, size) if kind in _SHORT and size >= 0 else None

    def items(self, at: int) -> int:
        """End of a sequence of undefined length. Raises Corrupt, Truncated."""
        self.budget.enter("DICOM sequence")
        while True:
            self.budget.item()
            tag, size = self.tag(at), self.window.number(at + 4, 4, self.big)
            at += 8
            if tag == _SEQUENCE_END and size == 0:
                self.budget.leave()
                return at
            if tag != _ITEM:
                raise Corrupt("DICOM sequence", None, f"no item at {at - 8}")
            at = self.group(at, _ITEM_END) if size == UNDEFINED else at + size
            if at > self.window.size:
                raise Truncated("DICOM item", None, f"ends at {at}")

    def group(self, at: int, until: int) -> int:
        """Where ascending elements end: behind the delimiter ``until``, or, when that is 0, before the first
        thing that is none. Raises Corrupt, Truncated."""
        last = 0
        while True:
            self.budget.item()
            tag = self.tag(at)
            if tag == until and until:
                return at + 8
            found = self.element(at) if last < tag < 0xFFFE0000 and (until or tag >= 0x00080000 or tag >> 16 == 4) else None
            if found is None:
                if until:
                    raise Corrupt("DICOM item", None, f"no element at {at}")
                return at
            place, size = found
            end = self.items(place) if size == UNDEFINED else place + size
            if size != UNDEFINED and size & 1:
                return at
            if end > self.window.size:
                raise Truncated("DICOM element", None, f"{tag:08X} ends at {end}")
            self.pixels = self.pixels or (tag == _PIXELS and not until)
            last, at = tag, end


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Meta information, then the data set that its transfer syntax codes."""
    window = Window(data)
    if window.at(128, 8) != b"DICM\2\0\0\0" or window.at(136, 4) != b"UL\4\0":
        return None
    at = 144 + window.number(140, 4)
    meta = window.at(144, min(4096, max(0, at - 144)))
    place = meta.find(b"\2\0\x10\0UI")
    if at > data.size or place < 0:
        return None
    syntax = meta[place + 8 : place + 8 + int.from_bytes(meta[place + 6 : place + 8], "little")].rstrip(b"\0 ")
    if not syntax.startswith(b"1."):
        return None
    if syntax == _DEFLATED:
        found = inflate(data, at, budget)
        return (
            Find(found.end + (found.end & 1), 0.9, "data set inflated")
            if found.whole and found.end + (found.end & 1) <= data.size
            else None
        )
    walk = _Walk(window, budget, syntax != _IMPLICIT, syntax == _BIG)
    try:
        end = walk.group(at, 0)
    except (Corrupt, Truncated) as error:
        return broken(at, f"meta information sound, then {error}")
    if end - at < 16:
        return None
    reason = f"data elements in ascending order, transfer syntax {syntax.decode('ascii', 'replace')}"
    return Find(end, 0.9 if walk.pixels else 0.6, reason + (", pixels" if walk.pixels else "; the end is where no element follows"))


CARVERS = (
    Carver(
        name="dicom",
        title="DICOM medical image",
        extension="dcm",
        mime="application/dicom",
        signatures=(Signature(b"DICM\2\0\0\0UL\4\0", offset=128),),
        measure=measure,
        maximum=16 << 30,
        refs=("DICOM PS3.5 2024, 7: data set, annex A: transfer syntaxes", "DICOM PS3.10 2024, 7: file format"),
        gaps=("files without the preamble (ACR-NEMA) are not recognised", "nothing marks the end: it is where no element follows in order"),
    ),
)
