"""Flash: FLV video by its tags, SWF movies plain, deflated or LZMA-packed."""

from __future__ import annotations

import lzma

from forensiclib.carving._ends import broken
from forensiclib.carving._inflate import inflate
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_flv", "measure_swf"]


def measure_flv(data: ByteSource, budget: Budget) -> Find | None:
    """Tags, each repeated in length behind it."""
    window = Window(data)
    start = window.number(5, 4, True)
    if window.at(0, 4) != b"FLV\1" or window.number(4, 1) & 0xFA or start != 9 or window.number(9, 4):
        return None
    at, tags = 13, 0
    while True:
        budget.item()
        head = window.at(at, 11)
        if len(head) < 11 or head[0] & 0x1F not in (8, 9, 18) or head[0] & 0xC0 or any(head[8:]):
            break
        size = int.from_bytes(head[1:4], "big")
        back = window.number(at + 11 + size, 4, True)
        if back not in (11 + size, size):
            return broken(min(at, data.size), f"{tags} tags, then one is cut off") if tags else None
        tags += 1
        at += 15 + size
    if not tags:
        return None
    return Find(at, 0.85, f"{tags} tags, each with its length behind it, to the first thing that is none") if at <= data.size else None


def _tags(window: Window, size: int, budget: Budget) -> bool:
    """Whether the tags of a plain movie reach End exactly at ``size``."""
    at = 8 + ((window.number(8, 1) >> 3) * 4 + 5 + 7) // 8 + 4
    while at < size:
        budget.item()
        head = window.number(at, 2)
        if head < 0:
            return False
        length = head & 63
        at += 2
        if length == 63:
            length = window.number(at, 4)
            at += 4
        at += length
        if head >> 6 == 0:
            break
    return at == size


def measure_swf(data: ByteSource, budget: Budget) -> Find | None:
    """The stated size: plain, or what the packed part must give."""
    window = Window(data)
    head = window.at(0, 17)
    if len(head) < 17 or not 3 <= head[3] <= 60:
        return None
    size = int.from_bytes(head[4:8], "little")
    if size < 20 or size > 512 << 20:
        return None
    if head[:3] == b"FWS":
        if size > data.size:
            return broken(data.size, f"{size} bytes stated") if head[8] >> 3 in range(8, 20) else None
        return Find(size, 0.95, "tags to the stated end") if _tags(window, size, budget) else None
    if head[:3] == b"CWS":
        if head[8] != 0x78 or (head[8] << 8 | head[9]) % 31:
            return None
        found = inflate(data, 8, budget, wbits=15)
        if found.whole and found.size == size - 8:
            return Find(found.end, 1.0, f"{size} bytes inflated, as many as stated")
        return broken(found.end, f"{found.size} of {size - 8} bytes inflated") if found.size > 1024 else None
    packed = int.from_bytes(head[8:12], "little")
    end = 17 + packed
    if head[3] < 13 or head[12] >= 225 or packed > size + 4096 or packed < 5:
        return None
    if end > data.size:
        return broken(data.size, f"{end} bytes stated")
    engine = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=budget.limits.allocation)
    raw = head[12:17] + (size - 8).to_bytes(8, "little") + data.read_at(17, budget.allocate("SWF", packed))
    try:
        made = engine.decompress(raw, size)
    except lzma.LZMAError:
        return None
    return (
        Find(end, 1.0, f"{size} bytes unpacked, as many as stated") if len(made) == size - 8 else broken(end, f"{len(made)} bytes unpacked")
    )


CARVERS = (
    Carver(
        name="flv",
        title="Flash video",
        extension="flv",
        mime="video/x-flv",
        signatures=(Signature(b"FLV\1\0\0\0\0\x09", mask=b"\xff\xff\xff\xff\xfa\xff\xff\xff\xff"),),
        measure=measure_flv,
        maximum=64 << 30,
        refs=("Adobe Flash Video File Format Specification 10.1 (2010), annex E",),
        gaps=("nothing marks the end: it is where no tag follows", "frames are not decoded"),
    ),
    Carver(
        name="swf",
        title="Flash movie",
        extension="swf",
        mime="application/x-shockwave-flash",
        signatures=(
            Signature(b"FWS\0", mask=b"\xff\xff\xff\xc0"),
            Signature(b"CWS\0\0\0\0\0\x78", mask=b"\xff\xff\xff\xc0\0\0\0\xe0\xff"),
            Signature(b"ZWS\0\0\0\0\0", mask=b"\xff\xff\xff\xc0\0\0\0\xe0"),
        ),
        measure=measure_swf,
        maximum=512 << 20,
        refs=("Adobe SWF File Format Specification 19 (2012), 2: SWF structure",),
        gaps=("content of tags is not read",),
    ),
)
