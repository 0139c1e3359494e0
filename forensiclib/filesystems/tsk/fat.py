"""FAT12/16/32 beside The Sleuth Kit: local times as stored, the table of clusters, deleted content.

The Sleuth Kit turns the wall clock of FAT into UTC with the time zone of the process; here the
words are read from the directory entry itself, so that the analyst's zone never enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from forensiclib.core.entry import Kind, Verdict
from forensiclib.core.errors import NotThisFormat
from forensiclib.core.source import ByteSource
from forensiclib.core.time import Timestamp
from forensiclib.filesystems.tsk.blocks import FatBlocks
from forensiclib.filesystems.tsk.claims import Claim, Claims
from forensiclib.filesystems.tsk.named import Named, Run
from forensiclib.filesystems.tsk.native import LABEL_SUFFIX, Facts, Native, Place
from forensiclib.formats import fat
from forensiclib.formats._dsl import parse

__all__ = ["Fat", "Geometry", "boot_sector", "geometry"]

FIRST_INODE = 3
"""The Sleuth Kit numbers 32-byte slots from the first data sector on; 2 is the root directory."""
LEGAL = frozenset(range(0x21, 0x7F)) - frozenset(b'"*+,./:;<=>?[\\]|') | {0x20} | frozenset(range(0x80, 0x100))
KNOWN_ATTRIBUTES = 0x3F


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where things lie, in bytes of the volume."""

    width: int
    sector: int
    cluster: int
    clusters: int
    table: int
    table_size: int
    data: int
    heap: int


def boot_sector(source: ByteSource) -> Any:
    """The parameter block, NotThisFormat unless each of its fields can be one."""
    if source.size < 512:
        raise NotThisFormat("FAT", None, f"{source.size} bytes")
    boot = parse(fat.BOOT, source, 0, "FAT boot sector")
    if source.read_at(510, 2) != b"\x55\xaa" or boot.jump[0] not in (0xEB, 0xE9):
        raise NotThisFormat("FAT", None, "no boot signature")
    sizes = boot.sector_size in (512, 1024, 2048, 4096) and boot.cluster_sectors and not boot.cluster_sectors & (boot.cluster_sectors - 1)
    if not sizes or not boot.reserved or boot.fats not in (1, 2, 3, 4) or (boot.media < 0xF8 and boot.media != 0xF0):
        raise NotThisFormat("FAT", None, "no parameter block")
    if not (boot.sectors16 or boot.sectors32) or boot.oem in (b"NTFS    ", b"EXFAT   "):
        raise NotThisFormat("FAT", None, "no parameter block")
    return boot


def geometry(source: ByteSource) -> Geometry:
    """Places of the table and the clusters ("FAT type determination" of the specification)."""
    boot = boot_sector(source)
    tail = parse(fat.FAT32_TAIL, source, 36, "FAT32 boot sector")
    fat_sectors = boot.fat_sectors16 or tail.fat_sectors32
    if not fat_sectors:
        raise NotThisFormat("FAT", None, "a table of 0 sectors")
    data = boot.reserved + boot.fats * fat_sectors
    root = (boot.root_entries * 32 + boot.sector_size - 1) // boot.sector_size
    total = boot.sectors16 or boot.sectors32
    clusters = (total - data - root) // boot.cluster_sectors
    if clusters <= 0:
        raise NotThisFormat("FAT", None, f"{total} sectors hold no cluster")
    width = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
    if not boot.fat_sectors16:
        width = 32
    table_size = fat_sectors * boot.sector_size
    clusters = min(clusters, table_size * 8 // width - 2)
    sector = boot.sector_size
    return Geometry(
        width, sector, boot.cluster_sectors * sector, clusters, boot.reserved * sector, table_size, data * sector, (data + root) * sector
    )


class Fat(Native):
    """Rule for deleted content: the entry names the first cluster and the size; the content is the
    clusters from there on that are free now, those in use skipped (the file may have been laid
    around them). "intact": the range is free throughout and no other deleted entry claims any of
    it. "overwritten": the first cluster belongs to an allocated file, or a later deleted entry
    claims it. "partly overwritten": the volume ends first, or a later deleted entry claims a part.
    "unknown": clusters in use lie between, or claims cannot be put in order.
    """

    case_sensitive = False

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._geometry = geo = geometry(source)
        table = source.slice(geo.table, geo.table_size)
        self.blocks: FatBlocks = FatBlocks(table, geo.width, geo.clusters, geo.heap, geo.cluster)
        self._claims = Claims()
        self.label = ""

    def _slot(self, inode: int) -> int:
        return self._geometry.data + (inode - FIRST_INODE) * 32

    def _record(self, named: Named) -> dict[str, Any] | None:
        at = self._slot(named.addr)
        raw = self._source.read_at(at, 32) if named.addr >= FIRST_INODE and not named.virtual else b""
        return fat.ENTRY_LAYOUT.dict(raw) | {"at": at} if len(raw) == 32 else None

    def facts(self, named: Named, place: Place) -> Facts | None:
        record = self._record(named)
        if record is None:
            return Facts(times={}) if named.virtual else Facts()
        if named.orphan and not self._plausible(record):
            return None
        times = _times(record)
        attributes = {"flags": record["attributes"], "short_name": record["name"].hex(), "record": record["at"]}
        if named.raw.endswith(LABEL_SUFFIX) and record["attributes"] & fat.VOLUME_LABEL:
            label = named.raw[: -len(LABEL_SUFFIX)].rstrip().decode("utf-8", "backslashreplace")
            return Facts(times, 0, record["name"], label, kind="special", attributes=attributes, runs=())
        first = _first_cluster(record, self._geometry.width)
        attributes["first_cluster"] = first
        base = Facts(times, raw_name=_raw_name(named, record), attributes=attributes)
        kind: Kind = "directory" if record["attributes"] & fat.DIRECTORY else "file"
        if kind == "directory":
            verdict: Verdict = "" if named.live and not named.orphan else self._directory_verdict(first)
            return replace(base, verdict=verdict)
        if named.live and not named.orphan:
            if named.broken or sum(n for a in named.attrs for _s, n in a.runs) < record["size"]:
                return replace(base, size=record["size"], runs=self._chain(first, record["size"]))
            return base
        runs, verdict = self._deleted(named.addr, record, first, place)
        return replace(base, size=record["size"], runs=runs, verdict=verdict)

    def _directory_verdict(self, first: int) -> Verdict:
        if not self.blocks.has(first):
            return "unknown"
        return "overwritten" if self.blocks.in_use(first, 1) else "intact"

    def _deleted(self, inode: int, record: dict[str, Any], first: int, place: Place) -> tuple[Sequence[Run], Verdict]:
        if record["size"] == 0:
            return (), "intact"
        if not self.blocks.has(first):
            return (), "unknown"
        if self.blocks.in_use(first, 1):
            return (), "overwritten"
        runs, skipped = self._free(first, record["size"])
        verdict: Verdict = "unknown" if skipped else "intact"
        if sum(count for _c, count in runs) * self.blocks.size < record["size"]:
            verdict = "partly overwritten"
        self._claims.load(lambda: [c for n in place.deleted() if (c := self._claim(n)) is not None])
        return self._bytes(runs), self._claims.judge(Claim(inode, tuple(runs), _born(record)), verdict)

    def _claim(self, named: Named) -> Claim | None:
        record = self._record(named)
        if record is None or record["attributes"] & (fat.DIRECTORY | fat.VOLUME_LABEL) or not record["size"]:
            return None
        if named.orphan and not self._plausible(record):
            return None
        first = _first_cluster(record, self._geometry.width)
        if not self.blocks.has(first) or self.blocks.in_use(first, 1):
            return None
        return Claim(named.addr, tuple(self._free(first, record["size"])[0]), _born(record))

    def _free(self, first: int, size: int) -> tuple[list[tuple[int, int]], int]:
        need = min((size + self.blocks.size - 1) // self.blocks.size, self.blocks.last - 1)
        return self.blocks.free_run(first, need)

    def _bytes(self, runs: Sequence[tuple[int, int]]) -> tuple[Run, ...]:
        return tuple((self.blocks.offset(cluster), count * self.blocks.size) for cluster, count in runs)

    def _chain(self, first: int, size: int) -> tuple[Run, ...]:
        """A live file's clusters by the table; what a broken chain does not give is missing."""
        need = (size + self.blocks.size - 1) // self.blocks.size
        runs: list[tuple[int, int]] = []
        seen: set[int] = set()
        cluster = first
        while self.blocks.has(cluster) and cluster not in seen and len(seen) < need:
            seen.add(cluster)
            if runs and sum(runs[-1]) == cluster:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((cluster, 1))
            cluster = self.blocks.next(cluster)
        return self._bytes(runs)

    def _plausible(self, record: dict[str, Any]) -> bool:
        """Whether a slot in an unallocated cluster can be a directory entry: noise is not, and hunting
        orphans without this test makes up millions of files."""
        flags, name = record["attributes"], record["name"]
        if flags & ~KNOWN_ATTRIBUTES or flags & fat.LONG_NAME == fat.LONG_NAME or flags & fat.VOLUME_LABEL:
            return False
        if name[0] not in LEGAL or name[0] == 0x20 or any(c not in LEGAL for c in name[1:]):
            return False
        dates = (record["written_date"], record["born_date"], record["accessed_date"])
        if not record["written_date"] or any(d and Timestamp.fat(d).ns is None for d in dates):
            return False
        if any(record[t] and Timestamp.fat(0x21, record[t]).ns is None for t in ("written_time", "born_time")):
            return False
        first = _first_cluster(record, self._geometry.width)
        if flags & fat.DIRECTORY:
            return record["size"] == 0 and self.blocks.has(first)
        if record["size"] == 0:
            return first == 0
        return self.blocks.has(first) and record["size"] <= (self.blocks.last + 1 - first) * self.blocks.size


def _first_cluster(record: dict[str, Any], width: int) -> int:
    return int(record["cluster_low"]) | (int(record["cluster_high"]) << 16 if width == 32 else 0)


def _born(record: dict[str, Any]) -> int | None:
    born = Timestamp.fat(record["born_date"], record["born_time"], record["born_tenths"]) if record["born_date"] else None
    return born.ns if born is not None else None


def _times(record: dict[str, Any]) -> dict[str, Timestamp]:
    """The stored words; an unset date is no time."""
    out = {}
    if record["written_date"]:
        out["modified"] = Timestamp.fat(record["written_date"], record["written_time"])
    if record["accessed_date"]:
        day = Timestamp.fat(record["accessed_date"])
        out["accessed"] = Timestamp(day.raw, day.kind, day.ns, day.zone, 86_400_000_000_000)
    if record["born_date"]:
        out["born"] = Timestamp.fat(record["born_date"], record["born_time"], record["born_tenths"])
    return out


def _raw_name(named: Named, record: dict[str, Any]) -> bytes:
    """The 11 stored bytes, or the UTF-16 text where a long name exists."""
    stored: bytes = record["name"]
    short = stored[:8].rstrip() + (b"." + stored[8:].rstrip() if stored[8:].strip() else b"")
    if named.raw.upper()[1:] == short[1:].upper():
        return stored
    return named.raw.decode("utf-8", "replace").encode("utf-16-le", "replace")
