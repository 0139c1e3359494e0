"""LUKS headers. LUKS1: "LUKS1 On-Disk Format Specification" 1.2.3 (C. Fruhwirth, M. Broz, 2018); LUKS2: "LUKS2 On-Disk Format
Specification" 1.1.4 (M. Broz, 2024). All numbers big-endian."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u16be, u32be, u64be

__all__ = [
    "HEADER1", "HEADER1_LAYOUT", "HEADER2", "HEADER2_LAYOUT", "MAGIC", "MAGIC_SECOND", "SECONDS", "SLOT", "SLOTS",
    "SLOT_ACTIVE", "SLOT_LAYOUT",
]  # fmt: skip

MAGIC = b"LUKS\xba\xbe"
MAGIC_SECOND = b"SKUL\xba\xbe"
"""Of the second LUKS2 header."""

HEADER1 = Struct(
    208,
    magic=Bytes(6),
    version=u16be,
    cipher=Bytes(32),
    mode=Bytes(32),
    hash=Bytes(32),
    payload=u32be,
    key_bytes=u32be,
    digest=Bytes(20),
    salt=Bytes(32),
    rounds=u32be,
    uuid=Bytes(40),
)
"""LUKS1, figure 1, up to the key slots. ``payload`` counts sectors of 512 bytes."""
HEADER1_LAYOUT = layout(HEADER1)

SLOTS = 8
SLOT = Struct(48, active=u32be, rounds=u32be, salt=Bytes(32), offset=u32be, stripes=u32be)
"""LUKS1, figure 2; eight follow the header. ``offset`` counts sectors of 512 bytes."""
SLOT_LAYOUT = layout(SLOT)
SLOT_ACTIVE = 0x00AC71F3

HEADER2 = Struct(
    512,
    magic=Bytes(6),
    version=u16be,
    size=u64be,
    sequence=u64be,
    label=Bytes(48),
    algorithm=Bytes(32),
    salt=Bytes(64),
    uuid=Bytes(40),
    subsystem=Bytes(48),
    offset=u64be,
    reserved=Bytes(184),
    checksum=Bytes(64),
)
"""LUKS2, 2.1; JSON follows at 4096 and fills ``size``. The checksum covers ``size`` bytes with its own field as zero."""
HEADER2_LAYOUT = layout(HEADER2)

SECONDS = (0x4000, 0x8000, 0x10000, 0x20000, 0x40000, 0x80000, 0x100000, 0x200000, 0x400000)
"""Where the second header may lie: the sizes that the first may have (LUKS2, 2.1)."""
