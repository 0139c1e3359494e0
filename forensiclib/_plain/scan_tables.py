"""The tables of the signature scan. Twin of the making in _native/scan_tables.h, which gives the same bytes.

A signature is found by its anchor: up to four neighbouring bytes of it (six in lists of more than
1,024), the rarest on disks, of which not too many others have the same already. Bit 5 of each byte is left out of an anchor's key,
so that letter case costs nothing. Where 64 or more signatures have letters with zero bytes between
them (UTF-16), three, four or six such letters are their anchor. Signatures of an align of 512 and more
are looked for where they may lie, and nowhere else.

    header    16 uint32: magic, patterns, entries, visits, bits of the slots, of the bitmap, of the wide
              bitmap (0: none), look-ups to ask, largest place of an anchor, pool bytes, blob bytes,
              shapes in use, buckets of anchors of one and two bytes, flags, buckets of those of one, 0
    look-ups  10 x 256: which of 8 buckets accept a byte at one place, or a mix of two places
    nibbles   2 groups x 4 places x (low, high) x 16: the same for 16 buckets, by nibbles
    threes    4096 bytes: a bit for the hash of each anchor of three bytes
    visits    uint32 align, phase, place of the anchor, shape
    slots     2^bits + 1 uint32: where the entries of a hash begin
    bitmaps   a bit for the hash of the four bytes of each anchor; for those of six bytes another bit of the same
              32, which two more bytes choose; and one such bitmap of spread letters
    entries   uint32 key, pattern, place | shape << 16 | (align is 1) << 24 | visit << 25, length; 8 bytes, 8 mask bytes
    patterns  uint32 place in the pool, length, align, phase
    pool      bytes and mask of each

Size: below 2.3 MiB, and 2 bytes for each of the pool, 16 for each pattern, and 32 for each key of
its anchor: 1, where a mask leaves bits open up to 16 (256 in lists of up to 2,048, 128 where
nothing but one byte with open bits is there).
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from forensiclib.core.errors import UsageError

__all__ = ["HEADER", "MAGIC", "scan_compile", "scan_patterns"]

Pattern = tuple[bytes, bytes | None, int, int]

MAGIC = 0x334E4353
HEADER = struct.Struct("<16I")
_MULTIPLIER, _SHAPE, _FOLD = 0x9E3779B1, 0x85EBCA6B, 0xDFDFDFDF
_WIDE3, _WIDE4, _SIX, _SPARSE, _WIDE6 = 5, 6, 7, 8, 16
"""Shapes of an anchor: 1 to 4 neighbouring bytes, 3 or 4 spread letters, six bytes; added to 1 to 4: on a sector; six spread letters."""
_VISITS = 64
_SECTOR = 512
_LOOKUPS = 10
_ASK = ((0, 0, 0), (1, 1, 0), (3, 3, 0), (1, 2, 3), (0, 2, 5), (1, 3, 5), (2, 2, 0), (0, 1, 3), (2, 3, 3), (0, 3, 5))
"""What each look-up asks: the byte at one place, and where it is another, that there, rotated so far, mixed in."""
_ASKING = 4_000_000
"""A look-up costs as much as so many candidates in 2^32 places; measured."""
_USE_NIBBLES, _THREE_BYTES = 1, 2

_LETTER = (21, 14, 18, 17, 24, 15, 14, 15, 21, 3, 10, 19, 16, 21, 21, 17, 4, 21, 21, 22, 17, 10, 11, 10, 13, 3)
"""How common a letter is in English manuals and source code, in quarters of bits; what follows is of the same texts."""
_PAIR = (
    "0655035033566605465645345354325322582621523441722373524352174275207333255411324324633154233152324253214243552541122545146654154752"
    "4322362162242161242352214232426246543454332542522224611261116232305233143111324554365002355754335515050654345232254342547251545435"
    "4333624245333323424254523353246521633510533144542164662261215334515641314212225256447133422252205655114325550540246566362644656313"
    "6223522442362065364452226413220422253542136342854435524562405153435323444421513242521552432145514653315252325317612320542543423262"
    "4645445041156616255511040363327231532132323121223133522242276332236234311362133252621244345226502613353533212271332453564354137224"
    "52126123554331336111333456"
)
"""For A to Z, then A to Z: by how many bits the pair is more common than its letters tell, 4 being as common."""


def _common(byte: int) -> int:
    """How common a byte without bit 5 is on disks, in quarters of bits: zero fill, FF fill, text, small numbers."""
    if byte == 0:
        return 36
    if byte == 0xDF:
        return 22
    if 65 <= byte <= 90:
        return _LETTER[byte - 65]
    return 14 if byte < 9 else 13 if 0x0C <= byte <= 0x19 else 4


def _price(key: bytes) -> int:
    price = sum(_common(b) - 40 for b in key)
    for a, b in pairwise(key):
        if a == b and b in (0, 0xDF):
            price += 36 - _common(b)  # fill: where one is, the next one is too
        if 65 <= a <= 90 and 65 <= b <= 90:
            price += 4 * (int(_PAIR[(a - 65) * 26 + b - 65]) - 4)
    return price


def _open_price(want: int, mask: int) -> int:
    """Of a byte of which the mask leaves some bits open, and may leave all."""
    free = (~mask & 0xDF).bit_count()
    return min(0, max(_common(want & 0xDF) - 40, -28) + 4 * free) if mask else 0


class _Anchor(NamedTuple):
    shape: int
    key: int
    number: int
    place: int
    visit: int = 0


def _subsets(free: int) -> Iterator[int]:
    """Every value whose bits are among those of ``free``, ascending."""
    sub = 0
    while True:
        yield sub
        sub = (sub - free) & free
        if not sub:
            return


Crowd = Counter[tuple[int, int]]


def _number(key: bytes) -> int:
    return int.from_bytes(key, "little")


def _six(word: int) -> int:
    """The key of six bytes: the last two mixed into the first four."""
    return word & 0xFFFFFFFF ^ (word >> 32) * _SHAPE & 0xFFFFFFFF


def _narrow(want: bytes, mask: bytes, limit: int, crowd: Crowd | None, six: bool = False) -> tuple[int, int, int]:
    """Shape, key and place of the rarest window; of the first without a crowd. Shape 0: all is masked out."""
    best, cheapest = (0, 0, 0), 0
    for place in range(len(want)):
        if best[0] and (place >= 64 or crowd is None):
            break
        n = free = 0
        while n < 4 and place + n < len(want):
            more = free + (~mask[place + n] & 0xDF).bit_count()
            if not mask[place + n] or (n and more > limit):
                break
            n, free = n + 1, more
        if not n:
            continue
        shape = n
        if six and n == 4 and not free and place + 6 <= len(want) and not (~mask[place + 4] | ~mask[place + 5]) & 0xDF:
            shape, n = _SIX, 6
        window = bytes(b & 0xDF for b in want[place : place + n])
        key = _six(_number(window)) if shape == _SIX else _number(window)
        price = _price(window) if not free else 0
        for at in range(place if free else place + n, min(place + 4, len(want))):
            price += _open_price(want[at], mask[at])  # the look-ups ask all four
        if n > 2:
            price -= 12  # the bitmap knows it
        if not any(window):
            price += 200  # every zero-filled block would be asked
        if crowd is not None:
            price += 4 * crowd[shape, key].bit_length()
        if not best[0] or price < cheapest:
            best, cheapest = (shape, key, place), price
    return best


def _spread(want: bytes, mask: bytes, crowd: Crowd) -> tuple[int, int, int]:
    """The same for three, four or six letters with zero bytes between them; shape 0: there are none."""
    best, cheapest = (0, 0, 0), 0
    for place in range(min(64, len(want) - 4)):
        letters = b""
        for at in range(place, min(place + 12, len(want)), 2):
            if ~mask[at] & 0xDF or not want[at] & 0xDF or (letters and (want[at - 1] or mask[at - 1] != 0xFF)):
                break
            letters += bytes((want[at] & 0xDF,))
        if len(letters) == 5:
            letters = letters[:4]
        shape = _WIDE6 if len(letters) == 6 else len(letters) + 2
        if len(letters) < 3 or shape < best[0]:
            continue
        key = _six(_number(letters))
        price = _price(letters) + 4 * crowd[shape, key].bit_length()
        if shape > best[0] or price < cheapest:
            best, cheapest = (shape, key, place), price
    return best


def _first_six(want: bytes, anchor: _Anchor) -> int:
    step = 2 if anchor.shape == _WIDE6 else 1
    return _number(want[anchor.place : anchor.place + 6 * step : step])


def _hash(word: int, bits: int) -> int:
    return (word * _MULTIPLIER & 0xFFFFFFFF) >> (32 - bits)


def _map_bits(marks: int) -> int:
    return max(15, min(21, (16 * marks).bit_length()))


_OPEN = 9
"""Of pairs with more open bits than these nothing is asked."""
_ALL = (1 << 256) - 1
Values = Callable[[_Anchor, int], list[int]]
Accepted = tuple[int, ...]
"""For each look-up a bit for each of the 256 values."""


def _accepted(anchor: _Anchor, values: Values) -> Accepted:
    """What a place must answer: also what a signature says behind a short anchor."""
    out = []
    for one, two, r in _ASK:
        first, second, said = values(anchor, one), values(anchor, two) if one != two else [0], 0
        if max(len(first), len(second)) == 256 or len(first) * len(second) > 1 << _OPEN:
            said = _ALL
        else:
            for v in first:
                for t in second:
                    said |= 1 << (v ^ (t << r | t >> (8 - r)) & 0xFF)
        out.append(said)
    return tuple(out)


def _union(one: Accepted, other: Accepted) -> Accepted:
    return tuple(a | b for a, b in zip(one, other, strict=True))


_CLASSES = [
    (1 << c // 4, sum(1 << v for v in range(256) if _common(v & 0xDF) == c)) for c in sorted({_common(v & 0xDF) for v in range(256)})
]
"""Bytes that are as common on disks: how much so, and a bit for each."""
_ANYWHERE = sum(weight * values.bit_count() for weight, values in _CLASSES)


def _passing(accepted: Accepted) -> int:
    """Of 2^51 places, how many the first look-ups, as many as are given, let pass: of random bytes, and of bytes as
    common as they are on disks."""
    part = other = 1 << 50
    for (one, two, _), said in zip(_ASK, accepted, strict=False):
        part = part * said.bit_count() >> 8
        if one != two:
            other = other * said.bit_count() >> 8
        else:
            other = other * sum(weight * (said & values).bit_count() for weight, values in _CLASSES) // _ANYWHERE
    return part + other


def _deal(anchors: list[_Anchor], accepted: list[Accepted], count: int) -> list[int]:
    """The bucket of each anchor of a sorted list. Neighbours begin in one cell; then those two cells are put together,
    again and again, of which the union lets the least more pass; never anchors of one byte, of two, and longer ones."""
    cells: list[tuple[Accepted, int]] = []
    cell_of: list[int] = []
    for kind, room in ((1, 32), (2, 32), (3, 64)):
        some = [i for i, a in enumerate(anchors) if min(a.shape, 3) == kind]
        base = len(cells)
        for n, i in enumerate(some):
            cell = base + n * min(len(some), room) // len(some)
            cell_of.append(cell)
            if cell == len(cells):
                cells.append((accepted[i], kind))
            else:
                cells[cell] = _union(cells[cell][0], accepted[i]), kind
    into = list(range(len(cells)))
    live = list(into)
    alone = [_passing(said) for said, _ in cells]
    price: dict[tuple[int, int], int] = {}

    def judge(i: int, j: int) -> None:
        if cells[i][1] == cells[j][1]:
            price[i, j] = _passing(_union(cells[i][0], cells[j][0])) - alone[i] - alone[j]

    for i in live:
        for j in range(i + 1, len(cells)):
            judge(i, j)
    while len(live) > count:
        i, j = min(price, key=lambda pair: (price[pair], pair))
        cells[i] = _union(cells[i][0], cells[j][0]), cells[i][1]
        alone[i] = _passing(cells[i][0])
        live.remove(j)
        into = [i if to == j else to for to in into]
        for pair in [p for p in price if j in p]:
            del price[pair]
        for k in live:
            if k != i:
                judge(min(i, k), max(i, k))
    number = {cell: n for n, cell in enumerate(live)}
    return [number[into[cell]] for cell in cell_of]


def _estimate(parts: list[list[int]]) -> int:
    """Of 2^32 random places, how many pass; for each bucket how many of 256 pass each look-up."""
    total = 0
    for counts in parts:
        part = 1 << 32
        for count in counts:
            part = part * count >> 8
        total += part
    return total


def _lookups(anchors: list[_Anchor], accepted: list[Accepted]) -> tuple[bytes, int, int, int]:
    """The tables of the first filter, how many of them to ask, the buckets of anchors of one and two bytes, and those of one."""
    sets: list[Accepted] = [(0,) * _LOOKUPS] * 8
    shorts = briefest = 0
    for number, anchor, said in zip(_deal(anchors, accepted, 8), anchors, accepted, strict=True):
        sets[number] = _union(sets[number], said)
        shorts |= (anchor.shape <= 2) << number
        briefest |= (anchor.shape == 1) << number
    table = bytearray(256 * _LOOKUPS)
    for number, bucket in enumerate(sets):
        for j, answers in enumerate(bucket):
            for value in range(256):
                table[256 * j + value] |= (answers >> value & 1) << number
    cost = {k: (k * _ASKING << 19) + sum(_passing(bucket[:k]) for bucket in sets) for k in range(4, _LOOKUPS + 1, 2)}
    return bytes(table), min(cost, key=lambda k: (cost[k], k)), shorts, briefest


def _nibbles(anchors: list[_Anchor], accepted: list[Accepted], values: Values) -> tuple[bytes, bool]:
    """The nibble tables, and whether they refuse enough."""
    table = bytearray(256)
    for number, anchor in zip(_deal(anchors, accepted, 16), anchors, strict=True):
        for j in range(4):
            at = (number >> 3) * 128 + j * 32
            for value in values(anchor, j):
                table[at + (value & 15)] |= 1 << (number & 7)
                table[at + 16 + (value >> 4)] |= 1 << (number & 7)
    parts = []
    for number in range(16):
        counts = [0] * 8
        for at in range(128):
            counts[at >> 4] += table[(number >> 3) * 128 + at] >> (number & 7) & 1
        parts.append([low * high for low, high in zip(counts[::2], counts[1::2], strict=True)])
    return bytes(table), _estimate(parts) < 1 << 27


class _Bits:
    """A bitmap that hashes index."""

    def __init__(self, bits: int) -> None:
        self.bits, self.map = bits, bytearray(1 << bits >> 3)

    def mark(self, word: int) -> None:
        at = _hash(word, self.bits)
        self.map[at >> 3] |= 1 << (at & 7)

    def mark_six(self, word: int, fold: int) -> None:
        """The word's first bytes choose 32 bits, two or three more which of them."""
        first = (word & fold) * _MULTIPLIER & 0xFFFFFFFF
        bit = (first + (word >> 24 & 0xDFDFDF) * _SHAPE & 0xFFFFFFFF) >> 27
        at = first >> (32 - self.bits) & ~31 | bit
        self.map[at >> 3] |= 1 << (at & 7)

    def mark_any(self, word: int) -> None:
        """The word with any fourth byte."""
        for fourth in _subsets(0xDF):
            self.mark(word | fourth << 24)


def _anchors(pairs: list[tuple[bytes, bytes]], where: list[tuple[int, int]]) -> tuple[list[_Anchor], list[tuple[int, int, int, int]]]:
    """The anchor of each pattern, and the visits: (align, phase, place, shape)."""
    limit = 8 if len(pairs) <= 2048 else 4
    crowd: Crowd = Counter()
    wide = sum(_spread(want, mask, crowd)[0] > 0 for want, mask in pairs) >= 64
    anchors: list[_Anchor] = []
    visits: list[tuple[int, int, int, int]] = []
    for number, ((want, mask), (align, phase)) in enumerate(zip(pairs, where, strict=True)):
        if align >= _SECTOR:
            shape, key, place = _narrow(want, mask, limit, None)
            visit = (align, phase, place, shape | _SPARSE)
            if shape and visit not in visits and len(visits) < _VISITS:
                visits.append(visit)
            if shape and visit in visits:
                anchors.append(_Anchor(shape | _SPARSE, key, number, place, visits.index(visit)))
                continue
        shape, key, place = _spread(want, mask, crowd) if wide else (0, 0, 0)
        if not shape:
            shape, key, place = _narrow(want, mask, limit, crowd, len(pairs) > 1024)
        if not shape:
            raise UsageError("a signature needs at least one byte that is not masked out")
        crowd[shape, key] += 1
        anchors.append(_Anchor(shape, key, number, place))
    return anchors, visits


def scan_compile(patterns: Sequence[Pattern]) -> bytes:
    """Signatures -> the tables that ``scan`` takes, as bytes (cheap to send to another process).

    A pattern is (bytes, mask or None, align, phase): a bit of 0 in the mask matches anything, and
    only absolute offsets with ``offset % align == phase`` count. UsageError for an empty or wholly
    masked pattern, a mask of another length, more than 4096 bytes, and more than 65,535 patterns.
    """
    if len(patterns) > 0xFFFF:
        raise UsageError(f"{len(patterns)} signatures; 65535 are possible")
    pool, heads, pairs, where = bytearray(), [], [], []
    for pattern, mask, align, phase in patterns:
        bits = b"\xff" * len(pattern) if mask is None else bytes(mask)
        if not pattern or len(bits) != len(pattern) or len(pattern) > 4096:
            raise UsageError("a signature has 1 to 4096 bytes and a mask as long as itself")
        if not 1 <= align <= 0xFFFFFFFF or not 0 <= phase < align:
            raise UsageError(f"align {align}, phase {phase}")
        want = bytes(p & m for p, m in zip(pattern, bits, strict=True))
        heads.append(struct.pack("<4I", len(pool), len(want), align, phase))
        pool += want + bits
        pairs.append((want, bits))
        where.append((align, phase))
    anchors, visits = _anchors(pairs, where)

    def values(anchor: _Anchor, j: int) -> list[int]:
        want, bits = pairs[anchor.number]
        if anchor.place + j >= len(want):
            return list(range(256))
        return [want[anchor.place + j] | sub for sub in _subsets(~bits[anchor.place + j] & 0xFF)]

    def keys(anchor: _Anchor) -> list[int]:
        n = anchor.shape & ~_SPARSE
        if n > 4:
            return [anchor.key]
        bits = pairs[anchor.number][1][anchor.place : anchor.place + n]
        return [anchor.key | sub for sub in _subsets(_number(bytes(~m & 0xDF for m in bits)))]

    marks: Counter[int] = Counter()
    for anchor in anchors:
        marks[anchor.shape] += len(keys(anchor))
    whole, wide = marks[4] + marks[_SIX], marks[_WIDE4] + marks[_WIDE6] + 128 * marks[_WIDE3]
    short = whole + 128 * marks[3] > 1 << 18 or (16 * marks[3] > whole and whole + 128 * marks[3] > 4096)
    fold = _FOLD & 0xFFFFFF if short else _FOLD
    narrow = _Bits(_map_bits(whole + (1 if short else 128) * marks[3]))
    spread = _Bits(_map_bits(wide)) if wide else None
    threes = _Bits(15)
    slot_bits = max(8, min(18, (2 * sum(marks.values())).bit_length()))
    slots: list[list[bytes]] = [[] for _ in range(1 << slot_bits)]
    for anchor in anchors:
        want, bits = pairs[anchor.number]
        shape = anchor.shape
        about = anchor.place | shape << 16 | (where[anchor.number][0] == 1) << 24 | anchor.visit << 25
        for key in keys(anchor):
            entry = struct.pack("<4I8s8s", key, anchor.number, about, len(want), want[:8], bits[:8])
            slots[_hash(key ^ shape * _SHAPE & 0xFFFFFFFF, slot_bits)].append(entry)
            if shape == 4:
                narrow.mark(key & fold)
            elif shape == _SIX:
                narrow.mark_six(_first_six(want, anchor), fold)
            elif shape == 3:
                threes.mark(key)
                (narrow.mark if short else narrow.mark_any)(key)
            elif spread and shape == _WIDE6:
                spread.mark_six(_first_six(want, anchor), _FOLD)
            elif spread and shape in (_WIDE3, _WIDE4):
                (spread.mark if shape == _WIDE4 else spread.mark_any)(key)
    dense = [a for a in anchors if a.shape <= 4]
    dense += [_Anchor(4, _first_six(pairs[a.number][0], a) & _FOLD, a.number, a.place) for a in anchors if a.shape == _SIX]
    dense.sort()
    accepted = [_accepted(anchor, values) for anchor in dense]
    lookups, asked, shorts, briefest = _lookups(dense, accepted)
    nibbles, use_nibbles = _nibbles(dense, accepted, values)
    ends = [0]
    for slot in slots:
        ends.append(ends[-1] + len(slot))
    body = lookups + nibbles + bytes(threes.map) + b"".join(struct.pack("<4I", *v) for v in visits) + struct.pack(f"<{len(ends)}I", *ends)
    body += b"".join(bytes(m.map) for m in (narrow, spread) if m) + b"".join(e for slot in slots for e in slot)
    body += b"".join(heads) + bytes(pool)
    if HEADER.size + len(body) > 0xFFFFFFFF:
        raise UsageError("the tables of these signatures pass 4 GiB")
    furthest = max((a.place for a in anchors), default=0)
    shapes = sum(1 << n for n in (1, 2, 3, 4, _WIDE3, _WIDE4, _SIX, _WIDE6) if marks[n])
    flags = _USE_NIBBLES * use_nibbles | _THREE_BYTES * short
    head = HEADER.pack(
        MAGIC, len(patterns), ends[-1], len(visits), slot_bits, narrow.bits, spread.bits if spread else 0, asked, furthest, len(pool),
        HEADER.size + len(body), shapes, shorts, flags, briefest, 0,
    )  # fmt: skip
    return head + body


def scan_patterns(tables: bytes) -> list[tuple[bytes, bytes, int, int]]:
    """The signatures that were compiled: (bytes, mask, align, phase). UsageError for other bytes."""
    if len(tables) < HEADER.size:
        raise UsageError("not scan tables")
    magic, count, _, _, _, _, _, _, _, pooled, size, *_ = HEADER.unpack_from(tables)
    at = size - pooled - 16 * count
    if magic != MAGIC or size != len(tables) or at < HEADER.size:
        raise UsageError("not scan tables")
    first, out = at + 16 * count, []
    for place, length, align, phase in struct.iter_unpack("<4I", tables[at:first]):
        if not length or phase >= align or place + 2 * length > pooled:
            raise UsageError("damaged scan tables")
        here = first + place
        out.append((tables[here : here + length], tables[here + length : here + 2 * length], align, phase))
    return out
