"""The section chain of one segment file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.ewf import FILE_HEADER, SECTION, SECTION_TYPES
from forensiclib.images._files import PooledFile

__all__ = ["Section", "Segment", "checked", "walk"]

_NAMES = {name.encode().ljust(16, b"\0"): name for name in SECTION_TYPES}
_WINDOW = 4 << 20


@dataclass(frozen=True, slots=True)
class Section:
    """One section: ``at`` is its descriptor, ``data`` the first byte behind it, ``end`` the first
    byte that is no longer its own (never past the end of the file)."""

    type: str
    at: int
    data: int
    end: int

    @property
    def size(self) -> int:
        """Bytes behind the descriptor."""
        return self.end - self.data


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment file and its sections in file order.

    closed   how the chain ends: "next", "done", or "" when it breaks off (``broken`` says why)
    """

    file: PooledFile
    number: int
    sections: tuple[Section, ...]
    closed: str
    broken: EvidenceError | None = None

    @property
    def cut(self) -> bool:
        """Whether bytes are missing at the end of the file."""
        return isinstance(self.broken, Truncated)

    def span(self, offset: int, n: int) -> Span:
        """A range of this file."""
        return Span(self.file.root, offset, n)


def checked(raw: bytes) -> bool:
    """Whether the last four bytes are the Adler-32 of those before ("Adler-32 checksum")."""
    return len(raw) > 4 and zlib.adler32(raw[:-4]) == int.from_bytes(raw[-4:], "little")


class _Chain:
    """Walks one file; remembers where it has been."""

    def __init__(self, file: PooledFile, budget: Budget) -> None:
        self.file, self.budget = file, budget
        self.seen: set[int] = set()
        self.out: list[Section] = []
        self.broken: EvidenceError | None = None
        self.closed = ""

    def run(self) -> None:
        at: int | None = FILE_HEADER.size
        while at is not None:
            self.budget.item()
            if at in self.seen:
                self.broken = Corrupt("EWF section chain", self._span(at, SECTION.size), "a loop: this section was seen before")
                return
            self.seen.add(at)
            raw = self.file.read_at(at, SECTION.size)
            if len(raw) < SECTION.size:
                found = f"the file ends at {self.file.size}, a section was to follow at {at}"
                self.broken = Truncated("EWF section descriptor", self._span(min(at, self.file.size), len(raw)), found)
                return
            at = self._step(at, raw) if checked(raw) else self._resume(at)

    def _step(self, at: int, raw: bytes) -> int | None:
        kind, follows, size, _, _ = SECTION.unpack(raw)
        name = _NAMES.get(kind) or kind.rstrip(b"\0").decode("ascii", "backslashreplace")
        if name in ("next", "done"):
            self.closed = name
            self.out.append(Section(name, at, at + SECTION.size, at + SECTION.size))
            return None
        # "Dual image: section size versus offset"; Expert Witness 1.35 leaves the size 0.
        if size and at + size != follows:
            found = f"{name}: size {size}, next section at {follows}"
            self.budget.report(Corrupt("EWF section descriptor", self._span(at, SECTION.size), found))
        if follows < at + SECTION.size and follows not in self.seen:
            found = f"{name}: next section at {follows}, inside or before this one"
            self.broken = Corrupt("EWF section chain", self._span(at, SECTION.size), found)
            return None
        end = follows if follows > at else at + SECTION.size
        self.out.append(Section(name, at, at + SECTION.size, min(max(end, at + SECTION.size), self.file.size)))
        return int(follows)

    def _resume(self, at: int) -> int | None:
        """Behind a damaged descriptor: the next offset that holds a good one."""
        error = Corrupt("EWF section descriptor", self._span(at, SECTION.size), "its Adler-32 does not match")
        self.budget.report(error)
        found = _find_descriptor(self.file, at + 1, self.budget)
        if found is None:
            self.broken = error
        return found

    def _span(self, offset: int, n: int) -> Span:
        return Span(self.file.root, offset, n)


def _find_descriptor(file: PooledFile, start: int, budget: Budget) -> int | None:
    """The first offset from ``start`` with a known section type and a good checksum."""
    at = start
    while at < file.size:
        budget.check()
        window = file.read_at(at, _WINDOW + SECTION.size)
        hits = []
        for name in _NAMES:
            hit = window.find(name)
            while 0 <= hit < _WINDOW:
                hits.append(hit)
                hit = window.find(name, hit + 1)
        for hit in sorted(hits):
            if checked(window[hit : hit + SECTION.size]):
                return at + hit
        at += _WINDOW
    return None


def walk(file: PooledFile, number: int, budget: Budget) -> Segment:
    """Every section of one segment file, by next offset, descriptors checked.

    Damage goes to ``budget.report`` and the walk resumes at the next good descriptor; where there
    is none ``Segment.broken`` holds the error: Truncated when the file ends, Corrupt else.
    """
    chain = _Chain(file, budget)
    chain.run()
    if chain.broken is None:
        chain.broken = _cut(chain)
    return Segment(file, number, tuple(chain.out), chain.closed, chain.broken)


def _cut(chain: _Chain) -> EvidenceError | None:
    return None if chain.closed else Truncated("EWF segment", chain._span(chain.file.size, 0), "no next or done section")
