"""Android sparse images: made by img2simg and simg2simg, read by simg2img, and laid out by hand for what these do not write."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from forensiclib.core.errors import Corrupt, NotThisFormat, Truncated, Unreadable, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.images import androidsparse
from forensiclib.images.androidsparse import _behind
from forensiclib.testing.contracts import SourceContract
from tests.images.disks import SIZE, content
from tests.images.test_vm_disks import opened

BLOCK = 4096
RAW, FILL, FREE, CRC = 0xCAC1, 0xCAC2, 0xCAC3, 0xCAC4


def tool(name: str, *arguments: str | Path) -> None:
    if shutil.which(name) is None:
        pytest.skip(f"{name} (Debian: android-sdk-libsparse-utils) is not installed")
    subprocess.run([name, *map(str, arguments)], check=True, capture_output=True, timeout=60)


def media(size: int = SIZE) -> bytes:
    """Text, noise, holes, and blocks of one repeated word."""
    out = bytearray(content(2, size))
    out[40 * BLOCK : 60 * BLOCK] = b"\x01\x02\x03\x04" * (20 * BLOCK // 4)
    return bytes(out)


def packed(path: Path, data: bytes) -> Path:
    raw = path.with_suffix(".raw")
    raw.write_bytes(data)
    tool("img2simg", raw, path)
    raw.unlink()
    return path


def chunk(kind: int, blocks: int, body: bytes = b"", extra: int = 0) -> bytes:
    return struct.pack("<HHII", kind, 0, blocks, 12 + extra + len(body)) + bytes(extra) + body


def written(path: Path, chunks: list[bytes], blocks: int, checksum: int = 0, extra: int = 0) -> Path:
    head = struct.pack("<IHHHHIIII", 0xED26FF3A, 1, 0, 28 + extra, 12 + extra, BLOCK, blocks, len(chunks), checksum) + bytes(extra)
    path.write_bytes(head + b"".join(chunks))
    return path


def unpacked(path: Path, *parts: Path) -> bytes:
    out = path.with_name("as.raw")
    tool("simg2img", path, *parts, out)
    data = out.read_bytes()
    out.unlink()
    return data


def test_what_img2simg_wrote(tmp_path: Path) -> None:
    path = packed(tmp_path / "system.simg", media())
    image, found = opened(path)
    assert image.format == "androidsparse" and image.size == SIZE
    assert image.read_at(0, SIZE) == media() == unpacked(path)
    assert all("don't care" in f for f in found)
    assert "fill" in image.facts["chunks"] and image.verify().ok is None, "img2simg writes no checksum"


def test_spans(tmp_path: Path) -> None:
    path = written(
        tmp_path / "x.simg", [chunk(RAW, 2, media()[: 2 * BLOCK]), chunk(FILL, 3, b"abcd"), chunk(FREE, 1), chunk(RAW, 1, b"z" * BLOCK)], 7
    )
    image, found = opened(path)
    assert image.trace(5, BLOCK) == (Span("x.simg", 40 + 5, BLOCK),)
    fill = 40 + 2 * BLOCK + 12
    assert image.trace(2 * BLOCK + 1, 2 * BLOCK) == (Span("x.simg", fill, 4, ("fill",), False),)
    assert image.trace(5 * BLOCK, BLOCK) == (Span("", 0, BLOCK, ("zero",), False),)
    assert image.trace(6 * BLOCK + 3, 9) == (Span("x.simg", fill + 4 + 12 + 12 + 3, 9),)
    assert image.read_at(2 * BLOCK + 1, 8) == b"bcdabcda"
    assert len(found) == 1 and "4096 bytes are in chunks of type don't care" in found[0] and image.facts["not_stored"] == "4096"
    assert image.read_at(0, 7 * BLOCK) == unpacked(path)


class TestAndroidSparse(SourceContract):
    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.path = packed(tmp_path / "x.simg", media())

    def make(self) -> tuple[ByteSource, bytes]:
        return opened(self.path)[0], media()

    def root(self) -> dict[str, bytes]:
        return {self.path.name: self.path.read_bytes()}


# ---- parts


def parts(folder: Path, data: bytes, largest: int) -> list[Path]:
    """What simg2simg cuts an image into: super.img_sparsechunk.0 ..."""
    whole = packed(folder / "whole.simg", data)
    tool("simg2simg", whole, folder / "super.img_sparsechunk", largest)
    whole.unlink()
    found = sorted(folder.glob("super.img_sparsechunk.*"), key=lambda p: int(p.suffix[1:]))
    assert len(found) > 2
    return found


def test_parts_beside_each_other_and_listed(tmp_path: Path) -> None:
    found = parts(tmp_path, media(), 300_000)
    for first in (found[0], found[-1]):
        image, notes = opened(first)
        assert image.read_at(0, image.size) == media() and all("don't care" in n for n in notes)
        assert image.facts["parts"] == str(len(found)) == str(len(image.parts)) and image.name == "super.img_sparsechunk.0"
    assert unpacked(found[0], *found[1:]) == media()
    other = tmp_path / "other"
    other.mkdir()
    moved = [Path(shutil.move(p, other / f"{chr(97 + i)}.bin")) for i, p in enumerate(found)]
    image, _ = opened(moved[0])
    assert image.facts["parts"] == "1"
    image, _ = opened(moved[0], *moved[1:])
    assert image.read_at(0, SIZE) == media()


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    found = parts(tmp_path, media(), 300_000)
    found[1].unlink()
    with pytest.raises(Truncated, match="part 1 is missing"):
        opened(found[0])
    with pytest.raises(Truncated, match="part 1 is missing"):
        opened(found[2])


def test_later_parts_lie_on_top(tmp_path: Path) -> None:
    a = written(tmp_path / "x_sparsechunk.0", [chunk(RAW, 2, b"a" * 2 * BLOCK), chunk(FREE, 2)], 4)
    b = written(tmp_path / "x_sparsechunk.1", [chunk(FREE, 1), chunk(FILL, 2, b"bbbb"), chunk(FREE, 1)], 4)
    image, found = opened(a)
    assert image.read_at(0, 4 * BLOCK) == b"a" * BLOCK + b"b" * 2 * BLOCK + bytes(BLOCK)
    assert (
        len(found) == 2 and "4096 bytes are in chunks of type don't care" in found[0] and "4096 bytes are in more than one part" in found[1]
    )
    assert unpacked(a, b) == image.read_at(0, 4 * BLOCK)
    assert [s.root for s in image.trace(0, 4 * BLOCK)] == [a.name, b.name, ""]


def test_parts_of_different_disks_are_told(tmp_path: Path) -> None:
    written(tmp_path / "x_sparsechunk.0", [chunk(RAW, 1, b"a" * BLOCK)], 1)
    written(tmp_path / "x_sparsechunk.1", [chunk(FREE, 2)], 2)
    assert any("the parts differ" in f for f in opened(tmp_path / "x_sparsechunk.0")[1])


# ---- checksums


def summed(tmp_path: Path, damage: int = -1) -> Path:
    """Raw, fill and don't care with a CRC chunk behind each, and the sum of all in the header."""
    data = media()[: 3 * BLOCK] + b"wxyz" * (BLOCK // 2) + bytes(2 * BLOCK)
    at = (3 * BLOCK, 5 * BLOCK, 7 * BLOCK)
    sums = [struct.pack("<I", zlib.crc32(data[:n])) for n in at]
    body = bytearray(data[: 3 * BLOCK])
    if damage >= 0:
        body[damage] ^= 1
    chunks = [
        chunk(RAW, 3, bytes(body)),
        chunk(CRC, 0, sums[0]),
        chunk(FILL, 2, b"wxyz"),
        chunk(CRC, 0, sums[1]),
        chunk(FREE, 2),
        chunk(CRC, 0, sums[2]),
    ]
    return written(tmp_path / "x.simg", chunks, 7, zlib.crc32(data))


def test_checksums_hold_over_zeros_that_nobody_cares_for(tmp_path: Path) -> None:
    image, _ = opened(summed(tmp_path))
    assert len(image.checks) == 4 and image.verify().ok is True
    assert unpacked(tmp_path / "x.simg") == image.read_at(0, image.size)


def test_damage_is_told_and_only_where_it_is(tmp_path: Path) -> None:
    image, _ = opened(summed(tmp_path, damage=5000))
    result = image.verify()
    assert result.ok is False and len(result.failed) == 2 and not result.bad
    assert {f.what for f in image.run.findings if f.what.startswith("checksum")} == {
        "checksum of bytes 0 to 12288",
        "checksum of whole image",
    }


@pytest.mark.parametrize("length", [0, 1, 5, 4096, 123_457])
def test_the_sum_of_what_stands_behind(length: int) -> None:
    before, after = content(4)[:77_777], content(5)[:length]
    assert _behind(zlib.crc32(before + after), zlib.crc32(before), length) == zlib.crc32(after)


# ---- damage


def test_longer_headers_are_passed_over(tmp_path: Path) -> None:
    image, _ = opened(written(tmp_path / "x.simg", [chunk(FILL, 2, b"abcd", extra=8)], 2, extra=8))
    assert image.read_at(0, 2 * BLOCK) == b"abcd" * (BLOCK // 2)


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ([chunk(RAW, 1, b"a" * BLOCK), chunk(0xCAC9, 1), chunk(RAW, 1, b"b" * BLOCK)], "0xcac9"),
        ([chunk(RAW, 1, b"a" * BLOCK), chunk(RAW, 2, b"b" * BLOCK)], "chunk 1"),
        ([chunk(RAW, 1, b"a" * BLOCK), chunk(RAW, 9, b"b" * 9 * BLOCK)], "chunk 1"),
        ([chunk(RAW, 1, b"a" * BLOCK), chunk(CRC, 1, b"abcd")], "chunk 1"),
        ([chunk(RAW, 1, b"a" * BLOCK)], "its chunks end at block 1 of 3"),
    ],
)
def test_a_chunk_that_cannot_be_hides_what_follows(tmp_path: Path, chunks: list[bytes], text: str) -> None:
    image, found = opened(written(tmp_path / "x.simg", chunks, 3))
    assert any(text in f for f in found) and image.size == 3 * BLOCK
    assert image.read_at(0, BLOCK) == b"a" * BLOCK
    with pytest.raises(Unreadable, match="in no chunk"):
        image.read_at(BLOCK, 1)


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.simg", media())
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    image, found = opened(path)
    assert any(f.startswith("Truncated") for f in found)
    with pytest.raises((Truncated, Unreadable)):
        image.read_at(0, SIZE)


@pytest.mark.parametrize(
    ("at", "form", "value", "kind"), [(4, "<H", 2, Unsupported), (8, "<H", 20, Corrupt), (12, "<I", 0, Corrupt), (12, "<I", 6, Corrupt)]
)
def test_a_header_that_lies(tmp_path: Path, at: int, form: str, value: int, kind: type[Exception]) -> None:
    path = written(tmp_path / "x.simg", [chunk(FREE, 1)], 1)
    raw = bytearray(path.read_bytes())
    struct.pack_into(form, raw, at, value)
    path.write_bytes(raw)
    with pytest.raises(kind):
        opened(path)


def test_more_chunks_than_there_are(tmp_path: Path) -> None:
    path = written(tmp_path / "x.simg", [chunk(FREE, 1)], 1)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, 20, 0xFFFFFFFF)
    path.write_bytes(raw)
    assert any("1 of 4294967295 chunks" in f for f in opened(path)[1])


def test_another_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "x.simg"
    path.write_bytes(bytes(5000))
    with pytest.raises(NotThisFormat):
        androidsparse.FORMAT.open([str(path)], Budget())
