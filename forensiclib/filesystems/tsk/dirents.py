"""Directory blocks of ext: live entries, those that lie in the slack of others, and directories in free blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib.core.limits import Budget
from forensiclib.filesystems.tsk.blocks import free_ranges
from forensiclib.filesystems.tsk.ext import ExtVolume
from forensiclib.formats import ext

__all__ = ["Dirent", "dirents", "free_directories"]

FIXED = ext.DIRENT_LAYOUT.size
TYPES = 7
WINDOW = 1 << 20
SELF = b"\x0c\0\1\2.\0\0\0"
"""Behind its inode number, the entry with which the first block of a directory begins."""
TAIL = 0xDE
"""The file type of the checksum tail that looks like an entry."""


@dataclass(frozen=True, slots=True)
class Dirent:
    """One name; ``live`` False when it was found in slack."""

    inode: int
    name: bytes
    type: int
    at: int
    live: bool


def dirents(block: bytes, inodes: int) -> list[Dirent]:
    """The entries of a block, none unless the live chain covers it to the end exactly and is made of
    real entries: any block may be handed in. ``inodes`` is the volume's number of inodes.
    """
    chain: list[tuple[int, int]] = []
    at = 0
    while at < len(block):
        if at + FIXED > len(block):
            return []
        inode, length, name_length, kind = ext.DIRENT_LAYOUT.unpack(block, at)
        length = length or 65536
        if length % 4 or length < FIXED + (name_length if inode else 0) or at + length > len(block) or inode > inodes:
            return []
        if inode and (kind > TYPES or not _name(block[at + FIXED : at + FIXED + name_length])):
            return []
        chain.append((at, length))
        at += length
    out: list[Dirent] = []
    for at, length in chain:
        inode, _length, name_length, kind = ext.DIRENT_LAYOUT.unpack(block, at)
        if inode:
            out.append(Dirent(inode, block[at + FIXED : at + FIXED + name_length], kind, at, True))
        taken = FIXED + (name_length + 3 & ~3) if inode else 0
        if kind != TAIL:
            out += _slack(block, at + taken, at + length, inodes)
    return out if any(d.live for d in out) else []


def free_directories(volume: ExtVolume, budget: Budget) -> Iterator[tuple[int, list[Dirent]]]:
    """(inode of the directory, its entries without . and ..) of every free block that is the first one of a directory."""
    size = volume.block_size
    for start, length in free_ranges(volume.blocks, (volume.blocks.last + 1) * size):
        for at in range(start, start + length, WINDOW):
            budget.check()
            raw = volume.source.read_at(at, min(WINDOW, start + length - at))
            here = raw.find(SELF)
            while here >= 0:
                if here % size == 4:
                    entries = dirents(raw[here - 4 : here - 4 + size], volume.sb.inodes)
                    budget.item(len(entries) + 1)
                    if entries and entries[0].name == b".":
                        yield entries[0].inode, [e for e in entries if e.name not in (b".", b"..")]
                here = raw.find(SELF, here + 1)


def _slack(block: bytes, at: int, end: int, inodes: int) -> list[Dirent]:
    out = []
    while at + FIXED + 1 <= end:
        inode, length, name_length, kind = ext.DIRENT_LAYOUT.unpack(block, at)
        name = block[at + FIXED : at + FIXED + name_length]
        fits = 0 < inode <= inodes and length % 4 == 0 and length >= FIXED + name_length and at + FIXED + name_length <= end
        if fits and 0 < kind <= TYPES and _name(name):
            out.append(Dirent(inode, name, kind, at, False))
            at += FIXED + (name_length + 3 & ~3)
        else:
            at += 4
    return out


def _name(name: bytes) -> bool:
    return bool(name) and b"\0" not in name and b"/" not in name
