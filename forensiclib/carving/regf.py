"""Windows registry hives and their transaction logs."""

from __future__ import annotations

import struct
from typing import Any

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.regf import BASE_BLOCK, BINS, HIVE_BIN, LOG_ENTRY, SECTOR

__all__ = ["CARVERS"]

_WORDS = struct.Struct("<127I")


def _checksum(raw: bytes) -> int:
    """XOR of the first 508 bytes; 0 and -1 are never stored."""
    value = 0
    for word in _WORDS.unpack_from(raw):
        value ^= word
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(value, value)


def _bin(window: Window, at: int, size: int) -> int:
    """Length of the hive bin at ``at`` (from the first bin), 0 when none is there."""
    raw = window.at(BINS + at, HIVE_BIN.size)
    if len(raw) < HIVE_BIN.size:
        return 0
    signature, offset, length, *_rest = HIVE_BIN.unpack(raw)
    good = signature == b"hbin" and offset == at and length and length % 4096 == 0 and at + length <= size
    return int(length) if good and BINS + at + length <= window.size else 0


def _bins(window: Window, size: int, budget: Budget) -> tuple[int, int]:
    """(how far the hive bins reach, bytes among them that are in none). The walk resumes at the next
    page that says it is the bin of its own offset."""
    at = reach = spoiled = 0
    while at < size and BINS + at < window.size:
        budget.item()
        length = _bin(window, at, size)
        if length:
            spoiled += at - reach
            reach = at + length
        elif not reach:
            break
        at += length or 4096
    return reach, spoiled


def _named(raw: bytes) -> str:
    """The end of the path that the base block keeps, for the reason; empty when it is no text."""
    name = raw.decode("utf-16-le", "replace").partition("\0")[0]
    return f"; named {name!r}" if name and name.isprintable() else ""


def _hive(window: Window, head: dict[str, Any], sealed: bool, budget: Budget) -> Find | None:
    size = head["bins_size"]
    if not size or size % 4096 or size > 0x7FFF_F000:
        return None
    held, spoiled = _bins(window, size, budget)
    if not held:
        return None
    dirty = _named(head["file_name"]) + ("" if head["primary"] == head["secondary"] else "; not cleanly closed")
    if spoiled:
        dirty += f"; {spoiled} bytes between bins are in none"
    if held < size:
        own = None if spoiled else BINS + held
        return Find(BINS + held, 0.6, f"hive bins for {held} of {size} bytes{dirty}", complete=False, owned=own)
    if not sealed or spoiled:
        return Find(BINS + size, 0.6 if spoiled else 0.8, f"hive bins to the end{'' if sealed else '; base block checksum wrong'}{dirty}")
    return Find(BINS + size, 1.0, f"base block checksum and all hive bins{dirty}")


def _new_log(window: Window, budget: Budget) -> Find | None:
    at, count, sequence = SECTOR, 0, -1
    while True:
        budget.item()
        raw = window.at(at, LOG_ENTRY.size)
        if len(raw) < LOG_ENTRY.size:
            break
        signature, size, _flags, number, bins_size, pages, *_hashes = LOG_ENTRY.unpack(raw)
        if signature != b"HvLE" or not size or size % SECTOR or bins_size % 4096 or not pages or at + size > window.size:
            break
        if count and number != sequence + 1 & 0xFFFFFFFF:
            break
        at, count, sequence = at + size, count + 1, number
    if not count:
        return None
    return Find(at, 0.7, f"{count} log entries in sequence; older entries behind them are left out", "log2", "Registry transaction log")


def _old_log(window: Window, head: dict[str, int], budget: Budget) -> Find | None:
    if window.at(SECTOR, 4) != b"DIRT" or not head["bins_size"] or head["bins_size"] % 4096:
        return None
    vector = window.source.read_at(SECTOR + 4, budget.allocate("dirty vector", head["bins_size"] // 4096))
    dirty = int.from_bytes(vector, "little").bit_count()
    start = -(-(SECTOR + 4 + len(vector)) // SECTOR) * SECTOR
    end = start + dirty * SECTOR
    whole = end <= window.size
    why = f"{dirty} sectors in the dirty vector, not checked"
    return Find(min(end, window.size), 0.5, why, "log", "Registry transaction log", complete=whole)


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, BASE_BLOCK.size)
    if len(raw) < BASE_BLOCK.size:
        return None
    head = BASE_BLOCK.dict(raw)
    if head["major"] != 1 or head["minor"] > 6 or head["file_format"] != 1 or head["file_type"] not in (0, 1, 2, 6):
        return None
    sealed = _checksum(raw) == head["checksum"]
    if head["file_type"] == 0:
        return _hive(window, head, sealed, budget)
    if not sealed:
        return None
    return _new_log(window, budget) if head["file_type"] == 6 else _old_log(window, head, budget)


def _cells(window: Window, size: int, budget: Budget) -> bool:
    """Whether the cells of the bin at the start of the window fill it."""
    at = HIVE_BIN.size
    while at < size:
        budget.item()
        raw = window.at(at, 4)
        length = abs(int.from_bytes(raw, "little", signed=True))
        if len(raw) < 4 or length < 8 or length & 7 or length > size - at:
            return False
        at += length
    return True


def _measure_bins(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data, 1 << 16)
    at = count = 0
    first = -1
    while True:
        budget.item()
        raw = window.at(at, HIVE_BIN.size)
        if len(raw) < HIVE_BIN.size:
            break
        signature, offset, length, *_rest = HIVE_BIN.unpack(raw)
        first = offset if first < 0 else first
        if (
            signature != b"hbin"
            or offset != first + at
            or offset % 4096
            or not length
            or length % 4096
            or first + at + length > 0x7FFF_F000
        ):
            break
        if at + length > data.size:
            if count:
                break
            return Find(data.size, 0.5, f"the data ends inside a hive bin of {length} bytes", complete=False) if data.size > 4096 else None
        if not count and not _cells(window, length, budget):
            return Find(length, 0.6, "one hive bin, its cells do not fill it") if _plain(raw) else None
        at, count = at + length, count + 1
    return Find(at, 1.0, f"{count} hive bins from offset {first:#x}, the cells of the first fill it") if count else None


def _plain(raw: bytes) -> bool:
    """Whether the header's reserved bytes are zero, as Windows leaves them."""
    return not any(raw[12:20])


CARVERS = (
    Carver(
        name="regf",
        title="Windows registry hive",
        extension="hiv",
        mime="application/x-ms-registry-hive",
        signatures=(Signature(b"regf"),),
        measure=_measure,
        maximum=BINS + 0x7FFF_F000,
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
    Carver(
        name="hive-bins",
        title="Windows registry, hive bins without their hive",
        extension="hbin",
        mime="application/octet-stream",
        signatures=(Signature(b"hbin"),),
        measure=_measure_bins,
        maximum=0x7FFF_F000,
        refs=("libyal: Windows NT Registry File (REGF) format", "M. Suhanov: Windows registry file format specification"),
        gaps=("bins of one hive that lie in several places are as many finds",),
    ),
)
