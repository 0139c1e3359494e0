"""Any bytes: rows or EvidenceError, from the table and from the records."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores.evtx.evtx import FORMAT
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
SAMPLES = ("evtx/new-user-security.evtx", "evtx/system.evtx", "evtx/MSExchange_Management_wec.evtx", "evtx/sysmon.evtx")


def run(data: bytes, budget: Budget) -> None:
    log = FORMAT.open(MemorySource(data), {}, budget)
    table = log.table(budget)
    records = list(log.records(budget))
    assert len(records) == len(table)
    for record in records[::17]:
        assert record.at >= 0 and record.at + record.length <= len(data)
        assert record.values and record.data is not None
        log.xml(record)


@pytest.mark.corpus
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("start", [0, 4096], ids=["file", "chunk"])
def test_mutations(corpus: Path, name: str, start: int) -> None:
    sample = (corpus / name).read_bytes()[start : 4096 + 65536]
    count = max(1, COUNT // (2 * len(SAMPLES)))
    assert rows_or_evidence_error(run, mutations(sample, count, seed=len(name) + start)) == count
