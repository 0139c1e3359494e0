"""Pieces of a PNG picture put together: each chunk's CRC says where one piece ends and the next begins, exactly."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from forensiclib.carving._gaps import Space
from forensiclib.core.declare import Find, Fragments
from forensiclib.core.limits import Budget

__all__ = ["rejoin"]

KINDS = frozenset(
    (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"tEXt", b"zTXt", b"iTXt", b"bKGD", b"hIST",
     b"pHYs", b"sPLT", b"tIME", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"cICP", b"oFFs", b"pCAL", b"sCAL", b"vpAg", b"orNT", b"caNv", b"iDOT")
)  # fmt: skip
CHUNK = 64 << 20
"""Bytes of one chunk that is put together."""
REACH = 256 << 20
"""Bytes in which the next piece is looked for."""
NEAR = 1 << 14
"""Blocks tried where only decoding can tell."""
NODES, CHOICES, RETURN = 64, 4, 24
"""Pieces taken up in all; of each break; blocks before the first that does not decode in which the break may lie."""
TRIAL = 16
_STEP = 1 << 20
_ALL = 0xFFFFFFFF


def _shift(size: int) -> tuple[list[int], list[int]]:
    """Tables of what ``size`` zero bytes make of a CRC register, and back: four of 256 each, flat."""
    zeros = bytes(size)
    columns = [zlib.crc32(zeros, (1 << bit) ^ _ALL) ^ zlib.crc32(zeros, _ALL) for bit in range(32)]
    inverse = _inverse(columns)
    return _spread(columns), _spread(inverse)


def _inverse(columns: list[int]) -> list[int]:
    rows = [(columns[i], 1 << i) for i in range(32)]
    for bit in range(32):
        pivot = next(i for i in range(bit, 32) if rows[i][0] >> bit & 1)
        rows[bit], rows[pivot] = rows[pivot], rows[bit]
        for i in range(32):
            if i != bit and rows[i][0] >> bit & 1:
                rows[i] = rows[i][0] ^ rows[bit][0], rows[i][1] ^ rows[bit][1]
    return [rows[bit][1] for bit in range(32)]


def _spread(columns: list[int]) -> list[int]:
    out = []
    for byte in range(4):
        for value in range(256):
            total = 0
            for bit in range(8):
                if value >> bit & 1:
                    total ^= columns[8 * byte + bit]
            out.append(total)
    return out


def _apply(table: list[int], x: int) -> int:
    return table[x & 255] ^ table[256 + (x >> 8 & 255)] ^ table[512 + (x >> 16 & 255)] ^ table[768 + (x >> 24)]


class _Rows:
    """Filter bytes of the rows of a picture, as its data comes: the one thing that pixels must keep to."""

    __slots__ = ("engine", "left", "row")

    def __init__(self, header: bytes) -> None:
        width, depth, colour = int.from_bytes(header[:4], "big"), header[8], header[9]
        samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
        self.engine = zlib.decompressobj()
        self.row = 1 + -(-width * samples * depth // 8) if header[12] == 0 else 0
        self.left = 0

    def copy(self) -> _Rows:
        """The same state once more."""
        out = _Rows.__new__(_Rows)
        out.engine, out.row, out.left = self.engine.copy(), self.row, self.left
        return out

    def feed(self, data: bytes) -> bool:
        """Whether the data decodes on, and each row begins with a filter."""
        try:
            pixels = self.engine.decompress(data, _STEP)
        except zlib.error:
            return False
        if self.engine.unconsumed_tail:
            self.left = -1  # more than a picture needs at once: not followed any further
            return True
        if self.row and self.left >= 0:
            at = self.left
            while at < len(pixels):
                if pixels[at] > 4:
                    return False
                at += self.row
            self.left = at - len(pixels)
        return True


class _Search:
    def __init__(self, fragments: Fragments, header: bytes, budget: Budget) -> None:
        self.space, self.budget, self.header = Space(fragments), budget, header
        self.block = fragments.block
        self.forth, self.back = _shift(self.block)
        self.nodes = 0

    def grow(self, closed: list[tuple[int, int]], start: int, at: int, rows: _Rows) -> list[tuple[int, int]] | None:
        """All pieces: ``closed``, then one from ``start``, then others. The chunk at ``at`` of the file is not yet proven."""
        self.nodes += 1
        if self.nodes > NODES:
            return None
        before = sum(n for _, n in closed)
        data = self.space.stream(closed, start)
        while True:
            self.budget.item()
            head = data.read_at(at, 8)
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            if len(head) < 8 or kind not in KINDS or size > CHUNK:
                return self._at_edge(closed, start, before, at, at + 8, rows)
            body = data.read_at(at + 4, size + 8)
            if len(body) < size + 8 or zlib.crc32(body[: size + 4]) != int.from_bytes(body[-4:], "big"):
                return self._inside(closed, start, before, at, size, body, rows)
            if kind == b"IDAT":
                rows = rows.copy()
                rows.feed(body[4:-4])
            at += 12 + size
            if kind == b"IEND":
                return [*closed, (start, at - before)] if at > before else None

    def _taken(self, closed: list[tuple[int, int]], start: int, end: int, place: int) -> bool:
        return start <= place < end or any(a <= place < a + n for a, n in closed)

    def _at_edge(
        self, closed: list[tuple[int, int]], start: int, before: int, low: int, high: int, rows: _Rows
    ) -> list[tuple[int, int]] | None:
        """A break in the head of the chunk at ``low``: the piece ends at a block within [low, high)."""
        end = -(-(start + low - before) // self.block) * self.block
        if not start < end < start + high - before:
            return None
        carry = self.space.stream(closed, start).read_at(low, end - start + before - low)
        for place in self._blocks(end):
            head = carry + self.space.data.read_at(place, 12 - len(carry))
            if head[4:8] not in KINDS or int.from_bytes(head[:4], "big") > CHUNK or self._taken(closed, start, end, place):
                continue
            if (found := self.grow([*closed, (start, end - start)], place, low, rows)) is not None:
                return found
        return None

    def _blocks(self, end: int) -> Iterator[int]:
        yield from range(end + self.block, min(self.space.size, end + REACH), self.block)
        yield from range(0, self.space.head // self.block * self.block, self.block)

    def _inside(
        self, closed: list[tuple[int, int]], start: int, before: int, at: int, size: int, body: bytes, rows: _Rows
    ) -> list[tuple[int, int]] | None:
        """A break within the chunk at ``at``. Its CRC tells a single one exactly; several are told by decoding."""
        block, low = self.block, max(at + 4, before)
        first = (start + low - before) // block * block + block  # the first block that may be foreign
        registers = self._forward(body, at, before, start, first, size)
        for gap in self._shifted(start + at + 12 + size - before, first, size):
            end = self._meeting(registers, first, start + at + 8 + size - before, gap)
            if end is None or self._taken(closed, start, end, end + gap):
                continue
            if (found := self.grow([*closed, (start, end - start)], end + gap, at, rows)) is not None:
                return found
        if body[:4] == b"IDAT":
            return self._decoded(closed, start, before, at, size, rows)
        return None

    @staticmethod
    def _forward_size(first: int, last: int, block: int) -> int:
        return max(0, -(-(last - first) // block))

    def _forward(self, body: bytes, at: int, before: int, start: int, first: int, size: int) -> list[int]:
        """The CRC register before each block from ``first`` on, as the data lies there."""
        edge = first - start + before - at - 4
        register, out = zlib.crc32(body[: max(0, edge)]), []
        while edge <= size + 4:
            out.append(register)
            register = zlib.crc32(body[edge : edge + self.block], register)
            edge += self.block
        return out

    def _shifted(self, behind: int, first: int, size: int) -> Iterator[int]:
        """Gaps after which another chunk begins where it must, the shortest first; then those that lead back."""
        block, data = self.block, self.space.data
        for low, high in ((behind + block, min(self.space.size, behind + REACH)), (behind % block, min(behind, self.space.head))):
            for base in range(low, high, _STEP // block * block):
                piece = data.read_at(base, _STEP // block * block + 8)
                for i in range(4, len(piece) - 3, block):
                    if piece[i : i + 4] in KINDS:
                        yield base + i - 4 - behind

    def _meeting(self, registers: list[int], first: int, end: int, gap: int) -> int | None:
        """The block at which data before and data ``gap`` behind make the CRC that stands behind the gap."""
        block = self.block
        if first + gap < 0 or end < first:
            return None
        blocks = max(0, (end - first) // block)
        tail = first + blocks * block
        rest = self.space.data.read_at(tail + gap, end - tail + 4)
        if len(rest) < end - tail + 4:
            return None
        wanted = int.from_bytes(rest[-4:], "big") ^ _ALL
        short = rest[:-4]
        for i in range(len(short) - 1, -1, -1):  # byte by byte back over the part of a block
            wanted = _unbyte(wanted, short[i])
        for number in range(min(blocks, len(registers) - 1), -1, -1):
            if registers[number] ^ _ALL == wanted:
                return first + number * block
            if number:
                piece = self.space.data.read_at(first + (number - 1) * block + gap, block)
                wanted = _apply(self.back, wanted ^ zlib.crc32(piece, _ALL) ^ _ALL)
        return None

    def _decoded(
        self, closed: list[tuple[int, int]], start: int, before: int, at: int, size: int, rows: _Rows
    ) -> list[tuple[int, int]] | None:
        """The same where the chunk has several gaps: as far as it decodes, then on with whatever decodes on."""
        block = self.block
        data = self.space.stream(closed, start)
        edge = max(at + 8, before)
        state, states = rows.copy(), []
        state.feed(data.read_at(at + 8, edge - at - 8))
        edge_at = start + edge - before
        while edge < at + 8 + size:
            step = block - edge_at % block
            states.append((edge_at, state.copy()))
            if len(states) > RETURN:
                states.pop(0)
            if not state.feed(data.read_at(edge, min(step, at + 8 + size - edge))):
                break
            edge, edge_at = edge + step, edge_at + step
        ends = [s for s in reversed(states) if s[0] > start and s[0] % block == 0]
        good: list[tuple[int, int]] = []
        for end, known in ends:
            for place in self.space.after(end + block, NEAR if len(good) < CHOICES else 0):
                if self._taken(closed, start, end, place):
                    continue
                self.budget.item()
                trial, fed = known.copy(), 0
                piece = self.space.data.read_at(place, TRIAL * block)
                while fed < len(piece) and trial.feed(piece[fed : fed + block]):
                    fed += block
                if fed >= min(TRIAL * block, len(piece)):
                    good.append((end, place))
                    if len(good) >= CHOICES:
                        break
        for end, place in good:
            if (found := self.grow([*closed, (start, end - start)], place, at, rows)) is not None:
                return found
        return None


_TABLE = [zlib.crc32(bytes((i,)), _ALL) ^ _ALL for i in range(256)]
_HIGH = {value >> 24: i for i, value in enumerate(_TABLE)}


def _unbyte(register: int, byte: int) -> int:
    """The CRC register before ``byte``."""
    i = _HIGH[register >> 24]
    return ((register ^ _TABLE[i]) << 8 & _ALL) | (i ^ byte)


def rejoin(fragments: Fragments, budget: Budget) -> Find | None:
    """The picture at the head, in pieces. Raises LimitExceeded."""
    head = fragments.data.read_at(fragments.head, 33)
    if head[12:16] != b"IHDR" or len(head) < 33 or zlib.crc32(head[12:29]) != int.from_bytes(head[29:33], "big"):
        return None
    pieces = _Search(fragments, head[16:29], budget).grow([], fragments.head, 8, _Rows(head[16:29]))
    if pieces is None or len(pieces) < 2:
        return None
    return Find(sum(n for _, n in pieces), 1.0, "chunk CRCs good over each gap", pieces=tuple(pieces))
