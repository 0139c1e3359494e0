"""Digests: the kernels of every level beside hashlib and the blake3 wheel, stitched passes beside separate ones, and whole files
beside hashdeep.

    pytest benchmarks/bench_digest.py --benchmark-only
    FORENSICLIB_BENCH_RAW=/evidence/disk.dd pytest benchmarks/bench_digest.py --benchmark-only -k file

Kernels are compared by CPU time of one core over 1 MiB that stays in its cache; whole files by wall time (hashdeep is another
process), warm page cache, on as many threads as there are cores.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.hashing.digest import digest
from forensiclib.kernels import SUM_KINDS, SUM_LEVELS, SUM_SHA, crc32, sum_begin, sum_update

DATA = random.Random(1).randbytes(1 << 20)
FILE_BYTES = 1 << 30
THREADS = os.cpu_count() or 1
STITCHES = (("md5", "sha1"), ("md5", "sha256"), ("sha1", "sha256"), ("md5", "sha1", "sha256"))
TRIO = STITCHES[-1]


@pytest.fixture(scope="session", autouse=True)
def _machine() -> None:
    """What the figures are of."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?"
    )
    print(f"\n{model}, {THREADS} cores; levels {', '.join(SUM_LEVELS)}; SHA instructions {'yes' if SUM_SHA else 'no'}")


def _cpu(benchmark: Any, work: Callable[[], object], size: int = len(DATA)) -> None:
    benchmark._timer = time.process_time
    benchmark.pedantic(work, rounds=15, iterations=8, warmup_rounds=1)
    benchmark.extra_info["MB/s, median"] = round(size / benchmark.stats.stats.median / 1e6)


@pytest.mark.benchmark(group="kernels, one core")
@pytest.mark.parametrize("level", range(len(SUM_LEVELS)), ids=SUM_LEVELS)
@pytest.mark.parametrize("name", SUM_KINDS)
def test_kernel(benchmark: Any, name: str, level: int) -> None:
    state = sum_begin(name)
    _cpu(benchmark, lambda: sum_update((name,), (state,), DATA, level))


@pytest.mark.benchmark(group="kernels, one core")
@pytest.mark.parametrize("name", [n for n in SUM_KINDS if n not in ("crc32", "blake3")])
def test_hashlib(benchmark: Any, name: str) -> None:
    made = hashlib.new(name.replace("-", "_"))
    _cpu(benchmark, lambda: made.update(DATA))


@pytest.mark.benchmark(group="kernels, one core")
def test_blake3_wheel(benchmark: Any) -> None:
    made = pytest.importorskip("blake3", reason="the blake3 wheel is not installed").blake3()
    _cpu(benchmark, lambda: made.update(DATA))


@pytest.mark.benchmark(group="kernels, one core")
def test_crc32_libdeflate_or_zlib(benchmark: Any) -> None:
    _cpu(benchmark, lambda: crc32(DATA, 0))


@pytest.mark.benchmark(group="one pass or several, one core")
@pytest.mark.parametrize("names", STITCHES, ids="+".join)
@pytest.mark.parametrize("how", ["stitched", "separate", "hashlib"])
def test_stitched(benchmark: Any, names: tuple[str, ...], how: str) -> None:
    states, made = [sum_begin(n) for n in names], [hashlib.new(n) for n in names]
    work: dict[str, Callable[[], object]] = {
        "stitched": lambda: sum_update(names, states, DATA),
        "separate": lambda: [sum_update((n,), (s,), DATA) for n, s in zip(names, states, strict=True)],
        "hashlib": lambda: [m.update(DATA) for m in made],
    }
    _cpu(benchmark, work[how])


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file in the page cache: $FORENSICLIB_BENCH_RAW or 1 GiB of random bytes."""
    named = os.environ.get("FORENSICLIB_BENCH_RAW")
    path = Path(named) if named else tmp_path_factory.mktemp("digest") / "media.raw"
    if not named:
        with path.open("wb") as out:
            for i in range(FILE_BYTES >> 20):
                out.write(random.Random(i).randbytes(1 << 20))
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass
    yield path
    if not named:
        path.unlink()


def _wall(benchmark: Any, work: Callable[[], object], size: int) -> None:
    benchmark.pedantic(work, rounds=5, warmup_rounds=1)
    benchmark.extra_info["MB/s, median"] = round(size / benchmark.stats.stats.median / 1e6)


@pytest.mark.benchmark(group="whole file")
@pytest.mark.parametrize("threads", sorted({1, THREADS}))
@pytest.mark.parametrize("names", [("md5",), ("sha1",), ("sha256",), TRIO, ("blake3",), (*TRIO, "blake3")], ids="+".join)
def test_file(benchmark: Any, raw: Path, names: tuple[str, ...], threads: int) -> None:
    source = FileSource(raw)
    _wall(benchmark, lambda: digest(source, names, budget=Budget(), threads=threads), source.size)


@pytest.mark.benchmark(group="whole file")
def test_file_hashlib_loop(benchmark: Any, raw: Path) -> None:
    def work() -> list[str]:
        made, buffer = [hashlib.new(n) for n in TRIO], memoryview(bytearray(1 << 20))
        with raw.open("rb", buffering=0) as file:
            while n := file.readinto(buffer):
                for m in made:
                    m.update(buffer[:n])
        return [m.hexdigest() for m in made]

    _wall(benchmark, work, raw.stat().st_size)


@pytest.mark.benchmark(group="whole file")
def test_file_hashdeep(benchmark: Any, raw: Path) -> None:
    if shutil.which("hashdeep") is None:
        pytest.skip("hashdeep (Debian: hashdeep) is not installed")
    command = ["hashdeep", "-c", ",".join(TRIO), str(raw)]
    got = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1].split(",")[1:4]
    assert got == list(digest(FileSource(raw), TRIO, budget=Budget()).values.values())
    _wall(benchmark, lambda: subprocess.run(command, check=True, capture_output=True), raw.stat().st_size)
