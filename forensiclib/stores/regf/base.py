"""The base block of a hive or a log: what it states, and whether its checksum holds."""

from __future__ import annotations

from dataclasses import dataclass

from forensiclib.core.errors import NotThisFormat, Truncated
from forensiclib.core.source import ByteSource
from forensiclib.core.text import utf16
from forensiclib.core.time import Timestamp
from forensiclib.formats.regf import BASE_BLOCK

__all__ = ["Base", "read_base"]


@dataclass(frozen=True, slots=True)
class Base:
    """Fields of a base block.

    primary, secondary   sequence numbers: equal after a completed write
    intact     the stored checksum is that of the bytes
    file_type  0 hive, 1 or 2 old-format log, 6 new-format log
    """

    primary: int
    secondary: int
    last_written: Timestamp
    major: int
    minor: int
    file_type: int
    root: int
    bins_size: int
    clustering: int
    file_name: str
    intact: bool

    @property
    def dirty(self) -> bool:
        """Whether the last write to the hive did not complete, so that its logs are needed."""
        return not self.intact or self.primary != self.secondary


def read_base(source: ByteSource) -> Base:
    """Raises NotThisFormat or Truncated."""
    raw = source.read_at(0, BASE_BLOCK.size)
    if raw[:4] != b"regf":
        raise NotThisFormat("registry hive", None, f"{raw[:4]!r}")
    if len(raw) < BASE_BLOCK.size:
        raise Truncated("registry base block", None, f"{len(raw)} of {BASE_BLOCK.size} bytes")
    f = BASE_BLOCK.dict(raw)
    return Base(
        primary=f["primary"],
        secondary=f["secondary"],
        last_written=Timestamp.filetime(f["last_written"]),
        major=f["major"],
        minor=f["minor"],
        file_type=f["file_type"],
        root=f["root"],
        bins_size=f["bins_size"],
        clustering=f["clustering"],
        file_name=utf16(f["file_name"], stop_at_nul=True),
        intact=_checksum(raw) == f["checksum"],
    )


def _checksum(raw: bytes) -> int:
    """XOR of the first 127 words; 0 and -1 are not used ("Base block", note 2)."""
    out = 0
    for i in range(0, 508, 4):
        out ^= int.from_bytes(raw[i : i + 4], "little")
    return {0xFFFFFFFF: 0xFFFFFFFE, 0: 1}.get(out, out)
