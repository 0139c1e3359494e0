"""catalog: what this installation can read, and what it does not do."""

from __future__ import annotations

from forensiclib.catalog import load
from forensiclib.cli._shared import JsonOpt, clean, emit

NAME = "catalog"


def command(json: JsonOpt = False) -> None:
    """List every format, file system, artifact and carver, with its gaps."""
    found = load()
    for d in found:
        row = {"kind": type(d).__name__, "name": d.name, "title": d.title, "version": d.version, "gaps": list(d.gaps), "refs": list(d.refs)}
        gaps = f"  (not: {'; '.join(d.gaps)})" if d.gaps else ""
        emit(row, f"{row['kind']:<18} {d.name:<26} {clean(d.title)}{clean(gaps)}", json)
    for name, reason in found.broken:
        emit({"kind": "broken", "name": name, "title": reason}, f"{'broken':<18} {name:<26} {clean(reason)}", json)
