"""Damaged files: a carver returns a Find within the bytes, or None, or raises EvidenceError."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import plistlib
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib.carving import archives, elf, ese, evtx, frames, ole, pdf, pe, plist, rar, regf, sevenzip, sqlite, windows
from forensiclib.carving import gzip as streams
from forensiclib.carving import zip as packages
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import mutations, rows_or_evidence_error

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
ROOMS = (archives, elf, ese, evtx, frames, ole, packages, pdf, pe, plist, rar, regf, sevenzip, sqlite, streams, windows)
CARVERS = {carver.name: carver for room in ROOMS for carver in room.CARVERS}
SAMPLES = Path(__file__).parent.parent / "samples" / "carving"
TEXT = b"".join(b"line %d\n" % i for i in range(300))


def target(name: str) -> Callable[[bytes, Budget], None]:
    def run(data: bytes, budget: Budget) -> None:
        found = CARVERS[name].measure(MemorySource(data), budget)
        assert found is None or (0 < found.length <= len(data) and 0 < found.confidence <= 1 and found.reason)

    return run


def a_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("word/document.xml", TEXT)
        made.writestr("stored", TEXT[:500], zipfile.ZIP_STORED)
        made.writestr("[Content_Types].xml", TEXT)
    return out.getvalue()


def a_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        info = tarfile.TarInfo("a")
        info.size = len(TEXT)
        made.addfile(info, io.BytesIO(TEXT))
    return out.getvalue()


def a_database() -> bytes:
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA page_size=512")
    db.execute("CREATE TABLE t (a, b)")
    db.executemany("INSERT INTO t VALUES (?, ?)", ((i, str(i) * 50) for i in range(200)))
    db.execute("DELETE FROM t WHERE a % 4 = 0")
    db.commit()
    return db.serialize()


def a_pdf() -> bytes:
    body = b"%PDF-1.4\n"
    offsets = []
    for number, text in enumerate(
        (b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>", b"<</Length 11>>\nstream\nhello world\nendstream"), 1
    ):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    table = len(body)
    body += b"xref\n0 4\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in offsets)
    return body + b"trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % table


MADE = {
    "zip": a_zip,
    "tar": a_tar,
    "sqlite": a_database,
    "pdf": a_pdf,
    "gzip": lambda: gzip.compress(TEXT),
    "bzip2": lambda: bz2.compress(TEXT),
    "xz": lambda: lzma.compress(TEXT),
    "bplist": lambda: plistlib.dumps({"a": list(range(50)), "b": TEXT}, fmt=plistlib.FMT_BINARY),
    "rar4": lambda: (SAMPLES / "rar3-subdirs.rar").read_bytes(),
    "rar5": lambda: (SAMPLES / "rar5-subdirs.rar").read_bytes(),
}
REAL = {
    "evtx": "evtx/new-user-security.evtx",
    "ese": "go-ese/Sample_UAL/HyperV-PC/SystemIdentity.mdb",
    "evtx-chunk": "evtx/new-user-security.evtx",
    "regf": "registry/Registry.Test/Hives/SAM",
    "ole": "plaso/automaticDestinations-ms/9d1f905ce5044aee.automaticDestinations-ms",
    "lnk": "plaso/example.lnk",
    "prefetch": "prefetch/Prefetch.Test/Win2k3/CMD.EXE-087B4001.pf",
    "pe": "plaso/wrc-test-wevt_template.dll",
    "sqlite-wal": "plaso/wal_database.db-wal",
    "zstd": "rusty-backup/test_atari_dos2.atr.zst",
}


@pytest.mark.parametrize("name", MADE)
def test_damaged_files_made_here(name: str) -> None:
    sample = MADE[name]()
    found = CARVERS[name].measure(MemorySource(sample), Budget())
    assert found is not None and found.complete and found.length == len(sample)
    assert rows_or_evidence_error(target(name), mutations(sample, COUNT)) == COUNT


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_damaged_real_files(corpus: Path, name: str) -> None:
    sample = (corpus / REAL[name]).read_bytes()[4096 if name == "evtx-chunk" else 0 :][: 128 << 10]
    assert rows_or_evidence_error(target(name), mutations(sample, COUNT)) == COUNT


def test_damaged_programs() -> None:
    path = Path("/bin/true")
    if not path.exists() or path.read_bytes()[:4] != b"\x7fELF":
        pytest.skip("/bin/true is no ELF program")
    assert rows_or_evidence_error(target("elf"), mutations(path.read_bytes(), COUNT)) == COUNT
