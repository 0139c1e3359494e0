"""Against sfdisk, which makes the tables, and mmls, which reads them."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from forensiclib.core.entry import Volume
from forensiclib.core.errors import NotThisFormat
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.volumes.mbr import FORMAT

MIB = 1 << 20


def need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def entry(kind: int, first: int, sectors: int, boot: int = 0) -> bytes:
    return struct.pack("<B3sB3sII", boot, b"\0\2\0", kind, b"\0\2\0", first, sectors)


def record(*entries: bytes) -> bytes:
    return bytes(446) + b"".join(entries).ljust(64, b"\0") + b"\x55\xaa"


def disk(sectors: int, *records: tuple[int, bytes]) -> MemorySource:
    data = bytearray(sectors * 512)
    for sector, raw in records:
        data[sector * 512 : sector * 512 + 512] = raw
    return MemorySource(bytes(data), "disk")


def opened(source: MemorySource | FileSource, sector_size: int = 512) -> tuple[list[Volume], list[str]]:
    budget = Budget()
    volumes = FORMAT.open(source, sector_size, budget)
    return volumes, [f"{f.kind} {f.what}: {f.found}" for f in budget.findings]


def mmls(path: Path, *options: str) -> list[tuple[int, int]]:
    """(first sector, sectors) of every volume that is a partition and not a container."""
    out = subprocess.run(["mmls", "-a", "-M", *options, str(path)], capture_output=True, text=True, check=True).stdout
    return [(int(m[1]), int(m[2])) for m in re.finditer(r"^\d+:\s+\S+\s+(\d+)\s+\d+\s+(\d+)", out, re.M)]


def sfdisk(path: Path, script: str) -> None:
    path.write_bytes(b"")
    with open(path, "r+b") as file:
        file.truncate(64 * MIB)
    subprocess.run(["sfdisk", "-q", str(path)], input=script, text=True, check=True, capture_output=True)


@pytest.mark.drivers
def test_extended_with_three_logicals_as_sfdisk_and_mmls_see_it(tmp_path: Path) -> None:
    need("sfdisk", "mmls")
    path = tmp_path / "disk.dd"
    sfdisk(path, "label: dos\nsize=8M,type=c\nsize=8M,type=27\nsize=4M,type=17\ntype=5\nsize=6M,type=83\nsize=7M,type=7\ntype=8e\n")
    volumes, findings = opened(FileSource(path))
    table = json.loads(subprocess.run(["sfdisk", "-J", str(path)], capture_output=True, check=True).stdout)["partitiontable"]
    theirs = [(p["start"], p["size"], int(p["type"], 16)) for p in table["partitions"] if p["type"] not in ("5", "f")]
    ours = [(v.start // 512, v.size // 512, int(v.type_code, 16)) for v in volumes if v.state == "allocated"]
    assert ours == theirs
    assert [(s, n) for s, n, _t in ours] == mmls(path)
    assert [v.index for v in volumes if v.state == "allocated"] == [1, 2, 3, 5, 6, 7]
    assert findings == []


@pytest.mark.drivers
def test_volumes_and_gaps_cover_the_disk(tmp_path: Path) -> None:
    need("sfdisk")
    path = tmp_path / "disk.dd"
    sfdisk(path, "label: dos\nstart=2048,size=8M,type=c\nstart=40960,size=8M,type=83\n")
    volumes, _ = opened(FileSource(path))
    at = 0
    for volume in volumes:
        assert volume.start == at
        at += volume.size
    assert at == 64 * MIB
    assert [v.state for v in volumes] == ["slack", "allocated", "slack", "allocated", "slack"]


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["plaso/tsk_volume_system.raw"])
def test_corpus_as_mmls_sees_it(corpus: Path, name: str) -> None:
    need("mmls")
    volumes, _ = opened(FileSource(corpus / name))
    assert [(v.start // 512, v.size // 512) for v in volumes if v.state == "allocated"] == mmls(corpus / name)


@pytest.mark.corpus
def test_an_acquired_disk_as_mmls_lists_it(corpus: Path) -> None:
    """mmls 4.11 on the same E01: two NTFS partitions, 128 sectors before and 6017 behind them."""
    pyewf = pytest.importorskip("pyewf", reason="libewf-python reads the E01")
    handle = pyewf.handle()
    handle.open([str(corpus / "sleuthkit/imageformat_mmls_1.E01")])
    data = handle.read(handle.get_media_size())
    handle.close()
    volumes, findings = opened(MemorySource(data))
    listed = [(v.state, v.start // 512, v.size // 512) for v in volumes]
    assert listed == [("slack", 0, 128), ("allocated", 128, 55296), ("allocated", 55424, 61440), ("slack", 116864, 6017)]
    assert findings == []


@pytest.mark.drivers
@pytest.mark.parametrize(
    "command", [["mkfs.vfat"], ["mkfs.vfat", "--mbr=y"], ["mkfs.exfat"], ["mkfs.ntfs", "-F", "-Q"], ["mkfs.vfat", "-F", "16"]]
)
def test_boot_sectors_of_file_systems_are_no_tables(tmp_path: Path, command: list[str]) -> None:
    need(command[0])
    path = tmp_path / "volume.dd"
    with open(path, "wb") as file:
        file.truncate(16 * MIB)
    subprocess.run([*command, str(path)], check=True, capture_output=True)
    with pytest.raises(NotThisFormat):
        opened(FileSource(path))


def test_text_and_noise_are_no_tables() -> None:
    for data in (b"", b"\x55\xaa", bytes(512), bytes(510) + b"\x55\xaa", b"Missing operating system." * 20 + bytes(10) + b"\x55\xaa"):
        with pytest.raises(NotThisFormat):
            opened(MemorySource(data))


def test_a_chain_that_returns_is_cut_and_reported_with_its_offset() -> None:
    first = record(entry(0x83, 1, 9), entry(5, 20, 10))
    second = record(entry(0x83, 1, 9), entry(5, 0, 10))
    volumes, findings = opened(disk(200, (0, record(entry(5, 100, 100))), (100, first), (120, second)))
    assert [(v.index, v.start // 512) for v in volumes if v.state == "allocated"] == [(5, 101), (6, 121)]
    assert len(findings) == 1 and "the chain returns to sector 100" in findings[0]


def test_partitions_past_the_end_are_clipped_and_reported() -> None:
    table = record(entry(0x83, 10, 1000), entry(0x07, 5000, 10))
    volumes, findings = opened(disk(100, (0, table)))
    assert [(v.index, v.start // 512, v.size // 512) for v in volumes if v.state == "allocated"] == [(1, 10, 90), (2, 5000, 0)]
    assert [f.split(":")[0] for f in findings] == ["Truncated partition", "Truncated partition"]


def test_a_link_past_the_end_is_reported() -> None:
    volumes, findings = opened(disk(200, (0, record(entry(5, 100, 100))), (100, record(entry(0x83, 1, 9), entry(5, 900, 10)))))
    assert [v.index for v in volumes if v.state == "allocated"] == [5]
    assert findings == ["Truncated extended boot record: sector 1000 lies past the end (102400 bytes)"]


def test_overlaps_are_reported_and_both_volumes_given() -> None:
    volumes, findings = opened(disk(200, (0, record(entry(0x83, 10, 100), entry(0x07, 50, 100)))))
    assert [(v.start // 512, v.size // 512) for v in volumes if v.state == "allocated"] == [(10, 100), (50, 100)]
    assert findings == [f"Corrupt partition overlap: starts at {50 * 512}, inside partition 1 that ends at {110 * 512}"]


@pytest.mark.parametrize(
    ("code", "words"), [(0x17, "Hidden NTFS, exFAT or HPFS"), (0x27, "Windows recovery (hidden NTFS)"), (0x99, "type 0x99")]
)
def test_odd_types_have_words_or_their_number(code: int, words: str) -> None:
    volumes, _ = opened(disk(200, (0, record(entry(code, 10, 100)))))
    assert [v.kind for v in volumes if v.state == "allocated"] == [words]


def test_sectors_of_4096_bytes_are_found_by_what_the_partitions_hold() -> None:
    data = bytearray(4096 * 100)
    data[:512] = record(entry(0x83, 10, 50))
    data[10 * 4096 + 1080 : 10 * 4096 + 1082] = b"\x53\xef"
    for stated in (512, 4096):
        volumes, findings = opened(MemorySource(bytes(data)), stated)
        assert [(v.start, v.size) for v in volumes if v.state == "allocated"] == [(40960, 50 * 4096)]
        assert bool(findings) == (stated == 512)


def test_a_damaged_link_is_reported() -> None:
    _, findings = opened(disk(200, (0, record(entry(5, 100, 100)))))
    assert findings == ["Corrupt extended boot record: signature 0x0000"]
