"""A source that cannot be read everywhere, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence

from forensiclib.core.errors import Corrupt
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span


class Damaged(ByteSource):
    """Bytes of which some ranges cannot be read."""

    def __init__(self, data: bytes, bad: Sequence[tuple[int, int]]) -> None:
        self.data, self.bad, self.size = data, bad, len(data)

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        n = clip(offset, len(buffer), self.size)
        for start, length in self.bad:
            if start < offset + n and offset < start + length:
                raise Corrupt("chunk", Span("media", start, length), "checksum")
        buffer[:n] = self.data[offset : offset + n]
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return (Span("media", offset, n),) if n else ()
