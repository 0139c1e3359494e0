"""An LZX encoder for tests, plain and whole: all block kinds, recent offsets, frames, translated calls. cabextract reads what it writes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

FRAME = 32_768
SLOTS = {15: 30, 16: 32, 17: 34, 18: 36, 19: 38, 20: 42, 21: 50}
VERBATIM, ALIGNED, RAW = 1, 2, 3


class Writer:
    """16-bit little-endian words, the top bit first."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.word = self.bits = 0

    def put(self, value: int, count: int) -> None:
        self.word, self.bits = self.word << count | value, self.bits + count
        while self.bits >= 16:
            self.bits -= 16
            self.out += (self.word >> self.bits & 0xFFFF).to_bytes(2, "little")
        self.word &= (1 << self.bits) - 1

    def align(self) -> None:
        if self.bits:
            self.put(0, 16 - self.bits)


def code(lengths: list[int]) -> list[tuple[int, int]]:
    """Canonical codes by their lengths: (code, length) a symbol."""
    out, value = [(0, 0)] * len(lengths), 0
    for bits in range(1, 17):
        value <<= 1
        for symbol, length in enumerate(lengths):
            if length == bits:
                out[symbol] = (value, bits)
                value += 1
    return out


def whole(count: int) -> list[int]:
    """Lengths of a full code of ``count`` symbols: two neighbouring lengths."""
    bits = (count - 1).bit_length()
    short = (1 << bits) - count
    return [bits - 1] * short + [bits] * (count - short)


def distance(back: int) -> tuple[int, int, int]:
    """(position slot, value of its extra bits, how many)."""
    formatted = back + 2
    for slot in range(3, 50):
        extra = 0 if slot < 4 else (slot >> 1) - 1 if slot < 36 else 17
        base = (slot - 34) << 17 if slot >= 36 else slot if slot < 4 else (2 | slot & 1) << extra
        if base <= formatted < base + (1 << extra):
            return slot, formatted - base, extra
    raise ValueError(back)


def translated(data: bytes, limit: int) -> bytes:
    """Relative targets of calls become absolute, frame by frame."""
    out = bytearray(data)
    for begin in range(0, len(out), FRAME):
        at, size = begin, min(FRAME, len(out) - begin)
        while at < begin + size - 10:
            if out[at] != 0xE8:
                at += 1
                continue
            value = int.from_bytes(out[at + 1 : at + 5], "little", signed=True)
            if -at <= value < limit - at:
                out[at + 1 : at + 5] = (value + at).to_bytes(4, "little", signed=True)
            elif limit - at <= value < limit:
                out[at + 1 : at + 5] = (value - limit).to_bytes(4, "little", signed=True)
            at += 5
    return bytes(out)


class Encoder:
    """One LZX stream; ``frames()`` gives the compressed bytes of each frame of 32 KiB."""

    def __init__(self, data: bytes, window: int, kinds: list[tuple[int, int]], calls: int = 0) -> None:
        self.data = translated(data, calls) if calls else data
        self.window, self.kinds, self.calls = window, kinds, calls
        self.bits, self.recent = Writer(), [1, 1, 1]
        self.main, self.long = [0] * (256 + 8 * SLOTS[window]), [0] * 249
        self.seen: dict[bytes, int] = {}

    def lengths(self, old: list[int], new: list[int], begin: int, end: int) -> None:
        pre = whole(20)
        codes = code(pre)
        for length in pre:
            self.bits.put(length, 4)
        at = begin
        while at < end:
            run = 1
            while at + run < end and new[at + run] == new[at] and old[at + run] == old[at]:
                run += 1
            delta = (old[at] - new[at]) % 17
            if new[at] == 0 and run >= 20:
                run = min(run, 51)
                self.bits.put(*codes[18])
                self.bits.put(run - 20, 5)
            elif new[at] == 0 and run >= 4:
                run = min(run, 19)
                self.bits.put(*codes[17])
                self.bits.put(run - 4, 4)
            elif run >= 4:
                run = min(run, 5)
                self.bits.put(*codes[19])
                self.bits.put(run - 4, 1)
                self.bits.put(*codes[delta])
            else:
                run = 1
                self.bits.put(*codes[delta])
            at += run
        old[begin:end] = new[begin:end]

    def head(self, kind: int, size: int) -> None:
        self.bits.put(kind, 3)
        self.bits.put(size, 24)
        if kind == RAW:
            self.bits.put(0, 16 - self.bits.bits)
            self.bits.out += struct.pack("<3I", *self.recent)
            return
        if kind == ALIGNED:
            self.aligned = code([2, 2, 3, 3, 4, 4, 4, 4])
            for length in (2, 2, 3, 3, 4, 4, 4, 4):
                self.bits.put(length, 3)
        new = whole(len(self.main))
        self.lengths(self.main, new, 0, 256)
        self.lengths(self.main, new, 256, len(new))
        self.lengths(self.long, whole(249), 0, 249)
        self.main_code, self.long_code = code(self.main), code(self.long)

    def step(self, kind: int, at: int, stop: int) -> int:
        """A literal or a match at ``at``; what it covers."""
        data, key = self.data, self.data[at : at + 3]
        before = self.seen.get(key)
        self.seen[key] = at
        size = 0
        if before is not None and len(key) == 3 and at - before <= (1 << self.window) - 3:
            while at + size < stop and size < 257 and data[before + size] == data[at + size]:
                size += 1
        if size < 3:
            self.bits.put(*self.main_code[data[at]])
            return 1
        back = at - (before or 0)
        if back in self.recent:
            slot, value, extra = self.recent.index(back), 0, 0
            self.recent[0], self.recent[slot] = self.recent[slot], self.recent[0]
        else:
            slot, value, extra = distance(back)
            self.recent = [back, *self.recent[:2]]
        self.bits.put(*self.main_code[256 + (slot << 3) + min(size - 2, 7)])
        if size >= 9:
            self.bits.put(*self.long_code[size - 9])
        if kind == ALIGNED and extra >= 3:
            self.bits.put(value >> 3, extra - 3)
            self.bits.put(*self.aligned[value & 7])
        else:
            self.bits.put(value, extra)
        return size

    def frames(self) -> Iterator[bytes]:
        self.bits.put(1 if self.calls else 0, 1)
        if self.calls:
            self.bits.put(self.calls >> 16, 16)
            self.bits.put(self.calls & 0xFFFF, 16)
        at = 0
        for kind, size in self.kinds:
            end = min(at + size, len(self.data))
            if at == end:
                break
            self.head(kind, end - at)
            odd = (end - at) & 1 and kind == RAW
            while at < end:
                stop = min(end, (at | FRAME - 1) + 1)
                if kind == RAW:
                    self.bits.out += self.data[at:stop]
                    at = stop
                while at < stop:
                    at += self.step(kind, at, stop)
                if at == end and odd:
                    self.bits.out += b"\0"
                if at % FRAME == 0 or at == len(self.data):
                    self.bits.align()
                    yield bytes(self.bits.out)
                    self.bits.out.clear()


def cabinet(frames: list[bytes], size: int, window: int) -> bytes:
    """A cabinet of one file "f" in one folder ([MS-CAB] 2): header, folder, file, data blocks without checksums."""
    body, left = b"", size
    for frame in frames:
        take = min(left, FRAME)
        body += struct.pack("<IHH", 0, len(frame), take) + frame
        left -= take
    first = 36 + 8 + 18
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, first + len(body), 0, 44, 0, 3, 1, 1, 1, 0, 7, 0)
    folder = struct.pack("<IHH", first, len(frames), 3 | window << 8)
    return head + folder + struct.pack("<IIHHHH", size, 0, 0, 0x5821, 0, 0x20) + b"f\0" + body
