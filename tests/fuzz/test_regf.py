"""Damaged hives and logs: rows or EvidenceError, and the compiled kernel agrees with its twin on each."""

from __future__ import annotations

import lzma
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from forensiclib import _columns_py
from forensiclib.artifacts.windows import registry, userassist
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.kernels import WHICH, regf_columns, regf_walk
from forensiclib.stores.regf.keys import Key
from forensiclib.stores.regf.regf import open_hive
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
SAMPLE = Path(__file__).resolve().parents[1] / "samples/regf/hivex.hiv"
HIVES = ("plaso/regf/100_sub_keys.hiv", "regipy/regipy_tests/SECURITY.xz", "regipy/regipy_tests/BCD.xz")


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def everything(data: bytes, budget: Budget, log: bytes = b"") -> None:
    """Open, walk, every property, deleted, table, changes, and the extractors."""
    hive = open_hive(MemorySource(data), {".log1": MemorySource(log)} if log else {}, budget)
    for key in hive.find("**", deleted=True):
        for row in (*registry.rows(key, budget), *userassist.rows(key, budget)):
            assert 0 <= row.at <= len(data) + len(log)
    for item in hive.deleted():
        assert not isinstance(item, Key) or item.state != "allocated"
    hive.table()
    list(hive.changes())


@pytest.mark.timeout(0 if COUNT > 1000 else 300)
def test_the_sample_damaged() -> None:
    assert rows_or_evidence_error(everything, mutations(SAMPLE.read_bytes(), COUNT)) == COUNT


@pytest.mark.corpus
@pytest.mark.timeout(0 if COUNT > 1000 else 300)
@pytest.mark.parametrize("name", HIVES)
def test_damaged_hives(corpus: Path, name: str) -> None:
    assert rows_or_evidence_error(everything, mutations(unpacked(corpus / name), COUNT // len(HIVES))) == COUNT // len(HIVES)


@pytest.mark.corpus
@pytest.mark.timeout(0 if COUNT > 1000 else 300)
def test_damaged_logs(corpus: Path) -> None:
    """The hive stays; its log is damaged: whatever is applied, the stored view does not change."""
    folder = corpus / "regipy/regipy_tests"
    hive, log = unpacked(folder / "transactions_NTUSER.DAT.xz"), unpacked(folder / "transactions_ntuser.dat.log2.xz")

    def run(data: bytes, budget: Budget) -> None:
        opened = open_hive(MemorySource(hive), {".log1": MemorySource(data)}, budget)
        assert opened.stored.cells.data == hive

    # The second log is older than the hive; the sequence numbers of its hive make it apply.
    hive = hive[:4] + (562).to_bytes(4, "little") + (561).to_bytes(4, "little") + hive[12:]
    rows_or_evidence_error(run, mutations(log, COUNT // 10))


@pytest.mark.corpus
@pytest.mark.skipif(WHICH != "compiled", reason=f"kernels: {WHICH}")
@pytest.mark.timeout(0 if COUNT > 1000 else 300)
@pytest.mark.parametrize("name", HIVES)
def test_the_kernel_and_its_twin_agree_on_damage(corpus: Path, name: str) -> None:
    def both() -> Iterator[None]:
        for data in mutations(unpacked(corpus / name), COUNT // len(HIVES), seed=2):
            root = int.from_bytes(data[36:40], "little")
            ours, twin = regf_walk(data, root, b"", 100_000), _columns_py.regf_walk(data, root, b"", 100_000)
            assert ours == twin
            fast = regf_columns(data, ours[0], ours[1], 1 << 20, 1 << 20)
            slow = _columns_py.regf_columns(data, twin[0], twin[1], 1 << 20, 1 << 20)
            assert (fast is None) == (slow is None)
            if fast is not None and slow is not None:
                assert {k: bytes(v) for k, v in fast.items()} == {k: bytes(v) for k, v in slow.items()}
            yield

    assert len(list(islice(both(), COUNT))) == COUNT // len(HIVES)


def bins(data: bytes, budget: Budget) -> None:
    """Hive bins without their hive."""
    hive = open_hive(MemorySource(data), {}, budget)
    for key in hive.find("**", deleted=True):
        for row in registry.rows(key, budget):
            assert row.source is not None
            assert 0 <= row.at <= row.source.size


@pytest.mark.timeout(0 if COUNT > 1000 else 300)
def test_damaged_bins() -> None:
    assert rows_or_evidence_error(bins, mutations(SAMPLE.read_bytes()[4096:], COUNT)) == COUNT
