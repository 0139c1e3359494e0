"""Parquet: row groups written as they come, the same bytes for the same rows."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from forensiclib.core.batch import Batch, batch_of
from forensiclib.core.errors import MissingSupport

__all__ = ["ParquetTable", "sql_source"]

ROWS = 32_768
"""Rows of a row group, held as columns until it is full."""
OBJECTS = 4096
"""Rows held as objects before they become columns."""


def sql_source(path: Path) -> str:
    """The file as a table in a duckdb query. Wildcards and quotes in the path stand for themselves."""
    literal = re.sub(r"[\[*?]", r"[\g<0>]", str(path)).replace("'", "''")
    return f"read_parquet('{literal}')"


class ParquetTable:
    """A table file with the (name, type) columns of ``schema``. Use as a context manager.

    ``add`` takes dicts, ``write`` whole Batches with those columns (enum where the schema says utf8).
    """

    def __init__(self, path: str | os.PathLike[str], schema: Sequence[tuple[str, str]]) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingSupport("Parquet needs pyarrow: pip install 'forensiclib[cli]'") from error
        self._pa = pa
        self.schema = tuple(schema)
        self._rows: list[dict[str, Any]] = []
        self._waiting: list[Any] = []
        self.count = 0
        empty = pa.record_batch(batch_of(self.schema, ()))
        # Not-null is no promise of ours, and metadata-free files are the same bytes for the same rows.
        self._writer = pq.ParquetWriter(
            os.fspath(path), empty.schema, compression="zstd", compression_level=3, store_schema=True, write_statistics=True
        )
        self._arrow = empty.schema

    def add(self, row: dict[str, Any]) -> None:
        """One row; missing columns are null."""
        self._rows.append(row)
        if len(self._rows) >= OBJECTS:
            self._gather()

    def write(self, batch: Batch) -> None:
        """Whole columns, no copy on the way. They wait for others until a row group is full."""
        self._gather()
        self._hold(batch)

    def _gather(self) -> None:
        if self._rows:
            rows, self._rows = self._rows, []
            self._hold(batch_of(self.schema, rows))

    def _hold(self, batch: Batch) -> None:
        if batch.length:
            self._waiting.append(self._pa.record_batch(batch).select([n for n, _ in self.schema]).cast(self._arrow))
            self.count += batch.length
            if sum(b.num_rows for b in self._waiting) >= ROWS:
                self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = self._pa.Table.from_batches(self._waiting, self._arrow)
            self._waiting = []
            self._writer.write_table(table.combine_chunks(), row_group_size=ROWS)

    def close(self) -> None:
        """Write what is left and the footer."""
        self._gather()
        self._flush()
        self._writer.close()
        self._pa.default_memory_pool().release_unused()  # the next stage of a case needs it more than the pool

    def __enter__(self) -> ParquetTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
