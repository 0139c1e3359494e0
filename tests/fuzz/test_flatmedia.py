"""AFF, CD, WIM, NAND and packed images, damaged: bytes or EvidenceError, within limits."""

from __future__ import annotations

import gzip as stdlib_gzip
import os
import zipfile
from pathlib import Path

import pytest

from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.images import nand
from forensiclib.images.aff import aff
from forensiclib.images.cdrom import cdrom
from forensiclib.images.packed import gzip, zip
from forensiclib.images.wim import wim
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from tests.images.discs import mode1
from tests.images.disks import content
from tests.images.sets import noise
from tests.images.test_aff import affconvert, put_together, taken_apart
from tests.images.wims import captured

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def _read(image) -> None:
    for at in (0, 4096, 1 << 16, max(0, image.size - 5000)):
        try:
            assert len(image.read_at(at, 20_000)) == max(0, min(20_000, image.size - at))
        except EvidenceError:
            continue
    image.trace(0, min(image.size, 1 << 22))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("options", [(), ("-L",), ("-x",)], ids=["zlib", "lzma", "stored"])
def test_mutated_aff(options: tuple[str, ...], tmp_path: Path) -> None:
    path = affconvert(tmp_path, *options, media=content(5, 512 << 10)[: 80 << 10])
    parts = [(n, a, d[:30] if n.startswith(b"acq") else d) for n, a, d in taken_apart(path.read_bytes())]
    sample = put_together(parts)
    sample = sample if len(sample) < 8192 else sample[:6000] + sample[-2000:]

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data)
        image = aff.FORMAT.open([str(path)], budget)
        try:
            _read(image)
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT


SHEET = b"""REM SESSION 01
FILE "all.bin" BINARY
  TRACK 01 MODE1/2352
    TITLE "x"
    INDEX 01 00:00:00
  TRACK 02 MODE2/2352
    PREGAP 00:02:00
    INDEX 00 00:00:20
    INDEX 01 00:00:25
REM SESSION 02
FILE "all.bin" BINARY
  TRACK 03 AUDIO
    INDEX 01 00:00:10
"""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", ["sheet", "sectors"])
def test_mutated_discs(part: str, tmp_path: Path) -> None:
    sectors = mode1(content(5, 512 << 10)[: 40 * 2048])
    (tmp_path / "all.bin").write_bytes(sectors)
    path = tmp_path / ("disc.cue" if part == "sheet" else "other.bin")

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data)
        image = cdrom.FORMAT.open([str(path)], budget)
        try:
            _read(image)
            for track in image.tracks:
                _read(track)
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(SHEET if part == "sheet" else sectors[: 20 * 2352], COUNT)) == COUNT


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["none", "xpress", "lzx"])
def test_mutated_wims(kind: str, tmp_path: Path) -> None:
    files = {"a.txt": b"hello\n", "dir/text": b"".join(b"line %d\n" % i for i in range(700)), "dir/e/f": b"x" * 70_000}
    path = captured(tmp_path, f"--compress={kind}", "--unix-data", files=files)
    whole = path.read_bytes()
    cut = b"x" * 60_000 if kind == "none" else b""

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data.replace(b"@@CUT@@", cut, 1))
        image = wim.FORMAT.open([str(path)], budget)
        try:
            _read(image)
            for entry in image.tree.walk():
                try:
                    for stream in entry.streams():
                        _read(stream)
                except EvidenceError:
                    continue
        finally:
            image.close()

    sample = whole.replace(cut, b"@@CUT@@", 1) if cut else whole
    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT


@pytest.mark.timeout(3600)
def test_any_bytes_as_a_nand_dump(tmp_path: Path) -> None:
    path = tmp_path / "chip.nand"
    sample = b"".join(noise(512, i) + b"\xff\xff\xff\xff\xff\xff\x01\x02" + noise(8, i) for i in range(64))

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data)
        for text in ("", "512+16", "512+16,block=7", "512+16,separated"):
            try:
                image = (nand.FORMAT.configure(text) if text else nand.FORMAT.open)([str(path)], budget)
            except EvidenceError:
                continue
            try:
                _read(image)
                for track in image.tracks:
                    _read(track)
            finally:
                image.close()

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["stored", "deflated", "zip64", "gzip"])
def test_mutated_archives(kind: str, tmp_path: Path) -> None:
    data = content(5, 512 << 10)[:20_000]
    path = tmp_path / ("disk.dd.gz" if kind == "gzip" else "case.zip")
    if kind == "gzip":
        path.write_bytes(stdlib_gzip.compress(data) + stdlib_gzip.compress(data[:5000]))
    else:
        method = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", method) as archive, archive.open("disk.dd", "w", force_zip64=kind == "zip64") as member:
            member.write(data)
    sample = path.read_bytes()
    room = gzip.FORMAT if kind == "gzip" else zip.FORMAT

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data)
        image = room.open([str(path)], budget)
        try:
            _read(image)
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT
