"""Other compressors of single streams: bzip2, xz, Zstandard, LZ4 frames."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Generator
from typing import Any

from forensiclib.core.declare import Ended, Signature, Transform
from forensiclib.core.errors import MissingSupport
from forensiclib.core.limits import Budget
from forensiclib.search.decode.regions import View
from forensiclib.search.decode.streams import WORTH

__all__ = ["TRANSFORMS"]

_STEP = 1 << 20
_INPUT = 1 << 16


def _fed(view: View, engine: Any, errors: tuple[type[Exception], ...], budget: Budget, held: bool) -> Generator[bytes, None, Ended]:
    """A decoder of the standard library's shape. ``held``: it takes bounded output at a time."""
    at = made = 0
    step, why, fed = 1 << 12, "the bytes end before the stream does", b""
    while not engine.eof:
        budget.check()
        if not held or engine.needs_input:
            fed = view.read_at(at, step)
            step = min(2 * step, _INPUT)
            if not fed:
                break
            at += len(fed)
        try:
            piece = engine.decompress(fed, _STEP) if held else engine.decompress(fed)
        except errors as error:
            why = str(error) or "damaged"
            at -= len(fed)
            break
        fed = b""
        made += len(piece)
        for low in range(0, len(piece), _STEP):
            yield piece[low : low + _STEP]
    if engine.eof:
        return Ended(at - len(engine.unused_data or b""))
    return Ended(max(at, 1) if made >= WORTH else 0, False, why)


def _bzip2(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    return (yield from _fed(view, bz2.BZ2Decompressor(), (OSError, EOFError, ValueError), budget, True))


def _xz(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    head = view.read_at(0, 12)
    if len(head) < 12 or zlib.crc32(head[6:8]) != int.from_bytes(head[8:12], "little"):
        return Ended(0)
    engine = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=budget.limits.allocation)
    return (yield from _fed(view, engine, (lzma.LZMAError, EOFError), budget, True))


def _lz4(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    from lz4.frame import LZ4FrameDecompressor

    return (yield from _fed(view, LZ4FrameDecompressor(), (RuntimeError, EOFError), budget, True))


def _zstd_engine() -> Callable[[], Any]:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise MissingSupport("Zstandard frames need: pip install zstandard") from error
    return lambda: zstandard.ZstdDecompressor(max_window_size=128 << 20)


def _zstd(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    make = _zstd_engine()
    import zstandard

    if view.read_at(4, 1)[:1] > b"" and view.read_at(4, 1)[0] & 8:
        return Ended(0)  # a reserved bit
    engine = make().decompressobj(read_across_frames=False)
    at = made = 0
    step, why = 1 << 10, "the bytes end before the frame does"
    while not engine.eof:
        budget.check()
        fed = view.read_at(at, step)
        step = min(2 * step, 1 << 14)  # its output is not bounded: a block of 128 KiB may stand in few bytes
        if not fed:
            break
        try:
            piece = engine.decompress(fed)
        except zstandard.ZstdError as error:
            why = str(error)
            break
        at += len(fed)
        made += len(piece)
        for low in range(0, len(piece), _STEP):
            yield piece[low : low + _STEP]
    if engine.eof:
        return Ended(at - len(engine.unused_data))
    return Ended(max(at, 1) if made >= WORTH else 0, False, why)


_BREAKS = "what stands in the last piece of input (up to 64 KiB) before a damaged place is lost"
TRANSFORMS = (
    Transform(
        name="bzip2", title="bzip2 streams", refs=("J. Seward: bzip2 1.0.8",), decode=_bzip2, gaps=(_BREAKS,),
        signatures=tuple(Signature(b"BZh%d1AY&SY" % level) for level in range(1, 10)),
    ),
    Transform(
        name="lz4", title="LZ4 frames", refs=("LZ4 Frame Format 1.6.1",), decode=_lz4, signatures=(Signature(b"\x04\x22\x4d\x18"),),
        gaps=(_BREAKS, "bare LZ4 blocks, which nothing announces", "legacy frames", "Mozilla's mozLz40"),
    ),
    Transform(
        name="xz", title="xz streams", refs=("The .xz File Format 1.2.1",), decode=_xz, signatures=(Signature(b"\xfd7zXZ\x00"),),
        gaps=(_BREAKS, "streams that need more memory than the allocation limit", ".lzma files, which have no signature"),
    ),
    Transform(
        name="zstd", title="Zstandard frames", refs=("RFC 8878",), decode=_zstd, signatures=(Signature(b"\x28\xb5\x2f\xfd"),),
        gaps=("frames with a dictionary", "windows of more than 128 MiB", _BREAKS.replace("64", "16")),
    ),
)  # fmt: skip
