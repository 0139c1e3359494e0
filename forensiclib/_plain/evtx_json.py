"""Twin of _native/evtx_json.h: a decoded event as columns and compact JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from forensiclib._plain.evtx_values import ARRAY, NULL, Piece, elements, escape, iso_ns, json_text, text

__all__ = ["INTEGERS", "TEXTS", "Attribute", "Node", "capture", "event_json"]

INTEGERS = ("event_id", "qualifiers", "version", "level", "task", "opcode", "event_record_id", "process_id", "thread_id", "time_created")
TEXTS = ("provider", "provider_guid", "event_source", "keywords", "channel", "computer", "user_sid", "activity_id", "related_activity_id")
"""Columns of the System part, in the order of the kernel's output."""

_CONTENT = {
    "EventID": "event_id", "Version": "version", "Level": "level", "Task": "task", "Opcode": "opcode",
    "EventRecordID": "event_record_id", "Keywords": "keywords", "Channel": "channel", "Computer": "computer",
}  # fmt: skip
_ATTRIBUTES = {
    ("EventID", "Qualifiers"): "qualifiers", ("Execution", "ProcessID"): "process_id",
    ("Execution", "ThreadID"): "thread_id", ("TimeCreated", "SystemTime"): "time_created",
    ("Provider", "Name"): "provider", ("Provider", "Guid"): "provider_guid",
    ("Provider", "EventSourceName"): "event_source", ("Security", "UserID"): "user_sid",
    ("Correlation", "ActivityID"): "activity_id", ("Correlation", "RelatedActivityID"): "related_activity_id",
}  # fmt: skip
_GUID = re.compile(r"\{[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")
_NUMBER = re.compile(r"-?[0-9]{1,18}")
_HEX = re.compile(r"0x[0-9a-f]{1,15}")


@dataclass(slots=True)
class Attribute:
    """An attribute; ``taken`` when a column holds it."""

    name: str
    pieces: list[Piece] = field(default_factory=list)
    taken: bool = False

    @property
    def shown(self) -> bool:
        """Whether it belongs in the JSON: has a value, is not a namespace, is in no column."""
        return not self.taken and not self.name.startswith("xmlns") and _some(self.pieces)


@dataclass(slots=True)
class Node:
    """An element. ``depends`` is the substitution whose absence removes it (XML only)."""

    name: str
    attributes: list[Attribute] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    order: list[Piece | Node | tuple[str, str]] = field(default_factory=list)
    text_taken: bool = False
    hidden: bool = False
    always_list: bool = False
    absent: bool = False


def _some(pieces: Iterable[Piece]) -> bool:
    return any(kind != NULL for kind, _ in pieces)


def _joined(pieces: Iterable[Piece]) -> str:
    return "".join(text(piece) for piece in pieces)


def _take(columns: dict[str, int | str], name: str, pieces: Sequence[Piece]) -> bool:
    """Put the text of ``pieces`` into a column that has none yet; whether it is there now."""
    if not _some(pieces):
        return True
    if name in columns:
        return False
    said = _joined(pieces)
    if name == "time_created":
        ns = iso_ns(said)
        if ns is not None:
            columns[name] = ns
        return ns is not None
    if name in INTEGERS:
        if _NUMBER.fullmatch(said):
            columns[name] = int(said)
        elif _HEX.fullmatch(said):
            columns[name] = int(said, 16)
        return name in columns
    columns[name] = said[1:-1].lower() if _GUID.fullmatch(said) else said
    return True


def capture(document: Node) -> dict[str, int | str]:
    """The System part of the first Event as columns; what it took is marked in the tree."""
    columns: dict[str, int | str] = {}
    event = next((n for n in document.children if n.name == "Event"), None)
    system = next((n for n in event.children if n.name == "System"), None) if event else None
    if system is None:
        return columns
    left = False
    for child in system.children:
        if child.name in _CONTENT and not child.children:
            child.text_taken = _take(columns, _CONTENT[child.name], child.pieces)
        for attribute in child.attributes:
            if (name := _ATTRIBUTES.get((child.name, attribute.name))) is not None:
                attribute.taken = _take(columns, name, attribute.pieces)
        content = not child.text_taken and _some(child.pieces)
        child.hidden = not (content or child.children or any(a.shown for a in child.attributes))
        left = left or not child.hidden
    content = _some(system.pieces) or any(a.shown for a in system.attributes)
    system.hidden = not (left or content)
    return columns


def _value(pieces: Sequence[Piece]) -> str:
    if not _some(pieces):
        return "null"
    if len(pieces) == 1:
        return json_text(pieces[0])
    return f'"{escape(_joined(pieces))}"'


def _key(node: Node) -> tuple[str, Attribute | None]:
    """The name under which an element stands: that of Data is its Name attribute."""
    if node.name == "Data":
        for attribute in node.attributes:
            if attribute.name == "Name" and (said := _joined(attribute.pieces)):
                return said, attribute
    return node.name, None


def _content(node: Node, but: Attribute | None) -> tuple[str, bool]:
    """The JSON of an element, and whether that is members for a list to take one by one."""
    shown = [a for a in node.attributes if a is not but and a.shown]
    pieces = [] if node.text_taken else node.pieces
    if not shown and not node.children:
        array = len(pieces) == 1 and pieces[0][0] < 256 and pieces[0][0] & ARRAY != 0
        return _value(pieces), array and elements(*pieces[0]) is not None
    parts = [f'"@{escape(a.name)}":{_value(a.pieces)}' for a in shown]
    if _some(pieces):
        parts.append(f'"#text":{_value(pieces)}')
    return "{" + ",".join(parts + _members(node.children)) + "}", False


def _members(children: Iterable[Node]) -> list[str]:
    """Children as object members: the same name twice is a list, in place of the first."""
    groups: dict[str, list[Node]] = {}
    keys: dict[int, Attribute | None] = {}
    for child in children:
        if not child.hidden:
            key, but = _key(child)
            keys[id(child)] = but
            groups.setdefault(key, []).append(child)
    out = []
    for key, group in groups.items():
        contents = [_content(child, keys[id(child)]) for child in group]
        first = group[0]
        listed = len(group) > 1 or first.always_list or (first.name == "Data" and keys[id(first)] is None)
        if listed:
            body = "[" + ",".join(s for s in (c[1:-1] if spread else c for c, spread in contents) if s) + "]"
        else:
            body = contents[0][0]
        out.append(f'"{escape(key)}":{body}')
    return out


def event_json(document: Node) -> str:
    """What no column holds, as an object: the children of the one Event, or else of the document."""
    if len(document.children) == 1 and document.children[0].name == "Event":
        event = document.children[0]
        parts = [f'"@{escape(a.name)}":{_value(a.pieces)}' for a in event.attributes if a.shown]
        if _some(event.pieces):
            parts.append(f'"#text":{_value(event.pieces)}')
        return "{" + ",".join(parts + _members(event.children)) + "}"
    parts = [f'"#text":{_value(document.pieces)}'] if _some(document.pieces) else []
    return "{" + ",".join(parts + _members(document.children)) + "}"
