"""The relatives of PNG: MNG animations and JNG pictures, every chunk's CRC verified."""

from __future__ import annotations

from forensiclib.carving._ends import broken
from forensiclib.carving.png import crc_holds
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_MNG, _JNG = Kind("mng", "video/x-mng", "MNG animation"), Kind("jng", "image/x-jng", "JNG picture")
_LAST = {b"\x8aMNG": (_MNG, b"MHDR", 28, b"MEND"), b"\x8bJNG": (_JNG, b"JHDR", 16, b"IEND")}


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Chunks to MEND or IEND."""
    head = data.read_at(0, 16)
    if head[:4] not in _LAST or len(head) < 16:
        return None
    kind, first, size, last = _LAST[head[:4]]
    if head[12:] != first or int.from_bytes(head[8:12], "big") != size:
        return None
    at, chunks = 8, 0
    while True:
        budget.item()
        head = data.read_at(at, 8)
        size = int.from_bytes(head[:4], "big")
        if len(head) < 8 or not head[4:].isalpha() or at + 12 + size > data.size or not crc_holds(data, at, size):
            return broken(at, f"{chunks} chunks with good CRC, then damage", kind) if chunks > 1 else None
        chunks += 1
        at += 12 + size
        if head[4:] == last:
            return Find(at, 1.0, f"all {chunks} chunk CRCs good, to the last chunk", kind.extension, kind.title)


CARVERS = (
    Carver(
        name="mng",
        title="MNG animation or JNG picture",
        extension="mng",
        mime="video/x-mng",
        signatures=(Signature(b"\x8aMNG\r\n\x1a\n"), Signature(b"\x8bJNG\r\n\x1a\n")),
        measure=measure,
        refs=("MNG (Multiple-image Network Graphics) Format Version 1.0", "JNG (JPEG Network Graphics) Format Version 1.0"),
        gaps=("pixels are checked by their CRCs, not decoded",),
        kinds=(_MNG, _JNG),
    ),
)
