"""Disk images of Apple: forensiclib beside libmodi, qemu-img, dmg2img and 7z.

    pytest benchmarks/bench_apple_images.py --benchmark-only
    python benchmarks/bench_apple_images.py      one table, rounds interleaved, CPU time

The media is compiled modules, noise and zeros, in chunks of 256 KiB. The programs also write what they read.
"""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import forensiclib as fl
from tests.images import appledisks

SIZE = 32 << 20
KINDS = ("raw", "zlib", "bzip2", "lzfse", "lzma")
READS = {
    "pymodi": ("raw", "zlib", "lzfse"),
    "qemu-img": ("raw", "zlib"),
    "dmg2img": ("raw", "zlib", "bzip2"),
    "7z": ("raw", "zlib", "bzip2", "lzma"),
}
"""Of libmodi 20260902 not bzip2: it refuses blocks of 256 KiB."""


def build(folder: Path) -> dict[str, Path]:
    """The images, by kind of chunk."""
    code = b"".join(p.read_bytes() for p in sorted(Path(fl.__file__).parent.rglob("*.so")))
    media = (code * (SIZE // max(len(code), 1) + 1))[: SIZE * 3 // 4] + random.Random(1).randbytes(SIZE // 8) + bytes(SIZE // 8)
    return {kind: appledisks.udif(folder / f"{kind}.dmg", media, kind, step=1 << 18) for kind in KINDS}


@pytest.fixture(scope="session")
def images() -> Iterator[dict[str, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        yield build(Path(folder))


def ours(path: Path) -> None:
    """All of it in blocks of 1 MiB."""
    buffer = bytearray(1 << 20)
    with fl.open_image(path) as image:
        for at in range(0, image.size, len(buffer)):
            image.read_into(at, buffer)


def verify(path: Path) -> None:
    with fl.open_image(path) as image:
        assert image.verify().ok


def libmodi(path: Path) -> None:
    import pymodi

    handle = pymodi.handle()
    handle.open(str(path))
    for _ in range(0, handle.get_media_size(), 1 << 20):
        handle.read_buffer(1 << 20)


def program(*command: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        out = str(path.with_suffix(".out"))
        arguments = [str(path) if a == "IN" else out if a == "OUT" else a for a in command]
        subprocess.run(arguments, check=True, capture_output=True)

    return run


def jobs(kind: str) -> dict[str, Callable[[Path], None]]:
    """Who can read that kind of chunk, as far as it is installed."""
    out: dict[str, Callable[[Path], None]] = {"ours": ours, "ours, verify": verify}
    try:
        import pymodi as _pymodi  # noqa: F401

        out |= {"pymodi": libmodi}
    except ImportError:
        pass
    out |= {"qemu-img": program("qemu-img", "convert", "-f", "dmg", "-O", "raw", "IN", "OUT")} if shutil.which("qemu-img") else {}
    out |= {"dmg2img": program("dmg2img", "-s", "IN", "OUT")} if shutil.which("dmg2img") else {}
    out |= {"7z": program("7z", "t", "-tdmg", "IN")} if shutil.which("7z") else {}
    return {name: job for name, job in out.items() if kind in READS.get(name, KINDS)}


@pytest.mark.parametrize("who", ["ours", "ours, verify", *READS])
@pytest.mark.parametrize("kind", KINDS)
def test_udif(benchmark: Any, images: dict[str, Path], kind: str, who: str) -> None:
    job = jobs(kind).get(who)
    if job is None:
        pytest.skip(f"{who} does not read {kind}, or is not installed")
    benchmark.group = kind
    benchmark.pedantic(job, args=(images[kind],), rounds=3)
    benchmark.extra_info["MB/s"] = SIZE / benchmark.stats.stats.median / 1e6


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main(rounds: int = 3) -> None:
    """The table."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in build(Path(folder)).items():
            best: dict[str, float] = {}
            for _ in range(rounds):
                for name, job in jobs(kind).items():
                    start = _cpu()
                    job(path)
                    best[name] = min(best.get(name, 1e9), _cpu() - start)
            row = ", ".join(f"{name} {SIZE / took / 1e6:,.0f}" for name, took in best.items())
            print(f"{kind:6} MB/s of CPU time: {row}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
