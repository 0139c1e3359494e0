"""What The Sleuth Kit says of one name, as plain values that can cross threads and processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from forensiclib.core.entry import Kind

__all__ = ["Attr", "Info", "Meta", "Named", "Reader"]

Run = tuple[int | None, int]


@dataclass(frozen=True, slots=True)
class Attr:
    """One attribute: ``runs`` in bytes of the volume, start None for sparse; ``plain`` says that the
    content is those runs and nothing else (not resident, compressed, encrypted or with gaps)."""

    type: int
    id: int
    name: str
    size: int
    flags: int
    runs: tuple[Run, ...]
    plain: bool


@dataclass(frozen=True, slots=True)
class Meta:
    """Times are (seconds, nanoseconds) as The Sleuth Kit computes them."""

    size: int
    flags: int
    mode: int
    uid: int
    gid: int
    links: int
    link: str
    modified: tuple[int, int]
    accessed: tuple[int, int]
    changed: tuple[int, int]
    born: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Named:
    """One name in a directory. ``live`` is the name's own flag; ``broken`` why attributes are missing."""

    raw: bytes
    short: bytes
    addr: int
    seq: int
    kind: Kind
    live: bool
    virtual: bool
    meta: Meta | None = None
    attrs: tuple[Attr, ...] = ()
    broken: str = ""
    parent: int = 0
    directory: str = ""
    orphan: bool = False

    def under(self, parent: int, directory: str, orphan: bool) -> Named:
        """The same name, placed in the tree."""
        return replace(self, parent=parent, directory=directory, orphan=orphan)


@dataclass(frozen=True, slots=True)
class Info:
    """Facts of the opened file system; ``serial`` is its identifier as hex, "" for none."""

    block_size: int
    block_count: int
    root: int
    first_inode: int
    last_inode: int
    serial: str


class Reader(Protocol):
    """The Sleuth Kit, in this process or another one. Every method raises EvidenceError."""

    info: Info

    def names(self, inode: int) -> list[Named]:
        """The names in a directory, "." and ".." left out, in its order."""
        ...

    def meta(self, inode: int) -> Named:
        """The metadata of an inode, nameless."""
        ...

    def read(self, inode: int, type: int, id: int, offset: int, n: int) -> bytes:
        """Content of an attribute as The Sleuth Kit decodes it."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
