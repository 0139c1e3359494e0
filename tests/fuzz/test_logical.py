"""EWF2, AD1 and logical sets, damaged: bytes and entries, or EvidenceError, within limits."""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from pathlib import Path

import pytest

from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.images import ad1
from forensiclib.images._ltree import logical_files, logical_size
from forensiclib.images.ewf import ewf
from forensiclib.images.ewf2 import ewf2
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from tests.images.sets import make_media, noise, summed
from tests.images.sets2 import ex01, l01, logical, lx01
from tests.images.test_ad1 import ad1 as ad1_segments
from tests.images.test_ad1 import body

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
FILES = {"a.txt": b"hello world", "big.bin": noise(9000), "empty": b""}


def _walk(image) -> None:
    end = min(image.size, 1 << 20)
    for at in range(0, end, 8192):
        try:
            assert len(image.read_at(at, 8192)) == min(8192, image.size - at)
        except EvidenceError:
            continue
    image.data.trace(0, end)
    if hasattr(image.data, "stored"):
        image.data.stored(0, end)
    for entry in image.tree.walk() if image.tree is not None else ():
        try:
            for stream in entry.streams():
                stream.trace(0, 20_000)
                stream.read_at(0, 20_000)
        except EvidenceError:
            continue


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("room", "name", "sample"),
    [(ewf2, "a.Ex01", ex01(make_media())), (ewf2, "b.Ex01", ex01(make_media(), method=2)), (ewf2, "a.Lx01", lx01(FILES)), (ewf, "a.L01", l01(FILES)), (ad1, "a.ad1", ad1_segments(body(FILES))[0])],
    ids=["ex01", "bzip2", "lx01", "l01", "ad1"],
)  # fmt: skip
def test_mutated_sets(room, name: str, sample: bytes, tmp_path: Path) -> None:
    path = tmp_path / name

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data)
        image = room.FORMAT.open([str(path)], budget)
        try:
            _walk(image)
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT


@pytest.mark.timeout(3600)
def test_mutated_lists_of_files() -> None:
    text, media = logical(FILES)

    def run(data: bytes, budget: Budget) -> None:
        listing = data.decode("utf-16-le", "replace")
        assert logical_size(listing, len(media), 8192) >= 0
        for entry in logical_files(listing, MemorySource(media), "m", budget).walk():
            for stream in entry.streams():
                stream.read_at(0, 20_000)

    assert rows_or_evidence_error(run, mutations(text.encode("utf-16-le"), COUNT)) == COUNT


@pytest.mark.timeout(3600)
def test_hostile_numbers_with_good_checksums(tmp_path: Path) -> None:
    path, sample = tmp_path / "a.Ex01", ex01(make_media())
    places, at = [], len(sample) - 64
    while at:
        places.append(at)
        at = struct.unpack_from("<Q", sample, at + 8)[0]

    def run(data: bytes, budget: Budget) -> None:
        raw = bytearray(sample)
        for i, place in enumerate(places):
            raw[place : place + 60] = data[i * 60 : i * 60 + 60].ljust(60, b"\0")
            size = struct.unpack_from("<Q", raw, place + 16)[0]
            if size < place and raw[place] == 4 and size >= 32:
                table = summed(data[-20:-4].rjust(16, b"\1"))
                raw[place - size : place - size + 20] = table
                raw[place + 32 : place + 48] = hashlib.md5(raw[place - size : place]).digest()
            raw[place + 60 : place + 64] = zlib.adler32(raw[place : place + 60]).to_bytes(4, "little")
        path.write_bytes(raw)
        image = ewf2.FORMAT.open([str(path)], budget)
        try:
            _walk(image)
        finally:
            image.close()

    heads = b"".join(sample[p : p + 60] for p in places) + sample[-20:]
    assert rows_or_evidence_error(run, mutations(heads, COUNT, seed=3)) == COUNT
