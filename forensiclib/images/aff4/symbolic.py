"""Bytes that a volume says and does not store: zeros, one byte again and again, and what was never read."""

from __future__ import annotations

from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span, zeros
from forensiclib.formats.aff4 import TILE

__all__ = ["Repeated", "repeated"]

ENDLESS = (1 << 64) + (1 << 63)
"""Bytes of a stream without end: whatever a map entry can say lies in it."""


def repeated(text: bytes, offset: int, n: int) -> bytes:
    """``n`` bytes from ``offset`` of a text that is repeated, and begins anew every MiB ("Symbolic Streams")."""
    if len(text) == 1:
        return text * n
    out = bytearray()
    while len(out) < n:
        inside = (offset + len(out)) % TILE
        take = min(n - len(out), TILE - inside)
        skip = inside % len(text)
        out += (text * (-(-(skip + take) // len(text))))[skip : skip + take]
    return bytes(out)


class Repeated(ByteSource):
    """A text without end. ``kind`` is what spans say: "zero", "repeat", "unknown" (was not acquired), "unreadable" (could not be)."""

    __slots__ = ("kind", "size", "text")

    def __init__(self, text: bytes, kind: str) -> None:
        self.text, self.kind, self.size = text, kind, ENDLESS

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        memoryview(buffer)[:n] = repeated(self.text, offset, n)
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (zeros(n) if self.kind == "zero" else Span("", 0, n, (self.kind,), False),) if n else ()
