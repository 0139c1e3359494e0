"""NTFS listing with full paths: forensiclib, the mft crate's Python binding, pytsk3; one volume, one run.

    FORENSICLIB_NTFS=many.img python -m pytest benchmarks/bench_ntfs.py

The volume comes from benchmarks/make_ntfs.py. Records a second is the number in ``extra_info``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.filesystems.ntfs.ntfs import FORMAT

VOLUME = os.environ.get("FORENSICLIB_NTFS", "")
pytestmark = pytest.mark.skipif(not VOLUME, reason="FORENSICLIB_NTFS names no volume; make one with benchmarks/make_ntfs.py")


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


def test_mft_crate(benchmark: Any, records: int, tmp_path: Path) -> None:
    """PyMftParser over the extracted $MFT, full path of each entry, as its README shows."""
    mft = pytest.importorskip("mft", reason="the mft package is not installed")
    extracted = tmp_path / "mft"
    stream = FORMAT.open(FileSource(VOLUME), Budget()).get("$MFT").open()
    extracted.write_bytes(stream.read_at(0, stream.size))

    def listing() -> int:
        count = 0
        for entry in mft.PyMftParser(str(extracted)):
            if not isinstance(entry, RuntimeError) and entry.full_path is not None:
                count += 1
        return count

    assert benchmark.pedantic(listing, rounds=3, warmup_rounds=1) > records // 2
    _note(benchmark, records)


def test_pytsk3(benchmark: Any, records: int) -> None:
    """Directories walked from the root, full path of each name."""
    pytsk3 = pytest.importorskip("pytsk3")

    def listing() -> int:
        fs = pytsk3.FS_Info(pytsk3.Img_Info(VOLUME))
        todo, count, seen = [("", fs.info.root_inum)], 0, set()
        while todo:
            path, number = todo.pop()
            for item in fs.open_dir(inode=number):
                name = item.info.name.name
                if name in (b".", b".."):
                    continue
                full = f"{path}/{name.decode('utf-8', 'replace')}"
                meta = item.info.meta
                count += 1
                if meta is not None and meta.type == pytsk3.TSK_FS_META_TYPE_DIR and meta.addr not in seen:
                    seen.add(meta.addr)
                    todo.append((full, meta.addr))
        return count

    assert benchmark.pedantic(listing, rounds=1) > records // 2
    _note(benchmark, records)
