"""docs/containers.md: every image of the corpus gives what an independent reader gives, or is refused for the right reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.images.containers import page, rows

PAGE = Path(__file__).parents[2] / "docs" / "containers.md"


@pytest.mark.corpus
@pytest.mark.bulk
def test_the_page_is_current_and_no_row_differs(corpus: Path) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img (Debian: qemu-utils, qemu-block-extra) is not installed")
    for module in ("pyewf", "pyvhdi"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    made = list(rows(corpus))
    assert [row.path for row in made if not row.same] == []
    assert PAGE.read_text(encoding="utf-8") == page(made)
