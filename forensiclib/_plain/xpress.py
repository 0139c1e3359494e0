"""Twin of _native/xpress.pxi."""

from __future__ import annotations

__all__ = ["lzxpress", "lzxpress_huffman"]

_SYMBOLS, _BITS, _BLOCK = 512, 15, 65_536


def _copy(out: bytearray, back: int, length: int, size: int) -> bool:
    """Append ``length`` bytes from ``back`` bytes behind; False when that leaves the output."""
    if back > len(out) or length > size - len(out):
        return False
    for _ in range(length):
        out.append(out[-back])
    return True


def lzxpress(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """Plain LZ77 ([MS-XCA] 2.3, 2.4) whose original has exactly ``size`` bytes.

    Returns (output, status): status is -1 when ``size`` bytes came out, else the offset in ``data``
    of the token that could not be decoded; the output up to it is good.
    """
    if size < 0:
        raise ValueError("negative size")
    src, out = bytes(data), bytearray()
    at = flags = left = half = 0
    while len(out) < size:
        if left == 0:
            if at + 4 > len(src):
                return bytes(out), at
            flags, left, at = int.from_bytes(src[at : at + 4], "little"), 32, at + 4
        left -= 1
        token = at
        if not flags >> left & 1:
            if at >= len(src):
                return bytes(out), token
            out.append(src[at])
            at += 1
            continue
        if at + 2 > len(src):
            return bytes(out), token
        pair = src[at] | src[at + 1] << 8
        at += 2
        length, back = pair & 7, (pair >> 3) + 1
        if length == 7:
            if half:
                length, half = src[half] >> 4, 0
            else:
                if at >= len(src):
                    return bytes(out), token
                length, half, at = src[at] & 15, at, at + 1
            if length == 15:
                if at >= len(src):
                    return bytes(out), token
                length, at = src[at], at + 1
                if length == 255:
                    long, at = _long(src, at)
                    if long < 22:
                        return bytes(out), token
                    length = long - 22
                length += 15
            length += 7
        if not _copy(out, back, length + 3, size):
            return bytes(out), token
    return bytes(out), -1


def _long(src: bytes, at: int) -> tuple[int, int]:
    """The u16 length at ``at``, or the u32 behind it where that is 0; -1 past the end."""
    if at + 2 > len(src):
        return -1, at
    value, at = src[at] | src[at + 1] << 8, at + 2
    if value:
        return value, at
    if at + 4 > len(src):
        return -1, at
    return int.from_bytes(src[at : at + 4], "little"), at + 4


def _table(src: bytes, at: int) -> list[int] | None:
    """15 bits -> symbol << 4 | code length, from the 512 four-bit lengths; None unless they fill it."""
    lengths = [src[at + (s >> 1)] >> 4 * (s & 1) & 15 for s in range(_SYMBOLS)]
    table: list[int] = []
    for bits in range(1, _BITS + 1):
        for symbol in range(_SYMBOLS):
            if lengths[symbol] == bits:
                table += [symbol << 4 | bits] * (1 << _BITS - bits)
                if len(table) > 1 << _BITS:
                    return None
    return table if len(table) == 1 << _BITS else None


class _Bits:
    """The 16-bit words of the stream as a bit reader; bytes between them are read beside it."""

    def __init__(self, src: bytes, at: int) -> None:
        self.src, self.at, self.word, self.have, self.missing = src, at, 0, 0, 0
        self._refill()
        self._refill()

    def _refill(self) -> None:
        piece = self.src[self.at : self.at + 2]
        if len(piece) < 2:
            self.missing += 16
            self.at, piece = len(self.src), b"\0\0"  # half a word is no length byte either
        else:
            self.at += 2
        self.word = self.word << 16 | piece[0] | piece[1] << 8
        self.have += 16

    def peek(self, count: int) -> int:
        return self.word >> self.have - count

    def take(self, count: int) -> bool:
        """Consume; False when bits that the stream does not have were consumed."""
        self.have -= count
        self.word &= (1 << self.have) - 1
        good = self.have >= self.missing
        if self.have < 16:
            self._refill()
        return good


def lzxpress_huffman(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """LZ77 + Huffman ([MS-XCA] 2.1, 2.2) whose original has exactly ``size`` bytes.

    Returns (output, status) as ``lzxpress`` does; status is an offset in ``data`` at or shortly
    behind the symbol that could not be decoded.
    """
    if size < 0:
        raise ValueError("negative size")
    src, out = bytes(data), bytearray()
    at = 0
    while len(out) < size:
        if at + 256 > len(src) or (table := _table(src, at)) is None:
            return bytes(out), at
        bits = _Bits(src, at + 256)
        end = min(size, len(out) + _BLOCK)
        while len(out) < end:
            entry = table[bits.peek(_BITS)]
            symbol = entry >> 4
            if not bits.take(entry & 15):
                return bytes(out), bits.at
            if symbol < 256:
                out.append(symbol)
                continue
            length, offset_bits = symbol & 15, symbol - 256 >> 4
            if length == 15:
                if bits.at >= len(src):
                    return bytes(out), bits.at
                length, bits.at = src[bits.at], bits.at + 1
                if length == 255:
                    token = bits.at
                    length, bits.at = _long(src, bits.at)
                    if length < 15:
                        return bytes(out), token
                    length -= 15
                length += 15
            back = (1 << offset_bits) + bits.peek(offset_bits)
            if not bits.take(offset_bits) or not _copy(out, back, length + 3, size):
                return bytes(out), bits.at
        at = bits.at
    return bytes(out), -1
