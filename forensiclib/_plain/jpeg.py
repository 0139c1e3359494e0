"""Twin of _native/jpeg.pxi."""

from __future__ import annotations

from forensiclib.core.errors import UsageError

__all__ = ["jpeg_progressive", "jpeg_scan"]

TABLE = 272
DONE, MORE, BAD, MARKER = range(4)
State = tuple[int, int, int, int, int, int, int, int, int, int]
Progress = tuple[int, int, int, int, int, int, int, int, int, int, int]
Limits = tuple[int, int, int, int]


def _codes(tables: bytes) -> list[dict[tuple[int, int], int]]:
    """(length, code) -> symbol, for each of the eight tables."""
    out = []
    for number in range(8):
        raw = tables[number * TABLE : (number + 1) * TABLE]
        found, code, at = {}, 0, 0
        for length in range(1, 17):
            for _ in range(raw[length - 1]):
                if at < 256 and code < 1 << length:
                    found[length, code] = raw[16 + at]
                code, at = code + 1, at + 1
            code <<= 1
        out.append(found)
    return out


class _Stop(Exception):
    """Why an MCU could not be decoded."""


class _Bits:
    def __init__(self, data: bytes, at: int, held: int, count: int) -> None:
        self.data, self.at, self.held, self.count = data, at, held, count

    def bit(self) -> int:
        if not self.count:
            if self.at >= len(self.data) or (self.data[self.at] == 0xFF and self.at + 1 >= len(self.data)):
                raise _Stop(MORE)
            self.held, self.count = self.data[self.at], 8
            if self.held == 0xFF:
                if self.data[self.at + 1]:
                    self.count = 0
                    raise _Stop(MARKER)
                self.at += 1
            self.at += 1
        self.count -= 1
        return self.held >> self.count & 1

    def number(self, size: int) -> int:
        value = 0
        for _ in range(size):
            value = value << 1 | self.bit()
        return value

    def symbol(self, codes: dict[tuple[int, int], int]) -> int:
        code = 0
        for length in range(1, 17):
            code = code << 1 | self.bit()
            if (length, code) in codes:
                return codes[length, code]
        raise _Stop(BAD)


def _block(bits: _Bits, dc: dict[tuple[int, int], int], ac: dict[tuple[int, int], int]) -> int:
    """One block; returns the difference of its DC coefficient."""
    size = bits.symbol(dc)
    if size > 15:
        raise _Stop(BAD)
    value = bits.number(size)
    difference = value if not size or value >> (size - 1) else value - (1 << size) + 1
    k = 1
    while k < 64:
        symbol = bits.symbol(ac)
        run, size = symbol >> 4, symbol & 15
        if size == 0 and run != 15:
            if run:
                raise _Stop(BAD)
            break
        k += run + 1
        if k > 64:
            raise _Stop(BAD)
        bits.number(size)
    return difference


def jpeg_scan(
    data: bytes | bytearray | memoryview,
    tables: bytes,
    blocks: bytes,
    limits: Limits,
    interval: int,
    state: State,
    dc: memoryview | None = None,
) -> tuple[int, State]:
    """Decode the MCUs of one sequential Huffman scan (ITU-T T.81, F.2) without keeping coefficients.

    tables    8 tables (DC 0 to 3, AC 0 to 3) of 16 counts and 256 symbols; all zero where there is none
    blocks    three bytes for each block of an MCU: component (0 to 3), DC table, AC table (each 0 to 3)
    limits    the largest absolute DC value of each component
    interval  MCUs between restart markers; 0 for none
    state     (offset in data, bits held, how many of them, MCUs left, MCUs to the next restart, number of
              that restart, four DC values); begin with (at, 0, 0, mcus, interval, 0, 0, 0, 0, 0)
    dc        32-bit integers, as many as blocks are left: takes the DC value of each block of each MCU decoded

    Returns (status, state): 0 all MCUs decoded, the state stands behind them; 1 data ended: call again
    with more and the state returned, which stands before the MCU that did not fit; 2 no such code, or a
    coefficient out of range; 3 a marker where data belongs. Raises UsageError for wrong arguments.
    """
    at, held, count, left, until, restart, *values = state
    if len(tables) != 8 * TABLE or not blocks or len(blocks) % 3 or len(blocks) > 192 or max(blocks) > 3:
        raise UsageError("JPEG tables or blocks")
    if not 0 <= at <= len(data) or not 0 <= count < 8 or not 0 <= held < 256 or left < 0 or interval < 0 or not 0 <= restart < 8:
        raise UsageError("JPEG scan state")
    each = len(blocks) // 3
    if dc is not None and len(dc) // each < left:
        raise UsageError("JPEG DC values: no room for those of every MCU")
    codes = _codes(tables)
    bits = _Bits(bytes(data), at, held, count)
    told = 0
    while left:
        mark: State = (bits.at, bits.held, bits.count, left, until, restart, *values)  # type: ignore[assignment]
        try:
            if interval and until == 0:
                if bits.at + 1 >= len(bits.data):
                    return MORE, mark
                if bits.data[bits.at] != 0xFF or bits.data[bits.at + 1] != 0xD0 + restart:
                    return MARKER if bits.data[bits.at] == 0xFF else BAD, mark
                bits.at, bits.held, bits.count = bits.at + 2, 0, 0
                until, restart, values = interval, (restart + 1) & 7, [0, 0, 0, 0]
            for i in range(0, len(blocks), 3):
                component = blocks[i]
                values[component] += _block(bits, codes[blocks[i + 1]], codes[4 + blocks[i + 2]])
                if abs(values[component]) > limits[component]:
                    return BAD, mark
                if dc is not None:
                    dc[told + i // 3] = values[component]
        except _Stop as stop:
            return stop.args[0], mark
        told += each
        left -= 1
        until -= 1 if interval else 0
    return DONE, (bits.at, bits.held, bits.count, left, until, restart, *values)  # type: ignore[return-value]


def _first(bits: _Bits, ac: dict[tuple[int, int], int], low: int, high: int, mask: int, run: int) -> tuple[int, int]:
    """One block of a scan that sends AC coefficients for the first time: (mask, blocks that still end at once)."""
    if run:
        return mask, run - 1
    k = low
    while k <= high:
        symbol = bits.symbol(ac)
        zeros, size = symbol >> 4, symbol & 15
        if size == 0 and zeros < 15:
            return mask, (1 << zeros) - 1 + bits.number(zeros)
        k += zeros
        if k > high:
            raise _Stop(BAD)
        if size:
            bits.number(size)
            mask |= 1 << k
        k += 1
    return mask, 0


def _refine(bits: _Bits, ac: dict[tuple[int, int], int], low: int, high: int, mask: int, run: int) -> tuple[int, int]:
    """The same of a scan that sends one more bit of each AC coefficient."""
    k = low
    if not run:
        while k <= high:
            symbol = bits.symbol(ac)
            zeros, size = symbol >> 4, symbol & 15
            if size == 0 and zeros < 15:
                run = (1 << zeros) + bits.number(zeros)
                break
            if size > 1:
                raise _Stop(BAD)
            bits.number(size)
            while k <= high:
                if mask >> k & 1:
                    bits.number(1)
                else:
                    zeros -= 1
                    if zeros < 0:
                        break
                k += 1
            if k > high:
                raise _Stop(BAD)
            if size:
                mask |= 1 << k
            k += 1
        if not run:
            return mask, 0
    bits.number((mask >> k & ((1 << max(0, high + 1 - k)) - 1)).bit_count())
    return mask, run - 1


def jpeg_progressive(
    data: bytes | bytearray | memoryview,
    tables: bytes,
    blocks: bytes,
    band: tuple[int, int, int, int],
    limits: Limits,
    interval: int,
    masks: memoryview | None,
    state: Progress,
    dc: memoryview | None = None,
) -> tuple[int, Progress]:
    """Decode the MCUs of one progressive Huffman scan (ITU-T T.81, G.1, G.2) without keeping coefficients.

    band      first and last coefficient, how many low bits were missing before (0: none was sent) and are missing after
    masks     64-bit integers, as many as MCUs are left: of each block the bits of the coefficients that are not 0,
              taken and brought up to date; None for a scan of DC coefficients
    state     as for jpeg_scan, with the blocks that end at once behind the restart number; begin with
              (at, 0, 0, mcus, interval, 0, 0, 0, 0, 0, 0)
    Everything else as for jpeg_scan; a run of ended blocks that leads behind the scan or interval is status 2.
    """
    at, held, count, left, until, restart, run, *values = state
    low, high, was, now = band
    if len(tables) != 8 * TABLE or not blocks or len(blocks) % 3 or len(blocks) > 192 or max(blocks) > 3:
        raise UsageError("JPEG tables or blocks")
    if not 0 <= low <= high < 64 or not 0 <= was <= 13 or not 0 <= now <= 13 or (low == 0 and high) or (low and len(blocks) != 3):
        raise UsageError("JPEG band")
    if not 0 <= at <= len(data) or not 0 <= count < 8 or not 0 <= held < 256 or left < 0 or interval < 0 or not 0 <= restart < 8:
        raise UsageError("JPEG scan state")
    if not 0 <= run <= 1 << 16:
        raise UsageError("JPEG scan state")
    if low and (masks is None or len(masks) < left):
        raise UsageError("JPEG masks: no room for those of every block")
    each = len(blocks) // 3
    if dc is not None and len(dc) // each < left:
        raise UsageError("JPEG DC values: no room for those of every MCU")
    codes = _codes(tables)
    bits = _Bits(bytes(data), at, held, count)
    block = _refine if was else _first
    done = 0
    while left:
        mark: Progress = (bits.at, bits.held, bits.count, left, until, restart, run, *values)  # type: ignore[assignment]
        try:
            if interval and until == 0:
                if run:
                    return BAD, mark
                if bits.at + 1 >= len(bits.data):
                    return MORE, mark
                if bits.data[bits.at] != 0xFF or bits.data[bits.at + 1] != 0xD0 + restart:
                    return MARKER if bits.data[bits.at] == 0xFF else BAD, mark
                bits.at, bits.held, bits.count = bits.at + 2, 0, 0
                until, restart, values = interval, (restart + 1) & 7, [0, 0, 0, 0]
            if low and masks is not None:
                mask, after = block(bits, codes[4 + blocks[2]], low, high, masks[done], run)
                if after >= left or (interval and after >= until):
                    return BAD, mark
                masks[done], run = mask, after
            else:
                for i in range(0, len(blocks), 3):
                    if was:
                        bits.number(1)
                        continue
                    component, size = blocks[i], bits.symbol(codes[blocks[i + 1]])
                    if size > 15:
                        raise _Stop(BAD)
                    value = bits.number(size)
                    values[component] += value if not size or value >> (size - 1) else value - (1 << size) + 1
                    if abs(values[component]) > limits[component] >> now:
                        return BAD, mark
                    if dc is not None:
                        dc[done * each + i // 3] = values[component] * (1 << now)
        except _Stop as stop:
            return stop.args[0], mark
        done += 1
        left -= 1
        until -= 1 if interval else 0
    return DONE, (bits.at, bits.held, bits.count, left, until, restart, run, *values)  # type: ignore[return-value]
