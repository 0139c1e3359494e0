"""Twin of _native/block_runs.pxi."""

from __future__ import annotations

from array import array

__all__ = ["block_runs"]

_MASK = (1 << 64) - 1


def block_runs(starts: array[int], targets: array[int], unit: int) -> tuple[bytes, bytes, bytes]:
    """Blocks of ``unit`` bytes and what each is mapped to, in the order in which they were written -> runs by start: (starts, ends,
    targets) as native 64-bit integers.

    The last of equal starts holds, and is left out when its target ends with the bits 11. Blocks are one run where both starts
    and targets are one ``unit`` apart; sums wrap at 2 ** 64. ValueError when the two have not the same length.
    """
    if len(starts) != len(targets):
        raise ValueError(f"{len(starts)} starts, {len(targets)} targets")
    found = dict(zip(starts, targets, strict=True))
    keys = [key for key in sorted(found) if found[key] & 3 != 3]
    values = [found[key] for key in keys]
    pairs = zip(keys, keys[1:], values, values[1:], strict=False)
    breaks = [i for i, (a, b, c, d) in enumerate(pairs, 1) if b - a != unit or (d - c) & _MASK != unit]
    first, last = ([0, *breaks], [*breaks, len(keys)]) if keys else ([], [])
    return (
        array("Q", [keys[i] for i in first]).tobytes(),
        array("Q", [keys[i - 1] + unit & _MASK for i in last]).tobytes(),
        array("Q", [values[i] for i in first]).tobytes(),
    )
