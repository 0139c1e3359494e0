"""windows.evtx against what is publicly known of real logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiclib.artifacts.windows.evtx import EXTRACTOR, table
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.stores.evtx.evtx import FORMAT
from forensiclib.testing.contracts import ExtractorContract


@pytest.mark.corpus
class TestContract(ExtractorContract):
    extractor = EXTRACTOR

    @pytest.fixture(autouse=True)
    def _corpus(self, corpus: Path) -> None:
        self.path = corpus / "evtx" / "new-user-security.evtx"

    def targets(self) -> Iterator[object]:
        yield from FORMAT.open(FileSource(self.path), {}, Budget()).records(Budget())


@pytest.mark.corpus
def test_a_user_is_created(corpus: Path) -> None:
    """The sample is named for what it shows: event 4720, "a user account was created"."""
    log = FORMAT.open(FileSource(corpus / "evtx" / "new-user-security.evtx"), {}, Budget())
    records = [record for record in log.records(Budget()) if record.state == "allocated"]
    rows = [row for record in records for row in EXTRACTOR.rows(record, Budget())]
    (created,) = [row.values for row in rows if row.values["event_id"] == 4720]
    assert created["channel"] == "Security" and created["provider"] == "Microsoft-Windows-Security-Auditing"
    assert created["keywords"] == "0x8020000000000000" and created["damage"] == ""
    assert sum(len(batch) for batch in table(log, Budget())) == len(log.table())


def test_the_fields_are_columns_of_the_fast_path() -> None:
    blank = FORMAT.open(MemorySource(b"ElfChnk\0" + bytes(65_528)), {}, Budget())
    assert {field.name for field in EXTRACTOR.fields} <= set(blank.table().names)
