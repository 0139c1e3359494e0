"""Raw images in archives: zip, gzip and 7z made the archives."""

from __future__ import annotations

import gzip as stdlib_gzip
import shutil
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, LimitExceeded, Locked, NotThisFormat, Truncated, Unsupported, UsageError
from forensiclib.core.limits import Budget
from forensiclib.images.packed import deflated
from forensiclib.images.packed.deflated import CHUNK, DeflateSource
from forensiclib.images.packed.gzip import open_gzip
from forensiclib.images.packed.zip import open_zip
from forensiclib.testing.contracts import SourceContract
from tests.images.disks import content
from tests.images.sets import noise

MEDIA = content(8, 5 << 20) + b"the last bytes, not a whole sector"


def opened(room, path: Path, *more: Path):
    budget = Budget()
    return room([str(path), *map(str, more)], budget), budget


def zipped(folder: Path, *options: str, name: str = "disk.dd", data: bytes = MEDIA) -> Path:
    """What Info-ZIP makes."""
    if shutil.which("zip") is None:
        pytest.skip("zip (Debian: zip) is not installed")
    (folder / name).write_bytes(data)
    out = folder / "case.zip"
    subprocess.run(["zip", "-q", *options, out, name], check=True, cwd=folder, capture_output=True, timeout=60)
    (folder / name).unlink()
    return out


@pytest.mark.parametrize("options", [("-0",), ("-1",), ("-9",), ("-fz", "-6")], ids=" ".join)
def test_the_one_member_of_a_zip(options: tuple[str, ...], tmp_path: Path) -> None:
    path = zipped(tmp_path, *options)
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        assert image.format == "zip" and image.facts["member"] == "disk.dd"
        for at, n in ((len(MEDIA) - 10, 99), (0, 100), (3 * CHUNK - 5, 10), (CHUNK, 2 * CHUNK), (0, len(MEDIA) + 1)):
            assert image.read_at(at, n) == MEDIA[at : at + n]
        assert image.verify().ok and image.hashes == {"crc32": f"{zlib.crc32(MEDIA):08x}"} and run.findings == []
        raw = path.read_bytes()
        (span,) = image.trace(CHUNK + 5, 10)
        if options == ("-0",):
            assert span.exact and raw[span.start : span.end] == MEDIA[CHUNK + 5 : CHUNK + 15]
        else:
            assert span.via == ("deflate",) and 0 < span.length < len(raw)


class TestStored(SourceContract):
    options: tuple[str, ...] = ("-0",)

    @pytest.fixture(autouse=True)
    def _made(self, tmp_path: Path) -> None:
        self.path = zipped(tmp_path, *self.options)

    def make(self):
        return opened(open_zip, self.path)[0], MEDIA

    def root(self):
        return {"case.zip": self.path.read_bytes()}


class TestDeflated(TestStored):
    options = ("-6",)


def test_states_stay_few_and_every_place_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bound of 4 states, a stream of 20 chunks read backwards."""
    from forensiclib.core.source import MemorySource

    monkeypatch.setattr(deflated, "STATES", 4)
    data = noise(1 << 20, 1) + b"".join(b"row %d\n" % i for i in range(2_000_000))
    packed = zlib.compressobj(6, zlib.DEFLATED, -15)
    raw = packed.compress(data) + packed.flush()
    source = DeflateSource(MemorySource(raw), 0, len(raw), len(data), "x")
    spans = [source.trace(at, 1) for at in range(0, len(data), CHUNK)]
    assert len(source._states) <= 5
    for at in range(len(data) - 100, 0, -3 * CHUNK // 2):
        assert source.read_at(at, 100) == data[at : at + 100]
    source.thin(1)
    assert source.read_at(len(data) - 50, 99) == data[-50:] and source.read_at(5, 5) == data[5:10]
    assert [source.trace(at, 1) for at in range(0, len(data), CHUNK)] == spans
    assert sum(s[0].length for s in spans) == len(raw)


def test_split_archives(tmp_path: Path) -> None:
    path = zipped(tmp_path, "-0", "-s", "2m")
    assert len(list(tmp_path.glob("case.z*"))) == 3
    image, budget = opened(open_zip, path)
    assert image.read_at(0, image.size + 1) == MEDIA and budget.findings == [] and len(image.parts) == 3
    assert {s.root for s in image.trace(0, image.size)} == {"case.z01", "case.z02", "case.zip"}
    (tmp_path / "case.z02").unlink()
    with pytest.raises(Truncated, match=r"case\.z02 of 2"):
        fl.open_image(path)


def test_which_member(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes/acquisition.txt", "by hand")
    assert opened(open_zip, path)[0].facts["member"] == "disk.dd"
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("second/other.img", MEDIA[: 4 << 20])
    with pytest.raises(Unsupported, match=r"2 images.*other\.img"):
        fl.open_image(path)
    with fl.open_image(path, format="zip:other.img") as image:
        assert image.format == "zip:second/other.img" and image.read_at(0, 512) == MEDIA[:512]
        assert fl.open_image(path, format=image.format).size == 4 << 20
    with pytest.raises(UsageError, match="acquisition.txt"):
        fl.open_image(path, format="zip:none.dd")
    # A document is an archive too, and no image: it is read as the bytes that it is.
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    with fl.open_image(tmp_path / "a.zip") as image:
        assert image.format == "raw"


def test_what_is_refused_says_why(tmp_path: Path) -> None:
    with pytest.raises(Locked, match="disk.dd is encrypted"):
        fl.open_image(zipped(tmp_path, "-P", "secret"))
    (tmp_path / "case.zip").unlink()
    with pytest.raises(Unsupported, match="bzip2"):
        fl.open_image(zipped(tmp_path, "-Z", "bzip2"))
    (tmp_path / "case.zip").unlink()
    with pytest.raises(Unsupported, match="an EWF image.*unpack it first"):
        fl.open_image(zipped(tmp_path, name="disk.E01", data=b"EVF\x09\x0d\x0a\xff\x00" + bytes(5000)))
    (tmp_path / "case.zip").unlink()
    path = zipped(tmp_path)
    raw = bytearray(path.read_bytes())
    with pytest.raises(NotThisFormat):
        path.write_bytes(raw[:-30])
        opened(open_zip, path)
    at = raw.rindex(b"PK\1\2")
    lying = bytearray(raw)
    struct.pack_into("<I", lying, at + 24, 0xFFFFFFF0)
    path.write_bytes(lying)
    with pytest.raises(Corrupt, match="deflate cannot"):
        opened(open_zip, path)


def test_damage_in_a_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path)
    raw = bytearray(path.read_bytes())
    at = len(raw) // 2
    good, raw[at : at + 200] = raw[at : at + 200], bytes(200)
    path.write_bytes(raw)
    image, _ = opened(open_zip, path)
    assert image.read_at(0, 1000) == MEDIA[:1000]
    run = fl.Run()
    with fl.open_image(path, run=run) as whole:
        assert whole.verify().ok is False
    struct.pack_into("<I", raw, raw.rindex(b"PK\1\2") + 24, len(MEDIA) + 5 * CHUNK)
    raw[at : at + 200] = good
    path.write_bytes(raw)
    image, _ = opened(open_zip, path)
    for offset in (len(MEDIA) + 10, image.size - 1):
        with pytest.raises(Corrupt, match="the stream ends"):
            image.read_at(offset, 1)


@pytest.mark.parametrize("level", ["-1", "-9"])
def test_gzip(level: str, tmp_path: Path) -> None:
    (tmp_path / "disk.dd").write_bytes(MEDIA)
    subprocess.run(["gzip", level, "-k", "disk.dd"], check=True, cwd=tmp_path, timeout=60)
    run = fl.Run()
    with fl.open_image(tmp_path / "disk.dd.gz", run=run) as image:
        assert image.format == "gzip" and image.facts["member"] == "disk.dd" and image.size == len(MEDIA)
        assert image.read_at(4 << 20, 100) == MEDIA[4 << 20 :][:100] and image.verify().ok and run.findings == []
        assert image.trace(0, 10)[0].root == "disk.dd.gz"
    (tmp_path / "anything").write_bytes((tmp_path / "disk.dd.gz").read_bytes())  # its stored name says what it is
    assert fl.open_image(tmp_path / "anything").format == "gzip"


def test_gzip_members_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "disk.img.gz"
    pieces = [MEDIA[:100_000], b"", MEDIA[100_000 : 100_000 + 2 * CHUNK], MEDIA[100_000 + 2 * CHUNK :]]
    packed = [stdlib_gzip.compress(piece, 5) for piece in pieces]
    path.write_bytes(b"".join(packed) + bytes(512))
    image, budget = opened(open_gzip, path)
    assert image.read_at(0, image.size + 1) == MEDIA and budget.findings == [] and image.facts["members"] == "4"
    wrong = bytearray(packed[0])
    wrong[-8] ^= 1
    path.write_bytes(bytes(wrong) + packed[2][:-5000])
    image, budget = opened(open_gzip, path)
    assert [f.kind for f in budget.findings] == ["Corrupt", "Corrupt"] and image.read_at(0, 1 << 20) == pieces[0]
    path.write_bytes(packed[3][: len(packed[3]) // 2])
    with pytest.raises(Truncated, match="breaks off"):
        opened(open_gzip, path)
    path.write_bytes(stdlib_gzip.compress(b"") * 257)
    with pytest.raises(LimitExceeded, match="256 members"):
        opened(open_gzip, path)
    path.rename(tmp_path / "letter.txt.gz")
    with pytest.raises(NotThisFormat, match="no name of an image"):
        opened(open_gzip, tmp_path / "letter.txt.gz")
