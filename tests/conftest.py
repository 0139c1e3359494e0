"""Where the real evidence is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent


def corpus_path() -> Path | None:
    """The corpus folder, or None."""
    named = os.environ.get("FORENSICLIB_CORPUS")
    for candidate in ([Path(named)] if named else []) + [HERE.parent / "shared" / "corpus"]:
        if candidate.is_dir():
            return candidate
    return None


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The real-evidence folder; tests that use it carry the ``corpus`` mark."""
    found = corpus_path()
    if found is None:
        pytest.skip("no corpus: set FORENSICLIB_CORPUS or put shared/corpus beside the checkout")
    return found
