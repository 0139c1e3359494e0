"""Media with known content, and sets made by ewfacquire."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.images.sets import make_media


@pytest.fixture(scope="session")
def media() -> bytes:
    """The content of every sample in tests/samples/images."""
    return make_media()


@pytest.fixture(scope="session")
def acquire(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """acquire(content, *options) -> the first segment that ewfacquire wrote."""
    if shutil.which("ewfacquire") is None:
        pytest.skip("ewfacquire (Debian: ewf-tools) is not installed")

    def run(content: bytes, *options: str) -> Path:
        folder = tmp_path_factory.mktemp("ewf")
        (folder / "media.raw").write_bytes(content)
        command = ["ewfacquire", "-q", "-u", "-t", str(folder / "set"), *options, str(folder / "media.raw")]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        return next(p for p in sorted(folder.iterdir()) if p.suffix.lower() in (".e01", ".s01"))

    return run


@pytest.fixture(scope="session")
def ewfinfo() -> Callable[[Path], dict[str, str]]:
    """What ewfinfo says of a set, label -> text."""
    if shutil.which("ewfinfo") is None:
        pytest.skip("ewfinfo (Debian: ewf-tools) is not installed")

    def run(path: Path) -> dict[str, str]:
        text = subprocess.run(["ewfinfo", str(path)], check=True, capture_output=True, timeout=60).stdout.decode()
        lines = (line.strip().partition(":") for line in text.splitlines() if ":" in line)
        return {key.strip(): value.strip() for key, _, value in lines}

    return run
