"""XCF (GIMP): pointers to layers, hierarchies, levels and tiles; the last of them ends the file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

TILE = 64
_END, _COMPRESSION = 0, 17
_NONE, _RLE, _ZLIB = 0, 1, 2


@dataclass(slots=True)
class _Walk:
    """A reader of big-endian fields that remembers how far the file reaches."""

    data: ByteSource
    budget: Budget
    wide: bool = False
    compression: int = _NONE
    reach: int = 0
    tiles: int = 0
    last: tuple[int, int] = (0, 0)
    """The furthest tile: (place, bytes when decoded)."""
    seen: set[int] = field(default_factory=set)

    def number(self, at: int, size: int = 4) -> tuple[int, int]:
        """(value, offset behind it)."""
        self.budget.item()
        raw = self.data.read_at(at, size)
        if len(raw) < size:
            raise Truncated("XCF field", None, f"{len(raw)} of {size} bytes at {at}")
        self.reach = max(self.reach, at + size)
        return int.from_bytes(raw, "big"), at + size

    def pointers(self, at: int) -> tuple[list[int], int]:
        """A list of file offsets up to its zero."""
        out: list[int] = []
        while True:
            value, at = self.number(at, 8 if self.wide else 4)
            if value == 0:
                return out, at
            if value >= self.data.size or value in self.seen:
                raise Corrupt("XCF pointer", None, f"{value} at {at}")
            self.seen.add(value)
            out.append(value)

    def properties(self, at: int) -> int:
        """Offset behind a property list."""
        while True:
            kind, at = self.number(at)
            size, at = self.number(at)
            if kind > 255 or at + size > self.data.size:
                raise Corrupt("XCF property", None, f"{kind} of {size} bytes")
            if kind == _END:
                return at
            if kind == _COMPRESSION and size == 1:
                self.compression = self.data.read_at(at, 1)[0]
            at += size
            self.reach = max(self.reach, at)

    def drawable(self, at: int, layer: bool) -> None:
        """A layer or channel with all that hangs on it."""
        at += 12 if layer else 8
        size, at = self.number(at)
        if size > 4096:
            raise Corrupt("XCF name", None, f"{size} bytes")
        at = self.properties(at + size)
        hierarchy, at = self.number(at, 8 if self.wide else 4)
        self.hierarchy(hierarchy)
        if layer:
            mask, _ = self.number(at, 8 if self.wide else 4)
            if mask:
                self.drawable(mask, layer=False)

    def hierarchy(self, at: int) -> None:
        """Tiles of the first level; the others are placeholders of twelve bytes."""
        _, at = self.number(at)
        _, at = self.number(at)
        depth, at = self.number(at)
        if not 1 <= depth <= 32:
            raise Corrupt("XCF hierarchy", None, f"{depth} bytes a pixel")
        levels, _ = self.pointers(at)
        for placeholder in levels[1:]:
            self.number(placeholder + 8)
        for level in levels[:1]:
            width, place = self.number(level)
            height, place = self.number(place)
            tiles, _ = self.pointers(place)
            across = -(-width // TILE)
            if tiles and len(tiles) != across * -(-height // TILE):
                raise Corrupt("XCF level", None, f"{len(tiles)} tiles for {width} x {height}")
            self.tiles += len(tiles)
            for i, tile in enumerate(tiles):
                if tile > self.last[0]:
                    wide, high = min(TILE, width - i % across * TILE), min(TILE, height - i // across * TILE)
                    self.last = tile, wide * high * depth
                    self.planes = depth

    planes: int = 1

    def tile_end(self) -> int:
        """Offset behind the furthest tile."""
        at, size = self.last
        if self.compression == _NONE:
            return at + size
        raw = self.data.read_at(at, size * 2 + 4096)
        if self.compression == _ZLIB:
            stream = zlib.decompressobj()
            try:
                made = stream.decompress(raw, size)
                stream.decompress(stream.unconsumed_tail, 1)
            except zlib.error as error:
                raise Corrupt("XCF tile", None, str(error)) from error
            if len(made) != size or not stream.eof:
                raise Corrupt("XCF tile", None, f"{len(made)} of {size} bytes")
            return at + len(raw) - len(stream.unused_data)
        place = 0
        for _ in range(self.planes):
            place = _run_lengths(raw, place, size // self.planes)
        return at + place


def _run_lengths(raw: bytes, place: int, size: int) -> int:
    """Offset behind one plane of ``size`` bytes of GIMP's run lengths."""
    made = 0
    while made < size:
        code = raw[place : place + 3].ljust(3, b"\0")
        literal = code[0] >= 128
        length = 256 - code[0] if literal else code[0] + 1
        place += 1
        if length == 128:
            length = int.from_bytes(code[1:3], "big")
            place += 2
        made += length
        place += length if literal else 1
        if not length or place > len(raw):
            raise Corrupt("XCF tile", None, "run lengths break off")
    if made != size:
        raise Corrupt("XCF tile", None, f"{made} bytes where {size} belong")
    return place


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Everything that the header points to."""
    tag = data.read_at(9, 5)
    if tag != b"file\0" and not (tag[:1] == b"v" and tag[1:4].isdigit() and tag[4:] == b"\0"):
        return None
    version = int(tag[1:4]) if tag[:1] == b"v" else 0
    walk = _Walk(data, budget, wide=version >= 11)
    width, at = walk.number(14)
    height, at = walk.number(at)
    base, at = walk.number(at)
    if not 0 < width <= 524288 or not 0 < height <= 524288 or base > 2:
        return None
    header = 0
    try:
        header = at = walk.properties(at + 4 if version >= 4 else at)
        layers, at = walk.pointers(at)
        channels, at = walk.pointers(at)
        for place in layers:
            walk.drawable(place, layer=True)
        for place in channels:
            walk.drawable(place, layer=False)
        end = max(walk.reach, walk.tile_end() if walk.tiles else 0)
    except (Corrupt, Truncated) as error:
        return _broken(walk, header, error)
    if end > data.size or not walk.tiles:
        return None
    return Find(end, 0.9, f"{len(layers)} layer(s), {len(channels)} channel(s), {walk.tiles} tiles; the furthest one decodes to its end")


def _broken(walk: _Walk, header: int, error: EvidenceError) -> Find | None:
    if not header:
        return None
    reach = min(walk.data.size, max(walk.reach, walk.last[0]))
    return Find(reach, 0.3, f"header sound, then {error}", complete=False, owned=header)


CARVERS = (
    Carver(
        name="xcf",
        title="GIMP picture",
        extension="xcf",
        mime="image/x-xcf",
        signatures=(Signature(b"gimp xcf "),),
        measure=measure,
        maximum=16 << 30,
        refs=("XCF file format, devel-docs/xcf.txt of GIMP 2.10: sections 1 to 4",),
        gaps=("paths and effects of version 18 and later are not followed", "tiles but the furthest are not decoded"),
    ),
)
