"""Directory blocks of ext: live entries, and those that lie in the slack of others."""

from __future__ import annotations

from dataclasses import dataclass

from forensiclib.formats import ext

__all__ = ["Dirent", "dirents"]

FIXED = ext.DIRENT_LAYOUT.size
TYPES = 7
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
