"""The options for keys, the same of every command that opens evidence."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from forensiclib.core.errors import UsageError
from forensiclib.core.keys import Keys

MOST = 8 << 20
"""Bytes: nothing that is a key file has more (cryptsetup's bound)."""
_Texts, _Numbers = list[str] | None, list[int] | None
_OPTIONS: dict[str, Any] = {
    "password": Annotated[_Texts, typer.Option(metavar="TEXT", help="Try this on locked volumes; may be repeated.")],
    "passwords": Annotated[_Texts, typer.Option(metavar="FILE", help="Passwords, one a line (UTF-8); - is standard input.")],
    "recovery_key": Annotated[_Texts, typer.Option(metavar="TEXT", help="Recovery key for locked volumes; may be repeated.")],
    "key_file": Annotated[_Texts, typer.Option(metavar="FILE", help="Key file for locked volumes; may be repeated.")],
    "pim": Annotated[_Numbers, typer.Option(min=1, metavar="N", help="VeraCrypt's PIM, beside the default; may be repeated.")],
}


def keyed(command: Callable[..., None]) -> Callable[..., None]:
    """The command with these options in the place of its argument ``keys``; as it is when it has none."""
    signature = inspect.signature(command, eval_str=True)
    if "keys" not in signature.parameters:
        return command

    @wraps(command)
    def call(*args: Any, **options: Any) -> None:
        password, passwords, recovery, files, pims = (options.pop(name) or [] for name in _OPTIONS)
        lines = [line for path in passwords for line in _read(path).decode("utf-8", "surrogateescape").splitlines() if line]
        command(*args, **options, keys=Keys([*password, *lines], recovery=recovery, keyfile=[_read(path) for path in files], pim=pims))

    own = [p for name, p in signature.parameters.items() if name != "keys"]
    keys = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind) for name, kind in _OPTIONS.items()]
    call.__signature__ = signature.replace(parameters=own + keys)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in own + keys}
    return call


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(MOST)
    with open(path, "rb") as file:
        data = file.read(MOST + 1)
    if len(data) > MOST:
        raise UsageError(f"{path}: larger than 8 MiB, no key file")
    return data
