"""What carving does not look at is said: locked volumes, members of arrays; proven copies are kept beside unproven ones."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.api.carving import carve


@pytest.mark.drivers
def test_a_locked_volume_is_a_finding_of_carving(tmp_path: Path) -> None:
    if shutil.which("cryptsetup") is None:
        pytest.skip("cryptsetup is not installed")
    image = tmp_path / "locked.img"
    image.write_bytes(bytes(20 << 20))
    command = ["cryptsetup", "-q", "luksFormat", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", image, "-"]
    subprocess.run(command, input=b"a passphrase", check=True, capture_output=True)
    run = fl.Run()
    with fl.open_image(image, run=run) as opened:
        assert list(carve(run, opened, everything=True)) == []
    assert [f.kind for f in run.findings] == ["Locked"]
    assert [(r["what"], r["bytes"]) for r in run.ledger.rows() if not r["examined"]] == [("carving", 20 << 20)]
