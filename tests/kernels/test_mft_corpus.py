"""NTFS kernels on file records of others: single records and whole tables of the corpus, the mft crate beside."""

from __future__ import annotations

import re
import struct
import warnings
from array import array
from pathlib import Path
from typing import Any

import pytest

from forensiclib import kernels
from forensiclib.filesystems.ntfs.boot import Geometry
from forensiclib.filesystems.ntfs.mft import FileRecord, parse_record

pytestmark = pytest.mark.corpus
CLUSTERS = 1 << 40
GEOMETRY = Geometry(512, 4096, CLUSTERS, 1024, 4096, 4, 2, 0, 0)


def record(corpus: Path, name: str) -> FileRecord:
    return parse_record((corpus / "mft" / name).read_bytes(), 0, GEOMETRY)


def names(found: FileRecord) -> list[str]:
    return [raw.decode("utf-16-le") for _, raw in found.names]


def test_a_wrong_fixup_is_told(corpus: Path) -> None:
    """omerbenamram/mft tests/test_entry.rs: valid_fixup is false."""
    found = record(corpus, "entry_102130_fixup_issue")
    assert found.status == 2
    assert names(found) == ["APPLIC~1", "Application Data"]


def test_runs_of_an_extension_record(corpus: Path) -> None:
    """omerbenamram/mft tests/test_data_run.rs: 53 runs, the first 517,248 clusters of hole."""
    found = record(corpus, "entry_data_run_at_offset")
    (journal,) = found.attributes
    assert (journal.name, len(journal.runs), journal.runs[0]) == ("$J", 53, (-1, 517248))
    assert sum(length for _, length in journal.runs) == journal.after - journal.first
    assert found.base & ((1 << 48) - 1) != 0


def test_long_names_and_resident_streams(corpus: Path) -> None:
    found = record(corpus, "entry_long_name_and_res_ads_002")
    assert names(found) == ["longname_res_with_ads.txt"]
    assert [(a.name, a.resident, a.size, len(a.content)) for a in found.attributes if a.type == 0x80] == [
        ("", True, 24, 24),
        ("res.ads", True, 37, 37),
    ]
    (long,) = names(record(corpus, "entry_super_long_name_001"))
    assert long == f"time_for_a_{'super_' * 26}_{'super_' * 8}longname.txt" and len(long) == 228


def test_index_root_entries_of_a_record(corpus: Path) -> None:
    """omerbenamram/mft tests/test_entry.rs: four entries in $INDEX_ROOT, the last one spelled out."""
    raw = bytearray((corpus / "mft/entry_multiple_index_root_entries").read_bytes())
    tables, filled = [bytearray() for _ in range(7)], array("Q", bytes(56))
    assert kernels.mft_scan(raw, 1024, 0, 4096, CLUSTERS, 1 << 20, tables, filled) == b""
    *_, lost, text = [bytes(t[:n]) for t, n in zip(tables, filled, strict=True)]
    rows = list(kernels.MFT_NAME.iter_unpack(lost))
    assert len(rows) >= 4
    parent, born, modified, changed, accessed, size, at, flags, number, sequence, length, space, known, _ = rows[3]
    assert (number, sequence, parent, known) == (26399, 1, 26359 | 1 << 48, 1)
    assert born == modified == int.from_bytes(bytes.fromhex("0000C103DB6AC601"), "little")
    assert changed == accessed == int.from_bytes(bytes.fromhex("7686F68C0464CA01"), "little")
    assert (size, flags, space, text[at : at + length]) == (1484, 0x20, 1, b"test_returnfuncptrs.py")


def crate(path: Path) -> tuple[dict[int, Any], set[int]]:
    """Entries by number, and the numbers that the crate warns of: fixups that do not match."""
    mft = pytest.importorskip("mft", reason="the mft package is not installed")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        entries = {e.entry_id: e for e in mft.PyMftParser(str(path)) if not isinstance(e, RuntimeError)}
    torn = {int(m[1]) for w in told if (m := re.search(r"\[entry: (\d+)\] fixup", str(w.message)))}
    return entries, torn


@pytest.mark.parametrize("name", ["NIST/DFR-16/$MFT", "xw/$MFT"])
def test_whole_tables_against_the_mft_crate(corpus: Path, name: str) -> None:
    """Record for record: torn or not, sequence; paths of the allocated files that have one name."""
    path = corpus / "mft/MFT.Test" / name
    raw = path.read_bytes()
    theirs, torn = crate(path)
    total = len(raw) // 1024
    tables, filled = [bytearray() for _ in range(7)], array("Q", bytes(56))
    kernels.mft_scan(bytearray(raw), 1024, 0, 4096, CLUSTERS, total, tables, filled)
    records, found, attributes, runs, text = [bytes(t[:n]) for t, n in zip(tables, filled, strict=True)][:5]
    rows = list(kernels.MFT_RECORD.iter_unpack(records))
    assert {n for n, row in enumerate(rows) if row[12] == 2} == torn
    assert {n for n, row in enumerate(rows) if row[12] == 3} == {n for n in range(total) if raw[n * 1024 : n * 1024 + 4] == b"BAAD"}
    good = [n for n, row in enumerate(rows) if row[12] == 1]
    assert [rows[n][9] for n in good] == [theirs[n].sequence for n in good]
    owners, _ = kernels.mft_owners(records)
    extents = struct.pack("<qq", 0, len(raw))
    count, columns, _ = kernels.mft_listing(
        records, found, attributes, runs, text, owners, bytes(total), b"", b"", extents, 1024, 4096, 1 << 20, 1 << 24
    )
    ids, state = memoryview(columns["id"][0]).cast("B").cast("Q"), columns["state"][0]
    ends = memoryview(columns["path"][1]).cast("B").cast("q")
    compared = 0
    for row in range(count):
        shown = str(columns["path"][0][ends[row] : ends[row + 1]], "utf-8")
        if state[row] == 0 and shown and rows[ids[row]][12] == 1 and rows[ids[row]][17] == 1:
            assert theirs[ids[row]].full_path.replace("\\", "/") == shown
            compared += 1
    assert compared > 80


def test_index_buffers(corpus: Path) -> None:
    """Deleting files leaves their names in the buffer: what was live at the start is slack later, never lost."""
    seen = {}
    for name in ("Start", "FirstDelete", "SecondDelete"):
        raw = bytearray((corpus / f"mft/MFT.Test/$I30/{name}/$I30").read_bytes())
        found, text, problems = kernels.index_names(raw, 4096, 1 << 30, 0, b"", b"", b"", b"")
        assert problems == b""
        rows = list(kernels.MFT_NAME.iter_unpack(found))
        seen[name] = {text[row[6] : row[6] + row[10]].decode() for row in rows}
    assert {"Folder1", "Folder2", "Folder3", "Folder4", "Folder5"} <= seen["Start"]
    assert "Folder5" in seen["SecondDelete"]
