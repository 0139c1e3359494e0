"""Volume shadow copies of Windows Vista and later: volume header, catalog, stores.

J. Metz, Volume Shadow Snapshot (VSS) format, libvshadow documentation; M. Suhanov, "Scoped shadow copies" and "Extracting
unallocated clusters from a shadow copy", dfir.ru 2020, and the notes on flags in his dfir_ntfs; Microsoft, VSS API:
_VSS_SNAPSHOT_CONTEXT, _VSS_VOLUME_SNAPSHOT_ATTRIBUTES.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Const, Struct, u32, u64

__all__ = [
    "ATTRIBUTES", "BITMAP", "BLOCK", "BLOCKS", "CATALOG", "CONTEXTS", "COPY", "DESCRIPTOR", "ENTRY", "FORWARDER", "GUID", "HEADER",
    "HEADER_AT", "IGNORED", "INFO", "OFFLINE", "OVERLAY", "PLACE", "RANGE", "RANGES", "RECORD", "SNAPSHOT", "STORE", "STORED",
    "UNUSED", "VOLUME", "ZERO_UNUSED",
]  # fmt: skip

GUID = bytes.fromhex("6b87083876c1484eb7ae04046e6cc752")
"""{3808876b-c176-4e48-b7ae-04046e6cc752}, first in every record."""
BLOCK = 16384
"""Everything is copied, counted and stored in blocks of so many bytes of the volume."""
HEADER_AT = 0x1E00
VOLUME, CATALOG, BLOCKS, STORE, RANGES, BITMAP = 1, 2, 3, 4, 5, 6
"""Kinds of records."""

HEADER = Struct(
    128,
    guid=Const(GUID), version=u32, kind=u32, offset=u64, offset2=u64, unknown=u64, catalog=u64, maximum=u64, volume=Bytes(16),
    storage=Bytes(16), flags=u64, precopy=u64, hot=u64, days=u32, protection=u32,
)  # fmt: skip
"""At HEADER_AT of the volume. ``catalog`` is 0 when there are no copies; ``storage`` names the volume that the stores are on.
Version 1 Vista and 7, 2 from 8 on."""

RECORD = Struct(128, guid=Const(GUID), version=u32, kind=u32, relative=u64, offset=u64, next=u64, size=u64, unknown=Bytes(72))
"""Head of a block: where it is in its file and on the volume, where the next of its kind is (0: nowhere)."""

ENTRY = 128
"""Bytes of a catalog entry; kind 0 and 1 are free ones."""
UNUSED, COPY, PLACE = 1, 2, 3
SNAPSHOT = Struct(128, kind=u32, priority=u32, volume_size=u64, store=Bytes(16), position=u64, flags=u64, created=u64, rest=Bytes(72))
"""Entry of kind 2: a copy. ``position`` counts from the oldest one on."""
STORED = Struct(
    128,
    kind=u32, unknown=u32, blocks=u64, store=Bytes(16), header=u64, ranges=u64, bitmap=u64, file=u64, allocated=u64, previous=u64,
    rest=Bytes(48),
)  # fmt: skip
"""Entry of kind 3: where the first record of each kind is on the volume; 0: there is none."""
OFFLINE, ZERO_UNUSED = 0x100, 0x400
"""Flags: the copy was taken away; blocks that are marked in the bitmap read as zero on Windows, and not as the volume has them."""
INFO = Struct(60, application=Bytes(16), copy=Bytes(16), set=Bytes(16), context=u32, count=u32, attributes=u32)
"""Behind the RECORD of a STORE block. Four texts follow, each a 16-bit length in bytes and UTF-16: exposed name, exposed
path, originating machine, service machine."""

RANGE = Struct(24, offset=u64, relative=u64, size=u64)
"""Part of the store's file: on the volume, in the file."""

DESCRIPTOR = Struct(32, original=u64, relative=u64, offset=u64, flags=u32, bitmap=u32)
"""A block of the volume and where its former content is."""
FORWARDER, OVERLAY, IGNORED = 1, 2, 4
"""Flags: the content was moved to ``relative`` of the volume; only the sectors in ``bitmap``, written to the copy itself; none."""

CONTEXTS = {
    0x0: "backup", 0x9: "application rollback", 0xD: "client-accessible, with writers", 0x10: "file share backup",
    0x19: "NAS rollback", 0x1D: "client-accessible",
}  # fmt: skip

ATTRIBUTES = {
    0x1: "persistent", 0x2: "no auto-recovery", 0x4: "client-accessible", 0x8: "no auto-release", 0x10: "no writers", 0x20: "transportable",
    0x40: "not surfaced", 0x80: "not transacted", 0x10000: "hardware-assisted", 0x20000: "differential", 0x40000: "plex",
    0x80000: "imported", 0x100000: "exposed locally", 0x200000: "exposed remotely", 0x400000: "auto-recovered",
    0x800000: "rollback recovery", 0x1000000: "delayed post-snapshot", 0x2000000: "TxF recovery", 0x4000000: "file share",
}  # fmt: skip
