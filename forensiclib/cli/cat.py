"""cat: the content of one file, byte for byte."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.api.recovering import content, unreadable
from forensiclib.cli._shared import CHECK_FAILED, NO_KEYS, EngineOpt, OneEvidence, WithOpt, engine_named, running
from forensiclib.core.errors import UsageError
from forensiclib.core.keys import Keys

NAME = "cat"


def command(
    evidence: OneEvidence,
    where: Annotated[str, typer.Argument(metavar="VOLUME:/PATH", help="The file, such as 2:/Users/alice/notes.txt.")],
    stream: Annotated[str, typer.Option("--stream", metavar="NAME", help="An alternate stream's name.")] = "",
    deleted: Annotated[bool, typer.Option("--deleted", help="The deleted file of that name.")] = False,
    engine: EngineOpt = "native",
    others: WithOpt = None,
    keys: Keys = NO_KEYS,
) -> None:
    """Write a file's content to standard output. Exit 4 when some of it could not be read and is zero there."""
    chosen = engine_named(engine)
    with running(keys=keys) as run, open_image(evidence, run=run, others=others or ()) as image:
        entry = image.find(where, chosen, deleted=deleted)
        if entry.kind == "directory" and not stream:
            raise UsageError(f"{where}: a folder; ls lists it")
        volume, opened = image.volume(where.partition(":")[0]), entry.open(stream)
        source = content(volume, entry, opened, chosen)
        for at in range(0, source.size, 1 << 20):
            run.check()
            sys.stdout.buffer.write(source.read_at(at, 1 << 20))
        sys.stdout.buffer.flush()
        lost = unreadable(volume, opened)
    if lost:
        raise typer.Exit(CHECK_FAILED)
