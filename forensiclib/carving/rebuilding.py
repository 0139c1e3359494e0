"""Files that lack what it takes to open them, such as recordings that were broken off: made whole with what others of their kind tell.

What is made is measured like any file that was found, and says which of its bytes are not evidence of its place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from forensiclib.carving.unit import Carved, certain, content, owned
from forensiclib.carving.view import CandidateView
from forensiclib.core.declare import Carver, Find, Remains
from forensiclib.core.errors import EvidenceError, LimitExceeded
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, fill_bad

__all__ = ["rebuilt"]

ALLOWANCE, MORE = 8, 256 << 20
"""Bytes read for one file, in times of its size, and beside them."""
KIN = 256
"""Whole files that are asked, of those found here and of those from elsewhere."""

Range = tuple[int, int]


def rebuilt(
    source: ByteSource,
    pieces: Sequence[Range],
    finds: Iterable[Carved],
    heads: Sequence[tuple[int, Carver]],
    whole: Sequence[Carved],
    kin: Callable[[], Iterable[ByteSource]],
    budget: Budget,
) -> Iterator[Carved]:
    """``finds`` of ``pieces`` (start, end) and, instead of those of ``heads`` that lack their header, what was made of them;
    ascending. ``whole`` are files found, ``kin`` gives files from elsewhere."""
    open_heads = {(offset, carver.name): (offset, carver) for offset, carver in heads if carver.rebuild is not None}
    if not open_heads:
        yield from finds
        return
    held = list(finds)
    sure = sorted({(f.offset, max(owned(f), f.offset + 1)) for f in held if certain(f) and not f.find.pieces})
    sure = sorted({*sure, *((a, a + n) for f in held if certain(f) for a, n in f.find.pieces), *((f.offset, owned(f)) for f in whole)})
    known = {(f.offset, f.carver.name): f for f in (*whole, *held) if f.carver.rebuild is not None and certain(f)}
    told: tuple[ByteSource, ...] | None = None
    learned: dict[str, dict[str, Any]] = {}
    made: dict[int, Carved] = {}
    for offset, carver in sorted(open_heads.values(), key=lambda h: h[0]):
        budget.check()
        if any(a <= offset < b for a, b in sure):
            continue
        if told is None:
            told = tuple(islice(kin(), KIN))
        others = (f.open(source) for f in sorted(known.values(), key=lambda f: f.offset) if f.carver.name == carver.name)
        remains = _remains(source, carver, offset, _end(pieces, sure, offset), (*told, *islice(others, KIN)))
        if remains is None:
            continue
        remains = replace(remains, learned=learned.setdefault(carver.name, {}))
        if (found := _tried(source, carver, offset, remains, budget)) is not None:
            made[offset] = found
            sure = sorted((*sure, *((a, a + n) for a, n in found.find.pieces)))
    rest = (f for f in held if f.offset not in made or certain(f))
    yield from sorted((*rest, *made.values()), key=lambda f: f.offset)


def _end(pieces: Sequence[Range], sure: Sequence[Range], offset: int) -> int:
    """Where what begins at ``offset`` must have ended."""
    end = next((b for a, b in pieces if a <= offset < b), offset)
    at = bisect_left(sure, (offset + 1, 0))
    return min(end, sure[at][0]) if at < len(sure) else end


def _remains(source: ByteSource, carver: Carver, offset: int, stop: int, kin: tuple[ByteSource, ...]) -> Remains | None:
    size = min(carver.maximum, stop - offset)
    readable = fill_bad(source, lambda error: None)  # reported when the space was carved
    return Remains(CandidateView(readable, offset, size, memoryview(b""), 0, ALLOWANCE * size + MORE), kin) if size > 0 and kin else None


def _tried(source: ByteSource, carver: Carver, offset: int, remains: Remains, budget: Budget) -> Carved | None:
    if carver.rebuild is None:
        return None
    inner = Budget(budget.limits, budget.cancelled, room=carver.name)
    try:
        find = carver.rebuild(remains, inner)
        return _judged(fill_bad(source, lambda error: None), carver, offset, find, inner) if find is not None else None
    except LimitExceeded as error:
        span = next(iter(source.trace(offset, 1)), None)
        budget.report(Finding("LimitExceeded", "a file without its header", error.found, "not rebuilt", carver.name, span))
    except EvidenceError:
        pass
    return None


def _judged(source: ByteSource, carver: Carver, offset: int, find: Find, budget: Budget) -> Carved | None:
    """What was made, measured like any other file."""
    find = replace(find, pieces=tuple((offset + start, n) for start, n in find.pieces))
    file = content(source, find.pieces, find.supplied)
    if file.size != find.length:
        return None
    view = CandidateView(file, 0, file.size, memoryview(b""), 0, 16 * file.size + (64 << 20))
    found = carver.measure(view, budget)
    if found is None or not found.complete or found.length != file.size:
        return None
    find = replace(find, confidence=min(find.confidence, found.confidence), extension=found.extension, title=found.title)
    return Carved(offset, find.length, carver, find)
