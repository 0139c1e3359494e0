"""Digests of many scattered files in one pass over the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.hashing.digest import BLOCK, Digests, Sums, digest, new_sums
from forensiclib.hashing.partial import checked

__all__ = ["Extents", "HashedExtents", "digest_extents"]

GAP = 64 << 10
"""Bytes between two wanted ranges that are read along: cheaper than a second request, and two chunks of most containers."""
MEMORY = 64 << 20
"""Bytes of pieces kept that lie before their turn on the disk."""


@dataclass(frozen=True, slots=True)
class Extents:
    """A file as ExtentSource takes it: (start, length) in stream order, start None for zeros; its size; from where it reads as zero."""

    key: object
    pieces: tuple[tuple[int | None, int], ...]
    size: int
    valid: int | None = None


class HashedExtents(NamedTuple):
    """``again``: it was read by itself, because its pieces lie too far from their order or something in it cannot be read."""

    key: object
    digests: Digests
    again: bool


@dataclass(slots=True)
class _Open:
    """A file of which a part was seen. ``zeros``: stream offset -> length of each sparse piece."""

    file: Extents
    at: int = 0
    sums: Sums | None = None
    zeros: dict[int, int] = field(default_factory=dict)
    early: dict[int, bytes] = field(default_factory=dict)
    kept: int = 0


def _cut(file: Extents, limit: int) -> tuple[list[tuple[int, int, int]], dict[int, int]] | None:
    """(start, length, stream offset) of what is stored, none across a border of blocks, and the zeros; None when the
    pieces do not give the whole file."""
    stored: list[tuple[int, int, int]] = []
    zeros: dict[int, int] = {}
    real = file.size if file.valid is None else min(file.valid, file.size)
    at = 0
    for start, length in file.pieces:
        take = min(length, real - at)
        if take <= 0:
            if length > 0:
                break
            continue
        if start is None:
            zeros[at] = take
        elif start < 0 or start + take > limit:
            return None
        else:
            for low in range(start - start % BLOCK, start + take, BLOCK):
                first, last = max(low, start), min(low + BLOCK, start + take)
                stored.append((first, last - first, at + first - start))
        at += take
    if at < real:
        return None
    if real < file.size:
        zeros[real] = file.size - real
    return stored, zeros


class _Pass:
    def __init__(self, source: ByteSource, names: tuple[str, ...], budget: Budget, memory: int) -> None:
        self.source, self.names, self.budget, self.memory = source, names, budget, memory
        self.open: dict[int, _Open] = {}
        self.kept = 0
        self.nothing = memoryview(bytes(BLOCK))

    def drop(self, number: int) -> None:
        """This file is read by itself, later."""
        self.kept -= self.open.pop(number).kept

    def take(self, number: int, at: int, data: memoryview) -> Digests | None:
        """A piece of a file: hashed if it is its turn, kept if not. The digests when it was the last."""
        one = self.open[number]
        if at != one.at:
            one.early[at] = bytes(data)
            one.kept += len(data)
            self.kept += len(data)
            while self.kept > self.memory:
                self.drop(max(self.open, key=lambda n: (self.open[n].kept, n)))
            return None
        self.feed(one, data)
        return self.on(one)

    def feed(self, one: _Open, data: memoryview) -> None:
        if one.sums is None:
            one.sums = new_sums(self.names)
        one.sums.update(data)
        one.at += len(data)

    def on(self, one: _Open) -> Digests | None:
        """What is at hand and follows: zeros, and pieces that came early."""
        while one.at < one.file.size:
            if (early := one.early.pop(one.at, None)) is not None:
                one.kept -= len(early)
                self.kept -= len(early)
                self.feed(one, memoryview(early))
            elif (left := one.zeros.pop(one.at, 0)) > 0:
                while left:
                    self.budget.check()
                    self.feed(one, self.nothing[: min(left, BLOCK)])
                    left -= min(left, BLOCK)
            else:
                return None
        return Digests((one.sums or new_sums(self.names)).values(), one.file.size)


def digest_extents(
    source: ByteSource,
    files: Sequence[Extents],
    algorithms: Sequence[str] = ("md5", "sha1"),
    *,
    budget: Budget,
    memory: int = MEMORY,
    on_bad: Literal["raise", "fill"] = "raise",
) -> Iterator[HashedExtents]:
    """The digests of every file, in the order in which the disk completes them.

    Each needed block of ``source`` is read once, in disk order, neighbours in one read, whoever shares it. A piece that lies before its
    turn is kept; beyond ``memory`` bytes of them the file that keeps most is given up, and read by itself at the
    end, as are those whose pieces do not cover them or cannot be read: for these all is as ``digest`` of their ExtentSource
    gives it, errors and ``on_bad`` too. The digests are those of reading each file alone.
    """
    names = checked(algorithms)
    sweep, todo = _Pass(source, names, budget, memory), list[tuple[int, int, int, int]]()
    first = set[int]()
    for number, file in enumerate(files):
        cut = _cut(file, source.size)
        if cut is None:
            continue
        one = sweep.open[number] = _Open(file, zeros=cut[1])
        done = sweep.on(one)
        if done is not None:
            first.add(number)
            del sweep.open[number]
            yield HashedExtents(file.key, done, False)
        else:
            todo += [(start, length, at, number) for start, length, at in cut[0]]
    todo.sort()
    buffer, i = memoryview(bytearray(BLOCK)), 0
    while i < len(todo):
        budget.check()
        begin = todo[i][0]
        end, k = begin, i
        while k < len(todo) and todo[k][0] // BLOCK == begin // BLOCK and todo[k][0] <= end + GAP:
            end = max(end, todo[k][0] + todo[k][1])
            k += 1
        wanted = [piece for piece in todo[i:k] if piece[3] in sweep.open]
        i = k
        try:
            if wanted:
                source.read_into(begin, buffer[: end - begin])
        except EvidenceError:
            for number in {piece[3] for piece in wanted}:
                sweep.drop(number)
            continue
        for start, length, at, number in wanted:
            if number in sweep.open and (done := sweep.take(number, at, buffer[start - begin : start - begin + length])) is not None:
                first.add(number)
                del sweep.open[number]
                yield HashedExtents(files[number].key, done, False)
    for number, file in enumerate(files):
        if number not in first:
            alone = ExtentSource(source, file.pieces, file.size, file.valid)
            yield HashedExtents(file.key, digest(alone, names, budget=budget, on_bad=on_bad), True)
