"""Twin of _native/lznt1.pxi."""

from __future__ import annotations

__all__ = ["lznt1"]


def lznt1(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """LZNT1 ([MS-XCA] 2.5): up to ``size`` bytes of output.

    Returns (output, status): status is -1 when all went well, else the offset in ``data`` of the
    chunk that could not be decoded; the output up to it is good. A zero chunk header ends the data.
    """
    src, out = bytes(data), bytearray()
    at = 0
    while at + 2 <= len(src) and len(out) < size:
        header = src[at] | src[at + 1] << 8
        if header == 0:
            break
        end = at + 3 + (header & 0xFFF)
        base = len(out)
        if end > len(src) or header >> 12 & 7 != 3:
            return bytes(out), at
        pos = at + 2
        if not header & 0x8000:
            out += src[pos:end]
            pos = end
        while pos < end:
            flags = src[pos]
            pos += 1
            for bit in range(8):
                if pos >= end:
                    break
                if not flags >> bit & 1:
                    out.append(src[pos])
                    pos += 1
                    continue
                if pos + 2 > end or len(out) == base:
                    return bytes(out[:base]), at
                token = src[pos] | src[pos + 1] << 8
                pos += 2
                shift = 12
                while len(out) - base - 1 >= 1 << (16 - shift):
                    shift -= 1
                length, back = (token & ((1 << shift) - 1)) + 3, (token >> shift) + 1
                if back > len(out) - base or len(out) - base + length > 4096:
                    return bytes(out[:base]), at
                for _ in range(length):
                    out.append(out[-back])
            if len(out) - base > 4096:
                return bytes(out[:base]), at
        at = end
    return bytes(out[:size]), -1
