"""Registry hives: all values of four hives (paths, names, types, data, times), ours and libregf's.

python -m pytest benchmarks/bench_regf.py --benchmark-columns=min,median,rounds
"""

from __future__ import annotations

import io
import lzma
import os
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores.regf.regf import open_hive

HIVES = ("plaso/NTUSER-WIN7.DAT", "plaso/regf/UsrClass.dat", "plaso/NTUSER.DAT", "regipy/regipy_tests/NTUSER_BAGMRU.DAT.xz")


@pytest.fixture(scope="module")
def hives() -> list[bytes]:
    corpus = Path(os.environ.get("FORENSICLIB_CORPUS", Path(__file__).resolve().parents[2] / "shared/corpus"))
    if not corpus.is_dir():
        pytest.skip("no corpus: set FORENSICLIB_CORPUS or put shared/corpus beside the checkout")
    raw = [(corpus / name).read_bytes() for name in HIVES]
    return [lzma.decompress(d) if name.endswith(".xz") else d for name, d in zip(HIVES, raw, strict=True)]


def ours(hives: list[bytes]) -> int:
    return sum(len(open_hive(MemorySource(data), {}, Budget()).table()) for data in hives)


def objects(hives: list[bytes]) -> int:
    found = 0
    for data in hives:
        for key in open_hive(MemorySource(data), {}, Budget()).walk():
            for value in key.values():
                found += (key.path, value.name, value.kind, value.data, key.last_written) is not None
    return found


def libregf(hives: list[bytes]) -> int:
    pyregf = pytest.importorskip("pyregf", reason="libregf-python is not installed")
    found = 0
    for data in hives:
        file = pyregf.file()
        file.open_file_object(io.BytesIO(data))
        stack: list[tuple[Any, str]] = [(file.get_root_key(), "")]
        while stack:
            key, path = stack.pop()
            key.get_last_written_time_as_integer()
            for i in range(key.get_number_of_values()):
                value = key.get_value(i)
                found += (path, value.get_name(), value.get_type(), value.get_data()) is not None
            for i in range(key.get_number_of_sub_keys()):
                child = key.get_sub_key(i)
                stack.append((child, f"{path}\\{child.get_name()}"))
    return found


VALUES = 46_971


@pytest.mark.parametrize("run", [ours, objects, libregf])
def test_all_values(benchmark: Any, hives: list[bytes], run: Any) -> None:
    assert benchmark(run, hives) == VALUES
    benchmark.extra_info["values/s"] = round(VALUES / benchmark.stats.stats.median)
