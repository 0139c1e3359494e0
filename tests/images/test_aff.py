"""AFF: images that affconvert wrote, taken apart and damaged; AFFLIB's own readers beside."""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, EvidenceError, Locked, NotThisFormat, Truncated, Unreadable
from forensiclib.core.limits import Budget
from forensiclib.images.aff.aff import FORMAT, open_aff
from forensiclib.testing.contracts import SourceContract
from tests.images.disks import content

PAGE = 65536
MEDIA = content(4, (1 << 20) + 5 * 512)
Segments = list[tuple[bytes, int, bytes]]


def affconvert(folder: Path, *options: str, media: bytes = MEDIA, passphrase: str = "", out: str = "m.aff") -> Path:
    """What affconvert makes of the media; the folder may hold one already."""
    if shutil.which("affconvert") is None:
        pytest.skip("affconvert (Debian: afflib-tools) is not installed")
    raw = folder / "m.raw"
    raw.write_bytes(media)
    env = {**os.environ, **({"AFFLIB_PASSPHRASE": passphrase} if passphrase else {})}
    subprocess.run(["affconvert", "-q", "-s64k", *options, "m.raw"], check=True, cwd=folder, env=env, capture_output=True, timeout=60)
    return folder / out


def taken_apart(raw: bytes) -> Segments:
    """(name, argument, data) of every segment."""
    out, at = [], 8
    while at < len(raw):
        _, name, length, argument = struct.unpack_from(">4sIII", raw, at)
        out.append((raw[at + 16 : at + 16 + name], argument, raw[at + 16 + name : at + 16 + name + length]))
        at += 24 + name + length
    return out


def put_together(segments: Segments) -> bytes:
    """A file of these segments."""
    out = b"AFF10\r\n\0"
    for name, argument, data in segments:
        out += struct.pack(">4sIII", b"AFF\0", len(name), len(data), argument) + name + data
        out += struct.pack(">4sI", b"ATT\0", 24 + len(name) + len(data))
    return out


def opened(path: Path, *more: Path):
    budget = Budget()
    return open_aff([str(path), *map(str, more)], budget), budget


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> bytes:
    """An image with compressed pages and pages of zeros."""
    return affconvert(tmp_path_factory.mktemp("aff")).read_bytes()


OPTIONS = {"zlib": (), "lzma": ("-L",), "stored": ("-x",), "fast": ("-X1",)}


@pytest.mark.parametrize("kind", OPTIONS)
def test_what_affconvert_wrote_is_read_as_affcat_reads_it(kind: str, tmp_path: Path) -> None:
    path = affconvert(tmp_path, *OPTIONS[kind])
    theirs = subprocess.run(["affcat", path], check=True, capture_output=True, timeout=60).stdout
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        assert image.format == "aff" and image.read_at(0, image.size) == theirs == MEDIA
        result = image.verify()
        assert result.ok and result.stored == {"md5": hashlib.md5(MEDIA).hexdigest(), "sha1": hashlib.sha1(MEDIA).hexdigest()}
        assert image.facts["pagesize"] == str(PAGE) and image.facts["imagesize"] == str(len(MEDIA))
        assert image.facts["acquisition_commandline"].startswith("affconvert -q -s64k")
        assert image.sector_size == 512
    assert run.findings == []


def test_flags_of_affconvert(sample: bytes) -> None:
    """The sample has the three kinds of pages that the tests speak of."""
    kinds = {argument & 0xF1 for name, argument, _ in taken_apart(sample) if name.startswith(b"page") and name != b"pagesize"}
    assert kinds >= {0x01, 0x31}


class TestAff(SourceContract):
    @pytest.fixture(autouse=True)
    def _made(self, tmp_path: Path) -> None:
        self.path = affconvert(tmp_path, "-x")

    def make(self):
        return opened(self.path)[0], MEDIA

    def root(self):
        return {self.path.name: self.path.read_bytes()}


def test_traces_name_the_stored_page(sample: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.aff"
    path.write_bytes(sample)
    image, _ = opened(path)
    seen = set()
    for number in range(-(-len(MEDIA) // PAGE)):
        name, argument, data = next(s for s in taken_apart(sample) if s[0] == b"page%d" % number)
        (span,) = image.trace(number * PAGE + 7, 100)
        seen.add(span.via)
        if argument & 0xF0 == 0x30:
            assert span.root == "" and span.via == ("zero",)
        elif not argument & 1:
            assert sample[span.start : span.end] == data[7:107] and span.exact
        else:
            assert sample[span.start : span.end] == data and span.via == ("deflate",) and not span.exact, name
    assert seen == {("zero",), ("deflate",), ()}


def test_an_afd_is_its_folder(tmp_path: Path) -> None:
    affconvert(tmp_path, "-x", "-M300k", "-omany.afd")
    folder = tmp_path / "many.afd"
    assert len(list(folder.iterdir())) > 2
    for evidence in (folder, folder / "file_001.aff", sorted(folder.iterdir())):
        run = fl.Run()
        with fl.open_image(evidence, run=run) as image:
            assert image.read_at(0, image.size) == MEDIA and image.verify().ok and run.findings == []
            assert len(image.parts) == len(list(folder.iterdir()))
            assert {s.root for s in image.trace(0, image.size)} >= {"file_000.aff", "file_001.aff"}
    (folder / "file_001.aff").unlink()
    image, budget = opened(folder / "file_000.aff")
    assert [f.kind for f in budget.findings][:2] == ["Truncated", "Unreadable"] and "file_001.aff is missing" in budget.findings[0].found
    lost = image.bad_sectors[0]
    with pytest.raises(Unreadable, match="never stored"):
        image.read_at(lost.start, 1)
    assert image.read_at(0, lost.start) == MEDIA[: lost.start]


def test_an_afm_is_its_raw_file(tmp_path: Path) -> None:
    path = affconvert(tmp_path, "-aafm", out="m.afm")
    image, budget = opened(path)
    assert image.read_at(0, image.size) == MEDIA and budget.findings == []
    assert image.trace(5, 10)[0].root == "m.000" and image.hashes["md5"] == hashlib.md5(MEDIA).hexdigest()
    (tmp_path / "m.000").write_bytes(MEDIA[: 10 * PAGE])
    image, budget = opened(path)
    assert [f.kind for f in budget.findings] == ["Unreadable"] and image.size == len(MEDIA)
    assert image.read_at(9 * PAGE, PAGE) == MEDIA[9 * PAGE : 10 * PAGE]
    with pytest.raises(Unreadable):
        image.read_at(10 * PAGE, 1)
    # In several files, as pages_per_raw_image_file says.
    parts = taken_apart(path.read_bytes())
    path.write_bytes(put_together([(n, a, struct.pack(">II", 4, 0) if n == b"pages_per_raw_image_file" else d) for n, a, d in parts]))
    for number, at in enumerate(range(0, len(MEDIA), 4 * PAGE)):
        (tmp_path / f"m.{number:03}").write_bytes(MEDIA[at : at + 4 * PAGE])
    image, budget = opened(path)
    assert image.read_at(0, image.size) == MEDIA and budget.findings == [] and len(image.parts) == 6
    for number in range(5):
        (tmp_path / f"m.{number:03}").unlink()
    with pytest.raises(Truncated, match=r"m\.000"):
        opened(path)


def test_encrypted_images_say_what_would_open_them(tmp_path: Path) -> None:
    path = affconvert(tmp_path, "-oe.aff", passphrase="secret", out="e.aff")
    with pytest.raises(Locked, match="passphrase would open it"):
        fl.open_image(path)


def test_a_page_that_is_missing_is_never_zeros(sample: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.aff"
    path.write_bytes(put_together([s for s in taken_apart(sample) if s[0] != b"page3"]))
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        assert [(s.start, s.length) for s in image.bad_sectors] == [(3 * PAGE, PAGE)]
        with pytest.raises(Unreadable, match="page 3"):
            image.read_at(3 * PAGE, 16)
        assert image.read_at(2 * PAGE, PAGE) == MEDIA[2 * PAGE : 3 * PAGE]
        assert [f.kind for f in run.findings] == ["Unreadable"] and "65536 bytes in 1 ranges" in run.findings[0].found
        result = image.verify()
        assert result.ok is False and {(s.start, s.length, s.via) for s in result.bad} == {(3 * PAGE, PAGE, ("missing",))}


def test_sectors_with_the_mark_of_the_acquisition_cannot_be_read(sample: bytes, tmp_path: Path) -> None:
    """Laid out as aimage does: the badflag in place of the sector."""
    parts = taken_apart(sample)
    flag = next(d for n, _, d in parts if n == b"badflag")
    assert flag.startswith(b"BAD SECTOR\0") and len(flag) == 512
    page = bytearray(MEDIA[5 * PAGE : 6 * PAGE])
    page[1024:2048] = flag * 2
    page[5000 : 5000 + 512] = flag  # not on a sector: content
    path = tmp_path / "a.aff"
    changed = [(n, a, struct.pack(">II", 2, 0)) if n == b"badsectors" else (n, a, d) for n, a, d in parts]
    path.write_bytes(put_together([(n, 0, bytes(page)) if n == b"page5" else (n, a, d) for n, a, d in changed]))
    image, budget = opened(path)
    assert [f.found for f in budget.findings] == ["2 sectors are said to carry the mark of those that could not be read"]
    at = 5 * PAGE
    assert image.read_at(at, 1024) == page[:1024] and image.read_at(at + 2048, 10_000) == page[2048:12048]
    for offset, n in ((at + 1023, 2), (at + 1024, 1), (at + 2047, 1), (at, PAGE)):
        with pytest.raises(Unreadable, match=r"sector 64[23] carries the bad-sector mark"):
            image.read_at(offset, n)
    run = fl.Run()
    with fl.open_image(path, run=run) as whole:
        volume = whole.volumes()[0]
        got = volume.read_at(at, PAGE)
        assert got == bytes(page[:1024]) + bytes(1024) + bytes(page[2048:])
        assert sum("carries the bad-sector mark" in f.found for f in run.findings) == 2 and whole.verify().ok is False


def test_page_digests_are_checked(sample: bytes, tmp_path: Path) -> None:
    parts = taken_apart(sample)
    body = MEDIA[3 * PAGE : 4 * PAGE]
    for name, good in (("md5", hashlib.md5(body)), ("sha1", hashlib.sha1(body)), ("sha256", hashlib.sha256(body))):
        path = tmp_path / f"{name}.aff"
        path.write_bytes(put_together([*parts, (b"page3_" + name.encode(), 0, good.digest())]))
        image, budget = opened(path)
        assert image.read_at(0, image.size) == MEDIA and budget.findings == []
        path.write_bytes(put_together([*parts, (b"page3_" + name.encode(), 0, bytes(good.digest_size))]))
        image, _ = opened(path)
        with pytest.raises(Corrupt, match=f"its {name} does not match"):
            image.read_at(3 * PAGE, 1)


def test_damage_costs_what_it_hits(sample: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.aff"
    parts = taken_apart(sample)
    cut = next(i for i, p in enumerate(parts) if p[0] == b"page6")
    path.write_bytes(put_together(parts[:cut]) + b"\1garbage" * 5 + put_together(parts[cut:])[8:])
    image, budget = opened(path)
    assert image.read_at(0, image.size) == MEDIA
    assert [(f.kind, f.span.length) for f in budget.findings] == [("Corrupt", 40)]
    raw = bytearray(sample)
    at = raw.index(b"page6") - 16
    raw[at + 11] ^= 1  # the length of its data
    path.write_bytes(raw)
    image, budget = opened(path)
    assert [f.kind for f in budget.findings] == ["Corrupt", "Unreadable"] and "'page6'" in budget.findings[0].found
    with pytest.raises(Unreadable):
        image.read_at(6 * PAGE, 1)
    assert image.read_at(7 * PAGE, PAGE) == MEDIA[7 * PAGE : 8 * PAGE]
    path.write_bytes(sample[:-30])
    image, budget = opened(path)
    assert [f.kind for f in budget.findings] == ["Truncated"]


def test_of_two_segments_of_a_name_the_first_counts(sample: bytes, tmp_path: Path) -> None:
    """As affcat does; the second is told."""
    parts = taken_apart(sample)
    path = tmp_path / "a.aff"
    path.write_bytes(put_together([*parts, (b"page3", 0, b"x" * PAGE)]))
    theirs = subprocess.run(["affcat", "-p", "3", path], capture_output=True, timeout=60).stdout
    image, budget = opened(path)
    assert image.read_at(3 * PAGE, PAGE) == MEDIA[3 * PAGE : 4 * PAGE] == theirs[:PAGE]
    assert [f.kind for f in budget.findings] == ["Corrupt"] and "there twice" in budget.findings[0].found


def test_headers_that_lie(sample: bytes, tmp_path: Path) -> None:
    parts = taken_apart(sample)
    path = tmp_path / "a.aff"

    def with_(name: bytes, argument: int, data: bytes) -> Segments:
        return [(name, argument, data) if n == name else (n, a, d) for n, a, d in parts]

    for bad in (with_(b"pagesize", 0, b""), with_(b"pagesize", 1 << 30, b""), [p for p in parts if p[0] != b"pagesize"]):
        path.write_bytes(put_together(bad))
        with pytest.raises(Corrupt, match="page size"):
            opened(path)
    path.write_bytes(put_together(with_(b"imagesize", 2, struct.pack(">II", 0, 1 << 24))))
    image, budget = opened(path)  # 64 PiB: not walked through
    assert image.size == 1 << 56 and [f.kind for f in budget.findings] == ["Unreadable"]
    with pytest.raises(Unreadable):
        image.read_at(1 << 40, 10)
    path.write_bytes(put_together([p for p in parts if p[0] != b"imagesize"]))
    assert opened(path)[0].size == len(MEDIA)
    path.write_bytes(put_together(with_(b"badflag", 0, bytes(512))))
    image, budget = opened(path)
    assert image.read_at(0, image.size) == MEDIA and "bad-sector mark" in budget.findings[0].what
    path.write_bytes(b"AFF20\r\n\0")
    with pytest.raises(NotThisFormat):
        opened(path)
    path.write_bytes(put_together(with_(b"page0", 0x11, b"BZh")))
    with pytest.raises(EvidenceError, match="compression 0x10"):
        opened(path)[0].read_at(0, 1)
    assert FORMAT.gaps
