"""Which files an extractor wants: by path pattern, or by what the first bytes say they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from forensiclib.api.opening import OpenVolume
from forensiclib.api.units import FileRef
from forensiclib.core.batch import Batch
from forensiclib.core.declare import Signature
from forensiclib.core.errors import EvidenceError

__all__ = ["Listed", "listed", "pattern", "sniff"]


@lru_cache(maxsize=1024)
def pattern(text: str, separator: str = "/") -> re.Pattern[str]:
    """A path pattern as a regular expression: case-insensitive, * and ? within one part, ** for any
    number of parts."""
    sep = re.escape(separator)
    parts = []
    for part in text.strip(separator).split(separator):
        if part == "**":
            parts.append(f"(?:[^{sep}]*{sep})*")
            continue
        one = re.escape(part).replace(r"\*", f"[^{sep}]*").replace(r"\?", f"[^{sep}]")
        parts.append(one + sep)
    body = "".join(parts)
    body = body[: -len(sep)] if not body.endswith(")*") else body + f"[^{sep}]*"
    return re.compile(body, re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a listing, as far as matching needs it."""

    file: FileRef
    size: int
    first: int
    """Volume offset of the first byte; -1 when sparse or nowhere."""
    verdict: str
    flags: int


CONTENT_STATES = ("allocated", "deleted", "orphan", "journal", "snapshot")


def listed(table: Batch) -> Iterator[Listed]:
    """The rows of a files table that are files and have content, in table order."""
    get = {name: table.column(name).getter() for name in (
        "id", "sequence", "path", "stream", "kind", "state", "verdict", "size", "flags", "run_start",
    )}  # fmt: skip
    for i in range(table.length):
        if get["kind"](i) not in ("file", "special") or get["state"](i) not in CONTENT_STATES:
            continue
        size = get["size"](i)
        if not size:
            continue
        runs = get["run_start"](i)
        file = FileRef(get["id"](i), get["sequence"](i), get["path"](i), get["state"](i), get["stream"](i))
        yield Listed(file, size, runs[0] if runs else -1, get["verdict"](i), get["flags"](i) or 0)


COMPRESSED = 0x800
"""FILE_ATTRIBUTE_COMPRESSED ([MS-FSCC] 2.6): the first stored bytes are not the content's."""


def sniff(volume: OpenVolume, rows: Sequence[Listed], wanted: Mapping[str, Sequence[Signature]]) -> dict[int, tuple[str, ...]]:
    """Row number -> the names in ``wanted`` whose signature the content carries. Reads a few bytes of each
    file in disk order, straight from its first run."""
    longest = max((s.offset + len(s.pattern) for signatures in wanted.values() for s in signatures), default=0)
    found: dict[int, tuple[str, ...]] = {}
    if not longest:
        return found
    for i in sorted(range(len(rows)), key=lambda i: rows[i].first):
        head = _head(volume, rows[i], longest)
        names = tuple(name for name, signatures in wanted.items() if any(s.matches(head) for s in signatures))
        if names:
            found[i] = names
    return found


def _head(volume: OpenVolume, row: Listed, n: int) -> bytes:
    try:
        # The last two bytes of a sector may be an update sequence number of the record that holds the content.
        straight = row.first >= 0 and row.first % 512 <= 510 - n and not row.flags & COMPRESSED
        if straight:
            return volume.read_at(row.first, n)
        file = row.file
        return volume.filesystem().entry(file.id, file.sequence).open(file.stream).read_at(0, n)
    except EvidenceError as error:
        volume.run.budget("sniff").report(error, f"{volume.name}:/{row.file.path}")
        return b""


def companions(rows: Sequence[Listed], row: Listed, suffixes: Sequence[str], index: dict[str, Any]) -> tuple[tuple[str, FileRef], ...]:
    """The allocated files beside ``row`` that carry its name and one of the suffixes."""
    out = []
    for suffix in suffixes:
        other = index.get((row.file.path + suffix).casefold())
        if other is not None:
            out.append((suffix, rows[other].file))
    return tuple(out)
