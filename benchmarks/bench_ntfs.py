"""NTFS listing with full paths: forensiclib, the mft crate's Python binding, pytsk3; one volume, one run.

    FORENSICLIB_NTFS=many.img python -m pytest benchmarks/bench_ntfs.py

The volume comes from benchmarks/make_ntfs.py. Times are CPU time of the process; records a second is the number in
``extra_info``. What each side yields:

    forensiclib    a Batch of 39 columns: path, name, sizes, eight times, runs, states and verdicts of all streams of all
                   files, live and deleted, and the stale names of directory indexes (it reads those too)
    mft, paths     one Python string a record: the full path, nothing else. The least that its interface can do
    mft, facts     per record number, sequence, path, size, flags, links, and its attributes iterated as its README
                   shows for the four times of $STANDARD_INFORMATION
    pytsk3         per name full path, size and four times of what the directories hold; no streams, no orphans
"""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.filesystems.ntfs.ntfs import FORMAT

VOLUME = os.environ.get("FORENSICLIB_NTFS", "")
pytestmark = [
    pytest.mark.skipif(not VOLUME, reason="FORENSICLIB_NTFS names no volume; make one with benchmarks/make_ntfs.py"),
    pytest.mark.benchmark(timer=time.process_time),
]
STANDARD_INFORMATION = 0x10


@pytest.fixture(scope="module")
def records() -> int:
    """Records in the volume's $MFT."""
    return FORMAT.open(FileSource(VOLUME), Budget()).get("$MFT").size // 1024


def _note(benchmark: Any, records: int) -> None:
    benchmark.extra_info["records_per_second"] = round(records / benchmark.stats.stats.min)


def test_forensiclib(benchmark: Any, records: int) -> None:
    """Everything: paths, deleted files, verdicts, stale directory names."""
    source = FileSource(VOLUME)
    table = benchmark.pedantic(lambda: FORMAT.open(source, Budget()).table(), rounds=5, warmup_rounds=1)
    assert len(table) > records // 2
    _note(benchmark, records)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The $MFT as a file, for the mft crate."""
    extracted = tmp_path_factory.mktemp("ntfs") / "mft"
    stream = FORMAT.open(FileSource(VOLUME), Budget()).get("$MFT").open()
    extracted.write_bytes(stream.read_at(0, stream.size))
    return str(extracted)


def test_mft_crate_paths(benchmark: Any, records: int, table: str) -> None:
    """PyMftParser over the extracted $MFT: the full path of each entry."""
    mft = pytest.importorskip("mft", reason="the mft package is not installed")

    def listing() -> int:
        count = 0
        for entry in mft.PyMftParser(table):
            if not isinstance(entry, RuntimeError) and entry.full_path is not None:
                count += 1
        return count

    assert benchmark.pedantic(listing, rounds=5, warmup_rounds=1) > records // 2
    _note(benchmark, records)


def test_mft_crate_facts(benchmark: Any, records: int, table: str) -> None:
    """PyMftParser over the extracted $MFT: path, size, flags, links and the standard times of each entry."""
    mft = pytest.importorskip("mft", reason="the mft package is not installed")

    def listing() -> int:
        rows = []
        for entry in mft.PyMftParser(table):
            if isinstance(entry, RuntimeError):
                continue
            row = [entry.entry_id, entry.sequence, entry.full_path, entry.file_size, entry.flags, entry.hard_link_count]
            for attribute in entry.attributes():
                if not isinstance(attribute, RuntimeError) and attribute.type_code == STANDARD_INFORMATION:
                    content = attribute.attribute_content
                    row += [content.created, content.modified, content.mft_modified, content.accessed]
            rows.append(row)
        return len(rows)

    assert benchmark.pedantic(listing, rounds=2) > records // 2
    _note(benchmark, records)


def test_pytsk3(benchmark: Any, records: int) -> None:
    """Directories walked from the root: full path, size and times of each name."""
    pytsk3 = pytest.importorskip("pytsk3")

    def listing() -> int:
        fs = pytsk3.FS_Info(pytsk3.Img_Info(VOLUME))
        todo, rows, seen = [("", fs.info.root_inum)], [], set()
        while todo:
            path, number = todo.pop()
            for item in fs.open_dir(inode=number):
                name = item.info.name.name
                if name in (b".", b".."):
                    continue
                full = f"{path}/{name.decode('utf-8', 'replace')}"
                meta = item.info.meta
                rows.append((full,) if meta is None else (full, meta.size, meta.mtime, meta.atime, meta.ctime, meta.crtime))
                if meta is not None and meta.type == pytsk3.TSK_FS_META_TYPE_DIR and meta.addr not in seen:
                    seen.add(meta.addr)
                    todo.append((full, meta.addr))
        return len(rows)

    assert benchmark.pedantic(listing, rounds=1) > records // 2
    _note(benchmark, records)
