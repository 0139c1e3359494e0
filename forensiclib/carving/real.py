"""RealMedia and RealAudio: chunks by their sizes, the data chunk's packets, the index chain."""

from __future__ import annotations

from forensiclib.carving._ends import broken, ending
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_ra", "measure_rm"]

_TOP = {b"PROP", b"MDPR", b"CONT", b"DATA", b"INDX", b"RMMD", b"RMJE"}
_RM = Kind("rm", "application/vnd.rn-realmedia", "RealMedia file")
_RA3, _RA4 = Kind("ra", "audio/x-pn-realaudio", "RealAudio (version 3)"), Kind("ra", "audio/x-pn-realaudio", "RealAudio (version 4 or 5)")


def _packets(window: Window, at: int, budget: Budget) -> int:
    """Where as many packets as the data chunk at ``at`` states end; 0 when they do not."""
    count, place = window.number(at + 10, 4, True), at + 18
    for _ in range(max(0, count)):
        budget.item()
        size = window.number(place + 2, 2, True)
        if size < 12 or window.number(place, 2, True) > 1:
            return 0
        place += size
    return place if place <= window.size else 0


def measure_rm(data: ByteSource, budget: Budget) -> Find | None:
    """Chunks behind the file header while their kinds are known."""
    window = Window(data)
    at = window.number(4, 4, True)
    kinds: list[bytes] = []
    if window.at(0, 4) != b".RMF" or not 16 <= at <= 32:
        return None
    while True:
        budget.item()
        kind, size = window.at(at, 4), window.number(at + 4, 4, True)
        if kind not in _TOP:
            break
        if kind == b"DATA" and size in (0, 10):
            return broken(at, "a live stream, whose size is not stated", _RM)
        if kind == b"DATA":
            end = _packets(window, at, budget)
            if end + 18 == at + size:
                # ffmpeg counts the chunk's head twice, and closes with eight zeros
                whole = window.at(end, 8) == bytes(8)
                if not whole:
                    return broken(end, "the closing zeros are missing", _RM)
                return Find(end + 8, 0.85, f"{len(kinds)} chunks and the data's packets", _RM.extension, _RM.title)
        if size < 10 or at + size > data.size:
            return (
                broken(data.size if kind == b"DATA" else min(at, data.size), f"{len(kinds)} chunks, the next is cut off", _RM)
                if kinds
                else None
            )
        kinds.append(kind)
        at += size
    if b"PROP" not in kinds or b"DATA" not in kinds:
        return broken(min(at, data.size), f"{len(kinds)} chunks, no data", _RM) if len(kinds) > 1 else None
    index = window.number(18 + 36, 4, True) if window.at(18, 4) == b"PROP" else 0
    if index and index >= at and b"INDX" not in kinds:
        return broken(at, f"{len(kinds)} chunks; the index that the header points to is missing", _RM)
    return Find(at, 0.9, f"{len(kinds)} chunks in a chain", _RM.extension, _RM.title)


def measure_ra(data: ByteSource, budget: Budget) -> Find | None:
    """The header states how many bytes of sound follow."""
    window = Window(data)
    version = window.number(4, 2, True)
    if window.at(0, 4) != b".ra\xfd":
        return None
    if version == 3:
        head, size = window.number(6, 2, True), window.number(18, 4, True)
        if not 16 < head < 4096 or not size:
            return None
        return ending(data, 8 + head + size, 0.75, f"{size} bytes of sound behind the header", _RA3)
    if version not in (4, 5) or window.at(8, 4) not in (b".ra4", b".ra5"):
        return None
    size, head = window.number(12, 4, True), window.number(18, 4, True)
    if not 32 < head < 4096 or size <= 0:
        return None
    return ending(data, 40 + size if size > 39 else 16 + head, 0.7, "as many bytes as stated", _RA4)


CARVERS = (
    Carver(
        name="realmedia",
        title="RealMedia file",
        extension="rm",
        mime="application/vnd.rn-realmedia",
        signatures=(Signature(b".RMF\0\0\0"),),
        measure=measure_rm,
        maximum=64 << 30,
        refs=("RealNetworks: RealMedia File Format (1998)",),
        gaps=("packets are not decoded", "live streams are reported incomplete"),
    ),
    Carver(
        name="realaudio",
        title="RealAudio file",
        extension="ra",
        mime="audio/x-pn-realaudio",
        signatures=(Signature(b".ra\xfd\0"),),
        measure=measure_ra,
        maximum=4 << 30,
        refs=("RealAudio file format 3 to 5 (Glass, MultimediaWiki)",),
        gaps=("sound is not decoded",),
        kinds=(_RA3, _RA4),
    ),
)
