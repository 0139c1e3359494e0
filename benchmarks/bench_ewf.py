"""Verify and read an E01: forensiclib beside ewfverify and libewf-python.

    pytest benchmarks/bench_ewf.py --benchmark-only
    FORENSICLIB_BENCH_E01=/evidence/disk.E01 pytest benchmarks/bench_ewf.py --benchmark-only

Without the variable a set is acquired once from system files and random bytes (ewfacquire, deflate:fast).
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.hashing.digest import digest
from forensiclib.images.ewf.ewf import FORMAT

SYSTEM_FILES = 200 << 20
RANDOM = 40 << 20


def _mixed(path: Path) -> None:
    """System files and, at the end, incompressible bytes."""
    left = SYSTEM_FILES
    with path.open("wb") as out:
        for file in sorted(Path("/usr/lib").rglob("*")):
            if left <= 0:
                break
            if file.is_file() and not file.is_symlink() and os.access(file, os.R_OK):
                data = file.read_bytes()[:left]
                out.write(data + bytes(-len(data) % 512))
                left -= len(data)
        out.write(random.Random(1).randbytes(RANDOM))


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Path of the E01 to verify."""
    named = os.environ.get("FORENSICLIB_BENCH_E01")
    if named:
        yield named
        return
    if shutil.which("ewfacquire") is None:
        pytest.skip("ewfacquire (Debian: ewf-tools) is not installed and FORENSICLIB_BENCH_E01 is not set")
    folder = tmp_path_factory.mktemp("ewf")
    _mixed(folder / "media.raw")
    command = ["ewfacquire", "-q", "-u", "-c", "deflate:fast", "-d", "sha1", "-t", str(folder / "disk"), str(folder / "media.raw")]
    subprocess.run(command, check=True, capture_output=True)
    yield str(folder / "disk.E01")
    shutil.rmtree(folder)


def _throughput(benchmark: Any, size: int) -> None:
    benchmark.extra_info["MB/s"] = round(size / benchmark.stats.stats.min / 1e6)


def _size(path: str) -> int:
    return FORMAT.open([path], Budget()).size


@pytest.mark.benchmark(group="verify md5")
@pytest.mark.parametrize("threads", [1, 2])
def test_verify_forensiclib(benchmark: Any, evidence: str, threads: int) -> None:
    def run() -> bool:
        image = FORMAT.open([evidence], Budget())
        return digest(image, ("md5",), budget=Budget(), threads=threads)["md5"] == image.hashes["md5"]

    assert benchmark.pedantic(run, rounds=3)
    _throughput(benchmark, _size(evidence))


@pytest.mark.benchmark(group="verify md5")
def test_verify_ewfverify(benchmark: Any, evidence: str) -> None:
    if shutil.which("ewfverify") is None:
        pytest.skip("ewfverify (Debian: ewf-tools) is not installed")

    def run() -> int:
        return subprocess.run(["ewfverify", "-q", evidence], capture_output=True).returncode

    assert benchmark.pedantic(run, rounds=3) == 0
    _throughput(benchmark, _size(evidence))


@pytest.mark.benchmark(group="verify md5 sha1")
def test_verify_both_forensiclib(benchmark: Any, evidence: str) -> None:
    def run() -> str:
        return digest(FORMAT.open([evidence], Budget()), budget=Budget(), threads=2)["sha1"]

    benchmark.pedantic(run, rounds=3)
    _throughput(benchmark, _size(evidence))


@pytest.mark.benchmark(group="verify md5 sha1")
def test_verify_both_ewfverify(benchmark: Any, evidence: str) -> None:
    if shutil.which("ewfverify") is None:
        pytest.skip("ewfverify (Debian: ewf-tools) is not installed")
    command = ["ewfverify", "-q", "-d", "sha1", evidence]
    assert benchmark.pedantic(lambda: subprocess.run(command, capture_output=True).returncode, rounds=3) == 0
    _throughput(benchmark, _size(evidence))


@pytest.mark.benchmark(group="read 1 MiB blocks")
def test_read_forensiclib(benchmark: Any, evidence: str) -> None:
    image, buffer = FORMAT.open([evidence], Budget()), bytearray(1 << 20)

    def run() -> None:
        for at in range(0, image.size, len(buffer)):
            image.read_into(at, buffer)

    benchmark.pedantic(run, rounds=3)
    _throughput(benchmark, image.size)


@pytest.mark.benchmark(group="read 1 MiB blocks")
def test_read_libewf(benchmark: Any, evidence: str) -> None:
    pyewf = pytest.importorskip("pyewf", reason="libewf-python is not installed")
    handle = pyewf.handle()
    handle.open(pyewf.glob(evidence))

    def run() -> None:
        handle.seek(0)
        while handle.read(1 << 20):
            pass

    benchmark.pedantic(run, rounds=3)
    _throughput(benchmark, _size(evidence))


@pytest.mark.benchmark(group="random 4 KiB reads, 2000")
@pytest.mark.parametrize("peer", ["forensiclib", "libewf"])
def test_random_reads(benchmark: Any, evidence: str, peer: str) -> None:
    rng, blocks = random.Random(3), _size(evidence) // 4096
    places = [rng.randrange(blocks) * 4096 for _ in range(2000)]
    if peer == "forensiclib":
        image = FORMAT.open([evidence], Budget())
        benchmark.pedantic(lambda: [image.read_at(at, 4096) for at in places], rounds=3)
        return
    pyewf = pytest.importorskip("pyewf", reason="libewf-python is not installed")
    handle = pyewf.handle()
    handle.open(pyewf.glob(evidence))
    benchmark.pedantic(lambda: [handle.read_buffer_at_offset(4096, at) for at in places], rounds=3)


@pytest.mark.benchmark(group="open")
def test_open(benchmark: Any, evidence: str) -> None:
    benchmark(lambda: FORMAT.open([evidence], Budget()).close())
