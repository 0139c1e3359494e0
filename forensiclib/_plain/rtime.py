"""Twin of _native/rtime.pxi."""

from __future__ import annotations

__all__ = ["rtime"]


def rtime(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """RTIME, the byte-pair compression of JFFS2, whose original has exactly ``size`` bytes.

    Pairs of (value, repeat): the value itself, then ``repeat`` bytes of the output from where the
    same value was last followed (from the start when it was not seen yet).
    Returns (output, status): status is -1 when ``size`` bytes came out, else the offset in ``data``
    of the pair that could not be followed; the output up to it is good.
    Source: D. Woodhouse, "JFFS: The Journalling Flash File System" (2001), compression types.
    """
    if size < 0:
        raise ValueError("negative size")
    src, out, last = bytes(data), bytearray(), [0] * 256
    at = 0
    while len(out) < size:
        if len(src) - at < 2:
            return bytes(out), at
        value, repeat = src[at], src[at + 1]
        if repeat > size - len(out) - 1:
            return bytes(out), at
        out.append(value)
        source, last[value] = last[value], len(out)
        for k in range(source, source + repeat):
            out.append(out[k])
        at += 2
    return bytes(out), -1
