"""Virtual Hard Disk (VHD) of Virtual PC, Hyper-V and Azure: fixed, dynamic, differencing."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from forensiclib.core.declare import ImageFormat, Signature
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.core.time import Timestamp
from forensiclib.formats import vhd as f
from forensiclib.images._blocks import BlockSource, Locate, Place, Table, padded, read_exactly
from forensiclib.images._family import Family, base_name, opened
from forensiclib.images._files import PooledFile

__all__ = ["FORMAT", "Layer", "layer", "open_vhd"]

SECTOR = 512
_SUFFIXES = (".vhd", ".avhd")
BITMAPS = 1 << 21
"""Sectors whose bitmaps are held: 512 blocks of 2 MiB, in 2 MiB of memory."""


@dataclass(slots=True)
class Layer:
    """One disk of a chain: its bytes, its footer, what that says in words."""

    data: ByteSource
    footer: dict[str, int | bytes]
    facts: dict[str, str]


def _checksum(raw: bytes, at: int) -> int:
    return ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF


def _number(fields: dict[str, int | bytes], name: str) -> int:
    value = fields[name]
    return value if isinstance(value, int) else 0


def _raw(fields: dict[str, int | bytes], name: str) -> bytes:
    value = fields[name]
    return value if isinstance(value, bytes) else b""


def _footer(file: PooledFile, budget: Budget) -> tuple[dict[str, int | bytes], int]:
    """(the footer, where the data ends): the one at the end when it is whole, else its copy at the start.

    NotThisFormat when neither has the cookie.
    """
    # Virtual PC before 2004 wrote 511 bytes: the last byte of the reserved ones is missing.
    found: list[tuple[bytes, int, bool]] = []
    for at in dict.fromkeys((max(0, file.size - 512), max(0, file.size - 511), 0)):
        raw = file.read_at(at, 512)
        if raw[:8] != f.SIGNATURE or len(raw) < 511:
            continue
        raw = raw.ljust(512, b"\0")
        found.append((raw, at, _checksum(raw, f.FOOTER.offsets["checksum"]) == f.FOOTER.dict(raw)["checksum"]))
    if not found:
        raise NotThisFormat("VHD", Span(file.root, max(0, file.size - 512), 512), "no footer, neither at the end nor at the start")
    best = next((one for one in found if one[2]), found[0])
    for _raw_bytes, at, good in found:
        if not good:
            what = "VHD footer" if at or len(found) == 1 else "VHD footer copy"
            budget.report(Corrupt(what, Span(file.root, at, 512), "its checksum does not match"))
    fields = f.FOOTER.dict(best[0])
    at_end = any(at > 0 for _r, at, _g in found)
    if not at_end:
        if _number(fields, "type") == f.FIXED:
            raise NotThisFormat("VHD", Span(file.root, 0, 512), "the footer of a fixed disk at the start and none at the end")
        budget.report(
            Truncated(
                "VHD footer", Span(file.root, file.size, 0), "none at the end: the file was cut short or written on; the copy is used"
            )
        )
    elif _number(fields, "type") != f.FIXED and not any(at == 0 for _r, at, _g in found):
        budget.report(Corrupt("VHD footer copy", Span(file.root, 0, 512), "no footer at the start"))
    elif len({raw for raw, _a, good in found if good}) > 1:
        budget.report(Corrupt("VHD footer", Span(file.root, 0, 512), "the footer and its copy differ; the one at the end is used"))
    return fields, max((at for _r, at, _g in found), default=0)


def _facts(fields: dict[str, int | bytes]) -> dict[str, str]:
    kind, stamp = _number(fields, "type"), _number(fields, "timestamp")
    facts = {
        "type": f.TYPES.get(kind, str(kind)),
        "unique_id": str(uuid.UUID(bytes=_raw(fields, "unique_id"))),
        "created": Timestamp.unix(stamp + f.EPOCH).iso(),
        "creator": _raw(fields, "creator").decode("latin-1").strip("\0 "),
        "creator_version": f"{_number(fields, 'creator_version') >> 16}.{_number(fields, 'creator_version') & 0xFFFF}",
        "creator_os": _raw(fields, "creator_os").decode("latin-1").strip("\0 "),
        "geometry": "/".join(str(_number(fields, n)) for n in ("cylinders", "heads", "sectors")),
    }
    for name in ("original_size", "current_size", "saved_state"):
        facts[name] = str(_number(fields, name))
    return facts


def layer(family: Family, path: str) -> Layer:
    """The disk in one file, upon its parents."""
    family.enter(path)
    file, budget = family.open(path), family.budget
    footer, end = _footer(file, budget)
    size, kind = _number(footer, "current_size"), _number(footer, "type")
    if _number(footer, "version") >> 16 != 1:
        raise Unsupported("VHD footer", Span(file.root, end, 512), f"version {_number(footer, 'version'):#x}")
    if size > 1 << 50 or size % SECTOR:
        raise Corrupt("VHD footer", Span(file.root, end, 512), f"a disk of {size} bytes")
    if kind == f.FIXED:
        if size != end:
            text = f"the footer says {size} bytes, the file has {end} in front of it"
            budget.report((Truncated if size > end else Corrupt)("VHD fixed disk", Span(file.root, 0, end), text))
        media = file.slice(0, end)
        data: ByteSource = BlockSource(size, lambda offset: (media, offset, size - offset), "VHD fixed disk")
        return Layer(data, footer, _facts(footer))
    if kind not in f.TYPES:
        raise Unsupported("VHD footer", Span(file.root, end, 512), f"a disk of type {kind}")
    return _dynamic(family, path, file, footer, size)


def _header(file: PooledFile, at: int, budget: Budget) -> dict[str, int | bytes]:
    raw = read_exactly(file, at, f.HEADER.size, "VHD dynamic disk header")
    span = Span(file.root, at, f.HEADER.size)
    fields = f.HEADER.dict(raw)
    if fields["cookie"] != f.SIGNATURE_HEADER:
        raise Corrupt("VHD dynamic disk header", span, "no cxsparse")
    if _checksum(raw, f.HEADER.offsets["checksum"]) != fields["checksum"]:
        budget.report(Corrupt("VHD dynamic disk header", span, "its checksum does not match"))
    block = _number(fields, "block_size")
    if not SECTOR <= block <= 1 << 30 or block & (block - 1):
        raise Corrupt("VHD dynamic disk header", span, f"blocks of {block} bytes")
    return fields


def _dynamic(family: Family, path: str, file: PooledFile, footer: dict[str, int | bytes], size: int) -> Layer:
    at = _number(footer, "data_offset")
    head = _header(file, at, family.budget)
    block, entries = _number(head, "block_size"), _number(head, "max_entries")
    span = Span(file.root, at, f.HEADER.size)
    if entries * block < size:
        raise Corrupt("VHD dynamic disk header", span, f"{entries} blocks of {block} bytes for a disk of {size}")
    table = Table(file, _number(head, "table_offset"), -(-size // block), "I", "VHD block allocation table", big=True)
    bitmap = -(-block // SECTOR // 8 // SECTOR) * SECTOR
    facts = _facts(footer) | {"block_size": str(block)}
    if _number(footer, "type") == f.DYNAMIC:

        def locate(offset: int) -> Place:
            number, inside = divmod(offset, block)
            run = min(block - inside, size - offset)
            sector = table[number]
            return (None, 0, run) if sector == f.UNUSED else (file, sector * SECTOR + bitmap + inside, run)

        return Layer(BlockSource(size, locate, "VHD block"), footer, facts)
    under = padded(_parent(family, path, file, head), size)
    facts["parent_id"] = str(uuid.UUID(bytes=_raw(head, "parent_id")))
    facts["parent_name"] = _parent_name(head)
    return Layer(BlockSource(size, _differencing(file, table, block, bitmap, under, size), "VHD block"), footer, facts)


class _Bits:
    """Which sectors of a block are this file's: ``runs(sector)`` -> (is it, how many alike from there)."""

    __slots__ = ("_bits", "_count")

    def __init__(self, raw: bytes, count: int) -> None:
        self._count = count
        self._bits = bin(int.from_bytes(b"\x01" + raw[: -(-count // 8)], "big"))[3:]  # the first sector is the highest bit

    def run(self, sector: int) -> tuple[bool, int]:
        own = self._bits[sector] == "1"
        end = self._bits.find("0" if own else "1", sector)
        return own, (self._count if end < 0 else min(end, self._count)) - sector


def _differencing(file: PooledFile, table: Table, block: int, bitmap: int, under: ByteSource, size: int) -> Locate:
    held: dict[int, _Bits] = {}
    sectors = block // SECTOR

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, block)
        left = min(block - inside, size - offset)
        entry = table[number]
        if entry == f.UNUSED:
            return under, offset, left
        bits = held.get(number)
        if bits is None:
            if len(held) * sectors >= BITMAPS:
                held.clear()
            bits = held[number] = _Bits(read_exactly(file, entry * SECTOR, bitmap, "VHD sector bitmap"), sectors)
        own, run = bits.run(inside // SECTOR)
        left = min(left, run * SECTOR - inside % SECTOR)
        return (file, entry * SECTOR + bitmap + inside, left) if own else (under, offset, left)

    return locate


def _parent_name(head: dict[str, int | bytes]) -> str:
    return _raw(head, "parent_name").decode("utf-16-be", "replace").partition("\0")[0]


def _hints(file: PooledFile, head: dict[str, int | bytes], budget: Budget) -> list[str]:
    """Paths of the parent as the header and its locators state them, the relative ones first."""
    found: dict[str, list[str]] = {}
    for i in range(8):
        code, _space, length, _reserved, at = f.LOCATOR.unpack(_raw(head, "locators"), i * f.LOCATOR.size)
        if code == bytes(4) or not length:
            continue
        if length > 1 << 16:
            budget.report(Corrupt("VHD parent locator", Span(file.root, at, 0), f"{length} bytes"))
            continue
        raw = file.read_at(min(at, file.size), length)
        if code in (b"W2ru", b"W2ku"):
            text = raw.decode("utf-16-le", "replace")
        elif code == b"MacX":
            text = unquote(raw.decode("utf-8", "replace")).removeprefix("file://")
        elif code in (b"Wi2r", b"Wi2k"):
            text = raw.decode("cp1252", "replace")
        else:  # "Mac ", an alias record: it names volume and file numbers of the machine
            budget.report(Finding.note("VHD parent locator", f"platform code {code!r} is not read", file.root, Span(file.root, at, length)))
            continue
        found.setdefault(code.decode("latin-1"), []).append(text.partition("\0")[0])
    order = ("W2ru", "Wi2r", "MacX", "W2ku", "Wi2k")
    return [h for code in order for h in found.get(code, []) if h] + [n for n in [_parent_name(head)] if n]


def _parent(family: Family, path: str, file: PooledFile, head: dict[str, int | bytes]) -> ByteSource:
    wanted = _raw(head, "parent_id")
    hints = _hints(file, head, family.budget)
    where = family.find(path, hints)
    if where is None:
        # Renamed: its identity finds it.
        for other in family.others(path, _SUFFIXES):
            if _identity(PooledFile(family.pool, other)) == wanted:
                where = other
                break
    if where is None:
        names = " or ".join(dict.fromkeys(filter(None, map(base_name, hints)))) or "a file without a name"
        known = f"the disk with the id {uuid.UUID(bytes=wanted)}"
        where = family.need(path, hints, "parent of a VHD", f"{names}, {known}" if not any(map(base_name, hints)) else known)
    parent = layer(family, where)
    if (actual := _raw(parent.footer, "unique_id")) != wanted:
        text = f"{os.path.basename(where)} has the id {uuid.UUID(bytes=actual)}, the child wants {uuid.UUID(bytes=wanted)}"
        raise Corrupt("parent of a VHD", Span(file.root, 0, 0), text)
    return parent.data


def _identity(file: PooledFile) -> bytes:
    try:
        return _raw(_footer(file, Budget())[0], "unique_id")
    except EvidenceError:
        return b""


def _open(family: Family, path: str) -> Image:
    found = layer(family, path)
    return Image(found.data, format="vhd", name=os.path.basename(path), facts=found.facts)


def open_vhd(paths: Sequence[str], budget: Budget) -> Image:
    """The disk at the first path; parents come from the other paths or from its folder.

    Raises NotThisFormat without a footer; Truncated when a parent is missing, naming it, Corrupt when it is another disk or a
    header contradicts itself. Checksums that do not match, a missing footer or copy, a fixed disk of another size are findings.
    """
    return opened(paths, budget, _open)


FORMAT = ImageFormat(
    name="vhd",
    title="Virtual Hard Disk (VHD)",
    refs=("Microsoft, Virtual Hard Disk Image Format Specification, version 1.0 (2006)",),
    gaps=(
        "the size is the footer's current size; programs that go by its geometry see a few sectors less of disks made by Virtual PC",
        "the sector bitmap of dynamic disks is not applied: their blocks are zero where nothing was written",
        "parents are looked for by name and by id in the child's own folder only: list those that are elsewhere",
        "Macintosh alias records (platform code Mac) are reported, not followed; saved states are not read",
        "data blocks have no checksum: damage in them cannot be seen",
    ),
    signatures=(Signature(f.SIGNATURE),),
    trailers=(Signature(f.SIGNATURE), Signature(f.SIGNATURE, offset=1)),
    extensions=(".vhd", ".avhd", ".vud"),
    open=open_vhd,
)
