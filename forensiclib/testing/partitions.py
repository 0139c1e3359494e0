"""Partition tables for built disks: MBR, and GPT (UEFI specification 5.3) with its backup."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["ALIGN", "SECTOR", "TAIL", "Part", "gpt", "mbr"]

SECTOR = 512
ALIGN = 1 << 20
"""Where partitions begin, as today's tools align them."""
TAIL = 33 * SECTOR
"""Bytes at the end of the disk that the GPT backup takes."""
_ENTRIES = 128


@dataclass(frozen=True, slots=True)
class Part:
    """``start`` and ``size`` in bytes, multiples of SECTOR; ``mbr_type`` a byte, ``gpt_type`` a GUID."""

    start: int
    size: int
    mbr_type: int
    gpt_type: str
    name: str


def _mbr_entry(kind: int, start: int, size: int) -> bytes:
    # The CHS fields say "use the LBA".
    return struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start // SECTOR, min(size // SECTOR, 0xFFFFFFFF))


def mbr(parts: Sequence[Part], serial: int = 0x464C4942) -> dict[int, bytes]:
    """Offset -> bytes of a master boot record with up to four partitions; ValueError for more."""
    if len(parts) > 4:
        raise ValueError(f"{len(parts)} partitions in an MBR")
    table = b"".join(_mbr_entry(p.mbr_type, p.start, p.size) for p in parts)
    return {0: struct.pack("<440xIH64s2s", serial, 0, table, b"\x55\xaa")}


def gpt(parts: Sequence[Part], size: int, name: str = "disk") -> dict[int, bytes]:
    """Offset -> bytes of both GPTs and the protective MBR on a disk of ``size`` bytes; identifiers follow from ``name``."""
    last = size // SECTOR - 1
    disk = uuid.uuid5(uuid.NAMESPACE_URL, name)
    entries = b"".join(
        struct.pack(
            "<16s16sQQQ72s",
            uuid.UUID(p.gpt_type).bytes_le,
            uuid.uuid5(disk, str(number)).bytes_le,
            p.start // SECTOR,
            (p.start + p.size) // SECTOR - 1,
            0,
            p.name.encode("utf-16-le"),
        )
        for number, p in enumerate(parts, 1)
    ).ljust(_ENTRIES * 128, b"\0")
    protective = struct.pack("<446s64s2s", b"", _mbr_entry(0xEE, SECTOR, last * SECTOR), b"\x55\xaa")
    return {
        0: protective,
        SECTOR: _gpt_header(1, last, 2, last, disk, entries),
        2 * SECTOR: entries,
        (last - 32) * SECTOR: entries,
        last * SECTOR: _gpt_header(last, 1, last - 32, last, disk, entries),
    }


def _gpt_header(here: int, other: int, table: int, last: int, disk: uuid.UUID, entries: bytes) -> bytes:
    def header(crc: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, here, other, 34, last - 33, disk.bytes_le, table, _ENTRIES,
            128, zlib.crc32(entries),
        )  # fmt: skip

    return header(zlib.crc32(header(0)))
