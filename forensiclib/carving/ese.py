"""Extensible Storage Engine databases (SRUDB.dat, WebCacheV01.dat, Windows.edb, qmgr.db)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from forensiclib.carving._read import same_byte
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats.ese import HEADER, PAGE, ROOT

__all__ = ["CARVERS"]

_SEED = 0x89ABCDEF
_PAGES = (2_048, 4_096, 8_192, 16_384, 32_768)
_EXTENDED = 16_384
_COUNT = 0xFFF
_LEAF, _SPACE = 0x2, 0x20
_STATES = {2: "; not cleanly shut down", 3: "", 4: "; being backed up", 5: "; being converted"}


def _checksum(raw: bytes) -> int:
    """XOR of the 32-bit words behind the stored checksum."""
    value = _SEED
    for (word,) in struct.iter_unpack("<I", raw[4:]):
        value ^= word
    return value


def _page(data: ByteSource, number: int, size: int) -> bytes:
    """Page ``number``: two header pages stand before page 1."""
    return data.read_at((number + 1) * size, size)


def _tags(raw: bytes) -> Iterator[bytes]:
    """The values of a page, by its tag array at the end; one that does not fit comes out empty."""
    large = len(raw) >= _EXTENDED
    start, mask = (80, 0x7FFF) if large else (40, 0x1FFF)
    count = min(PAGE.dict(raw)["tags"] & _COUNT, (len(raw) - start) // 4)
    for i in range(1, count + 1):
        at = len(raw) - 4 * i
        size, offset = int.from_bytes(raw[at : at + 2], "little") & mask, int.from_bytes(raw[at + 2 : at + 4], "little") & mask
        yield raw[start + offset : start + offset + size]


def _owned_pages(data: ByteSource, size: int, budget: Budget) -> int:
    """The highest page that the database owns, as the space tree of its root says; 0 without one."""
    first = _page(data, 1, size)
    if len(first) < size or not (root := next(_tags(first), b"")) or len(root) < ROOT.size:
        return 0
    number, seen = ROOT.dict(root)["owned"], set[int]()
    while number not in seen:
        budget.item()
        seen.add(number)
        raw = _page(data, number, size)
        if len(raw) < size or not PAGE.dict(raw)["flags"] & _SPACE:
            return 0
        values = list(_tags(raw))[1:]
        if PAGE.dict(raw)["flags"] & _LEAF:
            return max((int.from_bytes(value[2:6], "big") for value in values if len(value) == 10 and value[:2] == b"\4\0"), default=0)
        if not values:
            return 0
        number = int.from_bytes(values[-1][-4:], "little")  # the branch with the highest pages
    return 0


def _measure(data: ByteSource, budget: Budget) -> Find | None:
    raw = data.read_at(0, HEADER.size)
    if len(raw) < HEADER.size:
        return None
    head = HEADER.dict(raw)
    size = head["page_size"]
    if size not in _PAGES or head["version"] != 0x620 or head["type"] != 0:
        return None
    first = data.read_at(0, size)
    if len(first) < size or _checksum(first) != head["checksum"]:
        return None
    pages = _owned_pages(data, size, budget)
    note = _STATES.get(head["state"], "")
    if not pages:
        return Find(min(4 * size, data.size), 0.5, f"header checksum good, the list of owned pages is not there{note}", complete=False)
    length = (pages + 2) * size
    if length > data.size:
        return Find(data.size // size * size, 0.6, f"{pages} pages owned, the data ends before them{note}", complete=False)
    stray = _strays(data, pages, size, budget)
    if stray:
        return Find(length, 0.5, f"{pages} pages owned, {stray} of a sample are not its own{note}", complete=False)
    return Find(length, 0.9, f"header checksum good, {pages} pages owned by the root of its space tree{note}")


def _strays(data: ByteSource, pages: int, size: int, budget: Budget) -> int:
    """Pages, out of a sample that includes the last, that are neither zero nor a page of a database."""
    stray = 0
    for number in {*range(1, pages + 1, max(1, pages // 64)), pages}:
        budget.item()
        raw = data.read_at((number + 1) * size, PAGE.size)
        page = PAGE.dict(raw)
        plausible = page["free"] < size and page["tags"] & _COUNT <= size // 4 and page["previous"] <= pages and page["next"] <= pages
        stray += not plausible and not same_byte(data, (number + 1) * size, (number + 2) * size, budget)
    return stray


CARVERS = (
    Carver(
        name="ese",
        title="Extensible Storage Engine database",
        extension="edb",
        mime="application/x-ms-ese",
        signatures=(Signature(b"\xef\xcd\xab\x89", offset=4),),
        measure=_measure,
        maximum=1 << 40,
        refs=("libyal: Extensible Storage Engine (ESE) Database File (EDB) format",),
        gaps=(
            "space set aside behind the last owned page is left out",
            "a space tree whose rightmost branch is not its last entry gives too short a length",
            "page checksums are not verified",
        ),
    ),
)
