"""XML of every kind, HTML and JSON: the grammar says where they end."""

from __future__ import annotations

import json
import re
from xml.parsers import expat

from forensiclib.carving._read import find
from forensiclib.core.declare import Carver, Find, Kind, Signature
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource

__all__ = ["CARVERS"]

_STEP = 16 << 10
_DEEP = 4_096
_JSON = 16 << 20
_SECTOR = 512

_ROOTS = {
    "plist": ("plist", "application/x-plist", "XML property list"),
    "rss": ("rss", "application/rss+xml", "RSS feed"),
    "feed": ("atom", "application/atom+xml", "Atom feed"),
    "html": ("xhtml", "application/xhtml+xml", "XHTML page"),
    "FictionBook": ("fb2", "application/x-fictionbook+xml", "FictionBook"),
    "stylesheet": ("xsl", "application/xslt+xml", "XSL style sheet"),
    "schema": ("xsd", "application/xml", "XML schema"),
    "Task": ("xml", "application/xml", "Windows scheduled task"),
    "assembly": ("manifest", "application/xml", "Windows assembly manifest"),
    "MMC_ConsoleFile": ("msc", "application/x-mmc", "Windows management console"),
    "wordDocument": ("xml", "application/vnd.ms-word", "Word 2003 XML document"),
    "Workbook": ("xml", "application/vnd.ms-excel", "Excel 2003 XML workbook"),
    "package": ("xml", "application/xml", "Office flat package"),
    "document": ("fodt", "application/vnd.oasis.opendocument.text-flat-xml", "OpenDocument flat file"),
    "Project": ("xml", "application/xml", "build project (MSBuild)"),
    "project": ("xml", "application/xml", "build project (Ant or Maven)"),
    "opml": ("opml", "text/x-opml", "OPML outline"),
    "xliff": ("xlf", "application/x-xliff+xml", "XLIFF translation"),
    "tmx": ("tmx", "application/x-tmx+xml", "TMX translation memory"),
    "COLLADA": ("dae", "model/vnd.collada+xml", "COLLADA scene"),
    "Configuration": ("xml", "application/xml", "XML configuration"),
    "configuration": ("config", "application/xml", ".NET configuration"),
    "dfxml": ("dfxml", "application/xml", "Digital Forensics XML"),
    "Event": ("xml", "application/xml", "Windows event as XML"),
    "Events": ("xml", "application/xml", "Windows events as XML"),
    "WLANProfile": ("xml", "application/xml", "Windows wireless profile"),
    "DiskDescriptor": ("xml", "application/xml", "Parallels disk descriptor"),
    "map": ("xml", "application/xml", "Android preferences"),
    "manifest": ("xml", "application/xml", "manifest"),
    "TEI": ("tei", "application/tei+xml", "TEI text"),
    "book": ("dbk", "application/docbook+xml", "DocBook book"),
    "article": ("dbk", "application/docbook+xml", "DocBook article"),
    "score-partwise": ("musicxml", "application/vnd.recordare.musicxml+xml", "MusicXML score"),
    "Types": ("xml", "application/xml", "Office content types"),
    "Relationships": ("rels", "application/xml", "Office relationships"),
    "resources": ("xml", "application/xml", "Android resources"),
    "definitions": ("wsdl", "application/wsdl+xml", "WSDL service"),
    "mxfile": ("drawio", "application/vnd.jgraph.mxfile", "draw.io diagram"),
    "VirtualBox": ("vbox", "application/x-virtualbox-vbox", "VirtualBox machine"),
    "KeePassFile": ("xml", "application/xml", "KeePass export"),
    "playlist": ("xspf", "application/xspf+xml", "XSPF playlist"),
    "smil": ("smil", "application/smil+xml", "SMIL presentation"),
}


class _Xml:
    """An expat parser that notes where the root closes. Entities that name entities are refused."""

    def __init__(self, encoding: str | None) -> None:
        self.depth = self.elements = 0
        self.root = ""
        self.end = -1
        self.parser = expat.ParserCreate(encoding, "|")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._close
        self.parser.EntityDeclHandler = self._entity

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self.root = self.root or name.rpartition("|")[2]
        self.depth, self.elements = self.depth + 1, self.elements + 1
        if self.depth > _DEEP:
            raise ValueError("too deep")

    def _close(self, _name: str) -> None:
        self.depth -= 1
        if not self.depth:
            self.end = self.parser.CurrentByteIndex

    def _entity(self, _name: str, parameter: int, value: str | None, *_rest: object) -> None:
        if value is not None and "&" in value and not parameter:
            raise ValueError("entity of entities")


def _measure_xml(data: ByteSource, budget: Budget) -> Find | None:
    wide = data.read_at(0, 2) in (b"\xff\xfe", b"\xfe\xff")  # Windows writes encoding="unicode", which nobody knows
    walk, at, step = _Xml("utf-16" if wide else None), 0, 1024
    try:
        while walk.end < 0 and at < data.size:
            budget.check()
            piece = data.read_at(at, step)
            walk.parser.Parse(piece, False)
            at, step = at + len(piece), min(_STEP, step * 2)
    except expat.ExpatError:
        if walk.end < 0:
            broken = max(0, walk.parser.ErrorByteIndex)
            return (
                Find(broken, 0.4, f"{walk.elements} elements, then no XML", *_xml_kind(walk.root), complete=False)
                if walk.elements > 8 and broken
                else None
            )
    except (ValueError, LookupError):
        return None
    if walk.end < 0:
        return (
            Find(data.size, 0.4, f"{walk.elements} elements, the data ends before the root closes", *_xml_kind(walk.root), complete=False)
            if walk.elements
            else None
        )
    return _xml_end(data, walk, budget)


def _xml_end(data: ByteSource, walk: _Xml, budget: Budget) -> Find | None:
    """Behind the closing tag of the root, with one line end."""
    wide = data.read_at(0, 2) in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data.read_at(0, 4)
    close = (b">\0" if data.read_at(0, 1) in (b"\xff", b"<") else b"\0>") if wide else b">"
    end = find(data, close, walk.end, walk.end + 65_536, budget)
    if end < 0:
        return None
    end += len(close)
    tail = data.read_at(end, 4)
    for line in (b"\r\0\n\0", b"\n\0", b"\0\r\0\n", b"\0\n") if wide else (b"\r\n", b"\n"):
        if tail.startswith(line):
            end += len(line)
            break
    return Find(end, 0.85, f"well-formed, {walk.elements} elements, root {walk.root!r}", *_xml_kind(walk.root))


def _xml_kind(root: str) -> tuple[str, str]:
    extension, _, title = _ROOTS.get(root, ("xml", "", ""))
    return extension, title


_PAGE = re.compile(rb"<(?:head|title|body|meta|script|link|table|div|p|h1|a)\b", re.IGNORECASE)
_CLOSE = re.compile(rb"</html\s*>[ \t]*(?:\r\n|\n)?", re.IGNORECASE)
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def _measure_html(data: ByteSource, budget: Budget) -> Find | None:
    head = data.read_at(0, 4096).partition(b"\0")[0]
    if not re.match(rb"<(?:!doctype\s+html|html)[\s>]", head, re.IGNORECASE) or not _PAGE.search(head):
        return None
    if _NO_TEXT.search(head[:24]):
        return None
    at, tail = 0, b""
    while at < data.size:
        budget.check()
        piece = data.read_at(at, _STEP)
        buffer = tail + piece
        close, junk = _CLOSE.search(buffer), _NO_TEXT.search(buffer)
        if close is not None and (junk is None or close.start() < junk.start()):
            return Find(at - len(tail) + close.end(), 0.8, "text to the closing tag of the page")
        if junk is not None:
            end = at - len(tail) + junk.start()
            return Find(end, 0.4, "text up to a byte that is none; the page is not closed", complete=False)
        at, tail = at + len(piece), buffer[-16:]
    return Find(data.size, 0.4, "text, the data ends before the page is closed", complete=False)


def _measure_json(data: ByteSource, budget: Budget) -> Find | None:
    head = data.read_at(0, 64).partition(b"\0")[0]
    if _NO_TEXT.search(head) or not re.match(rb'[\[{]\s*(?:[\[{]\s*)?"(?:[^"\\\x00-\x1f]|\\.){0,50}(?:"\s*[:,\]]|$)', head):
        return None
    size, text, end = 4096, "", -1
    while True:
        budget.check()
        raw = data.read_at(0, size)
        stop = raw.find(b"\0")
        raw = raw if stop < 0 else raw[:stop]
        text = raw.decode("utf-8", "surrogateescape")
        try:
            value, end = json.JSONDecoder().raw_decode(text)
        except json.JSONDecodeError as error:
            if error.pos < len(text) - 64 and "Unterminated" not in error.msg:
                return None
        except (RecursionError, ValueError):
            return None
        if end >= 0 or stop >= 0 or size >= min(data.size, _JSON):
            break
        size *= 8
    if end < 0:
        return None
    length = len(text[:end].encode("utf-8", "surrogateescape"))
    if length < 32 or not value:
        return None
    notebook = isinstance(value, dict) and "nbformat" in value
    har = isinstance(value, dict) and isinstance(value.get("log"), dict) and "entries" in value["log"]
    kind = ("ipynb", "Jupyter notebook") if notebook else ("har", "HTTP archive") if har else ("", "")
    lines, length = _more_lines(data, length, budget)
    if lines > 1:
        return Find(length, 0.8, f"{lines} JSON values, one a line", "ndjson", "JSON lines")
    return Find(length, 0.8, "one JSON value to its end", *kind)


def _more_lines(data: ByteSource, at: int, budget: Budget) -> tuple[int, int]:
    """(values, offset behind them) when more of them follow the one that ends at ``at``, each on a line of its own."""
    lines = 1
    while True:
        budget.item()
        tail = data.read_at(at, 3)
        at += 2 if tail[:2] == b"\r\n" else tail[:1] == b"\n"
        raw = data.read_at(at, 64 << 10) if tail.lstrip(b"\r\n")[:1] in (b"{", b"[") and tail[:1] in b"\r\n" else b""
        end = raw.find(b"\n")
        line = raw[: end if end >= 0 else len(raw)].rstrip(b"\r")
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return lines, at
        at, lines = at + len(line), lines + 1


CARVERS = (
    Carver(
        name="xml",
        title="XML document",
        extension="xml",
        mime="application/xml",
        signatures=(
            Signature(b"<?xml version="),
            Signature(b"\xef\xbb\xbf<?xml version="),
            Signature("\ufeff<?xml version=".encode("utf-16-le")),
            Signature("\ufeff<?xml version=".encode("utf-16-be")),
            Signature(b"<!DOCTYPE plist "),
        ),
        measure=_measure_xml,
        maximum=1 << 30,
        refs=("W3C: Extensible Markup Language (XML) 1.0",),
        gaps=(
            "documents without a declaration are not recognised",
            "comments behind the root are left out",
            "entities that name entities are refused",
        ),
        kinds=(Kind("xml", "application/xml", "XML document"), *(Kind(*row) for row in _ROOTS.values())),
    ),
    Carver(
        name="html",
        title="HTML page",
        extension="html",
        mime="text/html",
        signatures=(
            Signature(b"<!DOCTYPE HTML", mask=b"\xff\xff" + b"\xdf" * 7 + b"\xff" + b"\xdf" * 4),
            Signature(b"<HTML", mask=b"\xff\xdf\xdf\xdf\xdf", align=_SECTOR),
        ),
        measure=_measure_html,
        maximum=64 << 20,
        refs=("WHATWG: HTML Living Standard, 13",),
        gaps=(
            "the first closing tag of a page ends it, also one inside a script",
            "pages without a document type only on a sector boundary",
            "UTF-16 pages are not recognised",
        ),
    ),
    Carver(
        name="json",
        title="JSON document",
        extension="json",
        mime="application/json",
        signatures=(
            Signature(b'{"', align=_SECTOR),
            Signature(b'[{"', align=_SECTOR),
            Signature(b'["', align=_SECTOR),
            Signature(b"{\n", align=_SECTOR),
            Signature(b"{\r\n", align=_SECTOR),
            Signature(b"[\n", align=_SECTOR),
        ),
        measure=_measure_json,
        maximum=_JSON,
        refs=("RFC 8259",),
        gaps=(
            "documents of more than 16 MiB are refused",
            "only starts on a sector boundary",
            "a line of more than 64 KiB ends JSON lines",
        ),
        kinds=(
            Kind("json", "application/json", "JSON document"),
            Kind("ipynb", "application/x-ipynb+json", "Jupyter notebook"),
            Kind("ndjson", "application/x-ndjson", "JSON lines"),
            Kind("har", "application/json", "HTTP archive"),
        ),
    ),
)
