"""Sequential JPEG scans decoded unit by unit: the one sure way to know where the coded data ends."""

from __future__ import annotations

from dataclasses import dataclass

from forensiclib import kernels
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["Frame", "end_of_scan", "frame_of", "tables_from"]

CHUNK = 1 << 18
TABLE = 272
_SEQUENTIAL = (0xC0, 0xC1)
_DONE, _MORE = 0, 1


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame header: (identifier, horizontal, vertical factor, quantiser) of each component."""

    marker: int
    precision: int
    height: int
    width: int
    components: tuple[tuple[int, int, int, int], ...]


def frame_of(marker: int, body: bytes) -> Frame:
    """The content of a sound SOF segment."""
    components = tuple((body[i], body[i + 1] >> 4, body[i + 1] & 15, body[i + 2]) for i in range(6, 6 + 3 * body[5], 3))
    return Frame(marker, body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big"), components)


def tables_from(body: bytes, into: bytearray) -> None:
    """Put the tables of a sound DHT segment where ``jpeg_scan`` wants them."""
    at = 0
    while at < len(body):
        slot = ((body[at] >> 4) * 4 + (body[at] & 3)) * TABLE
        symbols = sum(body[at + 1 : at + 17])
        into[slot : slot + TABLE] = body[at + 1 : at + 17 + symbols].ljust(TABLE, b"\0")
        at += 17 + symbols


def _units(frame: Frame, chosen: list[int]) -> int:
    """MCUs of a scan of those components (ITU-T T.81, A.2)."""
    widest, highest = max(c[1] for c in frame.components), max(c[2] for c in frame.components)
    if len(chosen) > 1:
        return -(-frame.width // (8 * widest)) * -(-frame.height // (8 * highest))
    _, across, down, _ = frame.components[chosen[0]]
    wide, high = -(-frame.width * across // widest), -(-frame.height * down // highest)
    return -(-wide // 8) * -(-high // 8)


def _blocks(frame: Frame, body: bytes) -> tuple[list[int], bytes] | None:
    """Components of a scan header and the blocks of one of its MCUs; None when they make no sense."""
    names = [c[0] for c in frame.components]
    chosen, blocks = [], bytearray()
    for i in range(1, 1 + 2 * body[0], 2):
        if body[i] not in names or body[i + 1] & 0xCC:
            return None
        number = names.index(body[i])
        chosen.append(number)
        each = frame.components[number][1] * frame.components[number][2] if body[0] > 1 else 1
        blocks += bytes((number, body[i + 1] >> 4, body[i + 1] & 15)) * each
    return (chosen, bytes(blocks)) if chosen else None


def end_of_scan(
    data: ByteSource, at: int, body: bytes, frame: Frame, tables: bytes, quantisers: dict[int, int], interval: int, budget: Budget
) -> int | None:
    """Where the coded data of the scan at ``at`` ends; minus where it breaks off; None when it is of a
    kind that is not decoded. ``body`` is the scan header's."""
    scan = _blocks(frame, body)
    if frame.marker not in _SEQUENTIAL or not frame.height or scan is None:
        return None
    chosen, blocks = scan
    peak = 1 << (frame.precision + 3)
    limits = [peak // max(1, quantisers.get(c[3], 1)) + 2 for c in frame.components] + [peak] * 3
    state = (0, 0, 0, _units(frame, chosen), interval, 0, 0, 0, 0, 0)
    while True:
        budget.item()
        chunk = data.read_at(at, CHUNK)
        status, state = kernels.jpeg_scan(chunk, tables, blocks, (limits[0], limits[1], limits[2], limits[3]), interval, state)
        at += state[0]
        if status == _DONE:
            return at
        if status != _MORE or not state[0] or len(chunk) < CHUNK:
            return -at
        state = (0, *state[1:])
