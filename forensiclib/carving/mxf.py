"""MXF: key-length-value triplets from the header partition to the last of the footer."""

from __future__ import annotations

from forensiclib.carving._ends import broken
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_LABEL = b"\x06\x0e\x2b\x34"
_PARTITION = bytes.fromhex("060e2b34020501010d01020101")
_HEADER, _FOOTER, _RIP = 2, 4, 17


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Triplets while their keys are SMPTE labels."""
    window = Window(data, 64)
    head = window.at(0, 16)
    if head[:13] != _PARTITION or len(head) < 16 or head[13] != _HEADER:
        return None
    at, seen, footer = 0, 0, False
    while True:
        budget.item()
        key = window.at(at, 16)
        if key[:4] != _LABEL or len(key) < 16:
            break
        first = window.number(at + 16, 1)
        wide = first & 127 if first & 128 else 0
        size = window.number(at + 17, wide, True) if wide else first
        if first < 0 or size < 0 or wide > 8 or first == 128:
            return broken(min(at, data.size), f"{seen} triplets, then one of no length")
        if at + 17 + wide + size > data.size:
            return broken(at, f"{seen} triplets, the next is cut off") if seen else None
        if key[:13] == _PARTITION and seen:
            if key[13] == _HEADER:
                break  # another file's
            footer = footer or key[13] == _FOOTER
        seen += 1
        at += 17 + wide + size
        if key[:13] == _PARTITION and key[13] == _RIP:
            return Find(at, 1.0, f"{seen} triplets to the random index")
    if seen < 3:
        return None
    if footer:
        return Find(at, 0.9, f"{seen} triplets behind one another, with a footer")
    return broken(at, f"{seen} triplets, no footer")


CARVERS = (
    Carver(
        name="mxf",
        title="MXF professional video",
        extension="mxf",
        mime="application/mxf",
        signatures=(Signature(_PARTITION + b"\x02"),),
        measure=measure,
        maximum=1 << 42,
        refs=("SMPTE ST 377-1:2019: MXF File Format", "SMPTE ST 336: KLV"),
        gaps=("a run-in before the header partition is left out", "essence is not decoded"),
    ),
)
