"""Damaged members of layers: volumes or EvidenceError, whose content never leaves the members."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence

import pytest

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.volumes import lvm, md
from tests.volumes.arrays import members

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
CASES: list[tuple[VolumeLayer, str, str, Callable[[bytes], Sequence[tuple[int, int]]]]] = []


def lvm_places(data: bytes) -> Sequence[tuple[int, int]]:
    return [(512, 512), (4096, 61440), (65536, 256)]


CASES += [(lvm.FORMAT, "lvm", name, lvm_places) for name in ("simple", "raid5ls", "thin", "snap")]


def md_places(data: bytes) -> Sequence[tuple[int, int]]:
    return [(4096, 300), (0, 300), ((len(data) & ~0xFFFF) - 65536, 4096), (((len(data) // 512 - 16) & ~7) * 512, 300)]


CASES += [(md.FORMAT, "md", name, md_places) for name in ("r5left-symmetric", "r6", "v090r5", "r10f2", "r0original", "linear", "r1")]


@pytest.mark.parametrize(("layer", "kind", "name", "places"), CASES, ids=[f"{c[1]}-{c[2]}" for c in CASES])
def test_volumes_or_evidence_error(layer, kind, name, places):
    data = members(kind, name)
    rng = random.Random(name)
    for number in range(max(COUNT // len(CASES), 20)):
        damaged = [bytearray(d) for d in data]
        for member in damaged:
            used = [(at, n) for at, n in places(bytes(member)) if at < len(member)]
            for _ in range(rng.choice((0, 1, 1, 2, 8))):
                at, n = rng.choice(used)
                span = member[at : at + n].rstrip(b"\0") or member[at : at + n]
                place = at + rng.randrange(len(span))
                width = rng.choice((1, 1, 4, 8))
                value = rng.choice((rng.randbytes(width), b"\xff" * width, bytes(width), b"9" * width))
                member[place : place + width] = value[: len(member) - place]
        kept = [bytes(m) for m in damaged if rng.random() > 0.1] or [bytes(damaged[0])]
        roots = {f"m{i}": len(m) for i, m in enumerate(kept)}
        budget = Budget()
        try:
            sources = [MemorySource(m, f"m{i}") for i, m in enumerate(kept)]
            volumes = layer.open([Volume(s, index=0, start=0, scheme="none") for s in sources if layer.probe(s)], budget)
        except EvidenceError:
            continue
        for volume in volumes:
            for at in (0, max(0, volume.size - 70000)):
                try:
                    assert len(volume.read_at(at, 70000)) == min(70000, volume.size - at), number
                except EvidenceError:
                    pass
                try:
                    spans = volume.trace(at, 70000)
                except EvidenceError:
                    continue
                for span in spans:
                    assert not span.root or 0 <= span.start <= span.end <= roots[span.root], number
