"""Windows registry hives and their transaction logs."""

from __future__ import annotations

import struct

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.regf_extent import BASE, BIN, LOG_ENTRY

__all__ = ["CARVERS"]

_BINS = 4_096
_SECTOR = 512
_WORDS = struct.Struct("<127I")


def _checksum(raw: bytes) -> int:
    """XOR of the first 508 bytes; 0 and -1 are never stored."""
    value = 0
    for word in _WORDS.unpack_from(raw):
        value ^= word
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(value, value)


def _bins(window: Window, size: int, budget: Budget) -> int:
    """How far the chain of hive bins holds, from the first bin, at most ``size`` bytes."""
    at = 0
    while at < size:
        budget.item()
        raw = window.at(_BINS + at, BIN.size)
        if len(raw) < BIN.size:
            break
        signature, offset, length, *_rest = BIN.unpack(raw)
        if signature != b"hbin" or offset != at or not length or length % 4096 or at + length > size:
            break
        if _BINS + at + length > window.size:
            break
        at += length
    return at


def _hive(window: Window, head: dict[str, int], sealed: bool, budget: Budget) -> Find | None:
    size = head["bins_size"]
    if not size or size % 4096 or size > 0x7FFF_F000:
        return None
    held = _bins(window, size, budget)
    if not held:
        return None
    dirty = "" if head["sequence1"] == head["sequence2"] else "; not cleanly closed"
    if held < size:
        return Find(_BINS + held, 0.6, f"hive bins for {held} of {size} bytes{dirty}", complete=False)
    if not sealed:
        return Find(_BINS + size, 0.8, f"all hive bins, base block checksum wrong{dirty}")
    return Find(_BINS + size, 1.0, f"base block checksum and all hive bins{dirty}")


def _new_log(window: Window, budget: Budget) -> Find | None:
    at, count, sequence = _SECTOR, 0, -1
    while True:
        budget.item()
        raw = window.at(at, LOG_ENTRY.size)
        if len(raw) < LOG_ENTRY.size:
            break
        signature, size, _flags, number, bins_size, pages, *_hashes = LOG_ENTRY.unpack(raw)
        if signature != b"HvLE" or not size or size % _SECTOR or bins_size % 4096 or not pages or at + size > window.size:
            break
        if count and number != sequence + 1 & 0xFFFFFFFF:
            break
        at, count, sequence = at + size, count + 1, number
    if not count:
        return None
    return Find(at, 0.7, f"{count} log entries in sequence; older entries behind them are left out", "log2", "Registry transaction log")


def _old_log(window: Window, head: dict[str, int], budget: Budget) -> Find | None:
    if window.at(_SECTOR, 4) != b"DIRT" or not head["bins_size"] or head["bins_size"] % 4096:
        return None
    vector = window.source.read_at(_SECTOR + 4, budget.allocate("dirty vector", head["bins_size"] // 4096))
    dirty = int.from_bytes(vector, "little").bit_count()
    start = -(-(_SECTOR + 4 + len(vector)) // _SECTOR) * _SECTOR
    end = start + dirty * _SECTOR
    whole = end <= window.size
    return Find(min(end, window.size), 0.7, f"{dirty} dirty sectors", "log", "Registry transaction log", complete=whole)


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, BASE.size)
    if len(raw) < BASE.size:
        return None
    head = BASE.dict(raw)
    if head["major"] != 1 or head["minor"] > 6 or head["format"] != 1 or head["type"] not in (0, 1, 2, 6):
        return None
    sealed = _checksum(raw) == head["checksum"]
    if head["type"] == 0:
        return _hive(window, head, sealed, budget)
    if not sealed:
        return None
    return _new_log(window, budget) if head["type"] == 6 else _old_log(window, head, budget)


CARVERS = (
    Carver(
        name="regf",
        title="Windows registry hive",
        extension="hiv",
        mime="application/x-ms-registry-hive",
        signatures=(Signature(b"regf"),),
        measure=_measure,
        maximum=_BINS + 0x7FFF_F000,
        refs=(
            "libyal: Windows NT Registry File (REGF) format",
            "M. Suhanov: Windows registry file format specification",
        ),
        gaps=(
            "what a hive file holds behind its last stated bin (space kept for growth) is left out",
            "entries of an earlier generation behind the current ones of a transaction log are left out",
            "logs whose base block alone is left are not reported",
        ),
    ),
)
