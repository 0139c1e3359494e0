"""What is read beside The Sleuth Kit: the hook that each file system with quirks fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from forensiclib.core.entry import Kind, Verdict
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.time import Timestamp
from forensiclib.filesystems.tsk.blocks import Blocks
from forensiclib.filesystems.tsk.named import Named, Run

__all__ = ["LABEL_SUFFIX", "Facts", "Native", "Place", "Recovered", "unix_times"]

LABEL_SUFFIX = b" (Volume Label Entry)"
"""What The Sleuth Kit adds to the name of a volume label in a FAT or exFAT root directory."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the volume's own structures add to, or say instead of, a Named. None keeps its word.

    path   the whole path, where it is known better; its last part is the name
    runs   the content's place, for entries whose place The Sleuth Kit gives wrong or not at all
    inline a range of the volume that is the content itself
    """

    times: Mapping[str, Timestamp] | None = None
    size: int | None = None
    raw_name: bytes | None = None
    name: str | None = None
    path: str | None = None
    kind: Kind | None = None
    sequence: int | None = None
    state: State | None = None
    verdict: Verdict = ""
    runs: Sequence[Run] | None = None
    inline: tuple[int, int] | None = None
    valid: int | None = None
    encrypted: bool = False
    links: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recovered:
    """An entry that no directory of today holds: where it stood and its facts."""

    id: int
    parent: int | None
    path: str
    raw_name: bytes
    kind: Kind
    size: int
    facts: Facts
    link_target: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What a hook may ask of the tree: paths of directories by inode, and every deleted name."""

    path_of: Callable[[int], str | None]
    deleted: Callable[[], Iterator[Named]]


class Native:
    """Default: nothing is known beyond what The Sleuth Kit says."""

    blocks: Blocks | None = None
    label = ""
    case_sensitive = True
    trust_runs = True

    def facts(self, named: Named, place: Place) -> Facts | None:
        """Facts of one name, or None when it cannot be a real entry (an orphan made of noise)."""
        return Facts()

    def recovered(self, place: Place, budget: Budget) -> Iterator[Recovered]:
        """Entries beyond the directories."""
        return iter(())

    def lost(self) -> Iterator[int]:
        """Inodes that hold the facts of a deleted file, ascending; whether a name leads to them is not asked."""
        return iter(())

    def loose(self, budget: Budget) -> Iterator[tuple[tuple[int, int], ...]]:
        """See FileSystem.loose."""
        return iter(())


def unix_times(named: Named) -> dict[str, Timestamp]:
    """The Sleuth Kit's four times, as UTC."""
    meta = named.meta
    if meta is None:
        return {}
    pairs = {"modified": meta.modified, "accessed": meta.accessed, "changed": meta.changed, "born": meta.born}
    return {name: Timestamp.unix(*pair) for name, pair in pairs.items() if pair != (0, 0)}
