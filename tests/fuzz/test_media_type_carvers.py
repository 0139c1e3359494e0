"""Damaged pictures, sounds, videos, fonts, models and maps: a Find inside the data, None, or EvidenceError."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from forensiclib.catalog import load
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
CARVERS = load().carvers
HEAD, TAIL = 20_000, 4_000


def samples_of(name: str) -> ModuleType:
    """A neighbour that makes samples."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.parent / "carving" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE, TOOLS = samples_of("test_media_more"), samples_of("test_media_types")


def damaged(sample: bytes) -> None:
    if len(sample) > HEAD + TAIL:
        sample = sample[:HEAD] + sample[-TAIL:]
    announced = [c for c in CARVERS if any(s.matches(sample[:4096]) for s in c.signatures)]
    assert announced

    def run(data: bytes, budget: Budget) -> None:
        for carver in announced:
            find = carver.measure(MemorySource(data), budget)
            if find is not None:
                assert 0 < find.length <= len(data), (carver.name, find)
                assert 0 < find.confidence <= 1 and find.reason
                assert find.owned is None or 0 <= find.owned <= len(data)

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", MADE.MADE)
def test_damage_in_what_libraries_write(name: str) -> None:
    damaged(MADE.MADE[name][0]())


@pytest.mark.drivers
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", TOOLS.RECIPES)
def test_damage_in_what_programs_write(name: str, tmp_path: Path) -> None:
    TOOLS.run(TOOLS.RECIPES[name][0], tmp_path / name, tmp_path)
    damaged((tmp_path / name).read_bytes())
