"""Sparse extents: hosted (KDMV), ESX (COWD) and SE-sparse, whose grains are found through a directory of tables."""

from __future__ import annotations

from array import array
from collections.abc import Callable

from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats import vmdk as f
from forensiclib.images._blocks import BlockSource, Place, numbers, padded, read_exactly
from forensiclib.images._files import PooledFile
from forensiclib.images.vmdk.stream import Grains, from_markers

__all__ = ["Header", "header", "sparse"]

SECTOR = 512
TABLES = 4096
"""Grain tables held: 8 MiB of memory at most for hosted extents."""
_BITS = 0xF000000000000000


class Header:
    """The header of a sparse extent, checked. Sizes in bytes, places in sectors as stored."""

    def __init__(self, file: PooledFile, kind: str, raw: dict[str, int | bytes]) -> None:
        self.file, self.kind = file, kind
        self.raw: dict[str, int] = {k: v for k, v in raw.items() if isinstance(v, int)}
        self.size = self.raw["capacity"] * SECTOR
        self.grain = self.raw["grain_size"] * SECTOR
        self.flags = self.raw["flags"]
        self.packed = kind == "KDMV" and bool(self.flags & f.COMPRESSED)
        self.per_table = self.raw.get("gtes_per_gt", f.COWD_ENTRIES)

    def bad(self, found: str, kind: type[EvidenceError] = Corrupt) -> EvidenceError:
        """An error about this header."""
        return kind("VMDK sparse extent header", Span(self.file.root, 0, SECTOR), found)

    @property
    def tables(self) -> int:
        """Entries of the grain directory."""
        return -(-self.size // (self.grain * self.per_table))

    def check(self) -> None:
        """Raises Corrupt or Unsupported for what no writer writes."""
        grain = self.grain // SECTOR
        if not 1 <= grain <= 1 << 15 or grain & (grain - 1):
            raise self.bad(f"grains of {grain} sectors")
        if not 1 <= self.per_table <= 1 << 16:
            raise self.bad(f"{self.per_table} entries in a grain table")
        if self.size >= 1 << 60:
            raise self.bad(f"a capacity of {self.raw['capacity']} sectors")
        if self.kind == "KDMV" and self.raw["version"] not in (1, 2, 3):
            raise self.bad(f"version {self.raw['version']}", Unsupported)
        if self.kind == "KDMV" and self.raw["compression"] not in (0, 1):
            raise self.bad(f"compression method {self.raw['compression']}", Unsupported)


def header(file: PooledFile) -> Header:
    """The header of the sparse extent; NotThisFormat when the file is none."""
    head = file.read_at(0, 8)
    if head[:4] == f.SIGNATURE:
        made = Header(file, "KDMV", f.SPARSE.dict(read_exactly(file, 0, f.SPARSE.size, "VMDK sparse extent header")))
    elif head[:4] == f.SIGNATURE_COWD:
        made = Header(file, "COWD", f.COWD.dict(read_exactly(file, 0, f.COWD.size, "VMDK sparse extent header")))
    elif head == f.SIGNATURE_SE:
        made = Header(file, "SE", f.SE_SPARSE.dict(read_exactly(file, 0, f.SE_SPARSE.size, "VMDK sparse extent header")))
        made.per_table = made.raw["grain_table_size"] * SECTOR // 8
    else:
        raise NotThisFormat("VMDK extent", Span(file.root, 0, 8), "no signature of a sparse extent")
    made.check()
    return made


def _directory(made: Header, at: int, code: str, budget: Budget) -> array[int]:
    """The grain directory at a sector."""
    n = made.tables * (4 if code == "I" else 8)
    span = Span(made.file.root, at * SECTOR, n)
    if n > made.file.size:
        raise Truncated("VMDK grain directory", span, f"{made.tables} entries in a file of {made.file.size} bytes")
    budget.allocate("VMDK grain directory", n, span)
    return numbers(read_exactly(made.file, at * SECTOR, n, "VMDK grain directory"), code)


def _table(made: Header, sector: int) -> array[int]:
    return numbers(read_exactly(made.file, sector * SECTOR, 4 * made.per_table, "VMDK grain table"), "I")


def _plausible(made: Header, sector: int) -> array[int] | str:
    """The grain table, or why it cannot be one."""
    try:
        table = _table(made, sector)
    except EvidenceError as error:
        return str(error)
    worst = max(table)
    return table if worst * SECTOR < made.file.size else f"an entry points to sector {worst}"


def _mended(made: Header, budget: Budget) -> array[int]:
    """The directory whose tables are the primary ones, or the backups where a primary one cannot be right."""
    span = Span(made.file.root, made.raw["gd_offset"] * SECTOR, 4 * made.tables)
    try:
        backup = _directory(made, made.raw["rgd_offset"], "I", budget)
    except EvidenceError as error:
        budget.report(error, "backup grain directory")
        return _directory(made, made.raw["gd_offset"], "I", budget)
    try:
        out = _directory(made, made.raw["gd_offset"], "I", budget)
    except EvidenceError as error:
        budget.report(error, "grain directory: the backup is used")
        return backup
    for i, (first, second) in enumerate(zip(out, backup)):
        budget.item()
        if not first and not second:
            continue
        table, other = _plausible(made, first) if first else "no table", _plausible(made, second) if second else "no table"
        if isinstance(table, str) and not isinstance(other, str):
            budget.report(Corrupt("VMDK grain table", span, f"table {i}: {table}; the backup is used"))
            out[i] = second
        elif table != other:
            why = other if isinstance(other, str) else table if isinstance(table, str) else "the two copies differ; the first is used"
            budget.report(Corrupt("VMDK grain table", span, f"table {i}: {why}"))
    return out


def _lookup(made: Header, directory: array[int]) -> Callable[[int], int]:
    """Grain number -> entry of its table, 0 without a table."""
    held: dict[int, array[int]] = {}
    per_table = made.per_table

    def entry(grain: int) -> int:
        number, index = divmod(grain, per_table)
        table = held.get(number)
        if table is None:
            if not directory[number]:
                return 0
            if len(held) >= TABLES:
                held.clear()
            table = held[number] = _table(made, directory[number])
        return table[index]

    return entry


def sparse(made: Header, parent: ByteSource | None, budget: Budget) -> ByteSource:
    """The bytes of the extent; what it does not hold is the parent's, or zero."""
    under = padded(parent, made.size) if parent is not None else None
    if made.raw.get("unclean") and made.kind != "SE":
        note = "it was not closed: the last writes may be missing or half done"
        budget.report(Finding.note("VMDK sparse extent", note, made.file.root, Span(made.file.root, 0, SECTOR)))
    if made.kind == "SE":
        return _se_sparse(made, under, budget)
    entry: Callable[[int], int]
    if made.kind == "COWD":
        entry = _lookup(made, _directory(made, made.raw["gd_offset"], "I", budget))
    elif made.packed:
        entry = _packed_lookup(made, budget)
    elif made.flags & f.REDUNDANT:
        entry = _lookup(made, _mended(made, budget))
    else:
        entry = _lookup(made, _directory(made, made.raw["gd_offset"], "I", budget))
    zero = 1 if made.flags & f.ZERO_GRAINS and made.kind == "KDMV" else 0
    packed = Grains(made.file, made.size, made.grain, entry, bool(made.flags & f.MARKERS)) if made.packed else None
    file, grain, size = made.file, made.grain, made.size

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, grain)
        run = min(grain - inside, size - offset)
        sector = entry(number)
        if not sector:
            return under, offset if under is not None else 0, run
        if sector == zero:
            return None, 0, run
        return (packed, offset, run) if packed is not None else (file, sector * SECTOR + inside, run)

    return BlockSource(size, locate, "VMDK grain")


def _packed_lookup(made: Header, budget: Budget) -> Callable[[int], int]:
    """Of a stream: by the directory that its footer names, by its markers when the end is lost."""
    at = made.raw["gd_offset"]
    if at != f.GD_AT_END:
        return _lookup(made, _directory(made, at, "I", budget))
    try:
        raw = read_exactly(made.file, max(0, made.file.size - 3 * SECTOR), 3 * SECTOR, "VMDK footer")
        marker, footer = f.MARKER.dict(raw), f.SPARSE.dict(raw, SECTOR)
        span = Span(made.file.root, made.file.size - 3 * SECTOR, 2 * SECTOR)
        if marker["type"] != f.MARKER_FOOTER or marker["size"] or footer["magic"] != f.SIGNATURE:
            raise Truncated("VMDK footer", span, "the stream has no footer at its end")
        for name in ("capacity", "grain_size", "gtes_per_gt"):
            if footer[name] != made.raw[name]:
                raise Corrupt("VMDK footer", span, f"{name} is {footer[name]}, the header says {made.raw[name]}")
        return _lookup(made, _directory(made, footer["gd_offset"], "I", budget))
    except EvidenceError as error:
        budget.report(error, "grains are found by their markers")
        return from_markers(made.file, made.raw["overhead"], made.grain, budget)


def _se_sparse(made: Header, under: ByteSource | None, budget: Budget) -> ByteSource:
    raw, file, grain, size, per_table = made.raw, made.file, made.grain, made.size, made.per_table
    if raw["version"] != 0x200000001:
        raise made.bad(f"version {raw['version']:#x}", Unsupported)
    volatile = f.SE_VOLATILE.dict(read_exactly(file, raw["volatile_offset"] * SECTOR, f.SE_VOLATILE.size, "VMDK volatile header"))
    if volatile["magic"] != f.SE_VOLATILE_MAGIC:
        raise Corrupt("VMDK volatile header", Span(file.root, raw["volatile_offset"] * SECTOR, 8), "no signature")
    if volatile["replay"]:
        found = "its journal was not replayed: the newest writes to the tables may be missing"
        budget.report(Unsupported("VMDK SE-sparse journal", Span(file.root, raw["journal_offset"] * SECTOR, 0), found))
    directory = _directory(made, raw["gd_offset"], "Q", budget)
    held: dict[int, array[int]] = {}

    def table(number: int) -> array[int]:
        entry = directory[number]
        if entry >> 32 != 0x10000000:
            at = Span(file.root, raw["gd_offset"] * SECTOR + 8 * number, 8)
            raise Corrupt("VMDK grain directory", at, f"{entry:#x}")
        at_sector = raw["gt_offset"] + (entry & 0xFFFFFFFF) * raw["grain_table_size"]
        return numbers(read_exactly(file, at_sector * SECTOR, 8 * per_table, "VMDK grain table"), "Q")

    def locate(offset: int) -> Place:
        number, inside = divmod(offset, grain)
        run = min(grain - inside, size - offset)
        which, index = divmod(number, per_table)
        if not directory[which]:
            return under, offset if under is not None else 0, run
        found = held.get(which)
        if found is None:
            if len(held) >= TABLES // 16:
                held.clear()
            found = held[which] = table(which)
        entry = found[index]
        if not entry:
            return under, offset if under is not None else 0, run
        kind = entry & _BITS
        if kind in (0x1000000000000000, 0x2000000000000000):  # unmapped by the guest; zero
            return None, 0, run
        if kind != 0x3000000000000000:
            raise Corrupt("VMDK grain table", Span(file.root, 0, 0), f"grain {number} has the entry {entry:#x}")
        place = (entry & 0x0FFF000000000000) >> 48 | (entry & 0xFFFFFFFFFFFF) << 12
        return file, (raw["grains_offset"] * SECTOR + place * grain) + inside, run

    return BlockSource(size, locate, "VMDK grain")
