"""Containers of Intel's metadata that mdadm wrote and Linux's md driver filled, read against the driver's own digests."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess

import pytest

from forensiclib.core.entry import Volume
from forensiclib.core.errors import NotThisFormat, Unreadable, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes.imsm import FORMAT, probe
from tests.volumes.arrays import INDEX, members, sha256, volume

SETS = sorted(INDEX["imsm"])
SPARE = {"r1": 1, "r5": 1, "r10": 1}


def opened(data, lost=(), names="ST-devloop{}.dd") -> tuple[list[Volume], list[str]]:
    """Images named after the serial numbers that mdadm --examine shows: /dev/loop0 and so on, in the order of the samples."""
    budget = Budget()
    sources = [MemorySource(d, names.format(i)) for i, d in enumerate(data) if i not in lost]
    made = FORMAT.open([Volume(s, index=0, start=0, scheme="disk") for s in sources], budget)
    return [v for v in made if v.state != "slack"], [f"{f.kind} {f.what}: {f.found}" for f in budget.findings]


def reseal(data: bytearray) -> None:
    """The sum of the metadata again: of all words but itself."""
    at = len(data) - 1024
    size = int.from_bytes(data[at + 36 : at + 40], "little")
    more = -(-size // 512) - 1
    raw = bytes(data[at : at + 512] + data[at - more * 512 : at])[:size]
    total = sum(struct.unpack(f"<{size // 4}I", raw)) - int.from_bytes(raw[32:36], "little")
    struct.pack_into("<I", data, at + 32, total & 0xFFFFFFFF)


@pytest.mark.parametrize("name", SETS)
def test_volumes_read_as_the_driver_read_them(name):
    found, _ = opened(members("imsm", name))
    seen = [(v.size, sha256(v)) for v in found if v.state == "allocated"]
    assert seen == list(zip(INDEX["imsm"][name]["sizes"], INDEX["imsm"][name]["sums"], strict=True))


@pytest.mark.parametrize("name", sorted(SPARE))
def test_every_disk_may_be_gone_that_the_level_can_spare(name):
    data = members("imsm", name)
    for lost in range(len(data)):
        (found,), findings = opened(data, [lost])
        assert sha256(found) == INDEX["imsm"][name]["sums"][0], lost
        assert any("1 of" in f and "not there" in f for f in findings)


@pytest.mark.parametrize("name", ["r0", "r5", "r10"])
def test_one_disk_more_and_its_bytes_are_unreadable_never_zero(name):
    data = members("imsm", name)
    whole = opened(data)[0][0]
    bad = 0
    for lost in itertools.combinations(range(len(data)), SPARE.get(name, 0) + 1):
        found = opened(data, lost)[0][0]
        for at in range(0, found.size, 16384):
            try:
                assert found.read_at(at, 16384) == whole.read_at(at, 16384)
            except Unreadable:
                bad += 1
    assert bad


@pytest.mark.parametrize("name", ["r1", "two"])
def test_mirrors_need_no_serial_numbers(name):
    found, findings = opened(members("imsm", name), names="disk{}")
    assert sha256(found[0]) == INDEX["imsm"][name]["sums"][0]
    assert len(found) == 1
    assert any("put these into the names of the images" in f for f in findings) == (name == "two")


@pytest.mark.parametrize("name", ["r0", "r5", "r10"])
def test_without_serial_numbers_no_order_is_guessed(name):
    budget = Budget()
    with pytest.raises(Unsupported):
        FORMAT.open([volume(d, i) for i, d in enumerate(members("imsm", name))], budget)
    assert any("names of the images (/dev/loop" in f.found for f in budget.findings)


def test_disks_of_unequal_size_are_known_by_it():
    """total_blocks of each disk's entry, 0xE8 in the metadata: here the second is 1 MiB larger."""
    data = [bytearray(d) for d in members("imsm", "r0")]
    tail = len(data[0]) - 1024
    table = [data[0][tail + 0xD8 + 48 * i : tail + 0xD8 + 48 * i + 16].rstrip(b"\0") for i in range(2)]
    large = table.index(b"/dev/loop1")
    for disk in data:
        struct.pack_into("<I", disk, len(disk) - 1024 + 0xD8 + 48 * large + 16, 24576 + 2048)
        reseal(disk)
    data[1] = data[1][: len(data[1]) - 8192] + bytes(1 << 20) + data[1][-8192:]
    found, findings = opened([bytes(d) for d in data], names="disk{}")
    assert sha256(found[0]) == INDEX["imsm"]["r0"]["sums"][0]
    assert any("by its size" in f for f in findings)


def test_a_disk_that_fell_out_is_left_out_and_given_as_it_was():
    found, findings = opened(members("imsm", "stale"))
    assert any("generation 3, the newest is 5" in f for f in findings)
    now, then = found
    assert (now.state, then.state) == ("allocated", "snapshot")
    assert sha256(now) == INDEX["imsm"]["stale"]["sums"][0]
    a, b = now.read_at(0, now.size), then.read_at(0, then.size)
    assert [at for at in range(0, len(a), 4096) if a[at : at + 4096] != b[at : at + 4096]] == list(range(4096, 4096 * 10, 4096))


@pytest.mark.drivers
@pytest.mark.parametrize("name", SETS)
def test_the_same_volumes_as_mdadm(name, tmp_path):
    if shutil.which("mdadm") is None:
        pytest.skip("mdadm is not installed")
    data = members("imsm", name)
    path = tmp_path / "member"
    path.write_bytes(data[0])
    env = {"IMSM_NO_PLATFORM": "1", "IMSM_DEVNAME_AS_SERIAL": "1", "PATH": "/usr/sbin:/sbin"}
    made = subprocess.run(["losetup", "-r", "-f", "--show", path], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop device (mdadm reads this metadata of block devices only): {made.stderr.strip()}")
    try:
        said = subprocess.run(["mdadm", "--examine", made.stdout.strip()], capture_output=True, text=True, check=True, env=env).stdout
    finally:
        subprocess.run(["losetup", "-d", made.stdout.strip()], check=True)
    found = [v for v in opened(data)[0] if v.state == "allocated"]
    theirs = [line.strip()[1:-2] for line in said.splitlines() if line.startswith("[")]
    assert [v.label.partition("/")[2] for v in found] == theirs
    sizes = [int(line.partition(":")[2].split()[0]) * 512 for line in said.splitlines() if "Array Size" in line]
    assert [v.size for v in found] == sizes


def test_a_change_of_layout_under_way_is_refused_in_words():
    data = [bytearray(d) for d in members("imsm", "r1")]
    for disk in data:
        head = len(disk) - 1024
        size = int.from_bytes(disk[head + 36 : head + 40], "little")
        raw = bytearray(disk[head : head + size])
        dev = 0xD8 + 2 * 48
        raw[dev + 88], raw[dev + 89] = 1, 3  # migr_state, migr_type: then a second map follows the first, of 48 bytes and 2 members
        raw += raw[dev + 112 : dev + 168]
        struct.pack_into("<I", raw, 36, len(raw))
        disk[head : head + 512] = raw[:512]
        disk[head - 512 : head] = raw[512:].ljust(512, b"\0")
        reseal(disk)
    budget = Budget()
    with pytest.raises(Unsupported):
        FORMAT.open([volume(bytes(d), i) for i, d in enumerate(data)], budget)
    assert any("layout is being changed" in f.found for f in budget.findings)


def test_a_flipped_bit_in_the_metadata_costs_that_disk_alone():
    data = [bytearray(d) for d in members("imsm", "r5")]
    data[1][len(data[1]) - 1024 + 0xD8] ^= 1
    found, findings = opened([bytes(d) for d in data])
    assert sha256(found[0]) == INDEX["imsm"]["r5"]["sums"][0]
    assert any("Intel RAID metadata: checksum" in f for f in findings)


def test_pieces_name_the_disks_they_lie_on():
    found, _ = opened(members("imsm", "r0"))
    spans = found[0].trace(0, 2 * 16384)
    # mdadm --examine of the guest: disk 0 is /dev/loop1, disk 1 /dev/loop0; both start at sector 0.
    assert [(s.root, s.start, s.length) for s in spans] == [("ST-devloop1.dd", 0, 16384), ("ST-devloop0.dd", 0, 16384)]
    degraded = opened(members("imsm", "r5"), [0])[0][0]
    assert {s.via for s in degraded.trace(0, degraded.size)} == {(), ("parity",)}


class TestDegraded(SourceContract):
    def make(self):
        whole = opened(members("imsm", "r5"))[0][0]
        return opened(members("imsm", "r5"), [1])[0][0].data, whole.read_at(0, whole.size)


def test_what_is_no_member():
    for data in (b"", bytes(1 << 17), b"Intel Raid ISM Cfg Sig. 1.0.00" + bytes(2000)):
        assert not probe(MemorySource(data))
        with pytest.raises(NotThisFormat):
            FORMAT.open([volume(data, 0)], Budget())
