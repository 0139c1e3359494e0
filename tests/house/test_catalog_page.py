"""docs/catalog.md is what the declarations say."""

from __future__ import annotations

from pathlib import Path

from forensiclib.catalog import load
from forensiclib.core.declare import Extractor
from forensiclib.tables.catalogue import catalogue_page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "catalog.md"


def test_the_committed_page_is_current():
    page = catalogue_page(tuple(load()))
    assert PAGE.read_text(encoding="utf-8") == page, "run: python -m forensiclib catalog --markdown > docs/catalog.md"


def test_every_declaration_gap_and_field_is_on_the_page():
    lines = {line.replace("\\", "") for line in PAGE.read_text(encoding="utf-8").splitlines()}
    for d in load():
        assert f"### {d.name}" in lines
        assert {f"- *Not*: {gap}".replace("\\", "") for gap in d.gaps} <= lines, d.name
        if isinstance(d, Extractor):
            assert {f"| {f.name} | {f.type.name} | {f.help} |".replace("\\", "") for f in d.fields} <= lines, d.name
