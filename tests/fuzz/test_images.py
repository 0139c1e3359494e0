"""Damaged images: bytes or EvidenceError, within limits."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest

from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.images import raw, split
from forensiclib.images.ewf.ewf import FORMAT
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from tests.images.sets import make_media

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "images"
COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def _read(path: Path, data: bytes, budget: Budget, truth: bytes = b"") -> None:
    """Open the bytes as a set and read all of a small image, the first MiB of a large one. With ``truth``
    what is returned must be it: damage may cost bytes and may not change one."""
    path.write_bytes(data)
    image = FORMAT.open([str(path)], budget)
    try:
        end = min(image.size, 1 << 20)
        for step in (8192, 1 << 18):
            for at in range(0, end, step):
                try:
                    got = image.read_at(at, step)
                except EvidenceError:
                    continue
                assert len(got) == min(step, image.size - at)
                assert not truth or got == truth[at : at + step]
        image.data.trace(0, end)
        image.data.stored(0, end)
    finally:
        image.close()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["encase6.E01", "encase1.E01", "smart.s01", "ewfx.E01"])
def test_a_mutated_set_gives_its_bytes_or_evidence_errors(name: str, tmp_path: Path) -> None:
    path, media = tmp_path / name, make_media()

    def run(data: bytes, budget: Budget) -> None:
        # SMART stores no checksum of its table: an entry that points to another chunk cannot be told.
        _read(path, data, budget, b"" if name == "smart.s01" else media)

    sample = (SAMPLES / name).read_bytes()
    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT


SUMMED = {"volume": 1048, "data": 1048, "table": 20, "table2": 20, "hash": 32, "digest": 76}
"""Bytes at the start of a section that an Adler-32 follows."""


def _sections(raw: bytes) -> list[tuple[int, str]]:
    out, at = [], 13
    while True:
        name = raw[at : at + 16].rstrip(b"\0").decode()
        out.append((at, name))
        if name == "done":
            return out
        at = int.from_bytes(raw[at + 16 : at + 24], "little")


def _seal(raw: bytearray, start: int, n: int) -> None:
    raw[start + n : start + n + 4] = zlib.adler32(raw[start : start + n]).to_bytes(4, "little")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["encase6.E01", "encase1.E01", "smart.s01"])
def test_hostile_numbers_with_good_checksums(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    sample = (SAMPLES / name).read_bytes()
    sections = _sections(sample)
    span = 76 + 64  # a descriptor and the numbers behind it

    def run(data: bytes, budget: Budget) -> None:
        raw = bytearray(sample)
        for i, (at, kind) in enumerate(sections):
            head = data[i * span : (i + 1) * span]
            raw[at : at + len(head)] = head
            _seal(raw, at, 72)
            if kind in SUMMED:
                _seal(raw, at + 76, 90 if kind == "volume" and name == "smart.s01" else SUMMED[kind])
        _read(path, bytes(raw), budget)

    heads = b"".join(sample[at : at + span].ljust(span, b"\0") for at, _ in sections[:-1])
    assert rows_or_evidence_error(run, mutations(heads, COUNT, seed=2)) == COUNT


@pytest.mark.parametrize("room", [raw, split], ids=["raw", "split"])
def test_raw_bytes_come_back_unless_they_are_another_container(room, tmp_path: Path) -> None:
    path = tmp_path / "media.001"

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data)
        image = room.FORMAT.open([str(path)], budget)
        try:
            assert image.read_at(0, len(data) + 1) == data
        finally:
            image.close()

    sample = (SAMPLES / "encase1.E01").read_bytes()[:4096]
    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT
