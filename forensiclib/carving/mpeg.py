"""MPEG-1 and MPEG-2 program streams: packs and packets by their lengths."""

from __future__ import annotations

from dataclasses import replace

from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_MPG, _VOB = Kind("mpg", "video/mpeg", "MPEG program stream"), Kind("vob", "video/mpeg", "DVD video (VOB)")
ENOUGH = 4
"""Packs that make a stream."""
_END, _PACK, _SYSTEM, _NAVIGATION = 0xB9, 0xBA, 0xBB, 0xBF
PADDING = 1 << 16
SECTOR = 512


def _step(data: ByteSource, at: int) -> tuple[int, int]:
    """(stream id, length) of the pack header or packet at ``at``; (0, 0) when there is none."""
    head = data.read_at(at, 14)
    if len(head) < 4 or head[:3] != b"\0\0\1" or head[3] < _END:
        return 0, 0
    if head[3] == _END:
        return _END, 4
    if head[3] == _PACK:
        if len(head) >= 12 and head[4] & 0xF1 == 0x21 and head[6] & 1 and head[8] & 1:
            return _PACK, 12
        if len(head) == 14 and head[4] & 0xC4 == 0x44 and head[6] & 4 and head[8] & 4 and head[9] & 1:
            return _PACK, 14 + (head[13] & 7)
        return 0, 0
    return (head[3], 6 + int.from_bytes(head[4:6], "big")) if len(head) >= 6 else (0, 0)


def _behind_zeros(data: ByteSource, at: int) -> int:
    """The next start code where only zeros lie between, else ``at``."""
    gap = data.read_at(at, PADDING)
    zeros = len(gap) - len(gap.lstrip(b"\0"))
    return at + zeros - 2 if 2 < zeros < len(gap) and gap[zeros] == 1 else at


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Packs to the end code. A DVD's stream begins with a pack of navigation data."""
    find = _measure(data, budget)
    if find is None:
        return None
    at = _step(data, 0)[1]
    kind, length = _step(data, at)
    navigation = kind == _SYSTEM and _step(data, at + length) == (_NAVIGATION, 986)
    return replace(find, extension=_VOB.extension, title=_VOB.title) if navigation else find


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    at, packs, video = 0, 0, False
    while True:
        budget.item()
        kind, length = _step(data, at)
        if kind == 0 and packs and (further := _behind_zeros(data, at)) != at and _step(data, further)[0]:
            at = further
            continue
        if kind == _END:
            if data.read_at(at + 4, 4) == b"\0\0\1\xba" and (at + 4) % SECTOR:
                at += 4
                continue
            reason = f"{packs} packs to the end code"
            return Find(at + 4, 0.95 if video else 0.8, reason) if packs >= ENOUGH else None
        if kind == 0 or at + length > data.size:
            if packs < ENOUGH:
                return None
            return _without_end(data, at, packs, kind == 0)
        packs += kind == _PACK
        video = video or 0xE0 <= kind <= 0xEF
        at += length


def _without_end(data: ByteSource, at: int, packs: int, clean: bool) -> Find:
    """Many writers leave the end code out: then the fill behind the last whole packet is the end."""
    begun = _step(data, _step(data, 0)[1])[0] == _SYSTEM
    reason = f"{packs} packs in a chain, no end code"
    if not begun:
        return Find(at, 0.3, reason + "; it begins in the middle of a stream", complete=False, owned=at)
    if clean and not data.read_at(at, SECTOR).strip(b"\0"):
        return Find(at, 0.6, reason + "; zeros or nothing behind the last packet", owned=at)
    return Find(at, 0.5, reason, complete=False, owned=at)


CARVERS = (
    Carver(
        name="mpeg",
        title="MPEG program stream",
        extension="mpg",
        mime="video/mpeg",
        signatures=(
            Signature(b"\0\0\1\xba\x21", mask=b"\xff\xff\xff\xff\xf1"),
            Signature(b"\0\0\1\xba\x44", mask=b"\xff\xff\xff\xff\xc4"),
        ),
        measure=measure,
        maximum=64 << 30,
        refs=("ISO/IEC 11172-1, 2.4.3: pack and packet", "ISO/IEC 13818-1, 2.5.3: program stream"),
        kinds=(_MPG, _VOB),
        gaps=("elementary streams are not recognised", "the end of a stream without end code is where no packet follows"),
    ),
)
