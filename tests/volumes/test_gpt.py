"""Against sgdisk, which makes the tables, and mmls."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from forensiclib.core.entry import Volume
from forensiclib.core.errors import NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.volumes import mbr
from forensiclib.volumes.gpt import FORMAT

MIB = 1 << 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A disk with three partitions, by sgdisk."""
    if shutil.which("sgdisk") is None:
        pytest.skip("sgdisk is not installed")
    path = tmp_path_factory.mktemp("gpt") / "disk.dd"
    with open(path, "wb") as file:
        file.truncate(16 * MIB)
    words = ["-n", "1:2048:+1M", "-t", "1:EF00", "-n", "2:0:+4M", "-t", "2:0700", "-n", "3:20480:0", "-t", "3:8E00"]
    subprocess.run(["sgdisk", "-o", *words, "-c", "1:ESP Größe 中国", str(path)], check=True, capture_output=True)
    return path.read_bytes()


def opened(data: bytes, sector_size: int = 512) -> tuple[list[Volume], list[str]]:
    budget = Budget()
    volumes = FORMAT.open(MemorySource(data, "disk"), sector_size, budget)
    return volumes, [f"{f.kind} {f.what}: {f.found}" for f in budget.findings]


def allocated(volumes: list[Volume]) -> list[tuple[int, int, int]]:
    return [(v.index, v.start // 512, v.size // 512) for v in volumes if v.state == "allocated"]


def reseal(data: bytearray, at: int) -> None:
    """Write the checksum of a header again."""
    raw = bytearray(data[at : at + 92])
    raw[16:20] = bytes(4)
    data[at + 16 : at + 20] = struct.pack("<I", zlib.crc32(raw))


def reseal_entries(data: bytearray, header: int, entries: int) -> None:
    data[header + 88 : header + 92] = struct.pack("<I", zlib.crc32(data[entries : entries + 128 * 128]))
    reseal(data, header)


@pytest.mark.drivers
def test_partitions_as_sgdisk_and_mmls_see_them(made: bytes, tmp_path: Path) -> None:
    path = tmp_path / "disk.dd"
    path.write_bytes(made)
    volumes, findings = opened(made)
    listing = subprocess.run(["sgdisk", "-p", str(path)], capture_output=True, text=True, check=True).stdout
    theirs = [(int(m[1]), int(m[2]), int(m[3]) - int(m[2]) + 1) for m in re.finditer(r"^ +(\d+) +(\d+) +(\d+) ", listing, re.M)]
    assert allocated(volumes) == theirs
    assert findings == []
    assert next(v.label for v in volumes if v.state == "allocated") == "ESP Größe 中国"
    assert [v.kind for v in volumes if v.state == "allocated"] == ["EFI system", "Microsoft basic data", "Linux LVM"]
    assert sum(v.size for v in volumes) == len(made)
    if shutil.which("mmls"):
        out = subprocess.run(["mmls", "-a", "-M", str(path)], capture_output=True, text=True, check=True).stdout
        seen = [(int(m[1]), int(m[2])) for m in re.finditer(r"^\d+:\s+\S+\s+(\d+)\s+\d+\s+(\d+)", out, re.M)]
        assert [(s, n) for _i, s, n in allocated(volumes)] == seen


@pytest.mark.drivers
def test_a_wiped_primary_is_replaced_by_the_backup(made: bytes) -> None:
    data = bytearray(made)
    data[512 : 34 * 512] = bytes(33 * 512)
    volumes, findings = opened(bytes(data))
    assert allocated(volumes) == allocated(opened(made)[0])
    assert any(f.startswith("Corrupt primary GPT header") for f in findings)


@pytest.mark.drivers
def test_a_flipped_bit_in_the_primary_header_or_entries_chooses_the_backup(made: bytes) -> None:
    for at in (512 + 40, 1024 + 32):
        data = bytearray(made)
        data[at] ^= 1
        volumes, findings = opened(bytes(data))
        assert allocated(volumes) == allocated(opened(made)[0])
        assert any("checksum" in f for f in findings)


@pytest.mark.drivers
def test_what_only_the_backup_has_comes_out_as_deleted(made: bytes) -> None:
    data = bytearray(made)
    data[1024 + 128 : 1024 + 256] = bytes(128)
    reseal_entries(data, 512, 1024)
    volumes, findings = opened(bytes(data))
    assert [v.index for v in volumes if v.state == "allocated"] == [1, 3]
    assert [(v.index, v.label, v.kind) for v in volumes if v.state == "deleted"] == [(2, "", "Microsoft basic data")]
    assert any("2 partitions in the primary, 3 in the backup" in f for f in findings)


@pytest.mark.drivers
def test_a_missing_backup_and_clipped_partitions_of_a_short_image(made: bytes) -> None:
    volumes, findings = opened(made[: 11 * MIB])
    assert [v.size for v in volumes if v.index == 3] == [MIB]
    assert any(f.startswith("Truncated partition") for f in findings)
    assert any(f.startswith("Truncated backup GPT header") for f in findings)


@pytest.mark.drivers
def test_a_hybrid_mbr_is_told(made: bytes) -> None:
    data = bytearray(made)
    data[446 + 16 : 446 + 32] = struct.pack("<B3sB3sII", 0, b"\0" * 3, 0x0C, b"\0" * 3, 2048, 2048)
    _, findings = opened(bytes(data))
    assert findings == ["Note hybrid MBR: type 0x0c at sector 2048 of 2048 sectors"]


@pytest.mark.drivers
def test_a_leftover_behind_an_mbr_in_force_is_refused_and_told(made: bytes) -> None:
    data = bytearray(made)
    data[446:510] = struct.pack("<B3sB3sII", 0, b"\0" * 3, 0x0C, b"\0" * 3, 2048, 2048).ljust(64, b"\0")
    budget = Budget()
    with pytest.raises(NotThisFormat):
        FORMAT.open(MemorySource(bytes(data)), 512, budget)
    assert [f.what for f in budget.findings] == ["leftover GPT"]
    assert [v.index for v in mbr.FORMAT.open(MemorySource(bytes(data)), 512, Budget()) if v.state == "allocated"] == [1]


@pytest.mark.drivers
def test_overlaps_and_places_out_of_range_are_told(made: bytes) -> None:
    data = bytearray(made)
    data[1024 + 128 + 32 : 1024 + 128 + 48] = struct.pack("<QQ", 3000, 1 << 40)
    reseal_entries(data, 512, 1024)
    volumes, findings = opened(bytes(data))
    assert any(f.startswith("Corrupt partition overlap") for f in findings)
    assert any(f.startswith("Corrupt GPT entry: LBA 3000") for f in findings)
    assert any(f.startswith("Truncated partition") for f in findings)
    assert [v.index for v in volumes if v.state == "allocated"] == [1, 2, 3]


@pytest.mark.drivers
@pytest.mark.parametrize("stated", [512, 4096])
def test_sectors_of_4096_bytes(made: bytes, stated: int) -> None:
    """The same table laid out in 4096-byte sectors, by hand: sgdisk wants a device for that."""
    data = bytearray(4096 * 30000)
    data[:512] = made[:512]
    last = 29999
    for lba, other, entries in ((1, last, 2), (last, 1, last - 4)):
        header = bytearray(made[512 : 512 + 92])
        header[24:40] = struct.pack("<QQ", lba, other)
        header[40:56] = struct.pack("<QQ", 6, last - 5)
        header[72:80] = struct.pack("<Q", entries)
        data[lba * 4096 : lba * 4096 + 92] = header
        data[entries * 4096 : entries * 4096 + 16384] = made[1024 : 1024 + 16384]
        reseal(data, lba * 4096)
    volumes, findings = opened(bytes(data), stated)
    assert [v.start for v in volumes if v.state == "allocated"][:2] == [2048 * 4096, 4096 * 4096]
    assert any("GPT sector size" in f for f in findings) == (stated == 512)


def test_without_a_header_it_is_not_this_format() -> None:
    for data in (b"", bytes(512), bytes(4096), b"EFI PART", bytes(512) + b"EFI PART"):
        with pytest.raises(NotThisFormat):
            opened(data)
