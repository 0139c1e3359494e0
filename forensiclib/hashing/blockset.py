"""Sets of block digests: millions of them, asked for many at a time."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterable

from forensiclib import kernels
from forensiclib.core.batch import Batch, Column
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, UsageError
from forensiclib.core.span import Span
from forensiclib.hashing.blocks import BLOCK_ALGORITHMS

__all__ = ["BlockSet"]

_FORMAT = "forensiclib block set 1"
_HEADER = 4096
"""The longest first line of a saved set."""


class BlockSet:
    """An immutable set of digests of one algorithm, taken over blocks of one size. Any thread may ask.

    It holds the sorted digests and an index of about two bytes a digest, and nothing else.
    """

    __slots__ = ("_index", "_rows", "algorithm", "size", "width")

    def __init__(self, digests: Iterable[bytes] | bytes | bytearray | memoryview, algorithm: str = "md5", size: int = 4096) -> None:
        """``digests``: one behind the other, or one by one; in any order, also more than once. UsageError for another length."""
        if algorithm not in BLOCK_ALGORITHMS:
            raise UsageError(f"no block digest {algorithm!r}; there are {', '.join(BLOCK_ALGORITHMS)}")
        self.algorithm, self.size, self.width = algorithm, size, BLOCK_ALGORITHMS[algorithm]
        if not isinstance(digests, bytes | bytearray | memoryview):
            parts = list(digests)
            if any(len(part) != self.width for part in parts):
                raise UsageError(f"a digest of {algorithm} has {self.width} bytes")
            digests = b"".join(parts)
        self._rows = bytes(kernels.digest_sort(digests, self.width))
        self._index = bytes(kernels.digest_index(self._rows, self.width))

    @classmethod
    def of(cls, batches: Iterable[Batch], *, verdicts: Iterable[str] = ("distinctive",)) -> BlockSet:
        """The digests of block_hashes() whose block was read whole and has one of ``verdicts`` (all blocks where there are none)."""
        kept, wanted, facts = bytearray(), set(verdicts), {"algorithm": "md5", "block_size": "4096"}
        for batch in batches:
            facts = dict(batch.metadata)
            width = BLOCK_ALGORITHMS[facts["algorithm"]]
            data, missing = memoryview(batch.column("digest").data), batch.list("unreadable")
            said = batch.list("verdict") if "verdict" in batch.names else [None] * len(batch)
            for i, (verdict, bad) in enumerate(zip(said, missing, strict=True)):
                if not bad and (verdict is None or verdict in wanted):
                    kept += data[i * width : (i + 1) * width]
        return cls(kept, facts["algorithm"], int(facts["block_size"]))

    def __len__(self) -> int:
        return len(self._rows) // self.width

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, bytes) and len(digest) == self.width and self.find(digest)[0] >= 0

    def __getitem__(self, row: int) -> bytes:
        if not 0 <= row < len(self):
            raise IndexError(row)
        return self._rows[row * self.width : (row + 1) * self.width]

    def find(self, digests: bytes | bytearray | memoryview) -> array[int]:
        """Digests one behind the other -> the row of each in this set, -1 where it is not in it. Releases the GIL."""
        return array("i", bytes(kernels.digest_find(self._rows, self._index, self.width, digests)))

    def mark(self, batch: Batch) -> Batch:
        """The batch of block_hashes() with a column ``known``: whether the digest is in this set. A block that was not read whole
        is never known. UsageError when its digests are of another algorithm or block size."""
        if batch.metadata != {"algorithm": self.algorithm, "block_size": str(self.size)}:
            raise UsageError(f"a set of {self.algorithm} over {self.size} bytes, asked for {dict(batch.metadata)}")
        rows = self.find(memoryview(batch.column("digest").data).cast("B"))
        known = bytes(row >= 0 and not bad for row, bad in zip(rows, batch.list("unreadable"), strict=True))
        return batch.with_columns(Column("known", "bool", known))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a plain file: one line of JSON (format, algorithm, block_size, count), then the sorted digests."""
        head = {"format": _FORMAT, "algorithm": self.algorithm, "block_size": self.size, "count": len(self)}
        with open(path, "wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            file.write(self._rows)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> BlockSet:
        """Read what save() wrote. Raises NotThisFormat, Truncated, or Corrupt when the digests are not in order."""
        name = os.path.basename(os.fspath(path))
        with open(path, "rb") as file:
            first = file.readline(_HEADER)
            try:
                head = json.loads(first)
                good = head["format"] == _FORMAT and first.endswith(b"\n") and head["algorithm"] in BLOCK_ALGORITHMS
                algorithm, size, count = str(head["algorithm"]), int(head["block_size"]), int(head["count"])
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise NotThisFormat("block set", Span(name, 0, len(first)), "no header line") from error
            if not good:
                raise NotThisFormat("block set", Span(name, 0, len(first)), f"{str(head['format'])[:40]!r}")
            data = file.read()
        width = BLOCK_ALGORITHMS[algorithm]
        if len(data) != count * width:
            raise Truncated("block set", Span(name, len(first), len(data)), f"{count} digests of {width} bytes are promised")
        found = cls(data, algorithm, size)
        if found._rows != data:
            raise Corrupt("block set", Span(name, len(first), len(data)), "the digests are not in order, or not once each")
        return found
