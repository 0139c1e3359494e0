"""Encrypted images of the corpus, unpacked once a session."""

from __future__ import annotations

import lzma
import shutil
import tarfile
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def unpacked(corpus, tmp_path_factory):
    """A function: name of an archive of the corpus -> the folder or file in it, taken away at the end."""
    base, made = tmp_path_factory.mktemp("crypto"), dict[str, Path]()

    def get(name: str) -> Path:
        if name not in made:
            source = corpus / "cryptsetup" / name
            if ".tar" in name:
                with tarfile.open(source) as archive:
                    archive.extractall(base / name, filter="data")
                inside = sorted((base / name).iterdir())
                made[name] = inside[0] if len(inside) == 1 and inside[0].is_dir() else base / name
            else:
                made[name] = base / name.removesuffix(".xz")
                with lzma.open(source) as packed, made[name].open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
        return made[name]

    yield get
    shutil.rmtree(base, ignore_errors=True)
