"""Damaged NTFS volumes: rows or EvidenceError, in bounded time."""

from __future__ import annotations

import lzma
import os
from collections.abc import Iterator
from pathlib import Path

from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.filesystems.ntfs.ntfs import FORMAT
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

SAMPLE = Path(__file__).parent.parent / "samples" / "ntfs" / "small.ntfs.xz"
COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def read_all(data: bytes, budget: Budget) -> None:
    """List everything, read the head and tail of every stream, the slack and the free space."""
    fs = FORMAT.open(MemorySource(data), budget)
    for entry in fs.walk():
        for stream in entry.streams():
            for at, n in ((0, 1 << 16), (max(0, stream.size - 100), 100)):
                try:
                    stream.read_at(at, n)
                except EvidenceError:
                    continue
                stream.trace(at, min(n, 4096))
    for _, tail in fs.slack():
        try:
            tail.read_at(0, 4096)
        except EvidenceError:
            continue
    try:
        fs.unallocated()
    except EvidenceError:
        pass


def concentrated(volume: bytes, count: int) -> Iterator[bytes]:
    """Most of a volume is content: half of the damage goes into the $MFT and the boot sector alone."""
    at = int.from_bytes(volume[0x30:0x38], "little") * 512
    for n, damaged in enumerate(mutations(volume[at : at + (192 << 10)], count // 2, seed=2)):
        yield volume[:at] + damaged + volume[at + len(damaged) :]
        if n % 8 == 0:
            yield next(mutations(volume[:512], 1, seed=n)) + volume[512:]
    yield from mutations(volume, count - count // 2 - count // 16, seed=3)


def test_damage_gives_rows_or_evidence_errors() -> None:
    volume = lzma.decompress(SAMPLE.read_bytes())
    assert rows_or_evidence_error(read_all, concentrated(volume, COUNT)) >= COUNT // 2
