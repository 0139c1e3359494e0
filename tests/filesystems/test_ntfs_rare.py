"""Volumes as they are rarely met, made by the driver: a $MFT in pieces, 4 KiB records, large clusters, links, extended
attributes, deleted files whose clusters were written again."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forensiclib.core.entry import Entry
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.filesystems.ntfs.ntfs import FORMAT, Ntfs

_spec = importlib.util.spec_from_file_location("ntfs_volume", Path(__file__).with_name("ntfs_volume.py"))
assert _spec is not None and _spec.loader is not None
ntfs_volume = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(ntfs_volume)
pytestmark = pytest.mark.drivers


@pytest.fixture
def image(tmp_path: Path) -> Path:
    ntfs_volume.need_drivers()
    return tmp_path / "volume.img"


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    ntfs_volume.mount(image, str(folder))
    try:
        yield folder
    finally:
        ntfs_volume.unmount(str(folder))


def opened(image: Path) -> tuple[Ntfs, Budget]:
    budget = Budget()
    fs = FORMAT.open(FileSource(image), budget)
    assert isinstance(fs, Ntfs)
    return fs, budget


def user(fs: Ntfs, state: str) -> dict[str, Entry]:
    return {e.path: e for e in fs.walk() if e.state == state and e.kind != "directory" and not e.path.startswith("$")}


def content(entry: Entry) -> bytes:
    stream = entry.open()
    return stream.read_at(0, stream.size)


def test_a_table_in_hundreds_of_pieces(image: Path) -> None:
    truth = ntfs_volume.fragmented(image)
    fs, budget = opened(image)
    live = user(fs, "allocated")
    assert set(live) == set(truth)
    assert all(content(live[path]) == data for path, data in truth.items())
    assert not budget.findings


@pytest.mark.parametrize(
    ("size", "options", "facts"),
    [
        (96 << 20, ("-s", "4096", "-c", "4096"), (4096, 4096)),
        (512 << 20, ("-c", "131072"), (131072, 1024)),
        (1 << 30, ("-c", "2097152"), (2097152, 1024)),
    ],
    ids=["records of 4 KiB", "clusters of 128 KiB", "clusters of 2 MiB"],
)
def test_other_geometry(image: Path, tmp_path: Path, size: int, options: tuple[str, ...], facts: tuple[int, int]) -> None:
    ntfs_volume.format_volume(image, size, *options)
    rng = random.Random(5)
    truth = {f"file number {n}": rng.randbytes(n * 37) for n in range(120)}
    with mounted(image, tmp_path / "mnt") as folder:
        for name, data in truth.items():
            (folder / name).write_bytes(data)
        (folder / "directory").mkdir()
        for n in range(200):
            (folder / "directory" / f"one of many {n}").write_bytes(b"%d" % n)
        (folder / "gone").write_bytes(truth["file number 119"] * 9)
    with mounted(image, tmp_path / "mnt") as folder:
        (folder / "gone").unlink()
    fs, budget = opened(image)
    cluster, record = facts
    assert fs.block_size == cluster
    number = fs.get("file number 0").id
    assert fs.get("$MFT").open().read_at(number * record, 4) == b"FILE"
    live = user(fs, "allocated")
    assert {path: content(e) for path, e in live.items() if "/" not in path} == truth
    assert {path: content(e) for path, e in live.items() if "/" in path} == {f"directory/one of many {n}": b"%d" % n for n in range(200)}
    assert any(live[name].open().resident and len(truth[name]) > 1024 for name in truth) == (record == 4096)
    gone = user(fs, "deleted")["gone"]
    assert gone.verdict == "intact" and content(gone) == truth["file number 119"] * 9
    assert not budget.findings


def reparse(tag: int, *names: str, flags: bytes = b"") -> bytes:
    """Reparse data ([MS-FSCC] 2.1.2.4, 2.1.2.5): the names NUL-terminated, one after the other."""
    path, places = b"", b""
    for name in names:
        raw = name.encode("utf-16-le")
        places += struct.pack("<HH", len(path), len(raw))
        path += raw + b"\0\0"
    body = places + flags + path
    return struct.pack("<IHH", tag, len(body), 0) + body


def test_links_extended_attributes_and_object_ids(image: Path, tmp_path: Path) -> None:
    ntfs_volume.format_volume(image, 24 << 20)
    attributes = b""
    for name, value in ((b"FIRST", b"value one"), (b"SECOND", b"2" * 300)):
        one = struct.pack("<BBH", 0, len(name), len(value)) + name + b"\0" + value
        one += bytes(-(len(one) + 4) % 4)
        attributes += struct.pack("<I", len(one) + 4) + one
    with mounted(image, tmp_path / "mnt") as folder:
        (folder / "plain").write_bytes(b"data")
        (folder / "target").mkdir()
        (folder / "junction").mkdir()
        (folder / "symbolic").write_bytes(b"")
        os.setxattr(folder / "junction", "system.ntfs_reparse_data", reparse(0xA0000003, "\\??\\C:\\target", "C:\\target"))
        os.setxattr(folder / "symbolic", "system.ntfs_reparse_data", reparse(0xA000000C, "plain", "plain", flags=b"\1\0\0\0"))
        os.setxattr(folder / "plain", "system.ntfs_ea", attributes)
        os.setxattr(folder / "plain", "system.ntfs_object_id", bytes(range(16)))
    fs, budget = opened(image)
    junction, symbolic, plain = fs.get("junction"), fs.get("symbolic"), fs.get("plain")
    assert (junction.kind, junction.link_target, junction.attributes["reparse"]) == ("link", "C:\\target", "mount point")
    assert (symbolic.kind, symbolic.link_target, symbolic.attributes["reparse"]) == ("link", "plain", "symlink")
    assert plain.attributes["object_id"] == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    streams = {s.kind: s for s in plain.streams()}
    assert streams["data"].read_at(0, 99) == b"data"
    assert streams["ea"].read_at(0, 9999) == attributes
    assert not budget.findings


def test_verdicts_of_files_that_the_driver_wrote_over(image: Path, tmp_path: Path) -> None:
    """What is "intact" reads as it was, what is not has changed clusters: by the bytes on the volume before and after."""
    ntfs_volume.format_volume(image, 24 << 20)
    rng = random.Random(11)
    before = {f"old {n:03d}": rng.randbytes(rng.randrange(3, 30) * 4096 - 100) for n in range(120)}
    with mounted(image, tmp_path / "mnt") as folder:
        for name, data in before.items():
            (folder / name).write_bytes(data)
    with mounted(image, tmp_path / "mnt") as folder:
        for name in before:
            (folder / name).unlink()
    assert {e.verdict for e in user(opened(image)[0], "deleted").values()} == {"intact"}
    with mounted(image, tmp_path / "mnt") as folder:
        for n in range(40):  # few names, much content: most old records survive, their clusters do not
            (folder / f"new {n}").write_bytes(rng.randbytes(90_000 + n * 1000))
    fs, _ = opened(image)
    gone = {path: e for path, e in user(fs, "deleted").items() if path in before}
    verdicts: dict[str, int] = {}
    for path, entry in gone.items():
        data = content(entry)
        same = [data[at : at + 4096] == before[path][at : at + 4096] for at in range(0, len(before[path]), 4096)]
        verdict = "intact" if all(same) else "partly overwritten" if any(same) else "overwritten"
        assert entry.verdict == verdict, (path, entry.verdict, same)
        verdicts[verdict] = verdicts.get(verdict, 0) + 1
        if verdict == "intact":
            assert hashlib.md5(data).digest() == hashlib.md5(before[path]).digest()
    assert set(verdicts) == {"intact", "partly overwritten", "overwritten"}, verdicts
