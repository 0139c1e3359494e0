"""Where a UDIF image keeps its tables: the trailer, and the resources in its property list or its resource fork."""

from __future__ import annotations

from binascii import a2b_base64
from typing import Any
from xml.parsers import expat

from forensiclib.core.errors import Corrupt, NotThisFormat, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import udif as f
from forensiclib.images._blocks import read_exactly, root_of
from forensiclib.images.apple.chunks import Blocks

__all__ = ["Trailer", "tables", "trailer"]

BEHIND = 1 << 16
"""Bytes behind the trailer that are looked over: what pads a file to a block, or a download that went on."""
NESTED = 32
"""Levels of a property list; that of an image has six."""

Trailer = dict[str, Any]
"""The fields of the koly block, and ``at``, where it stands."""


def trailer(file: ByteSource, budget: Budget) -> Trailer:
    """The koly block: at the end, behind which bytes that are not its own are a finding, or at the start. NotThisFormat for none."""
    size = f.KOLY.size
    tail = file.read_at(max(0, file.size - BEHIND - size), BEHIND + size)
    places = [file.size - size] if tail[-size:][:4] == f.SIGNATURE else []
    begin = tail.rfind(f.SIGNATURE + b"\0\0\0\x04\0\0\x02\0")
    places += [file.size - len(tail) + begin] if begin >= 0 and len(tail) - begin >= size else []
    places += [0] if file.read_at(0, 4) == f.SIGNATURE else []
    for at in dict.fromkeys(p for p in places if p >= 0):
        raw = file.read_at(at, size)
        if len(raw) < size:
            continue
        found = f.KOLY.dict(raw) | {"at": at}
        span = Span(root_of(file), at, size)
        if found["header_size"] != size or found["version"] != 4:
            raise Unsupported("UDIF trailer", span, f"version {found['version']}, {found['header_size']} bytes")
        if found["sectors"] > 1 << 51:
            raise Corrupt("UDIF trailer", span, f"a disk of {found['sectors']} sectors")
        if at and at + size < file.size:
            budget.report(Finding.note("UDIF trailer", f"{file.size - at - size} bytes stand behind it", span.root, span))
        return found
    raise NotThisFormat("UDIF", Span(root_of(file), max(0, file.size - size), size), "no koly block, neither at the end nor at the start")


class _Listing:
    """The blkx resources of a property list, as the parser meets them."""

    def __init__(self, span: Span) -> None:
        self.out: list[Blocks] = []
        self._span, self._item = span, dict[str, str]()
        self._keys: list[str] = []
        self._text: list[str] = []
        self._depth = 0

    def start(self, name: str, _attributes: object) -> None:
        self._depth += 1
        if self._depth > NESTED:
            raise Corrupt("UDIF property list", self._span, f"deeper than {NESTED} levels")
        self._text.clear()
        if name == "dict":
            self._keys.append("")

    def text(self, data: str) -> None:
        self._text.append(data)

    def end(self, name: str) -> None:
        self._depth -= 1
        if name == "dict":
            self._keys.pop()
            if self._keys == ["resource-fork", "blkx"]:
                self._finish()
        elif name == "key" and self._keys:
            self._keys[-1] = "".join(self._text)
        elif name in ("data", "string") and self._keys[:2] == ["resource-fork", "blkx"] and len(self._keys) == 3:
            self._item[self._keys[2]] = "".join(self._text)
        self._text.clear()

    def _finish(self) -> None:
        item, self._item = self._item, {}
        try:
            raw = a2b_base64(item.get("Data", ""))
        except ValueError as error:
            raise Corrupt("UDIF property list", self._span, f"a block table that is not base64: {error}") from error
        self.out.append(Blocks(item.get("Name") or item.get("CFName", ""), item.get("ID", ""), raw, self._span))

    def refuse(self, *_declaration: object) -> None:
        """Entities: no image has any."""
        raise Corrupt("UDIF property list", self._span, "it declares entities")


def _from_plist(file: ByteSource, at: int, size: int, budget: Budget) -> list[Blocks]:
    span = Span(root_of(file), at, size)
    budget.allocate("UDIF property list", size, span)
    raw = read_exactly(file, at, size, "UDIF property list")
    found, parser = _Listing(span), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = found.start, found.end, found.text
    parser.EntityDeclHandler, parser.buffer_text = found.refuse, True
    try:
        parser.Parse(raw.rstrip(b"\0"), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Corrupt("UDIF property list", span, str(error)) from error
    return found.out


def _from_fork(file: ByteSource, at: int, size: int, budget: Budget) -> list[Blocks]:
    """The blkx resources of a resource fork. Corrupt for a map that points outside of it."""
    span = Span(root_of(file), at, size)
    budget.allocate("UDIF resource fork", size, span)
    raw = read_exactly(file, at, size, "UDIF resource fork")

    def bad(found: str) -> Corrupt:
        return Corrupt("UDIF resource fork", span, found)

    if len(raw) < f.RSRC_HEADER.size:
        raise bad(f"{len(raw)} bytes")
    head = f.RSRC_HEADER.dict(raw)
    where = head["map_offset"]
    if where + f.RSRC_MAP.size + 2 > size:
        raise bad(f"its map at {where}")
    shape = f.RSRC_MAP.dict(raw, where)
    types, names = where + shape["types_offset"], where + shape["names_offset"]
    if types + 2 > size:
        raise bad(f"its list of types at {types}")
    out: list[Blocks] = []
    for number in range((int.from_bytes(raw[types : types + 2], "big") + 1) & 0xFFFF):
        place = types + 2 + number * f.RSRC_TYPE.size
        if place + f.RSRC_TYPE.size > size:
            raise bad(f"type {number} at {place}")
        kind, last, references = f.RSRC_TYPE.unpack(raw, place)
        for i in range(last + 1 if kind == b"blkx" else 0):
            budget.item()
            place = types + references + i * f.RSRC_REFERENCE.size
            if place + f.RSRC_REFERENCE.size > size:
                raise bad(f"reference {i} at {place}")
            ident, name, _attributes, offset, _handle = f.RSRC_REFERENCE.unpack(raw, place)
            begin = head["data_offset"] + int.from_bytes(offset, "big")
            length = int.from_bytes(raw[begin : begin + 4], "big")
            if begin + 4 + length > size:
                raise bad(f"resource {ident} of {length} bytes at {begin}")
            text = names + name
            label = raw[text + 1 : text + 1 + raw[text]].decode("mac_roman") if name != 0xFFFF and text < size else ""
            number_text = str(ident - 0x10000 if ident & 0x8000 else ident)
            out.append(Blocks(label, number_text, raw[begin + 4 : begin + 4 + length], Span(span.root, at + begin + 4, length)))
    return out


def tables(file: ByteSource, found: Trailer, budget: Budget) -> list[Blocks]:
    """The block tables that the trailer leads to: in the property list, in the resource fork where there is none; empty without either."""
    if found["xml_size"]:
        return _from_plist(file, found["xml_offset"], found["xml_size"], budget)
    if found["rsrc_size"]:
        return _from_fork(file, found["rsrc_offset"], found["rsrc_size"], budget)
    return []
