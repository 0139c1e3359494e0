"""GIF: blocks to the trailer, and of each image codes for all of its pixels."""

from __future__ import annotations

from itertools import product

from forensiclib import kernels
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_SCREEN = 13
"""Bytes of header and logical screen descriptor."""
_DECODED = 64 << 20
"""Bytes of one image's codes that are decoded; a larger one is walked by its blocks only."""


def _signatures() -> tuple[Signature, ...]:
    """Version, a packed field, and behind the colour table that it announces an extension or an image: the
    scan itself refuses the six letters alone."""
    out = []
    for packed in (0, *range(0x80, 0x88)):
        gap = _SCREEN - 11 + _table(packed)
        for version, block in product((b"GIF87a", b"GIF89a"), (b"\x21", b"\x2c")):
            mask = b"\xff" * 6 + bytes(4) + (b"\x87" if packed else b"\x80") + bytes(gap) + b"\xff"
            out.append(Signature(version + bytes(4) + bytes((packed,)) + bytes(gap) + block, mask=mask))
    return tuple(out)


def _table(packed: int) -> int:
    """Bytes of the colour table that a packed field announces."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _sub_blocks(data: ByteSource, at: int, budget: Budget) -> int:
    """Where the chain of sub-blocks at ``at`` ends; -1 when it leaves the data."""
    while True:
        budget.item()
        size = data.read_at(at, 1)
        if not size:
            return -1
        at += 1 + size[0]
        if size == b"\0":
            return at


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Logical screen, extensions and images to the trailer."""
    head = data.read_at(0, _SCREEN)
    if len(head) < _SCREEN or head[:6] not in (b"GIF87a", b"GIF89a") or head[6:8] == b"\0\0" or head[8:10] == b"\0\0":
        return None
    width, height = int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    at, images = _SCREEN + _table(head[10]), 0
    sound = at
    proof, said, owned = 0.95, "codes for all pixels", 0
    while True:
        budget.item()
        kind = data.read_at(at, 1)
        if kind == b"\x3b":
            return Find(at + 1, proof, f"{images} image(s), blocks to the trailer, {said}", owned=owned or None) if images else None
        if kind == b"\x21":
            label = data.read_at(at + 1, 1)
            end = _sub_blocks(data, at + 2, budget) if label in (b"\x01", b"\xf9", b"\xfe", b"\xff") else -1
        elif kind == b"\x2c":
            frame = data.read_at(at, 10).ljust(10, b"\0")
            left, top, wide, high = (int.from_bytes(frame[i : i + 2], "little") for i in (1, 3, 5, 7))
            start = at + 10 + _table(frame[9])
            code = data.read_at(start, 1)
            fits = wide and high and left + wide <= max(width, 1) and top + high <= max(height, 1)
            end = _sub_blocks(data, start + 1, budget) if fits and code and 1 <= code[0] <= 11 else -1
            images += end > 0
            if end > start + 1 + _DECODED:
                proof, said = min(proof, 0.85), "too large to decode"
            elif end > 0 and not owned:
                pixels, _, _ = kernels.gif_codes(data.read_at(start + 1, end - start - 1), code[0])
                if pixels < wide * high:  # of another file, or damaged: nobody can tell from where on
                    proof, said, owned = 0.5, f"but codes for {pixels} of the {wide * high} pixels of number {images}", start
        else:
            end = -1
        if end < 0:
            return Find(sound, 0.4, f"{images} image(s), then the block chain breaks off", complete=False, owned=sound) if images else None
        at = sound = end


CARVERS = (
    Carver(
        name="gif",
        title="GIF picture",
        extension="gif",
        mime="image/gif",
        signatures=_signatures(),
        measure=measure,
        maximum=512 << 20,
        refs=("GIF89a Specification (1990), 17 to 27: blocks",),
        gaps=(
            "an image whose codes take more than 64 MiB is walked by its block lengths, not decoded",
            "a picture whose first image breaks off is not reported",
        ),
    ),
)
