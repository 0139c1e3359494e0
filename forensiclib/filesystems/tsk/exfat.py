"""exFAT beside The Sleuth Kit: times with their offsets, the bitmap, valid lengths, deleted content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from forensiclib.core.entry import Verdict
from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.source import ByteSource, ExtentSource
from forensiclib.core.time import Timestamp
from forensiclib.filesystems.tsk.blocks import BitBlocks, FatBlocks
from forensiclib.filesystems.tsk.claims import Claim, Claims
from forensiclib.filesystems.tsk.named import Named, Run
from forensiclib.filesystems.tsk.native import LABEL_SUFFIX, Facts, Native, Place
from forensiclib.formats import fat
from forensiclib.formats._dsl import parse

__all__ = ["Exfat", "boot_sector"]

FIRST_INODE = 3
FILE, STREAM, IN_USE = 0x05, 0x40, 0x80
"""Entry types without the in-use bit, which deletion clears (6.2.1)."""
BITMAP = 0x81
KNOWN_ATTRIBUTES = 0x37
ROOT_LIMIT = 256 << 20
"""A directory of exFAT is at most 256 MiB (7.6.9)."""


def boot_sector(source: ByteSource) -> Any:
    """The main boot sector (3.1), NotThisFormat unless its fields can be one."""
    if source.size < 512 or source.read_at(510, 2) != b"\x55\xaa":
        raise NotThisFormat("exFAT", None, "no boot signature")
    boot = parse(fat.EXFAT_BOOT, source, 0, "exFAT boot sector")
    if boot.name != b"EXFAT   " or any(boot.zero):
        raise NotThisFormat("exFAT", None, "no boot sector")
    if not 9 <= boot.sector_shift <= 12 or boot.cluster_shift > 25 - boot.sector_shift or boot.fats not in (1, 2):
        raise NotThisFormat("exFAT", None, "no boot sector")
    if not boot.clusters or not boot.heap_at or not 2 <= boot.root_cluster <= boot.clusters + 1:
        raise NotThisFormat("exFAT", None, "no boot sector")
    return boot


@dataclass(frozen=True, slots=True)
class _Set:
    """A file entry and its stream extension; ``at`` is the byte offset of the first in the volume."""

    file: dict[str, Any]
    stream: dict[str, Any] | None
    at: int

    @property
    def contiguous(self) -> bool:
        return self.stream is not None and bool(self.stream["flags"] & fat.NO_FAT_CHAIN)


class Exfat(Native):
    """Rule for deleted content: the stream extension keeps first cluster, length and the NoFatChain
    flag. With the flag the file was contiguous: exactly those clusters. Without it the FAT chain is
    followed where it is still whole (deletion clears the bitmap, not the chain), else the free
    clusters from the first on are taken and those in use skipped. Verdicts come from the bitmap:
    "intact" when none of the clusters is in use and no later deleted entry claims one, "partly
    overwritten" when some are, "overwritten" when all or the first are; "unknown" when the place
    is a guess around clusters in use.
    """

    case_sensitive = False

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        boot = boot_sector(source)
        sector = 1 << boot.sector_shift
        self._cluster = sector << boot.cluster_shift
        self._heap = boot.heap_at * sector
        self.serial = f"{boot.serial:08x}"
        table = source.slice(boot.fat_at * sector, boot.fat_sectors * sector)
        self._fat = FatBlocks(table, 32, boot.clusters, self._heap, self._cluster)
        root = self._chain(boot.root_cluster, ROOT_LIMIT // self._cluster or 1)
        bitmap = self._bitmap(ExtentSource(source, self._bytes(root)))
        self.blocks: BitBlocks = BitBlocks(bitmap, 2, boot.clusters, self._heap, self._cluster)
        self._claims = Claims()
        self.label = ""

    def _bitmap(self, root: ByteSource) -> ByteSource:
        for at in range(0, root.size, 32):
            kind = root.read_at(at, 1)[0]
            if kind == 0:
                break
            if kind == BITMAP:
                entry = fat.EXFAT_BITMAP_LAYOUT.dict(root.read_at(at, 32))
                count = (entry["length"] + self._cluster - 1) // self._cluster
                runs = self._chain(entry["first_cluster"], count)
                if sum(n for _c, n in runs) < count and self._fat.has(entry["first_cluster"]):
                    runs = [(entry["first_cluster"], count)]
                return ExtentSource(self._source, self._bytes(runs), entry["length"])
        raise Corrupt("exFAT root directory", None, "no allocation bitmap entry")

    def _chain(self, first: int, need: int) -> list[tuple[int, int]]:
        runs: list[tuple[int, int]] = []
        seen: set[int] = set()
        cluster = first
        while self._fat.has(cluster) and cluster not in seen and len(seen) < need:
            seen.add(cluster)
            if runs and sum(runs[-1]) == cluster:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((cluster, 1))
            cluster = self._fat.next(cluster)
        return runs

    def _bytes(self, runs: Sequence[tuple[int, int]]) -> tuple[Run, ...]:
        return tuple((self._fat.offset(cluster), count * self._cluster) for cluster, count in runs)

    def _set(self, named: Named) -> _Set | None:
        at = self._heap + (named.addr - FIRST_INODE) * 32
        raw = self._source.read_at(at, 32) if named.addr >= FIRST_INODE and not named.virtual else b""
        if len(raw) < 32 or raw[0] & ~IN_USE != FILE:
            return None
        following = at + 32
        if (following - self._heap) % self._cluster == 0:  # the set goes on in the directory's next cluster
            cluster = (at - self._heap) // self._cluster + 2
            after = self._fat.next(cluster)
            following = self._fat.offset(after if self._fat.has(after) else cluster + 1)
        second = self._source.read_at(following, 32)
        stream = fat.EXFAT_STREAM_LAYOUT.dict(second) if len(second) == 32 and second[0] & ~IN_USE == STREAM else None
        return _Set(fat.EXFAT_FILE_LAYOUT.dict(raw), stream, at)

    def facts(self, named: Named, place: Place) -> Facts | None:
        found = self._set(named)
        if found is None:
            if named.orphan:
                return None
            if named.raw.endswith(LABEL_SUFFIX):
                label = named.raw[: -len(LABEL_SUFFIX)].decode("utf-8", "backslashreplace")
                return Facts({}, 0, name=label, kind="special", runs=())
            return Facts(times={}, kind="special") if not named.attrs or named.virtual or named.raw.startswith(b"$") else Facts()
        if named.orphan and not self._plausible(found):
            return None
        attributes = {"flags": found.file["attributes"], "record": found.at}
        base = Facts(_times(found.file), attributes=attributes)
        stream = found.stream
        if stream is None:
            return replace(base, verdict="unknown")
        attributes |= {"first_cluster": stream["first_cluster"], "contiguous": found.contiguous}
        if found.file["attributes"] & fat.DIRECTORY:
            return replace(base, verdict=self._verdict_of([(stream["first_cluster"], 1)]))
        size, valid = stream["length"], min(stream["valid"], stream["length"])
        if named.live and not named.orphan:
            return replace(base, size=size, runs=self._live(found), valid=valid)
        runs, verdict = self._deleted(found)
        if verdict != "overwritten" and runs:
            self._claims.load(lambda: [c for n in place.deleted() if (c := self._claim(n)) is not None])
            verdict = self._claims.judge(Claim(named.addr, tuple(runs), _born(found)), verdict)
        return replace(base, size=size, runs=self._bytes(runs), valid=valid, verdict=verdict)

    def _need(self, found: _Set) -> int:
        length = found.stream["length"] if found.stream is not None else 0
        return int(min((length + self._cluster - 1) // self._cluster, self._fat.last))

    def _live(self, found: _Set) -> tuple[Run, ...]:
        assert found.stream is not None
        first, need = found.stream["first_cluster"], self._need(found)
        if found.contiguous:
            return self._bytes([(first, self._fat.clip(first, need))])
        return self._bytes(self._chain(first, need))

    def _deleted(self, found: _Set) -> tuple[list[tuple[int, int]], Verdict]:
        assert found.stream is not None
        first, need = found.stream["first_cluster"], self._need(found)
        if need == 0:
            return [], "intact"
        if not self._fat.has(first):
            return [], "unknown"
        if found.contiguous:
            runs = [(first, self._fat.clip(first, need))]
            return runs, self._verdict_of(runs)
        runs = self._chain(first, need)
        if sum(count for _c, count in runs) == need:
            return runs, self._verdict_of(runs)
        if self.blocks.in_use(first, 1):
            return [], "overwritten"
        runs, skipped = self.blocks.free_run(first, need)
        short = sum(count for _c, count in runs) < need
        return runs, "partly overwritten" if short else "unknown" if skipped else "intact"

    def _verdict_of(self, runs: Sequence[tuple[int, int]]) -> Verdict:
        total = sum(count for _c, count in runs)
        busy = sum(self.blocks.in_use(cluster, count) for cluster, count in runs)
        if not busy:
            return "intact"
        return "overwritten" if busy >= total or self.blocks.in_use(runs[0][0], 1) else "partly overwritten"

    def _claim(self, named: Named) -> Claim | None:
        found = self._set(named)
        if found is None or found.stream is None or found.file["attributes"] & fat.DIRECTORY:
            return None
        if named.orphan and not self._plausible(found):
            return None
        runs, verdict = self._deleted(found)
        return Claim(named.addr, tuple(runs), _born(found)) if runs and verdict != "overwritten" else None

    def _plausible(self, found: _Set) -> bool:
        """Two entries that agree: types, known attributes, real dates, a place inside the volume."""
        file, stream = found.file, found.stream
        if stream is None or file["attributes"] & ~KNOWN_ATTRIBUTES or not 2 <= file["secondaries"] <= 18:
            return False
        if not 1 <= stream["name_length"] <= 255 or stream["valid"] > stream["length"]:
            return False
        if any(Timestamp.fat(file[f"{w}_date"], file[f"{w}_time"]).ns is None for w in ("born", "written", "accessed")):
            return False
        if stream["length"] == 0:
            return bool(stream["first_cluster"] == 0)
        return self._fat.has(stream["first_cluster"]) and self._need(found) <= self._fat.last - 1


def _stamp(file: dict[str, Any], what: str, tenths: int) -> Timestamp:
    """A stored time; UTC when its offset is valid, else the wall clock (7.4.10)."""
    local = Timestamp.fat(file[f"{what}_date"], file[f"{what}_time"], tenths)
    offset = file[f"{what}_offset"]
    if local.ns is None or not offset & 0x80:
        return Timestamp(local.raw, "exfat", local.ns, "local", local.resolution)
    quarters = (offset & 0x7F) - (0x80 if offset & 0x40 else 0)
    return Timestamp(local.raw, "exfat", local.ns - quarters * 900_000_000_000, "utc", local.resolution)


def _times(file: dict[str, Any]) -> dict[str, Timestamp]:
    makers: dict[str, Callable[[], Timestamp]] = {
        "modified": lambda: _stamp(file, "written", file["written_tenths"]),
        "accessed": lambda: _stamp(file, "accessed", 0),
        "born": lambda: _stamp(file, "born", file["born_tenths"]),
    }
    return {name: make() for name, make in makers.items()}


def _born(found: _Set) -> int | None:
    return _stamp(found.file, "born", found.file["born_tenths"]).ns
