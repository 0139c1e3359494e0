"""catalog: what this installation can read, and what it does not do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from forensiclib.catalog import load
from forensiclib.cli._shared import JsonOpt, clean, emit
from forensiclib.core.errors import UsageError
from forensiclib.tables.catalogue import catalogue_page

NAME = "catalog"


def command(
    json: JsonOpt = False, markdown: Annotated[bool, typer.Option("--markdown", help="As a page, with fields and references.")] = False
) -> None:
    """List every format, file system, artifact and carver, with its gaps."""
    if json and markdown:
        raise UsageError("--json and --markdown exclude each other")
    found = load()
    if markdown:
        sys.stdout.write(catalogue_page(tuple(found)))
        return
    for d in found:
        row = {"kind": type(d).__name__, "name": d.name, "title": d.title, "version": d.version, "gaps": list(d.gaps), "refs": list(d.refs)}
        emit(row, "\n".join((f"{row['kind']:<18} {d.name:<26} {clean(d.title)}", *(f"{'':<18}   not: {clean(g)}" for g in d.gaps))), json)
    for name, reason in found.broken:
        row = {"kind": "broken", "name": name, "title": reason, "version": 0, "gaps": [], "refs": []}
        emit(row, f"{'broken':<18} {clean(name):<26} {clean(reason)}", json)
