"""Damaged prefetch files, links and recycle bins: rows or EvidenceError, nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forensiclib.artifacts.windows import lnk, prefetch, recyclebin
from forensiclib.core.declare import Extractor, Found
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores.mam import expanded
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
HERE = Path(__file__).resolve().parent.parent


def target(extractor: Extractor, path: str) -> Callable[[bytes, Budget], None]:
    names = {f.name for f in extractor.fields}

    def run(data: bytes, budget: Budget) -> None:
        for row in extractor.rows(Found(MemorySource(data), path), budget):
            assert set(row.values) == names
            for value in row.values.values():
                str(value)  # times out of any range must still print

    return run


def damaged(*samples: bytes) -> Iterator[bytes]:
    for sample in samples:
        yield from mutations(sample, COUNT // len(samples))


def test_lnk() -> None:
    assert rows_or_evidence_error(target(lnk.EXTRACTOR, "a.lnk"), damaged((HERE / "samples/lnk/holiday.lnk").read_bytes()))


@pytest.mark.corpus
def test_lnk_of_real_systems(corpus: Path) -> None:
    names = ("plaso/NeroInfoTool.lnk", "lnk/Lnk.Test/Win10/7.lnk.test", "lnk/Lnk.Test/Win10/Google Chrome (2).lnk.test")
    samples = [(corpus / name).read_bytes() for name in names]
    assert rows_or_evidence_error(target(lnk.EXTRACTOR, "a.lnk"), damaged(*samples))


@pytest.mark.corpus
def test_prefetch(corpus: Path) -> None:
    folder = corpus / "plaso" / "winprefetch"
    plain = [(folder / name).read_bytes() for name in ("CMD.EXE-087B4001.pf", "PING.EXE-B29F6629.pf")]
    packed = (folder / "AM_DELTA_PATCH_1.443.990.0.EX-7037CF86.pf").read_bytes()
    inner = expanded(MemorySource(packed), Budget())
    run = target(prefetch.EXTRACTOR, "A-0.pf")
    assert rows_or_evidence_error(run, damaged(*plain, packed, inner.read_at(0, inner.size)))


@pytest.mark.corpus
def test_recyclebin(corpus: Path) -> None:
    folder = corpus / "plaso" / "recycler"
    items = [(folder / name).read_bytes() for name in ("$II3DF3L.zip", "$I103S5F.jpg")]
    assert rows_or_evidence_error(target(recyclebin.EXTRACTOR, "$Recycle.Bin/S-1-5-21-1/$IABCDEF.zip"), damaged(*items))
    assert rows_or_evidence_error(target(recyclebin.EXTRACTOR, "RECYCLER/INFO2"), damaged((folder / "INFO2").read_bytes()))
