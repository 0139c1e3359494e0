"""Disk Copy 4.2 images, laid out by hand from Apple's note; the checksum by the note's own words."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from forensiclib.core.errors import NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.images import diskcopy
from forensiclib.testing.contracts import SourceContract
from tests.images.disks import content
from tests.images.test_vm_disks import opened


def by_the_note(data: bytes) -> int:
    """Add each word, rotate the sum right by one bit."""
    total = 0
    for i in range(0, len(data), 2):
        bits = f"{(total + int.from_bytes(data[i : i + 2], 'big')) % (1 << 32):032b}"
        total = int(bits[-1] + bits[:-1], 2)
    return total


def written(path: Path, data: bytes, tags: bytes, name: bytes = b"Disk \x8a", encoding: int = 1) -> Path:
    head = bytes([len(name)]) + name.ljust(63, b"\0")
    head += struct.pack(">IIIIBBH", len(data), len(tags), by_the_note(data), by_the_note(tags[12:]), encoding, 0x22, 0x100)
    path.write_bytes(head + data + tags)
    return path


DATA, TAGS = content(6, 1 << 20)[:819_200], content(7, 1 << 20)[: 1600 * 12]


def test_a_floppy_disk(tmp_path: Path) -> None:
    image, found = opened(written(tmp_path / "disk.image", DATA, TAGS))
    assert not found and image.format == "diskcopy" and image.read_at(0, image.size) == DATA
    assert image.facts["disk_name"] == "Disk ä" and image.facts["encoding"] == "800 KiB GCR" and image.facts["tag_size"] == "19200"
    assert image.trace(512, 512) == (Span("disk.image", 84 + 512, 512),)


def test_without_tags(tmp_path: Path) -> None:
    image, found = opened(written(tmp_path / "disk", DATA[:737_280], b"", encoding=2))
    assert not found and image.format == "diskcopy" and image.read_at(0, image.size) == DATA[:737_280]


@pytest.mark.parametrize(("at", "what"), [(84 + 1000, "Disk Copy data"), (84 + len(DATA) + 100, "Disk Copy tags")])
def test_damage_is_told(tmp_path: Path, at: int, what: str) -> None:
    path = written(tmp_path / "disk.image", DATA, TAGS)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 4
    path.write_bytes(raw)
    found = opened(path)[1]
    assert len(found) == 1 and found[0].startswith(f"Corrupt {what}")


def test_the_first_tag_is_not_summed(tmp_path: Path) -> None:
    path = written(tmp_path / "disk.image", DATA, TAGS)
    raw = bytearray(path.read_bytes())
    raw[84 + len(DATA) + 3] ^= 4
    path.write_bytes(raw)
    assert not opened(path)[1]


def test_bytes_behind_it_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "disk.image", DATA, TAGS)
    path.write_bytes(path.read_bytes() + b"more")
    assert "4 bytes stand behind it" in opened(path)[1][0]


@pytest.mark.parametrize(
    ("at", "form", "value"), [(0, "B", 200), (64, ">I", 819_201), (64, ">I", 1 << 20), (68, ">I", 12), (80, "B", 9), (3, "B", 1)]
)
def test_what_is_no_such_image(tmp_path: Path, at: int, form: str, value: int) -> None:
    path = written(tmp_path / "disk.image", DATA, TAGS)
    raw = bytearray(path.read_bytes())
    struct.pack_into(form, raw, at, value)
    path.write_bytes(raw)
    with pytest.raises(NotThisFormat):
        diskcopy.FORMAT.open([str(path)], Budget())


def test_a_raw_disk_with_the_two_bytes_stays_raw(tmp_path: Path) -> None:
    raw = bytearray(content())
    raw[82:84] = b"\x01\x00"
    (tmp_path / "disk.dd").write_bytes(raw)
    image, found = opened(tmp_path / "disk.dd")
    assert image.format == "raw" and len(found) <= 1


class TestDiskCopy(SourceContract):
    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.path = written(tmp_path / "disk.image", DATA, TAGS)

    def make(self) -> tuple[ByteSource, bytes]:
        return opened(self.path)[0], DATA

    def root(self) -> dict[str, bytes]:
        return {self.path.name: self.path.read_bytes()}
