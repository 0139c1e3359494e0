"""Known content by its blocks: what of a zone need not be carved, because every block of it is in a set."""

from __future__ import annotations

from collections.abc import Iterator

from forensiclib.api.run import Run
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.hashing.blocks import block_hashes
from forensiclib.hashing.blockset import BlockSet

__all__ = ["LEAST", "known_ranges"]

LEAST = 16 << 10
"""Bytes of known blocks in a row that count: fewer may be a part that unknown files share, and would cut those in two."""


def known_ranges(
    run: Run, source: ByteSource, ranges: tuple[tuple[int, int], ...], blocks: BlockSet, budget: Budget
) -> Iterator[tuple[int, int]]:
    """(start, length) ranges of ``source`` within ``ranges`` of which every block is distinctive and in ``blocks``, LEAST
    bytes or more each. Blocks lie at multiples of their size; unreadable ones are not known."""
    size = blocks.size
    for start, length in ranges:
        low, high = -(-start // size) * size, (start + length) // size * size
        if low >= high:
            continue
        begin = end = low
        batches = block_hashes(
            source.slice(low, high - low), size, blocks.algorithm, budget=budget, threads=run.threads, on_bad="fill"
        )  # fmt: skip
        for batch in batches:
            known, verdict, bad = blocks.mark(batch).list("known"), batch.list("verdict"), batch.list("unreadable")
            first = low + batch.column("offset").getter()(0)
            for i, is_known in enumerate(known):
                if is_known and verdict[i] == "distinctive" and not bad[i]:
                    at = first + i * size
                    if at != end:
                        if end - begin >= LEAST:
                            yield begin, end - begin
                        begin = at
                    end = at + size
        if end - begin >= LEAST:
            yield begin, end - begin
