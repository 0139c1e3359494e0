"""Disks of one array in several image files: found together, listed, reopened in another process, named by spans."""

from __future__ import annotations

import copy
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.api.units import Place, VolumeSource
from tests.volumes.arrays import INDEX, members


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    out = []
    for number, data in enumerate(members("md", "r5left-symmetric")):
        path = tmp_path / f"disk{number}.dd"
        path.write_bytes(data)
        out.append(path)
    return out


def test_members_of_an_array_join_from_other_images(disks):
    with fl.open_image(disks[0], others=disks[1:]) as image:
        names = [v.name for v in image.volumes()]
        assert names == ["0", "with1.0", "with2.0", "with3.0", "0.md1"]
        array = image.volume("0.md1")
        assert hashlib.sha256(array.read_at(0, array.size)).hexdigest() == INDEX["md"]["r5left-symmetric"]["sum"]
        assert [s.root for s in array.trace(0, 5 * 4096)] == [f"disk{i}.dd" for i in (0, 1, 2, 3, 0)]
        assert image.volume("with1.0").member_of == "md" and image.run.findings == []
        again = copy.deepcopy(VolumeSource(Place.of(array, "native")))  # by the same __reduce__ as a pickle
        assert again.read_at(0, array.size) == array.read_at(0, array.size)


def test_alone_a_disk_says_which_members_are_missing(disks):
    with fl.open_image(disks[0]) as image:
        assert [v.name for v in image.volumes()] == ["0", "0.md1"]
        assert any("3 of 4 are not there" in f.found for f in image.run.findings)


def test_the_command_line_takes_them(disks):
    options = [word for path in disks[1:] for word in ("--with", str(path))]
    out = subprocess.run([sys.executable, "-m", "forensiclib", "info", str(disks[0]), *options], capture_output=True, text=True, check=True)
    assert "volume 0.md1: Linux RAID 5, left-symmetric, 393,216 bytes" in out.stdout


def test_an_other_image_that_is_not_there_is_the_callers_fault(disks):
    with pytest.raises(fl.UsageError):
        fl.open_image(disks[0], others=[disks[0].with_name("none.dd")])
