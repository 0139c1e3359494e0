"""Windows event logs (EVTX), and their chunks on their own."""

from __future__ import annotations

import zlib

from forensiclib.carving._read import Window, same_byte
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.evtx import CHUNK_HEADER, CHUNK_MAGIC, CHUNK_SIZE, FILE_HEADER, FILE_MAGIC

__all__ = ["CARVERS"]

_HEADER = 4_096
_ROOM = 16
_REFS = ("[MS-EVEN6] 2.2.17", "libyal: Windows XML Event Log (EVTX) format")


def _header_ok(raw: bytes) -> bool:
    """The checksum of a chunk header: its first 120 bytes and its tables."""
    return zlib.crc32(raw[128:512], zlib.crc32(raw[:120])) == int.from_bytes(raw[124:128], "little")


def _is_chunk(window: Window, at: int) -> bool:
    return window.at(at, 8) == CHUNK_MAGIC and at + CHUNK_SIZE <= window.size


def _chunks(window: Window, stated: int, budget: Budget) -> tuple[int, int, int]:
    """(slots up to the last chunk, chunks among them with a good header, slots that are no chunk).

    A slot inside the stated count may be spoiled; behind that only chunks count.
    """
    slots = good = bad = 0
    last = 0
    while True:
        budget.item()
        at = _HEADER + slots * CHUNK_SIZE
        if not _is_chunk(window, at):
            if slots >= stated or at + CHUNK_SIZE > window.size:
                return last, good, bad
            bad += 1
            slots += 1
            continue
        good += _header_ok(window.source.read_at(at, CHUNK_HEADER.size))
        slots += 1
        last = slots


def _spare(window: Window, chunks: int, budget: Budget) -> int:
    """Empty slots behind the last chunk: a log begins with one chunk and grows by sixteen, which stay
    zero until they are used. Only when all of them are zero do they count."""
    room = (1 - chunks) % _ROOM
    start = _HEADER + chunks * CHUNK_SIZE
    return room if room and same_byte(window.source, start, start + room * CHUNK_SIZE, budget) else 0


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, FILE_HEADER.size)
    if len(raw) < FILE_HEADER.size:
        return None
    head = FILE_HEADER.dict(raw)
    if head["header_size"] != 128 or head["block_size"] != _HEADER or head["major"] not in (3, 4):
        return None
    sealed = zlib.crc32(raw[:120]) == head["checksum"]
    stated = head["chunk_count"] if sealed else 0
    if sealed and head["last_chunk"] < 1 << 24 and head["last_chunk"] + 1 & 0xFFFF == stated:
        stated = head["last_chunk"] + 1  # the count has 16 bits
    slots, good, bad = _chunks(window, stated, budget)
    if not slots:
        return None if stated or not sealed else Find(_HEADER, 0.6, "header alone, it states no chunk", complete=True)
    spare = _spare(window, slots, budget) if slots >= stated else 0
    length = _HEADER + (slots + spare) * CHUNK_SIZE
    found = f"{good} of {slots} chunks with a good header checksum, {stated} stated" + (f", {spare} empty behind them" if spare else "")
    if slots < stated:
        end = _HEADER + stated * CHUNK_SIZE
        blank = same_byte(window.source, length, end, budget)
        return Find(end if blank else length, 0.6, found + (", zeros up to the stated end" if blank else ""), complete=False)
    if bad or good < slots or not sealed:
        return Find(length, 0.7, found + ("" if sealed else ", file header checksum wrong"))
    return Find(length, 0.9 if spare or slots > stated else 1.0, found)


def _measure_chunk(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, CHUNK_HEADER.size)
    if len(raw) < CHUNK_HEADER.size:
        return None
    head = CHUNK_HEADER.dict(raw)
    if head["header_size"] != 128 or not _header_ok(raw) or not CHUNK_HEADER.size <= head["free_space"] <= CHUNK_SIZE:
        return None
    if data.size < CHUNK_SIZE:
        return Find(data.size, 0.6, "header checksum good, the chunk is cut", complete=False)
    records = data.read_at(CHUNK_HEADER.size, head["free_space"] - CHUNK_HEADER.size)
    whole = zlib.crc32(records) == head["data_checksum"]
    budget.item()
    count = f"records {head['first_id']} to {head['last_id']}"
    if whole:
        return Find(CHUNK_SIZE, 1.0, f"{count}, header and record checksums good")
    return Find(CHUNK_SIZE, 0.7, f"{count}, header checksum good, record checksum wrong")


CARVERS = (
    Carver(
        name="evtx",
        title="Windows event log",
        extension="evtx",
        mime="application/x-ms-evtx",
        signatures=(Signature(FILE_MAGIC),),
        measure=_measure,
        refs=_REFS,
        gaps=("empty chunks behind the last are counted only when they fill up a step of growth (sixteen) and are zero",),
    ),
    Carver(
        name="evtx-chunk",
        title="Windows event log, a chunk without its file",
        extension="evtx-chunk",
        mime="application/octet-stream",
        signatures=(Signature(CHUNK_MAGIC),),
        measure=_measure_chunk,
        maximum=CHUNK_SIZE,
        refs=_REFS,
        gaps=("a chunk whose header checksum is wrong is not reported on its own",),
    ),
)
