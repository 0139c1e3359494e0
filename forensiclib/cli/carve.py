"""carve: files by their own structure."""

from __future__ import annotations

from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.carving import carve
from forensiclib.cli._options import ShadowsOpt
from forensiclib.cli._query import DecodeOpt, DepthOpt, decoder_of
from forensiclib.cli._shared import NO_KEYS, EvidenceArg, JobsOpt, JsonOpt, StrictOpt, WithOpt, clean, emit, running
from forensiclib.core.errors import UsageError
from forensiclib.core.keys import Keys
from forensiclib.hashing.blockset import BlockSet

NAME = "carve"


def command(
    evidence: EvidenceArg,
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="New or empty folder to write to.")],
    everything: Annotated[bool, typer.Option("--all", help="Every byte of the image.")] = False,
    unallocated: Annotated[bool, typer.Option("--unallocated", help="Only free space and gaps (the default).")] = False,
    types: Annotated[list[str] | None, typer.Option("--type", metavar="NAME", help="A carver of the catalog; may be repeated.")] = None,
    known: Annotated[str | None, typer.Option("--known-blocks", metavar="FILE", help="A saved BlockSet: leave out what it fills.")] = None,
    reference: Annotated[
        list[str] | None, typer.Option("--reference", metavar="FILE", help="A film of the same camera, for recordings without header.")
    ] = None,
    decode: DecodeOpt = "", depth: DepthOpt = 4,
    jobs: JobsOpt = 1,
    json: JsonOpt = False, strict: StrictOpt = False,
    others: WithOpt = None,
    keys: Keys = NO_KEYS, shadows: ShadowsOpt = "none",
) -> None:  # fmt: skip
    """Find files by structure, at every byte offset, and write them (those not proven to their end to DIR/unproven): offset,
    bytes, confidence, file, reason."""
    if everything and unallocated:
        raise UsageError("--all and --unallocated exclude each other")
    count = 0
    with running(jobs, keys, strict, shadows=shadows) as run, open_image(evidence, run=run, others=others or ()) as image:
        blocks = BlockSet.load(known) if known else None
        decoder = decoder_of(run, decode)
        hits = carve(
            run, image, to=to, everything=everything, types=types or (), blocks=blocks, decode=decoder, depth=depth,
            references=reference or (),
        )  # fmt: skip
        for hit in hits:
            find = hit.find
            count += bool(hit.written)
            row = {
                "volume": hit.volume, "start": hit.start, "length": hit.length, "type": hit.carver.name, "extension": hit.extension,
                "confidence": find.confidence, "complete": find.complete, "reason": find.reason, "written": hit.written,
                "via": "+".join(hit.via), "forensic_path": hit.path, **dict(hit.digests),
                "supplied": [{"at": s.at, "length": len(s.content), "what": s.what, "from": list(map(str, s.spans))} for s in hit.supplied],
            }  # fmt: skip
            emit(row, f"{hit.start:>16,} {hit.length:>14,} {find.confidence:.2f} {clean(hit.written)}  {clean(find.reason)}", json)
        if not json:
            print(f"{count:,} file(s) written to {clean(to)}")
