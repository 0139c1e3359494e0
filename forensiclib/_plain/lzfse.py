"""Twin of _native/lzfse.pxi."""

from __future__ import annotations

from itertools import accumulate

from forensiclib._plain.lzvn import lzvn

__all__ = ["lzfse"]

_L = (*(0,) * 16, 2, 3, 5, 8)
_M = (*(0,) * 16, 3, 5, 8, 11)
_D = tuple(symbol >> 2 for symbol in range(64))
_MAGIC = b"bvx"
_LITERALS, _MATCHES = 40_000, 10_000
_State = tuple[int, int, int, int]
"""(bits of the step to the next state, bits of the value, base of the next state, base of the value)"""


class _Bits:
    """A stream read from its last bit backwards. ValueError when it begins wrongly or ends too early."""

    def __init__(self, data: bytes, bits: int) -> None:
        self.word, self.left = int.from_bytes(data, "little"), 8 * len(data) + bits
        if self.left < 0 or self.word >> self.left:
            raise ValueError("bits above the first one")

    def take(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise ValueError("the bits end")
        value = self.word >> self.left
        self.word &= (1 << self.left) - 1
        return value

    def value(self, state: _State) -> tuple[int, int]:
        """(the next state, the value of this one)"""
        step, extra, following, base = state
        return following + self.take(step), base + self.take(extra)


def _table(size: int, counts: tuple[int, ...], extras: tuple[int, ...] | None) -> list[_State]:
    """States in the order of their symbols. ValueError for more than there is room for."""
    out: list[_State] = []
    bases = [0, *accumulate(1 << e for e in extras)] if extras else list(range(len(counts)))
    for symbol, count in enumerate(counts):
        if len(out) + count > size:
            raise ValueError("more states than there are")
        for x in range(count, 2 * count):
            bits = max(0, size.bit_length() - x.bit_length())
            out.append((bits, extras[symbol] if extras else 0, (x << bits) - size, bases[symbol]))
    return out


def _counts(raw: bytes) -> tuple[int, ...]:
    """How many states each of the 360 symbols has, in codes of 2, 3, 5, 8 and 14 bits."""
    if not raw:
        return (0,) * 360
    word, at, out = int.from_bytes(raw, "little"), 0, []
    for _ in range(360):
        code = word >> at
        if not code & 1:
            width, value = 2, code >> 1 & 1
        elif not code & 2:
            width, value = 3, 2 + (code >> 2 & 1)
        elif not code & 4:
            width, value = 5, 4 + (code >> 3 & 3)
        elif not code & 8:
            width, value = 8, 8 + (code >> 4 & 15)
        else:
            width, value = 14, 24 + (code >> 4 & 1023)
        at += width
        out.append(value)
    if -(-at // 8) != len(raw):
        raise ValueError("the counts do not fill the header")
    return tuple(out)


def _field(word: int, at: int, bits: int) -> int:
    return word >> at & (1 << bits) - 1


def _numbers(raw: bytes, at: int, count: int, width: int) -> tuple[int, ...]:
    return tuple(int.from_bytes(raw[at + i * width : at + (i + 1) * width], "little") for i in range(count))


def _block(raw: bytes, out: bytearray, room: int) -> int:
    """One compressed block, appended to ``out``: its length. ValueError when it cannot be followed."""
    if raw[3:4] == b"2":
        if len(raw) < 32:
            raise ValueError("a header that breaks off")
        one, two, three = _numbers(raw, 8, 3, 8)
        literals, literal_bytes, matches, literal_bits = (
            _field(one, 0, 20),
            _field(one, 20, 20),
            _field(one, 40, 20),
            _field(one, 60, 3) - 7,
        )
        u = [_field(two, 10 * i, 10) for i in range(4)]
        match_bytes, match_bits, size = _field(two, 40, 20), _field(two, 60, 3) - 7, _field(three, 0, 32)
        l, m, d = (_field(three, at, 10) for at in (32, 42, 52))
        if not 32 <= size <= len(raw):
            raise ValueError("a header that breaks off")
        counts = _counts(raw[32:size])
    else:
        size = 772
        if len(raw) < size:
            raise ValueError("a header that breaks off")
        literals, matches, literal_bytes, match_bytes = _numbers(raw, 12, 4, 4)
        literal_bits, match_bits = (int.from_bytes(raw[at : at + 4], "little", signed=True) for at in (28, 40))
        u = list(_numbers(raw, 32, 4, 2))
        l, m, d = _numbers(raw, 44, 3, 2)
        counts = _numbers(raw, 50, 360, 2)
    if (
        literals > _LITERALS
        or literals & 3
        or matches > _MATCHES
        or not -7 <= min(literal_bits, match_bits) <= max(literal_bits, match_bits) <= 0
    ):
        raise ValueError("counts that no block has")
    if l > 63 or m > 63 or d > 255 or max(u) > 1023 or literal_bytes + match_bytes > len(raw) - size:
        raise ValueError("states or lengths that no block has")
    of_l, of_m = _table(64, counts[:20], _L), _table(64, counts[20:40], _M)
    of_d, of_u = _table(256, counts[40:104], _D), _table(1024, counts[104:], None)
    bits = _Bits(raw[size : size + literal_bytes], literal_bits)
    letters = bytearray()
    try:
        for i in range(literals):
            u[i & 3], letter = bits.value(of_u[u[i & 3]])
            letters.append(letter)
        size += literal_bytes
        bits = _Bits(raw[size : size + match_bytes], match_bits)
        start, at, back = len(out), 0, 0
        for _ in range(matches):
            l, count = bits.value(of_l[l])
            m, length = bits.value(of_m[m])
            d, far = bits.value(of_d[d])
            back = far or back
            if count > len(letters) - at or count + length > room - len(out):
                raise ValueError("more than there is, or than there is room for")
            out += letters[at : at + count]
            at += count
            if length and not 0 < back <= len(out):
                raise ValueError("a match before the beginning")
            for _ in range(length):
                out.append(out[-back])
    except IndexError as error:
        raise ValueError("a state that no symbol has") from error
    if len(out) - start != int.from_bytes(raw[4:8], "little"):
        raise ValueError("not the size that the block states")
    return size + match_bytes


def lzfse(data: bytes | bytearray | memoryview, size: int) -> tuple[bytes, int]:
    """LZFSE (chunks of UDIF images, compressed files of HFS+ and APFS) whose original has exactly ``size`` bytes.

    Blocks: bvx- stored, bvxn LZVN (whose matches stay inside of the block, as its writer makes them), bvx1 and bvx2 literals, lengths
    and distances by finite state entropy, with plain and with packed counts; bvx$ ends the stream.
    Returns (output, status): status is -1 when ``size`` bytes came out, else the offset in ``data`` of the block that
    could not be followed; the output up to it is good. A block of another length than it states cannot be followed.
    Source: "LZFSE compressed data format" in the documentation of libfmos; J. Duda, "Asymmetric numeral systems" (2013).
    """
    if size < 0:
        raise ValueError("negative size")
    src, out, at = bytes(data), bytearray(), 0
    while len(out) < size:
        head, left = src[at : at + 4], len(src) - at
        if left < 8 or head[:3] != _MAGIC:
            break
        raw = int.from_bytes(src[at + 4 : at + 8], "little")
        if head[3:] == b"-":
            if raw > left - 8 or raw > size - len(out):
                break
            out += src[at + 8 : at + 8 + raw]
            at += 8 + raw
        elif head[3:] == b"n":
            body = int.from_bytes(src[at + 8 : at + 12], "little")
            if left < 12 or body > left - 12 or raw > size - len(out):
                break
            piece, _bad = lzvn(src[at + 12 : at + 12 + body], raw)
            if len(piece) < raw:
                break
            out += piece
            at += 12 + body
        elif head[3:] in (b"1", b"2"):
            made = len(out)
            try:
                at += _block(src[at:], out, size)
            except ValueError:
                del out[made:]
                break
        else:
            break
    return bytes(out), -1 if len(out) == size else at
