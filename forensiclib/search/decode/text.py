"""Bytes written as text: base64, hexadecimal, percent-encoding, quoted-printable."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial

from forensiclib import kernels
from forensiclib.core.declare import Ended, Signature, Transform
from forensiclib.core.limits import Budget
from forensiclib.search.decode.regions import View

__all__ = ["TRANSFORMS"]

_B64 = b"A-Za-z0-9+/"
_FIRST = re.compile(rb"[A-Za-z0-9+/]{32,}")
_URL = re.compile(rb"[A-Za-z0-9_-]{32,}={0,2}")
_OTHER = re.compile(rb"[_-]")
_HEX = re.compile(rb"[0-9A-Fa-f]{66,}")
_PAIRS = re.compile(rb"(?:[0-9A-Fa-f]{2}[ ,:]){31,}[0-9A-Fa-f]{2}")
_BACKSLASH = re.compile(rb"(?:\\x[0-9A-Fa-f]{2}){8,}")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})|\+")
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}|=\w+\+\w")
_ESCAPED_BYTE, _SPACES = re.compile(rb"%[0-9A-Fa-f]{2}"), re.compile(rb"=\w{1,64}\+\w")
_REACH = 2048
"""Bytes of a URL before its first escape."""
_QUOTED = re.compile(rb"=(?:\r?\n|([0-9A-F]{2}))")
_BINARY = re.compile(rb"[^\t\n\r -~]")
_Scan = Callable[[memoryview, int, int, int], Iterator[int]]
_NEAR, _AROUND = 256, 128
_LINE = 16
"""Bytes of text that must stand around quoted-printable: less is noise."""
_LONGEST = 256 << 20


def _class(members: str) -> bytes:
    kept = re.compile(f"[{members}]")
    return bytes(b < 128 and kept.match(chr(b)) is not None for b in range(256))


_LINES, _URLS = _class(r"A-Za-z0-9+/\r\n"), _class(r"A-Za-z0-9_\-")
_DIGITS, _PAIRED, _ESCAPED = _class("0-9A-Fa-f"), _class("0-9A-Fa-f ,:"), _class(r"0-9A-Fa-f\\x")
_LINK = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:/?#[]@!$&'()*+,;=%-"


def _matched(view: View, expression: re.Pattern[bytes]) -> bytes:
    """What matches at the start of the view, of any length."""
    size = 1 << 12
    while True:
        piece = view.read_at(0, size)
        match = expression.match(piece)
        if match is None or match.end() < len(piece) or len(piece) < size or size >= _LONGEST:
            return match[0] if match else b""
        size *= 8


def _mixed(text: bytes) -> bool:
    """Whether small and capital letters and digits are among the characters, as in base64 of nearly anything."""
    piece = text[:256]
    return piece.translate(None, b"0123456789") != piece and piece.lower() != piece and piece.upper() != piece


def _found(
    wanted: bytes,
    minimum: int,
    expression: re.Pattern[bytes],
    stride: int,
    length: Callable[[bytes], int],
    data: memoryview,
    start: int,
    stop: int,
    base: int,
) -> Iterator[int]:
    """Where the expression matches in each run of the class, and again behind ``length`` bytes of the text from there."""
    for low, high in kernels.byte_runs(data, wanted, minimum, start, stop, stride):
        text, at = bytes(data[low:high:stride]), 0
        while (match := expression.search(text, at)) is not None and low + stride * match.start() < stop:
            yield low + stride * match.start()
            at = match.start() + length(text[match.start() :])


def _runs(wanted: bytes, minimum: int, expression: re.Pattern[bytes], stride: int = 1, length: Callable[[bytes], int] = len) -> _Scan:
    return partial(_found, wanted, minimum, expression, stride, length)


def _base64_end(text: bytes) -> int:
    """How much of ``text`` is base64 from its start: lines as long as the first, then one that is shorter, then padding."""
    first = _FIRST.match(text)
    if first is None:
        return 0
    line = first.end()
    whole = re.compile(rb"(?:[%b]{%d}\r?\n)*(?:[%b]{1,%d}(?![%b]))?={0,2}" % (_B64, line, _B64, line, _B64))
    match = whole.match(text) if line < 65536 else None
    if match is None or match.end() < line:
        pad = re.compile(rb"={0,2}").match(text, line)
        return pad.end() if pad else line
    return match.end()


def _unwrapped(text: bytes) -> bytes:
    """base64 text to bytes. With padding its end is known, else its beginning is."""
    plain = text.translate(None, b"\r\n")
    body = plain.rstrip(b"=")
    if len(body) < len(plain) and len(plain) % 4:
        body = body[len(plain) % 4 :]
    return binascii.a2b_base64(body[: len(body) - (len(body) % 4 == 1)] + b"=" * (-len(body) % 4))


def _base64(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    size = 1 << 12
    while True:
        budget.check()
        piece = view.read_at(0, size)
        end = _base64_end(piece)
        if end < len(piece) or len(piece) < size or size >= _LONGEST:
            break
        size *= 8
    text = piece[:end]
    url = end < len(piece) and piece[end] in b"-_" and _url_safe(_matched(view, _URL))
    if len(text) < 32 or not _mixed(text) or url:
        return Ended(0)
    yield _unwrapped(text)
    return Ended(end)


def _base64_wide(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    wide = _matched(view, re.compile(rb"(?:[A-Za-z0-9+/=\r\n]\0)+"))
    text = wide[::2]
    text = text[: _base64_end(text)]
    if len(text) < 32 or not _mixed(text):
        return Ended(0)
    yield _unwrapped(text)
    return Ended(2 * len(text))


def _url_safe(text: bytes) -> bool:
    return (b"-" in text or b"_" in text) and _mixed(text) and b"----" not in text and b"____" not in text


def _base64_url(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    text = _matched(view, _URL)
    if not _url_safe(text):
        return Ended(0)
    body = text.rstrip(b"=")
    body = body[: len(body) - (len(body) % 4 == 1)]
    yield base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4))
    return Ended(len(text))


def _hex(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    for expression, remove in ((_HEX, b""), (_PAIRS, b" ,:"), (_BACKSLASH, b"\\x")):
        text = _matched(view, expression)
        if text:
            digits = text.translate(None, remove)
            out = bytes.fromhex(digits[: len(digits) & ~1].decode())
            if len(set(out)) < 4:
                return Ended(0)
            yield out
            return Ended(len(text) - (len(digits) & 1))
    return Ended(0)


def _hex_starts(data: memoryview, start: int, stop: int, base: int) -> Iterable[int]:
    found = set(_runs(_DIGITS, 66, _HEX)(data, start, stop, base))
    found.update(_runs(_PAIRED, 95, _PAIRS)(data, start, stop, base))
    found.update(_runs(_ESCAPED, 32, _BACKSLASH)(data, start, stop, base))
    return found


def _replaced(text: bytes, expression: re.Pattern[bytes], single: bytes) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """The text with its escapes undone, and which parts of the result are no escapes."""
    out, literal, at = bytearray(), [], 0
    for match in expression.finditer(text):
        if match.start() > at:
            literal.append((len(out), len(out) + match.start() - at))
        out += text[at : match.start()]
        out += bytes.fromhex(match[1].decode()) if match[1] else single
        at = match.end()
    if at < len(text):
        literal.append((len(out), len(out) + len(text) - at))
    return bytes(out + text[at:]), tuple(literal)


def _url_starts(data: memoryview, start: int, stop: int, base: int) -> Iterator[int]:
    """Runs with a character that plain base64 does not have."""
    for low, high in kernels.byte_runs(data, _URLS, 32, start, stop):
        if _OTHER.search(data, low, high):
            yield low


def _percent_starts(data: memoryview, start: int, stop: int, base: int) -> Iterator[int]:
    """Where the runs of URL characters begin that hold an escape."""
    for escape in (_ESCAPED_BYTE, _SPACES):
        for match in escape.finditer(data, max(0, start - _REACH)):
            at = match.start()
            if at >= stop + _REACH:
                break
            before = bytes(data[max(0, at - _REACH) : at])
            low = at - (len(before) - len(before.rstrip(_LINK)))
            if start <= low < stop and len(bytes(data[low : low + 12]).rstrip(_LINK)) == 0:
                yield low


def _percent(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    text = _matched(view, re.compile(rb"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{12,}"))
    first = _ESCAPE.search(text)
    if first is None:
        return Ended(0)
    # From the field that needs it: a URL as a whole would be another one, and end at its first space.
    start = max(text.rfind(c, 0, first.start() + (first[0][:1] == b"=")) for c in (b"=", b"&", b"?", b"/", b"#", b";")) + 1
    fields = text.find(b"=")
    cut = max(start, fields if fields >= 0 else len(text))  # "+" is a space in the values of a form only
    head, marks = _replaced(text[start:cut], re.compile(rb"%([0-9A-Fa-f]{2})"), b"")
    tail, more = _replaced(text[cut:], _PERCENT, b" ")
    yield head + tail
    literal = marks + tuple((low + len(head), high + len(head)) for low, high in more)
    return Ended(len(text), literal=literal, back=-start)


def _quoted(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    """Text around escapes that stand near to one another, from the line that the first is in."""
    before = view.before(_AROUND)
    cut = max([before.rfind(b"\n") + 1, *(m.end() for m in _BINARY.finditer(before))])
    before = before[cut:]
    text = view.read_at(0, 256)
    edge = _BINARY.search(text)
    if edge is None:
        text = view.read_at(0, 1 << 20)
        edge = _BINARY.search(text)
    text = text[: edge.start()] if edge else text
    last = count = 0
    for match in _QUOTED.finditer(text):
        if match.start() > last + _NEAR:
            break
        last, count = match.end(), count + 1
    if not count:
        return Ended(0)
    end = min(last + _AROUND, len(text))
    following = _QUOTED.search(text, last, end)
    end = following.start() if following else end
    if len(before) + end < _LINE or (count < 3 and b"=\n" not in text[:end] and b"=\r\n" not in text[:end]):
        return Ended(0)
    out, literal = _replaced(before + text[:end], _QUOTED, b"")
    yield out
    return Ended(max(last, 1), literal=literal, back=len(before))


_RFC = "RFC 4648"
_COMMON = b"3D 20 09 0A 0D C2 C3 C4 C5 D0 D1 E2 E3 E4 E5 E9 FC F6"
TRANSFORMS = (
    Transform(
        name="base64", title="base64, in one line or many", refs=(f"{_RFC} 4", "RFC 2045 6.8"), decode=_base64,
        scan=_runs(_LINES, 32, _FIRST, 1, _base64_end),
        gaps=(
            "runs of less than 32 characters",
            "runs without small letters, capitals and digits among their first 256 characters",

            "lines behind quotation marks or indented",
            "a second block in one run of lines without other characters, more than 4 MiB behind the start of the run",
            "characters glued to the front of a run without padding shift it",
        ),
    ),
    Transform(
        name="base64_url", title="base64 with the URL-safe alphabet", refs=(f"{_RFC} 5",), decode=_base64_url,
        scan=_url_starts, gaps=("runs without - or _ are taken for plain base64", "wrapped lines"),
    ),
    Transform(
        name="base64_wide", title="base64 in UTF-16", refs=(f"{_RFC} 4",), decode=_base64_wide,
        scan=_runs(_LINES, 32, _FIRST, 2, _base64_end),
        gaps=("the URL-safe alphabet", "big-endian text loses its last character"),
    ),
    Transform(
        name="hex", title=r"Hexadecimal: plain, in pairs, and as \x41", refs=(f"{_RFC} 8",), decode=_hex, scan=_hex_starts,
        gaps=("plain runs of less than 66 digits (digests)", "dumps with offsets or in words, Intel HEX and S-records", "in UTF-16"),
    ),
    Transform(
        name="percent", title="Percent-encoding in URLs and forms", refs=("RFC 3986 2.1", "WHATWG URL 5"), decode=_percent, owns=False,
        scan=_percent_starts,
        gaps=("in UTF-16", "%uXXXX"),
    ),
    Transform(
        name="quoted_printable", title="Quoted-printable", refs=("RFC 2045 6.7",), decode=_quoted, owns=False,
        signatures=tuple(Signature(b"=" + s) for s in (b"\r\n", b"\n", *_COMMON.split())),
        gaps=("a text whose first escape is none of the twenty most common", "small hexadecimal digits"),
    ),
)  # fmt: skip
