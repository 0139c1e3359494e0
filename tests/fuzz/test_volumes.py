"""Damaged tables: volumes or EvidenceError, whose volumes never leave the source."""

from __future__ import annotations

import os
import struct
import zlib

import pytest

from forensiclib.core.declare import VolumeSystem
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from forensiclib.volumes import gpt, mbr

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def mbr_sample() -> bytes:
    data = bytearray(64 * 512)
    links = {0: ((0x0C, 1, 9), (5, 20, 44)), 20: ((0x83, 1, 9), (5, 10, 10)), 30: ((7, 1, 9), (5, 20, 10)), 40: ((0x8E, 1, 9),)}
    for sector, entries in links.items():
        raw = b"".join(struct.pack("<B3sB3sII", 0, b"\0" * 3, kind, b"\0" * 3, first, n) for kind, first, n in entries)
        data[sector * 512 + 446 : sector * 512 + 512] = raw.ljust(64, b"\0") + b"\x55\xaa"
    return bytes(data)


def gpt_sample() -> bytes:
    data = bytearray(64 * 512)
    data[446:462] = struct.pack("<B3sB3sII", 0, b"\0" * 3, 0xEE, b"\0" * 3, 1, 63)
    data[510:512] = b"\x55\xaa"
    entries = b"".join(struct.pack("<16s16sQQQ72s", bytes([i] * 16), bytes([9] * 16), 8 * i, 8 * i + 7, 0, b"p\0") for i in (1, 2, 3))
    entries = entries.ljust(1024, b"\0")
    for lba, other, table in ((1, 63, 2), (63, 1, 61)):
        head = struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, lba, other, 4, 60, b"d" * 16, table, 8, 128, zlib.crc32(entries)
        )
        head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
        data[lba * 512 : lba * 512 + 92] = head
        data[table * 512 : table * 512 + 1024] = entries
    return bytes(data)


@pytest.mark.parametrize(("room", "sample"), [(mbr.FORMAT, mbr_sample()), (gpt.FORMAT, gpt_sample())], ids=["mbr", "gpt"])
def test_volumes_or_evidence_error(room: VolumeSystem, sample: bytes) -> None:
    assert [v.state for v in room.open(MemorySource(sample), 512, Budget())].count("allocated") >= 3

    def run(data: bytes, budget: Budget) -> None:
        for volume in room.open(MemorySource(data), 512, budget):
            assert len(volume.read_at(0, 1 << 20)) == min(volume.size, 1 << 20)
            assert volume.start + volume.size <= len(data) or volume.size == 0

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT
