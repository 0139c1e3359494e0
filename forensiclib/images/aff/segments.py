"""The segments of an AFF file: found from head to head, and again behind damage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.aff import HEAD, SEGMENT, SEGMENT_END, SIGNATURE, TAIL
from forensiclib.images._files import PooledFile

__all__ = ["Segment", "segments"]

NAME = 64
"""Bytes of the longest name that AFFLIB gives (AF_MAX_NAME_LEN)."""
WINDOW = 1 << 20
"""Bytes looked through at once for the next segment behind damage."""


@dataclass(frozen=True, slots=True)
class Segment:
    """``length`` bytes of data at ``at`` of ``file``; ``argument`` is the number that its head carries."""

    name: str
    file: PooledFile
    at: int
    length: int
    argument: int

    @property
    def span(self) -> Span:
        """Where the data lies."""
        return Span(self.file.root, self.at, self.length)


def segments(file: PooledFile, budget: Budget) -> Iterator[Segment]:
    """All segments in the order of the file, those without a name (freed space) left out.

    NotThisFormat without the signature. Where a head or a tail is damaged the search goes on at the next segment that is whole, and
    what lies between is a finding.
    """
    if file.read_at(0, len(SIGNATURE)) != SIGNATURE:
        raise NotThisFormat("AFF file", Span(file.root, 0, len(SIGNATURE)), "no signature")
    at = len(SIGNATURE)
    while at < file.size:
        budget.item()
        found = _segment(file, at)
        if found is None:
            begin, at = at, _next(file, at + 1, budget)
            budget.report(_damage(file, begin, at))
            continue
        if found.name:
            yield found
        at = found.at + found.length + TAIL.size


def _segment(file: PooledFile, at: int) -> Segment | None:
    """The whole segment at ``at``; None when there is none."""
    head = file.read_at(at, HEAD.size + NAME)
    if len(head) < HEAD.size + TAIL.size:
        return None
    magic, name, length, argument = HEAD.unpack(head)
    end = at + HEAD.size + name + length
    if magic != SEGMENT or name > NAME or end + TAIL.size > file.size:
        return None
    tail, total = TAIL.unpack(file.read_at(end, TAIL.size))
    if tail != SEGMENT_END or total != HEAD.size + name + length + TAIL.size:
        return None
    return Segment(head[HEAD.size : HEAD.size + name].decode("utf-8", "replace"), file, end - length, length, argument)


def _next(file: PooledFile, at: int, budget: Budget) -> int:
    """Where the next whole segment begins; the size of the file when there is none."""
    while at < file.size:
        budget.check()
        window = file.read_at(at, WINDOW)
        place = window.find(SEGMENT)
        while place >= 0:
            budget.item()
            if _segment(file, at + place) is not None:
                return at + place
            place = window.find(SEGMENT, place + 1)
        if len(window) < WINDOW:
            break
        at += WINDOW - len(SEGMENT) + 1
    return file.size


def _damage(file: PooledFile, begin: int, end: int) -> Corrupt | Truncated:
    span = Span(file.root, begin, end - begin)
    head = file.read_at(begin, HEAD.size + NAME)
    if end == file.size and len(head) < HEAD.size:
        return Truncated("AFF segment", span, f"{len(head)} bytes at the end are no segment")
    magic, name, length, _ = HEAD.unpack(head) if len(head) >= HEAD.size else (b"", 0, 0, 0)
    stated = head[HEAD.size : HEAD.size + name].decode("utf-8", "replace") if magic == SEGMENT and name <= NAME else ""
    if stated and begin + HEAD.size + name + length + TAIL.size > file.size:
        return Truncated("AFF segment", span, f"the segment {stated!r} of {length} bytes goes on past the end of the file")
    what = f"the segment {stated!r} has no end where its head says" if stated else "no head of a segment"
    return Corrupt("AFF segment", span, f"{what}; {end - begin} bytes are left out")
