"""FLAC: metadata blocks, then frames by their numbered headers (each with a CRC) to the last, which is decoded."""

from __future__ import annotations

from forensiclib.carving._ends import broken
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_CHUNK = 1 << 18
_SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
_BITS = (0, 8, 12, -1, 16, 20, 24, 32)


def _table(polynomial: int, width: int) -> tuple[int, ...]:
    out = []
    for byte in range(256):
        crc = byte << width - 8
        for _ in range(8):
            crc = crc << 1 ^ (polynomial if crc >> width - 1 else 0)
            crc &= (1 << width) - 1
        out.append(crc)
    return tuple(out)


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)


def _crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
    return crc


def _header(head: bytes, blocking: int) -> tuple[int, int, int, int, int] | None:
    """(number, samples, channel assignment, bits or 0, bytes of the header) of a frame header whose CRC holds."""
    if len(head) < 6 or head[0] != 0xFF or head[1] != 0xF8 | blocking:
        return None
    size, rate, channels, bits = head[2] >> 4, head[2] & 15, head[3] >> 4, _BITS[head[3] >> 1 & 7]
    if size == 0 or rate == 15 or channels > 10 or bits < 0 or head[3] & 1:
        return None
    first, at, number = head[4], 5, head[4]
    if first & 0x80:
        more = 8 - (~first & 0xFF).bit_length()
        if not 2 <= more <= 7:
            return None
        number = first & (0x7F >> more)
        for byte in head[5 : 4 + more]:
            if byte & 0xC0 != 0x80:
                return None
            number = number << 6 | byte & 0x3F
        at = 4 + more
    samples = _SIZES[size]
    if size in (6, 7):
        wide = size - 5
        samples = int.from_bytes(head[at : at + wide], "big") + 1
        at += wide
    at += (0, 1, 2, 2)[rate - 11] if rate > 11 else 0
    if len(head) <= at:
        return None
    crc = 0
    for byte in head[:at]:
        crc = _CRC8[crc ^ byte]
    return (number, samples, channels, bits, at + 1) if crc == head[at] else None


class _Bits:
    """Bits of a frame as text: unary codes are one search."""

    def __init__(self, data: bytes) -> None:
        self.text = f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}"
        self.at = 0

    def take(self, count: int) -> int:
        piece = self.text[self.at : self.at + count]
        self.at += count
        if len(piece) < count:
            raise IndexError
        return int(piece, 2) if piece else 0

    def unary(self) -> int:
        place = self.text.find("1", self.at)
        if place < 0:
            raise IndexError
        count, self.at = place - self.at, place + 1
        return count


def _residual(bits: _Bits, samples: int, order: int) -> None:
    method = bits.take(2)
    if method > 1:
        raise IndexError
    wide = 4 + method
    partitions = 1 << bits.take(4)
    if samples % partitions or samples // partitions < order:
        raise IndexError
    for partition in range(partitions):
        count = samples // partitions - (order if partition == 0 else 0)
        parameter = bits.take(wide)
        if parameter == (1 << wide) - 1:
            bits.at += bits.take(5) * count
            continue
        find, at = bits.text.find, bits.at
        for _ in range(count):
            place = find("1", at)
            if place < 0:
                raise IndexError
            at = place + 1 + parameter
        bits.at = at


def _frame_length(data: bytes, header: tuple[int, int, int, int, int], depth: int) -> int:
    """Bytes of the frame that begins ``data``, its CRC included; 0 when it is not sound."""
    _, samples, assignment, stated, start = header
    bits = _Bits(data[start:])
    depth = stated or depth
    try:
        for channel in range(assignment + 1 if assignment < 8 else 2):
            wide = depth + (1 if (assignment, channel) in ((8, 1), (9, 0), (10, 1)) else 0)
            kind = bits.take(7)
            if bits.take(1):
                wide -= 1 + bits.unary()
            if kind == 0:
                bits.at += wide
            elif kind == 1:
                bits.at += wide * samples
            elif 8 <= kind <= 12:
                bits.at += wide * (kind - 8)
                _residual(bits, samples, kind - 8)
            elif kind >= 32:
                bits.at += wide * (kind - 31)
                precision = bits.take(4) + 1
                bits.at += 5 + precision * (kind - 31)
                _residual(bits, samples, kind - 31)
            else:
                return 0
    except IndexError:
        return 0
    end = start + (bits.at + 7) // 8 + 2
    return end if end <= len(data) and _crc16(data[:end]) == 0 else 0


def _frames(data: ByteSource, at: int, first: int, budget: Budget) -> tuple[int, tuple[int, int, int, int, int] | None, int, int]:
    """(place, header of the last frame, frames, samples before it), following numbers from the frame at ``at``."""
    head = data.read_at(at, 16)
    blocking = head[1] & 1 if len(head) > 1 else 0
    current = _header(head, blocking)
    place, frames, samples = at, 0, 0
    sync = bytes((0xFF, 0xF8 | blocking))
    searched = at + 2
    while current is not None:
        found = None
        while found is None:
            budget.item()
            piece = data.read_at(searched, _CHUNK)
            near = piece.find(sync)
            while near >= 0:
                candidate = _header(piece[near : near + 16] if near + 16 <= len(piece) else data.read_at(searched + near, 16), blocking)
                expected = current[0] + (current[1] if blocking else 1)
                if candidate is not None and candidate[0] == expected and candidate[3] == current[3]:
                    found = candidate
                    break
                near = piece.find(sync, near + 1)
            if found is None:
                searched += max(1, len(piece) - 1)
                if len(piece) < _CHUNK or searched - place > first:
                    return place, current, frames + 1, samples
        samples += current[1]
        frames += 1
        place, current = searched + near, found
        searched = place + 2
    return place, None, frames, samples


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Blocks, frames; as many samples as stated."""
    at, seen, info = 4, 0, b""
    while True:
        budget.item()
        head = data.read_at(at, 4)
        if len(head) < 4:
            return None
        kind, size = head[0] & 127, int.from_bytes(head[1:], "big")
        if (seen == 0 and (kind != 0 or size != 34)) or kind == 127:
            return None
        if seen == 0:
            info = data.read_at(at + 4, 34)
        seen += 1
        at += 4 + size
        if at > data.size:
            return None
        if head[0] & 128:
            break
    packed = int.from_bytes(info[10:18], "big")
    rate, depth, total = packed >> 44, (packed >> 36 & 31) + 1, packed & (1 << 36) - 1
    largest = int.from_bytes(info[7:10], "big")
    if not rate:
        return None
    # an uncompressed frame of 65,535 samples of 8 channels of 32 bits is 2 MiB
    place, header, frames, samples = _frames(data, at, (largest or 2 << 20) + _CHUNK, budget)
    reason = f"{seen} metadata blocks, {frames} frames in sequence"
    if header is None:
        return broken(min(at, data.size), f"{seen} metadata blocks, no frame")
    length = _frame_length(data.read_at(place, (largest or 2 << 20) + 64), header, depth)
    if length and (total == 0 or samples + header[1] == total):
        return Find(
            place + length,
            0.95 if total else 0.6,
            f"{reason}, the last decoded; {samples + header[1]} samples" + (" as stated" if total else ""),
        )
    return broken(place + length, f"{reason}; {samples} of {total} samples")


CARVERS = (
    Carver(
        name="flac",
        title="FLAC audio",
        extension="flac",
        mime="audio/flac",
        signatures=(Signature(b"fLaC\0\0\0\x22"), Signature(b"fLaC\x80\0\0\x22")),
        measure=measure,
        maximum=16 << 30,
        refs=("RFC 9639: Free Lossless Audio Codec, 8 and 9",),
        gaps=("of the frames only the last is decoded", "tags of other formats behind the last frame are left out"),
    ),
)
