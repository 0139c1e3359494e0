"""How most walkers end: a length that the structure states, checked against the bytes there are."""

from __future__ import annotations

from forensiclib.core.declare import Find
from forensiclib.core.source import ByteSource

__all__ = ["stated"]


def stated(data: ByteSource, length: int, confidence: float, reason: str, extension: str = "", title: str = "") -> Find:
    """A complete find of ``length`` bytes, or an incomplete one of all there is when the data ends before."""
    if length > data.size:
        return Find(data.size, 0.4, f"{reason}; {length} bytes needed, the data ends before", extension, title, complete=False)
    return Find(length, confidence, reason, extension, title)
