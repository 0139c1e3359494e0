"""extract: artifacts as rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.extracting import extract
from forensiclib.cli._shared import JobsOpt, OneEvidence, StrictOpt, running
from forensiclib.tables.jsonl import line, record_row

NAME = "extract"


def command(
    evidence: OneEvidence,
    patterns: Annotated[list[str], typer.Argument(metavar="PATTERN...", help="Extractors: windows.prefetch, windows.* ...")],
    to: Annotated[str, typer.Option("--to", help="JSON lines file to write; - is standard output.")] = "-",
    jobs: JobsOpt = 1,
    strict: StrictOpt = False,
) -> None:
    """Extract artifacts: one JSON object a record, with its state and the bytes it came from."""
    with running(jobs, strict=strict) as run, open_image(evidence, run=run) as image:
        target = typer.get_text_stream("stdout") if to == "-" else Path(to).open("w", encoding="utf-8", newline="\n")  # noqa: SIM115
        try:
            for record in extract(run, image, patterns):
                target.write(line(record_row(record)) + "\n")
        finally:
            if to != "-":
                target.close()
