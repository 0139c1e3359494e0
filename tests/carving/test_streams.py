"""Compressed files and archives against what gzip, bzip2, xz, zstd, lz4, 7z, tar, gcab and RAR wrote."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

TEXT = b"".join(b"line %d of a text that compresses well enough\n" % i for i in range(6000))
NOISE = random.Random(1).randbytes(100_000)
RARS = Path(__file__).parent.parent / "samples" / "carving"


def tool(*command: str, folder: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("content", [TEXT, NOISE, b"", TEXT + NOISE])
def test_gzip_of_python(exact, cuts, content: bytes) -> None:
    assert exact("gzip", gzip.compress(content)).confidence == 1.0
    cuts("gzip", gzip.compress(content))


def test_gzip_with_name_and_several_members(exact, tmp_path: Path) -> None:
    (tmp_path / "a name.txt").write_bytes(TEXT)
    tool("gzip", "-k", "-N", "a name.txt", folder=tmp_path)
    one = (tmp_path / "a name.txt.gz").read_bytes()
    exact("gzip", one)
    assert exact("gzip", one + gzip.compress(NOISE) + one).reason.startswith("3 members")


def test_gzip_with_a_wrong_checksum_is_not_whole(measure) -> None:
    made = bytearray(gzip.compress(TEXT))
    made[-5] ^= 1
    found = measure("gzip", bytes(made))
    assert found is not None and not found.complete


def test_a_compressed_tar_says_so(exact) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        made.addfile(tarfile.TarInfo("a"), io.BytesIO(b""))
    assert exact("gzip", out.getvalue()).extension == "tgz"


@pytest.mark.parametrize("content", [TEXT, NOISE])
def test_bzip2_and_xz(exact, cuts, content: bytes) -> None:
    for name, made in (("bzip2", bz2.compress(content)), ("bzip2", bz2.compress(content, 1) + bz2.compress(TEXT))):
        exact(name, made)
    cuts("bzip2", bz2.compress(content))
    for check in (lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256):
        exact("xz", lzma.compress(content, check=check))
    exact("xz", lzma.compress(content) + bytes(8) + lzma.compress(TEXT))
    cuts("xz", lzma.compress(content))


@pytest.mark.parametrize("options", [[], ["-19", "--long"], ["--no-check"]])
@pytest.mark.parametrize("content", [TEXT * 3, NOISE * 3])
def test_zstd(exact, cuts, tmp_path: Path, options: list[str], content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    tool("zstd", "-q", *options, "a", folder=tmp_path)
    made = (tmp_path / "a.zst").read_bytes()
    exact("zstd", made)
    cuts("zstd", made, blind=len(made))  # what lies in the last block cannot be told from other bytes


@pytest.mark.parametrize("options", [[], ["-BX", "-B4"], ["--no-frame-crc"], ["--content-size"]])
def test_lz4(exact, cuts, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "a").write_bytes(TEXT + NOISE)
    tool("lz4", "-q", *options, "a", "a.lz4", folder=tmp_path)
    exact("lz4", (tmp_path / "a.lz4").read_bytes())
    cuts("lz4", (tmp_path / "a.lz4").read_bytes(), blind=4)  # the content checksum is not verified


@pytest.mark.parametrize("options", [[], ["-mhe=on", "-psecret"], ["-m0=PPMd"], ["-mx=0"]])
def test_7z(exact, cuts, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "a").write_bytes(TEXT)
    (tmp_path / "b").write_bytes(NOISE)
    tool("7z", "a", "-bd", *options, "o.7z", "a", "b", folder=tmp_path)
    made = (tmp_path / "o.7z").read_bytes()
    assert exact("7z", made).confidence == 1.0
    cuts("7z", made)


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar"])
@pytest.mark.parametrize("factor", [1, 20])
def test_tar(exact, cuts, measure, tmp_path: Path, form: str, factor: int) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / ("long" * 20)).write_bytes(NOISE[:1000])
    tool("tar", f"--format={form}", f"-b{factor}", "-cf", "o.tar", "a.txt", "long" * 20, folder=tmp_path)
    made = (tmp_path / "o.tar").read_bytes()
    if factor == 20:
        exact("tar", made)
        with tarfile.open(tmp_path / "o.tar") as opened:
            opened.getmembers()
            end = opened.offset  # behind the first zero block
        cuts("tar", made[: end + 512], blind=512)
    else:  # written without records of 10,240: only zeros behind it can be taken for its own
        found = measure("tar", made + NOISE)
        assert found is not None and found.complete and found.length == len(made)


def test_cabinets(exact, cuts, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / "b.bin").write_bytes(NOISE)
    for options in ([], ["-z"]):
        tool("gcab", "-c", *options, "o.cab", "a.txt", "b.bin", folder=tmp_path)
        made = (tmp_path / "o.cab").read_bytes()
        assert exact("cab", made).confidence == 1.0
        cuts("cab", made, blind=32_768)  # content of the last block
        (tmp_path / "o.cab").unlink()


@pytest.mark.parametrize(
    "name", ["rar15-comment", "rar202-comment-psw", "rar2-unix-owner", "rar3-subdirs", "rar3-comment-plain", "rar5-crc", "rar5-subdirs"]
)
def test_rar(exact, cuts, name: str) -> None:
    kind = "rar5" if name.startswith("rar5") else "rar4"
    made = (RARS / f"{name}.rar").read_bytes()
    found = exact(kind, made)
    if kind == "rar5" or name.startswith("rar3"):
        assert found.confidence == 1.0
        cuts(kind, made)


@pytest.mark.parametrize("name", ["rar3-comment-hpsw", "rar5-hpsw"])
def test_encrypted_headers_hide_the_length(measure, name: str) -> None:
    found = measure("rar5" if name.startswith("rar5") else "rar4", (RARS / f"{name}.rar").read_bytes())
    assert found is not None and not found.complete and "encrypted" in found.reason
