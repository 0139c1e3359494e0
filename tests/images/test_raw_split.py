"""Raw and split raw: the files' own bytes, in the order of their numbers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from forensiclib.core.errors import NotThisFormat, Truncated, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.images import raw, split
from forensiclib.testing.contracts import SourceContract
from tests.images.sets import SAMPLES, build_set, make_media, noise


def cut(folder: Path, content: bytes, suffixes: list[str], size: int = 9000, stem: str = "disk.") -> list[Path]:
    """The content in files of ``size`` bytes with those suffixes."""
    out = []
    for i, suffix in enumerate(suffixes):
        path = folder / f"{stem}{suffix}"
        path.write_bytes(content[i * size : (i + 1) * size] if i + 1 < len(suffixes) else content[i * size :])
        out.append(path)
    return out


class TestRaw(SourceContract):
    def make(self) -> tuple[ByteSource, bytes]:
        return raw.FORMAT.open([str(self.path)], Budget()), make_media()

    def root(self) -> dict[str, bytes] | None:
        return {"disk.dd": make_media()}

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "disk.dd"
        self.path.write_bytes(make_media())


class TestSplit(SourceContract):
    def make(self) -> tuple[ByteSource, bytes]:
        return split.FORMAT.open([str(self.paths[0])], Budget()), make_media()

    def root(self) -> dict[str, bytes] | None:
        return {"disk.001": make_media()}

    @pytest.fixture(autouse=True)
    def _files(self, tmp_path: Path) -> None:
        self.paths = cut(tmp_path, make_media(), [f"{i:03d}" for i in range(1, 8)])


@pytest.mark.parametrize(
    "suffixes",
    [
        ["001", "002", "003"],
        ["000", "001", "002"],
        ["00", "01", "02"],
        ["017", "018", "019"],
        ["998", "999", "1000", "1001"],
        ["aa", "ab", "ac"],
        ["AA", "AB", "AC"],
        ["aaa", "aab", "aac"],
        [f"{a}{b}" for a in "ab" for b in "abcdefghijklmnopqrstuvwxyz"],
    ],
)
def test_any_segment_finds_the_whole_set(suffixes: list[str], tmp_path: Path) -> None:
    content = noise(len(suffixes) * 1000 - 100)
    paths = cut(tmp_path, content, suffixes, 1000)
    (tmp_path / "other.001").write_bytes(b"of another set")
    (tmp_path / "disk.txt").write_bytes(b"a note")
    for path in (paths[0], paths[-1]):
        budget = Budget()
        image = split.FORMAT.open([str(path)], budget)
        assert image.read_at(0, image.size) == content
        assert [name for name, _ in image.parts] == [p.name for p in paths]
        assert not budget.findings


@pytest.mark.drivers
@pytest.mark.parametrize("options", [["-d", "-a", "3"], ["-a", "2"], ["-a", "4"], ["-d", "-a", "3", "--numeric-suffixes=1"]])
def test_what_gnu_split_makes(options: list[str], tmp_path: Path) -> None:
    if shutil.which("split") is None:
        pytest.skip("split (coreutils) is not installed")
    content = noise(100_500)
    subprocess.run(["split", "-b", "2000", *options, "-", str(tmp_path / "disk.raw.")], input=content, check=True)
    first = min(tmp_path.iterdir())
    image = split.FORMAT.open([str(first)], Budget())
    assert len(image.parts) == 51
    assert image.read_at(0, image.size) == content


@pytest.mark.corpus
def test_the_corpus_set_is_the_disk_that_its_e01_twin_holds(corpus: Path) -> None:
    from forensiclib.images.ewf.ewf import FORMAT

    image = split.FORMAT.open([str(corpus / "dfvfs" / "ext2.splitraw.000")], Budget())
    assert len(image.parts) == 2
    twin = FORMAT.open([str(corpus / "dfvfs" / "ext2.split.E01")], Budget())
    assert image.size == twin.size == 4 << 20
    assert image.read_at(0x438, 2) == b"\x53\xef"  # the ext2 superblock's magic


def test_lists_and_globs(tmp_path: Path) -> None:
    content = noise(5000)
    paths = cut(tmp_path, content, ["001", "002", "003"], 2000)
    for given in ([str(p) for p in reversed(paths)], [str(tmp_path / "disk.*")], [str(tmp_path / "disk.00?")]):
        image = split.FORMAT.open(given, Budget())
        assert image.read_at(0, image.size) == content
    with pytest.raises(UsageError, match="no file matches"):
        split.FORMAT.open([str(tmp_path / "nothing.*")], Budget())


def test_unnumbered_files_keep_the_callers_order(tmp_path: Path) -> None:
    (tmp_path / "zebra").write_bytes(b"1" * 512)
    (tmp_path / "ant.bin").write_bytes(b"2" * 512)
    image = split.FORMAT.open([str(tmp_path / "zebra"), str(tmp_path / "ant.bin")], Budget())
    assert image.read_at(0, 1024) == b"1" * 512 + b"2" * 512


@pytest.mark.parametrize("suffixes", [["001", "002", "003", "004"], ["aa", "ab", "ac", "ad"]])
def test_a_gap_names_the_missing_segment(suffixes: list[str], tmp_path: Path) -> None:
    paths = cut(tmp_path, noise(8000), suffixes, 2000)
    gone = paths.pop(2)
    gone.unlink()
    for given in ([paths[0]], [paths[2]], paths):
        with pytest.raises(Truncated, match=f"segment {gone.name} is missing") as caught:
            split.FORMAT.open([str(p) for p in given], Budget())
        assert caught.value.span == Span(f"disk.{suffixes[1]}", 2000, 0)


@pytest.mark.parametrize(("which", "size"), [(1, 1999), (1, 2001), (3, 2001)])
def test_a_segment_of_another_size_is_a_finding(which: int, size: int, tmp_path: Path) -> None:
    paths = cut(tmp_path, noise(8000), ["001", "002", "003", "004"], 2000)
    paths[which].write_bytes(noise(size, 9))
    budget = Budget()
    split.FORMAT.open([str(paths[0])], budget)
    assert [(f.kind, f.span) for f in budget.findings] == [("Corrupt", Span(paths[which].name, 0, size))]


def test_ewf_content_is_never_raw(tmp_path: Path) -> None:
    alone = tmp_path / "a.001"
    shutil.copy(SAMPLES / "encase6.E01", alone)
    pair = build_set(tmp_path, make_media(), [".001", ".002"])
    for path in (alone, *pair):
        for room in (raw.FORMAT, split.FORMAT):
            with pytest.raises(NotThisFormat):
                room.open([str(path)], Budget())


@pytest.mark.parametrize("name", ["disk.dd", "disk.raw", "disk.E01", "disk", "report.2024", "disk.7"])
def test_a_lone_file_is_raw(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(noise(1024))
    (tmp_path / "disk.gz").write_bytes(b"a neighbour whose suffix is two letters")
    if name != "report.2024":
        with pytest.raises(NotThisFormat):
            split.FORMAT.open([str(path)], Budget())
    image = raw.FORMAT.open([str(path)], Budget())
    assert image.read_at(0, 2000) == noise(1024)


def test_a_lone_001_says_that_it_is_alone(tmp_path: Path) -> None:
    path = cut(tmp_path, noise(1000), ["001"])[0]
    budget = Budget()
    assert split.FORMAT.open([str(path)], budget).size == 1000
    assert [f.kind for f in budget.findings] == ["Note"]


def test_the_callers_mistakes(tmp_path: Path) -> None:
    for given in ([], [str(tmp_path / "absent.dd")], [str(tmp_path)]):
        with pytest.raises(UsageError):
            raw.FORMAT.open(given, Budget())
    with pytest.raises(NotThisFormat):
        split.FORMAT.open([str(tmp_path / "absent.001")], Budget())


def test_an_empty_file_is_an_empty_image_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "empty.dd"
    path.write_bytes(b"")
    budget = Budget()
    image = raw.FORMAT.open([str(path)], budget)
    assert (image.size, image.read_at(0, 10), [f.kind for f in budget.findings]) == (0, b"", ["Note"])


@pytest.mark.drivers
def test_a_block_device(tmp_path: Path) -> None:
    if shutil.which("losetup") is None:
        pytest.skip("losetup is not installed")
    path = tmp_path / "disk.raw"
    path.write_bytes(noise(1 << 20))
    made = subprocess.run(["losetup", "-r", "-f", "--show", str(path)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no loop device: {made.stderr.strip()}")
    device = made.stdout.strip()
    try:
        image = raw.FORMAT.open([device], Budget())
        assert image.size == 1 << 20
        assert image.read_at(0, image.size) == noise(1 << 20)
        image.close()
    finally:
        subprocess.run(["losetup", "-d", device], check=True)
