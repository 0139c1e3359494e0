"""Stream-optimized extents: compressed grains, each behind a marker."""

from __future__ import annotations

from collections.abc import Callable

from forensiclib.core.errors import Corrupt, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ChunkedSource
from forensiclib.core.span import Span
from forensiclib.formats import vmdk as f
from forensiclib.images._files import PooledFile
from forensiclib.kernels import inflate

__all__ = ["Grains", "from_markers"]

SECTOR = 512
CACHE = 4 << 20
"""Bytes of decoded grains kept for small reads."""


class Grains(ChunkedSource):
    """The grains that ``entry`` places, as a source with the disk's offsets. zlib's checksum and, with markers, the sector
    number of every grain are verified. Only allocated grains may be read."""

    __slots__ = ("_entry", "_file", "_grain", "_marked")

    def __init__(self, file: PooledFile, size: int, grain: int, entry: Callable[[int], int], marked: bool) -> None:
        super().__init__(size, grain, self._inflate, self._origin_of, max(4, CACHE // grain))
        self._file, self._grain, self._entry, self._marked = file, grain, entry, marked

    def _stored(self, number: int) -> tuple[int, int]:
        """(offset of the compressed bytes in the file, how many)"""
        at = self._entry(number) * SECTOR
        if not self._marked:
            return at, min(2 * self._grain, max(0, self._file.size - at))
        head = self._file.read_at(at, f.GRAIN.size)
        span = Span(self._file.root, at, f.GRAIN.size)
        if len(head) < f.GRAIN.size:
            raise Truncated("VMDK grain", span, f"grain {number} lies behind the end of the file")
        lba, size = f.GRAIN.unpack(head)
        if lba * SECTOR != number * self._grain:
            raise Corrupt("VMDK grain", span, f"the marker says sector {lba}, the table grain {number}")
        if not 0 < size <= 2 * self._grain + 1024:
            raise Corrupt("VMDK grain", span, f"{size} compressed bytes")
        return at + f.GRAIN.size, size

    def _inflate(self, number: int) -> bytes:
        at, size = self._stored(number)
        span = Span(self._file.root, at, size)
        raw = self._file.read_at(at, size)
        if len(raw) < size:
            raise Truncated("VMDK grain", span, f"grain {number}: {len(raw)} of {size} bytes")
        try:
            data = inflate(raw, self._grain)
        except ValueError as error:
            raise Corrupt("VMDK grain", span, f"grain {number}: {error}") from error
        if len(data) < min(self._grain, self.size - number * self._grain):
            raise Corrupt("VMDK grain", span, f"grain {number}: {len(data)} bytes")
        return bytes(data)

    def _origin_of(self, number: int) -> tuple[Span, ...]:
        at, size = self._stored(number)
        return (Span(self._file.root, at, size, ("deflate",), False),)


def from_markers(file: PooledFile, overhead: int, grain: int, budget: Budget) -> Callable[[int], int]:
    """Grain number -> sector, from the markers up to where they end. A grain behind the last one that was seen may have been lost:
    asking for it raises Truncated. Writers put grains in ascending order ("Stream-Optimized Compressed Sparse Extents")."""
    found: dict[int, int] = {}
    sector, last, ended = max(1, overhead), -1, False
    while (raw := file.read_at(sector * SECTOR, f.MARKER.size)) and len(raw) == f.MARKER.size:
        budget.item()
        value, size, kind = f.MARKER.unpack(raw)
        if size:
            number, odd = divmod(value * SECTOR, grain)
            if odd or size > 2 * grain + 1024 or sector * SECTOR + f.GRAIN.size + size > file.size:
                break
            found[number], last = sector, max(last, number)
            sector += -(-(f.GRAIN.size + size) // SECTOR)
            continue
        if kind == f.MARKER_END:
            ended = True
            break
        if kind > f.MARKER_FOOTER or value * SECTOR > file.size:
            break
        sector += 1 + value

    def entry(number: int) -> int:
        if number > last and not ended:
            raise Truncated("VMDK grain", Span(file.root, file.size, 0), f"grain {number}: the stream breaks off after grain {last}")
        return found.get(number, 0)

    return entry
