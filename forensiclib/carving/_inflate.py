"""Where a compressed stream ends, found by decoding it with bounded memory."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from forensiclib.carving._read import STEP
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["Inflated", "inflate"]

_INPUT = 16 << 10
"""Bytes fed at once: a stream that breaks off is known to within this much."""


@dataclass(slots=True)
class Inflated:
    """How far a deflate stream decodes.

    end    offset behind its last byte; when not ``whole``, behind the last block that was taken
    head   its first bytes (at most 512), to tell what it holds
    """

    end: int
    whole: bool
    size: int = 0
    crc: int = 0
    head: bytes = b""
    why: str = ""


def inflate(source: ByteSource, start: int, budget: Budget, wbits: int = -15) -> Inflated:
    """Decode the stream at ``start``: raw deflate, or with ``wbits`` 31 a gzip member whose CRC-32
    and length are then checked too."""
    engine = zlib.decompressobj(wbits)
    out = Inflated(end=start, whole=False)
    at, step, made, taken = start, 4096, 0, 0
    pending = b""
    while True:
        if not pending:
            pending = source.read_at(at, step)
            at += len(pending)
            step = min(_INPUT, step * 2)
            if not pending:
                out.why = "the data ends inside the stream"
                return out
        budget.check()
        try:
            piece = engine.decompress(pending, STEP)
        except zlib.error as error:
            out.why = str(error)
            return out
        pending = engine.unconsumed_tail
        taken = at - len(pending) - start
        made = len(piece)
        if len(out.head) < 512:
            out.head = (out.head + piece[:512])[:512]
        out.size += made
        budget.produce("deflate stream", made, STEP)
        if wbits < 0:
            out.crc = zlib.crc32(piece, out.crc)
        if engine.eof:
            out.end, out.whole = at - len(engine.unused_data), True
            return out
        out.end = start + taken
