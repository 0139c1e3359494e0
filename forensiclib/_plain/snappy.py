"""Twin of _native/snappy.pxi."""

from __future__ import annotations

__all__ = ["snappy"]


def _preamble(src: bytes) -> tuple[int, int]:
    """(stated size, where it ends); size -1 for a number that breaks off or has more than 32 bits."""
    size = 0
    for at in range(min(5, len(src))):
        size |= (src[at] & 127) << (7 * at)
        if src[at] < 128:
            return (size, at + 1) if size < 1 << 32 else (-1, 0)
    return -1, 0


def snappy(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """A Snappy block (no frame) whose original has at most ``size`` bytes.

    Returns (output, status): status is -1 when the elements gave exactly the size that the block states, else the offset in
    ``data`` of the element that could not be followed (0 for the stated size itself, where it is missing or larger than
    ``size``; the length of ``data`` when it ends too early); the output up to it is good.
    Source: google/snappy, format_description.txt.
    """
    if size < 0:
        raise ValueError("negative size")
    src, out = bytes(data), bytearray()
    want, at = _preamble(src)
    if want < 0 or want > size:
        return b"", 0
    while at < len(src):
        start, tag = at, src[at]
        at += 1
        if tag & 3 == 0:
            length = (tag >> 2) + 1
            if length > 60:
                more = length - 60
                length, at = int.from_bytes(src[at : at + more], "little") + 1, at + more
            if at > len(src) or length > len(src) - at or length > want - len(out):
                return bytes(out), start
            out += src[at : at + length]
            at += length
            continue
        if tag & 3 == 1:
            length, more = (tag >> 2 & 7) + 4, 1
            high = tag >> 5 << 8
        else:
            length, more, high = (tag >> 2) + 1, 2 * (tag & 3) - 2, 0
        back = high | int.from_bytes(src[at : at + more], "little")
        at += more
        if at > len(src) or not 0 < back <= len(out) or length > want - len(out):
            return bytes(out), start
        for _ in range(length):
            out.append(out[-back])
    return bytes(out), -1 if len(out) == want else len(src)
