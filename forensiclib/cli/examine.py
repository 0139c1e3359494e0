"""examine: the main job."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api.examining import examine
from forensiclib.cli._shared import EvidenceArg, JobsOpt, JsonOpt, PasswordOpt, StrictOpt, default_jobs, emit, running

NAME = "examine"


def command(
    evidence: EvidenceArg,
    case: Annotated[str, typer.Option("--case", help="New folder for the results.")],
    only: Annotated[list[str] | None, typer.Option("--only", help="Extractors to run (windows.*); may be repeated.")] = None,
    no_carving: Annotated[bool, typer.Option("--no-carving", help="Leave free space alone; the ledger will say so.")] = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not hash the image; the ledger will say so.")] = False,
    jobs: JobsOpt = default_jobs(),  # noqa: B008  # typer shows the number in --help
    password: PasswordOpt = None,
    json: JsonOpt = False,
    strict: StrictOpt = False,
) -> None:
    """Verify, list, hash, recover, extract, carve: one case folder with tables and report.html."""
    with running(jobs, password, strict) as run:
        result = examine(evidence, case, run=run, extractors=only or (), verify=not no_verify, carving=not no_carving)
        ok = result.verification.ok if result.verification else None
        emit({"case": str(result.path), "verified": ok, "counts": result.counts}, f"case folder: {result.path}", json)
        if not json:
            for name, count in sorted(result.counts.items()):
                print(f"  {name}: {count:,}")
            print(f"open {result.path / 'report.html'} in a browser")
