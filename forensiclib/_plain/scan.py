"""Twin of _native/scan.pxi."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from forensiclib._plain.scan_tables import scan_compile, scan_patterns
from forensiclib.core.errors import UsageError

__all__ = ["SCAN_LEVELS", "scan", "scan_columns", "scan_compile"]

SCAN_LEVELS = ("scalar",)
"""The ways to scan that this machine has, slowest first; all give the same hits."""


def _fixed_run(mask: bytes) -> tuple[int, int]:
    """Place and length of the longest stretch of the mask that compares whole bytes."""
    best, at = (0, 0), 0
    while at < len(mask):
        end = at
        while end < len(mask) and mask[end] == 0xFF:
            end += 1
        if end - at > best[1]:
            best = at, end - at
        at = end + 1
    return best


def _hits(data: bytes, pattern: bytes, mask: bytes, start: int, stop: int) -> Iterator[int]:
    place, length = _fixed_run(mask)
    literal, last = pattern[place : place + length], min(stop, len(data) - len(pattern) + 1)
    at = start
    while at < last:
        at = data.find(literal, at + place) - place
        if not start <= at < last:
            return
        piece = data[at : at + len(pattern)]
        if all(a & m == p for a, m, p in zip(piece, mask, pattern, strict=True)):
            yield at
        at += 1


def scan(
    tables: bytes,
    data: bytes | bytearray | memoryview,
    start: int = 0,
    stop: int | None = None,
    base: int = 0,
    max_hits: int = 1 << 16,
    level: int | None = None,
) -> tuple[list[tuple[int, int]], int]:
    """Every place in [start, stop) of ``data`` where a signature of ``tables`` begins and wholly fits.

    Returns (hits, next): hits are (offset, number of the signature), ascending; the scan is complete
    up to ``next``, which is below ``stop`` when there were more than ``max_hits``: call again from
    there. A call never returns much more than ``max_hits`` and always makes progress.
    base     absolute offset of data[0]: what align and phase of a signature count from
    level    index into SCAN_LEVELS, the best when None; the hits are the same
    UsageError for tables that scan_compile did not make and for ranges outside the data.
    """
    patterns = scan_patterns(tables)
    size = len(data)
    stop = size if stop is None else stop
    if not 0 <= start <= stop <= size or max_hits < 1 or not 0 <= base < 1 << 62:
        raise UsageError(f"range {start} to {stop} of {size} bytes, base {base}, {max_hits} hits")
    if level is not None and not 0 <= level < len(SCAN_LEVELS):
        raise UsageError(f"level {level}; there are {len(SCAN_LEVELS)}")
    raw = bytes(data)
    hits = sorted(
        (at, number)
        for number, (pattern, mask, align, phase) in enumerate(patterns)
        for at in _hits(raw, pattern, mask, start, stop)
        if (base + at) % align == phase
    )
    if len(hits) <= max_hits:
        return hits, stop
    cut = max_hits  # whole offsets only: the hits of one offset are at most one a signature
    while cut < len(hits) and hits[cut][0] == hits[cut - 1][0]:
        cut += 1
    return hits[:cut], hits[cut - 1][0] + 1


def scan_columns(
    tables: bytes,
    data: bytes | bytearray | memoryview,
    start: int = 0,
    stop: int | None = None,
    base: int = 0,
    max_hits: int = 1 << 16,
    level: int | None = None,
) -> tuple[bytes, bytes, int]:
    """``scan`` for floods: (offsets, numbers, next), the hits as int64 and uint32 of the machine's byte order."""
    hits, following = scan(tables, data, start, stop, base, max_hits, level)
    return array("q", (at for at, _ in hits)).tobytes(), array("I", (number for _, number in hits)).tobytes(), following
