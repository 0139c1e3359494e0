"""Open a VHDX: fixed, dynamic, differencing."""

from __future__ import annotations

import os
from collections.abc import Sequence

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, EvidenceError
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import vhdx as f
from forensiclib.images._blocks import BlockSource, Locate, Place, Table, padded, read_exactly, root_of
from forensiclib.images._family import Family, base_name, opened
from forensiclib.images._files import PooledFile
from forensiclib.images.vhdx.regions import Disk, begin, describe

__all__ = ["FORMAT", "layer", "open_vhdx"]

_SUFFIXES = (".vhdx", ".avhdx")
_PATHS = ("relative_path", "volume_path", "absolute_win32_path")


def layer(family: Family, path: str) -> tuple[ByteSource, Disk]:
    """The disk in one file, upon its parents, and what its headers say."""
    family.enter(path)
    disk = begin(family.open(path), family.budget)
    describe(disk, family.budget)
    ratio = (1 << 23) * disk.sector // disk.block
    blocks = -(-disk.size // disk.block)
    bitmaps = -(-blocks // ratio)
    entries = bitmaps * (ratio + 1) if disk.has_parent else blocks + (blocks - 1) // ratio if blocks else 0
    at, length = disk.bat
    if entries * 8 > length:
        raise Corrupt("VHDX block allocation table", Span(os.path.basename(path), at, length), f"{length} bytes for {entries} entries")
    table = Table(disk.file, at, entries, "Q", "VHDX block allocation table")
    under = padded(_parent(family, path, disk), disk.size) if disk.has_parent else None
    return BlockSource(disk.size, _locate(disk, table, ratio, under), "VHDX block"), disk


def _locate(disk: Disk, table: Table, ratio: int, under: ByteSource | None) -> Locate:
    file, block, size = disk.file, disk.block, disk.size
    held: dict[int, tuple[str, int]] = {}
    root = root_of(file)

    def bits(number: int) -> str:
        """One character a sector of the block, "1" where it is this file's."""
        chunk, inside = divmod(number, ratio)
        entry = table[(chunk + 1) * (ratio + 1) - 1]
        if entry & 7 != f.FULL:
            raise Corrupt("VHDX sector bitmap", Span(root, disk.bat[0], disk.bat[1]), f"block {number} is partial, its bitmap is not there")
        n = block // disk.sector // 8
        found = held.get(number)
        if found is None or found[1] != entry:
            if len(held) >= 64:
                held.clear()
            raw = read_exactly(file, (entry >> 20) * f.MIB + inside * n, n, "VHDX sector bitmap")
            # Bit 0 is the first sector (2.5): reversed, the string counts from the left.
            found = held[number] = (bin(int.from_bytes(raw + b"\x01", "little"))[3:][::-1], entry)
        return found[0]

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, block)
        run = min(block - inside, size - offset)
        entry = table[number + number // ratio]
        state = entry & 7
        if state == f.FULL:
            return file, (entry >> 20) * f.MIB + inside, run
        if state == f.NOT_PRESENT:
            return under, offset if under is not None else 0, run
        if state in (f.UNDEFINED, f.ZERO, f.UNMAPPED):
            return None, 0, run
        if state != f.PARTIAL or under is None:
            raise Corrupt("VHDX block allocation table", Span(root, disk.bat[0], disk.bat[1]), f"block {number} has the state {state}")
        here = bits(number)
        first = inside // disk.sector
        own = here[first]
        end = here.find("0" if own == "1" else "1", first)
        run = min(run, ((len(here) if end < 0 else end) - first) * disk.sector - inside % disk.sector)
        return (file, (entry >> 20) * f.MIB + inside, run) if own == "1" else (under, offset, run)

    return locate


def _linkage(disk: Disk) -> list[str]:
    return [disk.parent[k].strip("{} ").lower() for k in ("parent_linkage", "parent_linkage2") if disk.parent.get(k)]


def _data_write(file: PooledFile) -> str:
    try:
        value = begin(file, Budget()).header["data_write"]
    except EvidenceError:
        return ""
    return guid(value) if isinstance(value, bytes) else ""


def _parent(family: Family, path: str, disk: Disk) -> ByteSource:
    hints = [disk.parent[k] for k in _PATHS if disk.parent.get(k)]
    wanted = _linkage(disk)
    where = family.find(path, hints)
    if where is None:
        # Renamed: its identity finds it.
        others = family.others(path, _SUFFIXES)
        where = next((p for p in others if _data_write(PooledFile(family.pool, p)) in wanted), None)
    if where is None:
        known = f"the disk with the data write GUID {' or '.join(wanted) or '(none stated)'}"
        where = family.need(path, [h for h in hints if base_name(h)], "parent of a VHDX", known)
    data, parent = layer(family, where)
    if parent.facts["data_write_guid"] not in wanted:
        name = os.path.basename(where)
        text = f"{name} has the data write GUID {parent.facts['data_write_guid']}, the child wants {' or '.join(wanted)}"
        raise Corrupt("parent of a VHDX", Span(os.path.basename(path), 0, 0), text)
    return data


def _open(family: Family, path: str) -> Image:
    data, disk = layer(family, path)
    return Image(data, format="vhdx", name=os.path.basename(path), facts=disk.facts, sector_size=disk.sector)


def open_vhdx(paths: Sequence[str], budget: Budget) -> Image:
    """The disk at the first path, its log applied in memory; parents come from the other paths or from its folder.

    Raises NotThisFormat by the file identifier; Corrupt without a valid header, region table or log, or when the parent is another
    disk; Truncated when the parent is missing, naming it. One bad copy of a header or region table is a finding.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="vhdx",
    title="Virtual Hard Disk version 2 (VHDX)",
    refs=("Microsoft, [MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format",),
    gaps=(
        "undefined and unmapped blocks read as zero, though an earlier content may still lie in the file",
        "the block allocation table, the metadata and the blocks have no checksum: damage in them is seen only where it makes no sense",
        "a disk whose log is damaged is refused, also where most of it could be read",
        "parents are looked for by name and by GUID in the child's own folder only: list those that are elsewhere",
        "tracking of changes (RCT, MRT) is not read",
    ),
    signatures=(Signature(f.SIGNATURE),),
    extensions=(".vhdx", ".avhdx"),
    open=open_vhdx,
)
