"""Expert Witness Compression Format, version 2: EWF2-Ex01 and EWF2-Lx01.

Joachim Metz, "Expert Witness Compression Format version 2 (EWF2)", libewf documentation; the section names in the comments
are the ones of that document. Guidance Software, "EnCase Evidence File Format Version 2" (2012).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32, u64

__all__ = [
    "CASE_VALUES", "COMPRESSIONS", "DEVICE_VALUES", "DRIVE_TYPES", "ENTRY_COMPRESSED", "ENTRY_PATTERN", "ENTRY_SUMMED", "FILE_HEADER",
    "SECTION", "SECTION_ENCRYPTED", "SECTION_HASHED", "SECTION_TYPES", "TABLE_ENTRY", "TABLE_HEADER", "COUNT_HEADER", "ERROR_ENTRY",
    "SESSION_ENTRY", "MD5_HASH", "SHA1_HASH",
]  # fmt: skip

# "File header", the same for Ex01 and Lx01; the signatures are in formats.ewf.
FILE_HEADER = layout(Struct(32, signature=Bytes(8), major=u8, minor=u8, compression=u16, segment_number=u32, set_identifier=Bytes(16)))

# "Section descriptor": behind the data, points to the descriptor before.
SECTION = layout(
    Struct(
        64, type=u32, flags=u32, previous=u64, data_size=u64, descriptor_size=u32, padding_size=u32, md5=Bytes(16), reserved=Bytes(12),
        checksum=u32,
    )
)  # fmt: skip
SECTION_HASHED, SECTION_ENCRYPTED = 1, 2

SECTION_TYPES = {
    0x01: "device information", 0x02: "case data", 0x03: "sector data", 0x04: "sector table", 0x05: "error table", 0x06: "session table",
    0x07: "increment data", 0x08: "MD5 hash", 0x09: "SHA1 hash", 0x0A: "restart data", 0x0B: "encryption keys",
    0x0C: "memory extents table", 0x0D: "next", 0x0E: "final information", 0x0F: "done", 0x10: "analytical data",
    0x20: "single files data", 0x21: "single files table", 0x22: "single files MD5 hash table", 0x23: "single files table 2",
}  # fmt: skip

# "Sector table": header, 12 bytes of padding, entries, footer.
TABLE_HEADER = layout(Struct(32, first_chunk=u64, entry_count=u32, reserved=u32, checksum=u32, padding=Bytes(12)))
TABLE_ENTRY = layout(Struct(16, offset=u64, size=u32, flags=u32))
ENTRY_COMPRESSED, ENTRY_SUMMED, ENTRY_PATTERN = 1, 2, 4

# "Error table", "Session table": header, 12 bytes of padding, entries, footer.
COUNT_HEADER = layout(Struct(32, entry_count=u32, reserved=Bytes(12), checksum=u32, padding=Bytes(12)))
ERROR_ENTRY = layout(Struct(16, start_sector=u64, sector_count=u32, padding=u32))
SESSION_ENTRY = layout(Struct(32, start_sector=u64, flags=u32, padding=Bytes(20)))

# "MD5 hash", "SHA1 hash"
MD5_HASH = layout(Struct(20, md5=Bytes(16), checksum=u32))
SHA1_HASH = layout(Struct(24, sha1=Bytes(20), checksum=u32))

COMPRESSIONS = {0: "none", 1: "deflate", 2: "bzip2"}
DRIVE_TYPES = {"a": "RAM disk", "c": "optical", "f": "fixed", "l": "logical evidence", "m": "memory", "p": "PALM", "r": "removable"}

# "Device information", "Case data": the names are those of version 1 where the meaning is the same.
DEVICE_VALUES = {
    "sn": "serial_number", "md": "model", "lb": "device_label", "ts": "sectors_count", "hs": "hpa_sectors", "dc": "dco_sectors",
    "dt": "media_type", "pid": "process_identifier", "rs": "palm_sectors", "ls": "smart_logs_sectors", "bp": "bytes_per_sector",
    "ph": "physical",
}  # fmt: skip
CASE_VALUES = {
    "nm": "unique_description", "cn": "case_number", "en": "evidence_number", "ex": "examiner_name", "nt": "notes", "av": "version",
    "os": "platform", "tt": "target_time", "at": "actual_time", "tb": "chunk_count", "cp": "compression", "sb": "sectors_per_chunk",
    "gr": "error_granularity", "wb": "write_blocker",
}  # fmt: skip
