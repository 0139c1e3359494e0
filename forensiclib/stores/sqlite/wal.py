"""Write-ahead logs: their frames, which of them count, and the rows in all of them.

SQLite Database File Format, 4.1 to 4.4. A frame counts when its salts are the header's, its checksum continues the one before
it, and a commit follows. What lies behind was written earlier (other salts) or was never committed: it is told apart.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.sqlite import HEADER, WAL, WAL_FRAME
from forensiclib.stores.sqlite.deleted import freed, shape_of
from forensiclib.stores.sqlite.leaves import LeafRow, content_of, row_of
from forensiclib.stores.sqlite.page import TABLE_LEAF, Page, read_page

__all__ = ["MAGICS", "Frame", "Log", "WalRow", "checksum", "log_of", "wal_rows"]

MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
GENERATIONS = 4096
"""Restarts of a log that its oldest frame may lie behind the header."""

Version = Literal["committed", "superseded", "not committed", "earlier"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One page as it was written.

    at      offset of the page in the log; its frame header is the 24 bytes before
    page    number in the database;  commit   pages of the database after it, 0 when it commits nothing
    back    restarts of the log since it was written; 0 for what the header speaks of
    sound   its checksum continues that of the frame before; None: not told (no frame of its generation is before it, or not asked)
    committed   a commit of its generation follows, or it is one
    """

    at: int
    page: int
    commit: int
    back: int
    sound: bool | None = None
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Log:
    """All frames in their order; ``end``: where they end; ``size``: bytes of a page."""

    size: int
    frames: tuple[Frame, ...]
    end: int


@dataclass(frozen=True, slots=True)
class WalRow:
    """A row of a frame. ``version``: committed and not written again, or why not; ``row.page`` is the page's offset in the log."""

    number: int
    frame: Frame
    version: Version
    row: LeafRow


def checksum(raw: bytes, big: bool, start: tuple[int, int]) -> tuple[int, int]:
    """Of a multiple of eight bytes (4.2)."""
    one, two = start
    for a, b in struct.iter_unpack(">II" if big else "<II", raw):
        one = one + a + two & 0xFFFFFFFF
        two = two + b + one & 0xFFFFFFFF
    return one, two


def log_of(data: ByteSource, budget: Budget, verified: int = 1 << 62) -> Log:
    """The log that a source begins with; the checksums of the first ``verified`` frames are computed. Raises NotThisFormat."""
    raw = data.read_at(0, WAL.size)
    head = WAL.dict(raw) if len(raw) == WAL.size else None
    if head is None or raw[:4] not in MAGICS or head["version"] != 3_007_000:
        raise NotThisFormat("SQLite log", next(iter(data.trace(0, 1)), None), repr(raw[:8]))
    size, big = head["page_size"], bool(head["magic"] & 1)
    running: tuple[int, int] | None = checksum(raw[:24], big, (0, 0))
    if not 512 <= size <= 65_536 or size & size - 1 or running != (head["checksum1"], head["checksum2"]):
        raise NotThisFormat("SQLite log", next(iter(data.trace(0, 1)), None), "the header's checksum is another")
    at, frames, salts = WAL.size, list[Frame](), (head["salt1"], head["salt2"])
    before = salts
    while at + WAL_FRAME.size + size <= data.size:
        budget.item()
        raw = data.read_at(at, WAL_FRAME.size)
        page, commit, one, two, *sums = WAL_FRAME.unpack(raw)
        back = head["salt1"] - one & 0xFFFFFFFF
        if not page or (back == 0) != ((one, two) == salts) or back > GENERATIONS:
            break
        sound = None
        if len(frames) < verified:
            if (one, two) != before:
                running = None  # what the first frame of another generation continues is overwritten
            if running is not None:
                sound = checksum(data.read_at(at + WAL_FRAME.size, size), big, checksum(raw[:8], big, running)) == tuple(sums)
            running = sums[0], sums[1]
        before = one, two
        frames.append(Frame(at + WAL_FRAME.size, page, commit, back, sound))
        at += WAL_FRAME.size + size
    return Log(size, tuple(_committed(frames)), at)


def _committed(frames: list[Frame]) -> list[Frame]:
    """With what is committed marked: each generation from its last commit on backwards, up to where its checksums break."""
    out, open_for = list(frames), -1
    broken = {f.back: n for n, f in reversed(list(enumerate(frames))) if f.sound is False}
    for number in range(len(frames) - 1, -1, -1):
        frame = frames[number]
        if number >= broken.get(frame.back, len(frames)):
            continue
        if frame.commit:
            open_for = frame.back
        out[number] = replace(frame, committed=open_for == frame.back)
    return out


def _leaf(data: ByteSource, frame: Frame, size: int, reserved: int) -> Page | None:
    raw = data.read_at(frame.at, size)
    page = read_page(raw, 100 if frame.page == 1 else 0, size - reserved)
    return page if page is not None and page.kind == TABLE_LEAF else None


def wal_rows(data: ByteSource, budget: Budget) -> Iterator[WalRow]:
    """The rows of every table page in the log, by page: those of the frame in force, then those that only other frames of the
    page have, newest first; of each the live ones, then those deleted in its free space. Raises NotThisFormat."""
    log = log_of(data, budget)
    last = {f.page: n for n, f in enumerate(log.frames) if not f.back and f.committed}
    bad = sum(f.sound is False for f in log.frames)
    if bad:
        budget.report(
            Corrupt("SQLite log", next(iter(data.trace(0, 1)), None), f"checksums of {bad} of {len(log.frames)} frames are others")
        )
    first = next((data.read_at(f.at, HEADER.size) for f in log.frames if f.page == 1), b"")
    reserved = first[20] if len(first) == HEADER.size and log.size - first[20] >= 480 else 0
    given: set[tuple[int, int | None, int]] = set()
    ranked = sorted(range(len(log.frames)), key=lambda n: (log.frames[n].page, last.get(log.frames[n].page) != n, -n))
    for number in ranked:  # of each page the version in force first, then the newest
        frame = log.frames[number]
        page = _leaf(data, frame, log.size, reserved)
        if page is None:
            continue
        version: Version = "earlier" if frame.back else "not committed" if not frame.committed else "superseded"
        if last.get(frame.page) == number:
            version = "committed"
        shape = shape_of(page)
        encoding = shape.encoding or "utf-8"
        for cell in page.cells:
            key = frame.page, cell.rowid, content_of(page, cell)
            if key not in given:
                given.add(key)
                budget.item()
                yield WalRow(number, frame, version, row_of(frame.at, page, cell, encoding))
        for found in freed(page, shape):
            key = frame.page, found.cell.rowid, content_of(page, found.cell)
            if key not in given:
                given.add(key)
                budget.item()
                yield WalRow(number, frame, version, row_of(frame.at, page, found.cell, encoding, True, found.in_freeblock, found.lost))
