"""File systems without a reader are told by name, on images that their own tools made, and never taken for empty."""

from __future__ import annotations

import lzma
import shutil
import subprocess

import pytest

import forensiclib as fl
from forensiclib.core.errors import NotThisFormat, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.filesystems import unread

FORMATS = {f.name: f for f in unread.FORMATS}
CORPUS = {
    "btrfs": "rusty-backup/test_btrfs.img.zst",
    "reiserfs": "rusty-backup/test_reiserfs_v3_6.img.zst",
    "xfs": "cryptsetup/img_fs_xfs5.img.xz",
    "squashfs": "fact_extractor/squashFS/gzip.sqfs",
}


def unpacked(path):
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        zstandard = pytest.importorskip("zstandard", reason="zstandard unpacks the .zst images")
        return zstandard.ZstdDecompressor().stream_reader(data).read()
    return data


@pytest.mark.corpus
@pytest.mark.parametrize("name", sorted(CORPUS))
def test_it_is_named_and_refused(corpus, tmp_path, name):
    data = unpacked(corpus / CORPUS[name])
    source = MemorySource(data)
    assert [f.name for f in unread.FORMATS if f.probe(source)] == [name]
    with pytest.raises(Unsupported, match=FORMATS[name].title):
        FORMATS[name].open(source, Budget())
    path = tmp_path / "disk.dd"
    path.write_bytes(data)
    with fl.open_image(path) as image, pytest.raises(Unsupported, match=FORMATS[name].title):
        image.volume("0").filesystem()


@pytest.mark.drivers
def test_f2fs_is_named(tmp_path):
    if shutil.which("mkfs.f2fs") is None:
        pytest.skip("mkfs.f2fs (f2fs-tools) is not installed")
    path = tmp_path / "disk.dd"
    with path.open("wb") as out:
        out.truncate(64 << 20)
    subprocess.run(["mkfs.f2fs", "-q", path], check=True, capture_output=True)
    with fl.open_image(path) as image, pytest.raises(Unsupported, match="F2FS"):
        image.volume("0").filesystem()


def test_other_bytes_are_none_of_them():
    for data in (b"", bytes(70_000), b"\xeb\x52\x90NTFS    " + bytes(70_000)):
        source = MemorySource(data)
        for form in unread.FORMATS:
            assert not form.probe(source)
            with pytest.raises(NotThisFormat):
                form.open(source, Budget())
