"""ls: names, live and deleted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from forensiclib.api import OpenVolume, open_image
from forensiclib.cli._shared import EngineOpt, JsonOpt, OneEvidence, clean, emit, running
from forensiclib.core.batch import Batch
from forensiclib.core.errors import UsageError
from forensiclib.core.time import Timestamp

NAME = "ls"


def command(
    evidence: OneEvidence,
    where: Annotated[str, typer.Argument(metavar="[VOLUME:/PATH]", help="A volume or a folder in it, such as 2:/Users.")] = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Everything below.")] = False,
    deleted: Annotated[bool, typer.Option("--deleted", help="Only entries that are not allocated, wherever they are.")] = False,
    engine: EngineOpt = "native",
    json: JsonOpt = False,
) -> None:
    """List files: state, size, last write, path. Without a path every volume's root."""
    if engine not in ("native", "tsk"):
        raise UsageError(f"no engine {engine!r}; there are native, tsk")
    volume_name, _, path = where.partition(":")
    with running() as run, open_image(evidence, run=run) as image:
        if where:
            image.volume(volume_name)
            if path.strip("/"):
                image.find(where, "tsk" if engine == "tsk" else "native")  # a typo must not look like an empty folder
        for volume, table in image.listing("tsk" if engine == "tsk" else "native"):
            if not where or volume.name == volume_name:
                _show(volume, table, path.strip("/"), recursive, deleted, json)


def _show(volume: OpenVolume, table: Batch, folder: str, recursive: bool, deleted: bool, json: bool) -> None:
    prefix = folder.casefold() + "/" if folder else ""
    for row in table.rows():
        path = str(row["path"])
        if not path or (prefix and not path.casefold().startswith(prefix)):
            continue
        if deleted and row["state"] == "allocated":
            continue
        if not (recursive or deleted) and "/" in path[len(prefix) :]:
            continue
        emit({"volume": volume.name, **row}, _text(volume.name, row), json)


def _text(volume: str, row: dict[str, Any]) -> str:
    name = f"{volume}:/{row['path']}" + (f":{row['stream']}" if row["stream"] else "") + ("/" if row["kind"] == "directory" else "")
    when = "" if row["modified"] is None else Timestamp(0, "", row["modified"], row["zone"]).iso()[:19]
    state = row["state"] + (f" ({row['verdict']})" if row["verdict"] else "")
    return f"{state:<28} {row['size']:>14,} {when:<19} {clean(name)}"
