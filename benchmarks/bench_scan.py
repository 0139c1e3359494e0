"""The signature scan, keyword lists and whole carving, the peers beside them.

PYTHONPATH=. python benchmarks/bench_scan.py [levels]     the table: medians of CPU time, ours and hyperscan in turns (below four minutes)
pytest benchmarks/bench_scan.py --benchmark-group-by=group --benchmark-columns=min,mean,rounds
FORENSICLIB_BENCH_IMAGE=disk.dd pytest benchmarks/bench_scan.py -k image
Hyperscan calls nobody for its matches: what it would cost to take them is not counted against it.
CPU time where the peer is a library in this process, wall time where it is a program (grep, ripgrep, carvers).
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from forensiclib import kernels
from forensiclib.carving.engine import carve
from forensiclib.carving.unit import Signatures
from forensiclib.catalog import load
from forensiclib.core.source import FileSource

SIZE = 16 << 20
Patterns = list[tuple[bytes, bytes | None, int, int]]


def catalogue() -> Patterns:
    return [(s.pattern, s.mask, 1, 0) for c in load().carvers for s in c.signatures]


def signatures(count: int) -> Patterns:
    """Those of the catalogue, then made-up ones of usual lengths."""
    rng = random.Random(11)
    more: Patterns = [(rng.randbytes(rng.choice((3, 4, 4, 6, 8, 8, 12))), None, 1, 0) for _ in range(count)]
    return (catalogue() + more)[:count]


def expression(pattern: bytes, mask: bytes | None) -> bytes:
    """The same signature for hyperscan."""
    out = b""
    for byte, bits in zip(pattern, mask or b"\xff" * len(pattern), strict=True):
        if bits == 0xFF:
            out += b"\\x%02x" % byte
        elif bits == 0:
            out += b"."
        else:
            out += b"[" + b"".join(b"\\x%02x" % v for v in range(256) if v & bits == byte & bits) + b"]"
    return out


@cache
def database(which: str) -> Any:
    """The list for hyperscan, None where that is not installed."""
    try:
        import hyperscan
    except ImportError:
        return None
    caseless = which.startswith("words")
    patterns = LISTS[which]
    found = hyperscan.Database()
    found.compile(
        expressions=[b"".join(b"\\x%02x" % c for c in p) if caseless else expression(p, m) for p, m, _, _ in patterns],
        ids=list(range(len(patterns))),
        elements=len(patterns),
        flags=hyperscan.HS_FLAG_DOTALL | (hyperscan.HS_FLAG_CASELESS if caseless else 0),
    )
    return found


def seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def table(levels: bool) -> None:
    """A line for each list and buffer: GB/s of CPU time."""
    print("cpu:", processor())
    print(f"{'list':26} {'buffer':11} {'hits':>8} {'ours':>7} {'hyperscan':>9} {'ratio':>6}", *(kernels.SCAN_LEVELS if levels else ()))
    for which, patterns in LISTS.items():
        tables, peer = kernels.scan_compile(patterns), None if which == "on sectors" else database(which)
        for name, data in BUFFERS.items():
            best = len(kernels.SCAN_LEVELS) - 1
            hits = len(kernels.scan_columns(tables, data, 0, len(data), 0, 1 << 26, best)[1]) // 4
            ours, theirs = [], []
            for _ in range(7):
                ours.append(seconds(lambda: kernels.scan_columns(tables, data, 0, len(data), 0, 1 << 26, best)))  # noqa: B023
                if peer is not None and len(theirs) < 3:
                    theirs.append(seconds(lambda: peer.scan(data)))  # noqa: B023
            rate = [len(data) / 1e9 / statistics.median(t) if t else 0.0 for t in (ours, theirs)]
            line = f"{which:26} {name:11} {hits:8} {rate[0]:7.2f} {rate[1]:9.2f} {rate[0] / rate[1] if rate[1] else 0:6.2f}"
            for way in range(best if levels else 0):
                took = min(seconds(lambda: kernels.scan_columns(tables, data[: SIZE // 4], level=way)) for _ in range(2))  # noqa: B023
                line += f" {SIZE / 4e9 / took:6.2f}"
            print(line, flush=True)


def buffers() -> dict[str, bytes]:
    rng = random.Random(5)
    out = {"zero": bytes(SIZE), "random": rng.randbytes(SIZE), "text": prose(SIZE)}
    packed = zlib.compress(bytes(rng.choices(b"etaoin shrdlu\n", k=8 << 20)), 1)
    out["compressed"] = (packed * (SIZE // len(packed) + 1))[:SIZE]
    image = os.environ.get("FORENSICLIB_BENCH_IMAGE")
    if image:
        with open(image, "rb") as file:
            out["image"] = file.read(64 << 20)
    return out


def prose(size: int) -> bytes:
    """Manuals that every Debian has; the house's own documents and sources where there are none."""
    found = sorted(Path("/usr/share").glob("perl/*/pod/*.pod")) or sorted(Path(__file__).parents[1].glob("**/*.py"))
    text = b"".join(path.read_bytes() for path in found)
    return (text * (size // len(text) + 1))[:size]


def vocabulary(count: int, shortest: int = 3) -> list[bytes]:
    """Words of the system's list (Debian: wamerican), or made-up ones, always the same."""
    rng = random.Random(2)
    path = Path("/usr/share/dict/words")
    if path.exists():
        words = [w for w in path.read_bytes().split() if w.isascii() and shortest <= len(w) <= 40]
    else:
        words = sorted({bytes(rng.choices(b"eeetttaaooiinnsshrdlu", k=rng.randrange(shortest, 14))) for _ in range(4 * count)})
    return rng.sample(words, count)


def keywords(words: list[bytes]) -> Patterns:
    """Each in UTF-8, UTF-16LE and UTF-16BE, whatever the case of its letters."""
    out: Patterns = []
    for word in words:
        mask = bytes(0xDF if chr(c).isalpha() else 0xFF for c in word)
        want = bytes(c & m for c, m in zip(word, mask, strict=True))
        out.append((want, mask, 1, 0))
        out.append((b"".join(bytes((c, 0)) for c in want), b"".join(bytes((m, 255)) for m in mask), 1, 0))
        out.append((b"".join(bytes((0, c)) for c in want), b"".join(bytes((255, m)) for m in mask), 1, 0))
    return out


BUFFERS = buffers()
LISTS = {
    "40": signatures(40),
    "150": signatures(150),
    "1000": signatures(1000),
    "words 1000": keywords(vocabulary(1000)),
    "words 10000": keywords(vocabulary(10_000)),
    "words 10000 of 5 letters": keywords(vocabulary(10_000, 5)),
    "words 10000 of 8 letters": keywords(vocabulary(10_000, 8)),
    "on sectors": [(p, m, 512, 0) for p, m, _, _ in signatures(150)],
}


def processor() -> str:
    wanted = {"ssse3", "avx2", "bmi2", "avx512f", "avx512bw", "avx512_vbmi", "avx512vbmi", "gfni"}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return " ".join(sorted(wanted.intersection(flags)))


def timed(benchmark, call, size: int) -> None:
    """CPU seconds of the fastest of five, as GB/s, beside the wall time that pytest-benchmark keeps."""
    best = float("inf")

    def run() -> None:
        nonlocal best
        began = time.process_time()
        call()
        best = min(best, time.process_time() - began)

    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    benchmark.extra_info["GB/s of CPU time"] = round(size / best / 1e9, 3)
    benchmark.extra_info["cpu"] = processor()


@pytest.mark.parametrize("level", kernels.SCAN_LEVELS)
@pytest.mark.parametrize("data", BUFFERS)
@pytest.mark.parametrize("which", LISTS)
def test_scan(benchmark, which: str, data: str, level: str) -> None:
    benchmark.group = f"scan {which} {data}"
    tables, buffer, way = kernels.scan_compile(LISTS[which]), BUFFERS[data], kernels.SCAN_LEVELS.index(level)
    timed(benchmark, lambda: kernels.scan_columns(tables, buffer, 0, len(buffer), 0, 1 << 26, way), len(buffer))


@pytest.mark.parametrize("data", BUFFERS)
@pytest.mark.parametrize("which", ["40", "150", "1000", "words 1000"])
def test_scan_hyperscan(benchmark, which: str, data: str) -> None:
    pytest.importorskip("hyperscan")
    benchmark.group = f"scan {which} {data}"
    peer = database(which)
    timed(benchmark, lambda: peer.scan(BUFFERS[data]), len(BUFFERS[data]))


@pytest.mark.parametrize("tool", ["grep", "rg"])
@pytest.mark.parametrize("data", BUFFERS)
@pytest.mark.parametrize("which", ["words 1000", "words 10000"])
def test_scan_program(benchmark, tmp_path: Path, which: str, data: str, tool: str) -> None:
    """Programs that count lines with a word of the list: UTF-8 alone, a third of what ours looks for."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    benchmark.group = f"scan {which} {data}"
    words, file = tmp_path / "words", tmp_path / "data"
    words.write_bytes(b"\n".join(vocabulary(int(which.split()[1]))) + b"\n")
    file.write_bytes(BUFFERS[data])
    command = [tool, "-a", "-c", "-i", "-F", "-f", str(words), str(file)]
    benchmark.pedantic(lambda: subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}), rounds=2)
    benchmark.extra_info["GB/s"] = round(len(BUFFERS[data]) / benchmark.stats.stats.min / 1e9, 3)


@pytest.mark.parametrize("which", LISTS)
def test_scan_compile(benchmark, which: str) -> None:
    benchmark.group = "compile"
    benchmark(kernels.scan_compile, LISTS[which])


def image() -> str:
    path = os.environ.get("FORENSICLIB_BENCH_IMAGE")
    if not path:
        pytest.skip("FORENSICLIB_BENCH_IMAGE names no disk image")
    return path


def test_carve_image(benchmark, tmp_path: Path) -> None:
    benchmark.group = "carve an image to a directory"

    def run() -> None:
        source = FileSource(image())
        for found in carve(source, load().carvers):
            (tmp_path / f"{found.offset}.{found.extension}").write_bytes(found.open(source).read_at(0, found.length))

    benchmark.pedantic(run, rounds=3)


@pytest.mark.parametrize("tool", ["foremost", "photorec"])
def test_carve_image_peer(benchmark, tmp_path: Path, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    benchmark.group = "carve an image to a directory"
    path, numbers = image(), iter(range(99))

    def run() -> None:
        out = tmp_path / f"{tool}{next(numbers)}"
        if tool == "foremost":
            command = ["foremost", "-Q", "-t", "all", "-i", path, "-o", str(out)]
        else:
            command = ["photorec", "/d", str(out), "/cmd", path, "partition_none,fileopt,everything,enable,wholespace,search"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=tmp_path)

    benchmark.pedantic(run, rounds=1)


def test_compile_is_cheap(benchmark) -> None:
    benchmark.group = "compile"
    benchmark(Signatures.of, load().carvers)


if __name__ == "__main__":
    table("levels" in sys.argv)
