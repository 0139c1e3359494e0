"""examine: the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api.examining import examine
from forensiclib.cli._options import ShadowsOpt
from forensiclib.cli._shared import (
    CHECK_FAILED,
    NO_KEYS,
    EngineOpt,
    EvidenceArg,
    JobsOpt,
    JsonOpt,
    StrictOpt,
    clean,
    default_jobs,
    emit,
    engine_named,
    running,
)
from forensiclib.core.keys import Keys

NAME = "examine"
SHOWN = 20
"""Findings on the terminal; all of them are in the case folder."""


def command(
    evidence: EvidenceArg,
    case: Annotated[str, typer.Option("--case", metavar="DIR", help="New or empty folder for the results.")],
    only: Annotated[list[str] | None, typer.Option("--only", metavar="PATTERN", help="Extractors ('windows.*'); may be repeated.")] = None,
    no_carving: Annotated[bool, typer.Option("--no-carving", help="Leave free space alone; the ledger will say so.")] = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not hash the image; the ledger will say so.")] = False,
    jobs: JobsOpt = default_jobs(),  # noqa: B008  # typer shows the number in --help
    engine: EngineOpt = "native",
    json: JsonOpt = False,
    strict: StrictOpt = False,
    keys: Keys = NO_KEYS,
    shadows: ShadowsOpt = "none",
) -> None:
    """Verify, list, hash, recover, extract, carve: one case folder with tables and report.html.

    Exit 4 when the image fails its verification; the case is complete all the same.
    """
    chosen = engine_named(engine)
    with running(jobs, keys, strict, SHOWN, shadows=shadows) as run:
        result = examine(evidence, case, run=run, extractors=only or (), engine=chosen, verify=not no_verify, carving=not no_carving)
        ok = result.verification.ok if result.verification else None
        emit({"case": str(result.path), "verified": ok, "counts": result.counts}, f"case folder: {clean(result.path)}", json)
        if not json:
            print(f"  {'verification':<30} {'nothing compared' if ok is None else 'verified' if ok else 'FAILED'}")
            for name, count in sorted(result.counts.items()):
                print(f"  {name:<30} {count:>12,}")
            print(f"open {clean(result.path / 'report.html')} in a browser")
    if ok is False:
        raise typer.Exit(CHECK_FAILED)
