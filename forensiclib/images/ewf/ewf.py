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
    SIGNATURE_EX01,
    SIGNATURE_L01,
    SIGNATURE_LX01,
)
from forensiclib.images._files import FilePool, expand
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

    Raises NotThisFormat by the signature; Unsupported for EWF2 (Ex01), logical evidence (L01) and AD
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
        source = EwfSource(build(segments, shape, budget), shape.size, shape.chunk_size, name)
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
    )


FORMAT = ImageFormat(
    name="ewf",
    title="Expert Witness Compression Format (E01, S01)",
    refs=(
        'Joachim Metz, "Expert Witness Compression Format (EWF)", libewf documentation: Segment file, The sections, EWF-X, '
        "Compression, Corruption scenarios",
        "Andrew Rosen, ASR Data, Expert Witness Compression Format specification",
    ),
    gaps=(
        "EWF2 (Ex01, Lx01), logical evidence (L01) and AD encryption are recognised and refused",
        "a set with a segment missing is refused, also where the segments before the gap could be read",
        "several set identifiers in one set (EnCase 6.13 remote acquisition) are refused",
        "header text in a code page other than UTF-8 is read as Windows-1252: the code page is not stored",
        "password hashes are shown, not checked: they protect no data",
    ),
    signatures=tuple(Signature(s) for s in (SIGNATURE, SIGNATURE_EX01, SIGNATURE_L01, SIGNATURE_LX01, SIGNATURE_ADCRYPT)),
    extensions=(".e01", ".s01", ".ex01", ".l01", ".lx01"),
    open=open_ewf,
)
