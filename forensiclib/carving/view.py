"""What a carver sees of a candidate: the bytes from its start, small reads served from memory."""

from __future__ import annotations

from forensiclib.core.errors import LimitExceeded
from forensiclib.core.source import ByteSource, WritableBuffer, clip
from forensiclib.core.span import Span

__all__ = ["CandidateView"]

BLOCK = 1 << 16
READ = 1 << 10
"""What one read costs beside its bytes, in bytes: a walk of many small reads is no cheaper than one of few."""


class CandidateView(ByteSource):
    """``size`` bytes of ``base`` from ``start``.

    window, window_at   bytes that the scan holds in memory and where they lie in ``base``; reads
                        inside them cost no I/O. Valid as long as the scan does not move on.
    allowance   bytes that may be read before LimitExceeded; ``spent`` of them are
    Behind the window one block of 64 KiB is kept, because measuring reads little and forward.
    """

    __slots__ = ("_base", "_block", "_start", "_window", "_window_at", "allowance", "size", "spent")

    def __init__(self, base: ByteSource, start: int, size: int, window: memoryview, window_at: int, allowance: int) -> None:
        self.size = clip(start, size, base.size)
        self._base, self._start, self._window, self._window_at = base, start, window, window_at
        self._block: tuple[int, bytes] = (0, b"")
        self.allowance, self.spent = allowance, 0

    def read_at(self, offset: int, n: int) -> bytes:
        n = clip(offset, n, self.size)
        self.spent += n + READ
        if self.spent > self.allowance:
            raise LimitExceeded("reads for one candidate", None, f"more than {self.allowance} bytes")
        at = self._start + offset
        inside = at - self._window_at
        if inside >= 0 and inside + n <= len(self._window):
            return bytes(self._window[inside : inside + n])
        first, block = self._block  # one assignment: a second thread sees the old block or the new one
        if at < first or at + n > first + len(block):
            if n > BLOCK // 2:
                return self._base.read_at(at, n)
            first, block = at, self._base.read_at(at, BLOCK)
            self._block = first, block
        return block[at - first : at - first + n]

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        data = self.read_at(offset, len(buffer))
        memoryview(buffer)[: len(data)] = data
        return len(data)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        n = clip(offset, n, self.size)
        return self._base.trace(self._start + offset, n) if n else ()
