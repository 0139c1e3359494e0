"""GUIDs as Microsoft writes them: the first three groups little-endian."""

from __future__ import annotations

import uuid

__all__ = ["guid"]


def guid(raw: bytes) -> str:
    """16 bytes -> "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" in lower case ([MS-DTYP] 2.3.4.2)."""
    return str(uuid.UUID(bytes_le=bytes(raw)))
