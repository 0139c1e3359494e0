"""Contents: run lists over the volume, LZNT1 compression units, and what cannot be read as it stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from forensiclib import kernels
from forensiclib.core.errors import Corrupt, EvidenceError, Truncated, Unsupported
from forensiclib.core.source import ByteSource, ChunkedSource, ExtentSource, WritableBuffer, clip
from forensiclib.core.span import Span, merge, zeros

__all__ = ["COMPRESSED", "ENCRYPTED", "Refused", "compressed", "plain"]

COMPRESSED, ENCRYPTED = 0x00FF, 0x4000
"""Bits of an attribute's flags."""
_UNIT_LIMIT = 1 << 20
"""Windows compresses in units of 16 clusters of at most 4 KiB; a MiB is far above."""

Runs = Sequence[tuple[int | None, int]]


class Refused(ByteSource):
    """Content that is known and cannot be given: every read raises the same error."""

    __slots__ = ("_error", "_under", "size")

    def __init__(self, size: int, under: ByteSource, error: EvidenceError) -> None:
        self.size, self._under, self._error = size, under, error

    def read_into(self, offset: int, buffer: WritableBuffer) -> int:
        if clip(offset, len(buffer), self.size) == 0:
            return 0
        raise type(self._error)(*self._error.args)

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return self._under.trace(offset, n)


def plain(volume: ByteSource, runs: Runs, size: int, valid: int) -> ByteSource:
    """A stream whose clusters are its bytes."""
    return ExtentSource(volume, runs, size, valid)


class _Units:
    """Compression units of one stream."""

    __slots__ = ("_at", "_raw", "_runs", "_size", "_unit", "_valid")

    def __init__(self, volume: ByteSource, runs: Runs, size: int, valid: int, unit: int) -> None:
        self._raw, self._runs = ExtentSource(volume, runs), [run for run in runs if run[1] > 0]
        self._at = [0, *accumulate(length for _, length in self._runs)]
        self._size, self._valid, self._unit = size, valid, unit

    def _stored(self, index: int) -> tuple[int, int]:
        """(bytes of the unit that clusters back, bytes of the unit that the runs cover)."""
        low, high = index * self._unit, (index + 1) * self._unit
        real = covered = 0
        for i in range(max(0, bisect_right(self._at, low) - 1), len(self._runs)):
            take = min(high, self._at[i + 1]) - max(low, self._at[i])
            if take <= 0:
                break
            if self._runs[i][0] is not None:
                if real < covered:
                    raise Corrupt("NTFS compression unit", self._span(index), f"unit {index}: clusters behind a hole")
                real += take
            covered += take
        return real, covered

    def decode(self, index: int) -> bytes:
        at = index * self._unit
        want = min(self._unit, self._size - at)
        real, covered = self._stored(index)
        if covered < min(self._unit, want):
            raise Truncated("NTFS compression unit", None, f"unit {index}: {covered} of {self._unit} bytes have runs")
        if at >= self._valid or real == 0:
            return bytes(want)
        if real == covered:
            data = self._raw.read_at(at, want)
        else:
            data, bad = kernels.lznt1(self._raw.read_at(at, real), want)
            if bad >= 0:
                raise Corrupt("NTFS compression unit", self._span(index), f"unit {index}: LZNT1 breaks at byte {bad}")
            data += bytes(want - len(data))
        keep = self._valid - at
        return data if keep >= want else data[:keep] + bytes(want - keep)

    def origin(self, index: int) -> tuple[Span, ...]:
        at = index * self._unit
        want = min(self._unit, self._size - at)
        real, covered = self._stored(index)
        if at >= self._valid or real == 0:
            return (zeros(want),)
        if real == covered:
            keep = min(want, self._valid - at)
            return merge((*self._raw.trace(at, keep), zeros(want - keep)))
        return tuple(span.through("lznt1") for span in self._raw.trace(at, real))

    def _span(self, index: int) -> Span | None:
        spans = self._raw.trace(index * self._unit, 1)
        return spans[0] if spans else None


def compressed(volume: ByteSource, runs: Runs, size: int, valid: int, unit: int) -> ByteSource:
    """An LZNT1 stream ([MS-XCA] 2.5) in units of ``unit`` bytes: all sparse reads as zero, all stored is plain,
    a stored head with a sparse tail is compressed."""
    if unit > _UNIT_LIMIT:
        return Refused(size, plain(volume, runs, size, valid), Unsupported("NTFS compression unit", None, f"{unit} bytes"))
    units = _Units(volume, runs, size, valid, unit)
    return ChunkedSource(size, unit, units.decode, units.origin)
