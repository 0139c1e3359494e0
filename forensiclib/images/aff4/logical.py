"""The files of an AFF4-L volume as a tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from forensiclib.core.entry import Entry, Stream
from forensiclib.core.errors import Corrupt, LimitExceeded
from forensiclib.core.limits import Budget
from forensiclib.core.record import STATES, State
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp
from forensiclib.images._tree import TreeFileSystem, shown
from forensiclib.images.aff4.container import Container, local
from forensiclib.images.aff4.facts import stamp
from forensiclib.images.aff4.turtle import Literal

__all__ = ["files_of", "is_file", "path_of", "tree_of"]

TIMES = {"birthTime": "born", "lastWritten": "modified", "lastAccessed": "accessed", "recordChanged": "changed"}
_NAMES = ("originalFileName", "original_filename", "pathName")
_KNOWN = {"a", "hash", "size", "stored", "target", "contains", "child", "dataStream", "state", *_NAMES, *TIMES}
_WINDOWS = re.compile(r"(?:[A-Za-z]:|\\)\\")


def is_file(container: Container, urn: str) -> bool:
    """Whether a subject is a file or a folder of logical evidence."""
    kinds = container.kinds(urn)
    return bool(kinds & {"FileImage", "Folder", "FolderImage"}) or ("Image" in kinds and bool(container.values(urn, *_NAMES)))


def files_of(container: Container) -> Iterator[str]:
    """All of them, in the order of the metadata."""
    return (urn for urn in container.of_kind("FileImage", "Folder", "FolderImage", "Image") if is_file(container, urn))


def _unquoted(stated: str) -> str:
    """A name as pyaff4 0.34 writes it, which is how Python shows bytes; as it stands when it is none."""
    try:
        value = ast.literal_eval(stated)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return stated
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else stated


def path_of(container: Container, urn: str) -> str:
    """The path below the root, "/" between its parts: what the evidence calls it, else the end of its name."""
    stated = container.text(urn, *_NAMES)
    if not stated:
        for volume in container.volumes:
            urn = urn.removeprefix(volume.urn)
        stated = urn
    if stated[:2] in ("b'", 'b"') and stated[-1:] == stated[1] and "pyaff4" in container.tools:
        stated = _unquoted(stated)
    parts = [shown(part) for part in stated.split("\\" if _WINDOWS.match(stated) else "/") if part not in ("", ".")]
    return "/".join(parts)


def _streams(container: Container, urn: str, size: int) -> Sequence[Stream]:
    data: ByteSource = container.stream(urn)
    if size < data.size:
        data = data.slice(0, size)
    found = container.member(urn)
    plain = found is not None and found[0].members[found[1]].method == 0
    # Places count in the media, which are the one volume.
    runs = [(span.start, span.length) for span in data.trace(0, data.size)] if plain and len(container.volumes) == 1 else []
    return (Stream(data, compressed=not plain, runs=runs),)


def _size(container: Container, urn: str, budget: Budget) -> int:
    try:
        said = container.number(urn, "size")
    except Corrupt as error:
        budget.report(error)
        said = None
    if said is None:
        found = container.member(urn)
        said = found[0].members[found[1]].size if found is not None else 0
    return min(said, (1 << 63) - 1)


def tree_of(container: Container, budget: Budget) -> TreeFileSystem:
    """Every file and folder, the folders that only paths name included. What cannot be is a finding."""
    entries: list[Entry] = []
    folders: dict[str, int] = {"": 0}
    stated = {path_of(container, u): u for u in files_of(container) if container.kinds(u) & {"Folder", "FolderImage"}}

    def folder(path: str) -> int:
        """Its id; it and those above it become entries where they are none yet."""
        parts, above, made = path.split("/") if path else [], "", 0
        for part in parts:
            here = f"{above}/{part}" if above else part
            if here not in folders:
                budget.item()
                folders[here] = len(entries) + 1
                entries.append(_entry(len(entries) + 1, made, part, here, container, stated.get(here, "")))
            made, above = folders[here], here
        return made

    for urn in files_of(container):
        budget.item()
        path = path_of(container, urn)
        if not path or path.count("/") >= budget.limits.depth:
            span = Span(container.volumes[0].root, 0, 0)
            kind = LimitExceeded if path else Corrupt
            budget.report(kind("AFF4-L file", span, f"{urn[:120]}: {'deeper than the limit' if path else 'without a name'}"))
            continue
        if container.kinds(urn) & {"Folder", "FolderImage"}:
            folder(path)
            continue
        above, _, name = path.rpartition("/")
        parent, size = folder(above), _size(container, urn, budget)
        opener = partial(_streams, container, urn, size)
        entries.append(_entry(len(entries) + 1, parent, name, path, container, urn, size=size, opener=opener))
    return TreeFileSystem("logical", entries)


def _entry(
    number: int, parent: int, name: str, path: str, container: Container, urn: str, *, size: int = 0,
    opener: Callable[[], Sequence[Stream]] | None = None,
) -> Entry:  # fmt: skip
    """A file, or without ``opener`` a folder."""
    return Entry(
        id=number, sequence=0, parent=parent, raw_name=name.encode("utf-8", "surrogatepass"), name=name, path=path,
        kind="directory" if opener is None else "file", state=_state(container.text(urn, "state")), size=size, times=_times(container, urn),
        attributes=_facts(container, urn), opener=opener,
    )  # fmt: skip


def _state(said: str) -> State:
    """What we write of a file that was not allocated in the evidence that it comes from; others say nothing of it."""
    return said if said in STATES else "allocated"  # type: ignore[return-value]


def _times(container: Container, urn: str) -> dict[str, Timestamp]:
    out: dict[str, Timestamp] = {}
    for name, what in TIMES.items():
        if (when := stamp(container.text(urn, name))) is not None:
            out[what] = when
    return out


def _facts(container: Container, urn: str) -> dict[str, object]:
    facts: dict[str, object] = {"flags": 0}
    if not urn:
        return facts
    facts |= container.hashes(urn, "hash")
    if stated := container.text(urn, *_NAMES):
        facts["original_name"] = stated
    facts["urn"] = urn
    for name, values in container.graph.get(urn, {}).items():
        if name not in _KNOWN:
            facts[local(name)] = "; ".join(value.text if isinstance(value, Literal) else value for value in values)
    return facts
