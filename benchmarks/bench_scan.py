"""The signature scan and whole carving, the peers beside them.

pytest benchmarks/bench_scan.py --benchmark-group-by=group --benchmark-columns=min,mean,rounds
FORENSICLIB_BENCH_IMAGE=disk.dd pytest benchmarks/bench_scan.py -k image
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from forensiclib import kernels
from forensiclib.carving.engine import carve
from forensiclib.carving.unit import Signatures
from forensiclib.catalog import load
from forensiclib.core.source import FileSource

SIZE = 64 << 20
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


def buffers() -> dict[str, bytes]:
    rng = random.Random(5)
    text = Path(__file__).read_bytes()
    out = {"zero": bytes(SIZE), "random": rng.randbytes(SIZE), "text": (text * (SIZE // len(text) + 1))[:SIZE]}
    image = os.environ.get("FORENSICLIB_BENCH_IMAGE")
    if image:
        with open(image, "rb") as file:
            out["image"] = file.read(256 << 20)
    return out


BUFFERS = buffers()
LISTS = {"catalogue": catalogue(), "150": signatures(150), "1000": signatures(1000)}


@pytest.mark.parametrize("data", BUFFERS)
@pytest.mark.parametrize("which", LISTS)
def test_scan(benchmark, which: str, data: str) -> None:
    benchmark.group = f"scan {which} {data}"
    tables, buffer = kernels.scan_compile(LISTS[which]), BUFFERS[data]
    benchmark(kernels.scan, tables, buffer, 0, len(buffer), 0, 1 << 24)
    benchmark.extra_info["GB/s"] = len(buffer) / benchmark.stats.stats.min / 1e9


@pytest.mark.parametrize("data", BUFFERS)
@pytest.mark.parametrize("which", LISTS)
def test_scan_hyperscan(benchmark, which: str, data: str) -> None:
    hyperscan = pytest.importorskip("hyperscan")
    benchmark.group = f"scan {which} {data}"
    patterns, hits = LISTS[which], []
    database = hyperscan.Database()
    database.compile(
        expressions=[expression(p, m) for p, m, _, _ in patterns],
        ids=list(range(len(patterns))),
        elements=len(patterns),
        flags=hyperscan.HS_FLAG_DOTALL,
    )
    benchmark(database.scan, BUFFERS[data], match_event_handler=lambda *hit: hits.append(hit))
    benchmark.extra_info["GB/s"] = len(BUFFERS[data]) / benchmark.stats.stats.min / 1e9


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
