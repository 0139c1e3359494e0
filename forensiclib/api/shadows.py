"""Shadow copies in jobs: what of a copy is worth a look, as most of it is the volume that it is of."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from forensiclib.core.batch import Batch
from forensiclib.core.errors import EvidenceError
from forensiclib.core.finding import Finding

if TYPE_CHECKING:  # it needs this module
    from forensiclib.api.opening import Engine, OpenVolume

__all__ = ["differing", "free", "later", "passed_over", "shown", "without"]

BLOCK = 1 << 20
COMPARED = ("kind", "state", "size", "modified", "accessed", "changed", "born", "links", "flags", "run_start", "run_length")
"""Columns in which a file of a copy may differ from the one on the volume, apart from its content."""


def passed_over(volume: OpenVolume) -> bool:
    """Whether a job leaves this volume alone: a shadow copy, when the run does not ask for them. It is a finding and a line
    of the ledger."""
    if volume.shadow is None or volume.run.shadows != "none":
        return False
    run, where = volume.run, f"volume {volume.name}"
    run.report(Finding.note("shadow copy", "not examined: ask for shadow copies (--shadows kept)", where, volume.spans.get("store")))
    if not any(line.where == where and line.what == "shadow copy" for line in run.ledger):
        run.ledger.skipped("shadow copy", sum(n for _, n in volume.shadow.changed()), "the caller did not ask for shadow copies", where)
    return True


def shown(volume: OpenVolume, engine: Engine = "native") -> Batch:
    """The listing of a volume; of a shadow copy the rows in which it differs from its volume. Raises EvidenceError without a
    file system."""
    return volume.filesystem(engine).table() if volume.shadow is None else differing(volume, engine)


def differing(volume: OpenVolume, engine: Engine = "native") -> Batch:
    """The rows of a shadow copy's listing that its volume does not have: files that are gone there, or whose facts or content
    are others. Where facts agree and a store has a part of the content, both are read and compared.

    All rows, for what is no shadow copy or one whose volume has no file system now.
    """
    table = volume.filesystem(engine).table()
    if volume.shadow is None or volume.base is None:
        return table
    try:
        now = volume.base.filesystem(engine).table()
    except EvidenceError:
        return table
    there = {key: facts for _, key, facts in _facts(now)}
    changed = volume.shadow.changed()
    rows = [
        i
        for i, key, facts in _facts(table)
        if there.get(key) != facts or (_touched(changed, facts[-2], facts[-1]) and not _same(volume, volume.base, key, engine))
    ]
    return table.take(rows)


def free(volume: OpenVolume, engine: Engine = "native") -> tuple[tuple[int, int], ...] | None:
    """The ranges in no file (see OpenVolume.free); of a shadow copy those alone that a store has: elsewhere the bytes are
    those of its volume."""
    ranges = volume.free(engine)
    if ranges is None or volume.shadow is None:
        return ranges
    return tuple(_common(ranges, volume.shadow.changed()))


def later(volume: OpenVolume, runs: Sequence[tuple[int | None, int]]) -> int:
    """How many bytes of a file's runs are not part of the shadow copy: they are of a later time, or cannot be read."""
    if volume.shadow is None:
        return 0
    return sum(n for _, n in _common(sorted((s, n) for s, n in runs if s is not None), volume.shadow.foreign()))


def without(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """What of ``some`` ascending ranges is in none of the others."""
    ends = [0, *(start + length for start, length in others)]
    gaps = zip(ends, [*(start for start, _ in others), 1 << 63], strict=True)
    return tuple(_common(some, [(low, high - low) for low, high in gaps if low < high]))


def _facts(table: Batch) -> Iterator[tuple[int, tuple[Any, ...], tuple[Any, ...]]]:
    """(row, what tells files apart, COMPARED)"""
    keys = [table.column(n).getter() for n in ("id", "sequence", "path", "stream")]
    values = [table.column(n).getter() for n in COMPARED]
    for i in range(table.length):
        yield i, tuple(get(i) for get in keys), tuple(get(i) for get in values)


def _touched(changed: Sequence[tuple[int, int]], starts: Sequence[int], lengths: Sequence[int]) -> bool:
    """Whether a store has a part of any of the runs."""
    for start, length in zip(starts, lengths, strict=True):
        at = bisect_right(changed, (start, 1 << 63)) - 1
        if start >= 0 and any(low < start + length and low + n > start for low, n in changed[max(0, at) : at + 2]):
            return True
    return False


def _same(volume: OpenVolume, base: OpenVolume, key: tuple[Any, ...], engine: Engine) -> bool:
    """Whether a stream of both has the same bytes; what cannot be read is not the same."""
    try:
        here, there = (v.filesystem(engine).entry(key[0], key[1]).open(key[3]) for v in (volume, base))
        if here.size != there.size:
            return False
        for at in range(0, here.size, BLOCK):
            volume.run.check()
            if here.read_at(at, BLOCK) != there.read_at(at, BLOCK):
                return False
    except EvidenceError:
        return False
    return True


def _common(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What two ascending lists of ranges share."""
    ends = [start + length for start, length in others]
    for start, length in some:
        for low, n in others[bisect_right(ends, start) : bisect_left(others, (start + length, 0))]:
            a, b = max(start, low), min(start + length, low + n)
            yield a, b - a
