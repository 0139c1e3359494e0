"""Raw NAND flash with its spare areas: the data in one stretch, the spare areas (OOB) beside."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from forensiclib.core.declare import ImageFormat, OpenImage
from forensiclib.core.entry import Image, Volume
from forensiclib.core.errors import NotThisFormat, Truncated, Unsupported, UsageError
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.images._blocks import BlockSource, Place
from forensiclib.images._files import FilePool, PooledFile, expand

__all__ = ["FORMAT", "Candidate", "Geometry", "candidates", "geometry", "open_nand"]

KNOWN = (
    (512, 16), (1024, 32), (2048, 64), (2048, 112), (2048, 128), (4096, 128), (4096, 218), (4096, 224), (4096, 232), (4096, 256),
    (8192, 436), (8192, 448), (8192, 512), (8192, 640), (8192, 744), (16384, 1024), (16384, 1216), (16384, 1280), (16384, 1664),
)  # fmt: skip
"""Bytes of a page and of its spare area that chips have."""
LOOKED, PAGES = 2048, 256
"""Pages that are looked at for each geometry, and those among the written ones whose columns are compared."""
WRITTEN = 48
"""Written pages without which nothing is guessed."""
SURE = 12.0
"""Decimal digits of the chance that a guess must stay below."""
_TEXT = re.compile(r"(\d{3,5})\+(\d{1,5})(?:,(interleaved|separated|block=(\d{1,4})))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Geometry:
    """``page`` bytes of data and ``spare`` bytes beside each. They follow each other page by page (``block`` 1), or the pages of ``block``
    first and their spare areas behind them; block 0: the pages of the whole dump."""

    page: int
    spare: int
    block: int = 1

    def __str__(self) -> str:
        layout = {0: ",separated", 1: ""}.get(self.block, f",block={self.block}")
        return f"{self.page}+{self.spare}{layout}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A geometry that the content speaks for: 10 to the power of -digits is the chance that it is none. ``reason`` in words."""

    geometry: Geometry
    digits: float
    reason: str


def geometry(text: str) -> Geometry:
    """ "2048+64", "2048+64,separated" or "2048+64,block=64" as a geometry; UsageError for another text."""
    match = _TEXT.fullmatch(text.replace(" ", ""))
    if match is None or not 0 < int(match[1]) <= 65_536 or not 0 < int(match[2]) <= int(match[1]):
        raise UsageError(f"{text!r} is no geometry: write nand:PAGE+SPARE, such as nand:2048+64, with ,separated or ,block=PAGES behind")
    block = 0 if match[3] == "separated" else int(match[4] or 1)
    if match[4] and not block:
        raise UsageError(f"{text!r}: a block has one page or more")
    return Geometry(int(match[1]), int(match[2]), block)


def candidates(source: ByteSource, budget: Budget) -> list[Candidate]:
    """The geometries that the content speaks for, the best first; pages and spare areas that follow each other only.

    In a spare area some bytes are the same in every written page (the bad-block mark, bytes that the ECC leaves free), wherever the
    data go. So each geometry is asked how many columns of its spare area hold one value in nearly all written pages, and how many of
    its data do. With a wrong geometry both are columns through data, and the shares are alike. The chance that they differ as much
    as they do is bounded by Chernoff's inequality, columns taken as independent; since they are not (records, pages of which the
    geometry is a multiple), no stretch of the data as long as the spare area may be half as steady.
    """
    found = []
    for page, spare in KNOWN:
        budget.check()
        pages = _written(source, page, spare)
        if len(pages) < WRITTEN:
            continue
        joined, unit = b"".join(pages), page + spare
        steady = [_steady(joined[c::unit]) for c in range(unit)]
        kept, others = sum(steady[page:]), sum(steady[:page])
        digits = _digits(kept, spare, others, page)
        sums = list(accumulate(steady, initial=0))
        best = max(sums[c + spare] - sums[c] for c in range(page - spare + 1))
        if digits >= SURE and 2 * best < kept:
            reason = (
                f"of {len(pages)} written pages, {kept} of {spare} columns of the spare area hold one value, {others} of {page} columns of "
                f"the data do, and at most {best} of {spare} neighbours: by chance less than once in 10^{digits:.0f}"
            )
            found.append(Candidate(Geometry(page, spare), digits, reason))
    return sorted(found, key=lambda c: -c.digits)


def _written(source: ByteSource, page: int, spare: int) -> list[bytes]:
    """Pages whose data are neither erased nor nearly one value, from all over the dump."""
    unit = page + spare
    count = source.size // unit
    looked = min(LOOKED, count)
    out: list[bytes] = []
    for i in range(looked):
        at = i * count // looked * unit
        if len(set(source.read_at(at, 512))) > 16:
            out.append(source.read_at(at, unit))
    return out if len(out) <= PAGES else [out[i * len(out) // PAGES] for i in range(PAGES)]


def _steady(column: bytes) -> bool:
    """Whether 19 of 20 pages have the same value there: that of one of three of them."""
    n = len(column)
    return any(column.count(value) * 20 >= n * 19 for value in {column[0], column[n // 3], column[2 * n // 3]})


def _digits(k: int, n: int, others: int, of: int) -> float:
    """-log10 of the bound on the chance that k of n columns are steady where ``others`` of ``of`` are (one more, to be careful)."""
    p, q = k / n, min(0.999, (others + 1) / of)
    if p <= q:
        return 0.0
    divergence = p * math.log(p / q) + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)
    return n * divergence / math.log(10)


def _views(file: PooledFile, shape: Geometry) -> tuple[ByteSource, ByteSource, int]:
    """(the data, the spare areas, bytes of the file that are whole pages)"""
    unit, block = shape.page + shape.spare, shape.block
    pages = file.size // unit
    if not block:
        end = pages * shape.page
        return file.slice(0, end), file.slice(end, pages * shape.spare), pages * unit
    pages -= pages % block

    def locate(width: int, before: int, offset: int) -> Place:
        number, inside = divmod(offset, width * block)
        return file, number * unit * block + before + inside, width * block - inside

    data = BlockSource(pages * shape.page, partial(locate, shape.page, 0), "NAND page")
    spare = BlockSource(pages * shape.spare, partial(locate, shape.spare, shape.page * block), "NAND spare area")
    return data, spare, pages * unit


def _guess(file: PooledFile, budget: Budget) -> Candidate:
    found = candidates(file, budget)
    span = Span(file.root, 0, file.size)
    if not found:
        raise NotThisFormat("NAND dump", span, "no known geometry stands out: give it, as in format='nand:2048+64'")
    if len(found) > 1 and found[1].digits * 2 > found[0].digits:
        said = "; ".join(f"{c.geometry} ({c.reason})" for c in found)
        raise Unsupported("NAND dump", span, f"several geometries are possible, say which, as in format='nand:{found[0].geometry}': {said}")
    for other in found[1:]:
        budget.report(Finding.note("NAND dump", f"{other.geometry} would be possible too: {other.reason}", file.root, span))
    return found[0]


def open_nand(paths: Sequence[str], budget: Budget, shape: Geometry | None = None) -> Image:
    """The data of a dump, its spare areas as a second volume.

    Without a geometry it is guessed from the content: NotThisFormat when none stands out, Unsupported naming them when several do.
    Truncated for a dump of less than a page; bytes behind the last whole page (or block) are a finding and a volume of their own.
    """
    found = expand(paths)
    if len(found) != 1:
        raise NotThisFormat("NAND dump", None, f"{len(found)} files")
    with ExitStack() as undo:
        pool = FilePool()
        undo.callback(pool.close)
        file = PooledFile(pool, found[0])
        facts = {}
        if shape is None:
            guessed = _guess(file, budget)
            shape, facts["reason"] = guessed.geometry, guessed.reason
            budget.report(Finding.note("NAND dump", f"the geometry {shape} is guessed: {guessed.reason}", file.root))
        data, spare, end = _views(file, shape)
        if not end:
            raise Truncated("NAND dump", Span(file.root, 0, file.size), f"{file.size} bytes are less than {shape.page}+{shape.spare}")
        volumes = [
            Volume(data, index=1, start=0, scheme="nand", kind="data of the pages"),
            Volume(spare, index=2, start=-1, scheme="nand", kind="spare areas (OOB)"),
        ]
        if end < file.size:
            span = Span(file.root, end, file.size - end)
            budget.report(
                Truncated("NAND dump", span, f"{span.length} bytes at the end are no whole {'block' if shape.block > 1 else 'page'}")
            )
            volumes.append(Volume(file.slice(end), index=3, start=-1, scheme="nand", kind="behind the last whole page"))
        undo.pop_all()
    facts |= {"page": str(shape.page), "spare": str(shape.spare), "pages": str(data.size // shape.page)}
    facts["layout"] = {0: "separated", 1: "interleaved"}.get(shape.block, f"separated in blocks of {shape.block} pages")
    return Image(
        data, format=f"nand:{shape}", name=file.root, facts=facts, sector_size=shape.page, parts=((file.root, file.size),),
        close_with=(pool.close,), tracks=volumes,
    )  # fmt: skip


def _configured(text: str) -> OpenImage:
    shape = geometry(text)
    return lambda paths, budget: open_nand(paths, budget, shape)


FORMAT = ImageFormat(
    name="nand",
    title="Raw NAND flash dump with spare areas (OOB)",
    refs=(
        "ONFI, Open NAND Flash Interface Specification 5.1: page, spare area, parameter page",
        "Linux kernel, drivers/mtd/nand/raw/nand_base.c: layouts of the spare area (nand_ooblayout_sp, nand_ooblayout_lp)",
    ),
    gaps=(
        "opened by format='nand' or 'nand:PAGE+SPARE' and by the extension .nand: nothing in the content says that it is a NAND dump",
        "a guess knows the common geometries, each page followed by its spare area, and needs spare bytes that are the same in every page",
        "the ECC is not computed: bit errors are neither seen nor corrected; scrambled pages stay as they are",
        "pages are in the order of the chip: bad blocks are not skipped, no translation layer (FTL) is undone",
        "the media, and the digests of verify(), are the data of the pages; the spare areas are the second volume",
        "no partition table is looked for in the data: MTD partitions are named by the boot loader, not on the chip",
    ),
    extensions=(".nand",),
    configure=_configured,
    open=open_nand,
)
