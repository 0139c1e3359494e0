"""Windows prefetch files (SCCA). Sizes and offsets as in libscca's "Windows Prefetch File (PF) format"
(Metz), section 4."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Padding, Struct, u32, u64

__all__ = [
    "HEADER", "INFO", "INFO_SHORT", "METRICS", "METRICS_V17", "RUNS", "VOLUME", "VOLUME_SHORT", "VOLUME_V17",
]  # fmt: skip

HEADER = Struct(84, version=u32, signature=Bytes(4), unknown=u32, size=u32, name=Bytes(60), hash=u32, flags=u32)

_SECTIONS = {
    "metrics_at": u32, "metrics_count": u32, "traces_at": u32, "traces_count": u32, "names_at": u32,
    "names_size": u32, "volumes_at": u32, "volumes_count": u32, "volumes_size": u32,
}  # fmt: skip

INFO = {
    17: Struct(68, **_SECTIONS, runs=Bytes(8), unknown1=Padding(16), run_count=u32, unknown2=Padding(4)),
    23: Struct(
        156, **_SECTIONS, unknown1=Padding(8), runs=Bytes(8), unknown2=Padding(16), run_count=u32, unknown3=Padding(84)
    ),
    26: Struct(
        220, **_SECTIONS, unknown1=Padding(8), runs=Bytes(64), unknown2=Padding(16), run_count=u32, unknown3=Padding(92)
    ),
}  # fmt: skip
"""Behind the header, by version; 30 begins as 26. ``runs`` are FILETIMEs, newest first."""
INFO_SHORT = Struct(212, **_SECTIONS, unknown1=Padding(8), runs=Bytes(64), unknown2=Padding(8), run_count=u32, unknown3=Padding(92))
"""Versions 30 (Windows 10 1903 and later) and 31: eight unknown bytes fewer before the run count."""
RUNS = Struct(8, time=u64)

METRICS_V17 = Struct(20, start=u32, duration=u32, name_at=u32, name_length=u32, flags=u32)
METRICS = Struct(32, start=u32, duration=u32, average=u32, name_at=u32, name_length=u32, flags=u32, reference=u64)
"""``name_at`` in bytes from the names block, ``name_length`` in UTF-16 units without the NUL."""

_VOLUME = {
    "path_at": u32, "path_length": u32, "created": u64, "serial": u32, "references_at": u32, "references_size": u32,
    "directories_at": u32, "directories_count": u32,
}  # fmt: skip
VOLUME_V17 = Struct(40, **_VOLUME, unknown=Padding(4))
VOLUME = Struct(104, **_VOLUME, unknown=Padding(68))
VOLUME_SHORT = Struct(96, **_VOLUME, unknown=Padding(60))
"""Versions 30 and 31. All offsets count from the start of the volumes block."""
