"""Serialized property stores: typed values by format identifier and number, inside links and shell items."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from forensiclib.core.declare import StoreFormat
from forensiclib.core.errors import Corrupt
from forensiclib.core.guid import guid
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.text import c_string, utf16
from forensiclib.core.time import Timestamp
from forensiclib.formats import propertystore as fmt
from forensiclib.formats._dsl import layout

__all__ = ["STORE", "Value", "read_properties"]

Value = str | int | float | bool | None | list["Value"]

_STORAGE, _VALUE, _TYPED = layout(fmt.STORAGE), layout(fmt.VALUE), layout(fmt.TYPED)
_NUMBERS = {
    2: "h", 3: "i", 4: "f", 5: "d", 10: "I", 16: "b", 17: "B", 18: "H", 19: "I", 20: "q", 21: "Q", 22: "i", 23: "I",
}  # fmt: skip
_VECTOR, _BOOL, _BSTR, _LPSTR, _LPWSTR, _FILETIME, _CLSID = 0x1000, 11, 8, 30, 31, 64, 72


def read_properties(data: bytes, budget: Budget) -> dict[str, Value]:
    """A serialized property store -> {"format identifier/number or name": value}.

    Times are ISO 8601 UTC; values of types that are not decoded are hexadecimal text. Damage is reported and ends
    the storage that has it.
    """
    out: dict[str, Value] = {}
    at = 0
    while at + 4 <= len(data):
        budget.item()
        size = int.from_bytes(data[at : at + 4], "little")
        if size == 0:
            break
        if size < _STORAGE.size or at + size > len(data):
            budget.report(Corrupt("property storage", None, f"{size} bytes at {at} of {len(data)}"))
            break
        head = _STORAGE.dict(data, at)
        if head["version"] != fmt.VERSION:
            budget.report(Corrupt("property storage", None, f"version {head['version']:#x}"))
            break
        _storage(data[at + _STORAGE.size : at + size], guid(head["format"]), out, budget)
        at += size
    return out


def _storage(data: bytes, format_id: str, out: dict[str, Value], budget: Budget) -> None:
    at = 0
    while at + 4 <= len(data):
        budget.item()
        size = int.from_bytes(data[at : at + 4], "little")
        if size == 0:
            return
        if size < _VALUE.size or at + size > len(data):
            budget.report(Corrupt("property", None, f"{format_id}: {size} bytes at {at} of {len(data)}"))
            return
        value = _VALUE.dict(data, at)
        body = data[at + _VALUE.size : at + size]
        name = str(value["id"])
        if format_id == fmt.NAMED:
            name, body = utf16(body[: value["id"]], stop_at_nul=True), body[value["id"] :]
        out[f"{format_id}/{name}"] = _typed(body, budget)
        at += size


def _typed(body: bytes, budget: Budget) -> Value:
    if len(body) < _TYPED.size:
        return body.hex()
    kind = _TYPED.dict(body)["type"]
    data = body[_TYPED.size :]
    if kind & _VECTOR and len(data) >= 4:
        return _vector(kind & ~_VECTOR, data, body, budget)
    decoded = _scalar(kind, data)
    return body.hex() if decoded is None else decoded[0]


def _vector(kind: int, data: bytes, body: bytes, budget: Budget) -> Value:
    count, at = int.from_bytes(data[:4], "little"), 4
    out: list[Value] = []
    for _ in range(count):
        budget.item()
        decoded = _scalar(kind, data, at, packed=True)
        if decoded is None or at >= len(data):
            return body.hex()
        out.append(decoded[0])
        at += decoded[1]
    return out


def _scalar(kind: int, data: bytes, at: int = 0, *, packed: bool = False) -> tuple[Value, int] | None:
    """The value at ``at`` and the bytes it takes; None when it is of another type or cut off.

    In a vector (``packed``) numbers stand side by side and texts are padded to 4 bytes.
    """
    left = len(data) - at
    if kind in (0, 1):
        return None, 4
    if kind in _NUMBERS:
        code = struct.Struct("<" + _NUMBERS[kind])
        if left < code.size:
            return None
        number = code.unpack_from(data, at)[0]
        # NaN and infinities are not JSON.
        return (number if number == number and abs(number) != float("inf") else str(number)), code.size
    if kind == _BOOL and left >= 2:
        return data[at : at + 2] != b"\0\0", 2
    if kind == _FILETIME and left >= 8:
        return Timestamp.filetime(int.from_bytes(data[at : at + 8], "little")).iso(), 8
    if kind == _CLSID and left >= 16:
        return guid(data[at : at + 16]), 16
    if kind in (_BSTR, _LPSTR, _LPWSTR) and left >= 4:
        length = int.from_bytes(data[at : at + 4], "little") * (2 if kind == _LPWSTR else 1)
        if 4 + length > left:
            return None
        raw = data[at + 4 : at + 4 + length]
        text = utf16(raw, stop_at_nul=True) if kind == _LPWSTR else c_string(raw, "cp1252")
        return text, 4 + length + (-length % 4 if packed else 0)
    return None


def _open(source: ByteSource, companions: Mapping[str, ByteSource], budget: Budget) -> dict[str, Value]:
    return read_properties(source.read_at(0, budget.allocate("property store", source.size)), budget)


STORE = StoreFormat(
    name="propertystore",
    title="Serialized property store (inside shell links and shell items)",
    refs=("[MS-PROPSTORE] 2.2 to 2.4", "[MS-OLEPS] 2.15"),
    gaps=("Streams, blobs, arrays and variants stay hexadecimal", "LPSTR is read as code page 1252"),
    open=_open,
)
