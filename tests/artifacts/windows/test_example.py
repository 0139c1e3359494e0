"""The example's recipe, and its contents through the extractors."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from forensiclib.artifacts.windows import lnk, recyclebin
from forensiclib.core.declare import Found
from forensiclib.core.errors import MissingSupport
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.evidence import Plan, build

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    pytest.importorskip("PIL", reason="pillow is not installed")
    pytest.importorskip("pylnk3", reason="pylnk3 is not installed")
    spec = importlib.util.spec_from_file_location("make_evidence", EXAMPLES / "make_evidence.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plan(recipe: ModuleType) -> Plan:
    try:
        made: Plan = recipe.plan()
    except MissingSupport as missing:
        pytest.skip(str(missing))
    return made


@pytest.mark.drivers
def test_the_recipe_gives_what_the_truth_says(plan: Plan, tmp_path: Path) -> None:
    try:
        build(plan, tmp_path)
    except MissingSupport as missing:
        pytest.skip(str(missing))
    stated = (EXAMPLES / "evidence" / "example.truth.tsv").read_text().splitlines()
    made = (tmp_path / "example.truth.tsv").read_text().splitlines()
    # Pictures depend on the JPEG encoder's version: everything but their size and hashes is compared.
    assert [line.split("\t")[:5] for line in made] == [line.split("\t")[:5] for line in stated]
    texts = [line for line in stated if ".txt" in line or ".csv" in line]
    assert set(texts) <= set(made)


@pytest.mark.drivers
def test_its_shortcut_and_recycle_bin(plan: Plan) -> None:
    files = {f.path: f for volume in plan.volumes for f in volume.files}
    path = next(p for p in files if p.endswith(".lnk"))
    (row,) = lnk.rows(Found(MemorySource(files[path].content), path), Budget())
    assert row.values["target"] == "C:\\Users\\alice\\Pictures\\holiday.jpg"
    assert row.values["size"] == len(files["Users/alice/Pictures/holiday.jpg"].content)
    assert json.loads(row.values["items"])[-1]["kind"] == "file"
    path = next(p for p in files if "/$I" in p)
    folder = path.rpartition("/")[0]
    found = Found(MemorySource(files[path].content), path, sibling=lambda n: MemorySource(files[f"{folder}/{n}"].content))
    (row,) = recyclebin.rows(found, Budget())
    assert row.values["path"] == "C:\\Users\\alice\\Documents\\receipt.txt"
    assert row.values["content_present"] and row.values["content_size"] == row.values["size"]
