"""Scripts that name their interpreter in the first line."""

from __future__ import annotations

import re

from forensiclib.carving._read import blocks
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

SECTOR = 512
_FIRST = re.compile(rb"#![ \t]*(/[\x21-\x7e]{1,200})((?:[ \t]+[\x20-\x7e]{0,200})?)\r?\n")
_NO_TEXT = re.compile(rb"[^\t\n\x0c\r\x1b\x20-\x7e\x80-\xff]")
_KINDS = {
    "sh": "sh", "bash": "sh", "dash": "sh", "ksh": "sh", "zsh": "sh", "ash": "sh", "perl": "pl", "python": "py", "ruby": "rb",
    "php": "php", "node": "js", "lua": "lua", "awk": "awk", "gawk": "awk", "mawk": "awk", "tclsh": "tcl", "wish": "tcl",
    "sed": "sed", "make": "mk",
}  # fmt: skip
"""Extension by the interpreter's name without its version."""


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """The first line, and the text up to the first byte that is none."""
    match = _FIRST.match(data.read_at(0, SECTOR))
    if match is None:
        return None
    name = _interpreter(match[1], match[2])
    extension = _KINDS.get(name.rstrip("0123456789.").removesuffix("-"), "script")
    title = f"Script for {name}"
    at = 0
    for piece in blocks(data, 0, data.size, budget, 1 << 16):
        found = _NO_TEXT.search(piece)
        if found is None:
            at += len(piece)
            continue
        at += found.start()
        if found[0] == b"\0" and not any(data.read_at(at, -at % SECTOR)):
            return Find(at, 0.5, f"interpreter {name}, text, zeros to the end of the sector", extension, title)
        break
    length = at if at == data.size else at // SECTOR * SECTOR
    if not length:
        return None
    return Find(length, 0.3, f"interpreter {name}, text to the end of a sector and no zeros behind it", extension, title, complete=False)


def _interpreter(path: bytes, arguments: bytes) -> str:
    """Last part of the path, or what env is told to look for."""
    name = path.rpartition(b"/")[2]
    words = [w for w in arguments.split() if not w.startswith(b"-") and b"=" not in w]
    return (words[0] if name == b"env" and words else name).decode("ascii")


CARVERS = (
    Carver(
        name="script",
        title="Script",
        extension="script",
        mime="text/x-script",
        signatures=(Signature(b"#!/", align=SECTOR), Signature(b"#! /", align=SECTOR)),
        measure=measure,
        maximum=16 << 20,
        refs=("execve(2), Interpreter scripts", "POSIX.1-2017, 2.1 Shell Introduction"),
        gaps=(
            "text has no end mark: the end is the first zero byte behind it",
            "text in UTF-16, and an archive behind the text, are not followed",
            "only starts on a sector boundary",
        ),
        kinds=tuple(Kind(extension, "text/x-script", f"Script ({extension})") for extension in (*dict.fromkeys(_KINDS.values()), "script")),
    ),
)
