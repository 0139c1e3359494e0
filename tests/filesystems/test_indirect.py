"""Deleted files by their indirect blocks, on images of mke2fs, debugfs and the driver."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from forensiclib.core.entry import FileSystem
from forensiclib.core.limits import Budget
from forensiclib.core.source import ExtentSource, FileSource, MemorySource
from forensiclib.filesystems.tsk.rooms import open_tsk

sys.path.insert(0, os.path.dirname(__file__))
from tsk_images import blob, mounted, need, run

SIZES = {"thirteen": 13 * 1024, "single": 200 * 1024 + 7, "full": 268 * 1024, "double": 2_000_000, "live": 700_000}
GONE = {name: blob(name, size) for name, size in SIZES.items() if name != "live"}


def by_debugfs(folder: Path) -> Path:
    """The lists stand between the data, as in the first drivers."""
    need("mke2fs", "debugfs")
    tree = folder / "tree"
    tree.mkdir()
    for name, size in SIZES.items():
        (tree / name).write_bytes(blob(name, size))
    image = folder / "ext2.img"
    run("mke2fs", "-q", "-t", "ext2", "-b", "1024", "-d", tree, image, "8192")
    for name in GONE:
        subprocess.run(["debugfs", "-w", "-R", f"rm {name}", image], check=True, capture_output=True)
    return image


def by_driver(folder: Path, kind: str) -> Path:
    """The lists stand where the running kernel puts them."""
    need("mke2fs")
    image = folder / f"{kind}.img"
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    run("mke2fs", "-q", "-t", kind, "-b", "1024", image)
    with mounted(image, folder / "mnt") as root:
        for name, size in SIZES.items():
            (root / name).write_bytes(blob(name, size))
            os.sync()
    with mounted(image, folder / "mnt") as root:
        for name in GONE:
            (root / name).unlink()
    return image


def contents(fs: FileSystem, image: Path) -> list[bytes]:
    out = []
    for pieces in fs.loose():
        content = ExtentSource(FileSource(image), pieces)
        out.append(content.read_at(0, content.size))
    return out


def test_lists_between_the_data(tmp_path: Path) -> None:
    image = by_debugfs(tmp_path)
    fs = open_tsk(FileSource(image), Budget(), "ext")
    found = contents(fs, image)
    assert sorted(found) == sorted(data.ljust(-(-len(data) // 1024) * 1024, b"\0") for data in GONE.values())


@pytest.mark.drivers
@pytest.mark.parametrize("kind", ["ext2", "ext3"])
def test_lists_of_the_driver(tmp_path: Path, kind: str) -> None:
    image = by_driver(tmp_path, kind)
    fs = open_tsk(FileSource(image), Budget(), "ext")
    found = contents(fs, image)
    wanted = [data.ljust(-(-len(data) // 1024) * 1024, b"\0") for data in GONE.values()]
    if kind == "ext2":
        assert all(data in found for data in wanted)
    assert not [data[:20] for data in found if data not in wanted], "no content but that of deleted files"


@pytest.mark.drivers
def test_files_of_a_deleted_directory_are_listed(tmp_path: Path) -> None:
    """Some kernels wipe names at deletion: a name is the right one or none."""
    need("mke2fs")
    image = tmp_path / "ext2.img"
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    run("mke2fs", "-q", "-t", "ext2", image)
    with mounted(image, tmp_path / "mnt") as root:
        for folder in ("gone/deep", "stays"):
            (root / folder).mkdir(parents=True)
            for name in SIZES:
                (root / folder / name).write_bytes(blob(name, 5000))
        wanted = {(root / "gone/deep" / name).stat().st_ino: name for name in SIZES}
    with mounted(image, tmp_path / "mnt") as root:
        shutil.rmtree(root / "gone")
    budget = Budget()
    fs = open_tsk(FileSource(image), budget, "ext")
    lost = {e.id: e for e in fs.walk() if e.state == "orphan"}
    assert wanted.keys() <= lost.keys()
    assert all(lost[n].path.endswith((f"deep/{name}", f"$OrphanFiles/OrphanFile-{n}")) for n, name in wanted.items())
    assert all(fs.entry(n).path == lost[n].path for n in lost)
    assert {e.verdict for e in lost.values()} == {"unknown"}
    assert not budget.findings, "a directory that kept no content is no damage"


def test_extents_have_no_such_lists(tmp_path: Path) -> None:
    need("mke2fs")
    image = tmp_path / "ext4.img"
    run("mke2fs", "-q", "-t", "ext4", image, "4096")
    assert list(open_tsk(FileSource(image), Budget(), "ext").loose()) == []


def test_a_volume_cut_short_is_told_and_nothing_past_its_end_is_judged(tmp_path: Path) -> None:
    whole = by_debugfs(tmp_path).read_bytes()
    budget = Budget()
    half = len(whole) // 2
    fs = open_tsk(MemorySource(whole[:half]), budget, "ext")
    assert [f.what for f in budget.findings] == ["ext file system"]
    assert all(start + length <= half for start, length in fs.unallocated())
    for entry in fs.walk():
        for stream in entry.streams() if entry.kind == "file" else ():
            if any(start is not None and start + length > half for start, length in stream.runs):
                assert entry.verdict in ("", "unknown"), entry.path
