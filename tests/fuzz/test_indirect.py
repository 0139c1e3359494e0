"""A damaged ext2 volume: byte ranges inside it, or EvidenceError."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.filesystems.tsk.ext import ExtVolume
from forensiclib.filesystems.tsk.indirect import loose_files
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("mke2fs") is None or shutil.which("debugfs") is None:
        pytest.skip("mke2fs and debugfs (e2fsprogs) are not installed")
    folder: Path = tmp_path_factory.mktemp("ext2")
    (folder / "tree").mkdir()
    for name, size in (("a", 20_000), ("b", 300_000)):
        (folder / "tree" / name).write_bytes(name.encode() * size)
    image = folder / "image"
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-b", "1024", "-N", "16", "-d", folder / "tree", image, "400"], check=True)
    for name in "ab":
        subprocess.run(["debugfs", "-w", "-R", f"rm {name}", image], check=True, capture_output=True)
    return image.read_bytes()


@pytest.mark.timeout(3600)
def test_damage_gives_ranges_of_the_volume_or_an_evidence_error(sample: bytes) -> None:
    assert len(list(loose_files(ExtVolume(MemorySource(sample), Budget()), Budget()))) == 2

    def run(data: bytes, budget: Budget) -> None:
        for pieces in loose_files(ExtVolume(MemorySource(data), budget), budget):
            assert all(start >= 0 and length > 0 and start + length <= len(data) for start, length in pieces)

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT


@pytest.mark.timeout(3600)
def test_damaged_lists(sample: bytes) -> None:
    """Every block of lists in turn, one of its numbers changed: numbers of any kind."""
    volume = ExtVolume(MemorySource(sample), Budget())
    free = {b for b in range(1, volume.blocks.last + 1) if not volume.blocks.in_use(b, 1)}
    lists = [b for b in free if int.from_bytes(sample[b * 1024 : b * 1024 + 4], "little") in free]
    assert lists
    for block in lists:
        for entry in (0, 1, 2, 7, 255):
            for number in (0, 1, block, block + 1, volume.blocks.last, volume.blocks.last + 1, 0xFFFFFFFF):
                data = bytearray(sample)
                at = block * 1024 + entry * 4
                data[at : at + 4] = number.to_bytes(4, "little")
                for pieces in loose_files(ExtVolume(MemorySource(data), Budget()), Budget()):
                    assert all(start + length <= len(data) for start, length in pieces)
