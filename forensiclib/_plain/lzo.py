"""Twin of _native/lzo.pxi."""

from __future__ import annotations

__all__ = ["lzo1x"]


def _long(src: bytes, at: int, base: int) -> tuple[int, int]:
    """(base + 255 for every zero + the first byte that is none, where it ends); -1 past the end."""
    while at < len(src):
        at += 1
        if src[at - 1]:
            return base + src[at - 1], at
        base += 255
    return -1, at


def lzo1x(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """LZO1X (SquashFS, JFFS2, UBIFS, Btrfs, lzop) whose original has exactly ``size`` bytes.

    Returns (output, status): status is -1 when the end marker came after ``size`` bytes, else the offset in
    ``data`` of the instruction that could not be followed (or of a marker that came too early); the
    output up to it is good. The bit-stream version of later kernels (first byte 17, zram only) is not
    taken apart: there 17 begins an ordinary instruction.
    Source: Linux, Documentation/staging/lzo.rst, "LZO stream format as understood by Linux's LZO decompressor".
    """
    if size < 0:
        raise ValueError("negative size")
    src, out = bytes(data), bytearray()
    at = state = 0
    if not src:
        return b"", 0
    if src[0] > 17:
        literals = src[0] - 17
        if literals > len(src) - 1 or literals > size:
            return b"", 0
        out += src[1 : 1 + literals]
        at, state = 1 + literals, min(literals, 4)
    while True:
        start = at
        if at >= len(src):
            return bytes(out), start
        code, at = src[at], at + 1
        if code < 16 and state == 0:
            literals, at = (code + 3, at) if code else _long(src, at, 18)
            if not 0 <= literals <= min(len(src) - at, size - len(out)):
                return bytes(out), start
            out += src[at : at + literals]
            at, state = at + literals, 4
            continue
        if code < 16 or code >= 64:
            if at >= len(src):
                return bytes(out), start
            high, at, literals = src[at], at + 1, code & 3
            if code >= 64:
                back, length = (high << 3) + (code >> 2 & 7) + 1, (code >> 5) + 1
            elif state == 4:
                back, length = (high << 2) + (code >> 2 & 3) + 2049, 3
            else:
                back, length = (high << 2) + (code >> 2 & 3) + 1, 2
        else:
            if code >= 32:
                length, at = ((code & 31) + 2, at) if code & 31 else _long(src, at, 33)
            else:
                length, at = ((code & 7) + 2, at) if code & 7 else _long(src, at, 9)
            if length < 0 or len(src) - at < 2:
                return bytes(out), start
            pair, at = src[at] | src[at + 1] << 8, at + 2
            literals = pair & 3
            if code >= 32:
                back = (pair >> 2) + 1
            else:
                back = 16384 + ((code & 8) << 11) + (pair >> 2)
                if back == 16384:
                    return bytes(out), -1 if len(out) == size else start
        if back > len(out) or length + literals > size - len(out) or literals > len(src) - at:
            return bytes(out), start
        for _ in range(length):
            out.append(out[-back])
        out += src[at : at + literals]
        at, state = at + literals, literals
