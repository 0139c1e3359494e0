"""convert: an image in another container."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.converting import convert, options_like, writer_for
from forensiclib.cli._options import ByteSize, header_facts, size_of
from forensiclib.cli._shared import CHECK_FAILED, NO_KEYS, EvidenceArg, JobsOpt, JsonOpt, StrictOpt, clean, default_jobs, emit, running
from forensiclib.core.keys import Keys
from forensiclib.core.writing import WriteOptions

NAME = "convert"
Text = typer.Option


def command(
    evidence: EvidenceArg,
    to: Annotated[str, Text("--to", metavar="FILE", help="First file of the set; its extension names the format.")],
    format: Annotated[str | None, Text("--format", metavar="NAME", help="A writer of the catalog, whatever the extension.")] = None,
    compression: Annotated[str, Text("--compression", metavar="LEVEL", help="none, empty-block, fast, best; AFF4: lz4, deflate.")] = "fast",
    segment_size: ByteSize = None,
    chunk_sectors: Annotated[int, Text("--chunk-sectors", metavar="N", help="Sectors that are packed as one.")] = 64,
    facts: Annotated[list[str] | None, Text("--fact", metavar="NAME=TEXT", help="Header value, such as case_number=7; repeat.")] = None,
    acquired: Annotated[datetime | None, Text("--acquired", help="Time of the acquisition, UTC.")] = None,
    algorithms: Annotated[str, Text("--algorithms", metavar="NAMES", help="Comma-separated.")] = "md5,sha1,sha256",
    verify: Annotated[bool, Text("--verify/--no-verify", help="Read the result back and compare.")] = True,
    resume: Annotated[bool, Text("--resume", help="Go on with a set that was stopped.")] = False,
    jobs: JobsOpt = default_jobs(),  # noqa: B008  # typer shows the number in --help
    json: JsonOpt = False,
    strict: StrictOpt = False,
    keys: Keys = NO_KEYS,
) -> None:
    """Write the media of EVIDENCE to a new set, hash it in the same pass, read it back. Exit 4 when that is not the same."""
    with running(1, keys, strict) as run, open_image(evidence, run=run) as image:
        run.threads = jobs
        options = WriteOptions(
            compression=compression, segment_size=size_of(segment_size), chunk_sectors=chunk_sectors, sector_size=image.sector_size,
            acquired=acquired, algorithms=tuple(dict.fromkeys(a.strip() for a in algorithms.split(",") if a.strip())),
        )  # fmt: skip
        if writer_for(run, to, format).name != "raw":
            options = options_like(image, options)
        options = header_facts(options, facts or [])
        made = convert(run, image, to, options, format=format, verify=verify, resume=resume)
        done = made.written
        row = {"ok": made.ok, "paths": list(done.paths), "size": done.size, "digests": dict(done.digests), "source": dict(done.source),
               "padded": done.padded, "bad": [list(r) for r in done.bad]}  # fmt: skip
        said = "not read back" if made.verification is None else "read back: same" if made.ok else "READ BACK: NOT THE SAME"
        lines = [f"{clean(done.paths[0])}: {len(done.paths)} file(s), {done.size:,} bytes of media, {said}"]
        lines += [f"  {name}: {value}" for name, value in done.digests.items()]
        lines += [f"  source {n}: {v} (before {done.padded} zeros of padding)" for n, v in done.source.items() if done.padded]
        lines += [f"  unreadable, written as zero: {n:,} bytes at {start:,}" for start, n in done.bad]
        emit(row, "\n".join(lines), json)
    if not made.ok:
        raise typer.Exit(CHECK_FAILED)
