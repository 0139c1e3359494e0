"""Shell links: .lnk files, and the links inside jump lists."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from forensiclib.core.declare import Field, Guid, Integer, Json, Path, Signature, StoreFormat, Text, Time
from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.text import c_string, utf16
from forensiclib.core.time import Timestamp
from forensiclib.formats import lnk as fmt
from forensiclib.formats._dsl import Layout, layout, parse
from forensiclib.stores.propertystore import read_properties
from forensiclib.stores.shellitems import ShellItem, read_items, shell_path

__all__ = ["LINK_FIELDS", "STORE", "Link", "link_values", "read_link"]

_INFO, _INFO_UNICODE, _VOLUME = layout(fmt.LINK_INFO), layout(fmt.LINK_INFO_UNICODE), layout(fmt.VOLUME)
_NETWORK, _NETWORK_UNICODE = layout(fmt.NETWORK), layout(fmt.NETWORK_UNICODE)
_TRACKER, _CONSOLE = layout(fmt.TRACKER), layout(fmt.CONSOLE)
_TRACKER_SIGNATURE = 0xA0000003
_TRACKER_START = struct.pack("<II", _TRACKER.size + 8, _TRACKER_SIGNATURE)
_UUID_EPOCH = 0x01B21DD213814000
"""100 ns ticks from 1582-10-15, where UUID time begins, to 1970."""


@dataclass(frozen=True, slots=True)
class Link:
    """A parsed link: ``header`` as stored, ``items`` of its target, and every further fact by field name.

    length  bytes up to and with the terminal block
    """

    header: Any
    length: int
    items: tuple[ShellItem, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_link(source: ByteSource, budget: Budget, *, alone: bool = True) -> Link:
    """The link at the start of ``source``.

    Raises Truncated and NotThisFormat for the header; behind it damage is reported and the parts that can still be
    found are read. ``alone`` False says that other data may follow (a jump list); else bytes behind the link are noted.
    """
    head = parse(fmt.HEADER, source, 0, "shell link header")
    if head.size != fmt.HEADER.sizeof() or guid(head.class_id) != fmt.CLASS:
        raise NotThisFormat("shell link", None, f"header of {head.size} bytes, class {guid(head.class_id)}")
    data = source.read_at(0, budget.allocate("shell link", source.size))
    at = head.size
    items: tuple[ShellItem, ...] = ()
    facts: dict[str, Any] = {}
    if head.flags & fmt.FLAGS["idlist"]:
        at, items = _idlist(data, at, budget)
    if head.flags & fmt.FLAGS["info"] and not head.flags & fmt.FLAGS["no_info"]:
        at, facts = _link_info(data, at, budget)
    at = _strings(data, at, head.flags, facts, budget)
    at = _blocks(data, at, facts, budget)
    if "machine_id" not in facts:
        _find_tracker(source, data, facts, budget)
    if alone and at < len(data):
        left = len(data) - at
        budget.report(Finding.note("data behind the shell link", f"{left} bytes at {at}", span=source.trace(at, left)[0]))
    return Link(head, at, items, facts)


def _sized(data: bytes, at: int, width: int, what: str, budget: Budget) -> tuple[int, bytes]:
    """The bytes of a structure that begins with its size, itself included when ``width`` is 4; what is there and a
    finding when the size is more than that."""
    prefix = data[at : at + width]
    size = int.from_bytes(prefix, "little") + (2 if width == 2 else 0)
    if len(prefix) < width or at + size > len(data):
        budget.report(Truncated(what, None, f"{size} bytes at {at} of {len(data)}"))
        return len(data), data[at:]
    return at + size, data[at : at + size]


def _idlist(data: bytes, at: int, budget: Budget) -> tuple[int, tuple[ShellItem, ...]]:
    end, body = _sized(data, at, 2, "link target list", budget)
    items = read_items(body, budget, 2)
    if end == len(data) and items:  # where the size was wrong, the items still say where they end
        end = min(end, at + items[-1].at + items[-1].size + 2)
    return end, items


def _text(block: bytes, at: int, wide: bool, what: str, budget: Budget) -> str | None:
    """A NUL-terminated text; None and a finding when its offset leaves the block."""
    if not 0 < at < len(block):
        budget.report(Corrupt(what, None, f"text at {at} of {len(block)}"))
        return None
    return utf16(block[at:], stop_at_nul=True) if wide else c_string(block[at:], "cp1252")


def _structure(kind: Layout, block: bytes, at: int, what: str, budget: Budget) -> dict[str, Any] | None:
    if at + kind.size > len(block):
        budget.report(Truncated(what, None, f"{max(0, len(block) - at)} of {kind.size} bytes"))
        return None
    return kind.dict(block, at)


def _link_info(data: bytes, at: int, budget: Budget) -> tuple[int, dict[str, Any]]:
    end, block = _sized(data, at, 4, "link info", budget)
    facts: dict[str, Any] = {}
    info = _structure(_INFO, block, 0, "link info", budget)
    if info is None:
        return max(end, at + 4), facts
    wide = _structure(_INFO_UNICODE, block, _INFO.size, "link info", budget) if info["header_size"] >= 36 else None
    suffix = _text(block, info["suffix_at"], False, "common path suffix", budget) or ""
    if wide and wide["suffix_at"]:
        suffix = _text(block, wide["suffix_at"], True, "common path suffix", budget) or suffix
    if info["flags"] & 1:
        base = _text(block, info["path_at"], False, "local base path", budget)
        if wide and wide["path_at"]:
            base = _text(block, wide["path_at"], True, "local base path", budget) or base
        facts["local_path"] = None if base is None else base + suffix
        facts |= _volume(block[info["volume_at"] :], budget)
    if info["flags"] & 2:
        facts |= _network(block[info["network_at"] :], suffix, budget)
    return end, facts


def _volume(block: bytes, budget: Budget) -> dict[str, Any]:
    # The last field of VOLUME is there only when label_at says so.
    volume = _structure(_VOLUME, block.ljust(_VOLUME.size, b"\0") if len(block) >= 16 else block, 0, "link volume", budget)
    if volume is None:
        return {}
    wide = volume["label_at"] == _VOLUME.size
    label_at = volume["label_unicode_at"] if wide else volume["label_at"]
    kind = volume["type"]
    return {
        "drive_type": fmt.DRIVES[kind] if kind < len(fmt.DRIVES) else str(kind),
        "drive_serial": f"{volume['serial']:08x}",
        "volume_label": _text(block[: volume["size"]], label_at, wide, "volume label", budget),
    }


def _network(block: bytes, suffix: str, budget: Budget) -> dict[str, Any]:
    network = _structure(_NETWORK, block, 0, "link network", budget)
    if network is None:
        return {}
    block = block[: network["size"]]
    wide = _structure(_NETWORK_UNICODE, block, _NETWORK.size, "link network", budget) if network["name_at"] > 20 else None
    use = wide or network
    share = _text(block, use["name_at"], wide is not None, "network name", budget)
    facts: dict[str, Any] = {"network_share": share, "network_path": None if share is None else share + ("\\" + suffix if suffix else "")}
    if network["flags"] & 1:
        facts["network_device"] = _text(block, use["device_at"], wide is not None, "network device", budget)
    if network["flags"] & 2:
        facts["network_provider"] = f"{network['provider']:08x}"
    return facts


def _strings(data: bytes, at: int, flags: int, facts: dict[str, Any], budget: Budget) -> int:
    width = 2 if flags & fmt.FLAGS["unicode"] else 1
    for name, flag in fmt.STRINGS:
        if not flags & flag:
            continue
        length = int.from_bytes(data[at : at + 2], "little") * width
        raw = data[at + 2 : at + 2 + length]
        if at + 2 + length > len(data):
            budget.report(Truncated(f"link {name}", None, f"{length} bytes at {at + 2} of {len(data)}"))
            if not raw:
                return len(data)
        facts[name] = utf16(raw) if width == 2 else raw.decode("cp1252", "backslashreplace")
        at = min(len(data), at + 2 + length)
    return at


def _blocks(data: bytes, at: int, facts: dict[str, Any], budget: Budget) -> int:
    """ExtraData ([MS-SHLLINK] 2.5) up to its terminal block."""
    others: list[dict[str, Any]] = []
    while at + 4 <= len(data):
        budget.item()
        size = int.from_bytes(data[at : at + 4], "little")
        if size < 4:
            at += 4
            break
        if size < 8 or at + size > len(data):
            budget.report(Corrupt("link extra data", None, f"block of {size} bytes at {at} of {len(data)}"))
            others.append({"data": data[at:].hex()})
            at = len(data)
            break
        signature = int.from_bytes(data[at + 4 : at + 8], "little")
        if not _block(signature, data[at + 8 : at + size], facts, budget):
            others.append({"signature": f"{signature:08x}", "data": data[at + 8 : at + size].hex()})
        at += size
    else:
        # Links of old systems and links cut off by their maker end without it.
        if at < len(data):
            budget.report(Truncated("link extra data", None, f"{len(data) - at} bytes at {at}"))
            at = len(data)
    if others:
        facts["extra"] = others
    return at


def _block(signature: int, body: bytes, facts: dict[str, Any], budget: Budget) -> bool:
    """Decode one block into ``facts``; False when it is unknown or too short."""
    if signature in fmt.TEXT_BLOCKS and len(body) >= fmt.ANSI:
        wide = utf16(body[fmt.ANSI :], stop_at_nul=True)
        facts[fmt.TEXT_BLOCKS[signature]] = wide or c_string(body[: fmt.ANSI], "cp1252")
    elif signature == 0xA0000002 and len(body) >= _CONSOLE.size:
        console = _CONSOLE.dict(body)
        console = {name: value for name, value in console.items() if not name.startswith("unused")}
        facts["console"] = console | {"face": utf16(console["face"], stop_at_nul=True), "colors": console["colors"].hex()}
    elif signature == _TRACKER_SIGNATURE and len(body) >= _TRACKER.size:
        facts |= _tracker(body)
    elif signature == 0xA0000004 and len(body) >= 4:
        facts["code_page"] = int.from_bytes(body[:4], "little")
    elif signature == 0xA0000005 and len(body) >= 8:
        facts["special_folder"] = int.from_bytes(body[:4], "little")
    elif signature == 0xA0000008:
        facts["shim"] = utf16(body, stop_at_nul=True)
    elif signature == 0xA0000009:
        facts["properties"] = read_properties(body, budget)
    elif signature == 0xA000000B and len(body) >= 16:
        facts["known_folder"] = guid(body[:16])
    elif signature == 0xA000000C:
        facts["vista_items"] = [item.row() for item in read_items(body, budget)]
    else:
        return False
    return True


def _find_tracker(source: ByteSource, data: bytes, facts: dict[str, Any], budget: Budget) -> None:
    """The tracker block by its first bytes, for links in which damage hides the way to it."""
    at = data.find(_TRACKER_START, fmt.HEADER.sizeof())
    if at >= 0 and _block(_TRACKER_SIGNATURE, data[at + 8 : at + 8 + _TRACKER.size], facts, budget):
        budget.report(Finding.note("link tracker block", "found by its signature", span=source.trace(at, 96)[0]))


def _tracker(body: bytes) -> dict[str, Any]:
    tracker = _TRACKER.dict(body)
    facts: dict[str, Any] = {"machine_id": c_string(tracker["machine"], "cp1252")}
    for name in ("volume", "file", "birth_volume", "birth_file"):
        facts[f"droid_{name}"] = guid(tracker[name])
    # Windows makes these by the clock and the network card (UUID version 1) where it can.
    made = uuid.UUID(bytes_le=tracker["birth_file"])
    if made.version == 1:
        facts["droid_time"] = Timestamp(made.time, "uuid", (made.time - _UUID_EPOCH) * 100, "utc", 100)
        facts["mac_address"] = ":".join(f"{b:02x}" for b in made.node.to_bytes(6, "big"))
    return facts


def _hotkey(value: int) -> str | None:
    """Low byte a virtual key, high byte 1 Shift, 2 Ctrl, 4 Alt ([MS-SHLLINK] 2.1.3)."""
    if not value:
        return None
    key, modifiers = value & 0xFF, value >> 8
    name = chr(key) if 0x30 <= key <= 0x5A else f"F{key - 0x6F}" if 0x70 <= key <= 0x87 else f"{key:#04x}"
    return "+".join([word for bit, word in ((2, "Ctrl"), (4, "Alt"), (1, "Shift")) if modifiers & bit] + [name])


LINK_FIELDS = (
    Field("target", Path, "Path of the target's shell items; most complete where a file is meant"),
    Field("local_path", Path, "Target on a local volume, from the link info"),
    Field("network_path", Path, "Target on a network share"),
    Field("created", Time, "Target's creation when the link was last saved, UTC"),
    Field("accessed", Time, "Target's last access then, UTC"),
    Field("modified", Time, "Target's last change then, UTC"),
    Field("record", Integer, "Target's NTFS record number, from its last shell item"),
    Field("sequence", Integer, "Reuse count of that record"),
    Field("size", Integer, "Target's size then, low 32 bits, bytes"),
    Field("attributes", Integer, "Target's file attributes then"),
    Field("drive_type", Text, "Kind of volume: fixed, removable, remote ..."),
    Field("drive_serial", Text, "Volume serial number, hexadecimal"),
    Field("volume_label", Text, "Volume label"),
    Field("network_share", Text, "UNC name of the share"),
    Field("network_device", Text, "Drive letter the share had"),
    Field("network_provider", Text, "Network provider type, hexadecimal"),
    Field("name", Text, "Description"),
    Field("relative_path", Path, "Target relative to the link"),
    Field("working_directory", Path, "Directory the program starts in"),
    Field("arguments", Text, "Command line arguments"),
    Field("icon_location", Path, "File of the icon"),
    Field("icon_index", Integer, "Number of the icon in it"),
    Field("show", Text, "Window: normal, maximized, minimized"),
    Field("hotkey", Text, "Key that starts it"),
    Field("environment", Path, "Target with environment variables"),
    Field("icon_environment", Path, "Icon with environment variables"),
    Field("darwin", Text, "Windows Installer identifier"),
    Field("machine_id", Text, "NetBIOS name of the machine where the target last was"),
    Field("droid_volume", Guid, "Volume object identifier, last known"),
    Field("droid_file", Guid, "File object identifier, last known"),
    Field("droid_birth_volume", Guid, "Volume object identifier at birth"),
    Field("droid_birth_file", Guid, "File object identifier at birth"),
    Field("droid_time", Time, "Time in the birth file identifier: about the boot before it was given, UTC"),
    Field("mac_address", Text, "Network card in the birth file identifier"),
    Field("known_folder", Guid, "Known folder of the target"),
    Field("special_folder", Integer, "Special folder (CSIDL) of the target"),
    Field("shim", Text, "Compatibility layer"),
    Field("code_page", Integer, "Console code page"),
    Field("console", Json, "Console window settings"),
    Field("properties", Json, "Property store: format identifier/number -> value"),
    Field("items", Json, "Shell items of the target: kind, names, times (UTC, 2 s steps), NTFS record and sequence ..."),
    Field("vista_items", Json, "Shell items of the Vista block"),
    Field("extra", Json, "Extra blocks that are not decoded, hexadecimal"),
)
"""What ``link_values`` gives, for the declarations of the extractors that meet links."""


def link_values(link: Link) -> dict[str, Any]:
    """A link as the values of LINK_FIELDS; None for what it does not have."""
    head = link.header
    values = dict.fromkeys(f.name for f in LINK_FIELDS) | dict(link.facts)
    last = link.items[-1].facts if link.items else {}
    values |= {
        "record": last.get("record"),
        "sequence": last.get("sequence"),
        "target": shell_path(link.items) or None,
        "items": [item.row() for item in link.items] or None,
        "size": head.file_size,
        "attributes": head.attributes,
        "icon_index": head.icon_index,
        "show": fmt.SHOW.get(head.show, str(head.show)),
        "hotkey": _hotkey(head.hotkey),
        **{name: Timestamp.filetime(head[name]) for name in ("created", "accessed", "modified")},
    }
    for f in LINK_FIELDS:
        if f.type is Json and values[f.name] is not None:
            values[f.name] = json.dumps(values[f.name], ensure_ascii=False)
    return values


def _open(source: ByteSource, companions: Mapping[str, ByteSource], budget: Budget) -> Link:
    return read_link(source, budget)


STORE = StoreFormat(
    name="shelllink",
    title="Shell link (.lnk)",
    refs=("[MS-SHLLINK]",),
    gaps=("ANSI texts are read as code page 1252", "Strings of the property store's blobs stay hexadecimal"),
    signatures=(Signature(b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"),),
    open=_open,
)
