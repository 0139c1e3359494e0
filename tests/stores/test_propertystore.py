"""Property stores built by hand after [MS-PROPSTORE]; the corpus tests of links compare real ones."""

from __future__ import annotations

import struct
import time

import pytest

from forensiclib.core.limits import Budget
from forensiclib.stores.propertystore import read_properties

FORMAT = bytes(range(16))
NAME = "03020100-0504-0706-0809-0a0b0c0d0e0f"


def store(kind: int, body: bytes) -> bytes:
    typed = struct.pack("<HH", kind, 0) + body
    value = struct.pack("<IIB", 9 + len(typed), 7, 0) + typed
    storage = b"1SPS" + FORMAT + value + bytes(4)
    return struct.pack("<I", 4 + len(storage)) + storage + bytes(4)


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        (0x13, struct.pack("<I", 77), 77),
        (0x0B, b"\xff\xff\0\0", True),
        (0x1F, struct.pack("<I", 3) + "ab\0".encode("utf-16-le"), "ab"),
        (0x40, struct.pack("<Q", 116_444_736_000_000_000), "1970-01-01T00:00:00Z"),
        (0x1013, struct.pack("<3I", 2, 5, 6), [5, 6]),
        (0x101F, struct.pack("<II", 2, 2) + b"a\0\0\0" + struct.pack("<I", 3) + b"b\0c\0\0\0\0\0", ["a", "bc"]),
        (0x1013, struct.pack("<2I", 2, 5), "131000000200000005000000"),  # cut off: the bytes are kept
    ],
)
def test_values_of_each_kind(kind: int, body: bytes, value: object) -> None:
    budget = Budget()
    got = read_properties(store(kind, body), budget)[f"{NAME}/7"]
    assert str(got).rstrip("Z").split(".")[0] == str(value).rstrip("Z").split(".")[0] if kind == 0x40 else got == value
    assert not budget.findings


def test_a_vector_of_many_small_values_costs_one_pass() -> None:
    count = 1 << 20
    data = store(0x1011, struct.pack("<I", count) + bytes(count))
    start = time.perf_counter()
    assert len(read_properties(data, Budget())[f"{NAME}/7"]) == count  # type: ignore[arg-type]
    assert time.perf_counter() - start < 10, "the rest of the vector was copied for each value"
