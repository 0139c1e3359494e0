"""hash: digests of the media, or of every file."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.recovering import hash_files
from forensiclib.cli._shared import EngineOpt, EvidenceArg, JobsOpt, JsonOpt, StrictOpt, clean, emit, engine_named, running
from forensiclib.hashing.digest import digest

NAME = "hash"


def command(
    evidence: EvidenceArg,
    algorithms: Annotated[str, typer.Option("--algorithms", metavar="NAMES", help="Comma-separated.")] = "md5,sha1,sha256",
    files: Annotated[bool, typer.Option("--files", help="Every file, live and deleted, instead of the media.")] = False,
    jobs: JobsOpt = 1,
    engine: EngineOpt = "native",
    json: JsonOpt = False,
    strict: StrictOpt = False,
) -> None:
    """Compute digests, several in one pass: of the media, or with --files of every file (digests, state, path)."""
    names = tuple(dict.fromkeys(a.strip() for a in algorithms.split(",") if a.strip()))
    chosen = engine_named(engine)
    with running(jobs, strict=strict) as run, open_image(evidence, run=run) as image:
        if not files:
            result = digest(image, names, budget=run.budget("hash"), threads=jobs, progress=lambda d, t: run.progress("hash", d, t))
            emit({"name": image.name, "size": result.size, **result.values}, "\n".join(f"{v}  {n}" for n, v in result.values.items()), json)
            return
        for path, item in hash_files(run, image, names, chosen):
            row = {
                "path": path, "state": item.file.state, "size": item.size, "replaced": item.replaced, "unreadable": item.unreadable,
                **dict(item.digests),
            }  # fmt: skip
            state = item.file.state + (" (not whole)" if item.replaced or item.unreadable else "")
            emit(row, f"{'  '.join(v for _, v in item.digests)}  {state:<9}  {clean(path)}", json)
