"""Security identifiers ([MS-DTYP] 2.4.2)."""

from __future__ import annotations

__all__ = ["sid"]


def sid(raw: bytes) -> str | None:
    """Binary SID -> "S-1-5-21-...", or None when the bytes are not one (short, wrong revision).

    The authority is 6 bytes big-endian; the sub-authorities are u32 little-endian. Bytes after
    the last sub-authority are allowed, as stores pad.
    """
    if len(raw) < 8 or raw[0] != 1 or raw[1] > 15 or len(raw) < 8 + 4 * raw[1]:
        return None
    authority = int.from_bytes(raw[2:8], "big")
    subs = (int.from_bytes(raw[8 + 4 * i : 12 + 4 * i], "little") for i in range(raw[1]))
    # [MS-DTYP] 2.4.2.1: an authority of 2^32 and above is written in hexadecimal.
    head = str(authority) if authority < 1 << 32 else f"{authority:#014x}"
    return "-".join(["S-1", head, *map(str, subs)])
