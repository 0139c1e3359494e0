"""Damaged catalogs and stores: volumes or EvidenceError, and bytes that are all from the disk or none."""

from __future__ import annotations

import os
import random
import struct
from itertools import pairwise

import pytest

from forensiclib.core.entry import Volume
from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.volumes.vss import carved, vss
from tests.volumes.shadows import BLOCK, HEADER_AT, busy

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
SEEDS = (1, 2, 3, 4)


@pytest.mark.parametrize("seed", SEEDS)
def test_volumes_or_evidence_error(seed):
    machine = busy(seed, copies=3, flags=0x440 if seed % 2 else 0x40)
    image = machine.image(per_list=(508, 8)[seed % 2])
    records = [at for at in range(0, len(image), BLOCK) if image[at : at + 16] == image[HEADER_AT : HEADER_AT + 16]]
    rng = random.Random(seed)
    for number in range(max(COUNT // len(SEEDS), 20)):
        data = bytearray(image)
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.choice([HEADER_AT, machine.catalog, *records])
            used = len(data[at : at + BLOCK].rstrip(b"\0")) if at != HEADER_AT else 128
            place = at + rng.randrange(16, max(used, 64))
            width = rng.choice((1, 1, 4, 8))
            far = struct.pack("<Q", rng.choice((0, BLOCK, 1 << 40, (1 << 64) - BLOCK, rng.choice(records), len(data))))
            data[place : place + width] = rng.choice((rng.randbytes(width), b"\xff" * width, bytes(width), far[:width]))
        if rng.random() < 0.1:
            del data[rng.randrange(len(data)) :]
        source = MemorySource(bytes(data), "disk")
        layer = rng.choice((vss, vss, carved)).FORMAT
        if layer is carved.FORMAT and rng.random() < 0.5:
            data[HEADER_AT + 48 : HEADER_AT + 56] = bytes(8)
            source = MemorySource(bytes(data), "disk")
        if not layer.probe(source):
            continue
        budget = Budget()
        try:
            volumes = layer.open([Volume(source, index=0, start=0, scheme="none")], budget)
        except EvidenceError:
            continue
        for volume in volumes:
            assert volume.size <= 4 * max(len(data), 1), number
            for at, n in ((0, BLOCK), (rng.randrange(volume.size + 1), 70000), (max(0, volume.size - 70000), 70000)):
                spans = volume.trace(at, n)
                assert sum(s.length for s in spans) == min(n, volume.size - at), number
                for span in spans:
                    assert not span.root or 0 <= span.start <= span.end <= len(data), number
                try:
                    got = volume.read_at(at, n)
                except EvidenceError:
                    continue
                assert got == b"".join(bytes(data[s.start : s.end]) for s in spans), number
            for ranges in (volume.shadow.changed(), volume.shadow.foreign()):
                assert all(n > 0 for _, n in ranges) and all(a + n < b for (a, n), (b, _) in pairwise(ranges))
