"""PDF documents: objects followed one by one to the last end-of-file mark that belongs to them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from forensiclib.carving._read import Window, find
from forensiclib.carving.pdf_join import rejoin
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_SPACE = b"\0\t\n\x0c\r "
_OBJECT = re.compile(rb"(\d{1,10})[\0\t\n\x0c\r ]+(\d{1,5})[\0\t\n\x0c\r ]+obj\b")
_BODY_END = re.compile(rb"endobj|(?<!end)stream(?:\r\n|\n|\r)|%PDF-\d|startxref")
_LENGTH = re.compile(rb"/Length[\0\t\n\x0c\r ]+(\d{1,12})(?![\0\t\n\x0c\r ]+\d+[\0\t\n\x0c\r ]+R|\d)")
_LENGTH_HELD = re.compile(rb"/Length[\0\t\n\x0c\r ]+(\d{1,10})[\0\t\n\x0c\r ]+\d{1,5}[\0\t\n\x0c\r ]+R")
_LENGTH_OBJECT = re.compile(rb"endobj\s+(\d{1,10})\s+\d{1,5}\s+obj\s+(\d{1,12})\s+endobj")
_START = re.compile(rb"startxref[\0\t\n\x0c\r ]*(\d{1,12})[\0\t\n\x0c\r ]*%%EOF")
_MARK = re.compile(rb"[ \t]*(?:\r\n|\n|\r)|")
_LINEAR = re.compile(rb"/L[\0\t\n\x0c\r ]+(\d{1,12})")
_PREVIOUS = re.compile(rb"/Prev[\0\t\n\x0c\r ]+(\d{1,12})")
_TOKEN = re.compile(rb"\d{1,10}[\0\t\n\x0c\r ]+\d{1,5}[\0\t\n\x0c\r ]+obj\b|startxref|%PDF-\d|(?<!start)xref[\0\t\n\x0c\r ]+\d")

_DICTIONARY = 64 << 10
_BODY = 32 << 20
_RESYNC = 1 << 20
_HEADER = 1_024
_REPAIRS = 200


@dataclass(slots=True)
class _Walk:
    """What was met.

    end        behind the last end-of-file mark whose startxref holds, 0 without one
    weak       behind the last mark whose startxref does not hold
    revisions  marks that hold
    last       behind the last whole object
    repairs    stretches that were no object, stepped over
    stated     length that a linearization dictionary states, 0 without one
    """

    end: int = 0
    weak: int = 0
    revisions: int = 0
    objects: int = 0
    last: int = 0
    repairs: int = 0
    encrypted: bool = False
    table: int = 0
    stated: int = 0


def _skip_space(window: Window, at: int, most: int = 4_096) -> int:
    """Offset of the next byte that is neither white space nor in a comment; marks such as %%EOF are
    comments, the header of another file is not."""
    stop = at + most
    while at < stop:
        piece = window.at(at, 512)
        rest = piece.lstrip(_SPACE)
        at += len(piece) - len(rest)
        if not piece or (rest and not rest.startswith(b"%")):
            return at
        if rest.startswith(b"%PDF-"):
            return at
        if rest:
            ends = [i for i in (rest.find(b"\n"), rest.find(b"\r")) if i >= 0]
            if not ends:
                return at
            at += min(ends) + 1
    return at


def _stream_end(window: Window, head: bytes, start: int, budget: Budget) -> int:
    """Offset behind "endstream" of the stream whose data begins at ``start``, -1 without one."""
    stated = _LENGTH.search(head)
    if stated is not None:
        behind = start + int(stated[1])
        if (at := window.at(behind, 32).find(b"endstream")) >= 0:
            return behind + at + 9
    at = find(window.source, b"endstream", start, start + _BODY, budget)
    if at < 0 or (b"EmbeddedFile" not in head and not _length_follows(window, head, start, at) and _another(window, start, at, budget)):
        return -1
    return at + 9


def _length_follows(window: Window, head: bytes, start: int, end: int) -> bool:
    """Whether the object that holds the length comes right behind the stream and states it."""
    held = _LENGTH_HELD.search(head)
    behind = _LENGTH_OBJECT.search(window.at(end, 128))
    return held is not None and behind is not None and held[1] == behind[1] and 0 <= end - start - int(behind[2]) <= 2


def _another(window: Window, start: int, end: int, budget: Budget) -> bool:
    """Whether another document begins within [start, end)."""
    return find(window.source, b"%PDF-1.", start, end, budget) >= 0 or find(window.source, b"%PDF-2.", start, end, budget) >= 0


def _object_end(window: Window, at: int, budget: Budget) -> int:
    """Offset behind the object at ``at``, -1 when it has no end: another file's header or the next
    end mark comes first, or nothing in reach."""
    here, size = at, 4_096
    while size <= _BODY:
        budget.check()
        piece = window.source.read_at(here, size) if size > 4_096 else window.at(here, size)
        hit = _BODY_END.search(piece)
        if hit is None or hit.end() == len(piece) < size:
            if len(piece) < size:
                return -1
            size *= 8
            continue
        if hit[0] == b"endobj":
            return here + hit.end()
        if not hit[0].startswith(b"stream"):
            return -1
        end = _stream_end(window, piece[: hit.start()][-_DICTIONARY:], here + hit.end(), budget)
        if end < 0:
            return -1
        here = _skip_space(window, end, 64)
        return here + 6 if window.at(here, 6) == b"endobj" else end
    return -1


def _table_at(window: Window, at: int, before: int) -> bool:
    """Whether a cross-reference table or stream begins at ``at``, before ``before``."""
    if not 0 < at < before:
        return False
    raw = window.at(at, 64).lstrip(_SPACE)
    return raw.startswith(b"xref") or _OBJECT.match(raw) is not None


def _previous_hold(window: Window, at: int, budget: Budget) -> bool:
    """Whether each earlier table that the one at ``at`` leads to is where it should be."""
    seen: set[int] = set()
    while at not in seen:
        budget.item()
        seen.add(at)
        start = at
        if window.at(at, 16).lstrip(_SPACE).startswith(b"xref"):
            start = find(window.source, b"trailer", at, at + _BODY, budget)
        if start < 0:
            return False
        piece = window.at(start, 4_096)
        cut = re.search(rb"stream[\r\n]|startxref", piece)
        link = _PREVIOUS.search(piece[: cut.start()] if cut else piece)
        if link is None:
            return True
        at = int(link[1])
        if not _table_at(window, at, window.size):
            return False
    return True


def _mark(window: Window, walk: _Walk, at: int) -> int:
    """Take the "startxref N %%EOF" at ``at``; the offset behind it, -1 when it is not whole."""
    raw = window.at(at, 96)
    hit = _START.match(raw)
    if hit is None:
        return -1
    line = _MARK.match(raw, hit.end())
    end = at + (line.end() if line else hit.end())
    table = int(hit[1])
    if _table_at(window, table, at):
        walk.end, walk.revisions, walk.table = end, walk.revisions + 1, table
        walk.weak = 0
    elif table:  # 0 stands in the first section of a linearized document, which is not its end
        walk.weak = end
    return end


def _linearized(window: Window, walk: _Walk, first: int) -> int:
    """End of the file as its linearization dictionary states it, 0 when there is none or nothing ends
    there."""
    head = window.at(first, 1_024)
    head = head[: max(0, head.find(b"endobj"))]
    stated = _LINEAR.search(head) if b"/Linearized" in head else None
    if stated is None:
        return 0
    walk.stated = end = int(stated[1])
    at = window.at(max(0, end - 96), 96).rfind(b"startxref")
    if end > window.size or at < 0:
        return 0
    behind = _mark(window, walk, max(0, end - 96) + at)
    return end if walk.end and end - 2 <= behind <= end + 2 else 0


def _resync(window: Window, at: int, budget: Budget) -> int:
    """Offset of the next object or end mark in reach of a stretch that is neither, -1 without one or
    when another document begins first."""
    budget.check()
    hit = _TOKEN.search(window.source.read_at(at, _RESYNC))
    return -1 if hit is None or hit[0].startswith(b"%PDF") else at + hit.start()


def _section(window: Window, at: int, budget: Budget) -> int:
    """Offset of the "startxref" that ends the table or trailer at ``at``, -1 without one."""
    end = find(window.source, b"startxref", at, at + _BODY, budget)
    return -1 if end >= 0 and _another(window, at, end, budget) else end


def _step(window: Window, walk: _Walk, at: int, budget: Budget) -> int:
    """Take what is at ``at``; the offset behind it, -1 when it is nothing of a document."""
    raw = window.at(at, 32)
    if _OBJECT.match(raw):
        end = _object_end(window, at, budget)
        if end >= 0:
            walk.objects, walk.last = walk.objects + 1, end
        return end
    if raw.startswith((b"xref", b"trailer")):
        end = _section(window, at, budget)
        if end >= 0:
            walk.encrypted |= b"/Encrypt" in window.source.read_at(max(at, end - 4_096), min(4_096, end - at))
        return end
    if raw.startswith(b"startxref"):
        end = _mark(window, walk, at)
        if end >= 0:
            walk.last = end
            if walk.end == end:  # an update begins at once, or the file ends here
                follows = _skip_space(window, end, 256) if window.at(end, 1) not in (b"", b"\0") else end
                return follows if re.match(rb"\d|xref", window.at(follows, 4)) else -1
        return end
    return -1


def _follow(window: Window, walk: _Walk, at: int, budget: Budget) -> None:
    while True:
        budget.item()
        at = _skip_space(window, at)
        after = _step(window, walk, at, budget)
        if after < 0:
            if walk.end or not walk.objects or walk.repairs >= _REPAIRS or window.at(at, 5) == b"%PDF-":
                return
            after = _resync(window, at + 1, budget)
            if after < 0:
                return
            walk.repairs += 1
        at = after


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, 8)
    if not re.match(rb"%PDF-\d\.", raw):
        return None
    first = _skip_space(window, 8)
    if not _OBJECT.match(window.at(first, 32)):
        hit = _OBJECT.search(window.at(8, _HEADER))
        if hit is None:
            return None
        first = 8 + hit.start()
    walk = _Walk()
    _follow(window, walk, _linearized(window, walk, first) or first, budget)
    if walk.table:
        head = window.at(walk.table, 1_024)
        walk.encrypted |= b"/Encrypt" in head[: max(0, head.find(b"stream"))]
    title = "PDF document, encrypted" if walk.encrypted else ""
    if walk.end + 2 < walk.stated:
        return (
            Find(walk.last, 0.5, f"{walk.objects} objects of a linearized document of {walk.stated} bytes", "", title, complete=False)
            if walk.last
            else None
        )
    if walk.end:
        updates = f", {walk.revisions} end marks" if walk.revisions > 1 else ""
        if not _previous_hold(window, walk.table, budget):
            return Find(walk.end, 0.8, f"startxref leads to its table, an earlier table is missing{updates}", "", title)
        repaired = f", {walk.repairs} stretches between objects" if walk.repairs else ""
        return Find(walk.end, 0.9 if walk.repairs else 1.0, f"startxref and all earlier tables hold{updates}{repaired}", "", title)
    if walk.weak:
        return Find(walk.weak, 0.6, f"{walk.objects} objects up to an end mark whose startxref leads to no table", "", title)
    if not walk.objects:
        return None
    return Find(walk.last, 0.5, f"{walk.objects} objects, then the document breaks off", "", title, complete=False)


CARVERS = (
    Carver(
        name="pdf",
        title="PDF document",
        extension="pdf",
        mime="application/pdf",
        signatures=(Signature(b"%PDF-"),),
        measure=_measure,
        rejoin=rejoin,
        holds=True,
        refs=("ISO 32000-1:2008, 7.5 (file structure), 7.5.6 (incremental updates), Annex F (linearized PDF)",),
        gaps=(
            "pieces are joined by the last cross-reference section; within encrypted or unfiltered objects their end is a guess",
            "an object of more than 32 MiB that does not state its length directly ends the walk",
            "offsets in the tables are not checked one by one; content between the two ends of a linearized document is not read",
            "bytes behind the end-of-line of the last end mark are left out",
        ),
    ),
)
