"""Records as columns: what an artifact table and the timeline hold of each. Done where the records are
made, so that columns, not objects, travel between processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forensiclib.core.batch import Batch, batch_of
from forensiclib.core.declare import Extractor
from forensiclib.core.finding import Finding
from forensiclib.core.record import Record
from forensiclib.core.time import Timestamp

__all__ = ["ORIGIN", "TIMELINE_SCHEMA", "Tabled", "Tabulator", "artifact_schema", "record_events"]

ORIGIN: tuple[tuple[str, str], ...] = (
    ("state", "utf8"), ("path", "utf8"), ("root", "utf8"), ("span_start", "list_int64"), ("span_length", "list_int64"),
    ("via", "utf8"), ("layers", "utf8"), ("version", "int64"), ("local_times", "utf8"),
)  # fmt: skip
"""Columns behind the fields of every artifact table. local_times: names of the row's times that are a
wall clock, not UTC."""
TIMELINE_SCHEMA: tuple[tuple[str, str], ...] = (
    ("time", "timestamp"), ("zone", "utf8"), ("event", "utf8"), ("path", "utf8"), ("description", "utf8"), ("state", "utf8"),
    ("start", "int64"),
)  # fmt: skip
"""timeline.parquet, ascending. zone "local": the wall clock of the evidence, not UTC. start: image
offset of the first byte behind the event, null when none."""
LONGEST = 300
"""Characters of a description: a line of a timeline, not the record itself."""
ROWS = 4096
"""Rows held as objects before they become columns."""


def artifact_schema(extractor: Extractor) -> tuple[tuple[str, str], ...]:
    """The columns of ``artifacts/NAME.parquet``: the fields, then ORIGIN. An origin column whose name is a
    field's gets the prefix "origin_"."""
    own = {f.name for f in extractor.fields}
    return (*((f.name, f.type.column) for f in extractor.fields), *((f"origin_{n}" if n in own else n, t) for n, t in ORIGIN))


def record_events(extractor: Extractor, record: Record) -> Iterator[dict[str, Any]]:
    """One event for each Time field that is set."""
    stamps = [(f.name, record.values[f.name]) for f in extractor.fields if f.type.name == "time" and f.event]
    stamps = [(name, s) for name, s in stamps if isinstance(s, Timestamp) and s.int64 is not None]
    if not stamps:
        return
    text = "; ".join(
        f"{f.name}={record.values[f.name]}"
        for f in extractor.fields
        if f.type.name in ("text", "path", "sid", "integer") and record.values[f.name] not in (None, "")
    )
    start = next((s.start for s in record.spans if s.root), None)
    for name, stamp in stamps:
        yield {
            "time": stamp.int64,
            "zone": stamp.zone,
            "event": f"{record.name}.{name}",
            "path": record.path,
            "description": text[:LONGEST],
            "state": record.state,
            "start": start,
        }


@dataclass(frozen=True, slots=True)
class Tabled:
    """Some records of one extractor, in order: their table rows and their events."""

    name: str
    rows: Batch
    events: Batch


@dataclass(slots=True)
class Tabulator:
    """Collects one extractor's records; a Tabled goes to ``out`` every ROWS records and at ``flush``."""

    extractor: Extractor
    out: list[Any]
    findings: list[Finding]
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _events: list[dict[str, Any]] = field(default_factory=list)
    _own: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._own = frozenset(f.name for f in self.extractor.fields)

    def add(self, record: Record) -> None:
        """Take one record."""
        self._rows.append(self._row(record))
        self._events.extend(record_events(self.extractor, record))
        if len(self._rows) >= ROWS:
            self.flush()

    def flush(self) -> None:
        """Turn what is held into columns."""
        if self._rows:
            rows = batch_of(artifact_schema(self.extractor), self._rows)
            self.out.append(Tabled(self.extractor.name, rows, batch_of(TIMELINE_SCHEMA, self._events)))
            self._rows, self._events = [], []

    def _row(self, record: Record) -> dict[str, Any]:
        spans = [s for s in record.spans if s.root]
        local = ""
        for name, value in record.values.items():
            if isinstance(value, Timestamp):
                if value.zone != "utc":
                    local += f",{name}" if local else name
                if value.ns is not None and value.int64 is None:
                    self._too_far(record, name, value)
        origin = {
            "state": record.state,
            "path": record.path,
            "root": spans[0].root if spans else None,
            "span_start": [s.start for s in spans],
            "span_length": [s.length for s in spans],
            "via": "+".join(spans[0].via) if spans else "",
            "layers": "/".join(record.layers),
            "version": record.version,
            "local_times": local,
        }
        return _joined(record.values, origin, self._own)

    def _too_far(self, record: Record, name: str, value: Timestamp) -> None:
        span = record.spans[0] if record.spans else None
        found = f"{value.iso()} (raw {value.raw}) does not fit a table"
        self.findings.append(Finding("Note", f"{record.name}.{name}", found, record.path, record.name, span))


def _joined(values: Mapping[str, Any], origin: Mapping[str, Any], own: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    row = dict(values)
    for name, value in origin.items():
        row[f"origin_{name}" if name in own else name] = value
    return row
