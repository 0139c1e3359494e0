"""The command line as a user has it: a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cli():
    """Run a command; the answer has returncode, stdout and stderr (text unless ``text=False``)."""

    def run(*words: object, **options):
        settings = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 120} | options
        env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
        return subprocess.run([sys.executable, "-m", "forensiclib", *map(str, words)], env=env, **settings)

    return run
