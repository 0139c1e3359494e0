"""Units of H.265 (HEVC): ITU-T H.265 (ISO/IEC 23008-2), 7.3.1 to 7.3.6 and 8.3.1."""

from __future__ import annotations

from dataclasses import dataclass

from forensiclib.carving.nal import Bits, Place, Unit, messages, unescaped
from forensiclib.core.errors import Corrupt, EvidenceError, Unsupported

__all__ = ["Hevc"]

_LEADING = range(6, 10)
_KEYS = range(16, 22)
_IDR = (19, 20)
APART = 64
"""Pictures that one is displayed before or after its neighbours in decoding order, at most."""


@dataclass(frozen=True, slots=True)
class _Sps:
    low: int
    width: int
    height: int
    separate: bool

    @property
    def bits(self) -> int:
        """Of the address of a slice."""
        return (self.width * self.height - 1).bit_length()


@dataclass(frozen=True, slots=True)
class _Pps:
    sps: _Sps
    dependent: bool
    shown: bool
    extra: int


def _sps(raw: bytes) -> tuple[int, _Sps]:
    bits = Bits(unescaped(raw)[2:])
    bits.u(4)
    layers = bits.u(3)
    bits.u(1)
    bits.u(96)
    present = [(bits.u(1), bits.u(1)) for _ in range(layers)]
    if layers:
        bits.u(2 * (8 - layers))
    for profile, level in present:
        bits.u(88 * profile + 8 * level)
    number, chroma = bits.ue(), bits.ue()
    separate = chroma == 3 and bool(bits.u(1))
    width, height = bits.ue(), bits.ue()
    if bits.u(1):
        for _ in range(4):
            bits.ue()
    bits.ue(), bits.ue()
    low = bits.ue() + 4
    for _ in range(layers + 1 if bits.u(1) else 1):
        bits.ue(), bits.ue(), bits.ue()
    log = bits.ue() + 3
    log += bits.ue()
    if low > 16 or not 3 < log < 7 or not 0 < width <= 16384 or not 0 < height <= 16384 or chroma > 3:
        raise Corrupt("H.265 sequence", None, "a value that cannot be")
    side = 1 << log
    return number, _Sps(low, -(-width // side), -(-height // side), separate)


def _pps(raw: bytes, sequences: dict[int, _Sps]) -> tuple[int, _Pps]:
    bits = Bits(unescaped(raw)[2:])
    number, sps = bits.ue(), sequences.get(bits.ue())
    if sps is None:
        raise Corrupt("H.265 picture parameters", None, "of no sequence")
    return number, _Pps(sps, bool(bits.u(1)), bool(bits.u(1)), bits.u(3))


class Hevc:
    """H.265 with the parameter sets of a decoder configuration record. Raises EvidenceError for sets that cannot be."""

    def __init__(self, sets: list[bytes]) -> None:
        self.sets = frozenset(sets)
        self.sequences = dict(_sps(raw) for raw in sets if raw[0] >> 1 == 33)
        self.pictures = dict(_pps(raw, self.sequences) for raw in sets if raw[0] >> 1 == 34)
        if not self.pictures:
            raise Unsupported("H.265", None, "no parameter sets")
        sps = next(iter(self.pictures.values())).sps
        self.width, self.height = sps.width, sps.height

    def unit(self, raw: bytes, size: int, place: Place) -> tuple[Unit, Place] | None:
        """7.4.2.4: what follows what. Only the base layer."""
        if len(raw) < 3 or raw[0] & 0x81 or raw[1] >> 3 or not raw[1] & 7:
            return None
        kind = raw[0] >> 1
        if kind < 10 or kind in _KEYS:
            try:
                return self._slice(raw, kind, place)
            except (EvidenceError, KeyError):
                return None
        if kind == 35:
            return (Unit("leads"), place) if size == 3 and raw[2] & 31 == 16 else None
        if kind in (39, 40):
            return (Unit("leads" if kind == 39 else "trails"), place) if messages(raw, size, 2) else None
        if kind in (32, 33, 34):
            return (Unit("leads", sets=kind - 32), place) if size <= len(raw) and raw in self.sets else None
        return None

    def _slice(self, raw: bytes, kind: int, place: Place) -> tuple[Unit, Place] | None:
        """7.3.6.1, to the order of display. Raises EvidenceError, KeyError."""
        bits = Bits(unescaped(raw)[2:])
        first, key = bits.u(1), kind in _KEYS
        if key:
            bits.u(1)
        pps = self.pictures[bits.ue()]
        sps, address = pps.sps, 0
        if not first:
            dependent = pps.dependent and bits.u(1)
            address = bits.u(sps.bits)
            if not 0 < address < sps.width * sps.height or kind != place.frame:
                return None
            if dependent:
                return Unit("slice", address=address), place
        bits.u(pps.extra)
        coded = bits.ue()
        if coded > 2 or (key and coded != 2):
            return None
        if pps.shown:
            bits.u(1)
        if sps.separate and bits.u(2) > 2:
            return None
        low = bits.u(sps.low) if kind not in _IDR else 0
        if address:
            return (Unit("slice", address=address), place) if low == place.order else None
        if place.reference < 0 and not key:
            return None
        idr, high, half = kind in _IDR, place.high, 1 << sps.low >> 1
        if idr or (key and place.reference < 0) or kind in (16, 17, 18):
            high = 0
        elif low < place.low and place.low - low >= half:
            high += 2 * half
        elif low > place.low and low - place.low > half:
            high -= 2 * half
        order = high + low
        restart = idr or kind in (16, 17, 18) or place.reference < 0
        previous = place.high + place.low
        if not restart and (abs(order - previous) > APART or order == previous):
            return None
        layer = (raw[1] & 7) - 1
        base = not layer and kind not in _LEADING and (kind >= 16 or kind & 1)  # 8.3.1: counted on from
        if base or restart:
            place = Place(0, high, low)
        after = Place(0, place.high, place.low, kind, 0, -1, low, True)
        return Unit("first", key, restart, order), after
