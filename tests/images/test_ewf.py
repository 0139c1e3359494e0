"""EWF against libewf (its tools and its Python binding), published naming, and the media that went in."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from forensiclib.core.entry import Image
from forensiclib.core.errors import LimitExceeded, NotThisFormat, Unsupported
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.images.ewf.chunks import EwfSource
from forensiclib.images.ewf.ewf import FORMAT
from forensiclib.images.ewf.segments import extension
from forensiclib.testing.contracts import SourceContract
from tests.images.sets import SAMPLES, build_set, make_media, noise, section, summed, table, volume

FORMATS = (
    "encase1",
    "encase2",
    "encase3",
    "encase4",
    "encase5",
    "encase6",
    "encase7",
    "linen5",
    "linen6",
    "linen7",
    "ftk",
    "smart",
    "ewf",
    "ewfx",
)


def opened(*paths: Path) -> tuple[Image, Budget]:
    budget = Budget()
    return FORMAT.open([str(p) for p in paths], budget), budget


def whole(*paths: Path) -> Image:
    image, budget = opened(*paths)
    assert not budget.findings
    return image


def libewf(*paths: Path) -> bytes:
    """The media as libewf reads it."""
    pyewf = pytest.importorskip("pyewf", reason="libewf-python is not installed")
    handle = pyewf.handle()
    handle.open([str(p) for p in paths])
    try:
        return handle.read(handle.get_media_size())
    finally:
        handle.close()


class _Contract(SourceContract):
    name = ""

    def make(self) -> tuple[ByteSource, bytes]:
        return whole(SAMPLES / self.name), make_media()

    def root(self) -> dict[str, bytes] | None:
        return {self.name: make_media()}


class TestEncase6(_Contract):
    name = "encase6.E01"


class TestEncase1(_Contract):
    name = "encase1.E01"


class TestSmart(_Contract):
    name = "smart.s01"


class TestEwfx(_Contract):
    name = "ewfx.E01"


class TestManySegments(SourceContract):
    def make(self) -> tuple[ByteSource, bytes]:
        return self.image, self.content

    @pytest.fixture(autouse=True)
    def _set(self, tmp_path: Path) -> None:
        self.content = make_media()
        self.image = whole(build_set(tmp_path, self.content, [".E01", ".E02", ".E03", ".E04"])[0])


@pytest.mark.parametrize("name", ["encase1.E01", "encase6.E01", "ewfx.E01", "smart.s01"])
def test_what_ewfacquire_was_told_is_in_the_facts(name: str, media: bytes) -> None:
    image = whole(SAMPLES / name)
    facts = image.facts
    assert (facts["case_number"], facts["evidence_number"], facts["examiner_name"]) == ("case", "ev1", "J. Doe")
    assert (facts["unique_description"], facts["notes"]) == ("a disk", "n")
    assert (facts["sectors_per_chunk"], facts["bytes_per_sector"], facts["sectors_count"]) == ("16", "512", "121")
    assert image.hashes["md5"] == hashlib.md5(media).hexdigest()
    if name in ("encase6.E01", "ewfx.E01"):
        assert image.hashes["sha1"] == hashlib.sha1(media).hexdigest()
    assert image.parts == ((name, (SAMPLES / name).stat().st_size),)
    assert image.sector_size == 512


def test_the_facts_are_those_of_ewfinfo(ewfinfo: Callable[[Path], dict[str, str]]) -> None:
    for name in ("encase1.E01", "encase6.E01", "smart.s01"):
        said, facts = ewfinfo(SAMPLES / name), whole(SAMPLES / name).facts
        assert said["Case number"] == facts["case_number"]
        assert said["Description"] == facts["unique_description"]
        assert said["Examiner name"] == facts["examiner_name"]
        assert said["Number of sectors"] == facts["sectors_count"]
        assert said["Sectors per chunk"] == facts["sectors_per_chunk"]
        assert said.get("Software version used") == facts.get("version")


@pytest.mark.drivers
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("level", ["none", "empty-block", "fast", "best"])
def test_every_format_and_level_of_ewfacquire(format: str, level: str, media: bytes, acquire: Callable[..., Path]) -> None:
    first = acquire(media, "-f", format, "-c", level, "-d", "sha1")
    image = whole(first)
    assert image.read_at(0, image.size) == media
    assert image.hashes["md5"] == hashlib.md5(media).hexdigest()


@pytest.mark.drivers
@pytest.mark.parametrize("sectors", [16, 128, 1024, 32768])
def test_every_chunk_size(sectors: int, acquire: Callable[..., Path]) -> None:
    content = (make_media() * 40)[: 512 * 4001]
    image = whole(acquire(content, "-f", "encase6", "-c", "fast", "-b", str(sectors)))
    assert image.read_at(0, image.size) == content


@pytest.mark.drivers
@pytest.mark.parametrize("format", ["encase6", "smart"])
def test_a_real_set_goes_on_behind_segment_99(format: str, acquire: Callable[..., Path]) -> None:
    content = random.Random(5).randbytes(112 << 20)
    first = acquire(content, "-f", format, "-c", "none", "-S", str(1 << 20))
    try:
        image = whole(first)
        assert len(image.parts) > 104
        assert image.parts[99][0].lower().endswith((".eaa", ".saa"))
        digest = hashlib.md5()
        for at in range(0, image.size, 1 << 20):
            digest.update(image.read_at(at, 1 << 20))
        assert digest.hexdigest() == image.hashes["md5"] == hashlib.md5(content).hexdigest()
    finally:
        shutil.rmtree(first.parent)


def test_extensions_are_those_of_the_specification() -> None:
    names = {1: ".E01", 9: ".E09", 99: ".E99", 100: ".EAA", 101: ".EAB", 125: ".EAZ", 126: ".EBA", 775: ".EZZ", 776: ".FAA", 14971: ".ZZZ"}
    assert {n: extension(".E01", n) for n in names} == names
    assert extension(".E01", 14972) == ""
    assert [extension(".s01", n) for n in (1, 99, 100, 775, 776)] == [".s01", ".s99", ".saa", ".szz", ".taa"]
    assert extension(".s01", 99 + 8 * 676) == ".zzz"
    assert extension(".s01", 100 + 8 * 676) == ""


@pytest.mark.parametrize("first", [".E01", ".e01", ".S01", ".s01"])
def test_a_set_laid_out_by_hand_goes_on_behind_segment_99(first: str, tmp_path: Path) -> None:
    content = noise(103 * 1024)
    paths = build_set(tmp_path, content, [extension(first, n) for n in range(1, 104)], chunk=1024)
    image = whole(paths[0])
    assert len(image.parts) == 103
    assert image.read_at(0, image.size) == content == libewf(*paths)


def test_segments_whose_names_lost_their_case_are_found(tmp_path: Path) -> None:
    content = make_media()
    build_set(tmp_path, content, [".E01", ".e02", ".E03"])
    image = whole(tmp_path / "set.E01")
    assert image.read_at(0, image.size) == content


def test_any_segment_opens_its_set_and_a_list_needs_no_order(tmp_path: Path) -> None:
    content = make_media()
    paths = build_set(tmp_path, content, [".E01", ".E02", ".E03"])
    assert whole(paths[2]).read_at(0, len(content)) == content
    assert whole(*reversed(paths)).read_at(0, len(content)) == content
    renamed = [path.rename(tmp_path / name) for path, name in zip(paths, ("x", "z", "y"))]
    assert whole(*renamed).read_at(0, len(content)) == content


def test_a_set_named_like_split_raw_is_not_raw(tmp_path: Path) -> None:
    content = make_media()
    paths = build_set(tmp_path, content, [".001", ".002"])
    assert whole(paths[0]).read_at(0, len(content)) == content


def test_open_files_are_bounded(tmp_path: Path) -> None:
    import resource

    content = noise(300 * 512)
    paths = build_set(tmp_path, content, [extension(".E01", n) for n in range(1, 301)], chunk=512)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 60  # of this process already
    resource.setrlimit(resource.RLIMIT_NOFILE, (held + 100, hard))
    try:
        image = whole(paths[0])
        assert image.read_at(0, image.size) == content
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name",
    [
        "ewf/multiseg_v1.E01",
        "dfvfs/ext2.E01",
        "dfvfs/ext2.split.E01",
        "plaso/image.E01",
        "plaso/image-split.E01",
        "sleuthkit/image.E01",
        "sleuthkit/imageformat_mmls_1.E01",
    ],
)
def test_the_corpus_reads_as_libewf_reads_it_and_matches_its_own_hashes(name: str, corpus: Path) -> None:
    pyewf = pytest.importorskip("pyewf", reason="libewf-python is not installed")
    image = whole(corpus / name)
    data = image.read_at(0, image.size)
    assert data == libewf(*map(Path, pyewf.glob(str(corpus / name))))
    assert image.hashes
    for algorithm, value in image.hashes.items():
        assert hashlib.new(algorithm, data).hexdigest() == value


@pytest.mark.corpus
def test_sleuthkit_facts(corpus: Path, ewfinfo: Callable[[Path], dict[str, str]]) -> None:
    path = corpus / "sleuthkit" / "imageformat_mmls_1.E01"
    said, image = ewfinfo(path), whole(path)
    assert said["MD5"] == image.hashes["md5"]
    assert said["SHA1"] == image.hashes["sha1"]
    assert said["Number of sectors"] == image.facts["sectors_count"]


def test_ad_encryption_is_named_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.E01"
    path.write_bytes(b"ADCRYPT\x00" + bytes(100))
    with pytest.raises(Unsupported, match="AD encryption"):
        opened(path)


@pytest.mark.parametrize("content", [b"", b"EVF", b"EVF\x09\x0d\x0a\xff\x01" + bytes(2000), bytes(4096), b"PK\x03\x04"])
def test_other_content_is_not_this_format(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.E01"
    path.write_bytes(content)
    with pytest.raises(NotThisFormat):
        opened(path)


def test_acquisition_errors_become_bad_sectors(tmp_path: Path, ewfinfo: Callable[[Path], dict[str, str]]) -> None:
    errors = [(3, 2), (100, 1)]
    body = summed(struct.pack("<I512x", 2)) + summed(b"".join(struct.pack("<II", *e) for e in errors))
    path = build_set(tmp_path, make_media(), [".E01"], tail=[("error2", body)])[0]
    image = whole(path)
    assert image.bad_sectors == tuple(Span("set.E01", start * 512, n * 512) for start, n in errors)
    said = ewfinfo(path)
    assert (said["total number"], said["at sector(s)"]) == ("2", "100 - 100 number: 1")


def test_acquisition_errors_past_the_media_are_a_finding(tmp_path: Path) -> None:
    body = summed(struct.pack("<I512x", 1)) + summed(struct.pack("<II", 120, 2))
    image, budget = opened(build_set(tmp_path, make_media(), [".E01"], tail=[("error2", body)])[0])
    assert image.bad_sectors == ()
    assert [f.what for f in budget.findings] == ["EWF error2 section"]


@pytest.mark.drivers
def test_sessions_of_an_optical_disc(acquire: Callable[..., Path], tmp_path: Path) -> None:
    toc = tmp_path / "toc.cue"
    toc.write_text('FILE "media.raw" BINARY\n  TRACK 01 MODE1/2048\n    INDEX 01 00:00:00\n')
    image = whole(acquire(make_media()[:61440], "-f", "encase6", "-m", "optical", "-P", "2048", "-T", str(toc)))
    assert image.facts["media_type"] == "optical"
    assert image.facts["session_1"].startswith("data from sector ")


def test_sessions_laid_out_by_hand(tmp_path: Path) -> None:
    entries = struct.pack("<II24x", 0, 16) + struct.pack("<II24x", 1, 60)
    body = summed(struct.pack("<I28x", 2)) + summed(entries)
    facts = whole(build_set(tmp_path, make_media(), [".E01"], tail=[("session", body)])[0]).facts
    assert (facts["session_1"], facts["session_2"]) == ("data from sector 16", "audio from sector 60")


def test_two_stored_hashes_that_differ_are_a_finding(tmp_path: Path) -> None:
    one, two = hashlib.md5(b"1").digest(), hashlib.md5(b"2").digest()
    tail = [("digest", summed(one + bytes(60))), ("hash", summed(two + bytes(16)))]
    image, budget = opened(build_set(tmp_path, make_media(), [".E01"], tail=tail)[0])
    assert len(budget.findings) == 1
    assert "md5" in budget.findings[0].found
    assert len(image.hashes) == 1


def _far(path: Path, content: bytes, base: int, entry_of: Callable[[int, int], int], gap: int) -> None:
    """A sparse segment whose chunks stand ``gap`` bytes into the sectors section, each 4096 + 4 bytes."""
    out = b"EVF\x09\x0d\x0a\xff\x00\x01\x01\x00\x00\x00"
    out += section("volume", len(out), volume(len(content), 4096))
    pieces = [content[i : i + 4096] for i in range(0, len(content), 4096)]
    start, body = len(out), b"".join(map(summed, pieces))
    end = start + 76 + gap + len(body)
    out += section("sectors", start, b"", follows=end, size=end - start)
    with path.open("wb") as file:
        file.write(out)
        file.seek(start + 76 + gap)
        file.write(body)
        entries = [entry_of(i, start + 76 + gap + i * 4100) for i in range(len(pieces))]
        rest = b""
        for kind in ("table", "table2"):
            rest += section(kind, end + len(rest), table(entries, base))
        file.write(rest + section("done", end + len(rest), b""))


def test_a_base_offset_reaches_past_2_gib(tmp_path: Path) -> None:
    content, base = noise(16384), 5 << 30
    _far(tmp_path / "a.E01", content, base, lambda i, at: at - base, base)
    image = whole(tmp_path / "a.E01")
    assert image.read_at(0, image.size) == content == libewf(tmp_path / "a.E01")
    assert image.size == len(content)


def test_encase_671_offsets_that_overflow_31_bits(tmp_path: Path) -> None:
    content = noise(16384)
    _far(tmp_path / "a.E01", content, 0, lambda i, at: at, (1 << 31) - 1293 - 2 * 4100)
    image = whole(tmp_path / "a.E01")
    assert image.read_at(0, image.size) == content == libewf(tmp_path / "a.E01")


def test_stored_names_the_bytes_of_the_segment_file(media: bytes) -> None:
    path = SAMPLES / "encase6.E01"
    source = whole(path).data
    assert isinstance(source, EwfSource)
    raw = path.read_bytes()
    for chunk in range(8):
        (span,) = source.stored(chunk * 8192, 8192)
        piece = raw[span.start : span.end]
        if span.exact:
            assert piece == media[chunk * 8192 : chunk * 8192 + 8192]
        else:
            assert span.via == ("deflate",)
            assert zlib.decompress(piece) == media[chunk * 8192 : chunk * 8192 + 8192]
    assert source.stored(len(media), 10) == ()


def test_header_bombs_are_bounded(tmp_path: Path) -> None:
    text = b"1\nmain\na\n" + b"A" * (64 << 20)
    path = build_set(tmp_path, make_media(), [".E01"], tail=[("header", zlib.compress(text, 9))])[0]
    _, budget = opened(path)
    assert [f.kind for f in budget.findings] == ["LimitExceeded"]


def test_a_chunk_size_above_the_limit_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="EWF chunk"):
        FORMAT.open([str(SAMPLES / "encase6.E01")], Budget(Limits(allocation=4096)))


def test_opening_reads_no_chunk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    content = noise(4 << 20)
    path = build_set(tmp_path, content, [".E01"], chunk=32768)[0]
    from forensiclib.images._files import PooledFile

    taken = []
    original = PooledFile.read_into
    monkeypatch.setattr(PooledFile, "read_into", lambda s, o, b: taken.append(len(b)) or original(s, o, b))
    whole(path)
    assert sum(taken) < 32768


def test_closing_gives_the_files_back(tmp_path: Path) -> None:
    image = whole(SAMPLES / "encase6.E01")
    image.close()
    from forensiclib.core.errors import Unreadable

    with pytest.raises(Unreadable):
        image.read_at(0, 10)
