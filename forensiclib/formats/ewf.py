"""Expert Witness Compression Format: EWF-E01 and EWF-S01.

Joachim Metz, "Expert Witness Compression Format (EWF)", libewf documentation; the section names in
the comments are the ones of that document.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u8, u16, u32, u64

__all__ = [
    "COMPRESSION_LEVELS", "DIGEST", "ERROR2_ENTRY", "ERROR2_HEADER", "FILE_HEADER", "HASH", "HEADER_VALUES", "LTREE",
    "MEDIA_FLAGS", "MEDIA_TYPES", "SECTION", "SECTION_TYPES", "SESSION_ENTRY", "SESSION_HEADER", "SIGNATURE",
    "SIGNATURE_ADCRYPT", "SIGNATURE_EX01", "SIGNATURE_L01", "SIGNATURE_LX01", "TABLE_HEADER", "VOLUME", "VOLUME_SMART",
]  # fmt: skip

SIGNATURE = b"EVF\x09\x0d\x0a\xff\x00"
SIGNATURE_L01 = b"LVF\x09\x0d\x0a\xff\x00"
SIGNATURE_EX01 = b"EVF2\x0d\x0a\x81\x00"
SIGNATURE_LX01 = b"LEF2\x0d\x0a\x81\x00"
SIGNATURE_ADCRYPT = b"ADCRYPT\x00"

# "File header"
FILE_HEADER = layout(Struct(13, signature=Bytes(8), fields_start=u8, segment_number=u16, fields_end=u16))

# "Section descriptor"; the checksum is Adler-32 of the 72 bytes before it.
SECTION = layout(Struct(76, type=Bytes(16), next_offset=u64, size=u64, padding=Bytes(40), checksum=u32))

SECTION_TYPES = (
    "header2", "header", "xheader", "volume", "disk", "data", "sectors", "table2", "table", "next", "done", "hash",
    "digest", "xhash", "error2", "session", "incomplete", "ltree", "ltypes", "map",
)  # fmt: skip

# "Volume section", "FTK Imager, EnCase 1 to 7 and linen 5 to 7 (EWF-E01)"; disk and data are the same.
VOLUME = layout(
    Struct(
        1052,
        media_type=u8,
        unknown1=Bytes(3),
        chunk_count=u32,
        sectors_per_chunk=u32,
        bytes_per_sector=u32,
        sectors_count=u64,
        cylinders=u32,
        heads=u32,
        sectors=u32,
        media_flags=u8,
        unknown2=Bytes(3),
        palm_volume_start_sector=u32,
        unknown3=Bytes(4),
        smart_logs_start_sector=u32,
        compression_level=u8,
        unknown4=Bytes(3),
        error_granularity=u32,
        unknown5=Bytes(4),
        set_identifier=Bytes(16),
        unknown6=Bytes(963),
        signature=Bytes(5),
        checksum=u32,
    )
)

# "Volume section", "EWF specification" and "SMART (EWF-S01)"
VOLUME_SMART = layout(
    Struct(
        94,
        reserved1=u32,
        chunk_count=u32,
        sectors_per_chunk=u32,
        bytes_per_sector=u32,
        sectors_count=u32,
        reserved2=Bytes(20),
        padding=Bytes(45),
        signature=Bytes(5),
        checksum=u32,
    )
)

# "Table header" of "EnCase 6 to 7 and linen 6 to 7 (EWF-E01)"; before EnCase 6 the base offset is padding (0).
TABLE_HEADER = layout(Struct(24, entry_count=u32, padding1=Bytes(4), base_offset=u64, padding2=Bytes(4), checksum=u32))

# "Session section": "Session header", "Session entry"
SESSION_HEADER = layout(Struct(36, session_count=u32, unknown=Bytes(28), checksum=u32))
SESSION_ENTRY = layout(Struct(32, flags=u32, start_sector=u32, unknown=Bytes(24)))

# "Error2 section": "Error2 header", "Error2 entry"
ERROR2_HEADER = layout(Struct(520, entry_count=u32, unknown=Bytes(512), checksum=u32))
ERROR2_ENTRY = layout(Struct(8, start_sector=u32, sector_count=u32))

# "Digest section", "Hash section"
DIGEST = layout(Struct(80, md5=Bytes(16), sha1=Bytes(20), padding=Bytes(40), checksum=u32))
HASH = layout(Struct(36, md5=Bytes(16), unknown=Bytes(16), checksum=u32))

# "Ltree header"; the checksum is Adler-32 of the 48 bytes with itself zero.
LTREE = layout(Struct(48, md5=Bytes(16), data_size=u64, checksum=u32, unknown=Bytes(20)))

# "Header values" and "Header2 values"
HEADER_VALUES = {
    "a": "unique_description",
    "c": "case_number",
    "n": "evidence_number",
    "e": "examiner_name",
    "t": "notes",
    "md": "model",
    "sn": "serial_number",
    "l": "device_label",
    "av": "version",
    "ov": "platform",
    "m": "acquired_date",
    "u": "system_date",
    "p": "password_hash",
    "pid": "process_identifier",
    "dc": "dc",
    "ext": "extents",
    "r": "compression",
}

# "Media type", "Media flags", "Compression level"
MEDIA_TYPES = {0x00: "removable", 0x01: "fixed", 0x03: "optical", 0x0E: "logical evidence", 0x10: "memory"}
MEDIA_FLAGS = {0x01: "image", 0x02: "physical", 0x04: "fastbloc", 0x08: "tableau"}
COMPRESSION_LEVELS = {0x00: "none", 0x01: "good", 0x02: "best"}
