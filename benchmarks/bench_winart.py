"""LZXPRESS, prefetch files and links, the peers beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from forensiclib import _codecs_py, kernels
from forensiclib.artifacts.windows import lnk, prefetch
from forensiclib.core.declare import Found
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.stores.shelllink import STORE

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def corpus() -> Path:
    for candidate in Path(__file__).resolve().parents[1:3]:
        if (candidate / "shared" / "corpus").is_dir():
            return candidate / "shared" / "corpus"
    pytest.skip("no corpus")


@pytest.fixture(scope="module")
def prefetch_files(corpus: Path) -> list[Path]:
    return [p for p in sorted(corpus.rglob("*.pf")) if p.name != "notAPrefetch.pf"]


@pytest.fixture(scope="module")
def links(corpus: Path) -> list[Path]:
    return [p for p in sorted(corpus.rglob("*")) if p.is_file() and STORE.signatures[0].matches(p.read_bytes()[:20])]


@pytest.mark.parametrize("which", ["kernels", "plain"])
def bench_lzxpress_huffman(benchmark, corpus: Path, which: str) -> None:
    data = (corpus / "plaso/winprefetch/BYTECODEGENERATOR.EXE-C1E9BCE6.pf").read_bytes()
    size, module = int.from_bytes(data[4:8], "little"), kernels if which == "kernels" else _codecs_py
    out, bad = benchmark(module.lzxpress_huffman, data[8:], size)
    assert (len(out), bad) == (size, -1)


def bench_prefetch(benchmark, prefetch_files: list[Path]) -> None:
    found = [Found(FileSource(p), p.name) for p in prefetch_files]
    assert benchmark(lambda: sum(len(list(prefetch.rows(f, Budget()))) for f in found)) > len(found)


def bench_prefetch_libscca(benchmark, prefetch_files: list[Path]) -> None:
    pyscca = pytest.importorskip("pyscca", reason="libscca-python is not installed")

    def run() -> int:
        seen = 0
        for path in prefetch_files:
            file = pyscca.open(str(path))
            seen += len([(m.filename, m.file_reference) for m in file.file_metrics_entries]) + file.run_count
            seen += len([(v.device_path, v.serial_number) for v in file.volumes])
        return seen

    assert benchmark(run)


def bench_links(benchmark, links: list[Path]) -> None:
    found = [Found(FileSource(p), p.name) for p in links]
    assert benchmark(lambda: sum(1 for f in found for _ in lnk.rows(f, Budget()))) == len(found)


def bench_links_liblnk(benchmark, links: list[Path]) -> None:
    """Header, strings and tracker only: it leaves the shell items to libfwsi."""
    pylnk = pytest.importorskip("pylnk", reason="liblnk-python is not installed")

    def run() -> int:
        for path in links:
            file = pylnk.file()
            file.open(str(path))
            _ = file.local_path, file.description, file.working_directory, file.machine_identifier, file.link_target_identifier_data
        return len(links)

    assert benchmark(run)
