"""Twin of _native/evtx.pxi: chunks of an event log as columns."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from forensiclib._plain.evtx_binxml import SIZE, Decoder
from forensiclib._plain.evtx_json import INTEGERS, TEXTS, capture, event_json
from forensiclib.core.time import FILETIME_EPOCH

__all__ = ["evtx_chunks"]

CHUNK, HEAD, RECORD = 65_536, 512, 24
MAGIC = b"\x2a\x2a\0\0"
SKIP, WHOLE, HEADLESS = range(3)
"""Kinds of slot: nothing to read; a chunk; a chunk whose header cannot be believed."""
ALLOCATED, SLACK, CARVED = range(3)
"""States of a record."""
EARLIEST, LATEST = 0x01B0_0000_0000_0000, 0x0240_0000_0000_0000
"""FILETIMEs of 1986 and 2112: a record header found by scanning must lie between."""

FixedOut = tuple[str, str, bytes, None, bytes | None]
TextOut = tuple[str, str, bytes, bytes, bytes]
Found = tuple[int, int, int, bool]
"""Start, end, state, size is sound."""


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _sized(data: bytes, at: int, limit: int) -> bool:
    """Whether the record at ``at`` states a length that fits and repeats it at its end."""
    size = _u32(data, at + 4)
    return 28 <= size <= limit - at and _u32(data, at + size - 4) == size


def _plausible(data: bytes, at: int, limit: int) -> bool:
    if at + RECORD > limit:
        return False
    written = int.from_bytes(data[at + 16 : at + 24], "little")
    return 28 <= _u32(data, at + 4) <= CHUNK - HEAD and EARLIEST <= written < LATEST


def _next(data: bytes, at: int, limit: int) -> int:
    """The next plausible record header from ``at``, or ``limit``."""
    while (at := data.find(MAGIC, at, limit)) >= 0:
        if _plausible(data, at, limit):
            return at
        at += 1
    return limit


def _end(data: bytes, at: int, limit: int) -> tuple[int, bool]:
    """Where the record at ``at`` ends, and whether its two lengths agree."""
    if _sized(data, at, limit):
        return at + _u32(data, at + 4), True
    stated = at + _u32(data, at + 4)
    fits = at + 28 <= stated <= limit
    if fits and data[stated : min(stated + 4, limit)] == MAGIC:
        return stated, False
    following = _next(data, at + RECORD, limit)
    return (stated if fits and stated < following else following), False


def _walk(data: bytes, start: int, limit: int, state: int, gaps: list[tuple[int, int]] | None) -> list[Found]:
    """Records in [start, limit); bytes between that are none go to ``gaps``."""
    found, at = [], start
    while at < limit:
        if data[at : at + 4] != MAGIC or at + RECORD > limit or (state != ALLOCATED and not _plausible(data, at, limit)):
            following = _next(data, at + 1, limit)
            if gaps is not None:
                gaps.append((at, following - at))
            at = following
            continue
        end, sound = _end(data, at, limit)
        found.append((at, end, state, sound))
        at = end
    return found


def _records(data: bytes, kind: int, gaps: list[tuple[int, int]]) -> list[Found]:
    size = len(data)
    if kind == HEADLESS:
        return _walk(data, 0, size, CARVED, None)
    if size <= HEAD:
        return []
    free = _u32(data, 48)
    limit = free if HEAD <= free <= size else size
    live = _walk(data, HEAD, limit, ALLOCATED, gaps)
    known = {data[start:end] for start, end, _, _ in live}
    slack = _walk(data, limit, size, SLACK, None)
    return live + [r for r in slack if data[r[0] : r[1]] not in known]


def _ns(written: int) -> int | None:
    ns = (written - FILETIME_EPOCH) * 100
    return ns if written and -(1 << 63) <= ns < 1 << 63 else None


class _Columns:
    def __init__(self) -> None:
        self.count = 0
        self.fixed: dict[str, list[int]] = {n: [] for n in ("at", "length", "state", "damage", "damage_at", "record_id", "written_raw")}
        self.nullable: dict[str, list[int | None]] = {n: [] for n in ("written", *INTEGERS)}
        self.texts: dict[str, list[str | None]] = {n: [] for n in (*TEXTS, "data")}

    def add(self, data: bytes, base: int, record: Found, decoder: Decoder) -> None:
        start, end, state, sound = record
        decoder.damage = decoder.damage_at = 0
        if not sound:
            decoder.flag(SIZE, start)
        document = decoder.event(start + RECORD, max(start + RECORD, end - 4 if sound else end))
        taken = capture(document)
        said = event_json(document)
        identity, written = struct.unpack_from("<QQ", data, start + 8)
        row = (base + start, end - start, state, decoder.damage, base + decoder.damage_at, identity, written)
        for values, value in zip(self.fixed.values(), row, strict=True):
            values.append(value)
        self.nullable["written"].append(_ns(written))
        for name in INTEGERS:
            value_ = taken.get(name)
            self.nullable[name].append(value_ if isinstance(value_, int) else None)
        for name in TEXTS:
            text = taken.get(name)
            self.texts[name].append(text if isinstance(text, str) else None)
        self.texts["data"].append(said)
        self.count += 1

    def out(self, text_base: Sequence[int]) -> tuple[FixedOut | TextOut, ...]:
        codes = {"at": "Q", "length": "I", "state": "B", "damage": "H", "damage_at": "Q", "record_id": "Q", "written_raw": "Q"}
        types = {"Q": "uint64", "I": "uint32", "B": "uint8", "H": "uint16"}
        columns: list[FixedOut | TextOut] = [
            (name, types[codes[name]], struct.pack(f"<{self.count}{codes[name]}", *values), None, None)
            for name, values in self.fixed.items()
        ]
        for name, numbers in self.nullable.items():
            kind = "timestamp" if name in ("written", "time_created") else "int64"
            packed = struct.pack(f"<{self.count}q", *(n or 0 for n in numbers))
            columns.append((name, kind, packed, None, bytes(n is not None for n in numbers)))
        for base, (name, texts) in zip(text_base, self.texts.items(), strict=True):
            raw = [(t or "").encode() for t in texts]
            offsets = [base]
            for piece in raw:
                offsets.append(offsets[-1] + len(piece))
            packed = struct.pack(f"<{len(offsets)}q", *offsets)
            columns.append((name, "utf8", b"".join(raw), packed, bytes(t is not None for t in texts)))
        return tuple(columns)


def evtx_chunks(
    data: bytes | bytearray | memoryview, kinds: bytes, base: int, text_base: Sequence[int]
) -> tuple[int, tuple[FixedOut | TextOut, ...], list[tuple[int, int]]]:
    """Event log chunks -> (records, columns, gaps).

    data       chunks of 65,536 bytes one behind the other; the last may be short
    kinds      one byte a chunk: 0 skip it, 1 a chunk, 2 one whose header cannot be believed (every
               record in it is found by scanning and has state 2)
    base       offset of ``data`` in the stream, for the columns at and damage_at and for gaps
    text_base  for each text column the first offset (bytes that earlier calls gave it)

    A column is (name, Batch type, data, offsets or None, one byte a row for "not null" or None).
    state: 0 in the chunk's live part, 1 behind it, 2 carved. damage: bits SIZE 1, STRUCTURE 2,
    TEMPLATE 4, VALUE 8, BOUND 16, NAME 32, the first of them at offset damage_at. A gap is
    (offset, length) of live bytes that are no record. ValueError for arguments that do not fit.
    """
    raw = bytes(data)
    if len(kinds) != -(-len(raw) // CHUNK) or len(text_base) != len(TEXTS) + 1 or base < 0 or base > 1 << 62:
        raise ValueError("kinds, text_base or base do not fit the data")
    columns, gaps = _Columns(), []
    for index, kind in enumerate(kinds):
        if kind == SKIP:
            continue
        chunk = raw[index * CHUNK : (index + 1) * CHUNK]
        at = base + index * CHUNK
        holes: list[tuple[int, int]] = []
        decoder = Decoder(chunk)
        for record in _records(chunk, kind, holes):
            columns.add(chunk, at, record, decoder)
        gaps += [(at + start, length) for start, length in holes]
    return columns.count, columns.out(text_base), gaps
