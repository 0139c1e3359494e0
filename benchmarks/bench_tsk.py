"""A whole listing, ours over pytsk3 (in this process and isolated) beside `fls -r -p`, on an ext4 volume of 2,000 files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.filesystems.tsk.rooms import open_tsk

FILES = 2_000


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by mke2fs -d: no privileges needed."""
    if shutil.which("mke2fs") is None:
        pytest.skip("mke2fs is not installed")
    folder = tmp_path_factory.mktemp("bench")
    root = folder / "root"
    for i in range(FILES):
        path = root / f"d{i % 20}" / f"file{i}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * (i % 9000))
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(folder / "v.img"), "64M"], check=True)
    return folder / "v.img"


def walk(path: Path, isolate: bool) -> int:
    fs = open_tsk(FileSource(path), Budget(), "ext", isolate=isolate)
    count = sum(1 for _ in fs.walk())
    fs.close()
    return count


@pytest.mark.parametrize("isolate", [False, True])
def test_ours(benchmark: Any, volume: Path, isolate: bool) -> None:
    assert benchmark(walk, volume, isolate) >= FILES


def test_fls(benchmark: Any, volume: Path) -> None:
    if shutil.which("fls") is None:
        pytest.skip("fls is not installed")
    benchmark(subprocess.run, ["fls", "-r", "-p", "-m", "", str(volume)], capture_output=True, check=True)


def test_free_ranges(benchmark: Any, volume: Path) -> None:
    fs = open_tsk(FileSource(volume), Budget(), "ext")
    assert benchmark(fs.unallocated)
