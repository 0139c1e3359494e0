"""Item identifier lists: the shell's paths, in links, jump lists, shell bags and recent-document lists."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from forensiclib.core.declare import StoreFormat
from forensiclib.core.errors import Corrupt, Truncated
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.text import c_string, utf16
from forensiclib.core.time import Timestamp
from forensiclib.formats import shellitem as fmt
from forensiclib.formats._dsl import layout
from forensiclib.stores.propertystore import read_properties

__all__ = ["STORE", "ShellItem", "read_item", "read_items", "shell_path"]

_FILE, _EXTENSION, _FILE_EXTENSION = layout(fmt.FILE), layout(fmt.EXTENSION), layout(fmt.FILE_EXTENSION)
_URI, _CATEGORY, _VIEW = layout(fmt.URI), layout(fmt.CATEGORY), layout(fmt.PROPERTY_VIEW)
_NAMES = ("b725f130-47ef-101a-a5f1-02608c9eebac/10", "28636aa6-953d-11d2-b5d6-00c04fd918d0/30")
"""System.ItemNameDisplay, System.ParsingPath's last part."""


@dataclass(frozen=True, slots=True)
class ShellItem:
    """One part of a shell path.

    at, size  bytes in the data given, the size field included; type   class type as stored
    kind      "root", "volume", "directory", "file", "network", "uri", "control panel", "property view", "delegate",
              "unknown"
    text      its name as the shell shows it; "" when unknown
    facts     short_name, long_name, localized_name, attributes, size, record, sequence, guid, properties,
              extensions ... as far as the item has them; JSON values
    times     "modified", "created", "accessed"
    data      the item's bytes
    """

    at: int
    size: int
    type: int
    kind: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    times: Mapping[str, Timestamp] = field(default_factory=dict)
    data: bytes = b""

    def row(self) -> dict[str, Any]:
        """JSON form; items that were not understood carry their bytes as hexadecimal."""
        base = {"kind": self.kind, "type": f"{self.type:02x}", "text": self.text}
        times = {name: time.iso() for name, time in self.times.items() if time.ns is not None}
        raw = {"data": self.data.hex()} if self.kind in ("unknown", "delegate") else {}
        return base | dict(self.facts) | times | raw


def shell_path(items: Iterable[ShellItem]) -> str:
    """The items' names joined; a drive's root takes no second backslash."""
    out = ""
    for item in items:
        text = item.text or f"<{item.kind} {item.type:02x}>"
        # A drive stands below My Computer: the path that people know begins with it.
        out = text if item.kind == "volume" or not out else out.rstrip("\\") + "\\" + text
    return out


def read_items(data: bytes, budget: Budget, at: int = 0) -> tuple[ShellItem, ...]:
    """The list at ``at``, up to its terminator or the end of ``data``; damage is reported and ends it."""
    out: list[ShellItem] = []
    while at + 2 <= len(data):
        budget.item()
        size = int.from_bytes(data[at : at + 2], "little")
        if size == 0:
            return tuple(out)
        if size < 3 or at + size > len(data):
            budget.report(Corrupt("shell item", None, f"{size} bytes at {at} of {len(data)}"))
            return tuple(out)
        out.append(read_item(data[at : at + size], budget, at))
        at += size
    budget.report(Truncated("shell item list", None, "no terminator"))
    return tuple(out)


def read_item(data: bytes, budget: Budget, at: int = 0) -> ShellItem:
    """One item, its size field first; ``at`` is only noted in the result."""
    kind = data[2] if len(data) > 2 else 0
    blank = ShellItem(at, len(data), kind, "unknown", "", data=data)
    for decode in _DECODERS:
        made = decode(blank, budget)
        if made is not None:
            return made
    return _delegate(blank, budget) or _extended(blank, budget)


def _text(data: bytes, at: int, wide: bool) -> tuple[str, int]:
    """A NUL-terminated text and the offset behind it."""
    if not wide:
        end = data.find(b"\0", at)
        end = len(data) if end < 0 else end
        return c_string(data[at:end], "cp1252"), end + 1
    end = at
    while end + 2 <= len(data) and data[end : end + 2] != b"\0\0":
        end += 2
    return utf16(data[at:end]), end + 2


def _extensions(data: bytes) -> list[tuple[int, int, int, int]]:
    """(offset, size, version, signature) of the extension blocks.

    The item's last two bytes point to the first; where they do not, its signature is searched for.
    """
    at = int.from_bytes(data[-2:], "little")
    if not (4 <= at <= len(data) - 8 and data[at + 6 : at + 8] == b"\xef\xbe"):
        at = data.find(b"\xef\xbe", 10) - 6
    out = []
    while 4 <= at <= len(data) - _EXTENSION.size:
        size, version, signature = _EXTENSION.unpack(data, at)
        if size < _EXTENSION.size or at + size > len(data) or signature >> 16 != 0xBEEF:
            break
        out.append((at, size, version, signature))
        at += size
    return out


def _extended(item: ShellItem, budget: Budget) -> ShellItem:
    """The item with what its extension blocks say."""
    facts, times, text = dict(item.facts), dict(item.times), item.text
    others = []
    for at, size, version, signature in _extensions(item.data):
        block = item.data[at : at + size]
        if signature == 0xBEEF0004 and size >= _FILE_EXTENSION.size:
            more, stamps = _file_extension(block, version)
            facts |= more
            times |= stamps
            text = more.get("long_name") or text
        elif signature == 0xBEEF0003 and size >= 24:
            facts["class"] = guid(block[8:24])
        else:
            others.append({"signature": f"{signature:08x}", "version": version, "data": block[8:].hex()})
    if others:
        facts["extensions"] = others
    return replace(item, facts=facts, times=times, text=text)


def _file_extension(block: bytes, version: int) -> tuple[dict[str, Any], dict[str, Timestamp]]:
    e = _FILE_EXTENSION.dict(block)
    times = {"created": _fat(e["created_date"], e["created_time"]), "accessed": _fat(e["accessed_date"], e["accessed_time"])}
    facts: dict[str, Any] = {"extension_version": version, "system": e["system"]}
    at = _FILE_EXTENSION.size
    if version >= 7 and len(block) >= at + 18:
        reference = int.from_bytes(block[at + 2 : at + 10], "little")
        if reference:
            facts |= {"record": reference & (1 << 48) - 1, "sequence": reference >> 48}
        at += 18
    localized = int.from_bytes(block[at : at + 2], "little")
    at += 2 + (4 if version >= 9 else 0) + (4 if version >= 8 else 0)
    facts["long_name"], at = _text(block, at, True)
    if localized and at < len(block) - 2:
        facts["localized_name"] = _text(block[:-2], at, version >= 7)[0]
    return facts, times


def _fat(date: int, time: int) -> Timestamp:
    return replace(Timestamp.fat(date, time), zone="utc")


def _folder(identifier: str) -> str:
    return fmt.FOLDERS.get(identifier, f"{{{identifier}}}")


def _property_view(item: ShellItem, budget: Budget) -> ShellItem | None:
    if item.type not in (0x00, 0x1F) or item.size < _VIEW.size:
        return None
    view = _VIEW.dict(item.data)
    if view["signature"] not in fmt.PROPERTY_VIEW_SIGNATURES:
        return None
    at = _VIEW.size
    identifier = item.data[at : at + view["identifier_size"]]
    facts: dict[str, Any] = {"identifier": identifier.hex()}
    text = ""
    if len(identifier) == 16:
        facts = {"guid": guid(identifier)}
        text = _folder(facts["guid"])
    at += view["identifier_size"]
    properties = read_properties(item.data[at : at + view["store_size"]], budget) if view["store_size"] else {}
    if properties:
        facts["properties"] = properties
        text = next((str(properties[name]) for name in _NAMES if name in properties), text)
    return _extended(replace(item, kind="property view", text=text, facts=facts), budget)


def _root(item: ShellItem, budget: Budget) -> ShellItem | None:
    if item.type != 0x1F or item.size < 20:
        return None
    facts = {"guid": guid(item.data[4:20])}
    return _extended(replace(item, kind="root", text=_folder(facts["guid"]), facts=facts), budget)


def _volume(item: ShellItem, budget: Budget) -> ShellItem | None:
    if item.type & 0x70 != 0x20:
        return None
    if item.data[4:5] == b":" or (item.type & 1 and item.size > 4):
        return _extended(replace(item, kind="volume", text=_text(item.data, 3, False)[0]), budget)
    if item.size < 20:
        return None
    facts = {"guid": guid(item.data[4:20])}
    return _extended(replace(item, kind="root", text=_folder(facts["guid"]), facts=facts), budget)


def _file(item: ShellItem, budget: Budget) -> ShellItem | None:
    if item.type & 0x70 != 0x30 or item.size < _FILE.size:
        return None
    return _extended(_entry(item, item.data, item.type), budget)


def _entry(item: ShellItem, data: bytes, kind: int) -> ShellItem:
    """``data`` is laid out as a file entry, in the item or nested in it."""
    e = _FILE.dict(data)
    extensions = _extensions(data)
    end = extensions[0][0] if extensions else len(data)
    name, at = _text(data[:end], _FILE.size, bool(kind & 4))
    facts: dict[str, Any] = {"short_name": name, "attributes": e["attributes"], "size": e["file_size"]}
    if not extensions and at < end:  # before XP the 8.3 name follows the long one
        facts["short_name"] = _text(data, at, bool(kind & 4))[0] or name
    times = {"modified": _fat(e["modified_date"], e["modified_time"])}
    return replace(item, kind="directory" if kind & 1 else "file", text=name, facts=facts, times=times)


def _users_files(item: ShellItem, budget: Budget) -> ShellItem | None:
    """Type 0x74: a file entry nested behind "CFSF", then the classes of the folder that wrote it."""
    if item.type != 0x74 or item.data[6:10] != b"CFSF":
        return None
    size = int.from_bytes(item.data[10:12], "little")
    nested = item.data[10 : 10 + size]
    if len(nested) < _FILE.size:
        return None
    made = _extended(_entry(item, nested, nested[2]), budget)
    return replace(made, facts=dict(made.facts) | _delegate_class(item.data))


def _delegate_class(data: bytes) -> dict[str, str]:
    at = data.find(uuid.UUID(fmt.DELEGATE).bytes_le)
    return {"guid": guid(data[at + 16 : at + 32])} if 0 <= at <= len(data) - 32 else {}


def _delegate(item: ShellItem, budget: Budget) -> ShellItem | None:
    facts = _delegate_class(item.data)
    if not facts:
        return None
    return _extended(replace(item, kind="delegate", text=_folder(facts["guid"]), facts=facts), budget)


def _network(item: ShellItem, budget: Budget) -> ShellItem | None:
    if item.type & 0x70 != 0x40 or item.size < 6:
        return None
    flags = item.data[4]
    location, at = _text(item.data, 5, False)
    facts = {}
    for name, flag in (("description", 0x80), ("comments", 0x40)):
        if flags & flag:
            facts[name], at = _text(item.data, at, False)
    return _extended(replace(item, kind="network", text=location, facts=facts), budget)


def _uri(item: ShellItem, budget: Budget) -> ShellItem | None:
    if item.type != 0x61 or item.size < 8:
        return None
    flags, size = item.data[3], int.from_bytes(item.data[4:6], "little")
    times = {}
    if size >= 16 and item.size >= _URI.size:
        times = {"accessed": Timestamp.filetime(_URI.dict(item.data)["time"])}
    at = 6 + size
    if item.data[at : at + 2] == b"\0\0":  # stands before the text in all links seen
        at += 2
    text = _text(item.data, at, bool(flags & 0x80))[0]
    return _extended(replace(item, kind="uri", text=text, times=times), budget)


def _control_panel(item: ShellItem, budget: Budget) -> ShellItem | None:
    if item.type == 0x71 and item.size >= 30:
        facts = {"guid": guid(item.data[14:30])}
        return _extended(replace(item, kind="control panel", text=_folder(facts["guid"]), facts=facts), budget)
    if item.type == 0x01 and item.size >= _CATEGORY.size:
        c = _CATEGORY.dict(item.data)
        if c["signature"] == fmt.CATEGORY_SIGNATURE:
            number = c["category"]
            name = fmt.CATEGORIES[number] if number < len(fmt.CATEGORIES) else f"category {number}"
            return replace(item, kind="control panel", text=name, facts={"category": number})
    return None


_DECODERS: tuple[Callable[[ShellItem, Budget], ShellItem | None], ...] = (
    _property_view, _root, _volume, _file, _users_files, _network, _uri, _control_panel,
)  # fmt: skip


def _open(source: ByteSource, companions: Mapping[str, ByteSource], budget: Budget) -> tuple[ShellItem, ...]:
    return read_items(source.read_at(0, budget.allocate("shell item list", source.size)), budget)


STORE = StoreFormat(
    name="shellitems",
    title="Shell item list (paths of the Windows shell)",
    refs=("[MS-SHLLINK] 2.2", "libfwsi: Windows Shell Item format"),
    gaps=(
        "Compressed folder, MTP, FTP and game folder items are kept as bytes",
        "ANSI names are read as code page 1252",
        "Extension blocks other than beef0003 and beef0004 are kept as hexadecimal",
    ),
    open=_open,
)
