"""ASF (WMV, WMA, DVR-MS): header, data and index objects by their 64-bit sizes."""

from __future__ import annotations

from forensiclib.carving._ends import broken
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_STREAM = bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365")
_VIDEO = bytes.fromhex("c0ef19bc4d5bcf11a8fd00805f5c442b")
_AUDIO = bytes.fromhex("409e69f84d5bcf11a8fd00805f5c442b")
_BEHIND = {
    bytes.fromhex("90080033b1e5cf1189f400a0c90349cb"), bytes.fromhex("d329e2d6da35d111903400a0c90349be"),
    bytes.fromhex("f803b1fead12644c840f2a1d2f7ad48c"), bytes.fromhex("d03fb73c4a0c0348953dedf7b6228f0c"),
}  # fmt: skip
"""Simple index, index, media object index, timecode index."""
_WMV, _WMA = Kind("wmv", "video/x-ms-wmv", "Windows Media video"), Kind("wma", "audio/x-ms-wma", "Windows Media audio")
_OTHER = Kind("asf", "video/x-ms-asf", "Advanced Systems Format")


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """Top-level objects, held against the size in the file properties."""
    window = Window(data)
    size, count = window.number(16, 8), window.number(24, 4)
    if window.at(0, 16) != _HEADER or window.at(28, 2) != b"\1\2" or not 30 + 24 <= size <= 64 << 20 or not 1 <= count <= 4096:
        return None
    at, stated, broadcast, streams = 30, 0, False, set()
    for _ in range(count):
        budget.item()
        name, length = window.at(at, 16), window.number(at + 16, 8)
        if length < 24 or at + length > size:
            return None
        if name == _FILE:
            stated, broadcast = window.number(at + 40, 8), bool(window.number(at + 88, 4) & 1)
        elif name == _STREAM:
            streams.add(window.at(at + 24, 16))
        at += length
    kind = _WMV if _VIDEO in streams else _WMA if _AUDIO in streams else _OTHER
    if at != size or not streams:
        return None
    length = window.number(at + 16, 8)
    if window.at(at, 16) != _DATA or length < 50:
        return broken(min(at, data.size), "header sound, no data object", kind)
    if broadcast and at + length > data.size:
        return broken(min(at, data.size), "a broadcast, whose size the header does not state", kind)
    at += length
    while at < data.size and window.at(at, 16) in _BEHIND:
        budget.item()
        length = window.number(at + 16, 8)
        if length < 24:
            break
        at += length
    reason = f"{count} header objects, data and index objects"
    if at > data.size or (not broadcast and at < stated):
        return broken(min(at, data.size), f"{reason}; {stated} bytes stated", kind)
    return Find(at, 1.0 if at == stated else 0.8, f"{reason}; {stated} bytes stated", kind.extension, kind.title)


CARVERS = (
    Carver(
        name="asf",
        title="Windows Media file (ASF)",
        extension="asf",
        mime="video/x-ms-asf",
        signatures=(Signature(_HEADER),),
        measure=measure,
        maximum=1 << 40,
        refs=("Microsoft: Advanced Systems Format Specification 01.20.06 (2012), 2 to 6",),
        gaps=("packets are not decoded", "broadcasts whose recording was interrupted are reported incomplete"),
        kinds=(_WMV, _WMA, _OTHER),
    ),
)
