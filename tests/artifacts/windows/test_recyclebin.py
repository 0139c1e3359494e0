"""Recycle bins against the values that other projects' tests state, and bytes laid out by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensiclib.artifacts.windows.recyclebin import EXTRACTOR, rows
from forensiclib.core.declare import Found
from forensiclib.core.errors import NotThisFormat, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.record import Row
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.core.time import FILETIME_EPOCH
from forensiclib.testing.contracts import ExtractorContract

BIN = "RECYCLER/S-1-5-21-1004336348-1177238915-682003330-1001"
WHEN = FILETIME_EPOCH + 1_767_225_600 * 10_000_000


def entry(ansi: bytes, index: int, drive: int, size: int, wide: str | None) -> bytes:
    out = ansi.ljust(260, b"\0") + struct.pack("<IIQI", index, drive, WHEN, size)
    return out if wide is None else out + wide.encode("utf-16-le").ljust(520, b"\0")


def info2(*entries: bytes, size: int = 800, version: int = 5) -> bytes:
    return struct.pack("<5I", version, 0, 0, size, 0) + b"".join(entries)


def item(path: str, version: int) -> bytes:
    name = (path + "\0").encode("utf-16-le")
    head = struct.pack("<QQQ", version, 1234, WHEN)
    return head + (name.ljust(520, b"\0") if version == 1 else struct.pack("<I", len(name) // 2) + name)


def read(data: bytes, path: str, **more: Any) -> tuple[list[Row], Budget]:
    budget = Budget()
    return list(rows(Found(MemorySource(data), path, **more), budget)), budget


class TestContract(ExtractorContract):
    extractor = EXTRACTOR

    def targets(self) -> Iterator[object]:
        yield Found(MemorySource(info2(entry(b"C:\\a.txt", 1, 2, 512, "C:\\a.txt"))), f"{BIN}/INFO2")
        for version in (1, 2):
            yield Found(MemorySource(item("C:\\a.txt", version)), f"{BIN}/$IABCDEF.txt")


@pytest.mark.corpus
def test_info2_published_values(corpus: Path) -> None:
    """plaso's tests: four entries; the first and its time."""
    budget = Budget()
    got = list(rows(Found(FileSource(corpus / "plaso/recycler/INFO2"), f"{BIN}/INFO2"), budget))
    assert len(got) == 4 and not budget.findings
    first = got[0].values
    assert first["path"] == "C:\\Documents and Settings\\Mr. Evil\\Desktop\\lalsetup250.exe"
    assert first["deleted"].iso() == "2004-08-25T16:18:25.2370000Z"
    assert (first["index"], first["drive"], first["content"]) == (1, "C", "Dc1.exe")
    assert [row.at for row in got] == [20, 820, 1620, 2420]


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "path", "when", "size"),
    [
        (
            "plaso/recycler/$II3DF3L.zip",
            "C:\\Users\\nfury\\Documents\\Alloy Research\\StarFury.zip",
            "2012-03-12T20:49:58.6330000Z",
            724919,
        ),
        ("plaso/recycler/$I103S5F.jpg", "C:\\Users\\random\\Downloads\\bunnies.jpg", "2016-06-29T21:37:45.6180000Z", 222255),
    ],
)
def test_items_published_values(corpus: Path, name: str, path: str, when: str, size: int) -> None:
    """plaso's tests."""
    file = corpus / name
    budget = Budget()
    (row,) = rows(Found(FileSource(file), f"$Recycle.Bin/S-1-5-21-1/{file.name}"), budget)
    assert (row.values["path"], row.values["deleted"].iso(), row.values["size"]) == (path, when, size)
    assert not budget.findings


@pytest.mark.corpus
def test_every_bin_of_the_corpus(corpus: Path) -> None:
    found = [p for p in sorted(corpus.rglob("$I*")) if p.is_file() and p.parent.parent.name != "$I30" and p.name != "$I30"]
    assert len(found) >= 12
    for path in found:
        budget = Budget()
        (row,) = rows(Found(FileSource(path), path.name), budget)
        assert not budget.findings and row.values["path"][1:3] == ":\\" and row.values["deleted"].iso()[:2] == "20"
        # The bin keeps the extension.
        assert row.values["path"].endswith(path.suffix)
    multi = corpus / "rbcmd/RecycleBin.Test/WinXp - mueller1/INFO2_MultiFiles"
    assert len(list(rows(Found(FileSource(multi), "RECYCLER/INFO2"), Budget()))) == 4


def test_the_deleted_file_is_looked_for() -> None:
    for present in (True, False):
        asked: list[str] = []

        def sibling(name: str, asked: list[str] = asked, present: bool = present) -> MemorySource | None:
            asked.append(name)
            return MemorySource(b"12345") if present else None

        (row,), _ = read(item("C:\\a.txt", 2), f"{BIN}/$IABCDEF.txt", sibling=sibling)
        assert asked == ["$RABCDEF.txt"]
        assert row.values["content_present"] is present
        assert row.values["content_size"] == (5 if present else None)
        assert row.values["user"] == "S-1-5-21-1004336348-1177238915-682003330-1001"


def test_entries_that_left_the_bin_keep_their_path() -> None:
    (row,), budget = read(info2(entry(b"\0:\\Temp\\x.doc", 7, 3, 4096, "D:\\Temp\\x.doc")), f"{BIN}/INFO2")
    assert row.values["removed"] is True and row.state == "deleted"
    assert row.values["path"] == row.values["path_ansi"] == "D:\\Temp\\x.doc"
    assert row.values["content"] == "Dd7.doc"
    assert not budget.findings


def test_old_bins_without_unicode_and_remnants() -> None:
    data = info2(entry(b"C:\\new.txt\0lder\\secret.txt", 1, 2, 512, None), entry(b"C:\\b", 2, 2, 0, None), size=280, version=0)
    got, budget = read(data, "RECYCLED/INFO2")
    assert [row.values["path"] for row in got] == ["C:\\new.txt", "C:\\b"]
    assert got[0].values["remnant"] == b"lder\\secret.txt"
    assert got[0].values["user"] is None
    assert [row.values["content"] for row in got] == ["Dc1.txt", "Dc2"]
    assert not budget.findings


def test_an_entry_cut_off_and_an_empty_one_are_reported() -> None:
    whole = entry(b"C:\\a", 1, 2, 1, "C:\\a")
    got, budget = read(info2(bytes(800), whole, whole[:100]), f"{BIN}/INFO2")
    assert [row.at for row in got] == [820]
    assert [f.kind for f in budget.findings] == ["Note", "Truncated"]


def test_an_entry_whose_unicode_path_is_cut_off_is_kept() -> None:
    got, _ = read(info2(entry(b"C:\\a.txt", 1, 2, 1, "C:\\a.txt")[:300]), f"{BIN}/INFO2")
    assert got[0].values["path_ansi"] == "C:\\a.txt"


def test_an_item_cut_off_is_kept() -> None:
    (row,), budget = read(item("C:\\folder\\file.txt", 2)[:40], f"{BIN}/$IABCDEF.txt")
    assert row.values["path"] == "C:\\fol"
    assert [f.kind for f in budget.findings] == ["Truncated"]


def test_what_is_not_a_bin() -> None:
    with pytest.raises(NotThisFormat):
        read(b"hello", f"{BIN}/$IABCDEF.txt")
    with pytest.raises(NotThisFormat):
        read(item("C:\\a", 2).replace(b"\2", b"\3", 1), f"{BIN}/$IABCDEF.txt")
    with pytest.raises(Truncated):
        read(b"\5\0\0\0", f"{BIN}/INFO2")
    with pytest.raises(Unsupported):
        read(info2(size=300), f"{BIN}/INFO2")
