"""ls: names, live and deleted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from forensiclib.api import OpenVolume, open_image
from forensiclib.cli._options import ShadowsOpt
from forensiclib.cli._shared import NO_KEYS, EngineOpt, JsonOpt, OneEvidence, WithOpt, clean, emit, engine_named, running
from forensiclib.core.errors import UsageError
from forensiclib.core.keys import Keys
from forensiclib.core.time import Timestamp

NAME = "ls"


def command(
    evidence: OneEvidence,
    where: Annotated[str, typer.Argument(metavar="VOLUME:/PATH", help="A volume, or a folder or file in it, such as 2:/Users.")] = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Everything below.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Only entries that are not allocated, wherever they are.")] = False,
    engine: EngineOpt = "native",
    json: JsonOpt = False,
    others: WithOpt = None,
    keys: Keys = NO_KEYS,
    shadows: ShadowsOpt = "none",
) -> None:
    """List files: state, size, last write, path. Without a path every volume's root; a shadow copy's when it is named (2.vss1)."""
    chosen = engine_named(engine)
    name, _, path = where.partition(":")
    with running(keys=keys, shadows=shadows) as run, open_image(evidence, run=run, others=others or ()) as image:
        listing = [(v, v.filesystem(chosen).table()) for v in (image.volume(name),)] if where else image.listing(chosen)
        for volume, table in listing:
            _show(volume, list(table.rows()), path.strip("/"), recursive, deleted, json)


def _show(volume: OpenVolume, rows: list[dict[str, Any]], folder: str, recursive: bool, deleted: bool, json: bool) -> None:
    wanted = folder.casefold()
    below = [r for r in rows if r["path"] and (not wanted or r["path"].casefold().startswith(wanted + "/"))]
    itself = [r for r in rows if wanted and r["path"].casefold() == wanted]
    if wanted and not below and not itself:  # a typo must not look like an empty folder
        raise UsageError(f"{volume.name}:/{folder}: no such file or folder, allocated or deleted")
    depth = folder.count("/") + 1 if folder else 0
    for row in below or [r for r in itself if r["kind"] != "directory" or r["stream"]]:
        if deleted and row["state"] == "allocated":
            continue
        if recursive or deleted or row["path"].count("/") <= depth:
            emit({"volume": volume.name, **row}, _text(volume.name, row), json)


def _text(volume: str, row: dict[str, Any]) -> str:
    name = f"{volume}:/{row['path']}" + (f":{row['stream']}" if row["stream"] else "") + ("/" if row["kind"] == "directory" else "")
    when = "" if row["modified"] is None else Timestamp(0, "", row["modified"], row["zone"]).iso()
    state = row["state"] + (f" ({row['verdict']})" if row["verdict"] else "")
    return f"{state:<28} {row['size']:>14,} {when[:19] + 'Z' * when.endswith('Z'):<20} {clean(name)}"
