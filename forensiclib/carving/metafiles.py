"""Windows metafiles: WMF with or without a placeable header, and EMF. Every record to the last."""

from __future__ import annotations

import struct

from forensiclib.carving._ends import broken
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure_emf", "measure_wmf"]

_PLACEABLE = b"\xd7\xcd\xc6\x9a"


def measure_wmf(data: ByteSource, budget: Budget) -> Find | None:
    """Header and records to META_EOF; sizes count words."""
    window = Window(data)
    start = 22 if window.at(0, 4) == _PLACEABLE else 0
    head = window.at(0, start + 18)
    if len(head) < start + 18:
        return None
    if start:
        checksum = 0
        for (word,) in struct.iter_unpack("<H", head[:20]):
            checksum ^= word
        if checksum != int.from_bytes(head[20:22], "little"):
            return None
    kind, words, version, size, _objects, longest, members = struct.unpack_from("<HHHIHIH", head, start)
    if kind not in (1, 2) or words != 9 or version not in (0x100, 0x300) or size < 12 or longest > size or members:
        return None
    at, records = start + 18, 0
    while True:
        budget.item()
        length, function = window.number(at, 4), window.number(at + 4, 2)
        if length < 3 or function < 0 or length > max(longest, 3) or at + 2 * length > data.size:
            break
        records += 1
        at += 2 * length
        if function == 0:
            stated = start + 2 * size
            # some writers do not count the placeable header or the last record: the records decide
            return Find(at, 0.95 if at == stated else 0.8, f"{records} records to the last; the header says {stated} bytes")
    return broken(min(at, data.size), f"{records} records, then damage") if records > 3 else None


def measure_emf(data: ByteSource, budget: Budget) -> Find | None:
    """Records from the header to EMR_EOF; the header states bytes and records."""
    window = Window(data)
    head = window.at(0, 88)
    if len(head) < 88 or head[:4] != b"\1\0\0\0" or head[40:44] != b" EMF":
        return None
    first = int.from_bytes(head[4:8], "little")
    size, count = struct.unpack_from("<II", head, 48)
    if first < 88 or size < first + 20 or count < 2:
        return None
    at, records = 0, 0
    while at < size:
        budget.item()
        kind, length = window.number(at, 4), window.number(at + 4, 4)
        if not 1 <= kind <= 122 or length < 8 or length & 3 or at + length > size or at + length > data.size:
            break
        records += 1
        at += length
        if kind == 14:
            break
    if records < 2:
        return None
    if at == size and records == count:
        return Find(size, 1.0, f"{records} records to the last, as many bytes as stated")
    return broken(min(at, data.size), f"{records} of {count} records, then damage")


CARVERS = (
    Carver(
        name="wmf",
        title="Windows metafile",
        extension="wmf",
        mime="image/wmf",
        signatures=(
            Signature(_PLACEABLE + b"\0\0"),
            Signature(b"\1\0\x09\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0", mask=b"\xff" * 6 + b"\0\0\0\xff\0\0\0\0\0\xff\xff\xff"),
        ),
        measure=measure_wmf,
        maximum=256 << 20,
        refs=("[MS-WMF] 2.3: WMF records",),
        gaps=("records are walked, not drawn",),
    ),
    Carver(
        name="emf",
        title="Windows enhanced metafile",
        extension="emf",
        mime="image/emf",
        signatures=(Signature(b" EMF\0\0\1\0", offset=40),),
        measure=measure_emf,
        maximum=1 << 30,
        refs=("[MS-EMF] 2.3: EMF records",),
        gaps=("records are walked, not drawn",),
    ),
)
