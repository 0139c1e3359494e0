"""Pieces of a PDF document put together by its cross-reference table; streams prove where one piece ends."""

from __future__ import annotations

import re
import zlib

from forensiclib.carving import jpeg
from forensiclib.carving._anchors import Anchor, between, everywhere
from forensiclib.carving._gaps import Space, fill_of
from forensiclib.carving.jpeg_join import proven
from forensiclib.core.declare import Find, Fragments
from forensiclib.core.errors import EvidenceError, LimitExceeded
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource

__all__ = ["rejoin"]

REACH = 1 << 30
TABLE = 4 << 20
"""Bytes of a cross-reference section that is looked at."""
OBJECT = 64 << 20
TRIED = 256 << 20
"""Bytes of objects that are put together and decoded, to see where a piece ends."""
INDEXED = 1 << 20
"""Objects that are looked for by name."""
_END = re.compile(rb"startxref[\r\n ]+(\d{1,10})[\r\n ]+%%EOF(?:\r\n|\n|\r)?")
_OBJECT = re.compile(rb"(?<!\d)(\d{1,7}) (\d{1,5}) obj\b")
_XREF = re.compile(rb"xref[\r\n ]+\d")
_SECTION = re.compile(rb"(\d{1,8}) (\d{1,8})[ \r\n]+")
_LINE = re.compile(rb"(\d{10}) (\d{5}) ([nf])")
_LENGTH = re.compile(rb"/Length\s+(\d{1,10})(?!\d|\s+\d+\s+R)")
_STREAM = re.compile(rb"stream(?:\r\n|\n)")

Named = tuple[int, bytes]


def _table(raw: bytes) -> list[Named] | None:
    """(offset, the bytes that must be there) of every object of the classic table that ``raw`` begins with."""
    at = 4
    out: list[Named] = []
    while True:
        while at < len(raw) and raw[at] in b" \r\n":
            at += 1
        section = _SECTION.match(raw, at)
        if section is None:
            return sorted(out) if raw.startswith(b"trailer", at) and out else None
        at = section.end()
        for number in range(int(section[1]), int(section[1]) + int(section[2])):
            line = _LINE.match(raw, at)
            if line is None:
                return None
            if line[3] == b"n" and int(line[1]):
                out.append((int(line[1]), b"%d %d obj" % (number, int(line[2]))))
            at = line.end()
            while at < len(raw) and raw[at] in b" \r\n":
                at += 1


def _stream_table(raw: bytes) -> list[Named] | None:
    """The same of a cross-reference stream (ISO 32000-1, 7.5.8)."""
    start = _STREAM.search(raw)
    head = raw[: start.start()] if start is not None else b""
    widths = re.search(rb"/W\s*\[\s*(\d)\s+(\d)\s+(\d)\s*\]", head)
    size = re.search(rb"/Size\s+(\d{1,8})", head)
    if start is None or widths is None or size is None or b"/FlateDecode" not in head:
        return None
    try:
        data = zlib.decompressobj().decompress(raw[start.end() :], TABLE)
    except zlib.error:
        return None
    a, b, c = (int(w) for w in widths.groups())
    row = a + b + c
    if row == 0 or b > 8:
        return None
    if re.search(rb"/Predictor\s+1\d", head):
        plain, above = bytearray(), bytes(row)
        for at in range(0, len(data) - row, row + 1):
            if data[at] not in (0, 2):
                return None
            line = data[at + 1 : at + 1 + row]
            above = bytes((x + y) & 255 for x, y in zip(line, above, strict=True)) if data[at] else line
            plain += above
        data = bytes(plain)
    index = re.search(rb"/Index\s*\[([\d\s]+)\]", head)
    ranges = [int(n) for n in index[1].split()] if index else [0, int(size[1])]
    out, at = [], 0
    for first, count in zip(ranges[::2], ranges[1::2], strict=False):
        for number in range(first, first + min(count, len(data) // row)):
            entry = data[at : at + row]
            if len(entry) == row and (entry[0] if a == 1 else 1) == 1:
                out.append((int.from_bytes(entry[a : a + b], "big"), b"%d %d obj" % (number, int.from_bytes(entry[a + b :], "big"))))
            at += row
    return sorted(o for o in out if o[0]) or None


class _Search:
    def __init__(self, fragments: Fragments, budget: Budget) -> None:
        self.space, self.budget = Space(fragments), budget
        self.data, self.head, self.block = fragments.data, fragments.head, fragments.block
        self.sure, self.spent = True, 0
        self._index: dict[bytes, list[int]] | None = None

    def index(self) -> dict[bytes, list[int]]:
        """Where objects lie, by name."""
        if self._index is None:
            self._index = {}
            for count, (at, raw) in enumerate(everywhere(self.space, _OBJECT, REACH, self.budget)):
                if count > INDEXED:
                    break
                self._index.setdefault(raw[: raw.index(b"obj") + 3], []).append(at)
        return self._index

    def by(self, mark: int, raw: bytes) -> list[tuple[int, int]] | None:
        """The pieces, if the end mark at ``mark`` is this document's."""
        end = _END.match(raw)
        if end is None:
            return None
        offset = int(end[1])
        low = max(0, mark - TABLE)
        before = self.data.read_at(low, mark - low)
        place, listed = -1, None
        for pattern, read in ((_XREF, _table), (_OBJECT, _stream_table)):
            for match in reversed([m for m in pattern.finditer(before) if (low + m.start() - offset - self.head) % self.block == 0]):
                listed = read(before[match.start() :])
                if listed is not None:
                    place = low + match.start()
                    break
            if place >= 0:
                break
        if listed is None or place - offset == self.head or listed[0][0] > offset:
            return None
        if not self.is_there(listed[0], self.head + listed[0][0]):
            return None
        anchors: list[Anchor] = [(0, self.head)]
        for named in listed:
            if named[0] >= offset:
                continue
            shifts = (anchors[-1][1] - anchors[-1][0], place - offset)
            places = [named[0] + s for s in shifts]
            places += [p for p in self.index().get(named[1], ()) if (p - named[0] - self.head) % self.block == 0]
            found = next((p for p in places if self.is_there(named, p)), None)
            if found is not None and named[0] > anchors[-1][0]:
                anchors.append((named[0], found))
        anchors.append((offset, place))
        return between(self.space, anchors, offset + mark - place + end.end(), self.settle)

    def is_there(self, named: Named, at: int) -> bool:
        """Whether an object begins at ``at`` of the space."""
        return at >= 0 and self.data.read_at(at, len(named[1])) == named[1]

    def settle(self, before: Anchor, after: Anchor, places: list[int]) -> int | None:
        """Where the piece ends within the object at ``before``."""
        size = after[0] - before[0]
        if size > OBJECT or not places:
            return None
        one = self.data.read_at(before[1], size)
        other = self.data.read_at(max(0, after[1] - size), min(size, after[1])).rjust(size, b"\0")
        silent = []
        for place in reversed(places):
            self.budget.check()
            self.spent += size
            if self.spent > TRIED:
                return None
            cut = place - before[0]
            verdict = _holds(one[:cut] + other[cut:], cut, self.budget)
            if verdict:
                return place
            silent += [place] if verdict is None else []
        if len(silent) < 2:  # all others are ruled out
            return silent[0] if silent else None
        self.sure = False
        for place in places:  # nothing in the object proves it: up to where fill begins
            if fill_of(self.data.read_at(before[1] + place - before[0], self.block)):
                return place
        return places[-1]


def _holds(raw: bytes, cut: int, budget: Budget) -> bool | None:
    """Whether an object whose pieces meet at ``cut`` is whole, and proves it; None when nothing in it tells."""
    start = _STREAM.search(raw)
    if start is None:
        return None if raw.count(b"endobj") == 1 else False
    head = raw[: start.start()]
    length = _LENGTH.search(head)
    end = start.end() + int(length[1]) if length else raw.rfind(b"endstream")
    if end < 0 or b"endstream" not in raw[end : end + 16]:
        return False
    body, inside = raw[start.end() : end], start.end() < cut < end
    if re.search(rb"/Filter\s*\[?\s*/FlateDecode", head):
        engine = zlib.decompressobj()
        try:
            for at in range(0, len(body), 1 << 14):
                engine.decompress(body[at : at + (1 << 14)])
                if engine.eof:
                    return True if inside and len(engine.unused_data) <= 2 else None  # its checksum is good
        except zlib.error:
            return None if _foreign(body) else False
        return False
    if re.search(rb"/Filter\s*\[?\s*/DCTDecode", head):
        try:
            find = jpeg.measure(MemorySource(body), budget)
            if find is None or not find.complete or len(body) - find.length > 2:
                return False
            return True if inside and proven(MemorySource(body), [cut - start.end()], budget) else None
        except LimitExceeded:
            raise
        except EvidenceError:
            return False
    return None


def _foreign(body: bytes) -> bool:
    """Whether these bytes never were a zlib stream (they are encrypted)."""
    return len(body) < 2 or body[0] & 15 != 8 or (body[0] << 8 | body[1]) % 31 != 0


def rejoin(fragments: Fragments, budget: Budget) -> Find | None:
    """The document at the head, in pieces. Raises LimitExceeded."""
    search = _Search(fragments, budget)
    if search.data.read_at(search.head, 5) != b"%PDF-":
        return None
    for at, raw in everywhere(search.space, _END, REACH, budget):
        search.sure = True
        if (pieces := search.by(at, raw)) is not None and len(pieces) > 1:
            how = "its streams decode over each gap" if search.sure else "where a piece ends inside an object is a guess"
            reason = f"objects at the offsets of the cross-reference table, {how}"
            return Find(sum(n for _, n in pieces), 1.0 if search.sure else 0.6, reason, pieces=tuple(pieces))
    return None
