"""Damaged links, item lists and property stores: values that print, or EvidenceError."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.stores import propertystore, shellitems, shelllink
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
LINK = (Path(__file__).resolve().parents[1] / "samples/lnk/holiday.lnk").read_bytes()
ITEMS = LINK[78 : 78 + int.from_bytes(LINK[76:78], "little")]
VALUE = struct.pack("<IIB", 9 + 16, 7, 0) + struct.pack("<HHIII", 0x1013, 0, 2, 5, 6)
STORE = struct.pack("<I", 24 + len(VALUE) + 4) + b"1SPS" + bytes(range(16)) + VALUE + bytes(8)


def test_links() -> None:
    def run(data: bytes, budget: Budget) -> None:
        for value in shelllink.link_values(shelllink.STORE.open(MemorySource(data), {}, budget)).values():
            str(value)

    assert rows_or_evidence_error(run, mutations(LINK, COUNT)) == COUNT


def test_item_lists() -> None:
    def run(data: bytes, budget: Budget) -> None:
        for item in shellitems.STORE.open(MemorySource(data), {}, budget):
            assert 0 <= item.at <= item.at + item.size <= len(data)
            str(item.row())

    assert rows_or_evidence_error(run, mutations(ITEMS, COUNT)) == COUNT


def test_property_stores() -> None:
    def run(data: bytes, budget: Budget) -> None:
        str(propertystore.STORE.open(MemorySource(data), {}, budget))

    assert rows_or_evidence_error(run, mutations(STORE, COUNT)) == COUNT
