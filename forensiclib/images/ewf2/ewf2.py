"""Open an EWF2 set: Ex01, or Lx01 with its tree of files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.ewf import SIGNATURE_EX01, SIGNATURE_LX01
from forensiclib.images._files import FilePool, expand
from forensiclib.images._ltree import logical_files, logical_size
from forensiclib.images.ewf2.chunks import Ewf2Source, tables
from forensiclib.images.ewf2.notes import notes
from forensiclib.images.ewf2.segments import open_segments

__all__ = ["FORMAT", "open_ewf2"]


def open_ewf2(paths: Sequence[str], budget: Budget) -> Image:
    """The set that the path (or the listed segments) makes; no chunk is read.

    Raises NotThisFormat by the signature; Unsupported for encryption; Truncated for a segment that is missing, Corrupt for
    one of another set, or when nothing whole says how large a chunk is. Damaged sections are findings; chunks that
    no table places raise when they are read.
    """
    with ExitStack() as stack:
        pool = FilePool()
        stack.callback(pool.close)
        segments = open_segments(pool, expand(paths), budget)
        found, shape = notes(segments, budget)
        runs = tables(segments, shape, budget)
        name, first = segments[0].file.root, segments[0]
        listed = runs[-1].first + runs[-1].count if runs else 0
        size = shape.sectors * shape.sector_size
        if first.logical or not shape.sectors:
            # A logical set counts no sectors: the media are the chunks.
            size = max(size, listed * shape.chunk_size)
        if found.tree is not None:
            size = logical_size(found.tree, size, shape.chunk_size)
        if size > (1 << 63) - 1:
            raise Corrupt("EWF2 sector table", first.span(0, first.file.size), f"{listed} chunks of {shape.chunk_size} bytes")
        wanted, there = -(-size // shape.chunk_size), sum(run.count for run in runs)
        if there != wanted:
            says = f"{there} chunks are listed, the media have {wanted}"
            budget.report(Corrupt("EWF2 sector table", first.span(0, first.file.size), says))
        source = Ewf2Source(runs, shape, size, name)
        tree = logical_files(found.tree, source, name, budget) if found.tree is not None else None
        bad = []
        for start, count in found.errors:
            span = Span(name, start * shape.sector_size, count * shape.sector_size)
            if count == 0 or span.end > size:
                budget.report(Corrupt("EWF2 error table", span, f"{count} sectors from {start}"))
            else:
                bad.append(span)
        stack.pop_all()
    return Image(
        source, format="ewf2", name=name, facts=found.facts, hashes=found.hashes, sector_size=shape.sector_size, bad_sectors=bad,
        parts=tuple((segment.file.root, segment.file.size) for segment in segments), close_with=(pool.close,), tree=tree,
    )  # fmt: skip


FORMAT = ImageFormat(
    name="ewf2",
    title="Expert Witness Compression Format version 2 (Ex01, Lx01)",
    refs=(
        'Joachim Metz, "Expert Witness Compression Format version 2 (EWF2)", libewf documentation',
        'Guidance Software, "EnCase Evidence File Format Version 2" (2012)',
    ),
    gaps=(
        "encrypted sets are recognised and refused: how EnCase stores their keys was never published",
        "bzip2 chunks and Lx01 are read by the specification: no sample made by EnCase was at hand",
        "memory extents, increment, restart and analytical data are not interpreted",
        "a set with a segment missing is refused, also where the segments before the gap could be read",
        "chunks behind a damaged sector table are not looked for",
    ),
    signatures=(Signature(SIGNATURE_EX01), Signature(SIGNATURE_LX01)),
    extensions=(".ex01", ".lx01"),
    open=open_ewf2,
)
