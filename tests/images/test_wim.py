"""WIM: what wimlib-imagex captured, and what it says of it."""

from __future__ import annotations

import datetime
import hashlib
import re
import struct
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unreadable, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.images.wim.wim import open_wim
from forensiclib.testing.contracts import FileSystemContract, SourceContract
from tests.images.wims import FILES, captured, detailed, ntfs, wimlib

KINDS = {"none": (), "xpress": (), "lzx": (), "lzx:64K": ("--chunk-size=64K",), "xpress:4K": ("--chunk-size=4K",)}


def opened(path: Path, *more: Path):
    budget = Budget()
    return open_wim([str(path), *map(str, more)], budget), budget


def packed(folder: Path, kind: str) -> Path:
    return captured(folder, f"--compress={kind.partition(':')[0]}", "--unix-data", *KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_contents_and_what_wimlib_says_of_them(kind: str, tmp_path: Path) -> None:
    path = packed(tmp_path, kind)
    said = detailed(path)
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        assert image.format == "wim" and image.facts["compression"] == kind.partition(":")[0]
        assert image.facts["image 1 name"] == "The image" and image.facts["image 1 description"] == "What it is"
        (volume,) = image.volumes()
        system = volume.filesystem()
        for name, data in FILES.items():
            entry = system.get(f"1/{name}")
            assert entry.open().read_at(0, len(data) + 1) == data and entry.size == len(data), name
            if data:
                assert "0x" + entry.attributes["sha1"] == said[name]["Hash"] == "0x" + hashlib.sha1(data).hexdigest()
        walked = {e.path.partition("/")[2]: e for e in system.walk()}
        assert set(walked) == set(said)
        for name, entry in walked.items():
            if not name:
                continue
            assert entry.attributes["flags"] == int(said[name]["Attributes"], 16) and entry.links == int(said[name]["Link Count"])
            unix = re.match(r"uid:(\d+) gid:(\d+) mode:0(\d+)", said[name]["UNIX Data"])
            assert [entry.attributes[k] for k in ("uid", "gid")] == [int(unix[1]), int(unix[2])]
            assert entry.attributes["mode"] == int(unix[3], 8)
            for key, label in (("born", "Creation"), ("modified", "Last Write"), ("accessed", "Last Access")):
                theirs = datetime.datetime.strptime(said[name][f"{label} Time"], "%a %b %d %H:%M:%S %Y UTC").replace(tzinfo=datetime.UTC)
                assert entry.times[key].ns // 10**9 == theirs.timestamp()
        assert walked["hard.txt"].id == walked["a.txt"].id and walked["dir/link"].kind == "link"
        assert walked["dir/link"].link_target == "..\\a.txt"
        assert image.verify().bad == () and run.findings == []
        theirs = sum(len(d) for d in FILES.values())
        assert image.size > theirs  # the metadata and the link's data are contents too


class TestLzx(SourceContract):
    @pytest.fixture(autouse=True)
    def _made(self, tmp_path: Path) -> None:
        self.path = packed(tmp_path, "lzx")

    def make(self):
        return opened(self.path)[0].tree.get("1/dir/big.bin").open(), FILES["dir/big.bin"]


class TestMedia(SourceContract):
    """Every content lies in the media once, and traces to the file."""

    @pytest.fixture(autouse=True)
    def _made(self, tmp_path: Path) -> None:
        self.path = packed(tmp_path, "none")

    def make(self):
        image = opened(self.path)[0]
        raw = self.path.read_bytes()
        spans = image.trace(0, image.size)
        return image, b"".join(raw[s.start : s.end] for s in spans)

    def root(self):
        return {self.path.name: self.path.read_bytes()}


class TestFiles(FileSystemContract):
    @pytest.fixture(autouse=True)
    def _made(self, tmp_path: Path) -> None:
        self.path = packed(tmp_path, "xpress")

    def make(self):
        return opened(self.path)[0].tree

    def files(self):
        return {f"1/{name}": data for name, data in FILES.items()}


def test_traces_name_the_packed_chunk(tmp_path: Path) -> None:
    path = packed(tmp_path, "xpress")
    raw, (image, _) = path.read_bytes(), opened(path)
    (span,) = image.tree.get("1/dir/big.bin").open().trace(40_000, 10)
    assert span.via == ("xpress",) and not span.exact and span.length < 32768 and span.end <= len(raw)
    (span,) = image.tree.get("1/dir/sub/noise.bin").open().trace(40_000, 10)
    assert span.exact and raw[span.start : span.end] == FILES["dir/sub/noise.bin"][40_000:40_010]


def test_alternate_streams_of_ntfs(tmp_path: Path) -> None:
    path = ntfs(tmp_path)
    image, budget = opened(path)
    entry = image.tree.get("1/file.txt")
    assert {s.name: s.read_at(0, 5000) for s in entry.streams()} == {
        "": b"the content\n",
        "hidden": b"what nobody looks for\n" * 100,
    }
    assert entry.streams()[1].kind == "alternate" and isinstance(entry.attributes["security_id"], int) and budget.findings == []
    rows = [r for r in image.tree.table().rows() if r["path"] == "1/file.txt"]
    assert [r["stream"] for r in rows] == ["", "hidden"]


def test_several_images_and_what_a_deleted_one_leaves(tmp_path: Path) -> None:
    path = captured(tmp_path)
    (tmp_path / "tree" / "second.txt").write_bytes(b"only in the second\n")
    wimlib("append", tmp_path / "tree", path, "Another")
    image, _ = opened(path)
    assert image.facts["images"] == "2" and image.tree.get("2/second.txt").open().read_at(0, 99) == b"only in the second\n"
    assert image.tree.get("1").attributes["image"] == "The image" and image.tree.get("1/a.txt").id != image.tree.get("2/a.txt").id
    assert {e.path for e in image.tree.walk() if e.path.startswith("1/")} == {f"1/{p}" for p in detailed(path, 1) if p}
    # A content that no entry names any more: its name is its SHA-1.
    raw = bytearray(path.read_bytes())
    at = raw.index(hashlib.sha1(b"only in the second\n").digest(), struct.unpack_from("<Q", raw, 56)[0])
    wanted = hashlib.sha1(b"only in the second\n").hexdigest()
    place = struct.unpack_from("<QQQ", raw, at - 30)
    new = b"one that is not there"[:19]
    raw[at : at + 20] = hashlib.sha1(new).digest()
    raw[place[1] : place[1] + 19] = new
    path.write_bytes(raw)
    image, _ = opened(path)
    lost = [e for e in image.tree.walk() if e.state == "orphan"]
    assert [e.open().read_at(0, 99) for e in lost] == [new] and lost[0].name == hashlib.sha1(new).hexdigest()
    with pytest.raises(Unreadable, match=wanted):
        image.tree.get("2/second.txt").open()
    assert image.tree.entry(lost[0].id) == lost[0]


def test_a_split_set(tmp_path: Path) -> None:
    whole = captured(tmp_path)
    wimlib("split", whole, tmp_path / "part.swm", "0.05")
    parts = sorted(tmp_path.glob("part*.swm"))
    assert len(parts) > 1
    image, budget = opened(tmp_path / "part.swm")
    assert len(image.parts) == len(parts) and budget.findings == []
    for name, data in FILES.items():
        assert image.tree.get(f"1/{name}").open().read_at(0, len(data) + 1) == data
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in parts[1:]:
        path.rename(moved / path.name)
    image, budget = opened(tmp_path / "part.swm", *sorted(moved.iterdir()))
    assert image.tree.get("1/dir/big.bin").open().read_at(0, 10) == FILES["dir/big.bin"][:10] and budget.findings == []
    image, budget = opened(tmp_path / "part.swm")
    assert [f.kind for f in budget.findings] == ["Truncated"] and "parts are missing" in budget.findings[0].found
    failed = 0
    for name, data in FILES.items():
        try:
            assert image.tree.get(f"1/{name}").open().read_at(0, len(data) + 1) == data
        except (Truncated, Unreadable):
            failed += 1
    assert failed


def test_what_is_not_read_is_refused(tmp_path: Path) -> None:
    path = captured(tmp_path, "--solid")
    with pytest.raises(Unsupported, match="LZMS"):
        fl.open_image(path)
    path.write_bytes(b"MSWIN\0\0\0" + bytes(300))
    with pytest.raises(NotThisFormat):
        opened(path)


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    path = packed(tmp_path, "none")
    raw = bytearray(path.read_bytes())
    raw[raw.index(FILES["dir/sub/noise.bin"]) + 500] ^= 1
    path.write_bytes(raw)
    image, _ = opened(path)
    stream = image.tree.get("1/dir/sub/noise.bin").open()
    for _ in range(2):
        with pytest.raises(Corrupt, match="its SHA-1 is"):
            stream.read_at(0, stream.size)
    stream = image.tree.get("1/dir/sub/noise.bin").open()
    assert stream.read_at(90_000, 100) == FILES["dir/sub/noise.bin"][90_000:90_100]
    with pytest.raises(Corrupt, match="its SHA-1 is"):
        stream.read_at(stream.size - 1, 1)
    run = fl.Run()
    with fl.open_image(path, run=run) as whole:
        assert whole.verify().ok is False
    (tmp_path / "second").mkdir()
    lzx = packed(tmp_path / "second", "lzx")
    raw = bytearray(lzx.read_bytes())
    span = opened(lzx)[0].tree.get("1/dir/big.bin").open().trace(33_000, 1)[0]
    raw[span.start + 60] ^= 0x20
    lzx.write_bytes(raw)
    stream = opened(lzx)[0].tree.get("1/dir/big.bin").open()
    with pytest.raises(Corrupt):
        stream.read_at(0, stream.size)


def test_headers_that_lie(tmp_path: Path) -> None:
    path = packed(tmp_path, "none")
    good = path.read_bytes()

    def changed(at: int, data: bytes) -> Path:
        path.write_bytes(good[:at] + data + good[at + len(data) :])
        return path

    with pytest.raises(EvidenceError):
        opened(changed(64, struct.pack("<Q", 1 << 50)))  # the table, unpacked
    with pytest.raises(Truncated):
        opened(changed(56, struct.pack("<Q", 1 << 50)))  # its offset
    image, budget = opened(changed(80, struct.pack("<Q", 1 << 50)))  # the XML
    assert [f.what for f in budget.findings] == ["WIM XML data"] and image.tree.get("1/a.txt")
    image, budget = opened(changed(44, struct.pack("<I", 9)))
    assert "9 images in the header, 1" in budget.findings[0].found
    # A directory that lists the root's own entries again.
    tree = opened(changed(0, b""))[0].tree
    at = good.index(b"d\0i\0r\0\0\0") - 102
    mask = (1 << 40) - 1
    image, budget = opened(changed(at + 16, struct.pack("<Q", tree.get("1/a.txt").id & mask)))
    assert [f.kind for f in budget.findings] == ["Corrupt", "Corrupt"] and "was read before" in budget.findings[1].found
    assert "SHA-1 does not match" in budget.findings[0].found and {e.path for e in image.tree.walk()} >= {"1/a.txt", "1/dir", "1/empty"}
    image, budget = opened(changed(at + 98, struct.pack("<HH", 60_000, 6)))
    assert "names of the entry" in budget.findings[1].found and image.tree.get("1/a.txt")
