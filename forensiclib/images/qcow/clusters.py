"""Where the clusters of a QCOW lie: two levels of tables, compressed clusters, subclusters."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from forensiclib.core.errors import Corrupt, MissingSupport, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, ChunkedSource
from forensiclib.core.span import Span
from forensiclib.formats import qcow as f
from forensiclib.images._blocks import BlockSource, Place, numbers, read_exactly, root_of
from forensiclib.kernels import inflate

__all__ = ["Shape", "disk", "zstd_reader"]

TABLES = 32 << 20
"""Bytes of second-level tables held: the map of 256 GiB in clusters of 64 KiB."""
CACHE = 4 << 20
"""Bytes of decompressed clusters kept for small reads."""
SUBCLUSTERS = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """What the header says of the clusters.

    per_table   entries of a second-level table; sub   subclusters ("Extended L2 Entries")
    packed      "deflate" or "zstd"; external   guest clusters lie in a data file
    """

    version: int
    cluster_bits: int
    per_table: int
    packed: str = "deflate"
    sub: bool = False
    external: bool = False

    @property
    def cluster(self) -> int:
        """Bytes."""
        return 1 << self.cluster_bits

    def is_packed(self, entry: int) -> bool:
        """Whether the cluster of a table's entry is compressed."""
        return bool(entry & (f.COMPRESSED if self.version > 1 else 1 << 63))

    def stored(self, entry: int) -> tuple[int, int]:
        """(offset, most bytes) of a compressed cluster: the count is in sectors from version 2 on, exact in version 1."""
        if self.version == 1:
            bits = 63 - self.cluster_bits
            return entry & ((1 << bits) - 1), entry >> bits & (self.cluster - 1)
        bits = 62 - (self.cluster_bits - 8)
        at = entry & ((1 << bits) - 1)
        return at, ((entry >> bits & ((1 << (self.cluster_bits - 8)) - 1)) + 1) * 512 - (at & 511)


def zstd_reader() -> Callable[[bytes, int], bytes]:
    """(data, size) -> up to ``size`` bytes of the frames in data; ValueError for what is no frame. MissingSupport without the package."""
    try:
        import zstandard
    except ImportError as error:
        raise MissingSupport("this disk is compressed with zstd: install zstandard") from error

    def read(data: bytes, size: int) -> bytes:
        # A cluster has at most 2 MiB; nothing may ask for more window than that.
        engine = zstandard.ZstdDecompressor(max_window_size=1 << 23)
        out = bytearray()
        try:
            with engine.stream_reader(data, read_across_frames=True) as reader:
                while len(out) < size and (piece := reader.read(size - len(out))):
                    out += piece
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error
        return bytes(out)

    return read


class _Packed(ChunkedSource):
    """The compressed clusters, at the disk's offsets. deflate and zstd find some damage; QCOW stores no checksum."""

    __slots__ = ("_entry", "_file", "_shape", "_unpack")

    def __init__(self, file: ByteSource, size: int, shape: Shape, entry: Callable[[int], int]) -> None:
        super().__init__(size, shape.cluster, self._read, self._from, max(4, CACHE // shape.cluster))
        self._file, self._shape, self._entry = file, shape, entry
        self._unpack: Callable[[bytes, int], Any] = zstd_reader() if shape.packed == "zstd" else lambda data, n: inflate(data, n, raw=True)

    def _span(self, number: int) -> Span:
        at, n = self._shape.stored(self._entry(number))
        return Span(root_of(self._file), at, max(0, min(n, self._file.size - at)))

    def _read(self, number: int) -> bytes:
        at, n = self._shape.stored(self._entry(number))
        raw = self._file.read_at(at, n)
        try:
            data = bytes(self._unpack(raw, self._shape.cluster))
        except ValueError as error:
            # The count is in sectors, so that the last one may reach past the end of a whole file.
            kind = Truncated if len(raw) < n and at + n > self._file.size + 511 else Corrupt
            raise kind("QCOW compressed cluster", self._span(number), f"cluster {number}: {error}") from error
        if len(data) < self._shape.cluster:
            raise Corrupt("QCOW compressed cluster", self._span(number), f"cluster {number}: {len(data)} of {self._shape.cluster} bytes")
        return data

    def _from(self, number: int) -> tuple[Span, ...]:
        span = self._span(number)
        return (span.through(self._shape.packed),)


def disk(
    file: ByteSource, data: ByteSource, under: ByteSource | None, shape: Shape, l1: tuple[int, int], size: int, budget: Budget
) -> ByteSource:
    """The disk of ``size`` bytes that a first-level table (offset, entries) maps.

    data    where its clusters are: the file itself, or the external data file
    under   what clusters that it does not hold read as; None for zero
    Raises Corrupt for a table too short for the disk, Truncated for one behind the end.
    """
    at, count = l1
    cluster, per_table, width = shape.cluster, shape.per_table, 16 if shape.sub else 8
    span = Span(root_of(file), at, 8 * count)
    need = -(-size // (cluster * per_table))
    if count < need:
        raise Corrupt("QCOW L1 table", span, f"{count} entries, {need} for a disk of {size} bytes")
    if 8 * need > file.size:
        raise Truncated("QCOW L1 table", span, f"{need} entries in a file of {file.size} bytes")
    budget.allocate("QCOW L1 table", 8 * need, span)
    first = numbers(read_exactly(file, at, 8 * need, "QCOW L1 table"), "Q", big=True)
    mask = f.OFFSET_BITS if shape.version > 1 else (1 << 63) - 1
    held: dict[int, array[int]] = {}
    most = max(2, TABLES // (per_table * width))

    def table(number: int) -> array[int] | None:
        place = first[number] & mask
        if not place:
            return None
        if shape.version > 1 and place & (cluster - 1):
            raise Corrupt("QCOW L1 table", span, f"table {number} at {place:#x}, inside of a cluster")
        made = numbers(read_exactly(file, place, per_table * width, "QCOW L2 table"), "Q", big=True)
        if len(held) >= most:
            held.clear()
        held[number] = made
        return made

    def entry(number: int) -> int:
        high, low = divmod(number, per_table)
        found = held.get(high) or table(high)
        return 0 if found is None else found[2 * low if shape.sub else low]

    packed = _Packed(file, size, shape, entry)
    version, external, sub = shape.version, shape.external, cluster // SUBCLUSTERS
    packed_bit = f.COMPRESSED if version > 1 else 1 << 63

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, cluster)
        run = min(cluster - inside, size - offset)
        high, low = divmod(number, per_table)
        found = held.get(high) or table(high)
        if found is None:
            return under, offset if under is not None else 0, run
        if shape.sub:
            return part(found[2 * low], found[2 * low + 1], offset, inside, run)
        value = found[low]
        if value & packed_bit:
            return packed, offset, run
        if value & f.ZERO and version > 2:
            return None, 0, run
        host = value & mask
        if not host and not (external and value & f.COPIED):
            return under, offset if under is not None else 0, run
        return data, checked(host, number) + inside, run

    def checked(host: int, number: int) -> int:
        if version > 1 and host & (cluster - 1):
            raise Corrupt("QCOW L2 table", Span(root_of(file), 0, 0), f"cluster {number} at {host:#x}, inside of a cluster")
        return host

    def part(value: int, bits: int, offset: int, inside: int, run: int) -> Place:
        if value & packed_bit:
            return packed, offset, run
        which = inside // sub
        run = min(run, sub - inside % sub)
        if bits >> which & 1:
            return data, checked(value & mask, offset // cluster) + inside, run
        if bits >> (32 + which) & 1:
            return None, 0, run
        return under, offset if under is not None else 0, run

    return BlockSource(size, locate, "QCOW cluster")
