"""One event record, read out of the columns when asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from forensiclib.core.batch import Batch
from forensiclib.core.record import Row, State
from forensiclib.core.time import FILETIME_EPOCH, Timestamp
from forensiclib.formats.evtx import CHUNK_SIZE

__all__ = ["DAMAGE", "EventRecord", "Table", "damage_words"]

DAMAGE = (
    "its lengths do not agree",
    "its BinXML breaks off",
    "its template is not there any more",
    "a value is cut or not of its type",
    "it grows beyond all bounds",
    "a name's hash does not match",
)
"""What the bits of the damage column mean, lowest first."""
_INT64 = 1 << 63
VALUES = (
    "record_id", "provider", "provider_guid", "event_source", "event_id", "qualifiers", "version", "level", "task", "opcode",
    "keywords", "event_record_id", "channel", "computer", "user_sid", "process_id", "thread_id", "activity_id",
    "related_activity_id", "data",
)  # fmt: skip


def damage_words(bits: int) -> str:
    """The damage column in words; "" for none."""
    return "; ".join(words for i, words in enumerate(DAMAGE) if bits >> i & 1)


def _created(ns: int | None) -> Timestamp | None:
    if ns is None:
        return None
    ticks, rest = divmod(ns, 100)
    return Timestamp(ns, "text", ns) if rest else Timestamp.filetime(ticks + FILETIME_EPOCH)


class Table:
    """The batch of one run of chunks, with its readers; shared by the records in it."""

    __slots__ = ("_get", "at", "batch", "end")

    def __init__(self, batch: Batch, at: int, end: int) -> None:
        self.batch, self.at, self.end = batch, at, end
        self._get: dict[str, Callable[[int], Any]] = {column.name: column.getter() for column in batch.columns}

    def get(self, name: str) -> Callable[[int], Any]:
        """From row number to value of one column."""
        return self._get[name]

    def values(self, i: int) -> dict[str, Any]:
        """One row as the extractor's fields."""
        get = self._get
        out: dict[str, Any] = {name: get[name](i) for name in VALUES}
        if out["record_id"] >= _INT64:
            out["record_id"] = None  # no column of a table holds it; the damage says so
        out["written"] = Timestamp.filetime(get["written_raw"](i))
        out["time_created"] = _created(get["time_created"](i))
        out["damage"] = damage_words(get["damage"](i))
        return out


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event record.

    at, length    its bytes in the log's source; chunk_at: where its chunk begins
    channel       "" when it could not be decoded; event_id likewise None
    state         "allocated", "slack" (behind the chunk's last live record), "carved" (its chunk's
                  header is gone)
    """

    table: Table
    index: int
    at: int
    length: int
    channel: str
    event_id: int | None
    state: State

    @property
    def values(self) -> dict[str, Any]:
        """The fields of windows.evtx: System as typed values, the rest as JSON text in "data"."""
        return self.table.values(self.index)

    @property
    def data(self) -> Mapping[str, Any]:
        """The rest (EventData, UserData ...) as parsed JSON."""
        parsed: Mapping[str, Any] = json.loads(self.table.get("data")(self.index))
        return parsed

    @property
    def written(self) -> Timestamp:
        """When the log service wrote it."""
        return Timestamp.filetime(self.table.get("written_raw")(self.index))

    @property
    def chunk_at(self) -> int:
        """Offset of its chunk in the source."""
        return self.at - (self.at - self.table.at) % CHUNK_SIZE

    def row(self, **values: Any) -> Row:
        """A Row of these values with the record's place and state."""
        return Row(values, self.at, self.length, None, None if self.state == "allocated" else self.state)
