"""recover: the content of deleted files that still have a name."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.recovering import recover
from forensiclib.cli._options import ShadowsOpt
from forensiclib.cli._shared import (
    NO_KEYS,
    EngineOpt,
    EvidenceArg,
    JobsOpt,
    JsonOpt,
    StrictOpt,
    WithOpt,
    clean,
    emit,
    engine_named,
    running,
)
from forensiclib.core.keys import Keys

NAME = "recover"


def command(
    evidence: EvidenceArg,
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="New or empty folder to write to.")],
    jobs: JobsOpt = 1,
    engine: EngineOpt = "native",
    json: JsonOpt = False,
    strict: StrictOpt = False,
    others: WithOpt = None,
    keys: Keys = NO_KEYS,
    shadows: ShadowsOpt = "none",
) -> None:
    """Write deleted files; clusters that belong to another file now read as zero, and are reported."""
    chosen, count = engine_named(engine), 0
    with running(jobs, keys, strict, shadows=shadows) as run, open_image(evidence, run=run, others=others or ()) as image:
        for item in recover(run, image, to, chosen):
            count += 1
            row = {
                "path": item.path, "state": item.state, "verdict": item.verdict, "size": item.size, "written": item.written,
                "replaced": item.replaced, "unreadable": item.unreadable, **dict(item.digests),
            }  # fmt: skip
            emit(row, f"{item.verdict or item.state:<20} {item.size:>14,} {clean(item.path)} -> {clean(item.written)}", json)
        if not json:
            print(f"{count:,} deleted file(s) written to {clean(to)}")
