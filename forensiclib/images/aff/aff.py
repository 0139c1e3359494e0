"""Open an AFF image: one file, a folder of files (AFD), or a file of notes beside raw data (AFM)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, Locked, NotThisFormat, Truncated, Unreadable
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ConcatSource
from forensiclib.core.span import Span
from forensiclib.formats.aff import QUAD, SIGNATURE
from forensiclib.images._files import FilePool, PooledFile, expand
from forensiclib.images.aff.pages import AffSource, Pages, unreadable
from forensiclib.images.aff.segments import Segment, segments

__all__ = ["FORMAT", "open_aff"]

_PAGE = re.compile(r"(?:page|seg)(0|[1-9]\d{0,17})(?:_(md5|sha1|sha256))?", re.ASCII)
_MEMBER = re.compile(r"file_(\d{3,9})\.aff", re.IGNORECASE | re.ASCII)
_DIGESTS = {"md5": 16, "sha1": 20, "sha256": 32}
_EACH = ("aff_file_type", "afflib_version")
"""What every file of an AFD says of itself."""
_HEX = ("image_gid",)
_LOCKED = ("/aes256", "affkey_")
_SIGNED = ("/sha256", "cert-sha256", "affbom")
NOTE = 1 << 16
"""Bytes of a note that are taken as a fact; a longer one is named in a finding."""
PAGE = 64 << 20
"""Bytes of the largest page: AFFLIB reads none of more than 16 MiB."""


@dataclass(slots=True)
class _Set:
    """What the segments of all files say."""

    budget: Budget
    pages: dict[int, Segment] = field(default_factory=dict)
    digests: dict[tuple[int, str], Segment] = field(default_factory=dict)
    notes: dict[str, Segment] = field(default_factory=dict)
    locked: list[Segment] = field(default_factory=list)
    signed: int = 0
    doubles: int = 0

    def add(self, segment: Segment) -> None:
        """AFFLIB takes the first of several segments of a name, and so do we; the others are told."""
        name = segment.name
        if name.endswith(_LOCKED[0]) or name.startswith(_LOCKED[1]):
            self.locked.append(segment)
        elif name.endswith(_SIGNED[0]) or name.startswith(_SIGNED[1:]):
            self.signed += 1
        elif (match := _PAGE.fullmatch(name)) is None:
            self._once(self.notes.setdefault(name, segment), segment)
        elif match[2]:
            self._once(self.digests.setdefault((int(match[1]), match[2]), segment), segment)
        else:
            self._once(self.pages.setdefault(int(match[1]), segment), segment)

    def _once(self, first: Segment, segment: Segment) -> None:
        if first is segment or (first.file is not segment.file and segment.name in _EACH):
            return
        same = first.length == segment.length <= NOTE and first.argument == segment.argument and self.raw(first) == self.raw(segment)
        if not same:
            where = f"{segment.name!r} is there twice, and not the same: the first, at {first.at} of {first.file.root}, is used"
            self.budget.report(Corrupt("AFF segment", segment.span, where))

    def raw(self, segment: Segment) -> bytes:
        """The data of a segment that is no page, at most NOTE bytes."""
        return segment.file.read_at(segment.at, min(segment.length, NOTE))

    def number(self, *names: str) -> int | None:
        """A number by its name: eight bytes, or the argument of a segment without data; None when it is not there."""
        for name in names:
            segment = self.notes.get(name)
            if segment is None:
                continue
            if segment.length == QUAD.size:
                low, high = QUAD.unpack(self.raw(segment))
                return int(high) << 32 | int(low)
            if segment.length == 0:
                return segment.argument
            self.budget.report(Corrupt("AFF segment", segment.span, f"{segment.name!r} has {segment.length} bytes, a number has 8 or none"))
        return None

    def hashes(self) -> dict[str, str]:
        """The digests of the media; one of a wrong length is a finding."""
        out = {}
        for name, size in _DIGESTS.items():
            segment = self.notes.get(name)
            if segment is not None and segment.length == size:
                out[name] = self.raw(segment).hex()
            elif segment is not None:
                self.budget.report(Corrupt("AFF segment", segment.span, f"{name!r} has {segment.length} bytes instead of {size}"))
        return out

    def facts(self) -> dict[str, str]:
        """The notes as text, by their names."""
        out: dict[str, str] = {}
        for name, segment in self.notes.items():
            if name in _DIGESTS or name == "badflag":
                continue
            if segment.length > NOTE:
                found = f"{name!r} has {segment.length} bytes: more than the {NOTE} that are taken"
                self.budget.report(Finding.note("AFF segment", found, segment.file.root, segment.span))
                continue
            out[name] = self._text(segment)
        if self.signed:
            out["signature_segments"] = str(self.signed)
        return out

    def _text(self, segment: Segment) -> str:
        raw = self.raw(segment)
        if not raw:
            return str(segment.argument)
        if len(raw) == QUAD.size and segment.argument == 2:
            low, high = QUAD.unpack(raw)
            return str(high << 32 | low)
        text = raw.rstrip(b"\0").decode("utf-8", "replace")
        if segment.name in _HEX or "\ufffd" in text or not all(c.isprintable() or c in "\r\n\t" for c in text):
            return raw.hex()
        return text


def _members(paths: list[str], budget: Budget) -> list[str]:
    """The files of an AFD that the first path is one of; the paths themselves otherwise."""
    folder, name = os.path.split(paths[0])
    if len(paths) > 1 or not _MEMBER.fullmatch(name) or not os.path.abspath(folder).lower().endswith(".afd"):
        return paths
    numbered = sorted((int(m[1]), n) for n in os.listdir(folder or ".") if (m := _MEMBER.fullmatch(n)))
    for expected, (number, _) in enumerate(numbered):
        if number != expected:
            found = f"file_{expected:03}.aff is missing before {numbered[expected][1]}: its pages cannot be read"
            budget.report(Truncated("AFD folder", Span(name, 0, 0), found))
            break
    return [os.path.join(folder, n) for _, n in numbered]


def _raw_names(path: str, extension: str) -> Iterator[str]:
    """Names of the files beside an AFM: .000 to .999, then .A00 to .ZZZ, in the letters of the folder."""
    stem = os.path.splitext(path)[0]
    if not re.fullmatch(r"\d{3}", extension):
        yield f"{stem}.{extension}"
        return
    for number in range(int(extension), 1000):
        yield f"{stem}.{number:03}"
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for first in digits[10:]:
        for second in digits:
            for third in digits:
                yield f"{stem}.{first}{second}{third}"


def _raw(pool: FilePool, path: str, known: _Set) -> tuple[list[PooledFile], ConcatSource]:
    """The raw files of an AFM, as many as are there."""
    segment = known.notes.get("raw_image_file_extension")
    extension = known.raw(segment).decode("ascii", "replace") if segment is not None else "000"
    if not re.fullmatch(r"\w{1,16}", extension, re.ASCII):
        raise Corrupt("AFM file", segment.span if segment else None, f"the raw data are said to have the extension {extension!r}")
    single = not known.number("pages_per_raw_image_file")
    files: list[PooledFile] = []
    for name in _raw_names(path, extension):
        known.budget.item()
        if not os.path.isfile(name) or (single and files):
            break
        files.append(PooledFile(pool, name))
    if not files:
        wanted = os.path.basename(next(_raw_names(path, extension)))
        raise Truncated("AFM file", Span(os.path.basename(path), 0, 0), f"the raw data, {wanted}, are not beside it")
    return files, ConcatSource(files)


def _geometry(known: _Set, first: PooledFile, raw: ConcatSource | None) -> Pages:
    """Sizes and places. Corrupt when the size of a page is missing or impossible."""
    budget, span = known.budget, Span(first.root, 0, len(SIGNATURE))
    page, sector = known.number("pagesize", "segsize"), known.number("sectorsize")
    if sector is None or not 1 <= sector <= 1 << 16:
        if sector is not None:
            budget.report(Corrupt("AFF segment", known.notes["sectorsize"].span, f"sectors of {sector} bytes: taken to be 512"))
        sector = 512
    if page is None and raw is not None:
        page = 1 << 20
    if page is None or not 1 <= page <= PAGE:
        raise Corrupt("AFF page size", span, "it is not stated" if page is None else f"pages of {page} bytes")
    size = known.number("imagesize")
    if size is None:
        size = raw.size if raw is not None else 0
        if raw is None and known.pages:
            last = max(known.pages)
            size = last * page + len(Pages((last + 1) * page, page, sector, b"", known.pages).decode(last))
        budget.report(Finding.note("AFF image size", f"it is not stated: taken to be {size} bytes, where the data end", first.root))
    if size > 1 << 60:
        raise Corrupt("AFF image size", known.notes["imagesize"].span, f"{size} bytes")
    flag = known.notes.get("badflag")
    mark = known.raw(flag) if flag is not None else b""
    if mark and (len(mark) != sector or len(set(mark)) == 1):
        found = f"{len(mark)} bytes, {len(set(mark))} of them different, cannot mark sectors of {sector} bytes: it is not used"
        budget.report(Corrupt("AFF bad-sector mark", flag.span if flag else None, found))
        mark = b""
    return Pages(size, page, sector, mark, known.pages, known.digests, raw, first.root)


def _tell(known: _Set, pages: Pages, root: str) -> list[Span]:
    """Findings about what the image does not hold; the ranges for which nothing is stored."""
    budget = known.budget
    gaps = unreadable(pages, root)
    if gaps:
        lost = sum(span.length for span in gaps)
        found = f"{lost} bytes in {len(gaps)} ranges are in no page: to AFFLIB they are sectors that could not be read"
        budget.report(Unreadable("AFF image", gaps[0], found))
    count = -(-pages.size // pages.page)
    if beyond := [s for n, s in pages.stored.items() if n >= count]:
        found = f"{len(beyond)} pages lie behind the end of the media, at {pages.size} bytes, such as {beyond[0].name!r}"
        budget.report(Corrupt("AFF image", beyond[0].span, found))
    if pages.raw is not None and pages.raw.size > pages.size:
        found = f"the raw data have {pages.raw.size} bytes, the image size is {pages.size}: the rest is not shown"
        budget.report(Corrupt("AFM file", Span(root, 0, 0), found))
    if bad := known.number("badsectors"):
        found = f"{bad} sectors are said to carry the mark of those that could not be read"
        budget.report(Finding.note("AFF image", found, root, known.notes["badsectors"].span))
    device = known.number("devicesectors")
    if device and device * pages.sector > pages.size:
        found = f"the device had {device} sectors of {pages.sector} bytes, the image has {pages.size} bytes"
        budget.report(Truncated("AFF image", known.notes["devicesectors"].span, found))
    return gaps


def open_aff(paths: Sequence[str], budget: Budget) -> Image:
    """The image in one file, in the files of an .afd folder, or in the raw files beside an .afm.

    Raises NotThisFormat by the signature; Locked for encrypted segments; Corrupt without a size of pages; Truncated for an AFM without its
    raw data. Damaged segments, pages that are not there, segments that are there twice are findings; what they cost raises when it is read.
    """
    with ExitStack() as stack:
        pool = FilePool()
        stack.callback(pool.close)
        files: list[PooledFile] = []
        known = _Set(budget)
        for path in _members(expand(paths), budget):
            file = PooledFile(pool, path)
            try:
                for segment in segments(file, budget):
                    known.add(segment)
            except NotThisFormat as error:
                if not files:
                    raise
                raise Corrupt(error.what, error.span, f"{file.root} is no AFF file") from error
            files.append(file)
        name = files[0].root
        if known.locked and not known.pages:
            keys = sorted({s.name for s in known.locked if s.name.startswith(_LOCKED[1])})
            needs = ["its passphrase"] * ("affkey_aes256" in keys) + ["the private key of its certificate"] * any("evp" in k for k in keys)
            how = " or ".join(needs) or "its key, which is not in it,"
            found = f"{len(known.locked)} segments are encrypted (AES-256): {how} would open it"
            raise Locked("AFF image", known.locked[0].span, found)
        if known.locked:
            found = f"{len(known.locked)} segments are encrypted (AES-256) and left out, such as {known.locked[0].name!r}"
            budget.report(Locked("AFF image", known.locked[0].span, found))
        kind = known.notes.get("aff_file_type")
        raw = None
        if not known.pages and (paths[0].lower().endswith(".afm") or (kind is not None and known.raw(kind) == b"AFM")):
            more, raw = _raw(pool, files[0].path, known)
            files += more
        pages = _geometry(known, files[0], raw)
        gaps = _tell(known, pages, name)
        stack.pop_all()
    return Image(
        AffSource(pages), format="aff", name=name, facts=known.facts(), hashes=known.hashes(), sector_size=pages.sector, bad_sectors=gaps,
        parts=tuple((file.root, file.size) for file in files), close_with=(pool.close,),
    )  # fmt: skip


FORMAT = ImageFormat(
    name="aff",
    title="Advanced Forensic Format, version 3 (AFF, AFD, AFM)",
    refs=(
        'S. Garfinkel, D. Malan, K. Dubec, C. Stevens, C. Pham, "Disk Imaging with the Advanced Forensic Format, Library and Tools" (2006)',
        "AFFLIB 3.7, afflib.h and its documentation: names and flags of segments",
    ),
    gaps=(
        "encrypted images are recognised and refused (Locked): affconvert with the passphrase writes one that can be read",
        "digital signatures, certificates and bills of materials are counted, not checked; parity pages are not used",
        "spans count in the files; those of pages that are in no file count in the media, via missing",
        "which sectors carry the bad-sector mark is known when they are read: bad_sectors lists only what no page holds",
        "a sector of the disk that holds the very bytes of the mark cannot be told from one that could not be read",
        "the digests of an image with marked sectors are computed with zeros in their place and do not match",
        "images on Amazon S3 (s3://) and bzip2 pages, which no released AFFLIB wrote, are not read",
    ),
    signatures=(Signature(SIGNATURE),),
    folder="file_000.aff",
    extensions=(".aff", ".afm", ".afd"),
    open=open_aff,
)
