"""Damaged superblocks of file systems that are only recognised: an EvidenceError, whatever stands there."""

from __future__ import annotations

import os

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.filesystems import unread
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
PLACES = {"btrfs": (0x10040, b"_BHRfS_M"), "xfs": (0, b"XFSB"), "refs": (3, b"ReFS\0\0\0\0"), "reiserfs": (0x10034, b"ReIsEr2Fs")}


@pytest.mark.parametrize("form", unread.FORMATS, ids=lambda f: f.name)
def test_damage(form):
    at, magic = PLACES.get(form.name, (1024, b"\x10\x20\xf5\xf2"))
    sample = bytearray(70_000)
    sample[at : at + len(magic)] = magic

    def run(data: bytes, budget: Budget) -> None:
        source = MemorySource(data)
        form.probe(source)
        form.open(source, budget)
        raise AssertionError("it opened")

    assert rows_or_evidence_error(run, mutations(bytes(sample), COUNT)) == COUNT
