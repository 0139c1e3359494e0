"""Options that some commands take."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

import typer

from forensiclib.core.errors import UsageError
from forensiclib.core.writing import WriteOptions

ByteSize = Annotated[str | None, typer.Option("--segment-size", metavar="SIZE", help="Most bytes of one file: 2000MiB, 650MB, 123456.")]
ShadowsOpt = Annotated[
    str, typer.Option("--shadows", metavar="WHICH", help="Shadow copies too, where they differ: kept, or deleted (and kept) ones.")
]
_UNITS = {"": 1, "k": 1000, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}


def size_of(text: str | None) -> int | None:
    """ "2000MiB" -> bytes; None stays None. UsageError for what is no size."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,18})\s*([kmgt]i?)?b?\s*", text, re.IGNORECASE)
    if match is None:
        raise UsageError(f"{text!r} is no size; write 2000MiB, 650MB or a number of bytes")
    return int(match[1]) * _UNITS[(match[2] or "").lower()]


def header_facts(options: WriteOptions, given: list[str]) -> WriteOptions:
    """The options with NAME=TEXT pairs in their header values."""
    pairs = [item.partition("=") for item in given]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise UsageError(f"--fact {wrong[0]}: write NAME=TEXT")
    return replace(options, facts={**options.facts, **{name.strip().replace("-", "_"): text for name, _, text in pairs}})
