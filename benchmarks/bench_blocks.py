"""Block digests beside a hashlib loop and md5deep; verdicts, and membership of millions.

pytest benchmarks/bench_blocks.py --benchmark-group-by=group --benchmark-columns=min,median,rounds
python benchmarks/bench_blocks.py        # one table: CPU time, interleaved, medians and ratios
"""

from __future__ import annotations

import hashlib
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib import kernels
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.hashing.blocks import block_hashes
from forensiclib.hashing.blockset import BlockSet

SIZE = 32 << 20
DATA = random.Random(3).randbytes(SIZE)
SIZES = (512, 4096)
ALGORITHMS = ("md5", "sha1", "sha256")


def features() -> str:
    """The processor, and what of it matters here."""
    found = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return found
    facts = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    flags = [f for f in facts.get("flags", "").split() if f in ("sse2", "ssse3", "avx2", "sha_ni", "avx512f", "avx512bw", "avx512vl")]
    return f"{facts.get('model name', found)} ({' '.join(flags)}); levels {' '.join(kernels.BLOCK_LEVELS)}"


def loop(algorithm: str, size: int) -> None:
    new, view = getattr(hashlib, algorithm), memoryview(DATA)
    for at in range(0, SIZE, size):
        new(view[at : at + size]).digest()


def whole(path: str, size: int, algorithm: str = "md5", **options) -> None:
    for _ in block_hashes(FileSource(path), size, algorithm, budget=Budget(), **options):
        pass


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("blocks") / "data"
    path.write_bytes(DATA)
    return str(path)


@pytest.mark.parametrize("level", [None, *kernels.BLOCK_LEVELS])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_block_digests(benchmark, algorithm: str, size: int, level: str | None) -> None:
    benchmark.group = f"{algorithm} of {size} bytes; {features()}"
    benchmark(kernels.block_digests, DATA, size, algorithm, level)
    benchmark.extra_info["GB/s"] = SIZE / benchmark.stats.stats.median / 1e9


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hashlib_loop(benchmark, algorithm: str, size: int) -> None:
    benchmark.group = f"{algorithm} of {size} bytes; {features()}"
    benchmark(loop, algorithm, size)


@pytest.mark.parametrize("size", SIZES)
def test_block_hashes_of_a_file(benchmark, file: str, size: int) -> None:
    benchmark.group = f"md5 of a file, {size} bytes"
    benchmark(whole, file, size, verdict=False)


@pytest.mark.parametrize("size", SIZES)
def test_md5deep(benchmark, file: str, size: int) -> None:
    if shutil.which("md5deep") is None:
        pytest.skip("md5deep (Debian package hashdeep) is not installed")
    benchmark.group = f"md5 of a file, {size} bytes"
    benchmark.pedantic(subprocess.run, (["md5deep", "-p", str(size), file],), {"stdout": subprocess.DEVNULL}, rounds=3)


@pytest.mark.parametrize("what", ["entropy", "k_entropy", "verdict"])
@pytest.mark.parametrize("size", SIZES)
def test_measures(benchmark, size: int, what: str) -> None:
    benchmark.group = f"measures of {size} bytes"
    benchmark(kernels.block_measures, DATA, size, **{name: name == what for name in ("entropy", "k_entropy", "verdict")})


def test_membership(benchmark) -> None:
    benchmark.group = "a million digests in a set of two million"
    found = BlockSet(DATA, "md5", 4096)
    asked = DATA[: 8 << 20] + random.Random(4).randbytes(8 << 20)
    benchmark(found.find, asked)


def table() -> None:
    """CPU time of this process, or of the child for a program; every way once a round, so that a busy machine is unfair to none."""

    def own(run: Callable[[], object]) -> float:
        start = time.process_time()
        run()
        return time.process_time() - start

    def child(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(words, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    print(features())
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "data")
        Path(path).write_bytes(DATA)
        for algorithm in ALGORITHMS:
            for size in SIZES:
                ways: dict[str, Callable[[], float]] = {"hashlib loop": lambda a=algorithm, s=size: own(lambda: loop(a, s))}
                for level in (None, *kernels.BLOCK_LEVELS):
                    ways[level or "best"] = lambda a=algorithm, s=size, v=level: own(lambda: kernels.block_digests(DATA, s, a, v))
                ways["block_hashes(file)"] = lambda a=algorithm, s=size: own(lambda: whole(path, s, a, verdict=False))
                ways["  with verdicts"] = lambda a=algorithm, s=size: own(lambda: whole(path, s, a))
                tool = algorithm + "deep"
                if shutil.which(tool):
                    ways[tool] = lambda t=tool, s=size: child(t, "-p", str(s), path)
                times: dict[str, list[float]] = {name: [] for name in ways}
                for _ in range(5):
                    for name, run in ways.items():
                        times[name].append(run())
                base = statistics.median(times["hashlib loop"])
                for name, each in times.items():
                    took = statistics.median(each)
                    print(f"{algorithm:<7}{size:>5}  {name:<20}{SIZE / took / 1e9:7.2f} GB/s  {base / took:6.1f} x hashlib loop")
    quick = MemorySource(bytes(SIZE))
    print(f"all zero: {SIZE / own(lambda: list(block_hashes(quick, budget=Budget()))) / 1e9:.1f} GB/s")


if __name__ == "__main__":
    table()
