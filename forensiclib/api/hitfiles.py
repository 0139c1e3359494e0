"""Hits to files: rows, and how often each value was found."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from forensiclib.api.case import new_folder
from forensiclib.api.features import FeatureFiles
from forensiclib.api.searching import HISTOGRAM_SCHEMA, HITS_SCHEMA, Found
from forensiclib.core.errors import UsageError
from forensiclib.search.histogram import Histogram
from forensiclib.tables.rows import ENDINGS, RowFile

__all__ = ["HitFiles"]


class HitFiles:
    """Where hits are written: a context manager whose ``add`` takes them. The histogram is written at the end, and not when an
    error ended the job.

    to      "" for nowhere; NAME.jsonl, .csv or .parquet, a new file; a new folder, which gets hits.parquet, histogram.csv and,
            when ``counts``, features/ as bulk_extractor writes them
    counts  also count what goes nowhere, or write NAME.histogram.* beside the file
    """

    def __init__(self, to: str, counts: bool) -> None:
        self.to, self.counting = to, counts
        self.histogram, self.count = Histogram(), 0
        self._stack = ExitStack()
        self._rows: RowFile | None = None
        self._features: FeatureFiles | None = None
        self._values = ""

    @property
    def written(self) -> bool:
        """Whether hits go to a file."""
        return self._rows is not None

    def __enter__(self) -> HitFiles:
        if self.to.endswith(ENDINGS):
            stem, ending = os.path.splitext(self.to)
            self._values = f"{stem}.histogram{ending}" if self.counting else ""
            self._rows = self._stack.enter_context(RowFile(self.to, HITS_SCHEMA))
        elif Path(self.to).suffix:
            raise UsageError(f"{self.to}: rows are written to {', '.join(ENDINGS)}, or to a folder")
        elif self.to:
            folder = new_folder(self.to)
            self._values = str(folder / "histogram.csv")
            self._rows = self._stack.enter_context(RowFile(folder / "hits.parquet", HITS_SCHEMA))
            if self.counting:
                self._features = self._stack.enter_context(FeatureFiles(folder / "features"))
        return self

    def add(self, found: Found) -> None:
        """Take one."""
        hit = found.hit
        self.count += 1
        if self.counting or self._values:
            self.histogram.add(hit.name, hit.normal or hit.value, hit.group, found.where, hit.offset)
        if self._rows is not None:
            self._rows.add(found.row())
        if self._features is not None:
            self._features.add(found)

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None and self._features is not None:
            self._features.counted(self.histogram)
        self._stack.close()
        if kind is None and self._values:
            with RowFile(self._values, HISTOGRAM_SCHEMA) as out:
                for count in self.histogram.rows():
                    out.add(asdict(count))
