"""Headers, region table and metadata of a VHDX."""

from __future__ import annotations

from dataclasses import dataclass, field

from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import vhdx as f
from forensiclib.images._blocks import read_exactly, root_of
from forensiclib.images.vhdx.log import replay, summed

__all__ = ["Disk", "begin", "describe"]


@dataclass(slots=True)
class Disk:
    """What the headers and the metadata say.

    file    with the log applied; bat   (offset, length) of the block allocation table
    parent  keys of the parent locator; empty without a parent
    """

    file: ByteSource
    header: dict[str, int | bytes]
    bat: tuple[int, int] = (0, 0)
    size: int = 0
    block: int = 0
    sector: int = 0
    has_parent: bool = False
    parent: dict[str, str] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)


def begin(file: ByteSource, budget: Budget) -> Disk:
    """The current header, and the log applied. NotThisFormat by the file identifier, Corrupt without a valid header."""
    root = root_of(file)
    ident = file.read_at(0, 520)
    if ident[:8] != f.SIGNATURE:
        raise NotThisFormat("VHDX", Span(root, 0, 8), "no vhdxfile")
    good: list[dict[str, int | bytes]] = []
    for number, at in enumerate(f.HEADERS, 1):
        raw = file.read_at(at, f.SECTOR)
        if len(raw) == f.SECTOR and raw[:4] == b"head" and summed(raw):
            good.append(f.HEADER.dict(raw))
        elif any(raw):  # a header that was never written is zero
            budget.report(Corrupt(f"VHDX header {number}", Span(root, at, f.SECTOR), "no signature, or its checksum does not match"))
    if not good:
        raise (Truncated if file.size < f.HEADERS[1] else Corrupt)(
            "VHDX headers", Span(root, f.HEADERS[0], 2 * 0x10000), "neither is valid"
        )
    head = max(good, key=lambda h: _n(h, "sequence"))
    if _n(head, "version") != 1 or _n(head, "log_version"):
        raise Unsupported(
            "VHDX header", Span(root, f.HEADERS[0], 0x20000), f"version {_n(head, 'version')}, log version {_n(head, 'log_version')}"
        )
    disk = Disk(file, head)
    disk.facts["creator"] = ident[8:].decode("utf-16-le", "replace").partition("\0")[0]
    disk.facts["sequence_number"] = str(_n(head, "sequence"))
    for name in ("file_write", "data_write", "log"):
        disk.facts[f"{name}_guid"] = guid(_b(head, name))
    if _b(head, "log") != bytes(16):
        at, n = _n(head, "log_offset"), _n(head, "log_length")
        disk.file, count = replay(file, at, n, _b(head, "log"), budget)
        found = f"{count} entries that were not yet written to their places are applied (in memory only)"
        budget.report(Finding.note("VHDX log", found, root, Span(root, at, n)))
        disk.facts["log_entries_applied"] = str(count)
    return disk


def _n(fields: dict[str, int | bytes], name: str) -> int:
    value = fields[name]
    return value if isinstance(value, int) else 0


def _b(fields: dict[str, int | bytes], name: str) -> bytes:
    value = fields[name]
    return value if isinstance(value, bytes) else b""


def _regions(disk: Disk, budget: Budget) -> dict[str, tuple[int, int]]:
    root = root_of(disk.file)
    found: list[tuple[dict[str, tuple[int, int]], int]] = []
    for number, at in enumerate(f.REGIONS, 1):
        raw = disk.file.read_at(at, f.REGION_BYTES)
        if len(raw) < f.REGION_BYTES or raw[:4] != b"regi" or not summed(raw):
            budget.report(
                Corrupt(f"VHDX region table {number}", Span(root, at, f.REGION_BYTES), "no signature, or its checksum does not match")
            )
            continue
        count = f.REGION_TABLE.dict(raw)["count"]
        if count > 2047:
            budget.report(Corrupt(f"VHDX region table {number}", Span(root, at, 16), f"{count} entries"))
            continue
        table = {}
        for i in range(count):
            entry = f.REGION.dict(raw, f.REGION_TABLE.size + i * f.REGION.size)
            name = guid(entry["guid"])
            if entry["required"] & 1 and name not in (f.REGION_BAT, f.REGION_METADATA):
                raise Unsupported("VHDX region", Span(root, at, f.REGION_BYTES), f"a required region of the unknown type {name}")
            table[name] = (entry["offset"], entry["length"])
        found.append((table, number))
    if not found:
        raise Corrupt("VHDX region tables", Span(root, f.REGIONS[0], 2 * f.REGION_BYTES), "neither is valid")
    if len(found) == 2 and found[0][0] != found[1][0]:
        budget.report(
            Corrupt("VHDX region tables", Span(root, f.REGIONS[0], 2 * f.REGION_BYTES), "both are valid and differ; the first is used")
        )
    for name in (f.REGION_BAT, f.REGION_METADATA):
        if name not in found[0][0]:
            raise Corrupt("VHDX region table", Span(root, f.REGIONS[found[0][1] - 1], f.REGION_BYTES), f"no region {name}")
    return found[0][0]


def _items(disk: Disk, at: int, length: int, budget: Budget) -> dict[str, bytes]:
    root = root_of(disk.file)
    raw = read_exactly(disk.file, at, 0x10000, "VHDX metadata table")
    head = f.METADATA.dict(raw)
    if head["signature"] != b"metadata" or head["count"] > 2047:
        raise Corrupt("VHDX metadata table", Span(root, at, 32), f"no signature, or {head['count']} entries")
    out: dict[str, bytes] = {}
    for i in range(head["count"]):
        entry = f.ITEM.dict(raw, f.METADATA.size + i * f.ITEM.size)
        name = guid(entry["guid"])
        span = Span(root, at + entry["offset"], entry["length"])
        if entry["flags"] & f.IS_USER or name not in f.KNOWN_ITEMS:
            if entry["flags"] & f.IS_REQUIRED:
                raise Unsupported("VHDX metadata item", span, f"a required item of the unknown type {name}")
            continue
        if entry["length"] > 1 << 20 or entry["offset"] + entry["length"] > length or name in out:
            raise Corrupt("VHDX metadata item", span, f"{name}: outside of its region, or there twice")
        out[name] = read_exactly(disk.file, at + entry["offset"], entry["length"], "VHDX metadata item")
        budget.item()
    return out


def _integer(items: dict[str, bytes], name: str, size: int, span: Span) -> int:
    raw = items.get(name, b"")
    if len(raw) < size:
        raise Corrupt("VHDX metadata", span, f"item {name} has {len(raw)} bytes")
    return int.from_bytes(raw[:size], "little")


def _locator(raw: bytes, span: Span) -> dict[str, str]:
    """Key to value (2.6.2.6)."""
    if len(raw) < f.LOCATOR.size:
        raise Corrupt("VHDX parent locator", span, f"{len(raw)} bytes")
    count = f.LOCATOR.dict(raw)["count"]
    if f.LOCATOR.size + count * f.LOCATOR_ENTRY.size > len(raw):
        raise Corrupt("VHDX parent locator", span, f"{count} entries in {len(raw)} bytes")
    out = {}
    for i in range(count):
        key, value, key_length, value_length = f.LOCATOR_ENTRY.unpack(raw, f.LOCATOR.size + i * f.LOCATOR_ENTRY.size)
        if max(key + key_length, value + value_length) > len(raw):
            raise Corrupt("VHDX parent locator", span, f"entry {i} lies outside of it")
        name = raw[key : key + key_length].decode("utf-16-le", "replace").rstrip("\0")
        out[name] = raw[value : value + value_length].decode("utf-16-le", "replace").rstrip("\0")
    return out


def describe(disk: Disk, budget: Budget) -> None:
    """Fill in what regions and metadata say. Raises Corrupt, Truncated or Unsupported."""
    regions = _regions(disk, budget)
    disk.bat = regions[f.REGION_BAT]
    at, length = regions[f.REGION_METADATA]
    span = Span(root_of(disk.file), at, length)
    items = _items(disk, at, length, budget)
    parameters = _integer(items, f.FILE_PARAMETERS, 8, span)
    disk.block, flags = parameters & 0xFFFFFFFF, parameters >> 32
    disk.size = _integer(items, f.DISK_SIZE, 8, span)
    disk.sector = _integer(items, f.LOGICAL_SECTOR, 4, span)
    if not f.MIB <= disk.block <= 256 * f.MIB or disk.block & (disk.block - 1):
        raise Corrupt("VHDX metadata", span, f"blocks of {disk.block} bytes")
    if disk.sector not in (512, 4096):
        raise Corrupt("VHDX metadata", span, f"sectors of {disk.sector} bytes")
    if disk.size > 1 << 50 or disk.size % disk.sector:
        raise Corrupt("VHDX metadata", span, f"a disk of {disk.size} bytes")
    disk.has_parent = bool(flags & f.HAS_PARENT)
    disk.facts |= {
        "type": "differencing" if disk.has_parent else "fixed" if flags & 1 else "dynamic",
        "block_size": str(disk.block),
        "disk_size": str(disk.size),
        "logical_sector_size": str(disk.sector),
    }
    if len(raw := items.get(f.PHYSICAL_SECTOR, b"")) >= 4:
        disk.facts["physical_sector_size"] = str(int.from_bytes(raw[:4], "little"))
    if len(raw := items.get(f.DISK_ID, b"")) >= 16:
        disk.facts["disk_id"] = guid(raw[:16])
    if disk.has_parent:
        if f.PARENT_LOCATOR not in items:
            raise Corrupt("VHDX metadata", span, "a differencing disk without a parent locator")
        disk.parent = _locator(items[f.PARENT_LOCATOR], span)
        disk.facts |= {f"parent.{k}": v for k, v in disk.parent.items()}
