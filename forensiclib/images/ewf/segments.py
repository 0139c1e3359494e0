"""Which files make a set: names, order, membership."""

from __future__ import annotations

import os
import string
from collections.abc import Iterator

from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.formats.ewf import (
    FILE_HEADER,
    SIGNATURE,
    SIGNATURE_ADCRYPT,
    SIGNATURE_L01,
)
from forensiclib.images._files import FilePool, PooledFile, beside, exists
from forensiclib.images.ewf.sections import Segment, walk

__all__ = ["extension", "find", "open_segments"]

_REFUSED = {SIGNATURE_ADCRYPT: "AD encryption around an EWF set"}


def extension(first: str, number: int) -> str:
    """The extension of segment ``number`` in a set whose first is ``first`` (".E01", ".s01", ".001").

    "Segment file extensions": .E01 to .E99, .EAA to .EZZ, .FAA to .ZZZ; "" when the names are used up.
    """
    if number <= 99 or first[1:].isdigit():
        return f"{first[:-2]}{number:02d}" if not first[1:].isdigit() else f".{number:03d}"
    letters = string.ascii_lowercase if first[1].islower() else string.ascii_uppercase
    ahead, low = divmod(number - 100, 26)
    step, middle = divmod(ahead, 26)
    high = letters.index(first[1]) + step
    return f".{letters[high]}{letters[middle]}{letters[low]}" if high < 26 else ""


def _first_extension(suffix: str) -> str | None:
    """ ".E01" of the set that a file with ``suffix`` belongs to; None when the name says nothing."""
    if len(suffix) != 4:
        return None
    if suffix[1:].isdigit():
        return ".001"
    # A later segment (.FAA) does not say its set's letter; only .E.., .S.. and .L.. are written by the makers.
    return f".{suffix[1]}01" if suffix[1] in "EeSsLl" else None


def find(path: str) -> Iterator[str]:
    """Where segments 1, 2, 3 ... of the set of ``path`` are or would be; ends with the names.

    A segment whose case differs from the first's (copied through a file system that folds case)
    is found too.
    """
    stem, suffix = os.path.splitext(path)
    first = _first_extension(suffix)
    if first is None:
        yield path
        return
    number = 1
    while tail := extension(first, number):
        want = beside(path, stem + tail)
        spelled = (want, beside(path, stem + tail.lower()), beside(path, stem + tail.upper()))
        yield next((c for c in spelled if exists(c)), want)
        number += 1


def _open(pool: FilePool, path: str) -> tuple[PooledFile, int]:
    """The file and its segment number; NotThisFormat, Unsupported or Corrupt by its header."""
    file = PooledFile(pool, path)
    raw = file.read_at(0, FILE_HEADER.size)
    span = Span(file.root, 0, len(raw))
    if (refused := _REFUSED.get(raw[:8])) is not None:
        raise Unsupported("EWF file header", span, refused)
    if raw[:8] not in (SIGNATURE, SIGNATURE_L01):
        raise NotThisFormat("EWF file header", span, "neither an EVF nor an LVF signature")
    if len(raw) < FILE_HEADER.size:
        raise Truncated("EWF file header", span, f"{len(raw)} of {FILE_HEADER.size} bytes")
    _, start, number, end = FILE_HEADER.unpack(raw)
    if start != 1 or end != 0 or number == 0:
        raise Corrupt("EWF file header", span, f"fields {start}, {number}, {end} where 1, a number from 1, 0 were expected")
    return file, number


def _member(pool: FilePool, path: str, number: int) -> PooledFile:
    """Segment ``number`` at ``path``; a file that is something else is not silently passed over."""
    try:
        file, found = _open(pool, path)
    except NotThisFormat as error:
        raise Corrupt("EWF segment", error.span, f"{os.path.basename(path)} is not segment {number}: {error.found}") from error
    if found != number:
        says = f"it says that it is segment {found}, number {number} belongs here: swapped, renamed or of another set"
        raise Corrupt("EWF segment", Span(file.root, 9, 2), says)
    return file


def _listed(pool: FilePool, paths: list[str], budget: Budget) -> list[tuple[str, int]]:
    """The caller's files in the order of their own numbers; holes and doubles raise."""
    numbered = []
    for path in paths:
        budget.item()
        numbered.append((_open(pool, path)[1], path))
    numbered.sort()
    want = 1
    for number, path in numbered:
        if number < want:
            raise Corrupt("EWF segment", Span(os.path.basename(path), 9, 2), f"segment {number} is there twice")
        if number > want:
            raise Truncated("EWF segment", Span(os.path.basename(path), 9, 2), f"segment {want} is missing before {number}")
        want += 1
    return [(path, number) for number, path in numbered]


def _missing(last: Segment, path: str, number: int) -> Truncated:
    span = last.span(last.sections[-1].at, 76) if last.sections else last.span(0, 0)
    return Truncated("EWF segment", span, f"segment {number} is missing: no {os.path.basename(path) or 'name left for it'}")


def open_segments(pool: FilePool, paths: list[str], budget: Budget) -> list[Segment]:
    """The whole set with its sections walked.

    One path: its siblings by name, until the segment that says done. Several: the caller's, by
    their own numbers. Raises NotThisFormat and Unsupported by the signature, Truncated for a
    segment that is not there, Corrupt for one that is another's.
    """
    if len(paths) > 1:
        out = [walk(_member(pool, path, number), number, budget) for path, number in _listed(pool, paths, budget)]
        if out[-1].closed == "next":
            raise _missing(out[-1], "", len(out) + 1)
        return out
    _open(pool, paths[0])
    out = []
    for path in find(paths[0]):
        number = len(out) + 1
        if not exists(path):
            break
        budget.item()
        out.append(walk(_member(pool, path, number), number, budget))
        if out[-1].closed == "done":
            _stale(paths[0], path, number, budget)
            return out
    if not out or out[-1].closed == "next":
        wanted = next((p for n, p in enumerate(find(paths[0]), 1) if n == len(out) + 1), "")
        if not out:
            name = os.path.basename(paths[0])
            raise Truncated("EWF segment", Span(name, 9, 2), f"segment 1 is missing: no {os.path.basename(wanted)}")
        raise _missing(out[-1], wanted, len(out) + 1)
    return out


def _stale(given: str, last: str, number: int, budget: Budget) -> None:
    behind = next((p for n, p in enumerate(find(given), 1) if n == number + 1), "")
    if behind and exists(behind):
        found = f"{os.path.basename(last)} ends the set, {os.path.basename(behind)} is there and was not read"
        budget.report(Finding.note("EWF segment", found, where=behind))
