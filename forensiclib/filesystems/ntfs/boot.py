"""The boot sector: geometry, or its copy in the last sector when the first is damaged."""

from __future__ import annotations

from dataclasses import dataclass

from forensiclib.core.errors import Corrupt, NotThisFormat
from forensiclib.core.finding import Finding
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.formats._dsl import layout
from forensiclib.formats.ntfs import BOOT

__all__ = ["Geometry", "geometry", "looks_like_ntfs"]

_BOOT = layout(BOOT)
_SECTORS = (512, 1024, 2048, 4096)


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes in bytes, places in clusters; ``clusters`` is the count on the volume."""

    sector: int
    cluster: int
    clusters: int
    record: int
    index: int
    mft: int
    mirror: int
    serial: int
    at: int


def _power(code: int, cluster: int) -> int:
    """Record sizes: clusters when positive, 2 ** -n bytes when negative (as a signed byte)."""
    return cluster * code if code < 0x80 else 1 << (256 - code)


def _read(source: ByteSource, at: int) -> Geometry | None:
    raw = source.read_at(at, 512)
    if len(raw) < 512 or raw[3:11] != b"NTFS    ":
        return None
    boot = _BOOT.dict(raw)
    sector, per = boot["bytes_per_sector"], boot["sectors_per_cluster"]
    if sector not in _SECTORS or per == 0 or (per > 0x80 and 256 - per > 30):
        return None
    cluster = sector * (per if per <= 0x80 else 1 << (256 - per))
    if cluster & (cluster - 1) or cluster > 1 << 31:
        return None
    if min(boot["record_clusters"], boot["index_clusters"]) == 0 or any(
        0x80 <= boot[k] < 0xE0 for k in ("record_clusters", "index_clusters")
    ):
        return None
    record, index = _power(boot["record_clusters"], cluster), _power(boot["index_clusters"], cluster)
    clusters = boot["total_sectors"] * sector // cluster
    if record % 512 or not 512 <= record <= 65536 or index % 512 or index < 512 or clusters == 0 or boot["mft_cluster"] >= clusters:
        return None
    return Geometry(sector, cluster, clusters, record, index, boot["mft_cluster"], boot["mirror_cluster"], boot["serial"], at)


def _backups(source: ByteSource) -> list[int]:
    """Where the copy may stand: the last sector, for each sector size."""
    return [at for size in _SECTORS if (at := source.size // size * size - size) > 0]


def looks_like_ntfs(source: ByteSource) -> bool:
    """Whether a boot sector or its copy is there."""
    return any(_read(source, at) is not None for at in (0, *_backups(source)))


def geometry(source: ByteSource, budget: Budget) -> Geometry:
    """The volume's geometry; a damaged first sector is reported and its copy used.

    Raises NotThisFormat when neither can be read.
    """
    found = _read(source, 0)
    if found is None:
        for at in _backups(source):
            if (found := _read(source, at)) is not None:
                budget.report(Corrupt("NTFS boot sector", _span(source, 0), f"damaged; its copy at {at:#x} is used"))
                break
    if found is None:
        raise NotThisFormat("NTFS boot sector", _span(source, 0), "no signature with a possible geometry")
    if found.clusters * found.cluster > source.size:
        budget.report(
            Finding(
                "Truncated", "NTFS volume", f"{found.clusters * found.cluster} bytes stated, {source.size} there", span=_span(source, 0)
            )
        )
    return found


def _span(source: ByteSource, at: int) -> Span | None:
    spans = source.trace(at, 512)
    return spans[0] if spans else None
