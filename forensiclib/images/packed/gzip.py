"""A raw image packed with gzip (disk.dd.gz)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, LimitExceeded, NotThisFormat, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ConcatSource
from forensiclib.core.span import Span
from forensiclib.formats.archives import GZIP_MEMBER
from forensiclib.images._files import FilePool, PooledFile, expand
from forensiclib.images.packed._choice import looks_like_an_image, must_be_raw
from forensiclib.images.packed.deflated import DeflateSource

__all__ = ["FORMAT", "open_gzip"]

MEMBERS, STATES = 256, 16
"""Members of one file, and the states of its decoder that each but the first keeps: some 100 MiB in all at the most."""
FEXTRA, FNAME, FCOMMENT, FHCRC = 4, 8, 16, 2
_LONGEST = 1 << 16


def _header(file: PooledFile, at: int) -> tuple[int, str]:
    """(where the deflate stream of the member at ``at`` begins, its stored name)"""
    head = file.read_at(at, GZIP_MEMBER.size + 2 * _LONGEST)
    span = Span(file.root, at, min(len(head), 64))
    if head[:3] != b"\x1f\x8b\x08":
        raise NotThisFormat("gzip member", span, "no signature, or another method than deflate")
    if len(head) < GZIP_MEMBER.size:
        raise Truncated("gzip member", span, f"{len(head)} of {GZIP_MEMBER.size} bytes of its header")
    flags, place, name = head[3], GZIP_MEMBER.size, ""
    if flags & FEXTRA:
        place += 2 + int.from_bytes(head[place : place + 2], "little")
    for flag in (FNAME, FCOMMENT):
        if flags & flag:
            end = head.find(b"\0", place)
            if end < 0:
                raise Corrupt("gzip member", span, "a name without an end")
            if flag == FNAME:
                name = head[place:end].decode("latin-1")
            place = end + 1
    return at + place + 2 * bool(flags & FHCRC), name


def _members(file: PooledFile, budget: Budget) -> tuple[list[DeflateSource], int]:
    """(the members, the CRC-32 of the first). Damage behind the first chunk of data, and what is behind the last member, is a finding."""
    out: list[DeflateSource] = []
    at = first = 0
    while at < file.size:
        budget.item()
        if len(out) >= MEMBERS:
            raise LimitExceeded("gzip member", Span(file.root, at, 10), f"more than {MEMBERS} members: unpack it first")
        try:
            start, _ = _header(file, at)
            source, length = DeflateSource.measured(file, start, "gzip member", budget)
        except (NotThisFormat, Corrupt, Truncated) as error:
            if not out:
                raise Corrupt(error.what, error.span, error.found) if isinstance(error, NotThisFormat) else error from error
            rest = file.read_at(at, 1 << 16)
            if isinstance(error, Truncated) or rest.strip(b"\0"):
                budget.report(Corrupt("gzip file", Span(file.root, at, file.size - at), f"behind member {len(out)}: {error}"))
            break
        tail = file.read_at(start + length, 8)
        span = Span(file.root, at, start + length + len(tail) - at)
        if len(tail) < 8:
            budget.report(Truncated("gzip member", span, "the file ends before its CRC-32"))
        elif source.crc != int.from_bytes(tail[:4], "little") or source.size & 0xFFFFFFFF != int.from_bytes(tail[4:], "little"):
            budget.report(Corrupt("gzip member", span, "its CRC-32 or size does not match the one stored behind it"))
        if not out:
            first = int.from_bytes(tail[:4], "little")
        if out:
            source.thin(STATES)
        out.append(source)
        at = start + length + 8
    return out, first


def open_gzip(paths: Sequence[str], budget: Budget) -> Image:
    """The raw image in the file, which is unpacked once to know its size.

    Raises NotThisFormat by the signature and for a name that is no image's; Unsupported for a container inside; Corrupt and Truncated for a
    first member that breaks; LimitExceeded for more than 256 members. Damage behind the first member, and checksums that do not
    match, are findings.
    """
    found = expand(paths)
    if len(found) != 1:
        raise NotThisFormat("gzip file", None, f"{len(found)} files")
    with ExitStack() as stack:
        pool = FilePool()
        stack.callback(pool.close)
        file = PooledFile(pool, found[0])
        _, stored = _header(file, 0)
        stem, suffix = os.path.splitext(file.root)
        name = stem if suffix.lower() in (".gz", ".gzip") else file.root
        shown = next((n for n in (stored, name) if looks_like_an_image(n)), "")
        if not shown:
            raise NotThisFormat("gzip file", Span(file.root, 0, 10), f"{stored or name!r} is no name of an image")
        members, crc = _members(file, budget)
        data: ByteSource = members[0] if len(members) == 1 else ConcatSource(members)
        must_be_raw(data, shown, Span(file.root, 0, file.size))
        stack.pop_all()
    return Image(
        data, format="gzip", name=file.root, facts={"member": stored or name, "members": str(len(members)), "packed": str(file.size)},
        hashes={"crc32": f"{crc:08x}"} if len(members) == 1 else {}, parts=((file.root, file.size),), close_with=(pool.close,),
    )  # fmt: skip


FORMAT = ImageFormat(
    name="gzip",
    title="Raw image packed with gzip (dd.gz)",
    refs=("RFC 1952, GZIP file format specification version 4.3 (1996)", "RFC 1951, DEFLATE compressed data format (1996)"),
    gaps=(
        "the file is unpacked once when it is opened, since it does not say how long its content is",
        "a file whose name, or stored name, is not that of an image is not opened as one",
        "a container (E01, AFF, VMDK ...) inside is refused by name, not opened; files of more than 256 members (BGZF) are refused",
        "nothing behind damage can be read; xz, bzip2, zstd and 7z are not read",
    ),
    signatures=(Signature(b"\x1f\x8b\x08"),),
    extensions=(".gz", ".gzip"),
    open=open_gzip,
)
