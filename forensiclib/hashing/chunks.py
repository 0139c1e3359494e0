"""Content-defined chunks: the same bytes give the same chunks wherever they stand in a source.

FastCDC: Xia and others, "FastCDC: a fast and efficient content-defined chunking approach for data
deduplication" (USENIX ATC 2016), and "The design of fast content-defined chunking" (IEEE TPDS 2020).
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log2
from typing import Any

from forensiclib import kernels
from forensiclib.core.batch import Batch, Column
from forensiclib.core.errors import Truncated, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["Chunking", "chunk_table", "chunks"]

BLOCK = 1 << 20
"""Bytes read at a time; the chunks do not depend on it."""
LEAST, MOST = 64, 1 << 30
"""The smallest minimum and the largest maximum, in bytes."""


def _md5_gear() -> array[int]:
    """The 64-bit numbers of the paper's authors' own program: of each byte 64 times over, the first eight bytes of its MD5, big-endian."""
    sums = [hashlib.md5(bytes([i]) * 64, usedforsecurity=False).digest() for i in range(256)]
    return array("Q", [int.from_bytes(s[:8], "big") for s in sums])


def _aes_gear() -> array[int]:
    """256 31-bit numbers: the key stream of AES-256 in counter mode, key and counter zero, in big-endian words without their top bit."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    stream = Cipher(algorithms.AES(bytes(32)), modes.CTR(bytes(16))).encryptor().update(bytes(1024))
    return array("Q", [int.from_bytes(stream[at : at + 4], "big") & 0x7FFFFFFF for at in range(0, 1024, 4)])


def _spread(bits: int) -> int:
    """A mask of so many ones, evenly over the upper 48 bits: each then depends on 17 bytes or more (section 3.2 of the paper)."""
    return sum(1 << (63 - k * 48 // bits) for k in range(bits))


@dataclass(frozen=True, slots=True)
class Chunking:
    """How to cut.

    average    bytes that chunks tend to; the masks have log2 of it ones, more before and fewer behind it
    minimum    no chunk but the last is shorter; a quarter of the average when None
    maximum    no chunk is longer; eight times the average when None
    level      how many ones the masks have more and fewer (normalised chunking; 0 to 3)
    variant    "fastcdc": 64-bit numbers shifted left, masks spread, as the papers have it, centre at
               the average. "rolling31": 31-bit numbers shifted right and masks of the lowest bits, the
               chunks of the PyPI package fastcdc where ``level`` is 1

    Raises UsageError for sizes that are out of order.
    """

    average: int = 8192
    minimum: int | None = None
    maximum: int | None = None
    level: int = 2
    variant: str = "fastcdc"

    def __post_init__(self) -> None:
        least, most = self.sizes
        if not LEAST <= least <= self.average <= most <= MOST or self.average < 256 or not 0 <= self.level <= 3:
            raise UsageError(f"chunks of {least} to {most} bytes, {self.average} on average, level {self.level}")
        if self.variant not in ("fastcdc", "rolling31"):
            raise UsageError(f"no variant {self.variant!r}; there are fastcdc, rolling31")

    @property
    def sizes(self) -> tuple[int, int]:
        """The shortest and the longest chunk."""
        least = self.average // 4 if self.minimum is None else self.minimum
        return least, self.average * 8 if self.maximum is None else self.maximum

    def cutter(self) -> _Cutter:
        """What cuts one stream of bytes."""
        least, most = self.sizes
        bits = round(log2(self.average))
        if self.variant == "fastcdc":
            masks = _spread(bits + self.level), _spread(bits - self.level)
            return _Cutter(_md5_gear(), least, self.average, most, *masks, right=False)
        centre = max(least, self.average - min(self.average, least + (least + 1) // 2))
        return _Cutter(_aes_gear(), least, centre, most, (1 << bits + self.level) - 1, (1 << bits - self.level) - 1, right=True)


class _Cutter:
    """Bytes in, ends of chunks out."""

    def __init__(self, gear: array[int], least: int, centre: int, most: int, strict: int, loose: int, *, right: bool) -> None:
        self._fixed = (gear, least, centre, most, strict, loose, right)
        self._taken = self._rolled = 0

    def ends(self, data: memoryview) -> array[int]:
        """The offsets in ``data`` behind which a chunk ends."""
        found, self._taken, self._rolled = kernels.gear_cuts(data, *self._fixed, self._taken, self._rolled)
        return found


def _pieces(source: ByteSource, chunking: Chunking, budget: Budget, block: int) -> Iterator[tuple[memoryview, bool]]:
    """The bytes in order, and whether a chunk ends behind them."""
    cutter, view, at = chunking.cutter(), memoryview(bytearray(min(block, source.size))), 0
    while at < source.size:
        budget.check()
        data = view[: source.read_into(at, view[: min(block, source.size - at)])]
        if not data:
            raise Truncated("source", None, f"nothing at {at} of {source.size}")
        done = 0
        for end in cutter.ends(data):
            yield data[done:end], True
            done = end
        at += len(data)
        if done < len(data):
            yield data[done:], at == source.size


def _new(algorithm: str) -> Callable[[], Any]:
    try:
        size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    except (ValueError, TypeError) as error:
        raise UsageError(f"no algorithm {algorithm!r}") from error
    if size == 0:
        raise UsageError(f"the digest of {algorithm} has no fixed length")
    return lambda: hashlib.new(algorithm, usedforsecurity=False)


def chunks(
    source: ByteSource, chunking: Chunking = Chunking(), *, budget: Budget, algorithm: str = "sha256", block: int = BLOCK
) -> Iterator[tuple[int, int, bytes]]:
    """(offset, length, digest) of each chunk of a source, in order; they cover it without a gap.

    algorithm    a name of hashlib whose digest has a fixed length
    block        bytes read at a time; the chunks are the same for any

    Raises UsageError for an unknown algorithm, the source's EvidenceError where it cannot be read,
    and what the budget raises, which counts chunks as records.
    """
    if block < 1:
        raise UsageError(f"block of {block} bytes")
    new = _new(algorithm)
    made, start, length = new(), 0, 0
    for data, last in _pieces(source, chunking, budget, block):
        made.update(data)
        length += len(data)
        if last:
            budget.item()
            yield start, length, made.digest()
            made, start, length = new(), start + length, 0


def chunk_table(
    source: ByteSource, chunking: Chunking = Chunking(), *, budget: Budget, algorithm: str = "sha256", block: int = BLOCK
) -> Batch:
    """chunks() as a Batch: ``offset`` and ``length`` (int64) and the digest, a binary column named after the algorithm.

    Takes about 60 bytes of memory a chunk.
    """
    offsets, lengths, sums, places = array("q"), array("q"), bytearray(), array("q", [0])
    for offset, length, made in chunks(source, chunking, budget=budget, algorithm=algorithm, block=block):
        offsets.append(offset)
        lengths.append(length)
        sums += made
        places.append(len(sums))
    least, most = chunking.sizes
    columns = (Column("offset", "int64", offsets), Column("length", "int64", lengths), Column(algorithm, "binary", sums, places))
    facts = {"chunks": f"{chunking.variant} {least} {chunking.average} {most} level {chunking.level}"}
    return Batch(len(offsets), columns, facts)
