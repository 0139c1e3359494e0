"""Read and write AFF4: forensiclib's own E01 of the same media beside it, and pyaff4 where a Python that has it is named.

    FORENSICLIB_PYAFF4=python pytest benchmarks/bench_aff4.py --benchmark-only

CPU time; pyaff4 runs in a process of its own, and what it takes to start is not counted.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.core.writing import WriteOptions
from forensiclib.images.aff4 import aff4
from forensiclib.images.aff4.write import write_aff4
from forensiclib.images.ewf import ewf
from forensiclib.images.ewf.write import write_ewf

SIZE = 64 << 20
PLACES = [random.Random(1).randrange(SIZE - 4096) for _ in range(3000)]
PYAFF4 = """
import sys, time
from pyaff4 import container, rdfvalue
volume = container.Container.openURNtoContainer(rdfvalue.URN.FromFileName(sys.argv[1]))
stream, at, begun = volume.image.dataStream, 0, time.process_time()
while at < stream.Size():
    at += len(stream.Read(1 << 20))
print(time.process_time() - begun, flush=True)
import os; os._exit(0)
"""


@pytest.fixture(scope="session")
def media() -> bytes:
    """System files."""
    out = bytearray()
    for file in sorted(Path("/usr/lib").rglob("*")):
        if len(out) >= SIZE:
            break
        if file.is_file() and not file.is_symlink() and os.access(file, os.R_OK):
            out += file.read_bytes()
    return bytes(out[:SIZE])


@pytest.fixture(scope="session")
def written(media: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the media in every container."""
    folder = tmp_path_factory.mktemp("aff4")
    for name in ("lz4", "deflate", "none"):
        write_aff4(MemorySource(media), str(folder / f"{name}.aff4"), WriteOptions(compression=name), Budget())
    write_ewf(MemorySource(media), str(folder / "fast.E01"), WriteOptions(), Budget())
    return folder


def _image(path: Path) -> Any:
    return (ewf if path.suffix == ".E01" else aff4).FORMAT.open([str(path)], Budget())


def _rate(benchmark: Any) -> None:
    if benchmark.stats is not None:
        benchmark.extra_info["MB/s"] = round(SIZE / benchmark.stats.stats.min / 1e6)


@pytest.mark.parametrize("name", ["fast.E01", "lz4.aff4", "deflate.aff4", "none.aff4"])
@pytest.mark.benchmark(group="read", timer=time.process_time)
def test_read(benchmark: Any, written: Path, name: str) -> None:
    image, buffer = _image(written / name), bytearray(1 << 20)

    def run() -> None:
        for at in range(0, SIZE, 1 << 20):
            image.read_into(at, buffer)

    benchmark.pedantic(run, rounds=5)
    _rate(benchmark)


@pytest.mark.parametrize("name", ["fast.E01", "lz4.aff4", "deflate.aff4", "none.aff4"])
@pytest.mark.benchmark(group="4 KiB at 3,000 places", timer=time.process_time)
def test_random(benchmark: Any, written: Path, name: str) -> None:
    image = _image(written / name)
    benchmark.pedantic(lambda: [image.read_at(at, 4096) for at in PLACES], rounds=5)


@pytest.mark.parametrize("name", ["fast.E01", "lz4.aff4", "deflate.aff4"])
@pytest.mark.benchmark(group="write", timer=time.process_time)
def test_write(benchmark: Any, media: bytes, tmp_path: Path, name: str) -> None:
    count = iter(range(100))

    def run() -> None:
        path = tmp_path / f"{next(count)}{Path(name).suffix}"
        writer = write_ewf if path.suffix == ".E01" else write_aff4
        writer(MemorySource(media), str(path), WriteOptions(compression=Path(name).stem), Budget())

    benchmark.pedantic(run, rounds=3)
    _rate(benchmark)


@pytest.mark.parametrize("name", ["lz4.aff4", "deflate.aff4"])
def test_pyaff4_reads(written: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    python = os.environ.get("FORENSICLIB_PYAFF4")
    if not python:
        pytest.skip("FORENSICLIB_PYAFF4 names no Python that has pyaff4")
    done = subprocess.run([python, "-W", "ignore", "-c", PYAFF4, str(written / name)], capture_output=True, check=True, timeout=600)
    with capsys.disabled():
        print(f"\npyaff4 reads {name}: {SIZE / float(done.stdout) / 1e6:.0f} MB/s of CPU time")
