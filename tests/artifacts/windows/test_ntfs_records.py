"""windows.mft and windows.usnjrnl: copies, and what is left in free space, against the mft crate and the bytes themselves."""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.artifacts.windows import mft, usnjrnl
from forensiclib.carving.engine import carve
from forensiclib.catalog import load
from forensiclib.core.declare import Found
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource

MFTS = ("mft/MFT.Test/NIST/DFR-16/$MFT", "mft/MFT.Test/xw/$MFT")


@pytest.mark.corpus
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", MFTS)
def test_file_records_as_the_mft_crate_reads_them(corpus: Path, name: str) -> None:
    crate = pytest.importorskip("mft")
    budget = Budget()
    rows = list(mft.EXTRACTOR.rows(Found(FileSource(corpus / name), "copy"), budget))
    ours: dict[int, set[tuple[object, ...]]] = {}
    for row in rows:
        v = row.values
        if v["name"] is not None:
            ours.setdefault(row.at // row.length, set()).add(
                (v["name"], v["parent"], v["born"].ns // 1000 if v["born"] and v["born"].ns is not None else None)
            )
    compared = 0
    for entry in crate.PyMftParser(str(corpus / name)).entries():
        if isinstance(entry, RuntimeError):
            continue
        attributes = [a for a in entry.attributes() if not isinstance(a, RuntimeError)]
        born = [a.attribute_content.created for a in attributes if a.type_name == "StandardInformation"]
        names = [a.attribute_content for a in attributes if a.type_name == "FileName"]
        wanted = {
            (
                n.name,
                n.parent_entry_id,
                int((born[0] - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) / dt.timedelta(microseconds=1))
                if born and born[0].year > 1601
                else None,
            )
            for n in names
        }
        mine = ours.get(entry.entry_id, set())
        if not mine <= wanted:
            assert budget.findings, (entry.entry_id, mine, wanted)  # a torn record, which the crate reads on
        compared += len(mine & wanted)
    assert compared > 60


@pytest.mark.corpus
def test_change_journal_by_its_bytes(corpus: Path) -> None:
    budget = Budget()
    rows = list(usnjrnl.EXTRACTOR.rows(Found(FileSource(corpus / "mft/MFT.Test/Usn/record.usn"), "a"), budget))
    # Read from a hex dump of the record.
    assert [dict(r.values) | {"time": r.values["time"].iso()} for r in rows] == [
        {
            "time": "2013-10-19T12:16:53.2760403Z",
            "name": "BTDevManager.log",
            "reason": "DATA_EXTEND",
            "source": None,
            "file": 0x73,
            "file_sequence": 0x9168,
            "parent": 0x22A3B,
            "parent_sequence": 7,
            "usn": 0x4BC800000,
            "attributes": 0x2020,
            "version": 2,
        }
    ]
    journal = (corpus / "plaso/UsnJrnl.raw").read_bytes()
    rows = list(usnjrnl.EXTRACTOR.rows(Found(MemorySource(journal), "a"), budget))
    at, lengths = 0, []
    while at < len(journal):
        lengths.append(int.from_bytes(journal[at : at + 4], "little"))
        at += lengths[-1]
    assert [r.length for r in rows] == lengths and len(rows) == 19
    assert [r.values["usn"] for r in rows] == [r.at for r in rows]
    assert rows[0].values["name"] == "Nieuw - Tekstdocument.txt" and rows[0].values["reason"] == "FILE_CREATE"
    assert not budget.findings


@pytest.mark.corpus
def test_damage_between_records_is_one_finding(corpus: Path) -> None:
    journal = (corpus / "plaso/UsnJrnl.raw").read_bytes()
    budget = Budget()
    source = MemorySource(journal[:224] + b"\x55" * 400 + bytes(4096) + journal[224:])
    rows = list(usnjrnl.EXTRACTOR.rows(Found(source, "a"), budget))
    assert len(rows) == 19
    assert [f.found for f in budget.findings] == ["400 bytes at 0xe0 are no records"]


@pytest.mark.corpus
def test_records_in_free_space_are_carved_and_extracted(corpus: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow not installed")
    journal, table = (corpus / "plaso/UsnJrnl.raw").read_bytes(), (corpus / MFTS[0]).read_bytes()[:16384]
    fill = random.Random(3).randbytes
    data = fill(70_001) + journal + fill(999) + table + fill(50_000)
    finds = [(c.offset, c.length, c.carver.name) for c in carve(MemorySource(data), load().carvers)]
    assert finds == [(70_001, len(journal), "usn-records"), (70_001 + len(journal) + 999, 16384, "mft-records")]
    image = tmp_path / "raw.dd"
    image.write_bytes(data)
    case = fl.examine(image, tmp_path / "case")
    changes = pq.read_table(case.path / "artifacts" / "windows.usnjrnl.parquet", columns=["state", "span_start", "span_length"]).to_pylist()
    files = pq.read_table(case.path / "artifacts" / "windows.mft.parquet", columns=["name", "record"]).to_pylist()
    assert len(changes) == 19 and {c["state"] for c in changes} == {"carved"}
    assert changes[1]["span_start"] == [70_001 + 112] and changes[1]["span_length"] == [112]
    assert [f["name"] for f in files][:3] == ["$MFT", "$MFTMirr", "$LogFile"]
    assert len({f["record"] for f in files}) == 16


def test_noise_is_no_record() -> None:
    carvers = [c for c in load().carvers if c.name in ("usn-records", "mft-records")]
    assert len(carvers) == 2
    rng = random.Random(9)
    weak = b"".join(bytes([96, 0, 0, 0, 2, 0, 0, 0]) + rng.randbytes(50) + b"\x3c\0" + rng.randbytes(36) for _ in range(2000))
    weak += b"".join(b"FILE0\0\3\0" + rng.randbytes(1016) for _ in range(300))
    assert not list(carve(MemorySource(weak), carvers))
