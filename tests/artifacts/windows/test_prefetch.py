"""Prefetch files against libscca and published values."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensiclib.artifacts.windows.prefetch import EXTRACTOR, rows
from forensiclib.core.declare import Found
from forensiclib.core.errors import EvidenceError, NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.testing.contracts import ExtractorContract

pytestmark = pytest.mark.corpus

# Stated in plaso's tests/parsers/winprefetch.py: version, run count (None where it is not stated), run times, volume
# serial number and creation, and how many files.
PUBLISHED = {
    "CMD.EXE-087B4001.pf": (17, None, ["2013-03-10T10:11:49.2812500Z"], "24cb074b", "2013-03-10T10:19:46.2343750Z", 33),
    "PING.EXE-B29F6629.pf": (23, 14, ["2012-04-06T19:00:55.9329556Z"], "ac036525", "2010-11-10T17:37:26.4843750Z", None),
    "WUAUCLT.EXE-830BCC14.pf": (23, 25, ["2012-03-15T21:17:39.8079963Z"], "ac036525", "2010-11-10T17:37:26.4843750Z", None),
    "TASKHOST.EXE-3AE259FC.pf": (
        26,
        4,
        [
            "2013-10-04T15:40:09.0378333Z",
            "2013-10-04T15:28:09.0103565Z",
            "2013-10-04T06:19:54.5960606Z",
            "2013-10-04T06:11:13.6429375Z",
        ],
        "686c4249",
        "2013-10-04T15:57:26.1465476Z",
        51,
    ),
    "ONEDRIVE.EXE-7E152375.pf": (
        30,
        2,
        ["2015-05-14T22:11:05.4852771Z", "2015-05-14T22:10:28.6747101Z"],
        "3e0d2d25",
        "2015-05-15T06:54:55.1392941Z",
        134,
    ),
    "NOTEPAD.EXE-D8414F97.pf": (
        30,
        2,
        ["2019-06-05T19:55:04.8777787Z", "2019-06-05T19:23:00.8157052Z"],
        "2ca3d1ae",
        "2017-07-30T19:40:03.5487843Z",
        56,
    ),
}


def files(corpus: Path) -> list[Path]:
    return [p for p in sorted(corpus.rglob("*.pf")) if p.name != "notAPrefetch.pf"]


def read(path: Path) -> tuple[list[Row], Budget]:
    budget = Budget()
    return list(rows(Found(FileSource(path), f"Windows/Prefetch/{path.name}"), budget)), budget


class TestContract(ExtractorContract):
    extractor = EXTRACTOR

    @pytest.fixture(autouse=True)
    def _where(self, corpus: Path) -> None:
        self.corpus = corpus

    def targets(self) -> Iterator[object]:
        for path in files(self.corpus):
            yield Found(FileSource(path), path.name)


def test_equals_libscca(corpus: Path) -> None:
    pyscca = pytest.importorskip("pyscca", reason="libscca-python is not installed")
    compared: list[int] = []
    for path in files(corpus):
        got, budget = read(path)
        assert not budget.findings, (path.name, budget.findings)
        values, peer = got[0].values, pyscca.open(str(path))
        assert values["executable"] == peer.executable_filename
        assert values["hash"] == f"{peer.prefetch_hash:08X}"
        assert values["version"] == peer.format_version
        assert all(row.values["run_count"] == peer.run_count for row in got)
        stored = [peer.get_last_run_time_as_integer(i) for i in range(8 if peer.format_version >= 26 else 1)]
        assert [row.values["run_time"].raw for row in got] == [t for t in stored if t], path.name
        assert [row.values["run"] for row in got] == list(range(1, len(got) + 1))
        listed = json.loads(values["files"])
        metrics = [(m.filename, m.file_reference or None) for m in peer.file_metrics_entries]
        ours = [(f["path"], f["record"] | f["sequence"] << 48 if "record" in f else None) for f in listed]
        assert ours[: len(metrics)] == metrics, path.name
        assert {f["path"] for f in listed} == set(peer.filenames)
        volumes = [(v["path"], int(v["serial"], 16), v["created"]) for v in json.loads(values["volumes"])]
        assert [v[:2] for v in volumes] == [(v.device_path, v.serial_number) for v in peer.volumes]
        # The peer gives datetime objects: microseconds.
        assert [v[2][:26] for v in volumes] == [f"{v.creation_time:%Y-%m-%dT%H:%M:%S.%f}"[:26] for v in peer.volumes]
        compared.append(values["version"])
    assert set(compared) == {17, 23, 26, 30, 31}
    assert len(compared) >= 50


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_values(corpus: Path, name: str) -> None:
    version, runs, times, serial, created, count = PUBLISHED[name]
    got, _ = read(corpus / "plaso" / "winprefetch" / name)
    first = got[0].values
    assert first["version"] == version and runs in (None, first["run_count"])
    assert [row.values["run_time"].iso() for row in got] == times
    volume = json.loads(first["volumes"])[0]
    assert (volume["serial"], volume["created"]) == (serial, created)
    assert count in (None, len(json.loads(first["files"])))


def test_directories_lie_on_the_volumes(corpus: Path) -> None:
    """Two structures that Windows writes apart must agree."""
    for path in files(corpus):
        values = read(path)[0][0].values
        volumes = tuple(v["path"] for v in json.loads(values["volumes"]))
        directories = json.loads(values["directories"])
        assert directories and all(d.startswith(volumes) for d in directories), path.name
        parents = {f["path"].rpartition("\\")[0] for f in json.loads(values["files"])}
        assert parents & {d.rstrip("\\") for d in directories}, path.name


def test_lists_stand_on_the_first_row_only(corpus: Path) -> None:
    got, _ = read(corpus / "plaso" / "winprefetch" / "BYTECODEGENERATOR.EXE-C1E9BCE6.pf")
    assert len(got) == 7
    assert all(row.values["files"] is None and row.values["volumes"] is None for row in got[1:])
    assert [row.values["run_time"].ns for row in got] == sorted((row.values["run_time"].ns for row in got), reverse=True)


def test_compressed_rows_trace_to_the_file(corpus: Path) -> None:
    path = corpus / "plaso" / "winprefetch" / "NOTEPAD.EXE-D8414F97.pf"
    row = read(path)[0][0]
    assert row.source is not None
    (span,) = row.source.trace(row.at, row.length)
    assert (span.root, span.start, span.end, span.via) == (path.name, 8, path.stat().st_size, ("lzxpress-huffman",))


def test_the_variant_with_a_checksum(corpus: Path) -> None:
    data = (corpus / "plaso" / "winprefetch" / "NOTEPAD.EXE-D8414F97.pf").read_bytes()
    head = b"MAM\x84" + data[4:8]
    for crc, damaged in ((zlib.crc32(head + bytes(4) + data[8:]), False), (1, True)):
        budget = Budget()
        checked = head + crc.to_bytes(4, "little") + data[8:]
        got = list(rows(Found(MemorySource(checked), "NOTEPAD.EXE-D8414F97.pf"), budget))
        assert len(got) == 2
        assert [f.what for f in budget.findings] == ["MAM container"] * damaged


def test_a_file_cut_off_keeps_its_runs(corpus: Path) -> None:
    data = (corpus / "plaso" / "winprefetch" / "TASKHOST.EXE-3AE259FC.pf").read_bytes()
    budget = Budget()
    got = list(rows(Found(MemorySource(data[:2000]), "TASKHOST.EXE-3AE259FC.pf"), budget))
    assert [row.values["run_count"] for row in got] == [4] * 4
    assert {f.kind for f in budget.findings} >= {"Truncated"}


def test_a_wrong_name_is_noted(corpus: Path) -> None:
    path = corpus / "plaso" / "winprefetch" / "CMD.EXE-087B4001.pf"
    budget = Budget()
    list(rows(Found(FileSource(path), "CMD.EXE-00000000.pf"), budget))
    assert [f.kind for f in budget.findings] == ["Note"]


def test_other_files_are_refused(corpus: Path) -> None:
    for data in ((corpus / "prefetch/Prefetch.Test/Bad/notAPrefetch.pf").read_bytes(), b"", b"MAM", b"MAM\x04", b"MAM\x07" + bytes(20)):
        with pytest.raises(EvidenceError):
            list(rows(Found(MemorySource(data), "X-0.pf"), Budget()))
    with pytest.raises(NotThisFormat):
        list(rows(Found(MemorySource(bytes(200)), "X-0.pf"), Budget()))


def test_entries_that_all_name_the_whole_block_are_bounded(corpus: Path) -> None:
    data = bytearray((corpus / "plaso" / "winprefetch" / "CMD.EXE-087B4001.pf").read_bytes())
    at, count, _, _, _, size = struct.unpack_from("<6I", data, 84)
    for entry in range(at, at + 20 * count, 20):
        struct.pack_into("<II", data, entry + 8, 0, size // 2)
    budget = Budget()
    (row,) = rows(Found(MemorySource(bytes(data)), "CMD.EXE-087B4001.pf"), budget)
    assert count > 16 and len(row.values["files"]) < 40 * size
    assert [f.kind for f in budget.findings] == ["LimitExceeded"]
