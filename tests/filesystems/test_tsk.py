"""The contract on images that mkfs and real drivers make; deleted files with their content."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forensiclib.core.entry import Entry, FileSystem
from forensiclib.core.errors import NotThisFormat, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.filesystems.tsk.rooms import FORMATS, open_tsk
from forensiclib.testing.contracts import FileSystemContract

sys.path.insert(0, os.path.dirname(__file__))
from tsk_images import DELETED, LIVE, driver_image, fat_image, need

MAKERS = {
    "fat12": ("fat", lambda folder: fat_image(folder, 12)),
    "fat16": ("fat", lambda folder: fat_image(folder, 16)),
    "fat32": ("fat", lambda folder: fat_image(folder, 32)),
    "exfat": ("exfat", lambda folder: driver_image(folder, "exfat")),
    "ext2": ("ext", lambda folder: driver_image(folder, "ext2")),
    "ext3": ("ext", lambda folder: driver_image(folder, "ext3")),
    "ext4": ("ext", lambda folder: driver_image(folder, "ext4")),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"folder": tmp_path_factory.mktemp("tsk")}


def image_of(images: dict[str, Path], name: str) -> Path:
    if name not in images:
        folder = images["folder"] / name
        folder.mkdir(exist_ok=True)
        images[name] = MAKERS[name][1](folder)
    return images[name]


def opened(images: dict[str, Path], name: str, isolate: bool = False) -> tuple[FileSystem, Budget]:
    budget = Budget()
    return open_tsk(FileSource(image_of(images, name)), budget, MAKERS[name][0], isolate=isolate), budget


@pytest.mark.drivers
class TestContract(FileSystemContract):
    @pytest.fixture(autouse=True, params=list(MAKERS))
    def _image(self, request: pytest.FixtureRequest, images: dict[str, Path]) -> None:
        self._made = lambda: opened(images, request.param)[0]
        self._made()

    def make(self) -> FileSystem:
        return self._made()

    def files(self) -> dict[str, bytes]:
        return LIVE


def content(entry: Entry) -> bytes:
    stream = entry.open()
    return stream.read_at(0, stream.size)


def same_name(ours: str, real: str) -> bool:
    """FAT loses the first character of a short name."""
    return ours == real or (ours.startswith("_") and ours[1:].casefold() == real[1:].casefold())


@pytest.mark.drivers
@pytest.mark.parametrize("name", ["fat12", "fat16", "fat32", "exfat", "ext3", "ext4"])
@pytest.mark.parametrize("isolate", [False, True])
def test_deleted_files_come_back_whole(images: dict[str, Path], name: str, isolate: bool) -> None:
    fs, _ = opened(images, name, isolate)
    lost = [e for e in fs.walk() if e.state != "allocated" and e.kind == "file"]
    for path, want in DELETED.items():
        folder, _, base = path.rpartition("/")
        found = [e for e in lost if e.path.rpartition("/")[0] == folder and same_name(e.name, base)]
        assert [content(e) for e in found] == [want], path
        assert found[0].verdict == "intact"
        assert found[0].size == len(want)
        assert found[0].open().trace(0, 512)[0].exact
    fs.close()


@pytest.mark.drivers
@pytest.mark.parametrize("name", list(MAKERS))
def test_label_and_free_space(images: dict[str, Path], name: str) -> None:
    fs, budget = opened(images, name)
    assert fs.label == "LABEL"
    list(fs.walk())
    # Random bytes of a deleted file can look like a directory slot to The Sleuth Kit: refused, and said.
    assert [f for f in budget.findings if (f.kind, f.what) != ("Note", "orphans")] == []
    free = fs.unallocated()
    for entry in fs.walk(deleted=False):
        for stream in entry.streams() if entry.kind == "file" else ():
            for start, length in stream.runs:
                assert start is None or not any(s < start + length and start < s + n for s, n in free), entry.path


@pytest.mark.drivers
def test_fat_times_do_not_depend_on_the_time_zone_of_the_process(images: dict[str, Path]) -> None:
    image = image_of(images, "fat16")
    code = (
        "import sys;from forensiclib.core.source import FileSource;from forensiclib.core.limits import Budget;"
        "from forensiclib.filesystems.tsk.rooms import open_tsk;"
        "fs = open_tsk(FileSource(sys.argv[1]), Budget(), 'fat');"
        "print([(e.path, k, str(t), t.zone) for e in fs.walk() for k, t in e.times.items()])"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code, str(image)], capture_output=True, check=True, env=os.environ | {"TZ": zone}).stdout
        for zone in ("UTC", "America/New_York", "Asia/Kathmandu")
    ]
    assert outputs[0] == outputs[1] == outputs[2]
    assert b"'local'" in outputs[0] and b"'utc'" not in outputs[0]
    listing = subprocess.run(["mdir", "-i", str(image), "-a", "::a.txt"], capture_output=True, text=True, check=True).stdout
    entry = opened(images, "fat16")[0].get("a.txt")
    assert str(entry.times["modified"])[:10] in listing


@pytest.mark.drivers
def test_overwritten_clusters_are_told(tmp_path: Path) -> None:
    image = fat_image(tmp_path, 12)
    filler = tmp_path / "filler"
    filler.write_bytes(b"F" * (3 << 20))
    subprocess.run(["mcopy", "-i", str(image), str(filler), "::filler"], check=True, capture_output=True)
    fs = open_tsk(FileSource(image), Budget(), "fat")
    lost = [e for e in fs.walk() if e.state == "deleted"]
    assert {e.verdict for e in lost} == {"overwritten"}
    assert all(e.open().runs == () for e in lost), "another file's clusters are not this file's content"


@pytest.mark.drivers
def test_of_two_deleted_files_in_the_same_clusters_one_is_intact(tmp_path: Path) -> None:
    image = fat_image(tmp_path, 12)
    before = {e.id for e in open_tsk(FileSource(image), Budget(), "fat").walk()}
    time.sleep(2.1)  # creation times have steps of 2 s in mtools
    late = tmp_path / "late"
    late.write_bytes(b"L" * 2048)
    subprocess.run(["mcopy", "-i", str(image), str(late), "::LATE.BIN"], check=True, capture_output=True)
    fs = open_tsk(FileSource(image), Budget(), "fat")
    start = fs.get("LATE.BIN").open().runs[0][0]
    subprocess.run(["mdel", "-i", str(image), "::LATE.BIN"], check=True, capture_output=True)
    fs = open_tsk(FileSource(image), Budget(), "fat")
    lost = {e.name: e for e in fs.walk() if e.state == "deleted"}
    assert lost["_ATE.BIN"].verdict == "intact"
    assert content(lost["_ATE.BIN"]) == b"L" * 2048
    sharing = [e for e in lost.values() if e.id in before and any(s <= start < s + n for s, n in e.open().runs)]
    assert [e.verdict for e in sharing] in ([], ["overwritten"], ["partly overwritten"])


@pytest.mark.parametrize("room", FORMATS, ids=[r.name for r in FORMATS])
def test_probes_refuse_what_is_not_theirs(room: object) -> None:
    for data in (b"", bytes(512), bytes(1 << 20), b"\xff" * (1 << 20), bytes(510) + b"\x55\xaa" + bytes(1 << 16)):
        assert not room.probe(MemorySource(data))
        with pytest.raises(NotThisFormat):
            room.open(MemorySource(data), Budget())


@pytest.mark.drivers
def test_a_probe_knows_its_own_and_no_other(images: dict[str, Path]) -> None:
    for name, (kind, _maker) in MAKERS.items():
        source = FileSource(image_of(images, name))
        assert [r.name for r in FORMATS if r.probe(source)] == [f"tsk.{kind}"]


@pytest.mark.corpus
def test_apfs_is_refused_by_name(corpus: Path) -> None:
    room = next(r for r in FORMATS if r.name == "tsk.apfs")
    source = FileSource(corpus / "dfvfs/apfs.raw")
    assert room.probe(source)
    with pytest.raises(Unsupported):
        room.open(source, Budget())


@pytest.mark.drivers
def test_slack_is_what_lies_behind_the_content(images: dict[str, Path]) -> None:
    need("mkfs.vfat")
    fs, _ = opened(images, "fat16")
    for entry, tail in fs.slack():
        stream = entry.open()
        assert tail.size == stream.allocated - stream.size
        assert tail.trace(0, 1)[0].start == stream.trace(stream.size - 1, 1)[0].end
