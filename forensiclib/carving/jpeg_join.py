"""Pieces of a JPEG picture put together: each further one must decode on from where the last broke off, and go on with
the picture: the level of each unit (its DC value) against the row above."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import log, log2
from statistics import fmean

from forensiclib.carving._gaps import Space, coded, fill_of
from forensiclib.carving.jpeg_scan import DONE, MORE, Frame, Scan, State, frame_of, scan_of, tables_from
from forensiclib.carving.jpeg_seam import Pair, activity, follows, goes_on, seam_of
from forensiclib.carving.jpeg_segments import DHT, DQT, DRI, EOI, OTHER, SOF, SOS, TEM, quantisers_from, sound
from forensiclib.core.declare import Find, Fragments
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource

__all__ = ["proven", "rejoin"]

SLACK = 4
"""Bytes from the last unit's in which the marker that follows stands."""
CAP, WILD = 96.0, 40.0
"""Steps of level (of 256): all beyond differ alike; by how many units differ that have nothing to do with each other."""
TRIAL, DEEP, MANY, LONG, SHORT, UNITS = 8, 64, 512, 1 << 17, 1 << 15, 8192
"""A candidate decodes this many blocks at first; so many of the best then (of
scans that send no levels: so many) this many bytes (of those: so many), or units."""
STRONG, ENDS, BREAKS = 30.0, 40.0, 12.0
"""In terms of log-likelihood: what is taken up at once; a scan that ends where it must; data that does not decode on."""
AGREES = 0.25
"""What a unit of the right piece says for it on average; at most it says 1."""
USUAL = 2000
"""Units by which the picture's own steps are known."""
NEAR, FAR, BACK = 4096, 1 << 17, 8192
"""Blocks tried as the next piece: at once; in the end; before the break."""
NEVER = 99
"""The lowest bit that was sent of a coefficient before any was."""
HEADERS = 4 << 20
"""Bytes in which a header goes on."""
NODES = 32
"""Pieces taken up, in all branches."""
_MARKER = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_FOREIGN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
_MAY_END = frozenset((EOI, DHT, SOS, DRI, DQT, 0xFE))


@dataclass(frozen=True, slots=True)
class _Head:
    """What the segments up to here have said."""

    frame: Frame | None = None
    tables: bytes = bytes(8 * 272)
    quantisers: dict[int, int] = field(default_factory=dict)
    interval: int = 0
    masks: dict[int, array[int]] = field(default_factory=dict)
    scans: int = 0
    sent: tuple[tuple[int, ...], ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every coefficient of every component was sent to its last bit."""
        return self.scans > 0 and all(not any(levels) for levels in self.sent)


def _sent(head: _Head, scan: Scan) -> _Head | None:
    """With one scan more; None when it does not follow from those before (ITU-T T.81, G.1.1.1.1)."""
    low, high, was, now = scan.band or (0, 63, 0, 0)
    levels = [list(of) for of in head.sent]
    for number in scan.chosen:
        if any(levels[number][k] != (was or NEVER) for k in range(low, high + 1)) or (was and now != was - 1):
            return None
        levels[number][low : high + 1] = [now] * (high + 1 - low)
    return replace(head, scans=head.scans + 1, sent=tuple(tuple(of) for of in levels))


class _Pass:
    """A scan and what its decoding has left: the levels of all units so far on this path."""

    __slots__ = ("dc", "frame", "masks", "pairs", "scan", "sides", "wide")

    def __init__(self, scan: Scan, head: _Head, budget: Budget) -> None:
        self.scan, self.wide = scan, len(scan.blocks) // 3
        self.masks = array("Q", scan.masks)
        self.dc = array("i", bytes(budget.allocate("JPEG levels", 4 * self.wide * scan.units) if scan.tells else 0))
        self.pairs: list[Pair] = []
        self.sides: list[Pair] = []
        assert head.frame is not None
        self.frame = head.frame
        first = 0
        for number in scan.chosen:
            _, h, v, quantiser = head.frame.components[number]
            if len(scan.chosen) == 1:
                h = v = 1
            weight = max(1, head.quantisers.get(quantiser, 1)) / 8
            self.pairs += [(first + x, first + (v - 1) * h + x, weight, number) for x in range(h)]
            self.sides += [(first + y * h, first + y * h + h - 1, weight, number) for y in range(v)]
            first += h * v

    def offs(self, first: int, last: int, most: int = 128) -> list[float]:
        """How far the level of each of the units [first, last) is from those beside it; at most ``most`` of them."""
        if not self.dc or last <= first:
            return []
        dc, wide, across = self.dc, self.wide, self.scan.across
        out = []
        for unit in range(first, last, max(1, -(-(last - first) // most))):
            at = unit * wide
            pairs, other = (self.pairs, at - across * wide) if unit >= across else (self.sides, at - wide)
            if other < 0 or (pairs is self.sides and unit % across == 0):
                continue
            total = 0.0
            for mine, near, weight, _ in pairs:
                total += abs(dc[at + mine] - dc[other + near]) * weight
            out.append(min(CAP, total / len(pairs)))
        return out


def _speaks(off: float, usual: float) -> float:
    """Log-likelihood ratio: a unit of the picture (off by ``usual``), or of anything."""
    wild = max(WILD, 3 * usual)
    return max(-1.5, min(1.0, log(wild / usual) - off * (1 / usual - 1 / wild)))


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where decoding stands: the bytes before ``at`` of the file are used up. ``edge``: those before it were given."""

    at: int
    edge: int
    head: _Head
    scan: _Pass | None = None
    state: State = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

    @property
    def unit(self) -> int:
        """MCUs decoded of the scan."""
        return self.scan.scan.units - self.state[3] if self.scan is not None else 0


@dataclass(frozen=True, slots=True)
class _Step:
    """One block of the file decoded: the mark before it, and how far its units are off."""

    mark: _Mark
    offs: tuple[float, ...]


def _segment(data: ByteSource, mark: _Mark, budget: Budget) -> _Mark | int | None:
    """What is behind the segment at the mark; the end of the file when it is that; None when it is none."""
    head = data.read_at(mark.at, 4)
    if len(head) < 2 or head[0] != 0xFF:
        return None
    marker = head[1]
    if marker == 0xFF:
        return replace(mark, at=mark.at + 1)
    if marker == TEM:
        return replace(mark, at=mark.at + 2)
    if marker == EOI:
        return mark.at + 2 if mark.head.whole else None
    size = int.from_bytes(head[2:4], "big")
    if size < 2 or not (marker in SOF or marker == SOS or marker in OTHER):
        return None
    needed = marker in SOF or marker in (SOS, DHT, DQT, DRI)
    body = data.read_at(mark.at + 4, size - 2) if needed else b""
    if needed and (len(body) < size - 2 or not sound(marker, body)):
        return None
    told, behind = mark.head, mark.at + 2 + size
    if marker in SOF:
        told = replace(told, frame=frame_of(marker, body), sent=((NEVER,) * 64,) * body[5])
    elif marker == DHT:
        tables = bytearray(told.tables)
        tables_from(body, tables)
        told = replace(told, tables=bytes(tables))
    elif marker == DQT:
        quantisers = dict(told.quantisers)
        quantisers_from(body, quantisers)
        told = replace(told, quantisers=quantisers)
    elif marker == DRI:
        told = replace(told, interval=int.from_bytes(body, "big"))
    elif marker == SOS:
        scan = scan_of(body, told.frame, told.tables, told.quantisers, told.interval, told.masks, budget) if told.frame else None
        following = _sent(told, scan) if scan is not None else None
        if scan is None or following is None:
            return None
        told = following
        return _Mark(behind, max(mark.edge, behind), told, _Pass(scan, told, budget), scan.begin())
    return _Mark(behind, max(mark.edge, behind), told)


def _decode(data: ByteSource, mark: _Mark, edge: int) -> tuple[_Mark, bool]:
    """Decode on with the bytes before ``edge``: (mark, whether nothing spoke against it)."""
    work = mark.scan
    assert work is not None
    unit = mark.unit
    piece = data.read_at(mark.at, edge - mark.at)
    if work.masks:
        work.masks[unit:] = work.scan.masks[unit:]
    told = memoryview(work.dc)[unit * work.wide :] if work.dc else None
    status, state = work.scan.step(piece, mark.state, memoryview(work.masks)[unit:] if work.masks else None, told)
    after = replace(mark, at=mark.at + state[0], edge=edge, state=(0, *state[1:]))
    if status == DONE:
        near = data.read_at(after.at, SLACK)
        found = _MARKER.search(near)
        if found is None:
            return after, False
        masks = {**mark.head.masks, work.scan.chosen[0]: array("Q", work.masks)} if work.masks else mark.head.masks
        at = after.at + found.start()
        return _Mark(at, max(edge, at), replace(mark.head, masks=masks)), True
    return after, status == MORE


def _steps(data: ByteSource, mark: _Mark, ends: Iterator[int], budget: Budget) -> Iterator[_Step | int | None]:
    """Decode block by block; ``ends``: where each block ends in the file. The last item is the end of the file, or None
    when it broke in the block of the step before."""
    edge = next(ends)
    while edge <= mark.edge:
        edge = next(ends)
    while True:
        budget.item()
        if edge > data.size:
            edge = data.size
        before = mark
        offs: list[float] = []
        while mark.edge < edge or mark.scan is None:
            if mark.scan is None:
                found = _segment(data, mark, budget)
                if not isinstance(found, _Mark):
                    yield _Step(before, tuple(offs))
                    yield found
                    return
                mark = found
                if mark.scan is not None:
                    mark = replace(mark, edge=mark.at)
                continue
            work, unit = mark.scan, mark.unit
            after, fine = _decode(data, mark, edge)
            last = after.unit if after.scan is work else work.scan.units
            offs += work.offs(unit, last)
            if not fine:
                yield _Step(before, tuple(offs))
                yield None
                return
            mark = after
        yield _Step(before, tuple(offs))
        if edge >= data.size:
            yield None
            return
        edge = next(ends)
        while edge <= mark.edge:
            edge = next(ends)


def _fill(data: bytes, first: int, used: int, block: int) -> int:
    """How far from ``first`` two blocks of fill begin among the ``used`` bytes; -1 when none do."""
    for at in range(0, used - 2 * block, block):
        if fill_of(data[first + at : first + at + 2 * block]):
            return at
    return -1


def _level(offs: list[float]) -> float:
    """How far units are off in this part of this picture."""
    return max(1.2, 1.2 * fmean(offs)) if offs else 10.0


class _Search:
    def __init__(self, fragments: Fragments, budget: Budget) -> None:
        self.space, self.budget = Space(fragments, self._fits), budget
        self.nodes = 0

    @staticmethod
    def _fits(block: bytes) -> bool:
        foreign = _FOREIGN.search(block)
        return (foreign is None or foreign[1][0] in _MAY_END) and coded(block)

    def _ends(self, closed: list[tuple[int, int]], start: int) -> Iterator[int]:
        """File offsets where the blocks of the open piece end."""
        done, block = sum(n for _, n in closed), self.space.block
        end = done + block - start % block
        while True:
            yield end
            end += block

    def grow(self, closed: list[tuple[int, int]], start: int, mark: _Mark, usual: list[float]) -> list[tuple[int, int]] | None:
        """All pieces of the file, when they are ``closed``, then one from ``start``, then others."""
        self.nodes += 1
        if self.nodes > NODES or any(a <= start < a + n for a, n in closed):
            return None
        data = self.space.stream(closed, start)
        before = sum(n for _, n in closed)
        steps: list[_Step] = []
        end: int | None = None
        for item in _steps(data, mark, self._ends(closed, start), self.budget):
            if isinstance(item, _Step):
                steps.append(item)
            else:
                end = item
        if end is not None and end > before:
            return [*closed, (start, end - before)]
        if not mark.head.scans and not steps[-1].mark.head.scans:
            return self._over_header(closed, start, data, mark, before)
        breaks = self._breaks(data, steps, usual, before)
        weak: list[tuple[float, int, int]] = []
        for places, most, skip in ((breaks[:4], NEAR, 0), (breaks[4:], NEAR, 0), (breaks[:3], FAR, NEAR), ([], 0, 0)):
            ranked = self._ranked(closed, start, before, steps, places, usual, most, skip) if places else sorted(weak)[:4]
            for score, place, candidate in ranked:
                if score > -STRONG and places:
                    weak.append((score, place, candidate))
                    continue
                piece = (start, steps[place].mark.edge - before)
                told = [*usual, *(o for s in steps[:place] for o in s.offs)][-USUAL:]
                if (found := self.grow([*closed, piece], candidate, steps[place].mark, told)) is not None:
                    return found
        return None

    def _over_header(
        self, closed: list[tuple[int, int]], start: int, data: ByteSource, mark: _Mark, before: int
    ) -> list[tuple[int, int]] | None:
        """As grow, where the segments before the first scan break off."""
        last = mark
        while isinstance(found := _segment(data, mark, self.budget), _Mark) and found.scan is None:
            last, mark = mark, found
        if isinstance(found, int | _Mark):
            return None
        block = self.space.block
        behind = start + mark.at - before
        place = behind // block * block
        low = start + max(0, last.at - before)
        kind = fill_of(self.space.data.read_at(place, block))
        while kind and place - block > low and fill_of(self.space.data.read_at(place - block, block)) == kind:
            place -= block
        if place <= low:
            return None
        for ahead in range(behind + block, min(self.space.size, behind + HEADERS), block):
            if (speaks := self._header(mark, self.space.data.read_at(ahead, 1 << 12))) is not None and speaks >= 8:
                piece = (start, place - start)
                candidate = place + ahead - behind
                if (joined := self.grow([*closed, piece], candidate, replace(last, edge=last.at), [])) is not None:
                    return joined
        return None

    def _breaks(self, data: ByteSource, steps: list[_Step], usual: list[float], before: int) -> list[int]:
        """Where the open piece may end, as numbers of steps, the likeliest first."""
        last = len(steps) - 1
        out: list[int] = []
        block = self.space.block
        for i, step in enumerate(steps):
            edge = step.mark.edge
            here = step.mark.scan is not None and edge > before and fill_of(data.read_at(edge, block))
            if here and (i == last or fill_of(data.read_at(edge + block, block))):
                out.append(i)  # fill begins, and may decode for long
                last = i
                break
        told = usual or [o for s in steps[:64] for o in s.offs]
        level = _level(told)
        best, total, least = 0.0, 0.0, last
        for i in range(last, -1, -1):
            total -= sum(_speaks(off, level) for off in steps[i].offs)
            if total > best:
                best, least = total, i
        out += [least, last, last - 1]
        out += [last - 2, last - 3, least - 1, least + 1, least - 2, least + 2, least - 3, least + 3, last - 4, last - 5, last - 6]
        seen: set[int] = set()
        return [i for i in out if 0 <= i <= last and steps[i].mark.edge > before and not (i in seen or seen.add(i))]  # type: ignore[func-returns-value]

    def _ranked(
        self, closed: list[tuple[int, int]], start: int, before: int, steps: list[_Step], places: list[int], usual: list[float],
        most: int, skip: int,
    ) -> list[tuple[float, int, int]]:  # fmt: skip
        """(minus what speaks for it, step, block) of pairs that go on from each other, the best first."""
        good = []
        for place in places:
            first: list[tuple[float, int]] = []
            mark = steps[place].mark
            level = _level([*usual, *(o for s in steps[max(0, place - 200) : place] for o in s.offs)][-USUAL:])
            stop = start + mark.edge - before
            carry = self.space.stream(closed, start).read_at(mark.at, mark.edge - mark.at)
            for block in (*self.space.after(stop + 1, most, skip), *self.space.before(self.space.head, BACK if skip else 0)):
                if (spoken := self._trial(mark, carry, block, level, TRIAL * self.space.block)) is not None:
                    first.append((-spoken, block))
            tells = mark.scan is not None and bool(mark.scan.dc)
            for _, block in sorted(first)[: DEEP if tells else MANY]:
                spoken = self._trial(mark, carry, block, level, LONG if tells else SHORT)
                if spoken is not None and spoken > 0:
                    good.append((-spoken, place, block))
        return sorted(good, key=lambda g: (g[0], -g[1], g[2]))[:4]

    def _trial(self, mark: _Mark, carry: bytes, block: int, level: float, size: int) -> float | None:
        """What speaks for going on with the block at ``block``, by the ``size`` bytes from there; None when it cannot be."""
        work, least = mark.scan, self.space.block
        deep = size > TRIAL * least
        data = carry + self.space.data.read_at(block, size)
        if work is None:
            return self._header(mark, data)
        unit = mark.unit
        left = mark.state[3] if deep else min(mark.state[3], UNITS)
        masks = memoryview(work.scan.masks[unit : unit + left]) if work.masks else None
        told = array("i", bytes(4 * left * work.wide)) if work.dc else None
        self.budget.item()
        state = (*mark.state[:3], left, *mark.state[4:])
        status, after = work.scan.step(data, state, masks, memoryview(told) if told is not None else None)
        used, done = after[0] - len(carry), left - after[3]
        spoken = 0.0
        fill = _fill(data, len(carry), used, least) if deep else -1
        if fill >= 0:  # decodes, as zeros may, and is no part of the picture
            if fill < least:
                return None
            spoken, used = -BREAKS - ENDS, fill
        if status == DONE and left == mark.state[3]:
            found = _MARKER.search(data, after[0], after[0] + SLACK)
            if found is None or self._header(mark, data[found.start() :]) is None:
                return None
            spoken += ENDS
        elif status not in (DONE, MORE):
            if used < least or done < 1:
                return None
            spoken -= BREAKS
        elif used < least // 2:
            return None
        if told is None:
            return spoken + (8.0 * log2(1 + max(0, used) / 1024) if deep or status not in (DONE, MORE) else 24.0)
        kept = work.dc[unit * work.wide : (unit + done) * work.wide]
        work.dc[unit * work.wide : (unit + done) * work.wide] = told[: done * work.wide]
        offs = work.offs(unit, unit + min(done, work.scan.across), 512)  # behind these a unit's neighbours are all of the new piece
        work.dc[unit * work.wide : (unit + done) * work.wide] = kept
        told_by = sum(_speaks(off, level) for off in offs)
        if deep and told_by < AGREES * len(offs):
            return None
        spoken += told_by + (3.0 * log2(1 + max(0, used) / 1024) if deep else 0.0)
        return spoken if spoken > -BREAKS or deep else None

    @staticmethod
    def _header(mark: _Mark, data: bytes) -> float | None:
        """The same where segments go on."""
        at = 0
        for count in range(8):
            if at + 4 > len(data):
                return 4.0 * count if count else None if at + 4 < len(data) else 0.0
            if data[at] != 0xFF or not (data[at + 1] in OTHER or data[at + 1] in SOF or data[at + 1] in (SOS, EOI, DHT, DQT, DRI)):
                return None
            if data[at + 1] in (EOI, SOS):
                return ENDS
            size = int.from_bytes(data[at + 2 : at + 4], "big")
            body = data[at + 4 : at + 2 + size]
            if len(body) == size - 2 and data[at + 1] not in OTHER - {DHT, DQT, DRI} and not sound(data[at + 1], body):
                return None
            at += 2 + size
        return ENDS


def _walk(data: ByteSource, edges: list[int], budget: Budget) -> tuple[list[_Pass], list[tuple[int, int]]] | None:
    """All scans of a whole picture, and (scan, MCU) in which each piece ends; None when one ends in no scan."""
    mark, passes, seams = _Mark(2, 2, _Head()), list[_Pass](), list[tuple[int, int]]()
    while True:
        budget.item()
        if mark.scan is None:
            found = _segment(data, mark, budget)
            if found is None or (len(seams) < len(edges) and edges[len(seams)] <= (found if isinstance(found, int) else found.at)):
                return None
            if isinstance(found, int):
                return passes, seams
            mark = found
            passes += [found.scan] if found.scan is not None else []
            continue
        edge = min(data.size, mark.at + LONG, *edges[len(seams) :][:1])
        mark, fine = _decode(data, mark, edge)
        if not fine or (mark.scan is not None and mark.at >= data.size):
            return None
        if mark.scan is not None and edges[len(seams) :][:1] == [edge]:
            seams.append((len(passes) - 1, mark.unit))


def _levels(work: _Pass, head: Frame, number: int) -> list[int]:
    """DC values of the blocks of a component, row by row, of the scan that sent them."""
    first = 0
    for chosen in work.scan.chosen:
        h, v = head.components[chosen][1:3] if len(work.scan.chosen) > 1 else (1, 1)
        if chosen == number:
            break
        first += h * v
    rows = work.scan.units // work.scan.across
    out: list[int] = []
    for y in range(rows * v):
        line = [0] * (work.scan.across * h)
        for x in range(h):
            at = y // v * work.scan.across * work.wide + first + y % v * h + x
            line[x::h] = work.dc[at : at + work.scan.across * work.wide : work.wide]
        out += line
    return out


def proven(data: ByteSource, ends: list[int], budget: Budget) -> bool:
    """Whether the picture itself shows that each of its pieces is its own: it goes on over every gap."""
    walked = _walk(data, ends, budget)
    if walked is None:
        return False
    passes, seams = walked
    for i, (number, unit) in enumerate(seams):
        work = passes[number]
        if work.dc:
            seam = seam_of(work.dc, work.wide, work.scan.across, work.scan.units, unit, work.pairs)
            if not goes_on(seam):
                return False
            continue
        then, stop = seams[i + 1] if i + 1 < len(seams) else (len(passes), 0)
        if not any(
            _is_of(passes, other, unit if other == number else 0, stop if other == then else passes[other].scan.units)
            for other in range(number, min(then + 1, len(passes)))
        ):
            return False
    return True


def _is_of(passes: list[_Pass], number: int, first: int, last: int) -> bool:
    """Whether the units [first, last) of a scan go with the levels that an earlier one sent."""
    work = passes[number]
    component = work.scan.chosen[0]
    sent = next((p for p in passes[:number] if p.dc and component in p.scan.chosen), None)
    if sent is None or not work.masks:
        return False
    across = work.scan.across
    levels = _levels(sent, work.frame, component)
    wide = sent.scan.across * (work.frame.components[component][1] if len(sent.scan.chosen) > 1 else 1)
    busy = activity(levels, wide)
    rows = work.scan.units // across
    mine = [busy[y * wide + x] for y in range(rows) for x in range(across)]
    told = [(a ^ b).bit_count() for a, b in zip(work.masks, work.scan.masks, strict=True)]
    return follows(mine[first:last], told[first:last])


def rejoin(fragments: Fragments, budget: Budget) -> Find | None:
    """The picture at the head, in pieces. Raises LimitExceeded."""
    if fragments.data.read_at(fragments.head, 3) != b"\xff\xd8\xff":
        return None
    search = _Search(fragments, budget)
    pieces = search.grow([], fragments.head, _Mark(2, 2, _Head()), [])
    if pieces is None or len(pieces) < 2:
        return None
    length = sum(n for _, n in pieces)
    ends = [sum(n for _, n in pieces[:i]) for i in range(1, len(pieces))]
    if proven(ExtentSource(fragments.data, pieces), ends, budget):
        return Find(length, 0.9, "every unit decodes and the picture goes on over each gap", pieces=tuple(pieces))
    return Find(length, 0.5, "every unit decodes, but the picture does not show whether the pieces are its own", pieces=tuple(pieces))
