"""RAR archives of versions 1.5 to 4 and of version 5."""

from __future__ import annotations

import zlib

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.archives import RAR_BLOCK

__all__ = ["CARVERS"]

_MARK4, _MARK5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_MAIN, _FILE, _SERVICE, _END = 0x73, 0x74, 0x7A, 0x7B
_OLD_COMMENT, _OLD_SUBBLOCK = 0x75, 0x77
_COMMENT4 = {_MAIN: 2, _FILE: 8}
_SUBBLOCK = 65_536
_LONG, _LARGE, _LOCKED = 0x8000, 0x100, 0x80
_MAIN5, _LOCK5, _END5 = 1, 4, 5
_HEADER5 = 2 << 20


def _covered(window: Window, at: int, header: bytes, kind: int, flags: int, packed: int) -> bytes:
    """What the checksum of a block covers. Comments inside the main and file headers are left out
    (RAR 1.5 to 2); an old subblock is covered with its data."""
    if kind == _MAIN and flags & _COMMENT4[kind]:
        return header[2:13]
    if kind == _FILE and flags & _COMMENT4[kind]:
        return header[2 : 32 + int.from_bytes(header[26:28], "little") + (8 if flags & _LARGE else 0)]
    if kind == _OLD_COMMENT:
        return header[2:13]
    return header[2:] + (window.at(at + len(header), packed) if kind == _OLD_SUBBLOCK and packed <= _SUBBLOCK else b"")


def _block4(window: Window, at: int) -> tuple[int, int, int, bytes] | None:
    """(type, flags, end, header) of the block at ``at``; None when its checksum is wrong."""
    raw = window.at(at, RAR_BLOCK.size)
    if len(raw) < RAR_BLOCK.size:
        return None
    checksum, kind, flags, size = RAR_BLOCK.unpack(raw)
    if not _MAIN <= kind <= _END or size < RAR_BLOCK.size:
        return None
    header = window.at(at, size)
    if len(header) < size:
        return None
    packed = int.from_bytes(header[7:11], "little") if size >= 11 and (flags & _LONG or kind in (_FILE, _SERVICE)) else 0
    if kind in (_FILE, _SERVICE) and flags & _LARGE and size >= 36:
        packed |= int.from_bytes(header[32:36], "little") << 32
    if checksum != zlib.crc32(_covered(window, at, header, kind, flags, packed)) & 0xFFFF:
        return None
    return kind, flags, at + size + packed, header


def _measure4(data: ByteSource, budget: Budget) -> Find | None:
    window, at, files, newest = Window(data), len(_MARK4), 0, 0
    first = _block4(window, at)
    if first is None or first[0] != _MAIN:
        return None
    while (block := _block4(window, at)) is not None:
        budget.item()
        kind, flags, end, header = block
        if kind == _MAIN and flags & _LOCKED:
            return Find(end, 0.5, "headers are encrypted: the length cannot be known", complete=False)
        if end > window.size:
            break
        at = end
        if kind == _END:
            return Find(at, 1.0, f"{files} files, all header checksums, end block")
        if kind == _FILE:
            files += 1
            newest = max(newest, header[24] if len(header) > 24 else 0)
    if block is None and files and newest < 29:
        return Find(at, 0.5, f"{files} files, all header checksums; written before RAR 3, which has no end block")
    return Find(at, 0.6, f"{files} files, the chain of blocks breaks off", complete=False)


def _vint(raw: bytes, at: int) -> tuple[int, int]:
    """(value, offset behind it) of a variable-length integer; (-1, at) when it does not end."""
    value = 0
    for i in range(at, min(at + 10, len(raw))):
        value |= (raw[i] & 0x7F) << 7 * (i - at)
        if raw[i] < 0x80:
            return value, i + 1
    return -1, at


def _block5(window: Window, at: int) -> tuple[int, int] | None:
    """(type, end) of the block at ``at``; None when its checksum is wrong."""
    raw = window.at(at, 14)
    size, start = _vint(raw, 4)
    if not 2 <= size <= _HEADER5:
        return None
    header = window.at(at, start + size)
    if len(header) < start + size or zlib.crc32(header[4:]) != int.from_bytes(header[:4], "little"):
        return None
    kind, here = _vint(header, start)
    flags, here = _vint(header, here)
    packed = 0
    for bit in (1, 2):  # size of the extra area, size of the data
        if flags & bit:
            packed, here = _vint(header, here)
    return kind, at + len(header) + (max(packed, 0) if flags & 2 else 0)


def _measure5(data: ByteSource, budget: Budget) -> Find | None:
    window, at, count = Window(data), len(_MARK5), 0
    while (block := _block5(window, at)) is not None:
        budget.item()
        kind, end = block
        if not count and kind == _LOCK5:
            return Find(end, 0.5, "headers are encrypted: the length cannot be known", complete=False)
        if not count and kind != _MAIN5:
            return None
        if end > window.size:
            break
        at, count = end, count + 1
        if kind == _END5:
            return Find(at, 1.0, f"{count} blocks, all header checksums, end block")
    return Find(at, 0.6, f"{count} blocks, the chain breaks off", complete=False) if count else None


_REFS = ("RAR 3.93 technical note", "RAR 5.0 archive format")
_GAPS = (
    "archives with encrypted headers are reported as incomplete: nothing states their length",
    "each volume is a file of its own; zeros that fill it up to the size of its siblings are left out",
)

CARVERS = (
    Carver(
        name="rar4",
        title="RAR archive",
        extension="rar",
        mime="application/vnd.rar",
        signatures=(Signature(_MARK4),),
        measure=_measure4,
        maximum=64 << 30,
        refs=_REFS,
        gaps=_GAPS,
    ),
    Carver(
        name="rar5",
        title="RAR archive (version 5)",
        extension="rar",
        mime="application/vnd.rar",
        signatures=(Signature(_MARK5),),
        measure=_measure5,
        maximum=64 << 30,
        refs=_REFS,
        gaps=_GAPS,
    ),
)
