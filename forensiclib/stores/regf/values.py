"""Registry value types: their names, and data to Python values."""

from __future__ import annotations

from typing import NamedTuple

from forensiclib.core.text import utf16
from forensiclib.formats.regf import VALUE_TYPES

__all__ = ["Decoded", "ValueType", "decode", "value_type"]

Decoded = str | int | list[str] | bytes
_DEVPROP = 0xFFFF0000
"""Device properties keep their DEVPROPTYPE in the low half ([devpropdef.h], DEVPROP_TYPE_*)."""


class ValueType(NamedTuple):
    """The number as stored and its name."""

    number: int
    name: str


def value_type(number: int) -> ValueType:
    """Names what is defined; others are called by their number, and their data stays bytes."""
    if number & _DEVPROP == _DEVPROP:
        return ValueType(number, f"DEVPROP_{number & 0xFFFF:#06x}")
    return ValueType(number, VALUE_TYPES.get(number, f"TYPE_{number:#x}"))


def decode(number: int, data: bytes) -> Decoded:
    """What a value says: text up to the first NUL for string types, a list for REG_MULTI_SZ, an int for
    number types of their right size; the bytes for everything else."""
    if number in (1, 2, 6):
        return utf16(data, stop_at_nul=True)
    if number == 7:
        return _strings(utf16(data))
    if number in (4, 5) and len(data) == 4:
        return int.from_bytes(data, "little" if number == 4 else "big")
    if number == 11 and len(data) == 8:
        return int.from_bytes(data, "little")
    return data


def _strings(text: str) -> list[str]:
    """Empty strings in the middle count: PendingFileRenameOperations says "delete" with them."""
    if not text.strip("\0"):
        return []
    parts = text.removesuffix("\0").split("\0")
    return parts if parts[-1] else parts[:-1]
