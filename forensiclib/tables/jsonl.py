"""JSON lines: one object a row, stable names, the same bytes for the same rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from forensiclib.core.finding import Finding
from forensiclib.core.record import Record
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp

__all__ = ["dumps", "line", "record_row", "span_row"]


def _plain(value: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.iso()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, Span):
        return span_row(value)
    if isinstance(value, Finding):
        return value.row()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, set, frozenset, Iterable)):
        return list(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def span_row(span: Span) -> dict[str, Any]:
    """A span as an object; ``via`` and ``exact`` only where they say something."""
    out: dict[str, Any] = {"root": span.root, "start": span.start, "length": span.length}
    if span.via:
        out["via"] = list(span.via)
    if not span.exact:
        out["exact"] = False
    return out


def record_row(record: Record) -> dict[str, Any]:
    """A record as one flat object: values under their own names in "values"."""
    return {
        "name": record.name,
        "version": record.version,
        "state": record.state,
        "path": record.path,
        "values": dict(record.values),
        "layers": list(record.layers),
        "spans": [span_row(s) for s in record.spans],
    }


def dumps(value: Any, **options: Any) -> str:
    """JSON as text that a terminal may show: characters that control it, change the direction of text or are
    no characters at all (lone surrogates) are written as \\uXXXX, which reads back as the same value."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, **options)
    return text if text.isprintable() else _UNSHOWN.sub(_escaped, text)


_UNSHOWN = re.compile(r"[^\x20-\x7e\n]")


def _escaped(match: re.Match[str]) -> str:
    c = match.group()
    return c if c.isprintable() else json.dumps(c)[1:-1]


def line(row: Mapping[str, Any]) -> str:
    """One row as one line without the newline; NaN is refused, evidence bytes are hex, times ISO 8601."""
    return dumps(row, separators=(",", ":"), default=_plain)
