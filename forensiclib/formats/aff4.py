"""Advanced Forensic Format 4: the records inside its ZIP volumes, and the names that its metadata use.

B. Schatz, M. Cohen, "AFF4 Standard v1.0a" (github.com/aff4/Standard), sections 2 to 6; the Canonical Reference Images
(github.com/aff4/ReferenceImages), which the standard puts above its own words; Evimetry 2.x and libaff4 volumes for the names
from before the standard.
"""

from __future__ import annotations

from forensiclib.formats._dsl import Struct, layout, u32, u64

__all__ = [
    "BLOCK_HASHES", "DATATYPES", "DEFLATE", "INDEX_ENTRY", "LZ4", "MAP_ENTRY", "NAMESPACES", "PATTERNS", "RDF_TYPE", "SCHEMA", "SNAPPY",
    "SNAPPY_ALWAYS", "STORED", "TILE", "XSD", "ZLIB",
]  # fmt: skip

INDEX_ENTRY = layout(Struct(12, offset=u64, size=u32))
"""Bevy index, "Image Stream"; before the standard it is the offsets alone, 32 bits each."""
MAP_ENTRY = layout(Struct(28, mapped_offset=u64, length=u64, target_offset=u64, target_id=u32))

SCHEMA = "http://aff4.org/Schema#"
XSD = "http://www.w3.org/2001/XMLSchema#"
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
NAMESPACES = (SCHEMA, "http://afflib.org/2009/aff4#", "http://afflib.org/2012/SymbolicStream#", "http://afflib.org/2009/aff4/")
"""Of the standard, and of Evimetry before it."""

ZLIB = "https://www.ietf.org/rfc/rfc1950.txt"
DEFLATE = "https://tools.ietf.org/html/rfc1951"
LZ4 = "https://code.google.com/p/lz4/"
SNAPPY = "http://code.google.com/p/snappy/"
SNAPPY_ALWAYS = "https://github.com/google/snappy"
"""libaff4 before the standard: no chunk is stored plain."""
STORED = (SCHEMA + "NullCompressor", SCHEMA + "compression/stored", "http://afflib.org/2009/aff4#nullCompressor")

TILE = 1 << 20
"""Bytes after which a repeated text begins anew ("Symbolic Streams")."""
PATTERNS = {"UnknownData": b"UNKNOWN", "UnreadableData": b"UNREADABLEDATA"}

DATATYPES = {"md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512", "blake2b": "blake2b"}
"""Datatype of a hash, lower case, without its namespace -> our name."""
BLOCK_HASHES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64, "blake2b": 64}
"""Block hashes and their bytes, in the order of the block map hash ("The single Block Map Hash")."""
