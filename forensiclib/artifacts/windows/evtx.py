"""Every record of every Windows event log."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.core.batch import Batch
from forensiclib.core.declare import Events, Extractor, Field, Guid, Integer, Json, Sid, Text, Time
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.stores.evtx.evtx import Log
from forensiclib.stores.evtx.record import EventRecord

__all__ = ["EXTRACTOR", "table"]


def rows(record: EventRecord, budget: Budget) -> Iterator[Row]:
    """The record as it is."""
    yield record.row(**record.values)


def table(log: Log, budget: Budget) -> Iterator[Batch]:
    """The same columns for a whole log without a Python object a record; and at, length, state,
    written_raw and damage (bits), damage_at."""
    return log.batches(budget)


EXTRACTOR = Extractor(
    name="windows.evtx",
    title="Windows event log records, live, in slack and from damaged chunks",
    platform="Windows Vista and later",
    source=Events(),
    fields=(
        Field("record_id", Integer, "Number of the record in its log"),
        Field("written", Time, "When the log service wrote the record, UTC"),
        Field("time_created", Time, "When the event happened according to its System part, UTC; differs in forwarded events"),
        Field("provider", Text, "Name of the provider"),
        Field("provider_guid", Guid, "GUID of the provider"),
        Field("event_source", Text, "Classic event source name"),
        Field("event_id", Integer, "Event identifier; its meaning depends on the provider"),
        Field("qualifiers", Integer, "High half of a classic event identifier"),
        Field("version", Integer, "Version of the event's definition"),
        Field("level", Integer, "1 critical, 2 error, 3 warning, 4 information, 5 verbose; 0 for audits"),
        Field("task", Integer, "Task of the provider"),
        Field("opcode", Integer, "Operation within the task"),
        Field("keywords", Text, "Keyword bits, hexadecimal; 0x8010... audit failure, 0x8020... audit success"),
        Field("event_record_id", Integer, "Record number in the event itself; in forwarded events that of the origin"),
        Field("channel", Text, "Channel (log) that the event was written to"),
        Field("computer", Text, "Computer that wrote the event"),
        Field("user_sid", Sid, "Account under which the provider ran"),
        Field("process_id", Integer, "Process that raised the event"),
        Field("thread_id", Integer, "Thread that raised the event"),
        Field("activity_id", Guid, "Activity that the event belongs to"),
        Field("related_activity_id", Guid, "Activity that it was transferred from"),
        Field("data", Json, "EventData, UserData and whatever else the event holds"),
        Field("damage", Text, 'What is wrong with the record, in words; "" for nothing'),
    ),
    refs=("[MS-EVEN6] 2.2.13 (Event) and 2.2.12 (BinXML)", "Windows Event Schema, http://schemas.microsoft.com/win/2004/08/events"),
    gaps=("Message texts of the providers are not rendered.",),
    rows=rows,
)
