"""Deleted files of ext2 and ext3 by their indirect blocks: inode and size are gone, the block lists are still there.

A block map keeps 12 block numbers in the inode and the others in indirect blocks (ext4.rst, "Direct/Indirect
Block Addressing"). Deleting clears the inode; its indirect blocks are only given back. A free block that is
nothing but a list of free blocks, and then zeros, is taken for one. The 12 blocks that the inode named are
supposed to lie before the first one of the list, where the allocator puts them when it can: who uses the
content must prove it by its own structure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from forensiclib.core.limits import Budget
from forensiclib.filesystems.tsk.blocks import free_ranges
from forensiclib.filesystems.tsk.ext import POINTERS_DIRECT, POINTERS_LEVELS, ExtVolume

__all__ = ["loose_files"]

WINDOW = 1 << 20

Pointers = tuple[int, ...]


@dataclass(slots=True)
class _Lists:
    """Indirect blocks by their number, each with its entries, sorted into levels (1 lists data)."""

    every: dict[int, Pointers]
    levels: list[dict[int, Pointers]] = field(default_factory=list)

    def roots(self, level: int) -> dict[int, Pointers]:
        """Those of a level that no list of the next one names."""
        above = self.levels[level] if level < len(self.levels) else {}
        named = {child for children in above.values() for child in children}
        return {block: entries for block, entries in self.levels[level - 1].items() if block not in named}

    def data(self, block: int, level: int) -> list[int]:
        """The data blocks below a list, in order of content."""
        if level == 1:
            return list(self.levels[0][block])
        return [number for child in self.levels[level - 1][block] for number in self.data(child, level - 1)]


def loose_files(volume: ExtVolume, budget: Budget) -> Iterator[tuple[tuple[int, int], ...]]:
    """(start, length) byte ranges of the content of each file whose indirect blocks are left, in order of content and
    to the end of its last block."""
    lists = _Lists(dict(_candidates(volume, budget)))
    room = volume.block_size // 4
    _sort(lists, room)
    if not lists.every:
        return
    upper = [lists.roots(level) for level in range(2, POINTERS_LEVELS + 1)]
    for block, entries in sorted(lists.roots(1).items()):
        budget.item()
        head = _head(block, entries[0])
        if not _free(volume, head) or any(number in lists.every for number in head):
            continue
        blocks, last, full = [*head, *entries], block, len(entries) == room
        for level, roots in enumerate(upper, 2):
            following = _following(lists, roots, level, blocks[-1], last) if full else None
            if following is None:
                break
            data = lists.data(following, level)
            del roots[following]
            blocks += data
            last, full = following, len(data) == room**level
        if len(set(blocks)) == len(blocks):
            yield tuple((volume.blocks.offset(first), count * volume.block_size) for first, count in _runs(blocks))


def _head(block: int, first: int) -> list[int]:
    """The 12 blocks before the first one of a list, the list itself left out: older allocators put it between."""
    return [number for number in range(first - POINTERS_DIRECT - 1, first) if number != block][-POINTERS_DIRECT:]


def _following(lists: _Lists, roots: dict[int, Pointers], level: int, end: int, before: int) -> int | None:
    """The list that goes on where another ends: its data follows that one's, or it stands itself behind the data or
    behind the other list."""
    follows = (block for block in sorted(roots) if lists.data(block, level)[0] == end + 1)
    behind = (block for block in (end + 1, before + 1) if block in roots)
    return next(chain(follows, behind), None)


def _candidates(volume: ExtVolume, budget: Budget) -> Iterator[tuple[int, Pointers]]:
    size, first, last = volume.block_size, volume.blocks.first, volume.blocks.last
    for start, length in free_ranges(volume.blocks, (last + 1) * size):
        for at in range(start, start + length, WINDOW):
            raw = volume.source.read_at(at, min(WINDOW, start + length - at))
            words = memoryview(raw[: len(raw) // size * size]).cast("I")
            heads = zip(words[:: size // 4].tolist(), words[1 :: size // 4].tolist(), strict=True)
            for number, (one, two) in enumerate(heads):
                if first < one <= last and (two == 0 or first < two <= last):
                    budget.item()
                    entries = _pointers(raw[number * size : (number + 1) * size])
                    block = at // size + number
                    if entries and block not in entries and _free(volume, entries):
                        yield block, entries


def _pointers(raw: bytes) -> Pointers:
    """The numbers of a block that holds distinct numbers and then zeros only, else none."""
    entries = struct.unpack(f"<{len(raw) // 4}I", raw.rstrip(b"\0").ljust(len(raw), b"\0"))
    count = next((i for i, number in enumerate(entries) if number == 0), len(entries))
    return entries[:count] if not any(entries[count:]) and len(set(entries[:count])) == count else ()


def _free(volume: ExtVolume, numbers: Sequence[int]) -> bool:
    """Whether every one is a block of the volume that no file uses now."""
    blocks = volume.blocks
    return all(blocks.clip(first, count) == count and not blocks.in_use(first, count) for first, count in _runs(numbers))


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """(first, count) of numbers that follow each other."""
    out: list[tuple[int, int]] = []
    for number in numbers:
        if out and sum(out[-1]) == number:
            out[-1] = (out[-1][0], out[-1][1] + 1)
        else:
            out.append((number, 1))
    return out


def _sort(lists: _Lists, room: int) -> None:
    """A list of level n + 1 names lists of level n alone, all of them full but the last."""
    rest, below, full = dict(lists.every), lists.every.keys() & (), set[int]()
    lists.levels = []
    for level in range(1, POINTERS_LEVELS + 1):
        if level == 1:
            here = {b: e for b, e in rest.items() if not all(n in lists.every for n in e)}
            full = {b for b, e in here.items() if len(e) == room}
        else:
            here = {b: e for b, e in rest.items() if all(n in below for n in e) and all(n in full for n in e[:-1])}
            full = {b for b, e in here.items() if len(e) == room and e[-1] in full}
        below = set(here)
        rest = {b: e for b, e in rest.items() if b not in here}
        lists.levels.append(here)
