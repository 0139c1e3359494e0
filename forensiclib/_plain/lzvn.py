"""Twin of _native/lzvn.pxi."""

from __future__ import annotations

__all__ = ["lzvn"]


def lzvn(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """LZVN (compressed files of HFS+ and APFS, blocks of LZFSE) whose original has exactly ``size`` bytes.

    An opcode gives literals (L), a match length (M) and how its distance (D) is told; the literals follow it:
    LLMMMDDD d        small distance, 11 bits      LLMMM111 d d     large, 16 bits (little-endian)
    101LLMMM m+d d    medium, 14 bits              LLMMM110         the distance before (L > 0)
    1110LLLL [l]      literals alone               1111MMMM [m]     a match alone, the distance before
    0E and 16 do nothing, 06 ends the stream, 1E 26 2E 36 3E 70-7F D0-DF are not defined.
    Returns (output, status): status is -1 when ``size`` bytes came out, else the offset in ``data``
    of the opcode that could not be followed; the output up to it is good.
    Source: "LZFSE compressed data format" in the documentation of libfmos.
    """
    if size < 0:
        raise ValueError("negative size")
    src, out = bytes(data), bytearray()
    at = back = 0
    while len(out) < size:
        if at >= len(src):
            return bytes(out), at
        code, left = src[at], len(src) - at
        literals, length, wide = code >> 6, (code >> 3 & 7) + 3, 1
        if code >= 0xE0:
            count = code & 15
            if not count:
                if left < 2:
                    return bytes(out), at
                count, wide = src[at + 1] + 16, 2
            literals, length = (0, count) if code >= 0xF0 else (count, 0)
        elif 0xA0 <= code < 0xC0:
            if left < 3:
                return bytes(out), at
            pair = src[at + 1] | src[at + 2] << 8
            literals, length, back, wide = code >> 3 & 3, ((code & 7) << 2 | pair & 3) + 3, pair >> 2, 3
        elif 0x70 <= code < 0x80 or code >= 0xD0:
            return bytes(out), at
        elif code & 7 == 7:
            if left < 3:
                return bytes(out), at
            back, wide = src[at + 1] | src[at + 2] << 8, 3
        elif code & 7 == 6:
            if code in (0x0E, 0x16):
                at += 1
                continue
            if code < 0x40:
                return bytes(out), at
        else:
            if left < 2:
                return bytes(out), at
            back, wide = (code & 7) << 8 | src[at + 1], 2
        if literals > left - wide or literals + length > size - len(out):
            return bytes(out), at
        if length and not 0 < back <= len(out) + literals:
            return bytes(out), at
        out += src[at + wide : at + wide + literals]
        for _ in range(length):
            out.append(out[-back])
        at += wide + literals
    return bytes(out), -1
