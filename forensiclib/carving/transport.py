"""MPEG-2 transport streams, in packets of 188 bytes (broadcast) or 192 (cameras, Blu-ray)."""

from __future__ import annotations

from forensiclib.carving._ends import broken
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_TS, _M2TS = (
    Kind("ts", "video/mp2t", "MPEG transport stream"),
    Kind("m2ts", "video/mp2t", "MPEG transport stream of a camera (AVCHD, Blu-ray)"),
)
ENOUGH = 24
"""Packets that make a stream."""
_PACKETS = 1024


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Packets while the sync byte is in its place; the program tables must be among them."""
    size, shift = (188, 0) if data.read_at(188, 1) == b"\x47" and data.read_at(0, 1) == b"\x47" else (192, 4)
    kind = _M2TS if shift else _TS
    at, packets, associated, program = 0, 0, False, False
    last: dict[int, int] = {}
    jumps = 0
    while True:
        budget.item()
        piece = data.read_at(at, size * _PACKETS)
        whole = len(piece) // size
        for i in range(whole):
            place = i * size + shift
            high, low, control = piece[place + 1], piece[place + 2], piece[place + 3]
            pid = (high & 0x1F) << 8 | low
            if piece[place] != 0x47 or (not control & 0x30 and pid != 0x1FFF) or (packets < ENOUGH and high & 0x80):
                whole = i
                break
            if control & 0x10 and pid != 0x1FFF:
                before = last.get(pid)
                jumps += before is not None and (before + 1) & 15 != control & 15 and before != control & 15
                last[pid] = control & 15
            if pid == 0:
                associated = True
            elif high & 0x40 and control & 0x10 and not program:
                skip = 4 + (1 + piece[place + 4] if control & 0x20 else 0)
                program = piece[place + skip : place + skip + 2] == b"\0\2" if skip < 180 else False
            packets += 1
        at += whole * size
        if whole < len(piece) // size or len(piece) < size * _PACKETS:
            break
        if packets >= _PACKETS and not associated:
            return None
    if packets < ENOUGH or not associated or jumps > packets // 8 + 4:
        return None
    rest = data.read_at(at, size)
    reason = f"{packets} packets of {size} bytes with sync bytes, program tables, {jumps} jumps of the continuity counters"
    if not program:
        return broken(at, reason + "; no program map", kind)
    if shift < len(rest) < size and rest[shift : shift + 1] == b"\x47":
        return broken(at, reason + "; the last packet is cut off", kind)
    return Find(at, 0.85, reason + "; the end is where no packet follows", kind.extension, kind.title, owned=at)


def _signature(shift: int, size: int) -> tuple[Signature, ...]:
    """A first packet that starts a table or a network's service list, and the sync bytes of the two behind it."""
    out = []
    for low in (0x00, 0x11):
        pattern, mask = bytearray(shift + 2 * size + 1), bytearray(shift + 2 * size + 1)
        pattern[shift : shift + 4], mask[shift : shift + 4] = bytes((0x47, 0x40, low, 0x10)), b"\xff\xdf\xff\xd0"
        for packet in (1, 2):
            pattern[shift + packet * size], mask[shift + packet * size] = 0x47, 0xFF
        out.append(Signature(bytes(pattern), mask=bytes(mask)))
    return tuple(out)


CARVERS = (
    Carver(
        name="mpegts",
        title="MPEG transport stream",
        extension="ts",
        mime="video/mp2t",
        signatures=(*_signature(0, 188), *_signature(4, 192)),
        measure=measure,
        maximum=1 << 40,
        refs=("ISO/IEC 13818-1:2023, 2.4.3: transport stream packets", "BDAV MPEG-2 transport streams: TP_extra_header"),
        gaps=("a stream counts from its first program table or service list", "nothing marks the end", "payloads are not decoded"),
        kinds=(_TS, _M2TS),
    ),
)
