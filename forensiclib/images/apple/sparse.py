"""Open a sparse disk image (.sparseimage): bands in the order of their first writing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import sparseimage as f
from forensiclib.images._blocks import BlockSource, Place, numbers, read_exactly, root_of
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile
from forensiclib.images.apple.udif import Found

__all__ = ["FORMAT", "open_sparse", "unfolded"]

SECTOR = 512


def _places(file: ByteSource, first: int, band: int, count: int, budget: Budget) -> tuple[dict[int, int], int]:
    """(number of each band from 0 -> its offset in the file, nodes read). A slot's place tells its band's; 0 is a slot not in use."""
    root, out = root_of(file), dict[int, int]()
    at, size, wrong, seen = 0, f.HEADER.size, 0, set[int]()
    while True:
        seen.add(at)
        budget.item()
        raw = read_exactly(file, at, f.PAGE, "sparse image node")
        if raw[:4] != f.SIGNATURE:
            raise Corrupt("sparse image node", Span(root, at, f.PAGE), "no sprs")
        for slot, number in enumerate(numbers(raw[size:], "I", big=True)):
            if not number:
                continue
            if number > count or number - 1 in out:
                wrong += 1
                continue
            out[number - 1] = at + f.PAGE + slot * band
        following = f.NODE.dict(raw)["next"] if at else first
        if not following:
            break
        if following in seen or following > file.size:
            raise Corrupt("sparse image node", Span(root, at, f.PAGE), f"the next one at {following}")
        at, size = following, f.NODE.size
    if wrong:
        text = f"{wrong} slots name a band behind the disk's end, or one that another slot has; they are left out"
        budget.report(Corrupt("sparse image node", Span(root, 0, f.PAGE), text))
    return out, len(seen)


def unfolded(file: ByteSource, budget: Budget) -> Found:
    """The disk in a sparse image. Bands that no slot names were never written: zeros by the format.

    Raises NotThisFormat by the signature, Corrupt for a header or a chain of nodes that cannot be.
    """
    root = root_of(file)
    if file.read_at(0, 4) != f.SIGNATURE:
        raise NotThisFormat("sparse image", Span(root, 0, 4), "no sprs")
    head = f.HEADER.dict(read_exactly(file, 0, f.HEADER.size, "sparse image header"))
    span = Span(root, 0, f.HEADER.size)
    sectors, band = head["sectors"] or head["sectors_low"], head["band_sectors"] * SECTOR
    if not SECTOR <= band <= 1 << 32 or sectors > 1 << 51:
        raise Corrupt("sparse image header", span, f"bands of {band} bytes, a disk of {sectors} sectors")
    if head["sectors"] & 0xFFFFFFFF != head["sectors_low"] and head["sectors"]:
        budget.report(Corrupt("sparse image header", span, f"{head['sectors']} sectors, and {head['sectors_low']} in the older field"))
    size = sectors * SECTOR
    places, nodes = _places(file, head["next"], band, -(-size // band), budget)

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, band)
        run, at = min(band - inside, size - offset), places.get(number)
        return (None, 0, run) if at is None else (file, at + inside, run)

    facts = {"version": str(head["version"]), "flags": f"{head['flags']:#x}", "sectors": str(sectors), "band_size": str(band)}
    facts |= {"bands": f"{len(places)} of {-(-size // band)}", "nodes": str(nodes)}
    return Found(BlockSource(size, locate, "sparse image band"), facts, [])


def _open(family: Family, path: str) -> Image:
    file = PooledFile(family.pool, path)
    if file.read_at(0, 4) != f.SIGNATURE:
        raise NotThisFormat("sparse image", Span(file.root, 0, 4), "no sprs")
    found = unfolded(family.open(path), family.budget)
    return Image(found.data, format="sparseimage", name=os.path.basename(path), facts=found.facts)


def open_sparse(paths: Sequence[str], budget: Budget) -> Image:
    """The disk at the one path.

    Raises NotThisFormat by the signature, Corrupt for a header or a chain of nodes that cannot be. Slots that contradict each other are
    a finding; a band behind the end of the file raises Truncated when it is read.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="sparseimage",
    title="Apple sparse disk image (.sparseimage)",
    refs=("Joachim Metz, Mac OS disk image types, libmodi documentation", "Simon Gander, fsdump (2020): nodes behind the header"),
    gaps=(
        "the format stores no checksum: damage is seen only where the table of bands makes no sense",
        "images of more than 1,008 bands go on in further nodes, of which no specification but a second program's reading was at hand",
        "what a band held before the file system freed it is shown as it is stored; nothing tells which bands were written first",
    ),
    signatures=(Signature(f.SIGNATURE),),
    extensions=(".sparseimage",),
    open=open_sparse,
)
