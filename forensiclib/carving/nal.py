"""Units of coded video (NAL units): their bits, and what the head of a unit says of its place among the others.

A Coding knows the parameter sets of one track and judges unit after unit: whether its head can be that of the unit that
follows in decoding order. H.264 is here (AVC); H.265 is in nal_hevc.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated, Unsupported

__all__ = ["HEAD", "Avc", "Bits", "Coding", "Place", "Unit", "escaped", "unescaped"]

HEAD = 512
"""Bytes of a unit in which what is read of it lies."""
LONGEST = 31
_NOT_ESCAPED = re.compile(rb"\x00\x00(?:[\x00-\x02]|\x03[\x04-\xff])", re.DOTALL)


class Bits:
    """Bits of a unit without its escapes, first one first. Raises Truncated."""

    __slots__ = ("_size", "_value", "at")

    def __init__(self, raw: bytes) -> None:
        self._value, self._size, self.at = int.from_bytes(raw, "big"), 8 * len(raw), 0

    def u(self, n: int) -> int:
        """The number in the next ``n`` bits."""
        self.at += n
        if self.at > self._size:
            raise Truncated("coded unit", None, f"{self._size} bits")
        return self._value >> self._size - self.at & (1 << n) - 1

    def ue(self) -> int:
        """An Exp-Golomb code. Raises Corrupt for one that is longer than 63 bits."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > LONGEST:
                raise Corrupt("Exp-Golomb code", None, "more than 31 zeros")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb code."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)

    def ones_to_byte(self) -> bool:
        """Whether only ones lie before the next whole byte."""
        n = -self.at % 8
        return self.u(n) == (1 << n) - 1

    def last_one(self) -> bool:
        """Whether what is left is a one and then zeros: the end of a unit."""
        left = self._size - self.at
        return left > 0 and self._value & (1 << left) - 1 == 1 << left - 1


def unescaped(raw: bytes) -> bytes:
    """A unit's content: 00 00 03 stands for 00 00."""
    return raw.replace(b"\0\0\3", b"\0\0")


def escaped(raw: bytes) -> bool:
    """Whether a unit holds nothing that a writer escapes, and ends as one does."""
    return raw[-1:] != b"\0" and _NOT_ESCAPED.search(raw) is None


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit is.

    role     "first" slice of a picture, another "slice", what "leads" to a picture, what "trails" one
    key      the picture needs no other;  restart   the order of display counts anew from here on
    order    of display since the last restart
    address  of the first block of a slice (macroblock, coding tree block)
    twin     second field of a picture whose first is there
    sets     parameters as they are expected: 1 of the sequence, 2 of pictures
    """

    role: str
    key: bool = False
    restart: bool = False
    order: int = 0
    address: int = 0
    twin: bool = False
    sets: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the order of decoding a walk is.

    reference   number of the last picture that others refer to; -1: none yet
    high, low   order of display of that picture, as it is counted on from
    frame, field, idr, order   numbers of the picture that is under way; whole: no second field of it can follow
    count       pictures since the last restart
    """

    reference: int = -1
    high: int = 0
    low: int = 0
    frame: int = -1
    field: int = 0
    idr: int = -1
    order: int = 0
    whole: bool = True
    count: int = 0


class Coding(Protocol):
    """The parameter sets of a track. ``width``, ``height`` are in blocks, as addresses of slices count them;
    ``sets`` are the parameter sets as they stand."""

    sets: frozenset[bytes]
    width: int
    height: int

    def unit(self, raw: bytes, size: int, place: Place) -> tuple[Unit, Place] | None:
        """What the unit of ``size`` bytes that begins with ``raw`` is at ``place``, and where it leads; None: no unit."""


def _sei(raw: bytes) -> bool:
    """Whether messages fill a unit of supplemental information (without its header)."""
    at, end = 0, len(raw) - 1
    if end < 2 or raw[end] != 0x80:
        return False
    while at < end:
        numbers = []
        for _ in range(2):
            value = 0
            while at < end and raw[at] == 255:
                value, at = value + 255, at + 1
            if at >= end:
                return False
            numbers.append(value + raw[at])
            at += 1
        at += numbers[1]
    return at == end


def messages(raw: bytes, size: int, header: int) -> bool:
    """Whether a unit of supplemental information is whole; of one that is longer than ``raw`` only its beginning is seen."""
    if size > len(raw):
        return len(raw) > header + 1 and raw[header] < 210
    return _sei(unescaped(raw)[header:])


@dataclass(frozen=True, slots=True)
class _Sps:
    frames: int
    order: int
    low: int
    gaps: bool
    pairs: bool
    width: int
    units: int
    whole: bool
    separate: bool
    chroma: int
    depth: int
    zero: bool


@dataclass(frozen=True, slots=True)
class _Pps:
    sps: _Sps
    cabac: bool
    bottom: bool
    active: tuple[int, int]
    weighted: bool
    biweighted: int
    quality: int
    deblocking: bool
    redundant: bool


_CHROMA = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


def _scaling(bits: Bits, count: int) -> None:
    for i in range(count):
        if bits.u(1):
            last = following = 8
            for _ in range(16 if i < 6 else 64):
                if following:
                    following = last + bits.se() & 255
                last = following or last


def _sps(raw: bytes) -> tuple[int, _Sps]:
    bits = Bits(unescaped(raw)[1:])
    profile = bits.u(8)
    bits.u(16)
    number, chroma, separate, depth = bits.ue(), 1, False, 8
    if profile in _CHROMA:
        chroma = bits.ue()
        separate = chroma == 3 and bool(bits.u(1))
        depth = 8 + bits.ue()
        bits.ue(), bits.u(1)
        if bits.u(1):
            _scaling(bits, 12 if chroma == 3 else 8)
    frames, order, low, zero = bits.ue() + 4, bits.ue(), 0, False
    if order == 0:
        low = bits.ue() + 4
    elif order == 1:
        raise Unsupported("H.264 sequence", None, "pictures in order by type 1")
    bits.ue()
    gaps, width, units, whole = bool(bits.u(1)), bits.ue() + 1, bits.ue() + 1, bool(bits.u(1))
    pairs = not whole and bool(bits.u(1))
    if frames > 16 or low > 16 or order > 2 or width * units > 1 << 20 or chroma > 3:
        raise Corrupt("H.264 sequence", None, "a value that cannot be")
    return number, _Sps(frames, order, low, gaps, pairs, width, units, whole, separate, 0 if separate else chroma, depth, zero)


def _pps(raw: bytes, sequences: dict[int, _Sps]) -> tuple[int, _Pps]:
    bits = Bits(unescaped(raw)[1:])
    number, sps = bits.ue(), sequences.get(bits.ue())
    if sps is None:
        raise Corrupt("H.264 picture parameters", None, "of no sequence")
    cabac, bottom = bool(bits.u(1)), bool(bits.u(1))
    if bits.ue():
        raise Unsupported("H.264 picture parameters", None, "groups of slices")
    active = bits.ue() + 1, bits.ue() + 1
    weighted, biweighted, quality = bool(bits.u(1)), bits.u(2), 26 + bits.se()
    bits.se(), bits.se()
    deblocking = bool(bits.u(1))
    bits.u(1)
    return number, _Pps(sps, cabac, bottom, active, weighted, biweighted, quality, deblocking, bool(bits.u(1)))


@dataclass(frozen=True, slots=True)
class _Slice:
    """The head of a slice: its numbers; ``field`` 1 top, 2 bottom; ``reset``: it forgets all pictures before it."""

    address: int
    kind: int
    frame: int
    field: int
    idr: int
    low: int
    reset: bool


class Avc:
    """H.264 with the parameter sets of a decoder configuration record. Raises EvidenceError for sets that cannot be."""

    def __init__(self, sequences: list[bytes], pictures: list[bytes]) -> None:
        self.sets = frozenset((*sequences, *pictures))
        self.sequences = dict(_sps(raw) for raw in sequences)
        self.pictures = dict(_pps(raw, self.sequences) for raw in pictures)
        if not self.pictures:
            raise Unsupported("H.264", None, "no parameter sets")
        sps = next(iter(self.pictures.values())).sps
        self.width, self.height = sps.width, sps.units * (1 if sps.whole else 2)

    def unit(self, raw: bytes, size: int, place: Place) -> tuple[Unit, Place] | None:
        """ISO/IEC 14496-10, 7.4.1.2.4: what follows what."""
        kind, weight = raw[0] & 31, raw[0] >> 5
        if kind in (1, 5):
            if kind == 5 and not weight:
                return None
            try:
                head = self._slice(raw, kind == 5, weight)
            except (EvidenceError, KeyError):
                return None
            return self._placed(head, kind == 5, weight, place) if head is not None else None
        if kind == 9:
            return (Unit("leads"), place) if size == 2 and raw[0] == 9 and raw[1] & 31 == 16 else None
        if kind == 6:
            return (Unit("leads"), place) if not weight and messages(raw, size, 1) else None
        if kind in (7, 8):
            return (Unit("leads", sets=kind - 6), place) if size <= len(raw) and raw in self.sets else None
        if kind in (10, 11):
            return (Unit("trails"), place) if size == 1 and not weight else None
        if kind == 12:
            return (
                (Unit("trails"), place)
                if not weight and raw[1:] == b"\xff" * (len(raw) - 2) + raw[-1:] and raw[-1] in (0x80, 255)
                else None
            )
        return None

    def _slice(self, raw: bytes, idr: bool, weight: int) -> _Slice | None:
        """7.3.3. Raises EvidenceError, KeyError."""
        bits = Bits(unescaped(raw)[1:])
        address, kind = bits.ue(), bits.ue()
        if kind > 9:
            return None
        kind %= 5
        pps = self.pictures[bits.ue()]
        sps = pps.sps
        if (idr and kind not in (2, 4)) or kind in (3, 4):
            return None  # SP and SI are of a profile that nobody records in
        if sps.separate:
            bits.u(2)
        frame, field = bits.u(sps.frames), 0
        if not sps.whole and bits.u(1):
            field = 1 + bits.u(1)
        address <<= sps.pairs and not field
        if address >= self.width * self.height >> bool(field):
            return None
        if idr and frame:
            return None
        number = bits.ue() if idr else -1
        low = 0
        if sps.order == 0:
            low = bits.u(sps.low)
            if pps.bottom and not field:
                bits.se()
        if pps.redundant and bits.ue():
            return None
        if kind == 1:
            bits.u(1)
        active = list(pps.active)
        if kind != 2 and bits.u(1):
            active[0] = bits.ue() + 1
            if kind == 1:
                active[1] = bits.ue() + 1
        if max(active) > 32:
            return None
        for _ in range((0 if kind == 2 else 1) + (kind == 1)):
            if bits.u(1) and not _modified(bits):
                return None
        if (pps.weighted and kind == 0) or (pps.biweighted == 1 and kind == 1):
            _weights(bits, sps.chroma, active[: 1 + (kind == 1)])
        reset = False
        if weight:
            if idr:
                bits.u(2)
            elif bits.u(1):
                reset = _marking(bits)
        if pps.cabac and kind != 2 and bits.ue() > 2:
            return None
        quality = pps.quality + bits.se()
        if not -6 * (sps.depth - 8) <= quality <= 51:
            return None
        if pps.deblocking:
            off = bits.ue()
            if off > 2 or (off != 1 and max(abs(bits.se()), abs(bits.se())) > 6):
                return None
        if pps.cabac and not bits.ones_to_byte():
            return None
        return _Slice(address, kind, frame, field, number, low, reset)

    def _placed(self, head: _Slice, idr: bool, weight: int, place: Place) -> tuple[Unit, Place] | None:
        sps = next(iter(self.sequences.values()))
        if head.address:
            same = (head.frame, head.field, head.idr, head.low) == (place.frame, place.field, place.idr, place.order)
            return (Unit("slice", address=head.address), place) if same else None
        if place.reference < 0 and not idr:
            return None
        twin = bool(head.field and place.field and head.field != place.field and head.frame == place.frame and not place.whole)
        if not idr and not twin and not sps.gaps and head.frame != (place.reference + 1) % (1 << sps.frames):
            return None
        restart, high, low = idr or head.reset, place.high, place.low
        count = 0 if restart else place.count + (not twin)
        if idr:
            high = low = 0
        half = 1 << sps.low >> 1
        if head.low < low and low - head.low >= half:
            high += 2 * half
        elif head.low > low and head.low - low > half:
            high -= 2 * half
        order = 0 if head.reset else high + head.low if sps.order == 0 else count
        if weight:
            high, low = (0, 0) if head.reset else (high, head.low)
        else:
            high, low = place.high, place.low
        reference = place.reference if not weight else 0 if head.reset else head.frame
        after = Place(reference, high, low, head.frame, head.field, head.idr, head.low, twin or not head.field, count)
        return Unit("first", idr, restart, order, 0, twin), after


def _modified(bits: Bits) -> bool:
    """Read the changes of a list of references."""
    for _ in range(66):
        what = bits.ue()
        if what == 3:
            return True
        if what > 5:
            return False
        bits.ue()
    return False


def _weights(bits: Bits, chroma: int, active: list[int]) -> None:
    bits.ue()
    if chroma:
        bits.ue()
    for count in active:
        for _ in range(count):
            if bits.u(1):
                bits.se(), bits.se()
            if chroma and bits.u(1):
                for _ in range(4):
                    bits.se()


def _marking(bits: Bits) -> bool:
    """Whether the references are all forgotten. Raises Corrupt."""
    reset = False
    for _ in range(66):
        what = bits.ue()
        if what == 0:
            return reset
        if what > 6:
            break
        reset |= what == 5
        if what in (1, 2, 3, 4, 6):
            bits.ue()
        if what == 3:
            bits.ue()
    raise Corrupt("marking of references", None, "no end")
