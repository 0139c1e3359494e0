"""Opportunistic decoding: what looking for encoded regions costs where there are none, and what decoding costs beside zlib alone.

FORENSICLIB_BENCH_IMAGE=disk.dd pytest benchmarks/bench_decode.py --benchmark-group-by=group --benchmark-columns=min,rounds
Time is CPU time of this process.
"""

from __future__ import annotations

import base64
import gzip
import os
import random
import time
import zlib
from pathlib import Path

import pytest

from forensiclib import kernels
from forensiclib.catalog import load
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.search.decode.regions import Decoding, chosen
from forensiclib.search.decode.text import _DIGITS, _LINES
from forensiclib.search.engine import search
from forensiclib.search.query import Query

SIZE = 32 << 20
ALL = Decoding(chosen(load().transforms, ("all",)))
QUERY = Query(words=("secretword",), encodings=("utf-8",))


def buffers() -> dict[str, bytes]:
    text = b"".join(p.read_bytes() for p in sorted(Path(__file__).parents[1].joinpath("forensiclib").rglob("*.py")))
    out = {"random": random.Random(5).randbytes(SIZE), "text": (text * (SIZE // len(text) + 1))[:SIZE]}
    if path := os.environ.get("FORENSICLIB_BENCH_IMAGE"):
        with open(path, "rb") as file:
            out["image"] = file.read(4 * SIZE)
    return out


BUFFERS = buffers()
SCANS = {
    "zlib": lambda data: kernels.zlib_starts(data),
    "base64 runs": lambda data: kernels.byte_runs(data, _LINES, 32),
    "base64 runs in UTF-16": lambda data: kernels.byte_runs(data, _LINES, 32, 0, None, 2),
    "hex runs": lambda data: kernels.byte_runs(data, _DIGITS, 66),
    "all transforms": lambda data: list(ALL(MemorySource(data), 0, len(data), Budget())),
}


@pytest.fixture(autouse=True)
def cpu(benchmark):
    benchmark._timer = time.process_time


@pytest.mark.parametrize("data", BUFFERS)
@pytest.mark.parametrize("name", SCANS)
def test_scan(benchmark, name: str, data: str) -> None:
    benchmark.group = f"looking for regions in {data}"
    found = benchmark.pedantic(lambda: SCANS[name](BUFFERS[data]), rounds=3)
    benchmark.extra_info |= {"MB/s": len(BUFFERS[data]) / benchmark.stats.stats.min / 1e6, "found": len(found)}


MEMBERS = b"".join(gzip.compress(BUFFERS["text"][i : i + (1 << 20)]) + b" " for i in range(0, SIZE, 1 << 20))
LINES = base64.encodebytes(BUFFERS["random"])


@pytest.mark.parametrize("way", ["zlib alone", "regions", "regions searched"])
def test_gzip(benchmark, way: str) -> None:
    benchmark.group = "32 gzip streams of 1 MiB of text"

    def alone() -> int:
        return sum(len(zlib.decompress(part, 31)) for part in PARTS)

    def regions() -> int:
        return sum(r.source.size for r in ALL(MemorySource(MEMBERS), 0, len(MEMBERS), Budget()))

    def searched() -> int:
        return sum(1 for _ in search(MemorySource(MEMBERS), QUERY, decoder=ALL, depth=1))

    benchmark.pedantic({"zlib alone": alone, "regions": regions, "regions searched": searched}[way], rounds=3)
    benchmark.extra_info |= {"MB/s of output": SIZE / benchmark.stats.stats.min / 1e6}


PARTS = [gzip.compress(BUFFERS["text"][i : i + (1 << 20)]) for i in range(0, SIZE, 1 << 20)]


@pytest.mark.parametrize("way", ["base64 alone", "regions"])
def test_base64(benchmark, way: str) -> None:
    benchmark.group = "44 MB of base64 in lines"
    alone = lambda: base64.decodebytes(LINES)  # noqa: E731
    regions = lambda: sum(r.source.size for r in ALL(MemorySource(LINES), 0, len(LINES), Budget()))  # noqa: E731
    benchmark.pedantic(alone if way == "base64 alone" else regions, rounds=3)
    benchmark.extra_info |= {"MB/s of input": len(LINES) / benchmark.stats.stats.min / 1e6}
