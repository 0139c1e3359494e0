"""extract: artifacts as rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated, TextIO

import typer

from forensiclib.api import open_image
from forensiclib.api.case import new_file
from forensiclib.api.extracting import extract
from forensiclib.cli._options import ShadowsOpt
from forensiclib.cli._shared import NO_KEYS, EngineOpt, JobsOpt, OneEvidence, StrictOpt, WithOpt, clean, emit, engine_named, running
from forensiclib.core.keys import Keys
from forensiclib.core.record import Record
from forensiclib.tables.jsonl import line, record_row

NAME = "extract"


def command(
    evidence: OneEvidence,
    patterns: Annotated[list[str], typer.Argument(metavar="PATTERN", help="Extractors: windows.prefetch, 'windows.*', '*' ...")],
    to: Annotated[str, typer.Option("--to", metavar="FILE", help="New file for the JSON lines; - is standard output.")] = "-",
    jobs: JobsOpt = 1,
    engine: EngineOpt = "native",
    json: Annotated[bool, typer.Option("--json", help="JSON lines also for the count that --to prints; records always are.")] = False,
    strict: StrictOpt = False,
    others: WithOpt = None,
    keys: Keys = NO_KEYS,
    shadows: ShadowsOpt = "none",
) -> None:
    """Extract artifacts: one JSON object a record, with its state and the bytes it came from."""
    chosen = engine_named(engine)
    with running(jobs, keys, strict, shadows=shadows) as run, open_image(evidence, run=run, others=others or ()) as image:
        run.catalog.extractors(*patterns)  # a typo leaves no file behind
        records = extract(run, image, patterns, chosen)
        if to == "-":
            _write(records, sys.stdout)
            return
        with new_file(to) as target:
            count = _write(records, target)
        emit({"records": count, "to": to}, f"{count:,} record(s) written to {clean(to)}", json)


def _write(records: Iterable[Record], target: TextIO) -> int:
    count = 0
    for record in records:
        count += 1
        target.write(line(record_row(record)) + "\n")
    return count
