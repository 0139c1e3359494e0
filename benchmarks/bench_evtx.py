"""Event logs to columns: Log.table() beside the evtx crate's JSON, over all logs of the corpus.

python -m pytest benchmarks/bench_evtx.py --benchmark-columns=min,median,rounds
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.stores.evtx.evtx import FORMAT

HERE = Path(__file__).resolve().parent.parent
CORPUS = Path(os.environ.get("FORENSICLIB_CORPUS", HERE.parent / "shared" / "corpus"))
LOGS = sorted([*CORPUS.glob("evtx/*.evtx"), *CORPUS.glob("plaso/evtx/*.evtx")])
pytestmark = pytest.mark.skipif(not LOGS, reason="no corpus: set FORENSICLIB_CORPUS")
BIG = [path for path in LOGS if path.stat().st_size > 1_000_000]


def ours(paths: list[Path]) -> int:
    return sum(len(FORMAT.open(FileSource(path), {}, Budget()).table(Budget())) for path in paths)


def crate(paths: list[Path]) -> int:
    import evtx

    count = 0
    for path in paths:
        reader, errors = iter(evtx.PyEvtxParser(str(path)).records_json()), 0
        while errors < 20:
            try:
                next(reader)
                count += 1
            except StopIteration:
                break
            except RuntimeError:
                errors += 1
    return count


@pytest.mark.parametrize("paths", [LOGS, BIG], ids=["all", "1MB-and-more"])
@pytest.mark.benchmark(group="evtx")
def test_table(benchmark: Any, paths: list[Path]) -> None:
    benchmark.extra_info["records"] = benchmark(ours, paths)


@pytest.mark.parametrize("paths", [LOGS, BIG], ids=["all", "1MB-and-more"])
@pytest.mark.benchmark(group="evtx")
def test_evtx_crate(benchmark: Any, paths: list[Path]) -> None:
    pytest.importorskip("evtx", reason="the evtx package is not installed")
    benchmark.extra_info["records"] = benchmark(crate, paths)
