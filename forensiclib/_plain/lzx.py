"""Twin of _native/lzx.pxi."""

from __future__ import annotations

__all__ = ["lzx"]

_FRAME = 32_768
_RAW = 3
_SLOTS = {15: 30, 16: 32, 17: 34, 18: 36, 19: 38, 20: 42, 21: 50}


class _Bits:
    """16-bit little-endian words, the top bit first; zeros behind the end, where ``over`` says so."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.word, self.bits, self.missing = data, 0, 0, 0, 0

    def fill(self) -> None:
        while self.bits <= 32:
            if self.at + 2 <= len(self.data):
                more = self.data[self.at] | self.data[self.at + 1] << 8
                self.at += 2
            else:
                more, self.missing = 0, self.missing + 16
            self.word = (self.word << 16 | more) & 0xFFFFFFFFFFFFFFFF
            self.bits += 16

    def take(self, count: int) -> int:
        self.fill()
        self.bits -= count
        return self.word >> self.bits & (1 << count) - 1

    def symbol(self, code: _Code) -> int:
        """The next symbol, -1 for bits that no symbol has."""
        self.fill()
        for width, of in code.by_width:
            symbol = of.get(self.word >> (self.bits - width) & (1 << width) - 1)
            if symbol is not None:
                self.bits -= width
                return symbol
        return -1

    @property
    def over(self) -> bool:
        return self.bits < self.missing

    @property
    def place(self) -> int:
        return self.at - (self.bits >> 3)


class _Code:
    """A canonical Huffman code by its lengths; ValueError unless they fill it, or are all zero."""

    def __init__(self, lengths: list[int], width: int) -> None:
        by_width: list[tuple[int, dict[int, int]]] = []
        code = 0
        for bits in range(1, width + 1):
            code <<= 1
            of = {}
            for symbol, length in enumerate(lengths):
                if length == bits:
                    of[code] = symbol
                    code += 1
            if of:
                by_width.append((bits, of))
        if by_width and code != 1 << width:
            raise ValueError("not a whole code")
        self.by_width = by_width


def _lengths(bits: _Bits, lengths: list[int], begin: int, end: int) -> None:
    """Code lengths as differences to those of the block before; ValueError on damage."""
    pre = _Code([bits.take(4) for _ in range(20)], 15)
    at = begin
    while at < end:
        symbol = bits.symbol(pre)
        if symbol < 0 or bits.over:
            raise ValueError("code lengths")
        if symbol < 17:
            lengths[at] = (lengths[at] + 17 - symbol) % 17
            at += 1
            continue
        if symbol == 19:
            run = 4 + bits.take(1)
            symbol = bits.symbol(pre)
            if not 0 <= symbol <= 16 or run > end - at:
                raise ValueError("code lengths")
            value = (lengths[at] + 17 - symbol) % 17
        else:
            run, value = 4 + bits.take(4) if symbol == 17 else 20 + bits.take(5), 0
            if run > end - at:
                raise ValueError("code lengths")
        lengths[at : at + run] = [value] * run
        at += run


def _calls(out: bytearray, begin: int, size: int, limit: int) -> int:
    """Absolute targets of x86 calls in the frame at ``begin`` become relative again. Returns where the good bytes end."""
    at, made = begin, min(begin + size, len(out))
    while at < begin + size - 10 and at < made:
        if out[at] != 0xE8:
            at += 1
            continue
        if at + 5 > made:
            return at + 1
        value = int.from_bytes(out[at + 1 : at + 5], "little", signed=True)
        if -at <= value < limit:
            value = value - at if value >= 0 else value + limit
            out[at + 1 : at + 5] = value.to_bytes(4, "little", signed=True)
        at += 5
    return made


class _Decoder:
    def __init__(self, data: bytes, size: int, window: int, wim: bool) -> None:
        self.bits, self.size, self.window, self.wim = _Bits(data), size, window, wim
        self.out = bytearray()
        self.recent = [1, 1, 1]
        self.main, self.long = [0] * (256 + 8 * _SLOTS[window]), [0] * 249
        self.kind = self.left = self.odd = 0
        self.bad = 0

    def head(self) -> None:
        """The next block's head; ValueError on damage."""
        bits = self.bits
        if self.odd and bits.at < len(bits.data):
            bits.at += 1
        self.bad = bits.place
        self.kind = bits.take(3)
        if not self.wim:
            self.left = bits.take(24)
        elif bits.take(1):
            self.left = _FRAME
        else:
            self.left = bits.take(16)
            if self.window >= 16:
                self.left = self.left << 8 | bits.take(8)
        if not self.left or not 1 <= self.kind <= _RAW or bits.over:
            raise ValueError("block header")
        self.odd = self.left & 1 if self.kind == _RAW else 0
        if self.kind == _RAW:
            bits.take(bits.bits & 15 or 16)
            if bits.over:
                raise ValueError("padding")
            bits.at -= (bits.bits - bits.missing) >> 3
            bits.bits = bits.missing = bits.word = 0
            if len(bits.data) - bits.at < 12:
                raise ValueError("recent offsets")
            self.recent = [int.from_bytes(bits.data[bits.at + k : bits.at + k + 4], "little") for k in (0, 4, 8)]
            bits.at += 12
            return
        if self.kind == 2:
            self.aligned = _Code([bits.take(3) for _ in range(8)], 7)
        _lengths(bits, self.main, 0, 256)
        _lengths(bits, self.main, 256, len(self.main))
        self.main_code = _Code(self.main, 16)
        _lengths(bits, self.long, 0, 249)
        self.long_code = _Code(self.long, 16)

    def distance(self, slot: int) -> int:
        """How far back a match of this position slot lies; ValueError on damage."""
        bits, recent = self.bits, self.recent
        if slot < 3:
            recent[0], recent[slot] = recent[slot], recent[0]
            return recent[0]
        extra = 0 if slot < 4 else (slot >> 1) - 1 if slot < 36 else 17
        base = (slot - 34) << 17 if slot >= 36 else slot if slot < 4 else (2 | slot & 1) << extra
        if self.kind == 2 and extra >= 3:
            low = bits.take(extra - 3)
            symbol = bits.symbol(self.aligned)
            if symbol < 0:
                raise ValueError("aligned offset")
            base += (low << 3) + symbol
        else:
            base += bits.take(extra)
        self.recent = [base - 2, *recent[:2]]
        return base - 2

    def step(self, stop: int) -> None:
        """One literal or match; ValueError on damage."""
        bits = self.bits
        self.bad = bits.place
        symbol = bits.symbol(self.main_code)
        if symbol < 0 or bits.over:
            raise ValueError("symbol")
        if symbol < 256:
            self.out.append(symbol)
            return
        length = (symbol & 7) + 2
        if length == 9:
            more = bits.symbol(self.long_code)
            if more < 0:
                raise ValueError("length")
            length += more
        back = self.distance((symbol - 256) >> 3)
        if bits.over or not 1 <= back <= len(self.out) or length > stop - len(self.out):
            raise ValueError("match")
        for _ in range(length):
            self.out.append(self.out[-back])

    def run(self) -> None:
        """All of it; ValueError on damage, with ``bad`` where."""
        bits, out = self.bits, self.out
        while len(out) < self.size:
            if not self.left:
                self.head()
            stop = min(len(out) + self.left, self.size)
            if not self.wim:
                stop = min(stop, (len(out) | _FRAME - 1) + 1)
            self.left -= stop - len(out)
            if self.kind == _RAW:
                piece = bits.data[bits.at : bits.at + stop - len(out)]
                if len(piece) < stop - len(out):
                    self.bad = bits.at
                    raise ValueError("raw bytes")
                out += piece
                bits.at += len(piece)
                continue
            while len(out) < stop:
                self.step(stop)
            if not self.wim and not len(out) % _FRAME:
                bits.bits -= bits.bits & 15


def lzx(data: bytes | bytearray | memoryview, size: int, window: int, wim: bool = False) -> tuple[bytes, int]:
    """LZX whose original has exactly ``size`` bytes; ``window`` is the logarithm of its window, 15 to 21.

    As in cabinet files and CHM (one stream for the frames of 32 KiB of a folder or reset interval, an optional
    header for the translation of x86 calls), or with ``wim`` as in the chunks of WIM files and of files
    that NTFS compresses with LZX (short block sizes, calls always translated as if the file had 12,000,000 bytes).
    Returns (output, status): status is -1 when ``size`` bytes came out, else the offset in ``data``
    near which decoding failed; the output up to it is good. ValueError for an impossible window or size.
    Source: Microsoft, "LZX Data Compression Format" (Cabinet SDK) and [MS-PATCH]; WIM: Microsoft, "Windows Imaging File
    Format", and tests against wimlib.
    """
    if size < 0 or window not in _SLOTS:
        raise ValueError(f"size {size}, window of 2^{window}")
    if size == 0:
        return b"", -1
    if not len(data):
        return b"", 0
    work = _Decoder(bytes(data), size, window, wim)
    calls = 12_000_000 if wim else 0
    if not wim and work.bits.take(1):
        calls = work.bits.take(16) << 16
        calls |= work.bits.take(16)
    status = -1
    try:
        work.run()
    except ValueError:
        status = work.bad
    out, frame = work.out, size if wim else _FRAME
    if 0 < calls < 1 << 31:
        for begin in range(0, min(len(out), 1 << 30), frame):
            good = _calls(out, begin, min(frame, size - begin), calls)
            if good < min(begin + frame, len(out)):
                del out[good:]
    return bytes(out), status
