"""hash: digests of the media, or of every file."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.recovering import hash_units, run_hash
from forensiclib.cli._shared import EvidenceArg, JobsOpt, JsonOpt, StrictOpt, clean, emit, running
from forensiclib.hashing.digest import digest

NAME = "hash"


def command(
    evidence: EvidenceArg,
    algorithms: Annotated[str, typer.Option("--algorithms", help="Comma-separated.")] = "md5,sha1,sha256",
    files: Annotated[bool, typer.Option("--files", help="Every file instead of the media.")] = False,
    jobs: JobsOpt = 1,
    json: JsonOpt = False,
    strict: StrictOpt = False,
) -> None:
    """Compute digests, several in one pass."""
    names = tuple(a.strip() for a in algorithms.split(",") if a.strip())
    with running(jobs, strict=strict) as run, open_image(evidence, run=run) as image:
        if not files:
            result = digest(image, names, budget=run.budget("hash"), threads=jobs, progress=lambda d, t: run.progress("hash", d, t))
            emit({"name": image.name, "size": result.size, **result.values}, "\n".join(f"{v}  {n}" for n, v in result.values.items()), json)
            return
        for volume, table in image.listing():
            for unit in run.map(run_hash, list(hash_units(volume, table, "native", algorithms=names))):
                for finding in unit.findings:
                    run.report(finding)
                for item in unit.values:
                    path = f"{volume.name}:/{item.file.path}" + (f":{item.file.stream}" if item.file.stream else "")
                    row = {"path": path, "state": item.file.state, "size": item.size, **dict(item.digests)}
                    emit(row, f"{'  '.join(v for _, v in item.digests)}  {clean(path)}", json)
