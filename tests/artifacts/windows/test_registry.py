"""windows.registry, windows.runkeys and windows.userassist against the hives and other tools."""

from __future__ import annotations

import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiclib.artifacts.windows import registry, runkeys, userassist
from forensiclib.core.declare import Extractor, Keys
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.stores.regf.hive import Hive
from forensiclib.stores.regf.regf import open_hive
from forensiclib.testing.contracts import ExtractorContract
from tests.conftest import corpus_path

pytestmark = pytest.mark.corpus


def opened(path: Path) -> Hive:
    data = path.read_bytes()
    return open_hive(MemorySource(lzma.decompress(data) if path.suffix == ".xz" else data), {}, Budget())


def rows(extractor: Extractor, path: Path) -> list[Row]:
    assert isinstance(extractor.source, Keys)
    return [row for key in opened(path).find(extractor.source.patterns, deleted=True) for row in extractor.rows(key, Budget())]


class Contract(ExtractorContract):
    sample = "plaso/NTUSER.DAT"

    def targets(self) -> Iterator[object]:
        corpus = corpus_path()
        if corpus is None:
            pytest.skip("no corpus")
        assert isinstance(self.extractor.source, Keys)
        yield from opened(corpus / self.sample).find(self.extractor.source.patterns, deleted=True)


class TestRegistry(Contract):
    extractor = registry.EXTRACTOR
    sample = "registry/Registry.Test/Hives/UsrClassDeletedBags.dat"


class TestRunkeys(Contract):
    extractor = runkeys.EXTRACTOR


class TestUserAssist(Contract):
    extractor = userassist.EXTRACTOR


def test_registry_has_a_row_for_every_key_and_value(corpus: Path) -> None:
    """libregf counts 595 keys and 878 values in this hive; nothing is deleted in it."""
    found = Counter(row.values["entry"] for row in rows(registry.EXTRACTOR, corpus / "registry/Registry.Test/Hives/NTUSER1.DAT"))
    assert found == {"key": 595, "value": 878}


def test_registry_rows_stand_on_their_cells(corpus: Path) -> None:
    path = corpus / "registry/Registry.Test/Hives/SAM"
    data = path.read_bytes()
    for row in rows(registry.EXTRACTOR, path):
        cell = (row.source or FileSource(path)).trace(row.at, row.length)[0].start
        assert data[cell + 4 : cell + 6] == (b"nk" if row.values["entry"] == "key" else b"vk")
        if row.values["entry"] == "value" and row.values["data"] and row.values["size"] < 16344:
            at = row.values["data_at"]
            assert data[at : at + len(row.values["data"])] == row.values["data"]


def test_deleted_rows_say_so(corpus: Path) -> None:
    found = rows(registry.EXTRACTOR, corpus / "registry/Registry.Test/Hives/UsrClassDeletedBags.dat")
    deleted = [r for r in found if r.state == "deleted" and r.values["entry"] == "value" and r.values["key"].endswith(r"BagMRU\1\0\0")]
    assert {r.values["value"]: r.values["size"] for r in deleted}["0"] == 281
    assert all(r.values["found_in"] for r in found if r.state)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plaso/NTUSER-RunTests.DAT", {("Run", "Sidebar"), ("RunOnce", "mctadmin")}),
        ("plaso/NTUSER-WIN7.DAT", {("Run", "Google Update"), ("Run", "Skype")}),
        ("plaso/NTUSER.DAT", {("Run", "ctfmon.exe")}),
        ("plaso/NTUSER-CCLEANER.DAT", set()),
    ],
)
def test_run_keys(corpus: Path, name: str, expected: set[tuple[str, str]]) -> None:
    """plaso's tests state one event for Run and one for RunOnce of NTUSER-RunTests.DAT."""
    found = rows(runkeys.EXTRACTOR, corpus / name)
    assert {(r.values["key"].rpartition("\\")[2], r.values["name"]) for r in found} == expected


def test_userassist_of_windows_xp(corpus: Path) -> None:
    """plaso's tests state 14 events, the first of them this one."""
    found = rows(userassist.EXTRACTOR, corpus / "plaso/NTUSER.DAT")
    assert len(found) == 14 and all(r.values["version"] == 3 for r in found)
    first = found[0].values
    assert (first["name"], first["run_count"], first["stored_count"]) == (r"UEME_RUNPIDL:%csidl2%\MSN.lnk", 14, 19)
    assert first["last_run"].iso() == "2009-08-04T15:11:22.8110676Z"


@pytest.mark.parametrize("name", ["plaso/NTUSER.DAT", "plaso/NTUSER-WIN7.DAT", "regipy/regipy_tests/NTUSER.DAT.xz"])
def test_userassist_is_regipys(corpus: Path, name: str, tmp_path: Path) -> None:
    """regipy lists each entry twice (28, 180 and 62 entries), and takes 5 off every counter of version 3, so that one
    comes out as -3: here the run count of it is empty."""
    registry_ = pytest.importorskip("regipy.registry", reason="regipy is not installed")
    plugin = pytest.importorskip("regipy.plugins.ntuser.user_assist", reason="regipy is not installed")
    data = (corpus / name).read_bytes()
    (tmp_path / "hive").write_bytes(lzma.decompress(data) if name.endswith(".xz") else data)
    theirs = plugin.UserAssistPlugin(registry_.RegistryHive(str(tmp_path / "hive")), as_json=True)
    theirs.run()
    mine = [r.values for r in rows(userassist.EXTRACTOR, corpus / name)]
    wanted = Counter((e["run_counter"], e["session_id"]) for e in theirs.entries)
    counts = Counter((v["stored_count"] - (5 if v["version"] == 3 else 0), v["session"]) for v in mine)
    assert {k: v * 2 for k, v in counts.items()} == dict(wanted)
    assert all(v["run_count"] in (None, v["stored_count"] - (5 if v["version"] == 3 else 0)) for v in mine)


def test_known_folders_are_named(corpus: Path) -> None:
    found = {r.values["name"]: r.values for r in rows(userassist.EXTRACTOR, corpus / "plaso/NTUSER-WIN7.DAT")}
    calc = found["{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}\\calc.exe"]
    assert (calc["program"], calc["run_count"], calc["focus_count"], calc["focus_seconds"]) == (
        r"%SystemRoot%\System32\calc.exe",
        12,
        17,
        340.0,
    )
