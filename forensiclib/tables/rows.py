"""Rows to a file whose ending says how: .jsonl, .csv or .parquet."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from forensiclib.core.errors import UsageError
from forensiclib.tables.jsonl import dumps, line
from forensiclib.tables.parquet import ParquetTable

__all__ = ["ENDINGS", "RowFile"]

ENDINGS = (".jsonl", ".csv", ".parquet")


class RowFile:
    """A new file with the (name, type) columns of ``schema``; a context manager. Lists are JSON in CSV.

    UsageError for another ending and for a file that is there already, MissingSupport as ParquetTable.
    """

    def __init__(self, path: str | os.PathLike[str], schema: Sequence[tuple[str, str]]) -> None:
        target = Path(path)
        if target.suffix not in ENDINGS:
            raise UsageError(f"{target}: rows are written to {', '.join(ENDINGS)}")
        if target.exists():
            raise UsageError(f"{target}: exists; name a new file")
        self.count = 0
        self._names = [name for name, _ in schema]
        self._table = ParquetTable(target, schema) if target.suffix == ".parquet" else None
        self._text: TextIO | None = None if self._table else target.open("x", encoding="utf-8", newline="")
        self._csv = csv.writer(self._text) if self._text is not None and target.suffix == ".csv" else None
        if self._csv is not None:
            self._csv.writerow(self._names)

    def add(self, row: Mapping[str, Any]) -> None:
        """One row; missing columns are empty."""
        self.count += 1
        if self._table is not None:
            self._table.add(dict(row))
        elif self._csv is not None:
            values = [row.get(name) for name in self._names]
            self._csv.writerow([dumps(v) if isinstance(v, (list, tuple)) else "" if v is None else v for v in values])
        elif self._text is not None:
            self._text.write(line({name: row.get(name) for name in self._names}) + "\n")

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, *error: object) -> None:
        if self._table is not None:
            self._table.close()
        if self._text is not None:
            self._text.close()
