"""7z archives."""

from __future__ import annotations

import zlib

from forensiclib.carving._read import crc32
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.archives import SEVENZIP

__all__ = ["CARVERS"]


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, SEVENZIP.size)
    if len(raw) < SEVENZIP.size:
        return None
    _signature, major, _minor, start_checksum, offset, size, checksum = SEVENZIP.unpack(raw)
    if major != 0 or zlib.crc32(raw[12:]) != start_checksum:
        return None
    at = SEVENZIP.size + offset
    if at + size > data.size:
        return Find(data.size, 0.7, f"start header good, the archive is {at + size} bytes long", complete=False)
    if crc32(data, at, size, budget) != checksum:
        return Find(at + size, 0.6, "start header good, the header at its end is not there", complete=False)
    return Find(at + size, 1.0, "checksums of both headers good")


CARVERS = (
    Carver(
        name="7z",
        title="7z archive",
        extension="7z",
        mime="application/x-7z-compressed",
        signatures=(Signature(b"7z\xbc\xaf\x27\x1c"),),
        measure=_measure,
        maximum=64 << 30,
        refs=("7-Zip: 7zFormat.txt, SignatureHeader",),
        gaps=("the packed streams are not decoded: damage between the two headers is not seen",),
    ),
)
