"""Every real file whose signature a carver here knows: its length must be the file's, or the difference is listed with its reason."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource

HIVE = "the registry keeps space for growth behind the last bin; the base block states where the bins end"
CHUNKED = "Firefox and Windows extend the file in steps of 512 KiB or 1 MiB; the header states the pages in use"
SPARE = "zeros set aside behind the last page that the space tree of the root owns"
LONGER = {
    "plaso/NTUSER-CCLEANER.DAT": HIVE,
    "plaso/NTUSER-RunTests.DAT": HIVE,
    "plaso/NTUSER-WIN7.DAT": HIVE,
    "plaso/NTUSER.DAT": HIVE,
    "plaso/regf/NTUSER.DAT": HIVE,
    "plaso/regf/SAM": HIVE,
    "plaso/regf/UsrClass.dat": HIVE,
    "plaso/winreg/Amcache.hve": HIVE,
    "plaso/winreg/win10-Amcache.hve": HIVE,
    "registry/Registry.Test/Hives/Acronis_0x52_Usrclass.dat": HIVE,
    "registry/Registry.Test/Hives/BCD": HIVE,
    "registry/Registry.Test/Hives/SAM": HIVE,
    "registry/Registry.Test/Hives/SAMBadHBinHeader": HIVE,
    "registry/Registry.Test/Hives/SAM_DUPENAME": HIVE,
    "registry/Registry.Test/Hives/SAM_RootValue": HIVE,
    "registry/Registry.Test/Hives/SAM_hasBigEndianDWord": HIVE,
    "registry/Registry.Test/Hives/SAN(OTHER)": HIVE,
    "registry/Registry.Test/Hives/SECURITY": HIVE,
    "registry/Registry.Test/Hives/UsrClassDeletedBags.dat": HIVE,
    "plaso/firefox/firefox_10_cookies.sqlite": CHUNKED,
    "plaso/firefox/firefox_2_cookies.sqlite": CHUNKED,
    "plaso/windows/ActivitiesCache.db": CHUNKED,
    "plaso/windows/wpndatabase.db": CHUNKED,
    "plaso/Catalog1.edb": SPARE,
    "go-ese/SRUM/SRUDB.dat": SPARE,
    "evtx/sysmon.evtx": "nine chunks, then old memory where the service has set space aside: neither chunks nor zeros",
}
"""Files that are longer than what their structure covers: found whole, and shorter."""

BROKEN = {
    "dfvfs/corrupt1.gz": "cut at 192 KiB",
    "evtx/sample_with_a_bad_chunk_magic.evtx": "twelve of sixteen chunks were overwritten with zeros, the last six among them",
    "plaso/evtx/System2.evtx": "cut at 200,000 bytes; the header states 96 chunks",
    "plaso/ntuser.dat.LOG": "cut at 1,024 bytes; the dirty vector states 48 sectors",
    "plaso/plist/truncated.plist": "cut: the trailer is missing",
}
"""Files that are not whole, and must be reported so."""


def announced(carvers, source) -> list:
    head = source.read_at(0, 512)
    return [carver for carver in carvers.values() if any(signature.matches(head) for signature in carver.signatures)]


def paths(corpus: Path) -> list[str]:
    lines = (corpus / "INDEX.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t")[0] for line in lines]


@pytest.mark.corpus
def test_every_known_file_has_its_length(carvers, corpus: Path) -> None:
    wrong, tried, unused = [], 0, set(LONGER) | set(BROKEN)
    for path in paths(corpus):
        if not (corpus / path).is_file():
            continue
        source = FileSource(corpus / path)
        for carver in announced(carvers, source):
            tried += 1
            found = carver.measure(source, Budget())
            if path in BROKEN:
                good = found is not None and not found.complete
            elif path in LONGER:
                good = found is not None and found.complete and found.length < source.size
            else:
                good = found is not None and found.complete and found.length == source.size
            unused.discard(path)
            if not good:
                wrong.append((carver.name, path, source.size, found))
        source.close()
    assert not wrong
    assert not unused
    assert tried > 390


@pytest.mark.corpus
def test_bytes_behind_a_file_do_not_change_what_is_found(carvers, corpus: Path) -> None:
    tail = bytes(range(256)) * 1200
    for path in paths(corpus):
        if not (corpus / path).is_file() or (corpus / path).stat().st_size > 4 << 20 or path in BROKEN:
            continue
        content = (corpus / path).read_bytes()
        for carver in announced(carvers, MemorySource(content)):
            alone = carver.measure(MemorySource(content), Budget())
            before = carver.measure(MemorySource(content + tail), Budget())
            assert alone is not None and before is not None
            assert (alone.length, alone.complete, alone.extension) == (before.length, before.complete, before.extension), path


@pytest.mark.corpus
@pytest.mark.parametrize("path", [path for path, why in LONGER.items() if why is CHUNKED])
def test_a_database_cut_to_its_pages_is_whole_for_sqlite(carvers, corpus: Path, tmp_path: Path, path: str) -> None:
    found = carvers["sqlite"].measure(FileSource(corpus / path), Budget())
    assert found is not None
    (tmp_path / "a.db").write_bytes((corpus / path).read_bytes()[: found.length])
    db = sqlite3.connect(tmp_path / "a.db")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
