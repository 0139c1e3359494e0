"""hash: digests of the media, or of every file."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.recovering import hash_files
from forensiclib.cli._options import ShadowsOpt
from forensiclib.cli._shared import NO_KEYS, EngineOpt, EvidenceArg, JobsOpt, JsonOpt, StrictOpt, clean, emit, engine_named, running
from forensiclib.core.errors import UsageError
from forensiclib.core.keys import Keys
from forensiclib.hashing.blocks import block_hashes, block_rows
from forensiclib.hashing.digest import digest

NAME = "hash"
DEFAULT = ("md5", "sha1", "sha256")


def command(
    evidence: EvidenceArg,
    algorithms: Annotated[str, typer.Option("--algorithms", metavar="NAMES", help="Comma-separated.")] = ",".join(DEFAULT),
    files: Annotated[bool, typer.Option("--files", help="Every file, live and deleted, instead of the media.")] = False,
    blocks: Annotated[int, typer.Option("--blocks", metavar="N", help="Every block of N bytes of the media, with a verdict on each.")] = 0,
    jobs: JobsOpt = 1, engine: EngineOpt = "native",
    json: JsonOpt = False, strict: StrictOpt = False,
    keys: Keys = NO_KEYS, shadows: ShadowsOpt = "none",
) -> None:  # fmt: skip
    """Compute digests, several in one pass: of the media, with --files of every file, with --blocks of every block (one
    algorithm, md5 if none is named)."""
    names = tuple(dict.fromkeys(a.strip() for a in algorithms.split(",") if a.strip()))
    chosen = engine_named(engine)
    if blocks and files:
        raise UsageError("--blocks is of the media; --files is of whole files")
    with running(jobs, keys, strict, shadows=shadows) as run, open_image(evidence, run=run) as image:
        if blocks:
            only = "md5" if names == DEFAULT else algorithms
            batches = block_hashes(
                image, blocks, only, budget=run.budget("hash"), entropy=json, k_entropy=json, threads=jobs, on_bad="fill",
                progress=lambda d, t: run.progress("hash", d, t),
            )  # fmt: skip
            for block, text in block_rows(batches):
                emit(block, text, json)
            return
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
