"""Compressed frames whose headers give their length: Zstandard and LZ4."""

from __future__ import annotations

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_ZSTD, _LZ4 = b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18"
_BLOCK = 128 << 10
_LZ4_BLOCKS = {4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20}


def _zstd_frame(window: Window, at: int, budget: Budget) -> tuple[int, int, bool]:
    """(end of the last whole block, blocks, whether the frame ends) of the frame at ``at``."""
    if window.at(at, 4) != _ZSTD:
        return at, 0, False
    descriptor = window.number(at + 4, 1)
    if descriptor < 0 or descriptor & 8:
        return at, 0, False
    single, size_flag = descriptor >> 5 & 1, descriptor >> 6
    body = at + 5 + (not single) + (0, 1, 2, 4)[descriptor & 3] + (1 if single and not size_flag else (0, 2, 4, 8)[size_flag])
    blocks = 0
    while True:
        budget.item()
        head = window.number(body, 3)
        kind, size = head >> 1 & 3, head >> 3
        end = body + 3 + (1 if kind == 1 else size)
        if head < 0 or kind == 3 or size > _BLOCK or end > window.size or (kind == 2 and size < 2):
            return body, blocks, False
        body, blocks = end, blocks + 1
        if head & 1:
            end = body + 4 * (descriptor >> 2 & 1)
            return (end, blocks, True) if end <= window.size else (body, blocks, False)


def _skippable(window: Window, at: int) -> int:
    """End of the skippable frame at ``at``, or ``at``."""
    if window.number(at, 4) & ~0xF != 0x184D2A50 or window.number(at + 4, 4) < 0:
        return at
    end = at + 8 + window.number(at + 4, 4)
    return end if end <= window.size else at


def _measure_zstd(data: ByteSource, budget: Budget) -> Find | None:
    window, at, frames, blocks = Window(data, 16), 0, 0, 0
    while True:
        budget.item()
        end, count, whole = _zstd_frame(window, at, budget)
        if not whole:
            break
        at, frames, blocks = end, frames + 1, blocks + count
        while (behind := _skippable(window, at)) > at:
            at = behind
    if not frames:
        return Find(end, 0.3, f"{count} blocks, the frame breaks off", complete=False) if count > 1 else None
    confidence = 0.9 if blocks > 1 else 0.7
    return Find(at, confidence, f"{frames} frame{'s' if frames > 1 else ''} of {blocks} blocks by their headers, content not decoded")


def _lz4_frame(window: Window, at: int, budget: Budget) -> tuple[int, int, bool]:
    """As _zstd_frame."""
    flags, sizes = window.number(at + 4, 1), window.number(at + 5, 1)
    if window.at(at, 4) != _LZ4 or flags >> 6 != 1 or flags & 2 or sizes & 0x8F or sizes >> 4 not in _LZ4_BLOCKS:
        return at, 0, False
    body = at + 7 + 8 * (flags >> 3 & 1) + 4 * (flags & 1)
    blocks = 0
    while True:
        budget.item()
        head = window.number(body, 4)
        size = head & 0x7FFFFFFF
        if head == 0:
            end = body + 4 + 4 * (flags >> 2 & 1)
            return (end, blocks, True) if end <= window.size else (body, blocks, False)
        end = body + 4 + size + 4 * (flags >> 4 & 1)
        if head < 0 or not size or size > _LZ4_BLOCKS[sizes >> 4] or end > window.size:
            return body, blocks, False
        body, blocks = end, blocks + 1


def _measure_lz4(data: ByteSource, budget: Budget) -> Find | None:
    window, at, frames, blocks = Window(data, 16), 0, 0, 0
    while True:
        budget.item()
        end, count, whole = _lz4_frame(window, at, budget)
        if not whole:
            break
        at, frames, blocks = end, frames + 1, blocks + count
    if not frames:
        return Find(end, 0.3, f"{count} blocks, the frame breaks off", complete=False) if count > 1 else None
    return Find(at, 0.9, f"{frames} frame{'s' if frames > 1 else ''} of {blocks} blocks by their headers, content not decoded")


CARVERS = (
    Carver(
        name="zstd",
        title="Zstandard-compressed file",
        extension="zst",
        mime="application/zstd",
        signatures=(Signature(_ZSTD),),
        measure=_measure_zstd,
        maximum=64 << 30,
        refs=("RFC 8878, 3.1",),
        gaps=("blocks are followed by their headers, not decoded; checksums are not verified",),
    ),
    Carver(
        name="lz4",
        title="LZ4-compressed file",
        extension="lz4",
        mime="application/x-lz4",
        signatures=(Signature(_LZ4),),
        measure=_measure_lz4,
        maximum=64 << 30,
        refs=("LZ4 Frame Format Description 1.6.3",),
        gaps=("blocks are followed by their headers, not decoded; checksums are not verified; legacy frames are not read",),
    ),
)
