"""Sparse disk images of Apple (.sparseimage), big-endian, and the names in a sparse bundle.

Joachim Metz, "Mac OS disk image types", documentation of libmodi: "Sparse disk image format", "Sparse bundle disk image format".
The size in 64 bits and the further index nodes: Simon Gander, fsdump (2020).
"""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, layout, u32be, u64be

__all__ = ["BUNDLE", "HEADER", "NODE", "SIGNATURE"]

SIGNATURE = b"sprs"
PAGE = 4096
"""Bytes of the header and of each further node, the list of bands at their end included."""
HEADER = layout(
    Struct(
        64,
        magic=Bytes(4),
        version=u32be,
        band_sectors=u32be,
        flags=u32be,
        sectors_low=u32be,
        next=u64be,
        sectors=u64be,
        reserved=Bytes(28),
    )
)
NODE = layout(Struct(56, magic=Bytes(4), number=u32be, flags=u32be, next=u64be, reserved=Bytes(36)))
BUNDLE = "com.apple.diskimage.sparsebundle"
INFO, BACKUP, TOKEN, BANDS = "Info.plist", "Info.bckup", "token", "bands"
