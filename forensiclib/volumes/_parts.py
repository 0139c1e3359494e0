"""What every partition table does with its partitions: clip them, order them, show overlaps and gaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.record import State
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span

__all__ = ["Part", "span_of", "volumes"]


@dataclass(frozen=True, slots=True)
class Part:
    """A partition as its table has it: ``start`` and ``length`` in bytes, not yet clipped; ``at`` is
    the byte offset of the table entry."""

    index: int
    start: int
    length: int
    at: int
    kind: str = ""
    type_code: str = ""
    label: str = ""
    state: State = "allocated"


def span_of(source: ByteSource, at: int, length: int) -> Span | None:
    """Where a structure of the table lies on the image; None past the end."""
    spans = source.trace(at, length)
    return spans[0] if spans else None


def volumes(source: ByteSource, parts: Iterable[Part], scheme: str, budget: Budget, entry_size: int) -> list[Volume]:
    """Partitions in disk order, gaps between them as volumes of state "slack" and index 0.

    A partition that reaches past the end is clipped and reported; overlaps are reported, and both
    volumes are given.
    """
    out: list[Volume] = []
    covered, before = 0, None
    for part in sorted(parts, key=lambda p: (p.start, p.index)):
        where = f"{scheme}:{part.index}"
        end = part.start + part.length
        if end > source.size:
            have = max(0, source.size - part.start)
            text = f"{part.length} bytes from {part.start}, of which {have} are there"
            budget.report(Truncated("partition", span_of(source, part.at, entry_size), text), where)
        if part.state == "allocated":
            if part.start < covered and before is not None:
                text = f"starts at {part.start}, inside partition {before.index} that ends at {covered}"
                budget.report(Corrupt("partition overlap", span_of(source, part.at, entry_size), text), where)
            elif part.start > covered and covered < source.size:
                out.append(_gap(source, covered, min(part.start, source.size), scheme))
            if end >= covered:
                covered, before = end, part
        out.append(_volume(source, part, scheme))
    if covered < source.size:
        out.append(_gap(source, covered, source.size, scheme))
    return out


def _volume(source: ByteSource, part: Part, scheme: str) -> Volume:
    start = min(part.start, source.size)
    return Volume(
        source.slice(start, min(part.length, source.size - start)),
        index=part.index,
        start=part.start,
        scheme=scheme,
        kind=part.kind,
        type_code=part.type_code,
        label=part.label,
        state=part.state,
    )


def _gap(source: ByteSource, start: int, end: int, scheme: str) -> Volume:
    return Volume(source.slice(start, end - start), index=0, start=start, scheme=scheme, kind="in no partition", state="slack")
