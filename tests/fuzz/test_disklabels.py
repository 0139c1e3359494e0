"""Damaged Apple, BSD and Sun labels that parted made: volumes or EvidenceError."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from forensiclib.core.declare import VolumeSystem
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from forensiclib.volumes import apm, bsd, sun

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


@pytest.mark.drivers
@pytest.mark.parametrize(("label", "room"), [("mac", apm.FORMAT), ("bsd", bsd.FORMAT), ("sun", sun.FORMAT)])
def test_volumes_or_evidence_error(label: str, room: VolumeSystem, tmp_path: Path) -> None:
    if shutil.which("parted") is None:
        pytest.skip("parted is not installed")
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    name = ["one"] if label == "mac" else []
    subprocess.run(["parted", "-s", disk, "mklabel", label, "mkpart", *name, "ext2", "2MiB", "20MiB"], check=True, capture_output=True)

    def run(data: bytes, budget: Budget) -> None:
        for volume in room.open(MemorySource(data), 512, budget):
            assert len(volume.read_at(0, 1 << 20)) == min(volume.size, 1 << 20)

    assert rows_or_evidence_error(run, mutations(disk.read_bytes()[:8192], COUNT)) == COUNT
