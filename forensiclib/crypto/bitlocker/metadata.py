"""The metadata of a BitLocker volume: its three copies, their checksums, and the entries in them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.guid import guid as guid_text
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats.fve import (
    BLOCK_LAYOUT,
    ENTRY_LAYOUT,
    GUID,
    GUID_EOW,
    GUIDS,
    HEADER_LAYOUT,
    METHODS,
    SIGNATURE,
    VMK_LAYOUT,
)  # fmt: skip
from forensiclib.kernels import crc32

__all__ = ["Entry", "Metadata", "Protector", "entries", "external_key", "offsets", "read_metadata", "span_of"]

_BLOCK, _HEAD = BLOCK_LAYOUT.size, HEADER_LAYOUT.size


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the metadata; ``data`` without its header."""

    type: int
    value: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Protector:
    """One volume master key: who protects it (formats.fve.PROTECTORS), and its inner entries."""

    guid: str
    protection: int
    parts: tuple[Entry, ...]

    def part(self, value: int) -> Entry | None:
        """The first inner entry of that value type."""
        return next((p for p in self.parts if p.value == value), None)


@dataclass(frozen=True, slots=True)
class Metadata:
    """One good copy.

    at         where it lies; method, guid, description   as stored
    encrypted  bytes from the start that are encrypted; blocks   offsets of the three copies
    kept, kept_size   where the volume's first bytes are kept, and how many
    key        AES-CCM entry of the volume's key
    """

    at: int
    version: int
    method: int
    guid: str
    description: str
    encrypted: int
    state: tuple[int, int]
    blocks: tuple[int, int, int]
    kept: int
    kept_size: int
    protectors: tuple[Protector, ...]
    key: Entry | None


def span_of(source: ByteSource, at: int, n: int) -> Span | None:
    """The first span behind a range."""
    spans = source.trace(at, n) if 0 <= at < source.size else ()
    return spans[0] if spans else None


def offsets(source: ByteSource) -> tuple[tuple[int, ...], bool] | None:
    """Offsets of the metadata blocks as the volume header says, and whether it is encrypted on writing; None without such a header."""
    head = source.read_at(0, 512)
    if len(head) < 512:
        return None
    for at in GUIDS:
        guid = head[at : at + 16]
        if guid in (GUID, GUID_EOW):
            return struct.unpack_from("<3Q", head, at + 16), guid == GUID_EOW
    if head[3:11] == SIGNATURE:  # Vista: one cluster number
        sector, cluster = struct.unpack_from("<HB", head, 11)
        return (struct.unpack_from("<Q", head, 56)[0] * sector * cluster,), False
    return None


def entries(data: bytes) -> Iterator[Entry]:
    """The entries one behind the other. Raises ValueError for a length that cannot be."""
    at = 0
    while at + ENTRY_LAYOUT.size <= len(data):
        size, kind, value, _ = ENTRY_LAYOUT.unpack(data, at)
        if size == 0:
            return
        if size < ENTRY_LAYOUT.size or at + size > len(data):
            raise ValueError(f"an entry of {size} bytes at {at:#x} of {len(data):#x}")
        yield Entry(kind, value, data[at + ENTRY_LAYOUT.size : at + size])
        at += size


def read_metadata(source: ByteSource, at: int) -> Metadata:
    """The copy at ``at``. Raises Truncated, Corrupt."""
    span = span_of(source, at, 0x1000)
    raw = source.read_at(at, 0x10000)
    if len(raw) < _BLOCK + _HEAD:
        raise Truncated("BitLocker metadata", span, f"{len(raw)} bytes at {at:#x}")
    block = SimpleNamespace(**BLOCK_LAYOUT.dict(raw))
    if block.signature != SIGNATURE or block.version not in (1, 2):
        raise Corrupt("BitLocker metadata", span, f"no signature, or version {block.version}, at {at:#x}")
    head: Any = SimpleNamespace(**HEADER_LAYOUT.dict(raw, _BLOCK))
    if head.header_size != _HEAD or not _HEAD <= head.size <= len(raw) - _BLOCK:
        raise Corrupt("BitLocker metadata", span, f"{head.size} bytes, a header of {head.header_size}")
    if block.version == 2:
        end = block.size * 16
        check = raw[end : end + 8]
        if end < _BLOCK + head.size or len(check) < 8:
            raise Corrupt("BitLocker metadata", span, f"the validation at {end:#x} lies inside the metadata or past its end")
        if crc32(raw[:end], 0) != struct.unpack_from("<I", check, 4)[0]:
            raise Corrupt("BitLocker metadata", span, "the CRC-32 does not match")
    try:
        return _understood(raw[_BLOCK + _HEAD : _BLOCK + head.size], at, block, head)
    except (ValueError, struct.error) as error:
        raise Corrupt("BitLocker metadata", span, str(error)) from None


def _understood(body: bytes, at: int, block: Any, head: Any) -> Metadata:
    protectors, key, description, kept, kept_size = [], None, "", block.header, block.header_sectors * 512
    for entry in entries(body):
        if entry.type == 2 and entry.value == 8:
            vmk = SimpleNamespace(**VMK_LAYOUT.dict(entry.data))
            protectors.append(Protector(guid_text(vmk.guid), vmk.protection, tuple(entries(entry.data[VMK_LAYOUT.size :]))))
        elif entry.type == 3 and entry.value == 5:
            key = entry
        elif entry.type == 7 and entry.value == 2:
            description = entry.data.decode("utf-16-le", "backslashreplace").rstrip("\0")
        elif entry.type == 15 and entry.value == 15:
            kept, kept_size = struct.unpack_from("<2Q", entry.data)
    if head.method not in METHODS:
        raise ValueError(f"encryption method {head.method:#06x}")
    return Metadata(
        at, block.version, head.method, guid_text(head.guid), description, block.encrypted, (block.state, block.next_state),
        (block.first, block.second, block.third), kept, kept_size, tuple(protectors), key,
    )  # fmt: skip


def external_key(data: bytes) -> tuple[str, bytes] | None:
    """(GUID, key) of a .BEK file; None when it is none."""
    if len(data) < _HEAD or len(data) > 0x10000:
        return None
    size, version, header_size = struct.unpack_from("<3I", data)
    if version != 1 or header_size != _HEAD or not _HEAD <= size <= len(data):
        return None
    try:
        for entry in entries(data[_HEAD:size]):
            if entry.value == 9 and len(entry.data) > 24:
                for part in entries(entry.data[24:]):
                    if part.value == 1 and len(part.data) == 36:
                        return guid_text(entry.data[:16]), part.data[4:]
    except (ValueError, EvidenceError):
        return None
    return None
