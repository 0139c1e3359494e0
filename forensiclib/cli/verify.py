"""verify: every stored checksum, and the stored digests against computed ones."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.cli._shared import CHECK_FAILED, NO_KEYS, EvidenceArg, JobsOpt, JsonOpt, StrictOpt, clean, default_jobs, emit, running
from forensiclib.core.keys import Keys
from forensiclib.tables.jsonl import span_row

NAME = "verify"


def command(
    evidence: EvidenceArg,
    algorithms: Annotated[
        list[str] | None, typer.Option("--algorithm", "-a", metavar="NAME", help="Digest to compute as well; may be repeated.")
    ] = None,
    jobs: JobsOpt = default_jobs(),  # noqa: B008  # typer shows the number in --help
    json: JsonOpt = False,
    strict: StrictOpt = False,
    keys: Keys = NO_KEYS,
) -> None:
    """Check an image against the checksums and hashes stored in it. Exit 4 when they disagree."""
    with running(jobs, keys, strict) as run, open_image(evidence, run=run) as image:
        result = image.verify(algorithms or ())
        row = {
            "name": image.name, "ok": result.ok, "size": result.size, "stored": result.stored, "computed": result.computed,
            "bad": [span_row(s) for s in result.bad], "failed": list(result.failed),
        }  # fmt: skip
        verdict = {True: "verified", False: "FAILED", None: "nothing stored to compare with"}[result.ok]
        emit(row, f"{clean(image.name)}: {verdict}, {result.size:,} bytes", json)
        if not json:
            for name, value in result.computed.items():
                stored = result.stored.get(name)
                said = "" if stored is None else "  (stored: same)" if stored == value else f"  (stored: {clean(stored)})"
                print(f"  {clean(name)}: {value}{said}")
            for text in result.failed:
                print(f"  {clean(text)}")
            for span in result.bad:
                print(f"  unreadable, hashed as zero: {span.length:,} bytes at {span.start:,}")
    if result.ok is False:
        raise typer.Exit(CHECK_FAILED)
