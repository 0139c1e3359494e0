"""Huffman-coded JPEG scans, sequential and progressive, decoded unit by unit: the one sure way to know where coded data ends."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from forensiclib import kernels
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["BAD", "DONE", "MARKER", "MORE", "Frame", "Scan", "State", "end_of_scan", "frame_of", "scan_of", "tables_from"]

CHUNK = 1 << 18
TABLE = 272
DONE, MORE, BAD, MARKER = range(4)
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
State = tuple[int, int, int, int, int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame header: (identifier, horizontal, vertical factor, quantiser) of each component."""

    marker: int
    precision: int
    height: int
    width: int
    components: tuple[tuple[int, int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """All that decoding one scan needs.

    chosen  components, in order; blocks   as ``kernels.jpeg_scan`` wants them; units   MCUs in all; across   in a row
    band    of a progressive frame (see ``kernels.jpeg_progressive``), None for a sequential one
    masks   which coefficients of each block were not 0 before this scan; empty where that does not matter
    """

    chosen: tuple[int, ...]
    blocks: bytes
    units: int
    across: int
    tables: bytes
    limits: tuple[int, int, int, int]
    interval: int
    band: tuple[int, int, int, int] | None
    masks: array[int]

    def begin(self, at: int = 0) -> State:
        """The state before the first MCU, with coded data from offset ``at``."""
        return (at, 0, 0, self.units, self.interval, 0, 0, 0, 0, 0, 0)

    def step(self, data: bytes, state: State, masks: memoryview | None = None, dc: memoryview | None = None) -> tuple[int, State]:
        """Decode what ``data`` holds: (status, state). ``masks``: those of the MCUs that are left, brought up to date; ``dc``
        takes DC values."""
        if self.band is not None:
            return kernels.jpeg_progressive(
                data,
                self.tables,
                self.blocks,
                self.band,
                self.limits,
                self.interval,
                masks,
                state,
                dc,
            )
        status, after = kernels.jpeg_scan(
            data,
            self.tables,
            self.blocks,
            self.limits,
            self.interval,
            (*state[:6], *state[7:]),
            dc,
        )
        return status, (*after[:6], 0, *after[6:])

    @property
    def tells(self) -> bool:
        """Whether it sends DC values: the picture in small."""
        return self.band is None or self.band[0] == self.band[2] == 0


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


def _units(frame: Frame, chosen: list[int]) -> tuple[int, int]:
    """MCUs (in a row, rows) of a scan of those components (ITU-T T.81, A.2)."""
    widest, highest = max(c[1] for c in frame.components), max(c[2] for c in frame.components)
    if len(chosen) > 1:
        return -(-frame.width // (8 * widest)), -(-frame.height // (8 * highest))
    _, across, down, _ = frame.components[chosen[0]]
    wide, high = -(-frame.width * across // widest), -(-frame.height * down // highest)
    return -(-wide // 8), -(-high // 8)


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


def scan_of(
    body: bytes, frame: Frame, tables: bytes, quantisers: Mapping[int, int], interval: int, masks: Mapping[int, array[int]], budget: Budget
) -> Scan | None:
    """The scan whose header is ``body``; None when it is of a kind that is not decoded. ``masks``: by component, from the scans
    before. Raises LimitExceeded."""
    found = _blocks(frame, body)
    if not frame.height or found is None or frame.marker not in (*_SEQUENTIAL, _PROGRESSIVE):
        return None
    chosen, blocks = found
    band = None
    if frame.marker == _PROGRESSIVE:
        low, high, bits = body[-3:]
        band = low, high, bits >> 4, bits & 15
        if not low <= high < 64 or (low == 0 and high) or (low and len(chosen) > 1) or max(band[2:]) > 13:
            return None
    peak = 1 << (frame.precision + 3)
    limits = [peak // max(1, quantisers.get(c[3], 1)) + 2 for c in frame.components] + [peak] * 3
    across, down = _units(frame, chosen)
    known = array("Q")
    if band is not None and band[0]:
        known = masks.get(chosen[0]) or array("Q", bytes(budget.allocate("JPEG coefficients", 8 * across * down)))
    bounds = limits[0], limits[1], limits[2], limits[3]
    return Scan(tuple(chosen), blocks, across * down, across, tables, bounds, interval, band, known)


def end_of_scan(data: ByteSource, at: int, scan: Scan, budget: Budget) -> tuple[int, array[int]]:
    """(where the coded data of the scan at ``at`` ends, or minus where it breaks off; its masks now)."""
    state, masks = scan.begin(), array("Q", scan.masks)
    while True:
        budget.item()
        chunk = data.read_at(at, CHUNK)
        status, state = scan.step(chunk, state, memoryview(masks)[scan.units - state[3] :] if masks else None)
        at += state[0]
        if status == DONE:
            return at, masks
        if status != MORE or not state[0] or len(chunk) < CHUNK:
            return -at, masks
        state = (0, *state[1:])
