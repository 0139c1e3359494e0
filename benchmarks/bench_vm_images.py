"""Virtual disks: forensiclib beside reading the raw file, qemu-io and the libyal bindings.

    pytest benchmarks/bench_vm_images.py --benchmark-only
    FORENSICLIB_BENCH_MIB=1024 pytest benchmarks/bench_vm_images.py --benchmark-only
    python benchmarks/bench_vm_images.py         one table, rounds interleaved, CPU time

The media is system files and noise, converted by qemu-img; nothing is compressed unless the name says so.
"""

from __future__ import annotations

import importlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import forensiclib as fl

SIZE = int(os.environ.get("FORENSICLIB_BENCH_MIB", "1024")) << 20
KINDS = {
    "raw": [],
    "vmdk": ["-O", "vmdk"],
    "vmdk-stream": ["-O", "vmdk", "-o", "subformat=streamOptimized"],
    "vhd": ["-O", "vpc", "-o", "force_size=on"],
    "vhdx": ["-O", "vhdx"],
    "qcow2": ["-O", "qcow2"],
    "vdi": ["-O", "vdi"],
    "parallels": ["-O", "parallels"],
}
PEERS = {"vmdk": "pyvmdk", "vmdk-stream": "pyvmdk", "vhd": "pyvhdi", "vhdx": "pyvhdi", "qcow2": "pyqcow"}


def build(folder: Path) -> dict[str, Path]:
    """The disks, by kind."""
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img (Debian: qemu-utils) is not installed")
    rng, out = random.Random(1), {"raw": folder / "media.raw"}
    with out["raw"].open("wb") as file:
        left = SIZE
        for found in sorted(Path("/usr/lib").rglob("*")):
            if left <= SIZE // 2:
                break
            if found.is_file() and not found.is_symlink() and os.access(found, os.R_OK):
                left -= file.write(found.read_bytes()[: left - SIZE // 2])
        while left:
            left -= file.write(rng.randbytes(min(left, 1 << 20)))
    for kind, options in KINDS.items():
        if options:
            out[kind] = folder / f"disk.{kind}"
            subprocess.run(["qemu-img", "convert", "-f", "raw", *options, out["raw"], out[kind]], check=True)
    return out


@pytest.fixture(scope="session")
def disks() -> Iterator[dict[str, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        yield build(Path(folder))


def sequential(image: Any) -> None:
    """All of it in blocks of 1 MiB."""
    buffer = bytearray(1 << 20)
    for at in range(0, image.size, len(buffer)):
        image.read_into(at, buffer)


def places() -> list[int]:
    """Where the random reads begin."""
    rng = random.Random(3)
    return [rng.randrange(SIZE // 4096) * 4096 for _ in range(20_000)]


def peer(kind: str, path: Path) -> Any:
    """libyal's handle of the disk; None where there is no binding."""
    try:
        module = importlib.import_module(PEERS[kind])
    except (KeyError, ModuleNotFoundError):
        return None
    handle = module.handle() if kind.startswith("vmdk") else module.file()
    handle.open(str(path))
    if kind.startswith("vmdk"):
        handle.open_extent_data_files()
    return handle


@pytest.mark.benchmark(group="sequential, 1 MiB blocks")
@pytest.mark.parametrize("kind", KINDS)
def test_sequential(benchmark: Any, disks: dict[str, Path], kind: str) -> None:
    with fl.open_image(disks[kind], format=None if kind != "raw" else "raw") as image:
        benchmark.pedantic(lambda: sequential(image), rounds=3)
        benchmark.extra_info["MB/s"] = round(image.size / benchmark.stats.stats.min / 1e6)


@pytest.mark.benchmark(group="random 4 KiB reads, 20,000")
@pytest.mark.parametrize("who", ["forensiclib", "libyal"])
@pytest.mark.parametrize("kind", KINDS)
def test_random(benchmark: Any, disks: dict[str, Path], kind: str, who: str) -> None:
    if who == "forensiclib":
        with fl.open_image(disks[kind], format=None if kind != "raw" else "raw") as image:
            benchmark.pedantic(lambda: [image.read_at(at, 4096) for at in places()], rounds=3)
        return
    handle = peer(kind, disks[kind])
    if handle is None:
        pytest.skip(f"no libyal binding for {kind} is installed")
    benchmark.pedantic(lambda: [handle.read_buffer_at_offset(4096, at) for at in places()], rounds=2)


@pytest.mark.benchmark(group="random 4 KiB reads, 20,000")
def test_random_qemu_io(benchmark: Any, disks: dict[str, Path]) -> None:
    if shutil.which("qemu-io") is None:
        pytest.skip("qemu-io (Debian: qemu-utils) is not installed")
    script = "\n".join(f"read -q {at} 4096" for at in places())
    command = ["qemu-io", "-r", str(disks["qcow2"])]
    assert benchmark.pedantic(lambda: subprocess.run(command, input=script, text=True, capture_output=True).returncode, rounds=2) == 0


def _cpu(run: Callable[[], object]) -> float:
    before = time.process_time()
    run()
    return time.process_time() - before


def main() -> None:
    """Best of five rounds in turn, CPU time of this process; a program's (qemu-io) with its children's."""
    with tempfile.TemporaryDirectory() as folder:
        made = build(Path(folder))
        images = {kind: fl.open_image(path, format="raw" if kind == "raw" else None) for kind, path in made.items()}
        best: dict[tuple[str, str], float] = {}
        for turn in range(5):
            for kind, image in images.items():
                if kind == "vmdk-stream" and turn > 1:
                    continue
                rows: dict[str, Callable[[], object]] = {"sequential": lambda i=image: sequential(i)}
                rows["random"] = lambda i=image: [i.read_at(at, 4096) for at in places()]
                handle = peer(kind, made[kind]) if turn < 2 else None
                if handle is not None and kind != "vmdk-stream":
                    rows["random libyal"] = lambda h=handle: [h.read_buffer_at_offset(4096, at) for at in places()]
                for what, run in rows.items():
                    best[kind, what] = min(best.get((kind, what), 1e9), _cpu(run))
        base = best["raw", "sequential"]
        print(f"{SIZE >> 20} MiB; raw sequential {SIZE / base / 1e6:.0f} MB/s of CPU time")
        for (kind, what), seconds in sorted(best.items()):
            note = f"{seconds / base:5.2f} x raw" if what == "sequential" else f"{seconds / 20_000 * 1e6:6.2f} us a read"
            print(f"{kind:12} {what:14} {seconds:7.3f} s  {note}")
        if shutil.which("qemu-io") is not None:
            script = "\n".join(f"read -q {at} 4096" for at in places())
            before = os.times()
            subprocess.run(["qemu-io", "-r", str(made["qcow2"])], input=script, text=True, capture_output=True, check=True)
            after = os.times()
            spent = after.children_user + after.children_system - before.children_user - before.children_system
            print(f"qcow2        random qemu-io {spent:7.3f} s  {spent / 20_000 * 1e6:6.2f} us a read")


if __name__ == "__main__":
    sys.exit(main())
