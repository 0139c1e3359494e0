"""Which files make a set, and the sections of each: their descriptors stand behind the data and point back."""

from __future__ import annotations

import os
import string
from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.ewf import SIGNATURE_EX01, SIGNATURE_LX01
from forensiclib.formats.ewf2 import FILE_HEADER, SECTION, SECTION_ENCRYPTED, SECTION_TYPES
from forensiclib.images._files import FilePool, PooledFile, beside, exists
from forensiclib.kernels import adler32

__all__ = ["Section", "Segment", "checked", "extension", "open_segments"]

_WINDOW = 1 << 20
_SIZE_AT = 24  # of the descriptor's own size in it
NEXT, DONE, KEYS = 0x0D, 0x0F, 0x0B


@dataclass(frozen=True, slots=True)
class Section:
    """``data`` to ``at`` is what it holds, padding included; the descriptor is at ``at``."""

    type: int
    flags: int
    data: int
    at: int
    md5: bytes

    @property
    def size(self) -> int:
        """Bytes before the descriptor."""
        return self.at - self.data

    @property
    def name(self) -> str:
        """The type in words."""
        return SECTION_TYPES.get(self.type, f"{self.type:#x}")


@dataclass(frozen=True, slots=True)
class Segment:
    """One file: its sections in file order. ``broken`` says why some may be missing.

    logical      Lx01; compression   0 none, 1 deflate, 2 bzip2
    """

    file: PooledFile
    number: int
    logical: bool
    compression: int
    identifier: bytes
    sections: tuple[Section, ...]
    broken: EvidenceError | None

    @property
    def closed(self) -> int:
        """NEXT or DONE, 0 when it ends in neither."""
        last = self.sections[-1].type if self.sections else 0
        return last if last in (NEXT, DONE) else 0

    def span(self, offset: int, n: int) -> Span:
        """A range of this file."""
        return Span(self.file.root, offset, n)


def checked(raw: bytes) -> bool:
    """Whether the last four bytes are the Adler-32 of those before."""
    return len(raw) > 4 and adler32(raw[:-4]) == int.from_bytes(raw[-4:], "little")


def extension(first: str, number: int) -> str:
    """The extension of segment ``number`` of a set that begins with ``first`` (".Ex01"): "Segment file extensions", .Ex01 to
    .Ex99, .ExAA to .EzZZ; "" when the names are used up."""
    if number <= 99:
        return f"{first[:3]}{number:02d}"
    letters = string.ascii_lowercase if first[1].islower() else string.ascii_uppercase
    ahead, low = divmod(number - 100, 26)
    step, middle = divmod(ahead, 26)
    second = {0: "x", 1: "y", 2: "z"}.get(step)
    return f"{first[:2]}{second}{letters[middle]}{letters[low]}" if second else ""


def _siblings(path: str) -> Iterator[str]:
    stem, suffix = os.path.splitext(path)
    if len(suffix) != 5 or suffix[1] not in "EeLl" or suffix[2] not in "xXyYzZ":
        yield path
        return
    number = 1
    while tail := extension(suffix[:2] + "x01", number):
        want = beside(path, stem + tail)
        spelled = (want, beside(path, stem + tail.lower()), beside(path, stem + tail.upper()))
        yield next((c for c in spelled if exists(c)), want)
        number += 1


def _header(file: PooledFile) -> tuple[bool, int, int, bytes]:
    raw = file.read_at(0, FILE_HEADER.size)
    span = Span(file.root, 0, len(raw))
    if raw[:8] not in (SIGNATURE_EX01, SIGNATURE_LX01):
        raise NotThisFormat("EWF2 file header", span, "neither an EVF2 nor a LEF2 signature")
    if len(raw) < FILE_HEADER.size:
        raise Truncated("EWF2 file header", span, f"{len(raw)} of {FILE_HEADER.size} bytes")
    _, major, minor, compression, number, identifier = FILE_HEADER.unpack(raw)
    if major != 2:
        raise Unsupported("EWF2 file header", span, f"version {major}.{minor}")
    if number == 0 or compression > 2:
        raise Corrupt("EWF2 file header", span, f"segment {number}, compression method {compression}")
    return raw[:8] == SIGNATURE_LX01, compression, number, identifier


def _descriptor(file: PooledFile, at: int) -> Section | None:
    """The descriptor at ``at`` where one stands there whole."""
    raw = file.read_at(at, SECTION.size)
    if len(raw) < SECTION.size or not checked(raw):
        return None
    kind, flags, _, size, own, _, md5, _, _ = SECTION.unpack(raw)
    if own != SECTION.size or size > at - FILE_HEADER.size:
        return None
    return Section(kind, flags, at - size, at, md5)


def _before(file: PooledFile, end: int, budget: Budget) -> int | None:
    """The last offset below ``end`` where a whole descriptor stands."""
    mark = SECTION.size.to_bytes(4, "little")
    while end > FILE_HEADER.size:
        budget.check()
        start = max(FILE_HEADER.size, end - _WINDOW)
        window = file.read_at(start, end - start + SECTION.size - 1)
        hit = window.rfind(mark)
        while hit >= 0:
            at = start + hit - _SIZE_AT
            if FILE_HEADER.size <= at < end and _descriptor(file, at) is not None:
                return at
            hit = window.rfind(mark, 0, hit + 3)
        end = start
    return None


def _walk(pool: FilePool, path: str, budget: Budget) -> Segment:
    """All sections of one file, from its end to its beginning. Damage is a finding; the walk goes on at the whole
    descriptor before it."""
    file = PooledFile(pool, path)
    logical, compression, number, identifier = _header(file)
    out: list[Section] = []
    broken: EvidenceError | None = None
    at: int | None = file.size - SECTION.size
    while at is not None and at >= FILE_HEADER.size:
        budget.item()
        found = _descriptor(file, at)
        if found is None:
            kind = Truncated if not out else Corrupt
            error = kind("EWF2 section descriptor", Span(file.root, at, SECTION.size), "none stands here whole")
            broken = broken or error
            budget.report(error)
            at = _before(file, at, budget)
            continue
        out.append(found)
        previous = int.from_bytes(file.read_at(at + 8, 8), "little")
        if previous == 0:
            break
        if previous >= at:
            broken = Corrupt("EWF2 section chain", Span(file.root, at, SECTION.size), f"the section before is at {previous}")
            budget.report(broken)
            previous = at - 1
        at = previous
    out.reverse()
    if not out:
        broken = broken or Truncated("EWF2 segment", Span(file.root, file.size, 0), "no section")
    if any(s.flags & SECTION_ENCRYPTED or s.type == KEYS for s in out):
        hidden = next(s for s in out if s.flags & SECTION_ENCRYPTED or s.type == KEYS)
        says = "encrypted; how the keys are stored was never published"
        raise Unsupported("EWF2 section", Span(file.root, hidden.at, SECTION.size), says)
    return Segment(file, number, logical, compression, identifier, tuple(out), broken)


def open_segments(pool: FilePool, paths: list[str], budget: Budget) -> list[Segment]:
    """The set: siblings by name of one path, or the caller's by their own numbers.

    Raises NotThisFormat by the first signature, Unsupported for encryption, Truncated for a segment that is not
    there, Corrupt for one that is another's.
    """
    out: list[Segment] = []
    if len(paths) > 1:
        out = sorted((_walk(pool, path, budget) for path in paths), key=lambda s: s.number)
    else:
        _header(PooledFile(pool, paths[0]))
        for path in _siblings(paths[0]):
            if not exists(path):
                break
            budget.item()
            try:
                out.append(_walk(pool, path, budget))
            except NotThisFormat as error:
                raise Corrupt("EWF2 segment", error.span, f"{os.path.basename(path)}: {error.found}") from error
            if out[-1].closed == DONE:
                break
    for want, segment in enumerate(out, 1):
        if segment.number != want:
            kind = Truncated if segment.number > want else Corrupt
            raise kind("EWF2 segment", segment.span(12, 4), f"it says that it is segment {segment.number}, number {want} belongs here")
        if segment.identifier != out[0].identifier or segment.logical != out[0].logical:
            raise Corrupt("EWF2 segment", segment.span(0, FILE_HEADER.size), "a segment of another set")
    if not out:
        raise Truncated("EWF2 segment", Span(os.path.basename(paths[0]), 12, 4), "segment 1 is missing")
    last = out[-1]
    if last.closed == NEXT:
        raise Truncated("EWF2 segment", last.span(last.sections[-1].at, SECTION.size), f"segment {len(out) + 1} is missing")
    if last.closed == 0 and last.broken is None:
        budget.report(Finding.note("EWF2 segment", "neither next nor done at its end", span=last.span(last.file.size, 0)))
    return out
