"""Open a Disk Copy 4.2 image: a floppy disk of classic Mac OS behind a header with checksums."""

from __future__ import annotations

import os
from collections.abc import Sequence

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats import diskcopy as f
from forensiclib.images._blocks import numbers
from forensiclib.images._family import Family, opened
from forensiclib.images._files import PooledFile

__all__ = ["FORMAT", "open_diskcopy", "summed"]

SECTOR = 512
LARGEST = 1 << 24
"""Bytes of data: the disks have 1.44 MB at most, the signature leaves room for 24 bits."""


def summed(data: bytes) -> int:
    """Disk Copy's checksum: big-endian words are added, and the sum is turned right by one bit after each."""
    total = 0
    for word in numbers(data + bytes(-len(data) % 4), "I", big=True):
        for half in (word >> 16, word & 0xFFFF):
            total = (total + half) & 0xFFFFFFFF
            total = total >> 1 | (total & 1) << 31
    return total


def _open(family: Family, path: str) -> Image:
    file, budget = PooledFile(family.pool, path), family.budget
    raw, span = file.read_at(0, f.HEADER.size), Span(file.root, 0, f.HEADER.size)
    if len(raw) < f.HEADER.size or raw[f.MAGIC_OFFSET :] != f.MAGIC:
        raise NotThisFormat("Disk Copy 4.2", span, "no 0100 at 82")
    head = f.HEADER.dict(raw)
    data, tags, length = head["data_size"], head["tag_size"], head["name"][0]
    # Two bytes of signature are little: only a header that accounts for the whole file is one.
    whole = f.HEADER.size + data + tags
    if length > 63 or not 0 < data < LARGEST or data % SECTOR or tags not in (0, data // SECTOR * f.TAG) or whole > file.size:
        raise NotThisFormat("Disk Copy 4.2", span, f"{data} bytes of data and {tags} of tags in a file of {file.size}")
    if any(c < 32 for c in head["name"][1 : 1 + length]) or head["encoding"] not in f.ENCODINGS:
        raise NotThisFormat("Disk Copy 4.2", span, f"encoding {head['encoding']}, or a name with control characters")
    file = family.open(path)
    media = file.slice(f.HEADER.size, data)
    found = summed(media.read_at(0, data))
    if found != head["data_sum"]:
        text = f"its checksum is {found:#010x}, {head['data_sum']:#010x} is stored"
        budget.report(Corrupt("Disk Copy data", Span(file.root, f.HEADER.size, data), text))
    # The first sector's tag is left out: Disk Copy has always done so.
    found = summed(file.read_at(f.HEADER.size + data + f.TAG, max(0, tags - f.TAG)))
    if tags and found != head["tag_sum"]:
        text = f"their checksum is {found:#010x}, {head['tag_sum']:#010x} is stored"
        budget.report(Corrupt("Disk Copy tags", Span(file.root, f.HEADER.size + data, tags), text))
    if whole < file.size:
        budget.report(
            Finding.note("Disk Copy image", f"{file.size - whole} bytes stand behind it", path, Span(file.root, whole, file.size - whole))
        )
    facts = {
        "disk_name": head["name"][1 : 1 + length].decode("mac_roman"), "encoding": f.ENCODINGS[head["encoding"]],
        "format": f"{head['format']:#04x}", "data_checksum": f"{head['data_sum']:08x}",
        "tag_checksum": f"{head['tag_sum']:08x}", "tag_size": str(tags),
    }  # fmt: skip
    return Image(media, format="diskcopy", name=os.path.basename(path), facts=facts)


def open_diskcopy(paths: Sequence[str], budget: Budget) -> Image:
    """The floppy disk at the one path. Both checksums are computed; one that does not match is a finding.

    Raises NotThisFormat unless header, data and tags account for the file.
    """
    return opened(paths, budget, _open)


_HEAD = bytes(80) + b"\0\0" + f.MAGIC
_MASK = b"\xc0" + bytes(63) + b"\xff\0\0\0" + b"\xff\0\0\0" + bytes(8) + b"\xfc\0" + b"\xff\xff"

FORMAT = ImageFormat(
    name="diskcopy",
    title="Disk Copy 4.2 floppy image",
    refs=("Apple II File Type Notes, $E0/$8005: DiskCopy disk image (Apple, 1990)",),
    gaps=(
        "the tags of the sectors (12 bytes each on 400 and 800 KiB disks) are checked, not shown",
        "Disk Copy 6 (NDIF) keeps its tables in the resource fork of a classic Mac OS file, and DART packs: neither is read",
        "the checksums are judged when the image is opened, and are no part of verify's verdict",
    ),
    signatures=(Signature(_HEAD, mask=_MASK),),
    extensions=(".dc42", ".image", ".diskcopy42"),
    open=open_diskcopy,
)
