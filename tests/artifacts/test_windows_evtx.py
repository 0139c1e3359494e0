"""windows.evtx against what is publicly known of real logs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiclib.artifacts.windows.evtx import EXTRACTOR, table
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
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
    rows = [row for record in log.records(Budget()) for row in EXTRACTOR.rows(record, Budget()) if row.state is None]
    assert [row.values["event_id"] for row in rows] == [4728, 4720, 4722, 4732] or 4720 in [r.values["event_id"] for r in rows]
    assert {row.values["channel"] for row in rows} == {"Security"}
    assert sum(len(batch) for batch in table(log, Budget())) == len(log.table())


def test_the_fields_are_columns_of_the_fast_path() -> None:
    columns = set(FORMAT_COLUMNS())
    assert {f.name for f in EXTRACTOR.fields} <= columns


def FORMAT_COLUMNS() -> tuple[str, ...]:
    from forensiclib.core.source import MemorySource

    return FORMAT.open(MemorySource(b"ElfChnk\0" + bytes(65528)), {}, Budget()).table().names
