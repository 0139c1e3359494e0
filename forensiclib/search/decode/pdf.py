"""PDF: streams through their filters, and the words of a page out of its content stream."""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Callable, Generator

from forensiclib.core.declare import Ended, Signature, Transform
from forensiclib.core.limits import Budget
from forensiclib.search.decode.regions import View
from forensiclib.search.decode.streams import STEP, WORTH, inflated

__all__ = ["TRANSFORMS", "lzw"]

_DICTIONARY = 4096
_STREAM = 32 << 20
_FILTERS = re.compile(rb"/Filter\s*(?:\[([^\]]*)\]|(/\w+))")
_NAMES = {
    b"FlateDecode": "flate", b"Fl": "flate", b"ASCII85Decode": "a85", b"A85": "a85", b"ASCIIHexDecode": "hex", b"AHx": "hex",
    b"LZWDecode": "lzw", b"LZW": "lzw", b"RunLengthDecode": "run", b"RL": "run",
}  # fmt: skip
_SPACE = b"\0\t\n\x0c\r "


def _flate(data: bytes, most: int) -> tuple[bytes, bool]:
    engine, out = zlib.decompressobj(), bytearray()
    for at in range(0, len(data), 4096):
        try:
            out += engine.decompress(data[at : at + 4096], most - len(out) + 1)
        except zlib.error:
            return bytes(out), False
        if engine.eof or len(out) > most:
            break
    return bytes(out[:most]), engine.eof


def _a85(data: bytes, most: int) -> tuple[bytes, bool]:
    end = data.find(b"~>")
    out, group = bytearray(), bytearray()
    for c in data[: end if end >= 0 else len(data)].translate(None, _SPACE):
        if c == 0x7A and not group:
            out += bytes(4)
            continue
        if not 33 <= c <= 117:
            return bytes(out), False
        group.append(c - 33)
        if len(group) == 5:
            out += _base85(group)
            group.clear()
        if len(out) > most:
            break
    if len(group) > 1:
        out += _base85(group + bytes((84,)) * (5 - len(group)))[: len(group) - 1]
    return bytes(out[:most]), end >= 0


def _base85(group: bytearray) -> bytes:
    value = 0
    for digit in group:
        value = value * 85 + digit
    return (value & 0xFFFFFFFF).to_bytes(4, "big")


def _hex(data: bytes, most: int) -> tuple[bytes, bool]:
    end = data.find(b">")
    digits = data[: end if end >= 0 else len(data)].translate(None, _SPACE)
    good = re.compile(rb"[0-9A-Fa-f]*").match(digits)
    text = good[0] if good else b""
    return binascii.unhexlify(text + b"0" * (len(text) % 2))[:most], end >= 0 and len(text) == len(digits)


def _run(data: bytes, most: int) -> tuple[bytes, bool]:
    out, at = bytearray(), 0
    while at < len(data) and len(out) < most:
        n = data[at]
        if n == 128:
            return bytes(out[:most]), True
        if n < 128:
            out += data[at + 1 : at + 2 + n]
            at += 2 + n
        else:
            out += data[at + 1 : at + 2] * (257 - n)
            at += 2
    return bytes(out[:most]), False


def lzw(data: bytes, most: int) -> tuple[bytes, bool]:
    """LZW as PDF and TIFF have it (ISO 32000-1 7.4.4): codes of 9 to 12 bits, most significant bit first, the change one early."""
    table: list[bytes] = []
    out, word, have, width, last = bytearray(), 0, 0, 9, b""
    for byte in data:
        word, have = (word << 8 | byte) & 0xFFFFFFFF, have + 8
        if have < width:
            continue
        have -= width
        code = word >> have & ((1 << width) - 1)
        if code == 257:
            return bytes(out[:most]), True
        if code == 256:
            table, width, last = [], 9, b""
            continue
        if code < 256:
            piece = bytes((code,))
        elif code - 258 < len(table):
            piece = table[code - 258]
        elif code - 258 == len(table) and last:
            piece = last + last[:1]
        else:
            return bytes(out[:most]), False
        out += piece
        if len(out) > most:
            break
        if last and len(table) < 4096 - 258:
            table.append(last + piece[:1])
        last = piece
        size = 258 + len(table) + 1
        width = 12 if size > 2047 else 11 if size > 1023 else 10 if size > 511 else 9
    return bytes(out[:most]), False


_STEPS: dict[str, Callable[[bytes, int], tuple[bytes, bool]]] = {"flate": _flate, "a85": _a85, "hex": _hex, "run": _run, "lzw": lzw}


def _stream(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    """What the filters named in the dictionary before "stream" give."""
    head = view.before(_DICTIONARY)
    head = head[max(head.rfind(b" obj"), head.rfind(b"endobj"), 0) :]
    named = _FILTERS.search(head)
    start = 8 if view.read_at(6, 2) == b"\r\n" else 7
    if named is None:
        return Ended(0)
    names = [_NAMES.get(n) for n in re.findall(rb"/(\w+)", named[1] or named[2])]
    if not names or None in names or len(names) > 8:
        return Ended(0)
    if names == ["flate"]:
        stream = yield from inflated(view, start, 15, budget)
        return Ended(stream.end if stream.whole or stream.size >= WORTH else 0, stream.whole, stream.why)
    size = 1 << 14
    while (end := (data := view.read_at(start, size)).find(b"endstream")) < 0 and size < _STREAM and len(data) == size:
        budget.check()
        size *= 8
    data = data[:end] if end >= 0 else data
    stored, whole = len(data), end >= 0
    for name in names:
        data, good = _STEPS[name or ""](data, _STREAM)
        whole = whole and good
    for at in range(0, len(data), STEP):
        yield data[at : at + STEP]
    return Ended(start + stored if whole or len(data) >= WORTH else 0, whole, "a filter of the stream breaks off")


_TOKEN = re.compile(
    rb"[\0\t\n\x0c\r ]*(?:(?P<open>\()|<(?P<hex>[0-9A-Fa-f\0\t\n\x0c\r ]*)>(?!>)|(?P<number>[-+]?[0-9]*\.?[0-9]+|[0-9]+\.)"
    rb"|/(?P<name>[^\0\t\n\x0c\r ()<>\[\]{}/%]*)"
    rb"|(?P<word>[A-Za-z'\"*][A-Za-z0-9*]*)|(?P<mark>\[|\]|<<|>>)|(?P<comment>%[^\r\n]*))"
)
_STRING = re.compile(rb"[^()\\\r]+|[()]|\\(?:[0-7]{1,3}|\r\n|.|\n)|\r\n?", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_LINES = frozenset((b"Td", b"TD", b"Tm", b"T*", b"ET", b"BT"))
_TEXT = 4 << 20
_GAP = 8192
_SPACED = -180.0
"""Thousandths of the font size by which a TJ moves before it is a space between words."""


def _escaped(rest: bytes) -> bytes:
    """What stands for a backslash and ``rest``."""
    if b"0" <= rest[:1] <= b"7":
        return bytes((int(rest, 8) & 255,))
    return b"" if rest[:1] in (b"\n", b"\r") else _ESCAPES.get(rest, rest)


class _Text:
    """The text of a content stream, and which parts of it stand there as they are."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.out = data, 0, bytearray()
        self.literal: list[tuple[int, int]] = []

    def string(self) -> bytes:
        """A literal string whose "(" was read."""
        out, depth = bytearray(), 1
        while (match := _STRING.match(self.data, self.at)) is not None:
            self.at, piece = match.end(), match[0]
            if piece == b"(":
                depth += 1
            elif piece == b")":
                depth -= 1
                if not depth:
                    break
            elif piece[:1] == b"\\":
                piece = _escaped(piece[1:])
            out += piece
        return bytes(out)

    def show(self, raw: bytes, plain: bool) -> None:
        """One string in the encoding of most simple fonts; two-byte codes of Latin text lose their zeros."""
        if raw[:2] == b"\xfe\xff":
            text = raw[2:].decode("utf-16-be", "replace")
        elif len(raw) > 1 and len(raw) % 2 == 0 and not any(raw[::2]):
            text = raw[1::2].decode("latin-1")
        else:
            text = raw.decode("cp1252", "replace")
        piece = text.encode("utf-8", "replace")
        if plain and piece == raw:
            self.literal.append((len(self.out), len(self.out) + len(piece)))
        self.out += piece

    def follow(self) -> int:
        """Offset behind the last text object; stops at what no content stream has."""
        inside, end, strings, last = False, 0, list[tuple[bytes, bool]](), 0
        moved = dict[int, bool]()
        while (match := _TOKEN.match(self.data, self.at)) is not None and self.at - last < _GAP:
            self.at = match.end()
            kind = match.lastgroup
            if kind == "open":
                begun = self.at
                raw = self.string()
                strings.append((raw, self.data[begun : begun + len(raw)] == raw))
            elif kind == "hex":
                digits = match["hex"].translate(None, _SPACE)
                strings.append((bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode()), False))
            elif kind == "number" and strings and float(match["number"]) < _SPACED:
                moved[len(strings)] = True
            elif kind == "word":
                word = match["word"]
                if inside and word in (b"Tj", b"TJ", b"'", b'"'):
                    if word in (b"'", b'"'):
                        self.out += b"\n"
                    for i, (raw, plain) in enumerate(strings):
                        self.out += b" " if moved.get(i) else b""
                        self.show(raw, plain)
                elif word in _LINES and self.out and self.out[-1] != 10:
                    self.out += b"\n"
                if word in (b"BT", b"ET"):
                    inside, last = word == b"BT", self.at
                    end = self.at if word == b"ET" else end
                strings, moved = [], {}
        return end


def _text(view: View, budget: Budget) -> Generator[bytes, None, Ended]:
    if view.before(1).isalnum():
        return Ended(0)
    size = 1 << 13
    while True:
        budget.check()
        text = _Text(view.read_at(0, size))
        end = text.follow()
        if len(text.data) < size or text.at < size - _GAP - 4096 or size >= _TEXT:
            break
        size *= 8
    if not text.out.strip():
        return Ended(end)
    yield bytes(text.out)
    return Ended(max(end, 1), end > 0, "no end of the text", tuple(text.literal))


TRANSFORMS = (
    Transform(
        name="pdf", title="Streams of PDF documents, through their filters", refs=("ISO 32000-1:2008 7.3.8, 7.4",), decode=_stream,
        signatures=(Signature(b"stream\r\n"), Signature(b"stream\n")),
        gaps=(
            "encrypted documents", "predictors are not undone", "pictures (DCT, JPX, JBIG2, CCITT)",
            "a /Filter that is a reference, or stands more than 4 KiB before its stream",
        ),
    ),
    Transform(
        name="pdf_text", title="Words in the content streams of PDF documents", refs=("ISO 32000-1:2008 9.4, 9.10",),
        decode=_text, owns=False,
        signatures=(Signature(b"BT\n"), Signature(b"BT\r"), Signature(b"BT ")), once=True,
        gaps=(
            "fonts with an encoding of their own (/Differences, /ToUnicode, two-byte codes that are no Unicode), which most browsers and "
            "word processors write", "words set letter by letter with moves between them",
        ),
    ),
)  # fmt: skip
