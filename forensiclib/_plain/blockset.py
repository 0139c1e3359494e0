"""Twin of _native/blockset.pxi."""

from __future__ import annotations

from array import array
from bisect import bisect_left

from forensiclib.core.errors import UsageError

__all__ = ["digest_find", "digest_index", "digest_sort"]

Buffer = bytes | bytearray | memoryview


def _rows(data: Buffer, width: int) -> list[bytes]:
    if not 8 <= width <= 64 or len(data) % width or len(data) // width > 0x7FFFFFFF:
        raise UsageError(f"{len(data)} bytes are no rows of {width} (8 to 64 bytes, fewer than 2^31)")
    whole = bytes(data)
    return [whole[at : at + width] for at in range(0, len(whole), width)]


def _bits(rows: int) -> int:
    bits = 8
    while bits < 24 and rows >> bits > 2:
        bits += 1
    return bits


def digest_sort(rows: Buffer, width: int) -> bytearray:
    """Digests of ``width`` bytes (8 to 64), one behind the other -> the same in byte order, each once.

    Raises UsageError when they are no whole rows, or more than 2^31 - 1.
    """
    return bytearray(b"".join(sorted(set(_rows(rows, width)))))


def digest_index(rows: Buffer, width: int) -> bytearray:
    """What digest_find needs beside the sorted ``rows``: for each value of their first bits (as many as leave about two rows a
    value, 8 to 24) the number of the first row that is not below it, and at the end the number of rows. uint32, native."""
    table = _rows(rows, width)
    bits = _bits(len(table))
    tops = [int.from_bytes(row[:4], "big") >> (32 - bits) for row in table]
    return bytearray(array("I", [bisect_left(tops, top) for top in range((1 << bits) + 1)]).tobytes())


def digest_find(rows: Buffer, index: Buffer, width: int, queries: Buffer) -> bytearray:
    """The row number (int32, native) of every query in the sorted ``rows``, -1 where there is none.

    ``index`` is digest_index(rows, width); UsageError when it is not as long as that. With the index of other rows some may be missed.
    """
    table, asked = _rows(rows, width), _rows(queries, width)
    if len(index) != 4 * ((1 << _bits(len(table))) + 1):
        raise UsageError("not the index of these rows")
    places = {row: number for number, row in enumerate(table)}
    return bytearray(array("i", [places.get(query, -1) for query in asked]).tobytes())
