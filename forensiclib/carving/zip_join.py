"""Pieces of a ZIP archive put together by its central directory; each member is proven by its CRC."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from forensiclib.carving._anchors import Anchor, between, everywhere
from forensiclib.carving._gaps import Space
from forensiclib.core.declare import Find, Fragments
from forensiclib.core.limits import Budget
from forensiclib.formats.zip import CENTRAL, END, LOCAL

__all__ = ["rejoin"]

REACH = 1 << 30
MEMBER = 64 << 20
"""Bytes of a member that is put together."""
DIRECTORY = 64 << 20
_ENDS = re.compile(rb"PK\x05\x06\x00\x00\x00\x00")
_LOCALS = re.compile(rb"PK\x03\x04", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Member:
    offset: int
    packed: int
    size: int
    crc: int
    method: int
    name: bytes


def _directory(raw: bytes, count: int) -> list[_Member] | None:
    out, at = [], 0
    while at + CENTRAL.size <= len(raw) and raw[at : at + 4] == b"PK\1\2":
        entry = CENTRAL.dict(raw[at : at + CENTRAL.size])
        name = raw[at + CENTRAL.size : at + CENTRAL.size + entry["name_length"]]
        method = int.from_bytes(raw[at + 10 : at + 12], "little")
        crc = int.from_bytes(raw[at + 16 : at + 20], "little")
        out.append(_Member(entry["offset"], entry["packed"], entry["unpacked"], crc, method, name))
        at += CENTRAL.size + entry["name_length"] + entry["extra_length"] + entry["comment_length"]
    return sorted(out, key=lambda m: m.offset) if len(out) & 0xFFFF == count and at == len(raw) and out else None


class _Search:
    def __init__(self, fragments: Fragments, budget: Budget) -> None:
        self.space, self.budget = Space(fragments), budget
        self.data, self.head, self.block = fragments.data, fragments.head, fragments.block
        self._index: dict[bytes, list[int]] | None = None

    def index(self) -> dict[bytes, list[int]]:
        """Where local headers lie, by name."""
        if self._index is None:
            self._index = {}
            for at, raw in everywhere(self.space, _LOCALS, REACH, self.budget):
                length = int.from_bytes(raw[26:28], "little")
                self._index.setdefault(raw[LOCAL.size : LOCAL.size + length], []).append(at)
        return self._index

    def is_there(self, member: _Member, at: int) -> bool:
        """Whether its local header lies at ``at`` of the space."""
        raw = self.data.read_at(at, LOCAL.size + len(member.name)) if at >= 0 else b""
        return raw[:4] == b"PK\3\4" and raw[26:28] == len(member.name).to_bytes(2, "little") and raw[LOCAL.size :] == member.name

    def by(self, end_at: int, raw: bytes) -> list[tuple[int, int]] | None:
        """The pieces, if the end record at ``end_at`` is this archive's."""
        end = END.dict(raw[: END.size])
        size, offset = end["directory_size"], end["directory_offset"]
        start = end_at - size
        if not 0 < size <= DIRECTORY or start < 0 or (start - offset - self.head) % self.block or start == self.head + offset:
            return None
        members = _directory(self.data.read_at(start, size), end["entries"])
        if members is None or members[0].offset or not self.is_there(members[0], self.head):
            return None
        anchors: list[Anchor] = [(0, self.head)]
        for member in members[1:]:
            shifts = [anchors[-1][1] - anchors[-1][0], start - offset]
            places = [member.offset + s for s in shifts] + [
                p for p in self.index().get(member.name, ()) if (p - member.offset - self.head) % self.block == 0
            ]
            place = next((p for p in places if self.is_there(member, p)), None)
            if place is not None:
                anchors.append((member.offset, place))
        anchors.append((offset, start))
        behind = {m.offset: n for m, n in zip(members, [*(m.offset for m in members[1:]), offset], strict=True)}

        def settle(before: Anchor, after: Anchor, places: list[int]) -> int | None:
            spanned = [m for m in members if before[0] <= m.offset < after[0]]
            for cut in self._ordered(spanned[0], before, places):
                if cut + after[1] < after[0]:
                    continue
                pieces = [(before[1], cut - before[0]), (cut + after[1] - after[0], after[0] - cut)]
                if all(self.holds(m, behind[m.offset], before[0], pieces) for m in spanned):
                    return cut
            return None

        total = offset + size + END.size + end["comment_length"]
        return between(self.space, anchors, total, settle)

    def _ordered(self, member: _Member, before: Anchor, places: list[int]) -> list[int]:
        """Where the piece may end: not behind what does not decode any more; the furthest first."""
        head = self.data.read_at(before[1], LOCAL.size)
        if member.method != 8 or len(head) < LOCAL.size:
            return places[::-1]
        at = before[1] + LOCAL.size + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        engine = zlib.decompressobj(-15)
        while not engine.eof:
            self.budget.item()
            piece = self.data.read_at(at, self.block)
            try:
                if not piece or len(engine.decompress(piece, 64 << 20)) >= 64 << 20:
                    break
            except zlib.error:
                break
            at += len(piece)
        last = at + self.block - before[1] + before[0]
        return [p for p in reversed(places) if p <= last] + [p for p in places if p > last]

    def holds(self, member: _Member, end: int, base: int, pieces: list[tuple[int, int]]) -> bool:
        """Whether a member of the stretch that begins at ``base`` of the file, and is made of ``pieces``, has its CRC."""
        if member.packed > MEMBER or member.size > 4 * MEMBER:
            return False
        self.budget.check()
        source = self.space.stream(pieces, pieces[-1][0] + pieces[-1][1])
        head = source.read_at(member.offset - base, LOCAL.size)
        if head[:4] != b"PK\3\4":
            return False
        at = member.offset - base + LOCAL.size + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little")
        if at + member.packed > end - base:
            return False
        if member.method == 0:
            return zlib.crc32(source.read_at(at, member.packed)) == member.crc
        if member.method != 8:
            return False
        engine, crc, left = zlib.decompressobj(-15), 0, member.packed
        step = 4096
        while left > 0:
            piece = source.read_at(at, min(step, left))
            if not piece:
                return False
            try:
                made = engine.decompress(piece, 64 << 20)
            except zlib.error:
                return False
            crc, at, left, step = zlib.crc32(made, crc), at + len(piece), left - len(piece), min(1 << 18, step * 2)
        return engine.eof and crc == member.crc


def rejoin(fragments: Fragments, budget: Budget) -> Find | None:
    """The archive at the head, in pieces. Raises LimitExceeded."""
    search = _Search(fragments, budget)
    if search.data.read_at(search.head, 4) != b"PK\x03\x04":
        return None
    for at, raw in everywhere(search.space, _ENDS, REACH, budget):
        if len(raw) >= END.size and (pieces := search.by(at, raw)) is not None and len(pieces) > 1:
            return Find(
                sum(n for _, n in pieces),
                1.0,
                "members at the offsets of the central directory, CRCs good over each gap",
                pieces=tuple(pieces),
            )
    return None
