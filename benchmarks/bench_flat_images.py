"""AFF, WIM, raw discs and packed images read from end to end: forensiclib beside the formats' own programs.

    python benchmarks/bench_flat_images.py                    one table, rounds interleaved, CPU time
    pytest benchmarks/bench_flat_images.py --benchmark-only

The media is system files; each program reads the file that affconvert, wimlib-imagex or gzip wrote of it.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.kernels import cd_edc

SIZE = int(os.environ.get("FORENSICLIB_BENCH_MIB", "128")) << 20
SYNC = b"\0" + b"\xff" * 10 + b"\0"
NAMES = ("aff", "lzx.wim", "xpress.wim", "dd.gz", "bin")


def build(folder: Path) -> dict[str, tuple[Path, list[str]]]:
    """(file, the program that reads it all, if there is one) by kind."""
    for name in ("affconvert", "wimlib-imagex", "gzip"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
    tree = folder / "tree"
    tree.mkdir()
    raw, left = folder / "media.raw", SIZE
    with raw.open("wb") as file:
        for number, found in enumerate(sorted(Path("/usr/lib").rglob("*"))):
            if left <= 0:
                break
            if found.is_file() and not found.is_symlink() and os.access(found, os.R_OK):
                data = found.read_bytes()[:left]
                (tree / str(number)).write_bytes(data)
                left -= file.write(data)
        file.truncate(file.tell() & ~2047)
    subprocess.run(["affconvert", "-q", "-o", "disk.aff", raw], check=True, cwd=folder)
    for kind in ("lzx", "xpress"):
        subprocess.run(["wimlib-imagex", "capture", tree, folder / f"{kind}.wim", f"--compress={kind}"], check=True, capture_output=True)
    subprocess.run(["gzip", "-k", raw], check=True)
    (folder / "media.raw.gz").rename(folder / "disk.dd.gz")
    with (folder / "disk.bin").open("wb") as out:
        data = raw.read_bytes()
        for at in range(0, len(data), 2048):
            sector = SYNC + b"\0\2\0\1" + data[at : at + 2048]
            out.write(sector + cd_edc(sector).to_bytes(4, "little") + bytes(284))
    return {
        "aff": (folder / "disk.aff", ["affcat", "-q", str(folder / "disk.aff")]),
        "lzx.wim": (folder / "lzx.wim", ["wimlib-imagex", "verify", str(folder / "lzx.wim")]),
        "xpress.wim": (folder / "xpress.wim", ["wimlib-imagex", "verify", str(folder / "xpress.wim")]),
        "dd.gz": (folder / "disk.dd.gz", ["gzip", "-dc", str(folder / "disk.dd.gz")]),
        "bin": (folder / "disk.bin", []),
    }


def ours(path: Path) -> int:
    """Open and read everything, every checksum checked."""
    with fl.open_image(path) as image:
        return sum(len(image.read_at(at, 1 << 20)) for at in range(0, image.size, 1 << 20))


def theirs(command: list[str]) -> float:
    """CPU seconds of the program."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[str]]]:
    return build(tmp_path_factory.mktemp("flat"))


@pytest.mark.parametrize("kind", NAMES)
def test_read_all(benchmark: Callable[..., object], files: dict[str, tuple[Path, list[str]]], kind: str) -> None:
    assert benchmark(ours, files[kind][0])


def main() -> None:
    """The table."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, (path, command) in build(Path(folder)).items():
            best, peer, size = 1e9, 1e9, 0
            for _ in range(3):
                start = time.process_time()
                size = ours(path)
                best = min(best, time.process_time() - start)
                peer = min(peer, theirs(command)) if command else peer
            beside = f"{command[0]} {size / peer / 1e6:6.0f} MB/s" if command else ""
            sys.stdout.write(f"{kind:12} {size / best / 1e6:6.0f} MB/s   {beside}\n")


if __name__ == "__main__":
    main()
