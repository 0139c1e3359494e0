"""Open an EWF-E01 or EWF-S01 set."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.ewf import (
    SIGNATURE,
    SIGNATURE_ADCRYPT,
    SIGNATURE_L01,
)
from forensiclib.images._files import FilePool, expand
from forensiclib.images._ltree import logical_files, logical_size
from forensiclib.images.ewf.chunks import EwfSource
from forensiclib.images.ewf.headers import Geometry, Notes, geometry, notes
from forensiclib.images.ewf.segments import open_segments
from forensiclib.images.ewf.tables import build

__all__ = ["FORMAT", "open_ewf"]


def _bad_sectors(root: str, shape: Geometry, found: Notes, budget: Budget) -> list[Span]:
    out = []
    for start, count in found.errors:
        span = Span(root, start * shape.sector_size, count * shape.sector_size)
        if count == 0 or span.end > shape.size:
            budget.report(Corrupt("EWF error2 section", span, f"{count} sectors from {start} of {shape.sector_count}"))
        else:
            out.append(span)
    return out


def open_ewf(paths: Sequence[str], budget: Budget) -> Image:
    """The set that the path (or the listed segments) makes; no chunk is read.

    Raises NotThisFormat by the signature; Unsupported for AD
    encryption; Truncated when a segment is missing; Corrupt when one is another's, or when
    no copy of the volume section is whole. Damaged descriptors, tables, headers and hashes, and a
    last segment that breaks off, are findings; the chunks that cannot be placed raise when they are read.
    """
    with ExitStack() as stack:
        pool = FilePool()
        stack.callback(pool.close)
        segments = open_segments(pool, expand(paths), budget)
        shape = geometry(segments, budget)
        found = notes(segments, budget)
        name = segments[0].file.root
        size, logical = shape.size, shape.logical or found.tree is not None
        if found.tree is not None:
            size = logical_size(found.tree, size, shape.chunk_size)
        elif logical:
            budget.report(Corrupt("EWF ltree section", shape.span, "the list of files is not there or cannot be read"))
        source = EwfSource(build(segments, shape, budget), size, shape.chunk_size, name)
        tree = logical_files(found.tree, source, name, budget) if found.tree is not None else None
        stack.pop_all()
    return Image(
        source,
        format="ewf",
        name=name,
        facts={**shape.facts, **found.facts},
        hashes=found.hashes,
        sector_size=shape.sector_size,
        bad_sectors=_bad_sectors(name, shape, found, budget),
        parts=tuple((segment.file.root, segment.file.size) for segment in segments),
        close_with=(pool.close,),
        tree=tree,
    )


FORMAT = ImageFormat(
    name="ewf",
    title="Expert Witness Compression Format (E01, S01, L01)",
    refs=(
        'Joachim Metz, "Expert Witness Compression Format (EWF)", libewf documentation: Segment file, The sections, EWF-X, '
        "Compression, Corruption scenarios",
        "Andrew Rosen, ASR Data, Expert Witness Compression Format specification",
    ),
    gaps=(
        "AD encryption is recognised and refused",
        "logical evidence (L01) is read by the specification, with libewf as the second reader: no sample of EnCase was at hand",
        "the MD5 of each file of logical evidence is shown, not checked while it is read; a slash in a name is U+2215 in paths",
        "a set with a segment missing is refused, also where the segments before the gap could be read",
        "several set identifiers in one set (EnCase 6.13 remote acquisition) are refused",
        "header text in a code page other than UTF-8 is read as Windows-1252: the code page is not stored",
        "password hashes are shown, not checked: they protect no data",
    ),
    signatures=tuple(Signature(s) for s in (SIGNATURE, SIGNATURE_L01, SIGNATURE_ADCRYPT)),
    extensions=(".e01", ".s01", ".l01"),
    open=open_ewf,
)
