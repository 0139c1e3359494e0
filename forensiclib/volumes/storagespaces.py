"""Windows Storage Spaces: pools are recognised and named, with their disks and spaces; their content is not put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from forensiclib.core.declare import VolumeLayer
from forensiclib.core.entry import Volume
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.text import escape
from forensiclib.formats import spaces
from forensiclib.formats._dsl import parse
from forensiclib.volumes._parts import span_of

__all__ = ["FORMAT", "open_spaces", "probe"]

MOST = 1 << 20
"""Entries of one database that are looked at: 64 MiB of them, a pool of 256 TiB in slabs of 256 MiB."""
MANY_PARTS = 4096


@dataclass(slots=True)
class _Disk:
    """A member and what its database says; ``names`` kind -> (GUID, name) of every record."""

    volume: Volume
    pool: str
    disk: str
    names: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    slabs: int = 0


def probe(source: ByteSource) -> bool:
    """Whether the partition of a pool begins here."""
    return source.read_at(0, 8) == spaces.MAGIC


def open_spaces(members: Sequence[Volume], budget: Budget) -> list[Volume]:
    """Nothing but findings: each pool is named, and raised or reported as Unsupported."""
    disks: list[_Disk] = []
    for member in members:
        try:
            disks.append(_disk(member, budget))
        except EvidenceError as error:
            budget.report(error)
    if not disks:
        raise NotThisFormat("Storage Spaces", None, "no database that holds")
    problems = [_told([d for d in disks if d.pool == pool], budget) for pool in dict.fromkeys(d.pool for d in disks)]
    for problem in problems[:-1]:
        budget.report(problem)
    raise problems[-1]


def _told(disks: list[_Disk], budget: Budget) -> Unsupported:
    """The findings of a pool; gives the error that it is not read."""
    best = max(disks, key=lambda d: sum(map(len, d.names.values())))
    name = next((n for _, n in best.names.get("pool", ()) if n), "")
    label = name or best.pool
    for disk in disks:
        own = next((n for g, n in best.names.get("disk", ()) if g == disk.disk), "")
        text = f"disk {own!r} ({disk.disk}) of pool {name!r} ({disk.pool})"
        budget.report(Finding.note("Storage Spaces", text, label, span_of(disk.volume, 0, spaces.CHANGES_AT)))
    here = {d.disk for d in disks}
    for key, own in best.names.get("disk", ()):
        if key not in here:
            budget.report(Finding("Unreadable", "Storage Spaces", f"disk {own!r} ({key}) is not there", label))
    there = [f"{n!r} ({g})" if g else repr(n) for g, n in best.names.get("space", ())]
    words = f"spaces {', '.join(there)}" if there else "spaces of unknown names"
    text = f"pool {name!r} ({best.pool}): {words}, in {best.slabs} slabs, are not read: how Windows maps slabs is not published"
    return Unsupported("Storage Spaces", span_of(disks[0].volume, 0, spaces.CHANGES_AT), text)


def _guid_at(source: ByteSource, at: int, what: str) -> str:
    raw = source.read_at(at, 16)
    if len(raw) < 16:
        raise Truncated(what, None, f"no GUID at {at}")
    return guid(raw)


def _disk(member: Volume, budget: Budget) -> _Disk:
    head = parse(spaces.POOL, member, 0, "Storage Spaces pool")
    where = span_of(member, 0, 512)
    if not 1 <= head.guids <= 16:
        raise Corrupt("Storage Spaces pool", where, f"GUIDs at {16 * head.guids}")
    at = 16 * head.guids
    out = _Disk(member, _guid_at(member, at, "Storage Spaces pool"), _guid_at(member, at + 16, "Storage Spaces pool"))
    try:
        _records(member, out, budget)
    except EvidenceError as error:
        budget.report(error)
    return out


def _records(member: Volume, out: _Disk, budget: Budget) -> None:
    head = parse(spaces.CHANGES, member, spaces.CHANGES_AT, "Storage Spaces database")
    where = span_of(member, spaces.CHANGES_AT, 512)
    own = spaces.CHANGES_AT + 16 * head.guids
    if not 1 <= head.guids <= 16 or head.size < 64:
        raise Corrupt("Storage Spaces database", where, f"GUID at {16 * head.guids}, {head.size} bytes")
    if (pool := _guid_at(member, own, "Storage Spaces database")) != out.pool:
        budget.report(Finding.note("Storage Spaces database", f"of pool {pool}, the header says {out.pool}", "", where))
    count = int.from_bytes(member.read_at(own + 24, 4), "big")
    layout, parts = spaces.ENTRY_LAYOUT, dict[int, list[tuple[int, int, bytes]]]()
    start = spaces.CHANGES_AT + head.size
    raw = member.read_at(start, budget.allocate("Storage Spaces database", min(count, MOST) * layout.size, where))
    for at in range(0, len(raw) - layout.size + 1, layout.size):
        magic, _, record, part, many, data = layout.unpack(raw, at)
        if magic != b"SDBB":
            break
        budget.item()
        if many and len(parts.setdefault(record, [])) < MANY_PARTS:
            parts[record].append((part, at, data))
    for record in sorted(parts):
        content = b"".join(data for _, _, data in sorted(parts[record]))
        kind, size = spaces.KINDS.get(content[0], ""), int.from_bytes(content[4:8], "big")
        if kind == "slab":
            out.slabs += 1
        elif kind and size <= len(content) - 8 and (found := _named(kind, content[8 : 8 + size])) is not None:
            out.names.setdefault(kind, []).append(found)


def _named(kind: str, raw: bytes) -> tuple[str, str] | None:
    """(GUID, name) of a record. Records of spaces came with and without a second number before the GUID: of the two readings the one
    whose name is text; none when that does not decide it."""
    found = [f for f in (_reading(raw, skip) for skip in ((2,) if kind != "space" else (2, 1))) if f is not None]
    return found[0] if len(found) == 1 else None


def _reading(raw: bytes, skip: int) -> tuple[str, str] | None:
    at = 0
    for _ in range(skip):
        if at >= len(raw):
            return None
        at += 1 + raw[at]
    if at + 18 > len(raw):
        return None
    length = 2 * int.from_bytes(raw[at + 16 : at + 18], "big")
    text = raw[at + 18 : at + 18 + length]
    name = text.decode("utf-16-be", "replace").rstrip("\0")
    if len(text) < length or length > 2 * 256 or "\ufffd" in name or not name.isprintable():
        return None
    return guid(raw[at : at + 16]), escape(name)


FORMAT = VolumeLayer(
    name="storagespaces",
    title="Windows Storage Spaces pools (recognised and named, not put together)",
    refs=(
        "J. Kim et al., Storage Space Reconstructor (public reader)",
        "gus33000, StorageSpace (public reader)",
        "S. Prade et al., Forensic analysis of the Resilient File System (ReFS) version 3.4, 2020",
    ),
    gaps=(
        "spaces are not read: how slabs, columns and parity lie is not published, and public readers differ and ask for the version",
        "only what two public readers agree in is used (pool, disks, names); no disk written by Windows was at hand to check it",
        "checksums of the database are not checked: what they cover is not published",
    ),
    order=25,
    probe=probe,
    open=open_spaces,
)
