"""Where the bytes of an array lie on its members, and the bytes of a member that is gone worked out from the others.

One vocabulary for Linux MD, LVM, Windows LDM and DDF. Layouts of parity have the names and numbers of md(4): the driver's
"left-symmetric" (2) is what most controllers write. A map says for a chunk which member holds it and where; sources read by
it. What no member can give raises Unreadable, never zeros.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forensiclib.core.errors import EvidenceError, Unreadable, Unsupported
from forensiclib.core.source import ByteSource, clip
from forensiclib.core.span import Span, merge
from forensiclib.kernels import gf256_sum

__all__ = [
    "LAYOUTS_5", "LAYOUTS_6", "Missing", "Mirror", "Parity", "Row", "Stripes", "Tens", "Zone", "parity_row", "stripe_zones",
]  # fmt: skip

Cell = tuple[int, int]
"""(member, byte offset on it)."""

LAYOUTS_5 = {
    0: "left-asymmetric", 1: "right-asymmetric", 2: "left-symmetric", 3: "right-symmetric", 4: "parity-first", 5: "parity-last",
}  # fmt: skip
LAYOUTS_6 = LAYOUTS_5 | {
    8: "ddf-zero-restart", 9: "ddf-N-restart", 10: "ddf-N-continue", 16: "left-asymmetric-6", 17: "right-asymmetric-6",
    18: "left-symmetric-6", 19: "right-symmetric-6", 20: "parity-first-6",
}  # fmt: skip
"""mdadm(8), --layout. The last five are RAID 5 over all members but the last, which holds Q."""


class Missing(ByteSource):
    """Bytes that are stored on something that is not there. Every read raises Unreadable, saying what is missing."""

    __slots__ = ("size", "what")

    def __init__(self, size: int, what: str) -> None:
        self.size, self.what = size, what

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        if clip(offset, len(buffer), self.size):
            raise Unreadable("missing member", None, self.what)
        return 0

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span("", 0, n, ("missing",), False),) if n else ()


class _Pieced(ByteSource):
    """A source that is read piece by piece, each from a single row of the array."""

    __slots__ = ("size",)

    @abstractmethod
    def _cut(self, offset: int) -> int:
        """Bytes from ``offset`` that lie in one piece."""

    @abstractmethod
    def _read(self, offset: int, view: memoryview) -> None:
        """Fill ``view`` from one piece."""

    @abstractmethod
    def _spans(self, offset: int, n: int) -> tuple[Span, ...]:
        """The spans of one piece."""

    def _pieces(self, offset: int, n: int) -> Iterator[tuple[int, int]]:
        done = 0
        while done < n:
            take = min(n - done, self._cut(offset + done))
            if take <= 0:
                raise Unreadable("array", None, f"no member holds byte {offset + done}")
            yield done, take
            done += take

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        n = clip(offset, len(buffer), self.size)
        view = memoryview(buffer)
        for done, take in self._pieces(offset, n) if n else ():
            self._read(offset + done, view[done : done + take])
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return merge(span for done, take in (self._pieces(offset, n) if n else ()) for span in self._spans(offset + done, take))


def _fill(member: ByteSource | None, at: int, view: memoryview, what: str) -> None:
    if member is None:
        raise Unreadable("missing member", None, what)
    got = member.read_into(at, view)
    if got < len(view):
        raise Unreadable("member", None, f"{what} ends at {member.size}, byte {at + got} was wanted")


def _first(members: Sequence[ByteSource | None], cells: Sequence[Cell], view: memoryview) -> None:
    """Fill from the first copy that can be read; the last error when none can."""
    problem: EvidenceError | None = None
    for number, at in cells:
        try:
            return _fill(members[number], at, view, f"member {number}")
        except EvidenceError as error:
            problem = error
    raise problem or Unreadable("array", None, "no copy")


def _first_spans(members: Sequence[ByteSource | None], cells: Sequence[Cell], n: int) -> tuple[Span, ...]:
    for number, at in cells:
        member = members[number]
        if member is not None and not isinstance(member, Missing):
            return member.trace(at, n)
    return (Span("", 0, n, ("missing",), False),)


class Mirror(_Pieced):
    """The same bytes on every member; a copy that cannot be read gives way to the next, sector by sector."""

    __slots__ = ("_members",)

    def __init__(self, members: Sequence[ByteSource | None], size: int) -> None:
        self._members, self.size = tuple(members), size

    def _cut(self, offset: int) -> int:
        return (1 << 20) - offset % (1 << 20)

    def _read(self, offset: int, view: memoryview) -> None:
        cells = [(number, offset) for number in range(len(self._members))]
        try:
            _first(self._members, cells, view)
        except EvidenceError:
            for at in range(0, len(view), 512):
                _first(self._members, [(m, o + at) for m, o in cells], view[at : at + 512])

    def _spans(self, offset: int, n: int) -> tuple[Span, ...]:
        return _first_spans(self._members, [(number, offset) for number in range(len(self._members))], n)


@dataclass(frozen=True, slots=True)
class Zone:
    """A range of a striped array: from ``start`` of the array, ``base`` on each of ``members``; ``turn`` is the number of
    the chunk that ``members[0]`` holds first, which is not 0 in the old layout of members of unequal size."""

    start: int
    length: int
    base: int
    members: tuple[int, ...]
    turn: int = 0


def stripe_zones(sizes: Sequence[int], chunk: int, original: bool = False) -> list[Zone]:
    """RAID 0 over members of these sizes: stripes over all of them, then over those that are larger, and so on.

    ``original``: the layout of Linux before 3.14, which counts chunks through the whole array to choose the member.
    """
    sizes = [size // chunk * chunk for size in sizes]
    zones, start, base = [], 0, 0
    for edge in sorted({size for size in sizes if size}):
        members = tuple(i for i, size in enumerate(sizes) if size >= edge)
        length = (edge - base) * len(members)
        zones.append(Zone(start, length, base, members, start // chunk if original else 0))
        start, base = start + length, edge
    return zones


class Stripes(_Pieced):
    """Chunks dealt to the members in turn (RAID 0), by zones."""

    __slots__ = ("_chunk", "_members", "_starts", "_zones")

    def __init__(self, members: Sequence[ByteSource | None], zones: Sequence[Zone], chunk: int, size: int | None = None) -> None:
        self._members, self._zones, self._chunk = tuple(members), tuple(zones), chunk
        self._starts = [zone.start for zone in zones]
        self.size = sum(zone.length for zone in zones) if size is None else size

    def cell(self, offset: int) -> Cell:
        """Where a byte lies."""
        zone = self._zones[bisect_right(self._starts, offset) - 1]
        number, inside = divmod(offset - zone.start, self._chunk)
        row = number // len(zone.members)
        return zone.members[(number + zone.turn) % len(zone.members)], zone.base + row * self._chunk + inside

    def _cut(self, offset: int) -> int:
        zone = self._zones[bisect_right(self._starts, offset) - 1]
        inside = offset - zone.start
        return min(self._chunk - inside % self._chunk, zone.length - inside)

    def _read(self, offset: int, view: memoryview) -> None:
        _first(self._members, [self.cell(offset)], view)

    def _spans(self, offset: int, n: int) -> tuple[Span, ...]:
        return _first_spans(self._members, [self.cell(offset)], n)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of chunks of RAID 4, 5 or 6: the members that hold its data in order, P, Q or None, and the powers of {02}
    that Q takes each data chunk with."""

    data: tuple[int, ...]
    p: int
    q: int | None = None
    powers: tuple[int, ...] = ()


def parity_row(level: int, layout: int, n: int, row: int) -> Row:
    """The row of that number on ``n`` members. Unsupported for a layout that md does not have either."""
    if level == 4:
        layout, level = 5, 5  # all parity on the last
    if level == 5 and layout in LAYOUTS_5:
        return _row5(layout, n, row)
    if level == 6 and layout in LAYOUTS_6 and n >= 4:
        return _row6(layout, n, row)
    raise Unsupported("RAID layout", None, f"level {level}, layout {layout}, {n} members")


def _row5(layout: int, n: int, row: int) -> Row:
    p = {4: 0, 5: n - 1}.get(layout, row % n if layout & 1 else n - 1 - row % n)
    data = [(p + 1 + i) % n for i in range(n - 1)] if layout in (2, 3) else [i for i in range(n) if i != p]
    return Row(tuple(data), p)


def _row6(layout: int, n: int, row: int) -> Row:
    if layout >= 16:
        inner = _row5(layout - 16, n - 1, row)
        return Row(inner.data, inner.p, n - 1, _powers(inner.data, [i for i in range(n - 1) if i != inner.p]))
    if layout == 10:
        p = n - 1 - row % n
        q = (p - 1) % n
    elif layout == 9:
        p = n - 1 - (row + 1) % n
        q = (p + 1) % n
    else:
        p = {4: 0, 5: n - 2}.get(layout, row % n if layout in (1, 3, 8) else n - 1 - row % n)
        q = (p + 1) % n
    if layout in (2, 3):
        data = [(p + 2 + i) % n for i in range(n - 2)]
    elif layout == 10:
        data = [(p + 1 + i) % n for i in range(n - 2)]
    else:
        data = [i for i in range(n) if i not in (p, q)]
    if layout in (8, 9, 10):  # DDF counts every member, P and Q as well
        return Row(tuple(data), p, q, tuple(data))
    first = (q + 1) % n
    return Row(tuple(data), p, q, _powers(data, [i for i in ((first + k) % n for k in range(n)) if i not in (p, q)]))


def _powers(data: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    place = {member: number for number, member in enumerate(order)}
    return tuple(place[member] for member in data)


def _exponents() -> tuple[list[int], list[int]]:
    power, log, value = [0] * 510, [0] * 256, 1
    for i in range(255):
        power[i] = power[i + 255] = value
        log[value] = i
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    return power, log


_POWER, _LOG = _exponents()


def _over(a: int, b: int) -> int:
    """a / b in the field."""
    return _POWER[_LOG[a] + 255 - _LOG[b]] if a else 0


class Parity(_Pieced):
    """RAID 4, 5 and 6. What one member (two with RAID 6) does not give is worked out from the row.

    members   None or a source each;  chunk   bytes
    """

    __slots__ = ("_chunk", "_layout", "_level", "_members", "_rows", "_wide")

    def __init__(self, members: Sequence[ByteSource | None], level: int, layout: int, chunk: int, size: int) -> None:
        self._members, self._chunk, self.size = tuple(members), chunk, size
        self._level, self._layout = level, layout
        self._rows: dict[int, Row] = {}
        self._wide = len(self._row(0).data)

    def _row(self, number: int) -> Row:
        """Layouts repeat after as many rows as there are members, or one less with Q apart; few are kept, for a superblock may
        claim thousands of members."""
        n = len(self._members)
        number %= n * (n - 1)
        found = self._rows.get(number)
        if found is None:
            if len(self._rows) >= 256:
                self._rows.clear()
            found = self._rows[number] = parity_row(self._level, self._layout, n, number)
        return found

    def cell(self, offset: int) -> tuple[Row, int, int]:
        """(row, slot in its data, offset on every member) of a byte."""
        number, inside = divmod(offset, self._chunk)
        row, slot = divmod(number, self._wide)
        return self._row(row), slot, row * self._chunk + inside

    def _cut(self, offset: int) -> int:
        return self._chunk - offset % self._chunk

    def _read(self, offset: int, view: memoryview) -> None:
        row, slot, at = self.cell(offset)
        try:
            _fill(self._members[row.data[slot]], at, view, f"member {row.data[slot]}")
        except EvidenceError:
            self._rebuild(row, slot, at, view)

    def _rebuild(self, row: Row, slot: int, at: int, view: memoryview) -> None:
        """The chunk from what is left of its row; raises when too little is."""
        held: dict[int, bytes] = {}
        lost: list[int] = []
        problem = Unreadable("array", None, "")
        for other in range(len(row.data)):
            try:
                if other == slot:
                    raise Unreadable("missing member", None, f"member {row.data[slot]}")
                held[other] = self._piece(row.data[other], at, len(view))
            except EvidenceError as error:
                lost.append(other)
                problem = Unreadable(error.what, error.span, error.found)
        p, q = self._try(row.p, at, len(view)), self._try(row.q, at, len(view)) if len(lost) > 1 or row.q is not None else None
        if len(lost) == 1 and p is not None:
            gf256_sum([*held.values(), p], bytes([1] * (len(held) + 1)), view)
        elif len(lost) == 1 and q is not None:
            base = _POWER[row.powers[slot]]
            factors = [_over(_POWER[row.powers[i]], base) for i in held]
            gf256_sum([*held.values(), q], bytes([*factors, _over(1, base)]), view)
        elif len(lost) == 2 and p is not None and q is not None:
            other = next(i for i in lost if i != slot)
            mine, yours = _POWER[row.powers[slot]], _POWER[row.powers[other]]
            both = mine ^ yours  # P and Q are two equations in the two lost chunks
            factors = [_over(_POWER[row.powers[i]] ^ yours, both) for i in held]
            gf256_sum([*held.values(), p, q], bytes([*factors, _over(yours, both), _over(1, both)]), view)
        else:
            text = f"{len(lost)} data chunks of a row cannot be read and the parity does not suffice ({problem.found})"
            raise Unreadable("array", problem.span, text)

    def _piece(self, member: int, at: int, n: int) -> bytes:
        buffer = bytearray(n)
        _fill(self._members[member], at, memoryview(buffer), f"member {member}")
        return bytes(buffer)

    def _try(self, member: int | None, at: int, n: int) -> bytes | None:
        try:
            return None if member is None else self._piece(member, at, n)
        except EvidenceError:
            return None

    def _spans(self, offset: int, n: int) -> tuple[Span, ...]:
        row, slot, at = self.cell(offset)
        member = self._members[row.data[slot]]
        if member is not None and not isinstance(member, Missing):
            return member.trace(at, n)
        parts = [*row.data, row.p, *([row.q] if row.q is not None else [])]
        here = [m for i in parts if (m := self._members[i]) is not None and not isinstance(m, Missing)]
        if len(here) < self._wide:
            return (Span("", 0, n, ("missing",), False),)
        return tuple(span.through("parity") for m in here[: self._wide] for span in m.trace(at, n))


class Tens(_Pieced):
    """MD's RAID 10: ``near`` copies side by side, and ``far`` ones a way down (or in the next row, with ``offset``)."""

    __slots__ = ("_chunk", "_copies", "_far", "_members", "_near", "_offset", "_set", "_stride")

    def __init__(self, members: Sequence[ByteSource | None], layout: int, chunk: int, member_size: int, size: int | None = None) -> None:
        n = len(members)
        near, far = layout & 255, layout >> 8 & 255
        copies, sets = near * far, layout >> 17
        if not 1 <= copies <= n or not far or sets > 2:
            raise Unsupported("RAID 10 layout", None, f"{layout:#x} on {n} members")
        self._members, self._chunk, self._near, self._far = tuple(members), chunk, near, far
        self._offset = bool(layout >> 16 & 1)
        self._set = (n, n // far, far * near)[sets]
        chunks = member_size // chunk // far * n // near
        rows = -(-chunks * copies // n)
        self._stride = chunk if self._offset else rows // far * chunk
        self.size = chunks * chunk if size is None else size

    def cells(self, offset: int) -> list[Cell]:
        """Where the copies of a byte lie, the first one first."""
        number, inside = divmod(offset, self._chunk)
        n = len(self._members)
        row, member = divmod(number * self._near, n)
        if self._offset:
            row *= self._far
        out = []
        for _ in range(self._near):
            at = row * self._chunk + inside
            out.append((member, at))
            place = member
            for far in range(1, self._far):
                place = self._next(place)
                out.append((place, at + far * self._stride))
            member += 1
            if member == n:
                member, row = 0, row + 1
        return out

    def _next(self, member: int) -> int:
        """The member of the following far copy: ``near`` further in the same set, the last set being the rest."""
        n, width = len(self._members), self._set
        last = (n // width - 1) * width
        if n % width and member + self._near > last:
            return last + (member + self._near - last) % (n - last)
        return member // width * width + (member + self._near - member // width * width) % width

    def _cut(self, offset: int) -> int:
        return self._chunk - offset % self._chunk

    def _read(self, offset: int, view: memoryview) -> None:
        _first(self._members, self.cells(offset), view)

    def _spans(self, offset: int, n: int) -> tuple[Span, ...]:
        return _first_spans(self._members, self.cells(offset), n)
