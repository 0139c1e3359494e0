"""The tables of the signature scan: anchors, buckets and the hash that confirms them.

A signature is found by its anchor, the one to four neighbouring bytes of it that are rarest on
disks. Anchors are dealt into 8, 16 or 32 buckets; for each of the four anchor places a table of
256 entries says which buckets accept a byte there. The scan ANDs four look-ups for every offset;
what survives is confirmed by a hash of the anchor and a masked compare of the whole signature.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from itertools import product

from forensiclib.core.errors import UsageError

__all__ = ["HEADER", "MAGIC", "scan_compile", "scan_patterns"]

Pattern = tuple[bytes, bytes | None, int, int]

MAGIC = 0x314E4353
HEADER = struct.Struct("<8I")
"""magic, patterns, entries, groups of 8 buckets, hash bits, largest anchor place, pool bytes, blob bytes."""
_ENTRY = struct.Struct("<4I")
"""anchor bytes as a little-endian number, pattern, place of the anchor in it, next entry + 1."""
_PATTERN = struct.Struct("<4I")
"""place in the pool, length, align, phase."""
_VARIANTS = 256
_MULTIPLIER = 0x9E3779B1

_FREQUENCY = [0.002] * 256
"""How common a byte is on disks, roughly: zero fill, FF fill, text, small integers."""
for _b in range(0x20, 0x7F):
    _FREQUENCY[_b] = 0.006
for _b in b" etaoinsr":
    _FREQUENCY[_b] = 0.02
for _b in range(1, 9):
    _FREQUENCY[_b] = 0.01
_FREQUENCY[0x00], _FREQUENCY[0xFF] = 0.35, 0.05
_FILL = {0x00: 1.0, 0xFF: 0.3, 0x20: 0.1}
"""What a bucket costs that accepts a run of this byte: fill is where a disk is longest."""


def _values(byte: int, mask: int) -> list[int]:
    return [v for v in range(256) if v & mask == byte & mask] if mask != 0xFF else [byte]


def _anchor(pattern: bytes, mask: bytes) -> tuple[int, list[list[int]]]:
    """Place and accepted values of the rarest window; shorter windows only where longer cannot be."""
    best: tuple[float, int, list[list[int]]] | None = None
    for place in range(len(pattern)):
        window: list[list[int]] = []
        rarity, variants = 1.0, 1
        for byte, bits in zip(pattern[place : place + 4], mask[place : place + 4], strict=True):
            values = _values(byte, bits)
            variants *= len(values)
            if variants > _VARIANTS or bits == 0:
                break
            window.append(values)
            rarity *= min(1.0, sum(_FREQUENCY[v] for v in values))
            if best is None or rarity < best[0]:
                best = rarity, place, list(window)
    if best is None:
        raise UsageError("a signature needs at least one byte that is not masked out")
    return best[1], best[2]


class _Bucket:
    """Anchors of one length that share a bit of the tables; knows its cost in false alarms."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.sets: list[set[int]] = [set(), set(), set(), set()]
        self.weights = [0.0] * 4
        self.cost = 0.0

    def cost_with(self, anchor: list[list[int]]) -> float:
        cost, sets = 1.0, self.sets
        for j, values in enumerate(anchor):
            cost *= self.weights[j] + sum(_FREQUENCY[v] for v in values if v not in sets[j])
        for byte, weight in _FILL.items():
            if all(byte in sets[j] or byte in values for j, values in enumerate(anchor)):
                cost += weight
        return cost

    def add(self, anchor: list[list[int]], cost: float) -> None:
        self.cost = cost
        for j, values in enumerate(anchor):
            self.sets[j].update(values)
            self.weights[j] = sum(_FREQUENCY[v] for v in self.sets[j])


def _shares(lengths: list[int], count: int) -> dict[int, int]:
    """How many buckets anchors of each length get: one each, the others where they are most crowded."""
    crowd = Counter(lengths)
    shares = dict.fromkeys(crowd, 1)
    for _ in range(count - len(shares)):
        if crowd:
            shares[max(crowd, key=lambda n: (crowd[n] / shares[n], n))] += 1
    return shares


def _deal(anchors: list[list[list[int]]], count: int) -> list[_Bucket]:
    """Anchors into buckets, one length a bucket, each where it adds least to the false alarms."""
    buckets: list[_Bucket] = []
    shares = _shares([len(a) for a in anchors], count)
    mine = {length: [_Bucket(length) for _ in range(share)] for length, share in sorted(shares.items())}
    for anchor in sorted(anchors):
        choice = mine[len(anchor)]
        price, i = min((b.cost_with(anchor) - b.cost, i) for i, b in enumerate(choice))
        choice[i].add(anchor, choice[i].cost + price)
    for group in mine.values():
        buckets += group
    return buckets + [_Bucket(0) for _ in range(count - len(buckets))]


def scan_compile(patterns: Sequence[Pattern]) -> bytes:
    """Signatures -> the tables that ``scan`` takes, as bytes (cheap to send to another process).

    A pattern is (bytes, mask or None, align, phase): a bit of 0 in the mask matches anything, and
    only absolute offsets with ``offset % align == phase`` count. UsageError for an empty or wholly
    masked pattern, a mask of another length, and more than 65,535 patterns.
    """
    if len(patterns) > 0xFFFF:
        raise UsageError(f"{len(patterns)} signatures; 65535 are possible")
    pool, heads, anchors = bytearray(), [], []
    for pattern, mask, align, phase in patterns:
        bits = b"\xff" * len(pattern) if mask is None else mask
        if not pattern or len(bits) != len(pattern) or len(pattern) > 4096:
            raise UsageError("a signature has 1 to 4096 bytes and a mask as long as itself")
        if align < 1 or not 0 <= phase < align:
            raise UsageError(f"align {align}, phase {phase}")
        heads.append(_PATTERN.pack(len(pool), len(pattern), align, phase))
        pool += bytes(p & m for p, m in zip(pattern, bits, strict=True)) + bits
        anchors.append(_anchor(pattern, bits))
    groups = 1 if len(patterns) <= 64 else 2 if len(patterns) <= 400 else 4
    buckets = _deal([a for _, a in anchors], 8 * groups)
    tables = bytearray(groups * 4 * 256)
    lengths = bytearray(groups * 4)
    for number, bucket in enumerate(buckets):
        group, bit = number >> 3, 1 << (number & 7)
        if bucket.length:
            lengths[group * 4 + bucket.length - 1] |= bit
        for j, values in enumerate(bucket.sets):
            # places behind a short anchor accept everything; an empty bucket accepts nothing
            for value in range(256) if j >= bucket.length and bucket.length else values:
                tables[(group * 4 + j) * 256 + value] |= bit
    entries = [
        (len(a), int.from_bytes(bytes(key), "little"), number, place) for number, (place, a) in enumerate(anchors) for key in product(*a)
    ]
    bits_ = max(8, min(16, (2 * len(entries)).bit_length()))
    slots = [[0] * (1 << bits_) for _ in range(4)]
    packed = bytearray()
    for i, (length, key, number, place) in enumerate(entries):
        slot = (key * _MULTIPLIER & 0xFFFFFFFF) >> (32 - bits_)
        packed += _ENTRY.pack(key, number, place, slots[length - 1][slot])
        slots[length - 1][slot] = i + 1
    body = bytes(tables) + bytes(lengths) + b"".join(struct.pack(f"<{1 << bits_}I", *s) for s in slots) + bytes(packed)
    body += b"".join(heads) + bytes(pool)
    furthest = max((place for place, _ in anchors), default=0)
    return HEADER.pack(MAGIC, len(patterns), len(entries), groups, bits_, furthest, len(pool), HEADER.size + len(body)) + body


def scan_patterns(tables: bytes) -> list[tuple[bytes, bytes, int, int]]:
    """The signatures that were compiled: (bytes, mask, align, phase). UsageError for other bytes."""
    if len(tables) < HEADER.size:
        raise UsageError("not scan tables")
    magic, count, entries, groups, bits, _, pooled, size = HEADER.unpack_from(tables)
    if magic != MAGIC or size != len(tables):
        raise UsageError("not scan tables")
    at = HEADER.size + groups * 4 * 257 + (16 << bits) + entries * _ENTRY.size
    pool = at + count * _PATTERN.size
    if pool + pooled != size:
        raise UsageError("not scan tables")
    out = []
    for place, length, align, phase in _PATTERN.iter_unpack(tables[at:pool]):
        if not length or not align or place + 2 * length > pooled:
            raise UsageError("damaged scan tables")
        first = pool + place
        out.append((tables[first : first + length], tables[first + length : first + 2 * length], align, phase))
    return out
