"""Events out of listings, and all events sorted into one table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from forensiclib.api.opening import OpenVolume, placed
from forensiclib.core.batch import Batch
from forensiclib.tables.parquet import sql_source

__all__ = ["file_events", "sort_timeline"]

FILE_TIMES = ("born", "modified", "accessed", "changed", "deleted", "fn_born", "fn_modified", "fn_accessed", "fn_changed")


def file_events(volume: OpenVolume, table: Batch) -> Iterator[dict[str, Any]]:
    """One event for each time of each entry; equal fn_ times of the same kind are not repeated."""
    names = [n for n in FILE_TIMES if n in table.names]
    get = {n: table.column(n).getter() for n in (*names, "path", "stream", "state", "zone", "run_start", "size")}
    for i in range(table.length):
        if get["stream"](i):
            continue
        runs = get["run_start"](i)
        base = {
            "zone": get["zone"](i),
            "path": f"{volume.name}:/{get['path'](i)}",
            "state": get["state"](i),
            "start": placed(volume, runs[0]) if runs and runs[0] >= 0 else None,
            "description": f"{get['size'](i)} bytes",
        }
        seen: dict[str, int] = {}
        for name in names:
            when = get[name](i)
            if when is None or seen.get(name.removeprefix("fn_")) == when:
                continue
            seen[name] = when
            yield base | {"time": when, "event": f"file.{name}"}


def sort_timeline(unsorted: Path, target: Path) -> int:
    """Sort by time and then by every other column, in bounded memory. Returns the number of events."""
    import duckdb

    with duckdb.connect(config={"threads": 1, "memory_limit": "96MB", "temp_directory": str(target.parent / ".sort")}) as db:
        db.execute("set preserve_insertion_order = true")
        out = str(target).replace("'", "''")
        db.execute(
            f"copy (select * from {sql_source(unsorted)} order by time, event, path, description, state, start, zone) "
            f"to '{out}' (format parquet, compression zstd, row_group_size 32768)"
        )
        row = db.execute(f"select count(*) from {sql_source(target)}").fetchone()
    assert row is not None
    return int(row[0])
