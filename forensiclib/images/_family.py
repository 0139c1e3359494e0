"""The files that make one disk: extents, parents, data files. They are taken from the caller's list or from the folder of the file
that names them, and from nowhere else, whatever path the evidence states."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, LimitExceeded, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.images._files import FilePool, PooledFile, beside, expand, identity, is_file, named, names_beside
from forensiclib.images.remote import RemotePath

__all__ = ["Family", "base_name", "opened"]

LAYERS = 128
"""Layers of one disk. Hyper-V and VMware stop at 32 to 64; every layer costs a few frames of the reader's stack."""
_DRIVE = re.compile(r"^[A-Za-z]:")


def base_name(stated: str) -> str:
    """The last part of a path as any system writes it; "" when it names no file."""
    name = re.split(r"[/\\]", _DRIVE.sub("", stated.strip().rstrip("\0")))[-1]
    return "" if name in (".", "..") or "\0" in name else name


class Family:
    """What the layers of one disk share.

    listed   the caller's paths, the disk itself first
    pool     their open files; parts   (name, size) of every file in use, in the order of their opening
    """

    def __init__(self, paths: Sequence[str], budget: Budget, pool: FilePool) -> None:
        self.listed, self.budget, self.pool = tuple(paths), budget, pool
        self.parts: dict[str, tuple[str, int]] = {}
        self._chain: list[str] = []

    def open(self, path: str) -> PooledFile:
        """The file, from now on a part of the disk. UsageError when it is not there."""
        self.budget.item()
        file = PooledFile(self.pool, path)
        self.parts[identity(path)] = (file.root, file.size)
        return file

    def peek(self, path: str) -> PooledFile:
        """The file, not a part of the disk as yet."""
        self.budget.item()
        return PooledFile(self.pool, path)

    def enter(self, path: str) -> None:
        """One layer more. Corrupt when the file is a layer of itself, LimitExceeded when there are too many."""
        real = identity(path)
        if real in self._chain:
            raise Corrupt("chain of disks", Span(os.path.basename(path), 0, 0), "a layer that comes back to itself")
        if len(self._chain) >= min(LAYERS, self.budget.limits.depth):
            raise LimitExceeded("chain of disks", Span(os.path.basename(path), 0, 0), f"more than {len(self._chain)} layers")
        self._chain.append(real)

    @property
    def chain(self) -> list[str]:
        """Names of the layers, the disk itself first."""
        return [os.path.basename(path) for path in self._chain]

    def others(self, path: str, suffixes: tuple[str, ...]) -> list[str]:
        """Files that could be kin of ``path``: listed by the caller, or beside it with one of the suffixes."""
        near = [p for p in _near(path) if p.lower().endswith(suffixes)]
        real = identity(path)
        found = [*self.listed, *(p for p in near if _stays(p, path))]
        return list(dict.fromkeys(p for p in found if identity(p) != real and is_file(p)))

    def find(self, path: str, hints: Iterable[str]) -> str | None:
        """The file that one of the hints names: among the listed ones, then beside ``path``. Of a hint only the last part counts; a link
        beside ``path`` that leaves the folder is not followed, since the evidence may have made it."""
        listable = names_beside(path) is not None
        near = _near(path)
        for name in dict.fromkeys(filter(None, map(base_name, hints))):
            exact = [p for p in (*self.listed[1:], *near) if os.path.basename(p) == name]
            folded = [p for p in (*self.listed[1:], *near) if os.path.basename(p).casefold() == name.casefold()]
            guessed = [] if listable else [named(path, name)]
            for candidate in (*exact, *folded, *guessed):
                if is_file(candidate) and (candidate in self.listed or _stays(candidate, path)):
                    return candidate
        return None

    def need(self, path: str, hints: Iterable[str], what: str, known: str = "") -> str:
        """The same, or Truncated that says which file is wanted and how to give it."""
        wanted = list(hints)
        found = self.find(path, wanted)
        if found is None:
            names = " or ".join(dict.fromkeys(filter(None, map(base_name, wanted)))) or known or "a file without a name"
            stated = f" (stated as {', '.join(dict.fromkeys(wanted))})" if any(base_name(w) != w for w in wanted) else ""
            more = f", {known}" if known and known != names else ""
            name = os.path.basename(path)
            unseen = "" if names_beside(path) is not None else " (its folder cannot be listed, only that spelling was asked for)"
            raise Truncated(what, Span(name, 0, 0), f"{names}{stated}{more} is not beside {name}{unseen}: put it there or list both paths")
        return found

    def report_unused(self) -> None:
        """A note for every file that the caller listed and that is no part of the disk."""
        for path in self.listed:
            if identity(path) not in self.parts:
                self.budget.report(Finding.note("disk image", "listed, but no part of this disk: it was not read", where=path))


def _near(path: str) -> list[str]:
    folder = os.path.dirname(path)
    return [beside(path, os.path.join(folder, n)) for n in names_beside(path) or ()]


def _stays(path: str, origin: str) -> bool:
    folder = os.path.dirname(origin) or "."
    return isinstance(path, RemotePath) or not os.path.islink(path) or os.path.dirname(os.path.realpath(path)) == os.path.realpath(folder)


def opened(paths: Sequence[str], budget: Budget, opener: Callable[[Family, str], Image]) -> Image:
    """What ``opener`` makes of the first path, the others at hand; its files are closed when it fails, or with the image."""
    found = expand(paths)
    with ExitStack() as undo:
        pool = FilePool()
        undo.callback(pool.close)
        family = Family(found, budget, pool)
        try:
            image = opener(family, found[0])
        except RecursionError as error:
            raise LimitExceeded("chain of disks", Span(os.path.basename(found[0]), 0, 0), "too many layers") from error
        family.report_unused()
        undo.pop_all()
    facts = dict(image.facts)
    if len(family.chain) > 1:
        facts.setdefault("chain", " <- ".join(family.chain))
    return Image(
        image.data,
        format=image.format,
        name=image.name,
        facts=facts,
        hashes=image.hashes,
        sector_size=image.sector_size,
        parts=tuple(family.parts.values()),
        close_with=(pool.close,),
        snapshots=image.snapshots,
        checks=image.checks,
        tracks=image.tracks,
    )
