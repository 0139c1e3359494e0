"""One event as XML, as Windows Event Viewer shows it. It has no compiled form: it is asked for one record at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable

from forensiclib._plain.evtx_binxml import Decoder
from forensiclib._plain.evtx_json import Attribute, Node
from forensiclib._plain.evtx_values import ARRAY, BAD, BINARY, GUID, NULL, Piece, elements, text

__all__ = ["evtx_xml"]

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML 1.0 cannot say, not even as a reference; written as U+FFFD."""


def _escaped(said: str) -> str:
    said = said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _FORBIDDEN.sub("\ufffd", said)


def _piece(piece: Piece) -> str:
    said = text(piece)
    if piece[0] == GUID:
        return f"{{{said.upper()}}}"
    return said.upper() if piece[0] in (BINARY, BAD) else _escaped(said)


def _attributes(attributes: Iterable[Attribute]) -> str:
    said = ""
    for attribute in attributes:
        if any(kind != NULL for kind, _ in attribute.pieces) or not attribute.pieces:
            value = "".join(map(_piece, attribute.pieces)).replace('"', "&quot;")
            said += f' {_escaped(attribute.name)}="{value}"'
    return said


def _element(node: Node) -> str:
    if node.absent:
        return ""
    name, head = _escaped(node.name), f"{_escaped(node.name)}{_attributes(node.attributes)}"
    if len(node.order) == 1 and len(node.pieces) == 1 and node.pieces[0][0] < 256 and node.pieces[0][0] & ARRAY:
        members = elements(*node.pieces[0]) or []
        return "".join(f"<{head}>{_piece(member)}</{name}>" for member in members)
    inside = _inside(node)
    return f"<{head}>{inside}</{name}>" if inside else f"<{head}/>"


def _inside(node: Node) -> str:
    parts: list[str] = []
    target = ""
    for part in node.order:
        if isinstance(part, Node):
            parts.append(_element(part))
        elif part[0] == "?":
            target = str(part[1])
        elif part[0] == "=":
            parts.append(f"<?{_escaped(target)} {_escaped(str(part[1])).replace('?>', '? >')}?>")
        elif isinstance(part[1], bytes) and isinstance(part[0], int):
            parts.append(_piece((part[0], part[1])))
    return "".join(parts)


def evtx_xml(chunk: bytes | bytearray | memoryview, start: int, end: int) -> str:
    """The BinXML at [start, end) of ``chunk`` (up to 65,536 bytes) as XML text.

    An array becomes its element repeated; an optional attribute or dependent element without value
    is left out, as [MS-EVEN6] 2.2.12 says. Damage cuts the text short: the element closes there.
    ValueError when the range is not in the chunk.
    """
    if not 0 <= start <= end <= len(chunk):
        raise ValueError("the range is not in the chunk")
    return _inside(Decoder(bytes(chunk)).event(start, end))
