"""Twin of _native/regf_columns.pxi: registry values as column buffers."""

from __future__ import annotations

from array import array
from struct import unpack_from

from forensiclib._plain.regf import BINS, SEGMENT, Data

__all__ = ["regf_columns"]

EPOCH = 116_444_736_000_000_000
FAR = ((1 << 63) - 1) // 100


def _name(data: Data, at: int, length: int, compressed: bool) -> bytes:
    raw = bytes(data[at : at + length])
    return (raw.decode("latin-1") if compressed else raw[: length & ~1].decode("utf-16-le", "replace")).encode()


def _big(data: Data, at: int, size: int) -> bytes:
    out = bytearray()
    (segments,) = unpack_from("<I", data, at + 4)
    while len(out) < size:
        (segment,) = unpack_from("<I", data, BINS + segments + 4 + 4 * (len(out) // SEGMENT))
        out += data[BINS + segment + 4 : BINS + segment + 4 + min(SEGMENT, size - len(out))]
    return bytes(out)


def regf_columns(
    data: Data, keys: array[int], values: array[int], path_room: int, data_room: int
) -> dict[str, bytes | bytearray | array[int]] | None:
    """The tables of regf_walk as column buffers, one row a value: path, name (utf8), type, size
    (uint32), data (binary, null when none is to be had), last_written (timestamp), key_at, value_at,
    data_at (int64 file offsets, -1 for none). ``x_offsets`` and ``x_valid`` (one byte a value)
    stand beside their columns. None when the paths would take more than ``path_room`` bytes or the
    data more than ``data_room``.
    """
    paths: list[bytes] = []
    total = 0
    for row in range(0, len(keys), 4):
        offset, parent, _depth, length = keys[row : row + 4]
        if parent < 0:
            paths.append(b"")
            continue
        name = _name(data, BINS + offset + 80, length, bool(data[BINS + offset + 6] & 0x20))
        path = paths[parent] + b"\\" + name if keys[parent * 4 + 1] >= 0 else name
        total += len(path)
        if total > path_room:
            return None
        paths.append(path)
    out_path, out_name, out_data = bytearray(), bytearray(), bytearray()
    path_offsets, name_offsets, data_offsets = array("q", [0]), array("q", [0]), array("q", [0])
    types, sizes, written = array("I"), array("I"), array("q")
    key_at, value_at, data_at = array("q"), array("q"), array("q")
    data_valid, written_valid = bytearray(), bytearray()
    for row in range(0, len(values), 6):
        offset, key, length, at, size, big = values[row : row + 6]
        cell = BINS + offset + 4
        if len(out_path) + len(paths[key]) > path_room or len(out_data) + max(size, 0) > data_room:
            return None
        out_path += paths[key]
        out_name += _name(data, cell + 20, length, bool(data[cell + 16] & 1))
        if size > 0:
            out_data += _big(data, at, size) if big else data[at : at + size]
        path_offsets.append(len(out_path))
        name_offsets.append(len(out_name))
        data_offsets.append(len(out_data))
        (stated, kind) = unpack_from("<I4xI", data, cell + 4)
        types.append(kind)
        sizes.append(stated & 0x7FFFFFFF if stated & 0x80000000 else stated)
        (ticks,) = unpack_from("<Q", data, BINS + keys[key * 4] + 8)
        valid = ticks != 0 and -FAR <= ticks - EPOCH <= FAR
        written.append((ticks - EPOCH) * 100 if valid else 0)
        written_valid.append(valid)
        data_valid.append(size >= 0)
        key_at.append(BINS + keys[key * 4])
        value_at.append(BINS + offset)
        data_at.append(at)
    return {
        "path": out_path, "path_offsets": path_offsets, "name": out_name, "name_offsets": name_offsets,
        "type": types, "size": sizes, "data": out_data, "data_offsets": data_offsets, "data_valid": data_valid,
        "last_written": written, "last_written_valid": written_valid,
        "key_at": key_at, "value_at": value_at, "data_at": data_at,
    }  # fmt: skip
