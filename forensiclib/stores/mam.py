"""MAM containers: prefetch and superfetch files of Windows 10 and 11, compressed whole."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from forensiclib import kernels
from forensiclib.core.declare import Signature, StoreFormat
from forensiclib.core.errors import Corrupt, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.formats import mam as fmt
from forensiclib.formats._dsl import parse

KERNELS = {2: kernels.lznt1, 3: kernels.lzxpress, 4: kernels.lzxpress_huffman}


def expanded(stream: ByteSource, budget: Budget) -> ByteSource:
    """The file in the container, or ``stream`` itself when it is not one.

    A wrong checksum and damaged compressed data are reported, and what could be decoded is returned.
    Raises Truncated (no header), Unsupported (another compression), LimitExceeded.
    """
    return open_container(stream, {}, budget) if stream.read_at(0, 3) == b"MAM" else stream


def open_container(stream: ByteSource, companions: Mapping[str, ByteSource], budget: Budget) -> ByteSource:
    """The content of a stream that is known to be a container."""
    head = parse(fmt.HEADER, stream, 0, "MAM container")
    span = stream.trace(0, stream.size)[0]
    method = head.method & ~fmt.CHECKED
    if method not in KERNELS:
        raise Unsupported("MAM container", span, f"compression {method}")
    size = budget.allocate("MAM content", head.size, span)
    data = stream.read_at(0, budget.allocate("MAM container", stream.size, span))
    start = 8
    if head.method & fmt.CHECKED:
        stored = parse(fmt.CHECKSUM, stream, 8, "MAM checksum").crc32
        start = 12
        computed = zlib.crc32(data[start:], zlib.crc32(data[:8] + bytes(4)))
        if stored != computed:
            budget.report(Corrupt("MAM container", span, f"CRC-32 {computed:08x}, stored {stored:08x}"))
    out, bad = KERNELS[method](data[start:], size)
    budget.produce("MAM content", len(out), len(data), span)
    if len(out) != size or bad >= 0:
        where = f", damage near offset {start + bad}" if bad >= 0 else ""
        budget.report(Corrupt("MAM content", span, f"{len(out)} of {size} bytes{where}"))
    via = fmt.METHODS[method].lower().replace(" ", "-")
    return MemorySource(out, [s.through(via) for s in stream.trace(start, stream.size)])


STORE = StoreFormat(
    name="mam",
    title="Compressed container of prefetch and superfetch files (MAM)",
    refs=("libscca: Windows Prefetch File (PF) format", "[MS-XCA] 2.2, 2.4, 2.5"),
    signatures=(Signature(b"MAM"),),
    open=open_container,
)
