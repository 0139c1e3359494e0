"""TIFF and the raw camera formats made of it: the furthest byte that any directory points to."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.errors import Corrupt, LimitExceeded, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_WIDTH, _HEIGHT, _MAKE, _STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES = 256, 257, 271, 273, 279, 324, 325
_RAW_DATA = 0x118
_SUB, _JPEG, _JPEG_SIZE, _EXIF, _GPS, _INTEROP, _DNG = 330, 513, 514, 34665, 34853, 40965, 50706
_MAKES = {
    b"NIKON": Kind("nef", "image/x-nikon-nef", "Nikon raw photograph"),
    b"SONY": Kind("arw", "image/x-sony-arw", "Sony raw photograph"),
    b"PENTAX": Kind("pef", "image/x-pentax-pef", "Pentax raw photograph"),
    b"OLYMPUS": Kind("orf", "image/x-olympus-orf", "Olympus raw photograph"),
    b"SAMSUNG": Kind("srw", "image/x-samsung-srw", "Samsung raw photograph"),
    b"HASSELBLAD": Kind("3fr", "image/x-hasselblad-3fr", "Hasselblad raw photograph"),
    b"SEIKO EPSON": Kind("erf", "image/x-epson-erf", "Epson raw photograph"),
    b"EASTMAN KODAK": Kind("kdc", "image/x-kodak-kdc", "Kodak raw photograph"),
    b"KODAK": Kind("dcr", "image/x-kodak-dcr", "Kodak raw photograph (DCR)"),
    b"PHASE ONE": Kind("iiq", "image/x-phaseone-iiq", "Phase One raw photograph"),
    b"LEAF": Kind("mos", "image/x-leaf-mos", "Leaf raw photograph"),
    b"MAMIYA": Kind("mef", "image/x-mamiya-mef", "Mamiya raw photograph"),
}
_TIFF, _BIGTIFF = Kind("tif", "image/tiff", "TIFF picture"), Kind("tif", "image/tiff", "BigTIFF picture")
_CR2, _DNG_KIND = Kind("cr2", "image/x-canon-cr2", "Canon raw photograph"), Kind("dng", "image/x-adobe-dng", "Digital negative (DNG)")
_RW2, _RWL = Kind("rw2", "image/x-panasonic-rw2", "Panasonic raw photograph"), Kind("rwl", "image/x-leica-rwl", "Leica raw photograph")
_FOLLOWED = {
    _WIDTH, _HEIGHT, _STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES, _SUB, _JPEG, _JPEG_SIZE, _EXIF, _GPS, _INTEROP,
    _RAW_DATA,
}  # fmt: skip
"""Tags whose numbers lead further."""
_DIRECTORIES = 256
_NUMBERS = 32 << 20
"""Bytes of all lists of strips and tiles: a slide of a terapixel in tiles of 512 has 4 million, 8 bytes each."""


@dataclass(slots=True)
class _Walk:
    """The directories of one file: what they point to."""

    data: ByteSource
    budget: Budget
    order: str
    big: bool
    reach: int = 0
    pictures: int = 0
    make: bytes = b""
    dng: bool = False
    numbers: int = 0
    queue: list[int] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def run(self, first: int) -> None:
        """Every directory from ``first`` on. Raises Corrupt, Truncated."""
        self.queue.append(first)
        while self.queue:
            at = self.queue.pop()
            if at in self.seen:
                continue
            if len(self.seen) >= _DIRECTORIES:
                raise LimitExceeded("TIFF directories", None, f"more than {_DIRECTORIES}")
            self.seen.add(at)
            self.directory(at)

    def claim(self, start: int, length: int) -> None:
        """Bytes that belong to the file."""
        self.reach = max(self.reach, start + length)

    def raw(self, at: int, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        got = self.data.read_at(at, self.budget.allocate("TIFF field", size))
        if len(got) < size:
            raise Truncated("TIFF field", None, f"{len(got)} of {size} bytes at {at}")
        return got

    def listed(self, at: int, size: int) -> bytes:
        """A list of places or sizes; all of them together are bounded."""
        self.numbers += size
        if self.numbers > _NUMBERS:
            raise LimitExceeded("TIFF strips", None, f"lists of more than {_NUMBERS} bytes")
        return self.raw(at, size)

    def directory(self, at: int) -> None:
        """One directory: entries, what they point to, the next one."""
        count_size, entry_size, link = (8, 20, 8) if self.big else (2, 12, 4)
        count = int.from_bytes(self.raw(at, count_size), "little" if self.order == "<" else "big")
        if not 1 <= count <= 4096:
            raise Corrupt("TIFF directory", None, f"{count} entries at {at}")
        size = count_size + count * entry_size + link
        raw = self.raw(at, size)
        self.claim(at, size)
        values: dict[int, tuple[int, ...]] = {}
        for place in range(count_size, size - link, entry_size):
            self.budget.item()
            self.entry(raw[place : place + entry_size], values)
        self.picture(values)
        self.queue += [p for tag in (_SUB, _EXIF, _GPS, _INTEROP) for p in values.get(tag, ()) if p]
        (following,) = struct.unpack_from(self.order + ("Q" if self.big else "I"), raw, size - link)
        if following:
            self.queue.append(following)

    def entry(self, raw: bytes, values: dict[int, tuple[int, ...]]) -> None:
        """One entry: claim its value, keep the numbers that lead further."""
        tag, kind, count = struct.unpack_from(self.order + ("HHQ" if self.big else "HHI"), raw)
        inline = 8 if self.big else 4
        if kind not in _SIZES:
            raise Corrupt("TIFF entry", None, f"type {kind} of tag {tag}")
        size = _SIZES[kind] * count
        if size <= inline:
            value = raw[-inline:][:size]
        else:
            (at,) = struct.unpack(self.order + ("Q" if self.big else "I"), raw[-inline:])
            if at + size > self.data.size:
                raise Truncated("TIFF value", None, f"tag {tag}: {size} bytes at {at}")
            self.claim(at, size)
            value = self.listed(at, size) if tag in (_STRIPS, _STRIP_SIZES, _TILES, _TILE_SIZES, _SUB) else self.data.read_at(at, 64)
        if tag == _MAKE:
            self.make = value
        self.dng = self.dng or tag == _DNG
        if tag in _FOLLOWED and kind in _CODES:
            values[tag] = struct.unpack_from(f"{self.order}{len(value) // _SIZES[kind]}{_CODES[kind]}", value)

    def picture(self, values: dict[int, tuple[int, ...]]) -> None:
        """Claim the strips, tiles or embedded JPEG of a directory."""
        if _RAW_DATA in values and _STRIPS in values:  # Panasonic: strips at FFFFFFFF, the true place in a tag of its own
            values[_STRIPS] = values[_RAW_DATA]
        for places, sizes in ((_STRIPS, _STRIP_SIZES), (_TILES, _TILE_SIZES)):
            if places in values and sizes in values:
                if len(values[places]) != len(values[sizes]):
                    raise Corrupt("TIFF strips", None, f"{len(values[places])} places, {len(values[sizes])} sizes")
                for start, length in zip(values[places], values[sizes], strict=True):
                    self.claim(start, length)
                self.pictures += bool(values.get(_WIDTH, (1,))[0] and values[places] and any(values[sizes]))
        if _JPEG in values and _JPEG_SIZE in values and values[_JPEG] and values[_JPEG_SIZE]:
            self.claim(values[_JPEG][0], values[_JPEG_SIZE][0])


def _kind(head: bytes, walk: _Walk) -> Kind:
    make = walk.make.upper()
    if head[2:4] == b"U\0":
        return _RWL if make.startswith(b"LEICA") else _RW2
    if head[8:10] == b"CR":
        return _CR2
    if walk.dng:
        return _DNG_KIND
    raw = next((kind for name, kind in _MAKES.items() if make.startswith(name)), None)
    if raw is not None and len(walk.seen) > 2:
        return raw
    return _MAKES[b"OLYMPUS"] if head[2:4] in (b"RO", b"RS") else _BIGTIFF if walk.big else _TIFF


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Directories, values, strips and tiles."""
    head = data.read_at(0, 16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return None
    (magic,) = struct.unpack_from(order + "H", head, 2)
    big = magic == 43
    if big and struct.unpack_from(order + "HH", head, 4) != (8, 0):
        return None
    (first,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    if not 8 <= first < data.size:
        return None
    walk = _Walk(data, budget, order, big)
    try:
        walk.run(first)
    except (Corrupt, Truncated, LimitExceeded) as error:
        if not walk.pictures:
            return None
        return Find(min(walk.reach, data.size), 0.3, f"{walk.pictures} picture(s), then {error}", complete=False, owned=0)
    if not walk.pictures:
        return None
    kind = _kind(head, walk)
    extension, title = kind.extension, kind.title
    reason = f"{len(walk.seen)} directories, {walk.pictures} picture(s), all values, strips and tiles inside"
    if walk.reach > data.size:
        return Find(data.size, 0.3, reason + "; not all of it", extension, title, complete=False, owned=0)
    return Find(walk.reach, 0.85, reason, extension, title)


CARVERS = (
    Carver(
        name="tiff",
        title="TIFF picture",
        extension="tif",
        mime="image/tiff",
        signatures=(
            Signature(b"II*\0"),
            Signature(b"MM\0*"),
            Signature(b"II+\0\x08\0\0\0"),
            Signature(b"MM\0+\0\x08\0\0"),
            Signature(b"IIU\0\x18\0\0\0"),
            Signature(b"IIU\0\x08\0\0\0"),
            Signature(b"IIRO\x08\0\0\0"),
            Signature(b"IIRS\x08\0\0\0"),
        ),
        measure=measure,
        maximum=16 << 30,
        refs=("TIFF Revision 6.0 (1992), sections 2, 8, 15", "BigTIFF design, libtiff", "Adobe DNG Specification 1.7, tags"),
        gaps=(
            "what only a maker note points to (previews, calibration) is not counted: a raw file may be cut short",
            "pixels are not decoded",
        ),
        kinds=(_TIFF, _BIGTIFF, _CR2, _DNG_KIND, _RW2, _RWL, *_MAKES.values()),
    ),
)
