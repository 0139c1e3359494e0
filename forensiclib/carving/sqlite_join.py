"""Pieces of an SQLite database put together by its own pointers.

Page 1 says how large a page is and how many there are; every b-tree page says which page number is a child, of which kind and
between which keys; overflow pages, the freelist and, where there are any, pointer maps do the same. So each page number has
something to answer to, and a page that answers to it, with every byte of its content accounted for, tells how far its piece
was moved. Where two neighbours were moved differently, a piece ends between them.
"""

from __future__ import annotations

import heapq
import math
import sys
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from forensiclib.core.declare import Find, Fragments
from forensiclib.core.limits import Budget
from forensiclib.formats.sqlite import HEADER
from forensiclib.stores.sqlite.page import INDEX_INTERIOR, INDEX_LEAF, TABLE_INTERIOR, TABLE_LEAF, Cell, Page, read_cell, read_page
from forensiclib.stores.sqlite.record import kept_here, values

__all__ = ["rejoin"]

STEP = 1 << 20
REACH = 256 << 20
"""Bytes behind the head, and before it, in which pages are looked for."""
CANDIDATES = 4096
"""Pages that are asked for one page number that no known piece holds."""
PAGES = 1 << 16
"""Pages of a database that is put together."""
TAIL = 32 << 20
"""Bytes behind the head in which the rest of a page is looked for that is cut itself."""
ROUNDS = 24
_TABLE, _INDEX = frozenset((TABLE_INTERIOR, TABLE_LEAF)), frozenset((INDEX_INTERIOR, INDEX_LEAF))
_ENCODINGS = {0: "utf-8", 1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}
_LOCK_BYTE = 1 << 30


@dataclass(frozen=True, slots=True)
class _Claim:
    """What another page says of a page number.

    role      "tree", "overflow", "trunk" or "map"; kinds   b-tree page types that it may be
    low, high keys of table pages lie above and up to; None is open. width   columns of an index's records, 0 unknown
    left      bytes of a payload that overflow pages from here on hold
    """

    role: str
    kinds: frozenset[int] = frozenset()
    low: int | None = None
    high: int | None = None
    width: int = 0
    left: int = 0


@dataclass(slots=True)
class _Spot:
    """Where a page lies: from ``place`` on, and from ``cut`` bytes into it on where ``after`` says (a whole page: no cut)."""

    place: int
    cut: int = 0
    after: int = 0
    sure: bool = True


@dataclass(slots=True)
class _Index:
    """Where pages may lie: by first byte, and by the page number that their first four bytes are."""

    kinds: dict[int, list[int]] = field(default_factory=dict)
    numbers: dict[int, list[int]] = field(default_factory=dict)


class _Search:
    def __init__(self, fragments: Fragments, head: dict[str, int], budget: Budget) -> None:
        self.data, self.start, self.block, self.budget = fragments.data, fragments.head, fragments.block, budget
        self.size = 65_536 if head["page_size"] == 1 else head["page_size"]
        self.usable, self.count = self.size - head["reserved"], head["pages"]
        self.encoding = _ENCODINGS.get(head["encoding"], "utf-8")
        self.trunk, self.maps = head["first_trunk"], bool(head["largest_root"])
        self.grain = math.gcd(self.size, self.block)
        self.claims: dict[int, _Claim] = {1: _Claim("tree", _TABLE)}
        self.parents: dict[int, int] = {}
        self.spots: dict[int, _Spot] = {}
        self.order: list[int] = []
        self.doubts: set[int] = set()
        self.pending: set[int] = {1}
        self.parsed: dict[int, Page | None] = {}
        self._index: _Index | None = None
        self.tails = 0

    def claim(self, number: int, claim: _Claim, parent: int = 0) -> None:
        """Note what a page number must be; the first word counts."""
        if 1 < number <= self.count and number not in self.claims:
            self.claims[number] = claim
            self.parents[number] = parent
            self.pending.add(number)

    def home(self, number: int, shift: int) -> int:
        """The place of a page in a piece that was moved by ``shift`` against the head's."""
        return self.start + (number - 1) * self.size + shift

    def shift(self, number: int) -> int:
        """How far the end of a page was moved."""
        spot = self.spots[number]
        return (spot.after if spot.cut else spot.place) - self.start - (number - 1) * self.size

    def raw(self, place: int) -> bytes:
        """One page; empty where none fits."""
        return self.data.read_at(place, self.size) if 0 <= place <= self.data.size - self.size else b""

    # -- what a page answers ---------------------------------------------------------------------------------------------

    def fits(self, number: int, raw: bytes, place: int = -1) -> int:
        """0 it is not what is claimed, 1 it may be, 2 it is beyond doubt."""
        claim = self.claims[number]
        if len(raw) < self.size:
            return 0
        if claim.role == "tree":
            page = self.tree_page(number, raw, place)
            return 0 if page is None else self.tree_fits(page, claim)
        following = int.from_bytes(raw[:4], "big")
        if claim.role == "overflow":
            last = claim.left <= self.usable - 4
            if last:
                return int(not following)
            return 2 if following == number + 1 else int(1 < following <= self.count and following != number)
        if claim.role == "trunk":
            leaves = int.from_bytes(raw[4:8], "big")
            if following > self.count or leaves > self.usable // 4 - 2:
                return 0
            listed = [int.from_bytes(raw[i : i + 4], "big") for i in range(8, 8 + 4 * leaves, 4)]
            if not all(1 < n <= self.count for n in listed) or len(set(listed)) < leaves:
                return 0
            return 2 if leaves else 1
        return self.map_fits(number, raw)

    def map_fits(self, number: int, raw: bytes) -> int:
        """A pointer map: type and parent of each page behind it."""
        known = 0
        for i in range(min(self.usable // 5, self.count - number)):
            kind, parent = raw[5 * i], int.from_bytes(raw[5 * i + 1 : 5 * i + 5], "big")
            if not 1 <= kind <= 5 or parent > self.count or (kind < 3) != (not parent):
                return 0
            if kind == 5 and (expected := self.parents.get(number + 1 + i, 0)):
                if parent != expected:
                    return 0
                known += 1
        return 2 if known or self.count - number > 3 else 1

    def tree_page(self, number: int, raw: bytes, place: int) -> Page | None:
        """The page, when every byte of its content is accounted for."""
        if place >= 0 and number > 1 and place in self.parsed:
            return self.parsed[place]
        page = read_page(raw, 100 if number == 1 else 0, self.usable)
        if page is not None and (page.missing or any(not 1 < c <= self.count for c in page.children)):
            page = None
        if place >= 0 and number > 1 and len(self.parsed) < PAGES:
            self.parsed[place] = page
        return page

    def tree_fits(self, page: Page, claim: _Claim) -> int:
        """Kind, keys and columns against the claim."""
        if page.kind not in claim.kinds:
            return 0
        if not page.cells:
            return 1
        if page.kind in _TABLE:
            first, last = page.cells[0].rowid or 0, page.cells[-1].rowid or 0
            if (claim.low is not None and first <= claim.low) or (claim.high is not None and last > claim.high):
                return 0
            return 2 if claim.high is not None and last == claim.high else 1
        widths = {len(c.record.kinds) for c in page.cells if c.record is not None}
        return int(not claim.width or widths <= {claim.width})

    # -- what a page claims ----------------------------------------------------------------------------------------------

    def learn(self, number: int) -> None:
        """Take a page as found: what it says of others."""
        raw, claim = self.content(number), self.claims[number]
        if claim.role == "overflow":
            self.claim(int.from_bytes(raw[:4], "big"), _Claim("overflow", left=claim.left - self.usable + 4))
        elif claim.role == "trunk":
            self.claim(int.from_bytes(raw[:4], "big"), _Claim("trunk"))
        elif claim.role == "tree" and (page := self.tree_page(number, raw, -1)) is not None:
            self.learn_tree(number, page, claim)

    def learn_tree(self, number: int, page: Page, claim: _Claim) -> None:
        kinds, low = _TABLE if page.kind in _TABLE else _INDEX, claim.low
        for cell in page.cells:
            if cell.child:
                width = len(cell.record.kinds) if cell.record is not None else 0
                self.claim(cell.child, _Claim("tree", kinds, low, cell.rowid, width), number)
                low = cell.rowid
            if cell.overflow:
                kept = kept_here(cell.payload, self.usable, page.kind == TABLE_LEAF)
                self.claim(cell.overflow, _Claim("overflow", left=cell.payload - kept))
            if number == 1 or claim.width == -5:
                self.root(page, cell)
        width = next((len(c.record.kinds) for c in page.cells if c.record is not None), 0)
        if not page.leaf:
            self.claim(page.right, _Claim("tree", kinds, low, claim.high, width), number)
        if number == 1 or claim.width == -5:  # sqlite_schema goes on in these
            for child in page.children:
                made = self.claims.get(child)
                if made is not None:
                    self.claims[child] = _Claim("tree", _TABLE, made.low, made.high, -5)

    def root(self, page: Page, cell: Cell) -> None:
        """A row of sqlite_schema names the root of a tree."""
        if cell.record is None or len(cell.record.kinds) < 5 or page.kind != TABLE_LEAF:
            return
        kind, _, _, number = values(page.raw, cell.record.kinds[:4], cell.record.at, cell.stored, self.encoding)
        if isinstance(number, int):
            self.claim(number, _Claim("tree", _INDEX if kind == "index" else _TABLE | _INDEX))

    def content(self, number: int) -> bytes:
        """The bytes of a page that was found."""
        spot = self.spots[number]
        raw = self.raw(spot.place) if not spot.cut else self.data.read_at(spot.place, spot.cut)
        return raw + (self.data.read_at(spot.after + spot.cut, self.size - spot.cut) if spot.cut else b"")

    def take(self, number: int, spot: _Spot) -> None:
        """Note where a page lies."""
        self.spots[number] = spot
        insort(self.order, number)
        self.pending.discard(number)
        self.budget.item()
        if number in self.claims:
            self.learn(number)

    # -- where a page lies -----------------------------------------------------------------------------------------------

    def index(self) -> _Index:
        """Every place at which a page may begin."""
        if self._index is None:
            self._index = out = _Index()
            low = max(self.start % self.grain, self.start - REACH // self.grain * self.grain)
            for base in range(low, min(self.data.size, self.start + REACH), STEP):
                self.budget.check()
                piece = self.data.read_at(base, STEP)
                words = array("I", piece[: len(piece) // 4 * 4])[:: self.grain // 4]
                if sys.byteorder == "little":
                    words.byteswap()
                for i, word in enumerate(words):
                    if not word:
                        continue
                    if 1 <= word >> 24 <= 13:
                        out.kinds.setdefault(word >> 24, []).append(base + i * self.grain)
                    if word <= self.count:
                        out.numbers.setdefault(word, []).append(base + i * self.grain)
        return self._index

    def near(self, number: int) -> Iterator[int]:
        """Shifts of the pieces on both sides, then of all others."""
        at = bisect_left(self.order, number)
        told = set()
        for i in (at - 1, at):
            if 0 <= i < len(self.order):
                spot = self.spots[self.order[i]]
                shift = self.shift(self.order[i]) if i < at else spot.place - self.start - (self.order[i] - 1) * self.size
                if shift not in told:
                    told.add(shift)
                    yield shift
        yield from sorted({self.shift(n) for n in self.order} - told) if len(self.order) < 64 or self._index is not None else ()

    def find(self, number: int, weak: bool = False) -> _Spot | None:
        """Where a page with a claim lies whole. ``weak``: the one place left counts too, where nothing contradicts."""
        claim, best = self.claims[number], list[int]()
        for tried, shift in enumerate(self.near(number)):
            place = self.home(number, shift)
            raw = self.raw(place)
            score = self.fits(number, raw, place)
            inner = claim.role == "tree" and tried < 2 and raw[:1] in (b"\2", b"\5")
            if score == 2 or (score and inner):  # the last key of an inner page is not its parent's
                return _Spot(place)
            if score and tried < 2:
                if claim.role == "overflow" and claim.left <= self.usable - 4:
                    score = int(self.inside(number))
                if score:
                    best.append(place)
        others = self.candidates(number)
        strong = [p for p in others if self.fits(number, self.raw(p), p) == 2]
        last = max((self.spots[n].place for n in self.order[: bisect_left(self.order, number)]), default=self.start)
        if strong and (not best or len(strong) == 1):
            return _Spot(min(strong, key=lambda p: (p < last, abs(p - last))), sure=len(strong) == 1)
        if best:
            return _Spot(best[0], sure=len(best) == 1 or claim.role == "tree")
        loose = [p for p in others if self.fits(number, self.raw(p), p)] if weak and claim.low is not None else []
        return _Spot(loose[0]) if len(loose) == 1 else None

    def inside(self, number: int) -> bool:
        """Whether the known pages on both sides lie in one piece."""
        at = bisect_left(self.order, number)
        if not 0 < at < len(self.order):
            return at == len(self.order)
        following = self.order[at]
        return self.shift(self.order[at - 1]) == self.spots[following].place - self.start - (following - 1) * self.size

    def candidates(self, number: int) -> list[int]:
        """Places elsewhere that may be asked."""
        claim, index = self.claims[number], self.index()
        if claim.role == "tree":
            if claim.low is None and claim.high is None:
                return []
            places = [p for kind in sorted(claim.kinds) for p in index.kinds.get(kind, ())]
        elif claim.role == "overflow":
            places = index.numbers.get(number + 1, []) if claim.left > self.usable - 4 else []
        elif claim.role == "map":
            places = [p for kind in range(1, 6) for p in index.kinds.get(kind, ())]
        else:
            places = []
        used = {s.place for s in self.spots.values()} if places else set()
        here = self.home(number, self.shift(self.order[-1]) if self.order else 0)
        return heapq.nsmallest(CANDIDATES, (p for p in places if p not in used), key=lambda p: abs(p - here))

    def cut(self, number: int, before: int, after: int) -> _Spot | None:
        """The page as the end of one piece and the beginning of the next: where its content adds up and, of the
        places where it does, the one that leaves least in its gap."""
        if before == after or before < 0 or after + self.size <= 0:
            return None
        one, two = self.data.read_at(before, self.size), self.data.read_at(max(0, after), self.size + min(0, after))
        one, two = one.ljust(self.size, b"\0"), two.rjust(self.size, b"\0") if after < 0 else two
        if len(two) < self.size:
            return None
        best: tuple[int, int] | None = None
        made = set()
        for cut in range(-before % self.block, self.size, self.block):
            raw = one[:cut] + two[cut:]
            if not cut or not self.fits(number, raw):
                continue
            filled = 0
            made.add(raw)
            if self.claims[number].role == "tree" and (page := self.tree_page(number, raw, -1)) is not None:
                filled = page.gap[1] - page.gap[0] - raw.count(0, *page.gap)
            if best is None or filled < best[0]:
                best = filled, cut
        return _Spot(before, best[1], after, sure=len(made) < 2) if best is not None else None

    def tail(self, number: int) -> _Spot | None:
        """A page that breaks off, and whose rest nothing else tells: the last of its cells must lie in it."""
        at = bisect_left(self.order, number) - 1
        before = self.home(number, self.shift(self.order[at]) if at >= 0 else 0)
        base = 100 if number == 1 else 0
        head = self.data.read_at(before, self.size)
        if self.size <= self.block or self.tails > 8 or len(head) < self.block or head[base] not in self.claims[number].kinds:
            return None
        self.tails += 1
        for shift in self.steps(before):
            if (spot := self.cut(number, before, before + shift)) is not None:
                return spot
        return None

    def steps(self, before: int) -> Iterator[int]:
        """Distances to the blocks behind and before in which the rest of a page may lie, the likely ones first: its
        last block ends as the page does, in the oldest cell."""
        known = sorted({self.shift(n) for n in self.order})
        origin = known[-1] if known else 0
        yield from (s - origin for s in known if s != origin)
        base = 100 if before == self.start else 0
        head = self.data.read_at(before, min(self.size, self.block))
        cells = int.from_bytes(head[base + 3 : base + 5], "big")
        array_at = base + (8 if head[base] & 8 else 12)
        top = max((int.from_bytes(head[i : i + 2], "big") for i in range(array_at, min(array_at + 2 * cells, len(head) - 1), 2)), default=0)
        if not top < self.usable:
            return
        first = top // self.block * self.block
        for low, high in ((before, before + TAIL), (max(0, before - TAIL // 4), before)):
            for place in range(low + (self.block if low == before else 0), min(high, self.data.size - self.size), self.block):
                rest = self.data.read_at(place + first, self.size - first)
                page = bytes(first) + rest
                if _cell_there(page, top, head[base], self.usable, self.count):
                    yield place - before

    # -- the whole -------------------------------------------------------------------------------------------------------

    def solve(self) -> bool:
        """Find every page that anything claims. False when one stays missing."""
        if self.trunk:
            self.claim(self.trunk, _Claim("trunk"))
        if self.maps:
            for number in range(2, self.count + 1, self.usable // 5 + 1):
                self.claim(number, _Claim("map"))
        if not self.order:
            first = _Spot(self.start) if self.fits(1, self.raw(self.start)) else self.tail(1)
            if first is None:
                return False
            self.take(1, first)
        for _ in range(ROUNDS):
            if self.sweep(self.find) or self.sweep(self.torn) or self.sweep(self.last) or self.sweep(lambda n: self.find(n, True)):
                continue
            if not self.pending:
                return True
            number = min(self.pending, key=lambda n: (self.claims[n].role != "tree", n))
            spot = self.tail(number) if self.claims[number].role == "tree" else None
            if spot is None:
                return False
            self.take(number, spot)
        return not self.pending

    def sweep(self, look: Callable[[int], _Spot | None]) -> bool:
        """Look for every page that is claimed, and for what they claim. Whether any was found."""
        missed, found = set[int](), False
        while todo := sorted(self.pending - missed):
            for number in todo:
                self.budget.check()
                spot = look(number)
                if spot is None:
                    missed.add(number)
                else:
                    self.take(number, spot)
                    found = True
        return found

    def torn(self, number: int) -> _Spot | None:
        """A page between two pieces, cut."""
        at = bisect_left(self.order, number)
        if not at > 0:
            return None
        before = self.home(number, self.shift(self.order[at - 1]))
        claim = self.claims[number]
        if claim.role == "overflow" and (claim.left <= self.usable - 4 or self.inside(number)):
            return None
        others = [self.spots[n].place - self.start - (n - 1) * self.size for n in self.order[at : at + 1]]
        others += sorted({self.shift(n) for n in self.order} - set(others))[:64]
        for shift in others:
            if (spot := self.cut(number, before, self.home(number, shift))) is not None:
                return spot
        return None

    def last(self, number: int) -> _Spot | None:
        """The last page of an overflow chain between two pieces: nothing but its content can tell in which it lies. It has
        no empty blocks, and reads as text where the other choice does not."""
        claim, at = self.claims[number], bisect_left(self.order, number)
        if claim.role != "overflow" or claim.left > self.usable - 4 or not 0 < at < len(self.order):
            return None
        shift = self.spots[self.order[at]].place - self.start - (self.order[at] - 1) * self.size
        before, after = self.home(number, self.shift(self.order[at - 1])), self.home(number, shift)
        return self.seam(number, before, after)

    def seam(self, number: int, before: int, after: int) -> _Spot | None:
        """Where the piece of an overflow page ends that begins at ``before`` or at ``after``."""
        claim = self.claims[number]
        one, two = self.raw(before).ljust(self.size, b"\0"), self.raw(after)
        if len(two) < self.size:
            return None
        best: dict[bytes, tuple[tuple[int, bool], int]] = {}
        for cut in sorted({0, self.size, *range(-before % self.block, self.size, self.block)}):
            raw = one[:cut] + two[cut:]
            if (cut and claim.left > self.usable - 4) or raw[:4] == b"\0\0\0\0":
                content = raw[4 : 4 + claim.left]
                empty = sum(not any(content[i : i + 64]) for i in range(0, len(content), 64))
                best.setdefault(raw, ((empty, not _reads(content, self.encoding)), cut))
        if not best:
            return None
        rank, cut = min(best.values())
        sure = sum(r == rank for r, _ in best.values()) == 1 and not rank[1]
        return _Spot(after, sure=sure) if not cut else _Spot(before, sure=sure) if cut == self.size else _Spot(before, cut, after, sure)

    def smooth(self) -> None:
        """A page that lies elsewhere than both its neighbours, and fits between them, is another's."""
        for one, number, other in zip(self.order, self.order[1:], self.order[2:], strict=False):
            shift, spot = self.shift(one), self.spots[number]
            place = self.home(number, shift)
            alike = shift == self.spots[other].place - self.start - (other - 1) * self.size
            if alike and (spot.cut or spot.place != place) and self.fits(number, self.raw(place), place):
                self.spots[number] = _Spot(place)

    def weigh(self) -> None:
        """Where a piece ends beside a page of an index, nothing but its kind and its columns says that it is the right one."""
        for one, other in zip(self.order, self.order[1:], strict=False):
            if self.shift(one) == self.spots[other].place - self.start - (other - 1) * self.size:
                continue
            for number in (one, other):
                kinds = self.claims[number].kinds
                if kinds & _INDEX and self.content(number)[0] in _INDEX:
                    self.doubts.add(number)

    def seams(self) -> None:
        """Overflow pages of which the beginning answers, and the next page lies elsewhere: the piece may end in them."""
        for number, following in zip(self.order, self.order[1:], strict=False):
            spot, claim = self.spots[number], self.claims[number]
            after = self.spots[following].place - self.size
            if claim.role == "overflow" and not spot.cut and following == number + 1 and after != spot.place:
                self.spots[number] = self.seam(number, spot.place, after) or spot

    def pieces(self) -> list[tuple[int, int]] | None:
        """(offset, length) of each piece; pages that nothing claims go with the piece before them."""
        out: list[list[int]] = []

        def add(place: int, length: int) -> None:
            if out and sum(out[-1]) == place:
                out[-1][1] += length
            elif length:
                out.append([place, length])

        for i, number in enumerate(self.order):
            spot = self.spots[number]
            if spot.cut:
                add(spot.place, spot.cut)
                add(spot.after + spot.cut, self.size - spot.cut)
            else:
                add(spot.place, self.size)
            following = self.order[i + 1] if i + 1 < len(self.order) else self.count + 1
            gap = (following - number - 1) * self.size
            if not gap:
                continue
            here = self.home(number + 1, self.shift(number))
            there = self.spots[following].place - gap if following <= self.count else here
            if here == there:
                add(here, gap)
                continue
            cut = self.between(here, there, gap)
            self.doubts.update(range(number + 1, following))
            add(here, cut)
            add(there + cut, gap - cut)
        fits = all(a >= 0 and a + n <= self.data.size for a, n in out)
        return [(a, n) for a, n in out] if fits and sum(n for _, n in out) == self.count * self.size else None

    def between(self, here: int, there: int, gap: int) -> int:
        """Where a piece ends among pages that nothing claims: before the first block that is not like those of a page
        that was freed (nothing tells it; half of the choices are the right one only by chance)."""
        return next((c for c in range(-here % self.block, gap, self.block) if not any(self.data.read_at(there + c, self.block))), 0)


def _reads(content: bytes, encoding: str) -> bool:
    """Whether it may be the end of a text: no control characters, and it decodes but for a character cut at its beginning."""
    for skip in range(4):
        try:
            text = content[skip:].decode(encoding)
        except UnicodeDecodeError:
            continue
        return not any(ord(c) < 32 and c not in "\t\n\r" for c in text)
    return False


def _cell_there(page: bytes, at: int, kind: int, usable: int, count: int) -> bool:
    cell = read_cell(page, at, kind, min(usable, len(page)))
    return cell is not None and cell.child <= count and (cell.end == usable or cell.record is not None or kind == TABLE_INTERIOR)


def rejoin(fragments: Fragments, budget: Budget) -> Find | None:
    """The database at the head, in pieces. Raises LimitExceeded."""
    raw = fragments.data.read_at(fragments.head, HEADER.size)
    if len(raw) < HEADER.size or raw[:16] != b"SQLite format 3\0":
        return None
    head = HEADER.dict(raw)
    size = 65_536 if head["page_size"] == 1 else head["page_size"]
    if size < 512 or size & size - 1 or not 2 <= head["pages"] <= PAGES or head["change_counter"] != head["valid_for"]:
        return None
    search = _Search(fragments, head, budget)
    if search.usable < 480 or search.count * search.size > _LOCK_BYTE or not search.solve():
        return None
    search.smooth()
    search.seams()
    pieces = search.pieces()
    if pieces is None or len(pieces) < 2:
        return None
    torn = sum(bool(s.cut) and not s.sure for s in search.spots.values())
    search.weigh()
    unsure = len(search.doubts) + sum(not s.cut and not s.sure for s in search.spots.values())
    free = search.count - len(search.order)
    what = f"{len(search.order)} pages answer to what the others say of them, {free} are claimed by none"
    if torn:
        what += f"; the free space of {torn} that a piece ends in may be another's"
    if unsure:
        what += f"; where {unsure} pages lie is a guess"
    return Find(search.count * search.size, 0.7 if unsure or torn else 1.0, what, pieces=tuple(pieces))
