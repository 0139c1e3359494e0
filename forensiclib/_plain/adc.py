"""Twin of _native/adc.pxi."""

from __future__ import annotations

__all__ = ["adc"]


def adc(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """Apple Data Compression (the ADC blocks of UDIF images) whose original has exactly ``size`` bytes.

    A byte with its top bit set announces 1 to 128 literals. With the next bit set, 4 to 67 bytes are
    copied from up to 65,536 behind (big-endian distance), else 3 to 18 from up to 1,024 behind.
    Returns (output, status): status is -1 when ``size`` bytes came out, else the offset in ``data``
    of the code that could not be followed; the output up to it is good.
    Source: "UDIF: Apple Data Compression" as documented in libmodi's format description.
    """
    if size < 0:
        raise ValueError("negative size")
    src, out = bytes(data), bytearray()
    at = 0
    while len(out) < size:
        if at >= len(src):
            return bytes(out), at
        code = src[at]
        if code & 0x80:
            piece = src[at + 1 : at + 2 + (code & 0x7F)]
            if len(piece) != (code & 0x7F) + 1 or len(piece) > size - len(out):
                return bytes(out), at
            out += piece
            at += 1 + len(piece)
            continue
        wide = 3 if code & 0x40 else 2
        if wide > len(src) - at:
            return bytes(out), at
        if wide == 3:
            length, back = (code & 0x3F) + 4, int.from_bytes(src[at + 1 : at + 3], "big") + 1
        else:
            length, back = (code >> 2) + 3, ((code & 3) << 8 | src[at + 1]) + 1
        if back > len(out) or length > size - len(out):
            return bytes(out), at
        for _ in range(length):
            out.append(out[-back])
        at += wide
    return bytes(out), -1
