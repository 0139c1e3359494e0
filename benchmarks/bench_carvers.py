"""What one question to a carver costs: a whole file accepted, random bytes behind a signature refused."""

from __future__ import annotations

import bz2
import gzip
import io
import plistlib
import random
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import pytest

from forensiclib.carving import archives, elf, evtx, pdf, pe, plist, sqlite
from forensiclib.carving import gzip as streams
from forensiclib.carving import zip as packages
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource

CARVERS = {carver.name: carver for room in (archives, elf, evtx, packages, pdf, pe, plist, sqlite, streams) for carver in room.CARVERS}
NOISE = random.Random(1).randbytes(4 << 20)


def a_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for i in range(1000):
            made.writestr(f"member {i}", NOISE[i : i + 2000])
    return out.getvalue()


def a_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        for i in range(1000):
            info = tarfile.TarInfo(f"member {i}")
            info.size = 2000
            made.addfile(info, io.BytesIO(NOISE[i : i + 2000]))
    return out.getvalue()


def a_database() -> bytes:
    db = sqlite3.connect(":memory:")
    db.execute("CREATE TABLE t (a, b)")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((i, NOISE[i : i + 500]) for i in range(6000)))
    db.commit()
    return db.serialize()


FILES = {
    "zip": a_zip,
    "tar": a_tar,
    "sqlite": a_database,
    "gzip": lambda: gzip.compress(NOISE, 1),
    "bzip2": lambda: bz2.compress(NOISE, 1),
    "bplist": lambda: plistlib.dumps(list(range(5000)), fmt=plistlib.FMT_BINARY),
    "elf": lambda: Path("/bin/bash").read_bytes(),
}


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file(benchmark, name: str) -> None:
    try:
        content = FILES[name]()
    except FileNotFoundError:
        pytest.skip("/bin/bash is not there")
    source = MemorySource(content + NOISE)
    found = benchmark(lambda: CARVERS[name].measure(source, Budget()))
    assert found is not None and found.length == len(content)


@pytest.mark.parametrize("name", CARVERS)
def test_a_reject(benchmark, name: str) -> None:
    signature = CARVERS[name].signatures[0]
    source = MemorySource(NOISE[: signature.offset] + signature.pattern + NOISE)
    found = benchmark(lambda: CARVERS[name].measure(source, Budget()))
    assert found is None
