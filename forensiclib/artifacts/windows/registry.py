"""Every key and value of every hive, live and deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from forensiclib.core.declare import Binary, Extractor, Field, Flag, Integer, Keys, Path, Sid, Text, Time
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.stores.regf.keys import Key, Value
from forensiclib.stores.regf.values import Decoded

__all__ = ["EXTRACTOR", "text_of"]


def text_of(decoded: Decoded) -> str | None:
    """Text as it is, numbers in decimal, lists as JSON; None for bytes."""
    if isinstance(decoded, bytes):
        return None
    return json.dumps(decoded, ensure_ascii=False) if isinstance(decoded, list) else str(decoded)


def _of_key(key: Key) -> dict[str, Any]:
    security = key.security
    return {
        "key": key.path,
        "entry": "key",
        "value": None,
        "type": None,
        "text": None,
        "data": None,
        "size": None,
        "complete": None,
        "last_written": key.last_written,
        "key_last_written": key.last_written,
        "class_name": key.class_name or None,
        "owner": security.owner if security else None,
        "verdict": None,
        "found_in": key.found_in or None,
        "data_at": None,
    }


def _of_value(key: Key, value: Value) -> dict[str, Any]:
    return {
        "key": key.path,
        "entry": "value",
        "value": value.name,
        "type": value.kind.name,
        "text": text_of(value.decoded) if value.complete else None,
        "data": value.data,
        "size": value.size,
        "complete": value.complete,
        "last_written": None,
        "key_last_written": key.last_written if key.node.last_written else None,
        "class_name": None,
        "owner": None,
        "verdict": value.verdict or None,
        "found_in": value.found_in or None,
        "data_at": value.data_at,
    }


def rows(key: Key, budget: Budget) -> Iterator[Row]:
    """One row for the key, one for each of its values, one for each value deleted from it."""
    if not key.lost:
        budget.item()
        yield key.row(**_of_key(key))
    for value in key.values():
        budget.item()
        yield value.row(**_of_value(key, value))
    for value in key.recovered() if key.live else ():
        budget.item()
        yield value.row(**_of_value(key, value))


EXTRACTOR = Extractor(
    name="windows.registry",
    title="Registry: every key and value, live and deleted",
    platform="Windows NT 3.5 and later",
    source=Keys("*", "**"),
    fields=(
        Field("key", Path, 'Path of the key below the root of its hive; one that begins with "?" lay below a key that is not known'),
        Field("entry", Text, '"key" or "value"'),
        Field("value", Text, 'Name of the value; "" is the default value'),
        Field("type", Text, "Type of the value"),
        Field("text", Text, "Data as the type says: text up to its first NUL, a number in decimal, a list of texts as JSON"),
        Field("data", Binary, "Data as stored"),
        Field("size", Integer, "Bytes of data that the value states"),
        Field("complete", Flag, "False when part of the data is missing or overwritten"),
        Field("last_written", Time, "For keys: when the key or any of its values last changed, UTC; a value has no time of its own"),
        Field("key_last_written", Time, "The same, of the key that the row belongs to", event=False),
        Field("class_name", Text, "Class of the key"),
        Field("owner", Sid, "Owner of the key"),
        Field("verdict", Text, "For deleted values: whether the data is still its own"),
        Field("found_in", Text, "For deleted keys and values: what bytes they were found in"),
        Field("data_at", Integer, "Offset of the data in the hive"),
    ),
    refs=("M. Suhanov, Windows registry file format specification, 2015-2018",),
    gaps=(
        "a deleted value without a key that names it is listed under the key ?",
        "permissions are not listed: the store gives the security descriptor as stored",
    ),
    rows=rows,
)
