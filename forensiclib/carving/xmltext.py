"""XML documents by their root element: pictures, maps, tracks, models. Tags are matched to the end of the root."""

from __future__ import annotations

import re

from forensiclib.carving._ends import broken
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_ROOTS = {
    b"svg": Kind("svg", "image/svg+xml", "SVG picture"),
    b"kml": Kind("kml", "application/vnd.google-earth.kml+xml", "Google Earth map (KML)"),
    b"gpx": Kind("gpx", "application/gpx+xml", "GPS track (GPX)"),
    b"TrainingCenterDatabase": Kind("tcx", "application/vnd.garmin.tcx+xml", "Garmin training (TCX)"),
    b"osm": Kind("osm", "application/vnd.openstreetmap.data+xml", "OpenStreetMap data"),
    b"COLLADA": Kind("dae", "model/vnd.collada+xml", "COLLADA model"),
    b"X3D": Kind("x3d", "model/x3d+xml", "X3D model"),
    b"amf": Kind("amf", "application/x-amf", "Additive manufacturing model (AMF)"),
    b"score-partwise": Kind("musicxml", "application/vnd.recordare.musicxml+xml", "MusicXML score"),
}
_TOP = re.compile(rb"\s*(?:<!--.*?-->|<\?.*?\?>|<!DOCTYPE(?:[^\[>]|\[[^\]]*\])*>)", re.DOTALL)
_OPEN = re.compile(rb"\s*<(?:[A-Za-z_][\w.-]*:)?([A-Za-z_][\w.-]*)(?=[\s/>])")
_TOKEN = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<(/?)((?:[A-Za-z_\x80-\xff][\w.\x80-\xff-]*:)?[A-Za-z_\x80-\xff][\w.\x80-\xff-]*)((?:\s(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*)?/?)>|<",
    re.DOTALL,
)
_NO_TEXT = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f]")
_STEP = 1 << 16
_LONGEST = 16 << 20
"""Bytes of one token at most: pictures inside SVG are attributes."""


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """The prolog, a root that is known, and every tag to the root's end."""
    head = data.read_at(0, 4096)
    start = 3 if head[:3] == b"\xef\xbb\xbf" else 0
    while match := _TOP.match(head, start):
        start = match.end()
    root = _OPEN.match(head, start)
    kind = _ROOTS.get(root[1]) if root else None
    if root is None or kind is None:
        return None
    open_tags: list[bytes] = []
    at, text, place, tags = root.start(), b"", 0, 0
    while True:
        budget.item()
        piece = data.read_at(at + len(text), _STEP)
        bad = _NO_TEXT.search(piece)
        text += piece[: bad.start()] if bad else piece
        last = bad is not None or len(piece) < _STEP
        for token in _TOKEN.finditer(text, place):
            if token[2] is None:
                if token.end() - token.start() == 1:
                    break  # a tag that this read does not hold whole, or none
                place = token.end()
                continue
            tags += 1
            place = token.end()
            if token[1]:
                if not open_tags or open_tags.pop() != token[2]:
                    return broken(at + token.start(), f"{tags} tags, then one that was not opened", kind)
            elif not token[3].endswith(b"/"):
                open_tags.append(token[2])
                if len(open_tags) > budget.limits.depth:
                    return broken(at + token.start(), "tags nested too deep", kind)
            if not open_tags:
                end = at + place
                tail = data.read_at(end, 2)
                end += 2 if tail == b"\r\n" else tail[:1] == b"\n"
                return Find(end, 0.95, f"{tags} tags matched to the end of the root", kind.extension, kind.title)
        if last or len(text) - place > _LONGEST:
            return broken(at + len(text), f"{tags} tags, the text breaks off", kind)
        at, text, place = at + place, text[place:], 0


_PROLOGS = (b"<?xml version=", b"\xef\xbb\xbf<?xml version=")
_BARE = (b"<svg ", b"<svg\n", b"<kml ", b"<gpx ", b"<osm ", b"<!DOCTYPE svg ")

CARVERS = (
    Carver(
        name="xml-media",
        title="XML picture, map, track or model",
        extension="xml",
        mime="application/xml",
        signatures=tuple(Signature(s) for s in (*_PROLOGS, *_BARE)),
        measure=measure,
        maximum=4 << 30,
        refs=("W3C Extensible Markup Language 1.0 (fifth edition), 2 and 3", "W3C SVG 2", "OGC KML 2.3", "Topografix GPX 1.1"),
        gaps=("UTF-16 is not recognised", "comments behind the root are left out", "an SVG picture inside a page is a find of its own"),
        kinds=tuple(_ROOTS.values()),
    ),
)
