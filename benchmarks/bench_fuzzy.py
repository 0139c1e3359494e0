"""Similarity hashes, chunks and hashes of pictures, the peers beside them. CPU time.

pytest benchmarks/bench_fuzzy.py --benchmark-group-by=group --benchmark-columns=min,mean,rounds -s
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forensiclib import kernels
from forensiclib.core.limits import Budget
from forensiclib.hashing.chunks import Chunking
from forensiclib.hashing.fuzzy import Ssdeep, Tlsh, ssdeep_scores
from forensiclib.hashing.pictures import near_pairs, pdq_pixels

pytest.importorskip("pytest_benchmark")
SIZE = 64 << 20


def buffers() -> dict[str, bytes]:
    text = Path(__file__).read_bytes()
    return {"random": random.Random(5).randbytes(SIZE), "text": (text * (SIZE // len(text) + 1))[:SIZE], "zero": bytes(SIZE)}


@pytest.fixture(scope="module", params=["random", "text", "zero"])
def data(request: pytest.FixtureRequest) -> bytes:
    return buffers()[request.param]


def measured(benchmark: Any, group: str, call: Callable[[], object], count: float, unit: str) -> None:
    """CPU time: the machine may be shared."""
    benchmark._timer = time.process_time
    benchmark.group = group
    benchmark.pedantic(call, rounds=3, warmup_rounds=1)
    benchmark.extra_info["rate"] = f"{count / benchmark.stats.stats.min:.4g} {unit}"
    print(f"\n{group}: {benchmark.extra_info['rate']}")


def test_features() -> None:
    print("\nlevels:", kernels.CTPH_LEVELS, kernels.WHICH)


@pytest.mark.parametrize("level", range(len(kernels.CTPH_LEVELS)), ids=kernels.CTPH_LEVELS)
def test_ssdeep(benchmark: Any, data: bytes, level: int) -> None:
    measured(benchmark, "ssdeep", lambda: kernels.ctph_update(kernels.ctph_state(), data, level), SIZE / 1e6, "MB/s")


def test_ssdeep_libfuzzy(benchmark: Any, data: bytes) -> None:
    try:
        peer = ctypes.CDLL("libfuzzy.so.2")
    except OSError:
        pytest.skip("libfuzzy.so.2 is not installed")
    out = ctypes.create_string_buffer(256)
    measured(benchmark, "ssdeep", lambda: peer.fuzzy_hash_buf(data, len(data), out), SIZE / 1e6, "MB/s")
    made = Ssdeep()
    made.update(data)
    assert out.value.decode() == made.hexdigest()


def test_ssdeep_program(data: bytes, tmp_path: Path) -> None:
    """The program's own CPU time, as the kernel counts it for children."""
    if shutil.which("ssdeep") is None:
        pytest.skip("ssdeep is not installed")
    path = tmp_path / "file"
    path.write_bytes(data)
    times = []
    for _ in range(3):
        before = os.times()
        subprocess.run(["ssdeep", "-s", path], capture_output=True, check=True)
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    print(f"\nthe program ssdeep: {SIZE / 1e6 / min(times):.4g} MB/s")


def test_ssdeep_scores(benchmark: Any) -> None:
    rng, digests = random.Random(1), []
    for _ in range(2000):
        first, second = ("".join(rng.choices("ABCDEFGHIJKLMNOP", k=n)) for n in (60, 31))
        digests.append(f"{3 << rng.randrange(3)}:{first}:{second}")
    measured(benchmark, "scores", lambda: ssdeep_scores(digests[0], digests, budget=Budget()), len(digests), "scores/s")


def test_tlsh(benchmark: Any, data: bytes) -> None:
    measured(benchmark, "tlsh", lambda: Tlsh().update(data), SIZE / 1e6, "MB/s")


def test_tlsh_peer(benchmark: Any, data: bytes) -> None:
    peer = pytest.importorskip("tlsh", reason="py-tlsh is not installed")
    measured(benchmark, "tlsh", lambda: peer.hash(data), SIZE / 1e6, "MB/s")


@pytest.mark.parametrize("variant", ["fastcdc", "rolling31"])
def test_chunks(benchmark: Any, data: bytes, variant: str) -> None:
    """Cutting alone, without the digests of the chunks."""
    measured(benchmark, "chunks", lambda: Chunking(8192, variant=variant).cutter().ends(memoryview(data)), SIZE / 1e6, "MB/s")


def test_chunks_peer(benchmark: Any, data: bytes) -> None:
    peer = pytest.importorskip("fastcdc", reason="fastcdc is not installed")
    measured(benchmark, "chunks", lambda: sum(1 for _ in peer.fastcdc(data, avg_size=8192)), SIZE / 1e6, "MB/s")


WIDTH, HEIGHT = 4000, 3000


def pixels() -> bytes:
    return bytes(random.Random(2).randbytes(WIDTH) * 3) * HEIGHT


def test_pdq(benchmark: Any) -> None:
    made = pixels()
    measured(benchmark, "pdq", lambda: pdq_pixels(made, WIDTH, HEIGHT), WIDTH * HEIGHT / 1e6, "Mpixel/s")


def test_pdq_peer(benchmark: Any) -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    peer = pytest.importorskip("pdqhash", reason="pdqhash is not installed")
    made = numpy.frombuffer(pixels(), "uint8").reshape(HEIGHT, WIDTH, 3).copy()
    measured(benchmark, "pdq", lambda: peer.compute(made), WIDTH * HEIGHT / 1e6, "Mpixel/s")


@pytest.mark.parametrize("width", [8, 32])
def test_matching(benchmark: Any, width: int) -> None:
    left, right = random.Random(3).randbytes(width * 1000), random.Random(4).randbytes(width * 100_000)
    call = lambda: near_pairs(left, right, width, width, budget=Budget())  # noqa: E731
    measured(benchmark, "matching", call, 1000 * 100_000 / 1e6, "million comparisons/s")


def test_distances_by_numpy(benchmark: Any) -> None:
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    one = numpy.frombuffer(random.Random(3).randbytes(32), "uint64")
    many = numpy.frombuffer(random.Random(4).randbytes(32 * 100_000), "uint64").reshape(-1, 4)
    call = lambda: [numpy.bitwise_count(many ^ one).sum(axis=1) for _ in range(10)]  # noqa: E731
    measured(benchmark, "matching", call, 10 * 100_000 / 1e6, "million comparisons/s")
