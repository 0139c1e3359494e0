"""What the journal of ext3 and ext4 still holds: older copies of metadata blocks, by transaction.

The journal is a ring that is not wiped: after a clean unmount its blocks stay until new
transactions overwrite them. Every descriptor block found in it is read, whatever its age.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats import jbd2
from forensiclib.formats._dsl import parse

__all__ = ["Copy", "Journal"]

MAGIC_BYTES = jbd2.MAGIC.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Copy:
    """A block of the file system as transaction ``sequence`` wrote it; ``at`` is the byte offset of
    the copy in the journal; ``committed`` says that its commit block was found."""

    block: int
    sequence: int
    at: int
    escaped: bool
    committed: bool
    checksum: int | None


class Journal:
    """The copies in one journal, oldest transaction first."""

    def __init__(self, source: ByteSource, budget: Budget) -> None:
        """NotThisFormat without a journal superblock. Damage inside goes to ``budget.report``."""
        self.source = source
        if source.read_at(0, 4) != MAGIC_BYTES:
            raise NotThisFormat("ext journal", None, "no magic")
        self.sb = sb = parse(jbd2.SUPERBLOCK, source, 0, "ext journal superblock")
        if sb.kind not in (3, 4) or not 1024 <= sb.block_size <= 65536 or sb.block_size & (sb.block_size - 1):
            raise Corrupt("ext journal superblock", None, f"kind {sb.kind}, block size {sb.block_size}")
        self.block_size = sb.block_size
        self.blocks = min(sb.blocks, source.size // sb.block_size)
        incompat = sb.incompat if sb.kind == 4 else 0
        self._v3 = bool(incompat & jbd2.CHECKSUM_V3)
        self._wide = bool(incompat & jbd2.BLOCK_64BIT)
        self._tail = bool(incompat & (jbd2.CHECKSUM_V3 | jbd2.CHECKSUM_V2))
        self._seed = crc32c(0xFFFFFFFF, sb.uuid)
        if not 0 < sb.first < max(self.blocks, 1):
            raise Corrupt("ext journal superblock", None, f"first block {sb.first} of {self.blocks}")
        self.copies = self._scan(budget)

    def _scan(self, budget: Budget) -> tuple[Copy, ...]:
        found: list[Copy] = []
        commits: set[int] = set()
        for index in range(self.sb.first, self.blocks):
            budget.item()
            head = self.source.read_at(index * self.block_size, 12)
            if head[:4] != MAGIC_BYTES:
                continue
            _magic, kind, sequence = jbd2.HEADER_LAYOUT.unpack(head)
            if kind == jbd2.COMMIT:
                commits.add(sequence)
            elif kind == jbd2.DESCRIPTOR:
                found += self._descriptor(index, sequence)
        found = [Copy(c.block, c.sequence, c.at, c.escaped, c.sequence in commits, c.checksum) for c in found]
        return tuple(sorted(found, key=lambda c: (c.sequence, c.at)))

    def _descriptor(self, index: int, sequence: int) -> Iterator[Copy]:
        """The blocks behind one descriptor, until one of them is a journal header: from there on a
        later transaction has written over them."""
        raw = self.source.read_at(index * self.block_size, self.block_size)
        position = index
        for block, flags, checksum in self._tags(raw):
            position = position + 1 if position + 1 < self.blocks else self.sb.first
            at = position * self.block_size
            if position == index or self.source.read_at(at, 4) == MAGIC_BYTES:
                return
            yield Copy(block, sequence, at, bool(flags & jbd2.FLAG_ESCAPED), False, checksum)

    def _tags(self, raw: bytes) -> Iterator[tuple[int, int, int | None]]:
        at, end = 12, self.block_size - (4 if self._tail else 0)
        size = 16 if self._v3 else 12 if self._wide else 8
        while at + size <= end:
            if self._v3:
                block, flags, high, checksum = jbd2.TAG3_LAYOUT.unpack(raw, at)
                yield block | (high << 32 if self._wide else 0), flags, checksum
            else:
                block, _checksum, flags = jbd2.TAG_LAYOUT.unpack(raw, at)
                high = int.from_bytes(raw[at + 8 : at + 12], "big") if self._wide else 0
                yield block | high << 32, flags, None
            at += size
            if not flags & jbd2.FLAG_SAME_UUID:
                at += 16
            if flags & jbd2.FLAG_LAST:
                return

    def read(self, copy: Copy) -> bytes | None:
        """The block, its first word put back when it was escaped; None when its checksum says that
        something else was written over it."""
        raw = self.source.read_at(copy.at, self.block_size)
        if copy.checksum is not None and crc32c(crc32c(self._seed, copy.sequence.to_bytes(4, "big")), raw) != copy.checksum:
            return None
        return MAGIC_BYTES + raw[4:] if copy.escaped else raw


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc32c(crc: int, data: bytes) -> int:
    """CRC-32C (RFC 3720, appendix B.4), without the final inversion, as jbd2 uses it."""
    table = _CRC
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc
