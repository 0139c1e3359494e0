"""Deleted files of ext2 and ext3 by their indirect blocks: inode and size are gone, the block lists are still there.

A block map keeps 12 block numbers in the inode and the others in indirect blocks (ext4.rst, "Direct/Indirect
Block Addressing"). Deleting clears the inode; its indirect blocks are only given back. A free block that is
nothing but a list of free blocks, and then zeros, is taken for one. The 12 blocks that the inode named are
supposed to lie before the first one of the list, where the allocator puts them when it can: who uses the
content must prove it by its own structure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from forensiclib.core.limits import Budget
from forensiclib.filesystems.tsk.blocks import free_ranges
from forensiclib.filesystems.tsk.ext import POINTERS_DIRECT, POINTERS_LEVELS, ExtVolume

__all__ = ["loose_files"]

WINDOW = 1 << 20
RUN_BYTES = 192
"""Memory that one run takes here, about."""

Runs = tuple[tuple[int, int], ...]
"""(first block, count) in order of content."""


@dataclass(slots=True)
class _Lists:
    """Indirect blocks by their number, each with its entries as runs, sorted into levels (1 lists data). ``used``
    are those that are in a file already: each is taken once."""

    every: dict[int, Runs]
    levels: list[dict[int, Runs]] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    def roots(self, level: int) -> list[int]:
        """Those of a level that no list of the next one names."""
        above = self.levels[level] if level < len(self.levels) else {}
        named = {child for runs in above.values() for child in _numbers(runs)}
        return sorted(block for block in self.levels[level - 1] if block not in named)

    def first(self, block: int, level: int) -> int:
        """The first data block below a list."""
        for below in range(level, 0, -1):
            block = self.levels[below - 1][block][0][0]
        return block

    def data(self, block: int, level: int) -> list[tuple[int, int]]:
        """The data below a list; nothing below one that is used."""
        if block in self.used:
            return []
        self.used.add(block)
        runs = self.levels[level - 1][block]
        return list(runs) if level == 1 else [run for child in _numbers(runs) for run in self.data(child, level - 1)]


def loose_files(volume: ExtVolume, budget: Budget) -> Iterator[tuple[tuple[int, int], ...]]:
    """(start, length) byte ranges of the content of each file whose indirect blocks are left, in order of content and
    to the end of its last block. LimitExceeded when they take more memory than a structure may."""
    lists = _Lists(dict(_candidates(volume, budget)))
    if not lists.every:
        return
    room = volume.block_size // 4
    _sort(lists, room)
    following = [_Following(lists, level) for level in range(2, POINTERS_LEVELS + 1)]
    for block in lists.roots(1):
        budget.item()
        head = _head(block, lists.first(block, 1))
        if not _free(volume, _runs(head)) or any(number in lists.every for number in head):
            continue
        runs, last, full = [*_runs(head), *lists.data(block, 1)], block, _count(lists.every[block]) == room
        for level, upper in enumerate(following, 2):
            found = upper.after(sum(runs[-1]), last) if full else None
            if found is None:
                break
            more = lists.data(found, level)
            budget.item(len(more))
            runs += more
            last, full = found, _count(more) == room**level
        if _distinct(runs):
            yield tuple((volume.blocks.offset(first), count * volume.block_size) for first, count in _joined(runs))


class _Following:
    """The list of a higher level that goes on where another list ends."""

    def __init__(self, lists: _Lists, level: int) -> None:
        self._roots = set(lists.roots(level))
        self._by_data = {lists.first(block, level): block for block in sorted(self._roots, reverse=True)}

    def after(self, end: int, before: int) -> int | None:
        """Its data begins at block ``end``; or it stands there itself, or behind the other list ``before``."""
        found = self._by_data.get(end)
        for block in (found, end, before + 1):
            if block in self._roots:
                self._roots.remove(block)
                return block
        return None


def _head(block: int, first: int) -> list[int]:
    """The 12 blocks before the first one of a list, the list itself left out: older allocators put it between."""
    return [number for number in range(first - POINTERS_DIRECT - 1, first) if number != block][-POINTERS_DIRECT:]


def _candidates(volume: ExtVolume, budget: Budget) -> Iterator[tuple[int, Runs]]:
    size, first, last = volume.block_size, volume.blocks.first, volume.blocks.last
    kept = 0
    for start, length in free_ranges(volume.blocks, (last + 1) * size):
        for at in range(start, start + length, WINDOW):
            budget.check()
            raw = volume.source.read_at(at, min(WINDOW, start + length - at))
            numbers = struct.unpack_from(f"<{len(raw) // size * (size // 4)}I", raw)
            for place, (one, two) in enumerate(zip(numbers[:: size // 4], numbers[1 :: size // 4], strict=True)):
                if first < one <= last and (two == 0 or first < two <= last):
                    runs = _pointers(numbers[place * size // 4 : (place + 1) * size // 4])
                    block = at // size + place
                    if runs and _free(volume, runs) and not any(low <= block < low + count for low, count in runs):
                        kept += len(runs)
                        budget.allocate("indirect blocks", kept * RUN_BYTES)
                        yield block, runs


def _pointers(entries: Sequence[int]) -> Runs:
    """The numbers of a block that holds distinct numbers and then zeros only, else none."""
    count = next((i for i, number in enumerate(entries) if number == 0), len(entries))
    return tuple(_runs(entries[:count])) if not any(entries[count:]) and len(set(entries[:count])) == count else ()


def _free(volume: ExtVolume, runs: Iterable[tuple[int, int]]) -> bool:
    """Whether every one is a block of the volume that no file uses now."""
    blocks = volume.blocks
    return all(blocks.clip(first, count) == count and not blocks.in_use(first, count) for first, count in runs)


def _numbers(runs: Iterable[tuple[int, int]]) -> Iterator[int]:
    return (number for first, count in runs for number in range(first, first + count))


def _count(runs: Iterable[tuple[int, int]]) -> int:
    return sum(count for _, count in runs)


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    return _joined((number, 1) for number in numbers)


def _joined(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs that follow each other made one."""
    out: list[tuple[int, int]] = []
    for first, count in runs:
        if out and sum(out[-1]) == first:
            out[-1] = (out[-1][0], out[-1][1] + count)
        else:
            out.append((first, count))
    return out


def _distinct(runs: Sequence[tuple[int, int]]) -> bool:
    """Whether no block is in two of them."""
    ordered = sorted(runs)
    return all(sum(low) <= high[0] for low, high in pairwise(ordered))


def _sort(lists: _Lists, room: int) -> None:
    """A list of level n + 1 names lists of level n alone, all of them full but the last."""
    rest = dict(lists.every)
    below: set[int] | dict[int, Runs] = set()
    full: set[int] = set()

    def fits(level: int, children: list[int]) -> bool:
        if level == 1:
            return not all(number in lists.every for number in children)
        return all(number in below for number in children) and all(number in full for number in children[:-1])

    for level in range(1, POINTERS_LEVELS + 1):
        here = {block: runs for block, runs in rest.items() if fits(level, list(_numbers(runs)))}
        full = {b for b, runs in here.items() if _count(runs) == room and (level == 1 or sum(runs[-1]) - 1 in full)}
        below = here
        rest = {b: runs for b, runs in rest.items() if b not in here}
        lists.levels.append(here)
