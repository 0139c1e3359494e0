"""How a walk ends: a length that fits, or a file that breaks off. Shared by the families of media types."""

from __future__ import annotations

from forensiclib.carving._read import Window
from forensiclib.core.declare import Find, Kind
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["broken", "chunks", "ending"]


def ending(data: ByteSource, length: int, sure: float, reason: str, kind: Kind | None = None, owned: int | None = None) -> Find:
    """A file of ``length`` bytes; not complete where ``data`` has fewer."""
    extension, title = (kind.extension, kind.title) if kind else ("", "")
    if length > data.size:
        return Find(data.size, 0.3, f"{reason}; {data.size} of {length} bytes are there", extension, title, complete=False, owned=0)
    return Find(length, sure, reason, extension, title, owned=owned)


def broken(at: int, reason: str, kind: Kind | None = None) -> Find:
    """A file whose structure was sound to ``at`` and no further. It hides nothing."""
    extension, title = (kind.extension, kind.title) if kind else ("", "")
    return Find(at, 0.3, reason, extension, title, complete=False, owned=0)


def chunks(window: Window, at: int, end: int, budget: Budget, big: bool = True, pad: int = 1) -> tuple[list[tuple[bytes, int, int]], int]:
    """(kind, place of the content, size) of chunks with a four-letter kind and a 32-bit size in [at, end), and where
    the walk stops: at ``end`` when all is sound. ``pad``: 1 when contents begin at even places, 0 when not."""
    out = []
    while at + 8 <= end:
        budget.item()
        head = window.at(at, 8)
        size = int.from_bytes(head[4:], "big" if big else "little")
        if len(head) < 8 or not all(0x20 <= b < 0x7F for b in head[:4]) or at + 8 + size > end:
            break
        out.append((head[:4], at + 8, size))
        at = min(at + 8 + size + (size & pad), end)
    return out, at
