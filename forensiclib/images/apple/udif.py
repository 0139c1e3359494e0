"""Open a UDIF image (.dmg), in one file or in segments (.dmgpart)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Check, Image
from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.core.span import Span
from forensiclib.formats import udif as f
from forensiclib.images._blocks import BlockSource, root_of
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile
from forensiclib.images.apple.chunks import disk, stored_sum
from forensiclib.images.apple.tables import Trailer, tables, trailer

__all__ = ["FORMAT", "Found", "is_udif", "open_udif", "whole"]

SECTOR = 512
SEGMENTS = 10_000
"""Files of one image: hdiutil numbers them with three digits."""


@dataclass(frozen=True, slots=True)
class Found:
    """A disk, what its container says of it, and its checksums."""

    data: ByteSource
    facts: dict[str, str]
    checks: list[Check]


def is_udif(file: ByteSource) -> bool:
    """Whether a koly block ends the file."""
    return file.size >= f.KOLY.size and file.read_at(file.size - f.KOLY.size, 4) == f.SIGNATURE


def _facts(found: Trailer) -> dict[str, str]:
    flags, variant = found["flags"], found["variant"]
    facts = {
        "sectors": str(found["sectors"]),
        "flags": ", ".join(text for bit, text in f.FLAGS.items() if flags & bit) or f"{flags:#x}",
        "variant": f.VARIANTS.get(variant, str(variant)),
        "data_fork_size": str(found["data_size"]),
    }
    if any(found["segment_id"]):
        facts["segment_id"] = str(uuid.UUID(bytes=found["segment_id"]))
    if found["segments"] > 1:
        facts["segments"] = str(found["segments"])
    return facts


def _pieces(first: ByteSource, found: Trailer, others: Sequence[tuple[ByteSource, Trailer]]) -> ByteSource:
    """The data fork. Corrupt when the segments do not continue each other."""
    if found["segments"] <= 1:
        return first.slice(min(found["data_offset"], first.size))
    parts, at = list[ByteSource](), 0
    for file, each in sorted(others, key=lambda pair: pair[1]["running_offset"]):
        span = Span(root_of(file), each["at"], f.KOLY.size)
        if each["running_offset"] != at:
            raise Corrupt("UDIF segment", span, f"it continues at byte {each['running_offset']}, the one before it ends at {at}")
        if each["data_offset"] + each["data_size"] > file.size:
            raise Truncated("UDIF segment", span, f"{each['data_size']} bytes at {each['data_offset']} in a file of {file.size}")
        parts.append(file.slice(each["data_offset"], each["data_size"]))
        at += each["data_size"]
    return ConcatSource(parts)


def whole(file: ByteSource, found: Trailer, others: Sequence[tuple[ByteSource, Trailer]], budget: Budget) -> Found:
    """The disk behind a trailer; ``others`` are all segments, this one included, when there are several."""
    data, span, size = _pieces(file, found, others), Span(root_of(file), found["at"], f.KOLY.size), found["sectors"] * SECTOR
    facts, checks = _facts(found), list[Check]()
    for source, each in others or [(file, found)]:
        where = Span(root_of(source), each["at"], f.KOLY.size)
        stored = stored_sum(each["data_sum_type"], each["data_sum_bits"], each["data_sum"], "UDIF data fork", where, budget)
        if stored and len(others) < 2:  # what the checksums of several segments cover is not known
            fork = source.slice(each["data_offset"], each["data_size"])
            checks.append(Check("data fork", "crc32", stored, where, data=fork))
    if found["data_offset"] + found["data_size"] > file.size:
        budget.report(Truncated("UDIF data fork", span, f"{found['data_size']} bytes at {found['data_offset']} in a file of {file.size}"))
    listed = tables(file, found, budget)
    for other, each in others:
        if not listed and other is not file:
            listed = tables(other, each, budget)
    if not listed:
        if found["data_size"] != size:
            raise Corrupt("UDIF trailer", span, f"no block tables, and {found['data_size']} bytes are not the disk of {size}")
        there = found["at"] - found["data_offset"]  # the trailer is no part of the disk, should the fork be cut short before it
        media = data.slice(0, min(size, there) if there > 0 else size)
        return Found(BlockSource(size, lambda offset: (media, offset, size - offset), "UDIF data fork"), facts, checks)
    master = stored_sum(found["master_type"], found["master_bits"], found["master"], "UDIF master checksum", span, budget)
    media, more, sums = disk(data, listed, size, (master, span), budget)
    return Found(media, facts | more, checks + sums)


def _segments(family: Family, path: str, file: PooledFile, found: Trailer) -> list[tuple[ByteSource, Trailer]]:
    """Every segment of the set, by its identity, from the caller's list or the folder. Truncated naming the numbers that are missing."""
    count = found["segments"]
    span = Span(file.root, found["at"], f.KOLY.size)
    if count > SEGMENTS:
        raise Corrupt("UDIF trailer", span, f"{count} segments")
    numbered: dict[int, tuple[ByteSource, Trailer]] = {found["segment"]: (file, found)}
    for other in family.others(path, (".dmgpart", ".dmg")):
        candidate = PooledFile(family.pool, other)
        try:
            each = trailer(candidate, Budget())
        except EvidenceError:
            continue
        if each["segment_id"] == found["segment_id"] and each["segments"] == count and each["segment"] not in numbered:
            numbered[each["segment"]] = family.open(other), each
    if missing := [str(n) for n in range(1, count + 1) if n not in numbered]:
        name = os.path.basename(path)
        text = f"segments {', '.join(missing[:20])} of {count} are not beside {name}: put them there or list all paths"
        raise Truncated("UDIF image", span, text)
    return [numbered[n] for n in range(1, count + 1)]


def _open(family: Family, path: str) -> Image:
    file = PooledFile(family.pool, path)
    found = trailer(file, family.budget)
    file = family.open(path)
    others = _segments(family, path, file, found) if found["segments"] > 1 else []
    made = whole(file, found, others, family.budget)
    return Image(made.data, format="udif", name=os.path.basename(path), facts=made.facts, checks=made.checks)


def open_udif(paths: Sequence[str], budget: Budget) -> Image:
    """The disk at the first path; further segments come from the other paths or from its folder.

    Raises NotThisFormat without a trailer; Truncated when segments are missing, naming them; Corrupt for tables that contradict
    themselves. What was not stored, chunks of types that are not known, a master checksum that does not match are findings. The
    checksums of the partitions and of the data fork are computed by ``verify``.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="udif",
    title="Apple disk image (UDIF, .dmg)",
    refs=(
        "Joachim Metz, Mac OS disk image types, libmodi documentation",
        "Apple, Inside Macintosh: More Macintosh Toolbox (1993), chapter 1: resource forks",
    ),
    gaps=(
        "chunks of type ignore (space that the file system did not use) were not stored: they read as zero, and a finding says how much",
        "checksums other than CRC-32 are not verified; those of the data forks of images in segments neither",
        "raw, zero, ADC and LZFSE chunks have no checksum of their own: damage in them shows in verify, not in a read",
        "KenCode chunks of converted older images are not read; segments and images with the trailer in front were not met in the wild",
        "uncompressed images without a trailer (UDRW, UDTO) are raw; the software licence and other resources are not shown",
    ),
    signatures=(Signature(f.SIGNATURE),),
    trailers=(Signature(f.SIGNATURE),),
    extensions=(".dmg",),
    open=open_udif,
)
