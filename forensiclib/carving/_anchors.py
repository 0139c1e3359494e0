"""Files whose own tables say where things must lie: what lies elsewhere tells how far its piece was moved."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence

from forensiclib.carving._gaps import Space
from forensiclib.core.limits import Budget

__all__ = ["Anchor", "between", "everywhere"]

Anchor = tuple[int, int]
"""(offset in the file, offset in the space) of something that is known to be there."""
STEP = 1 << 20
OVERLAP = 1 << 9


def everywhere(space: Space, pattern: re.Pattern[bytes], reach: int, budget: Budget) -> Iterator[tuple[int, bytes]]:
    """(offset, the bytes from there) of every match: from the head on as far as ``reach``, then before the head."""
    for low, high in ((space.head, min(space.size, space.head + reach)), (0, space.head)):
        for base in range(low, high, STEP):
            budget.check()
            piece = space.data.read_at(base, STEP + OVERLAP)
            for match in pattern.finditer(piece):
                if match.start() < min(STEP, high - base):
                    yield base + match.start(), piece[match.start() : match.start() + OVERLAP]


def between(
    space: Space, anchors: Sequence[Anchor], end: int, settle: Callable[[Anchor, Anchor, list[int]], int | None]
) -> list[Anchor] | None:
    """The pieces (offset in the space, length) of a file of ``end`` bytes. Where two neighbours are moved differently,
    ``settle(before, after, places)`` chooses the offset in the file where one piece ends, among ``places``; None: it cannot."""
    pieces: list[tuple[int, int]] = []
    first = 0  # where the open piece begins in the file
    for before, after in itertools.pairwise(anchors):
        shift, next_shift = before[1] - before[0], after[1] - after[0]
        if shift == next_shift:
            continue
        if (next_shift - shift) % space.block:
            return None
        low = -(-(before[1] + 1) // space.block) * space.block - shift
        cut = settle(before, after, list(range(low, after[0] + 1, space.block)))
        if cut is None:
            return None
        pieces.append((first + shift, cut - first))
        first = cut
    pieces.append((first + anchors[-1][1] - anchors[-1][0], end - first))
    return pieces if all(n > 0 and a >= 0 and a + n <= space.size for a, n in pieces) else None
