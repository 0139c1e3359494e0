"""Damaged file records and change journals: rows or EvidenceError, nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib.artifacts.windows import mft, usnjrnl
from forensiclib.carving import ntfs
from forensiclib.core.declare import Extractor, Found
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def target(extractor: Extractor) -> Callable[[bytes, Budget], None]:
    def run(data: bytes, budget: Budget) -> None:
        for row in extractor.rows(Found(MemorySource(data), "a"), budget):
            for value in row.values.values():
                str(value)
        for carver in ntfs.CARVERS:
            find = carver.measure(MemorySource(data), budget)
            assert find is None or 0 < find.length <= len(data)

    return run


@pytest.mark.corpus
def test_usnjrnl(corpus: Path) -> None:
    assert rows_or_evidence_error(target(usnjrnl.EXTRACTOR), mutations((corpus / "plaso/UsnJrnl.raw").read_bytes(), COUNT))


@pytest.mark.corpus
def test_mft(corpus: Path) -> None:
    sample = (corpus / "mft/MFT.Test/xw/$MFT").read_bytes()[: 40 << 10]
    assert rows_or_evidence_error(target(mft.EXTRACTOR), mutations(sample, COUNT))
