"""Small Windows artifacts whose structure gives their length: shell links, prefetch files."""

from __future__ import annotations

from uuid import UUID

from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.formats import lnk
from forensiclib.formats._dsl import layout

__all__ = ["CARVERS"]

_LINK = layout(lnk.HEADER)
_CLSID = UUID(lnk.CLASS).bytes_le
_ID_LIST, _LINK_INFO, _TEXTS, _UNICODE, _NO_LINK_INFO = 1, 2, (4, 8, 16, 32, 64), 128, 256
_BLOCKS = range(0xA0000001, 0xA000000D)
_LARGEST = 1 << 20


def _id_list_end(window: Window, at: int) -> int:
    """End of the item id list at ``at``, -1 when its items do not fill it."""
    size = window.number(at, 2)
    here, end = at + 2, at + 2 + size
    while size >= 0 and here < end:
        item = window.number(here, 2)
        if item == 0:
            return end if here + 2 <= end <= window.size else -1
        if item < 2:
            return -1
        here += item
    return -1


def _extra_end(window: Window, at: int, budget: Budget) -> tuple[int, int, bool]:
    """(end, blocks, whether the terminal block is there) of the extra data at ``at``."""
    blocks = 0
    while True:
        budget.item()
        size = window.number(at, 4)
        if 0 <= size < 4:
            return at + 4, blocks, True
        if size < 8 or size > _LARGEST or at + size > window.size or window.number(at + 4, 4) not in _BLOCKS:
            return at, blocks, False
        at, blocks = at + size, blocks + 1


def _measure_lnk(data: ByteSource, budget: Budget) -> Find | None:
    window = Window(data)
    raw = window.at(0, _LINK.size)
    if len(raw) < _LINK.size:
        return None
    head = _LINK.dict(raw)
    if head["size"] != _LINK.size or head["class_id"] != _CLSID or head["reserved1"] or not any(raw[20:]):
        return None
    flags, at = head["flags"], _LINK.size
    if flags & _ID_LIST:
        at = _id_list_end(window, at)
        if at < 0:
            return Find(_LINK.size, 0.4, "header alone, the item list breaks off", complete=False)
    if flags & _LINK_INFO and not flags & _NO_LINK_INFO:
        size = window.number(at, 4)
        if not 28 <= size <= _LARGEST or at + size > data.size or window.number(at + 4, 4) not in (28, 36, size):
            return Find(at, 0.5, "header and item list, the link information breaks off", complete=False)
        at += size
    for bit in _TEXTS:
        if flags & bit:
            count = window.number(at, 2)
            end = at + 2 + count * (2 if flags & _UNICODE else 1)
            if count < 0 or end > data.size:
                return Find(at, 0.6, "the texts break off", complete=False)
            at = end
    end, blocks, whole = _extra_end(window, at, budget)
    if not whole:
        return Find(end, 0.6, f"{blocks} extra blocks, the terminal block is missing", complete=False)
    return Find(end, 1.0, f"header, lists, texts and {blocks} extra blocks to the terminal block")


def _measure_prefetch(data: ByteSource, budget: Budget) -> Find | None:
    budget.check()
    raw = data.read_at(0, 84)
    version, size = int.from_bytes(raw[:4], "little"), int.from_bytes(raw[12:16], "little")
    name = raw[16:76]
    if len(raw) < 84 or version not in (17, 23, 26, 30, 31) or not 200 < size <= 16 << 20:
        return None
    end = next((i for i in range(0, 60, 2) if name[i : i + 2] == b"\0\0"), -1)
    try:
        text = name[: max(end, 0)].decode("utf-16-le")
    except UnicodeDecodeError:
        return None
    if not text or not text.isprintable():
        return None
    parts = [int.from_bytes(data.read_at(84 + i, 4), "little") for i in (0, 16, 24)]
    if any(not 84 < part <= size for part in parts):
        return None
    if size > data.size:
        return Find(data.size, 0.6, f"{size} bytes stated for {text!r}, the data ends before", complete=False)
    volumes = data.read_at(parts[2], 4)
    inside = 84 < int.from_bytes(volumes, "little") + parts[2] <= size
    if not inside:
        return Find(size, 0.6, f"size stated by the header for {text!r}, the volume part is not where it says", complete=False)
    return Find(size, 0.9, f"size stated by the header for {text!r}, its parts lie within")


CARVERS = (
    Carver(
        name="lnk",
        title="Windows shell link",
        extension="lnk",
        mime="application/x-ms-shortcut",
        signatures=(Signature(b"L\x00\x00\x00" + _CLSID),),
        measure=_measure_lnk,
        maximum=16 << 20,
        refs=("[MS-SHLLINK] 2.1 to 2.5",),
        gaps=("bytes behind the terminal block are left out",),
    ),
    Carver(
        name="prefetch",
        title="Windows prefetch file",
        extension="pf",
        mime="application/octet-stream",
        signatures=(Signature(b"SCCA", offset=4),),
        measure=_measure_prefetch,
        maximum=16 << 20,
        refs=("libyal: Windows Prefetch File (PF) format, file header",),
        gaps=("compressed prefetch files (MAM, Windows 10) state no compressed size and are not recognised",),
    ),
)
