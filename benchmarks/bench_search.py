"""Searching: words, expressions and patterns over memory, and a whole image end to end; grep beside it where it can do the same.

FORENSICLIB_BENCH_IMAGE=disk.dd pytest benchmarks/bench_search.py --benchmark-group-by=group --benchmark-columns=min,rounds
Time is CPU time of this process, for programs that of the child; other jobs of the machine do not count.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.api.searching import search as search_image
from forensiclib.catalog import load
from forensiclib.core.source import MemorySource
from forensiclib.search.encodings import STANDARD, UNICODE
from forensiclib.search.engine import search
from forensiclib.search.query import Query, prepared

SIZE = 32 << 20
WORDS = tuple(f"{a}{b}{i}" for i in range(100) for a, b in (("pass", "word"), ("acc", "ount"), ("Mos", "ква"), ("東", "京")))
QUERIES = {
    "one word": Query(words=("password",), encodings=("utf-8",), form="none"),
    "one word, any case, all encodings": Query(words=("password",), ignore_case=True, encodings=STANDARD),
    "400 words, any case, Unicode": Query(words=WORDS, ignore_case=True, encodings=UNICODE),
    "one expression": Query(expressions=(r"[a-z]{3,9}\d{2,4}@[a-z]+\.com",)),
    "one expression, python": Query(expressions=(r"[a-z]{3,9}\d{2,4}@[a-z]+\.com",), engine="python"),
    "all patterns": Query(patterns=load().patterns),
}


def buffers() -> dict[str, bytes]:
    rng = random.Random(5)
    text = b"".join(p.read_bytes() for p in sorted(Path(__file__).parents[1].joinpath("forensiclib").rglob("*.py")))
    return {"random": rng.randbytes(SIZE), "text": (text * (SIZE // len(text) + 1))[:SIZE]}


BUFFERS = buffers()


@pytest.fixture(autouse=True)
def cpu(benchmark):
    benchmark._timer = time.process_time


@pytest.mark.parametrize("data", BUFFERS)
@pytest.mark.parametrize("name", QUERIES)
def test_search(benchmark, name: str, data: str) -> None:
    benchmark.group = f"search {data}"
    query, source = QUERIES[name], MemorySource(BUFFERS[data])
    prepared(query)
    hits = benchmark.pedantic(lambda: sum(1 for _ in search(source, query)), rounds=3)
    benchmark.extra_info |= {"MB/s": SIZE / benchmark.stats.stats.min / 1e6, "hits": hits}


def image() -> str:
    path = os.environ.get("FORENSICLIB_BENCH_IMAGE")
    if not path:
        pytest.skip("FORENSICLIB_BENCH_IMAGE names no disk image")
    return path


@pytest.mark.parametrize("name", ["one word, any case, all encodings", "400 words, any case, Unicode", "all patterns"])
def test_image(benchmark, name: str) -> None:
    benchmark.group = "image, every place"

    def run() -> int:
        with fl.open_image(image(), run=(job := fl.Run())) as opened:
            return sum(1 for _ in search_image(job, opened, QUERIES[name]))

    hits = benchmark.pedantic(run, rounds=2)
    benchmark.extra_info |= {"MB/s": os.path.getsize(image()) / benchmark.stats.stats.min / 1e6, "hits": hits}


def test_image_raw(benchmark) -> None:
    benchmark.group = "image, raw, one word"

    def run() -> int:
        with fl.open_image(image(), run=(job := fl.Run())) as opened:
            return sum(1 for _ in search_image(job, opened, QUERIES["one word"], where=("raw",)))

    benchmark.pedantic(run, rounds=3)


@pytest.mark.parametrize("tool", [("grep", "-c", "-obUaF", "password"), ("bulk_extractor", "-E", "email", "-o", "OUT")], ids=lambda t: t[0])
def test_image_peer(benchmark, tool, tmp_path) -> None:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    benchmark.group = "image, raw, one word"
    benchmark._timer = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    words = [str(tmp_path / "out") if w == "OUT" else w for w in tool]
    benchmark.pedantic(lambda: subprocess.run([*words, image()], stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"}), rounds=1)


def test_compile_twenty_thousand_terms(benchmark) -> None:
    benchmark.group = "compile"
    benchmark.pedantic(lambda: prepared.__wrapped__(Query(words=tuple(f"term{i}" for i in range(20_000)), encodings=UNICODE)), rounds=1)
