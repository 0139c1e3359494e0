"""PNG: the chunk chain, every CRC verified."""

from __future__ import annotations

import zlib

from forensiclib.carving.png_join import rejoin
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "MAGIC", "crc_holds", "measure"]

MAGIC = b"\x89PNG\r\n\x1a\n"
CHUNK = 1 << 20
_PNG, _APNG = Kind("png", "image/png", "PNG picture"), Kind("apng", "image/apng", "Animated PNG picture")
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


def _header_sound(body: bytes) -> bool:
    width, height = int.from_bytes(body[:4], "big"), int.from_bytes(body[4:8], "big")
    return 0 < width < 1 << 31 and 0 < height < 1 << 31 and body[8] in _DEPTHS.get(body[9], ()) and body[10:12] == b"\0\0" and body[12] < 2


def crc_holds(data: ByteSource, at: int, size: int) -> bool:
    """Of the chunk at ``at``: type and ``size`` bytes of content against the CRC behind them."""
    crc, end = 0, at + 8 + size
    place = at + 4
    while place < end:
        piece = data.read_at(place, min(CHUNK, end - place))
        if not piece:
            return False
        crc = zlib.crc32(piece, crc)
        place += len(piece)
    return data.read_at(end, 4) == crc.to_bytes(4, "big")


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Chunks from IHDR to IEND."""
    at, chunks, pixels, moving = len(MAGIC), 0, False, False
    if data.read_at(0, at) != MAGIC:
        return None
    while True:
        budget.item()
        head = data.read_at(at, 8)
        size, kind = int.from_bytes(head[:4], "big"), head[4:]
        if chunks == 0 and (size != 13 or kind != b"IHDR" or not _header_sound(data.read_at(at + 8, 13).ljust(13, b"\xff"))):
            return None
        if len(head) < 8 or size >= 1 << 31 or not kind.isalpha() or at + 12 + size > data.size or not crc_holds(data, at, size):
            if not pixels:
                # a chunk of pixels that breaks off in the middle is still part of a picture
                return Find(at, 0.3, "header sound, no whole pixel chunk", complete=False, owned=at) if chunks and kind == b"IDAT" else None
            return Find(at, 0.6, f"{chunks} chunks with good CRC, then damage", complete=False, owned=at)
        chunks += 1
        moving = moving or (kind == b"acTL" and not pixels)
        pixels = pixels or kind == b"IDAT"
        at += 12 + size
        if kind == b"IEND":
            what = (_APNG.extension, _APNG.title) if moving else ("", "")
            return Find(at, 1.0, f"all {chunks} chunk CRCs good, to IEND", *what) if pixels else None


CARVERS = (
    Carver(
        name="png",
        title="PNG picture",
        extension="png",
        mime="image/png",
        signatures=(Signature(MAGIC + b"\0\0\0\rIHDR"),),
        measure=measure,
        rejoin=rejoin,
        maximum=1 << 30,
        refs=("W3C PNG specification, third edition (2025), 5: datastream structure, 11.2: critical chunks",),
        kinds=(_PNG, _APNG),
        gaps=(
            "the pixel data is checked by its CRCs, not decompressed",
            "pieces of a chunk that has several gaps are looked for in the nearest 8 MiB of blocks that may be coded data",
        ),
    ),
)
