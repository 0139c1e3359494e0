"""AFF, damaged: bytes or EvidenceError, within limits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forensiclib.core.errors import EvidenceError
from forensiclib.core.limits import Budget
from forensiclib.images.aff import aff
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from tests.images.disks import content
from tests.images.test_aff import affconvert, put_together, taken_apart

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def _read(image) -> None:
    for at in (0, 4096, 1 << 16, max(0, image.size - 5000)):
        try:
            assert len(image.read_at(at, 20_000)) == max(0, min(20_000, image.size - at))
        except EvidenceError:
            continue
    image.trace(0, min(image.size, 1 << 22))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("options", [(), ("-L",), ("-x",)], ids=["zlib", "lzma", "stored"])
def test_mutated_aff(options: tuple[str, ...], tmp_path: Path) -> None:
    path = affconvert(tmp_path, *options, media=content(5, 512 << 10)[: 80 << 10])
    parts = [(n, a, d[:30] if n.startswith(b"acq") else d) for n, a, d in taken_apart(path.read_bytes())]
    sample = put_together(parts)
    sample = sample if len(sample) < 8192 else sample[:6000] + sample[-2000:]

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data)
        image = aff.FORMAT.open([str(path)], budget)
        try:
            _read(image)
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT
