"""What rooms yield (Row) and what callers get (Record)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span

__all__ = ["STATES", "Record", "Row", "State"]

State = Literal["allocated", "deleted", "orphan", "carved", "journal", "snapshot", "slack"]
STATES: tuple[str, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Row:
    """One result of a room: values by field name, and where they stand in the source it was given.

    at, length  the bytes that hold the row; ``source`` the stream they count in when that is not
                the one the room was handed (a record joined from two files)
    state       when the row's own state differs from its carrier's (a deleted registry key in an
                allocated hive)
    """

    values: Mapping[str, Any]
    at: int
    length: int
    source: ByteSource | None = None
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A row with its origin.

    name     the extractor ("windows.prefetch"); version   its version
    state    one of STATES
    spans    the image bytes behind it, in order
    path     the file it came out of, "VOLUME:/path", or "" for none
    layers   the chain from the image down: ("ewf", "gpt:2", "ntfs", "file:8801", "lznt1")
    """

    name: str
    version: int
    values: Mapping[str, Any]
    state: State
    spans: tuple[Span, ...] = ()
    path: str = ""
    layers: tuple[str, ...] = field(default=())
