"""Damaged members of dynamic disks, DDF, Intel RAID and Storage Spaces: volumes or EvidenceError, content that never leaves the members.

Half of the damage is sealed again (checksums written anew), so that what lies behind them meets it.
"""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable

import pytest

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import ByteSource, MemorySource, OverlaySource
from forensiclib.volumes import ddf, imsm, ldm, storagespaces
from tests.volumes import test_ldm, test_storagespaces
from tests.volumes.arrays import members

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
Structures = list[tuple[int, int]]
"""(offset, bytes) of every structure that has a checksum of its own, or is parsed without one."""


def ldm_places(data: bytes) -> Structures:
    base = 34 * 512 if data[512:520] == b"EFI PART" else len(data) - (1 << 20)
    heads = [(base + k * 512, 400) for k in (1, 2, 2045, 2046, 1856, 2047)] + (
        [(3072, 400)] if base != 34 * 512 else [(512, 92), (1024, 400)]
    )
    return [*heads, (base + 17 * 512, 200), *[(base + 18 * 512, 8192)] * 6]


def ldm_seal(raw: bytearray, at: int) -> None:
    if raw[:8] in (b"PRIVHEAD", b"TOCBLOCK"):
        raw[8:12] = bytes(4)
        struct.pack_into(">I", raw, 8, sum(raw))


def ddf_places(data: bytes) -> Structures:
    primary, secondary = struct.unpack_from(">QQ", data, len(data) - 512 + 96)
    out = [(len(data) - 512, 256), (primary * 512, 256), (secondary * 512, 256)]
    for head in (primary * 512, secondary * 512):
        at = struct.unpack_from(">IIIIIIIIII", data, head + 192)
        width = struct.unpack_from(">H", data, head + 134)[0] * 512
        out += [(head + at[2] * 512, at[3] * 512), (head + at[4] * 512, at[5] * 512), (head + at[8] * 512, 512)]
        out += [(head + at[6] * 512, width)] * 4
    return out


def ddf_seal(raw: bytearray, at: int) -> None:
    struct.pack_into(">I", raw, 4, zlib.crc32(bytes(raw[:4]) + b"\xff" * 4 + bytes(raw[8:])))


def imsm_places(data: bytes) -> Structures:
    at = len(data) - 1024
    return [(at, 512), (at - 512, 512)]


def imsm_seal(raw: bytearray, at: int) -> None:
    size = int.from_bytes(raw[36:40], "little")
    if raw[:5] == b"Intel" and size <= 512:
        raw[32:36] = bytes(4)
        struct.pack_into("<I", raw, 32, sum(struct.unpack(f"<{size // 4}I", raw[: size // 4 * 4])) & 0xFFFFFFFF)


def spaces_places(data: bytes) -> Structures:
    return [(0, 64), (4096, 64), (4608, 4096)]


def no_seal(raw: bytearray, at: int) -> None:
    pass


Case = tuple[VolumeLayer, Callable[[], list[bytes]], Callable[[bytes], Structures], Callable[[bytearray, int], None]]
CASES: dict[str, Case] = {
    **{f"ldm-{n}": (ldm.FORMAT, lambda n=n: test_ldm.DISKS[n], ldm_places, ldm_seal) for n in ("mbr", "mixed")},
    **{f"ddf-{n}": (ddf.FORMAT, lambda n=n: members("ddf", n), ddf_places, ddf_seal) for n in ("r5left-symmetric", "r10", "two", "stale")},
    **{f"imsm-{n}": (imsm.FORMAT, lambda n=n: members("imsm", n), imsm_places, imsm_seal) for n in ("r1", "r5", "stale")},
    "spaces": (storagespaces.FORMAT, lambda: [test_storagespaces.member(i, 2) for i in range(2)], spaces_places, no_seal),
}


def damaged(data: bytes, number: int, places: Structures, seal: Callable[[bytearray, int], None], rng: random.Random) -> ByteSource:
    """A member over which damaged structures lie."""
    patches: dict[int, bytearray] = {}
    for _ in range(rng.choice((0, 1, 1, 2, 8))):
        at, size = rng.choice(places)
        raw = patches.setdefault(at, bytearray(data[at : at + max(size, 512)]))
        used = len(raw[:size].rstrip(b"\0\xff")) or size
        for _ in range(rng.choice((1, 1, 3))):
            place, width = rng.randrange(used), rng.choice((1, 1, 2, 4, 8))
            value = rng.choice((rng.randbytes(width), b"\xff" * width, bytes(width), b"\x7f" + b"\xff" * (width - 1)))
            raw[place : place + width] = value[: len(raw) - place]
        if rng.random() < 0.5:
            seal(raw, at)
    base = MemorySource(data, f"devloop{number}")
    return OverlaySource(base, [(at, MemorySource(bytes(raw), f"patch{number}")) for at, raw in sorted(patches.items())])


@pytest.mark.parametrize("case", CASES)
def test_volumes_or_evidence_error(case):
    layer, maker, finder, seal = CASES[case]
    data = maker()
    places = [finder(d) for d in data]
    rng = random.Random(case)
    for number in range(max(COUNT // len(CASES), 20)):
        kept = [i for i in range(len(data)) if rng.random() > 0.1] or [0]
        sources = [damaged(data[i], i, places[i], seal, rng) for i in kept]
        budget = Budget(Limits(seconds=20))
        try:
            volumes = layer.open([Volume(s, index=0, start=0, scheme="disk") for s in sources if layer.probe(s)], budget)
        except EvidenceError:
            continue
        for volume in volumes:
            for at in (0, max(0, volume.size - 70000)):
                try:
                    assert len(volume.read_at(at, 70000)) == min(70000, volume.size - at), number
                except EvidenceError:
                    pass
                for span in volume.trace(at, 70000):
                    whole = len(data[int(span.root[7:])]) if span.root.startswith("devloop") else 1 << 22
                    assert not span.root or 0 <= span.start <= span.end <= whole, number
