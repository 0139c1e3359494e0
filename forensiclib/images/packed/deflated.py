"""A deflate stream read anywhere: states of the decoder are kept on the way, and reading goes on from the nearest."""

from __future__ import annotations

import threading
import zlib
from array import array
from bisect import bisect_right

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ChunkedSource, WritableBuffer
from forensiclib.core.span import Span
from forensiclib.images._blocks import root_of

__all__ = ["CHUNK", "RATIO", "DeflateSource"]

CHUNK = 1 << 20
"""Bytes that are unpacked at a time."""
READ = 1 << 16
"""Packed bytes read at a time."""
STATES = 512
"""States that are kept: some 20 MiB. When there are more every other is given up."""


class _State:
    """A decoder before chunk ``number``: packed bytes that it has taken."""

    __slots__ = ("engine", "number", "taken")

    def __init__(self, engine: zlib._Decompress, number: int, taken: int) -> None:
        self.engine, self.number, self.taken = engine, number, taken

    def copy(self) -> _State:
        """The same, to go on from."""
        return _State(self.engine.copy(), self.number, self.taken)


RATIO = 1032
"""Bytes that one packed byte can give at most."""


class DeflateSource(ByteSource):
    """``size`` bytes packed as raw deflate in the ``length`` bytes from ``start`` of ``base``. Nothing behind damage can be read."""

    __slots__ = ("_base", "_chunks", "_every", "_front", "_length", "_lock", "_start", "_states", "_taken", "_what", "crc", "size")

    def __init__(self, base: ByteSource, start: int, length: int, size: int, what: str) -> None:
        self._base, self._start, self._length, self.size, self._what = base, start, length, size, what
        self._front = _State(zlib.decompressobj(-15), 0, 0)
        self._states = [self._front.copy()]
        self._every = 1
        self._taken = array("Q", [0])
        self._lock = threading.RLock()
        self._chunks = ChunkedSource(size, CHUNK, self._decode, self._origin, keep=16)
        self.crc = 0

    @classmethod
    def measured(cls, base: ByteSource, start: int, what: str, budget: Budget) -> tuple[DeflateSource, int]:
        """(the stream that begins at ``start`` and ends where it says, its packed bytes), unpacked once to know its size; ``crc`` is then
        its CRC-32. Corrupt and Truncated for a stream that breaks."""
        made = cls(base, start, base.size - start, 1 << 62, what)
        size = before = 0
        while True:
            data = made._next()
            size += len(data)
            made.crc = zlib.crc32(data, made.crc)
            budget.check()
            budget.produce(what, len(data), max(1, made._front.taken - before) + 64, Span(root_of(base), start, made._front.taken))
            before = made._front.taken
            if made._front.engine.eof:
                break
        made.size, made._length = size, made._front.taken
        made._chunks = ChunkedSource(size, CHUNK, made._decode, made._origin, keep=16)
        return made, made._length

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        return self._chunks.read_into(offset, buffer)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._chunks.trace(offset, n)

    def _span(self, low: int, high: int) -> Span:
        return Span(root_of(self._base), self._start + low, high - low)

    def _next(self) -> bytes:
        """The chunk at the front, which moves on; a state is kept now and then."""
        number, want = self._front.number, min(CHUNK, self.size - self._front.number * CHUNK)
        if self._front.engine.eof:
            where = self._span(self._front.taken, self._length)
            raise Corrupt(self._what, where, f"the stream ends before chunk {number}, {self.size} bytes are stated")
        data = self._inflate(self._front, want)
        self._taken.append(self._front.taken)
        if self._front.number % self._every == 0:
            self._states.append(self._front.copy())
            self.thin(STATES)
        return data

    def thin(self, most: int) -> None:
        """Give up every other state until there are ``most`` or fewer."""
        while len(self._states) > most:
            self._every *= 2
            self._states = [s for s in self._states if s.number % self._every == 0]

    def _decode(self, index: int) -> bytes:
        with self._lock:
            data = b""
            if index >= self._front.number:
                while self._front.number <= index:
                    data = self._next()
            else:
                at = bisect_right(self._states, index, key=lambda s: s.number) - 1
                state = self._states[at].copy()
                while state.number <= index:
                    data = self._inflate(state, min(CHUNK, self.size - state.number * CHUNK))
            want = min(CHUNK, self.size - index * CHUNK)
            if len(data) < want:
                span = self._span(self._taken[index], self._length)
                raise Corrupt(self._what, span, f"the stream ends {want - len(data)} bytes before the {self.size} that are stated")
            return data

    def _inflate(self, state: _State, want: int) -> bytes:
        """``want`` bytes from a state, which moves on; fewer where the stream ends by itself."""
        engine, taken, out = state.engine, state.taken, bytearray()
        try:
            engine = engine.copy()  # an error must leave the state as it is
            while len(out) < want and not engine.eof:
                piece = self._base.read_at(self._start + taken, max(0, min(READ, self._length - taken)))
                data = engine.decompress(piece, want - len(out))
                used = len(piece) - len(engine.unused_data if engine.eof else engine.unconsumed_tail)
                taken += used
                out += data
                if not data and not used:
                    raise Truncated(self._what, self._span(taken, self._length), f"the stream breaks off after {taken} packed bytes")
            if not engine.eof and len(out) == want:
                # The last bytes of the stream may give no output.
                piece = self._base.read_at(self._start + taken, max(0, min(READ, self._length - taken)))
                trial = engine.copy()
                if not trial.decompress(piece, 1) and trial.eof:
                    engine, taken = trial, taken + len(piece) - len(trial.unused_data)
        except zlib.error as error:
            raise Corrupt(self._what, self._span(taken, self._length), str(error)) from error
        state.engine, state.taken, state.number = engine, taken, state.number + 1
        return bytes(out)

    def _origin(self, index: int) -> tuple[Span, ...]:
        with self._lock:
            try:
                while self._front.number <= index:
                    self._next()
                low, high = self._taken[index], self._taken[index + 1]
            except EvidenceError:
                low, high = self._taken[-1], self._length
        return (self._span(low, high).through("deflate"),)
