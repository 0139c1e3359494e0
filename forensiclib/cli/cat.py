"""cat: the content of one file, byte for byte."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from forensiclib.api import open_image
from forensiclib.cli._shared import OneEvidence, running

NAME = "cat"


def command(
    evidence: OneEvidence,
    where: Annotated[str, typer.Argument(metavar="VOLUME:/PATH", help="The file, such as 2:/Users/alice/notes.txt.")],
    stream: Annotated[str, typer.Option("--stream", help="An alternate stream's name.")] = "",
) -> None:
    """Write a file's content to standard output."""
    with running() as run, open_image(evidence, run=run) as image:
        content = image.find(where).open(stream)
        for at in range(0, content.size, 1 << 20):
            run.check()
            sys.stdout.buffer.write(content.read_at(at, 1 << 20))
        sys.stdout.buffer.flush()
