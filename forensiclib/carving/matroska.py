"""Matroska and WebM: EBML header, then the elements of one segment."""

from __future__ import annotations

from forensiclib.carving._ends import broken
from forensiclib.carving._read import Window
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS", "measure"]

_MKV, _MKA = Kind("mkv", "video/x-matroska", "Matroska video"), Kind("mka", "audio/x-matroska", "Matroska audio")
_MKS, _WEBM = Kind("mks", "application/x-matroska", "Matroska subtitles"), Kind("webm", "video/webm", "WebM video")
_WEBA = Kind("weba", "audio/webm", "WebM audio")
_SEGMENT, _TRACKS, _CLUSTER, _VOID, _CRC = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xEC, 0xBF
_TOP = {0x114D9B74, 0x1549A966, _TRACKS, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, _VOID, _CRC}
_IN_CLUSTER = {0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, _VOID, _CRC}
OPEN = -2


def _number(window: Window, at: int, marked: bool) -> tuple[int, int]:
    """(value, bytes) of the variable-length number at ``at``: an ID keeps its marker; OPEN is an unknown size;
    (-1, 0) is none."""
    first = window.number(at, 1)
    if first <= 0:
        return -1, 0
    length = 9 - first.bit_length()
    value = window.number(at, length, big=True)
    if value < 0 or (marked and length > 4):
        return -1, 0
    if marked:
        return value, length
    value &= (1 << 7 * length) - 1
    return (OPEN if value == (1 << 7 * length) - 1 else value), length


def _element(window: Window, at: int) -> tuple[int, int, int] | None:
    """(ID, start of the content, its size) of the element at ``at``."""
    name, wide = _number(window, at, True)
    size, more = _number(window, at + wide, False) if wide else (-1, 0)
    return (name, at + wide + more, size) if more else None


def _head(window: Window, budget: Budget) -> tuple[int, bytes]:
    """(end of the EBML header, document type); (0, b"") when it is none."""
    top = _element(window, 0)
    if top is None or not 0 < top[2] <= 1024:
        return 0, b""
    at, end, kind = top[1], top[1] + top[2], b""
    while at < end:
        budget.item()
        found = _element(window, at)
        if found is None or found[2] < 0 or found[1] + found[2] > end:
            return 0, b""
        if found[0] == 0x4282:
            kind = window.at(found[1], min(found[2], 16)).rstrip(b"\0")
        at = found[1] + found[2]
    return (end, kind) if at == end else (0, b"")


def _kind(window: Window, at: int, end: int, web: bool, budget: Budget) -> Kind:
    """By the types of the tracks in [at, end): 1 video, 2 audio, 17 subtitles."""
    types = set()
    while at < end and (track := _element(window, at)) is not None and track[2] >= 0:
        inner, last = track[1], track[1] + track[2]
        while track[0] == 0xAE and inner < last and (field := _element(window, inner)) is not None and field[2] >= 0:
            budget.item()
            if field[0] == 0x83:
                types.add(window.number(field[1], 1))
            inner = field[1] + field[2]
        at = last
    if web:
        return _WEBA if types == {2} else _WEBM
    return _MKA if types == {2} else _MKS if types == {17} else _MKV


def measure(data: ByteSource, budget: Budget) -> Find | None:
    """The segment's elements to its end; a segment of unknown size ends where no element of it follows."""
    window = Window(data)
    at, doctype = _head(window, budget)
    if doctype not in (b"matroska", b"webm"):
        return None
    kind = _WEBM if doctype == b"webm" else _MKV
    while (segment := _element(window, at)) is not None and segment[0] == _VOID and segment[2] >= 0:
        at = segment[1] + segment[2]
    if segment is None or segment[0] != _SEGMENT:
        return None
    at, size = segment[1], segment[2]
    end = at + size if size >= 0 else data.size
    clusters, tracks, inside = 0, False, False
    while at < end:
        budget.item()
        found = _element(window, at)
        if found is None:
            break
        name, place, length = found
        if name not in _TOP and not (inside and name in _IN_CLUSTER):
            break
        if length == OPEN:
            if name != _CLUSTER:
                break
            clusters, at, inside = clusters + 1, place, True
            continue
        if place + length > min(end, data.size):
            break
        if name == _TRACKS:
            tracks, kind = True, _kind(window, place, place + length, doctype == b"webm", budget)
        clusters += name == _CLUSTER
        inside = inside and (name not in _TOP or name in (_VOID, _CRC))
        at = place + length
    reason = f"{clusters} cluster(s)"
    if not tracks:
        return broken(min(at, data.size), "header sound, no tracks", kind) if at > segment[1] else None
    if size >= 0:
        if at == end <= data.size:
            return Find(end, 1.0, reason + ", elements to the end of the segment", kind.extension, kind.title)
        return broken(min(at, data.size), reason + ", then the elements break off", kind)
    cut = (found := _element(window, at)) is not None and (found[0] in _TOP or (inside and found[0] in _IN_CLUSTER))
    if cut or not clusters:
        return broken(min(at, data.size), reason + ", a live segment that is cut off", kind)
    return Find(at, 0.7, reason + ", a live segment: its end is where no element follows", kind.extension, kind.title, owned=at)


CARVERS = (
    Carver(
        name="matroska",
        title="Matroska or WebM media",
        extension="mkv",
        mime="video/x-matroska",
        signatures=(Signature(b"\x1a\x45\xdf\xa3"),),
        measure=measure,
        maximum=1 << 40,
        refs=("RFC 8794: EBML", "RFC 9559: Matroska Media Container Format, 5 and 6"),
        gaps=("blocks are not decoded", "what follows the first segment is another find, or left out"),
        kinds=(_MKV, _MKA, _MKS, _WEBM, _WEBA),
    ),
)
