"""Containers that mdadm wrote and Linux's md driver filled, read against the driver's own digests; what mdadm --examine says."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
import zlib

import pytest

from forensiclib.core.errors import NotThisFormat, Unreadable
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes.ddf import FORMAT, probe
from tests.volumes.arrays import INDEX, members, opened, sha256, volume

SETS = sorted(INDEX["ddf"])
SPARE = {"r1": 1, "r10": 1} | {n: 1 for n in SETS if n.startswith("r5")} | {n: 2 for n in SETS if n.startswith("r6")}
"""Disks that each level can do without, whichever they are."""


def volumes(name: str, lost=()):
    made, findings = opened(FORMAT, members("ddf", name), lost)
    return [v for v in made if v.state != "slack"], findings


def reseal(data: bytearray, at: int, size: int = 512) -> None:
    """The CRC of a structure again, in the form that mdadm writes: it starts from zero and is not inverted."""
    raw = bytes(data[at : at + 4]) + b"\xff" * 4 + bytes(data[at + 8 : at + size])
    struct.pack_into(">I", data, at + 4, zlib.crc32(raw, 0xFFFFFFFF) ^ 0xFFFFFFFF)


def places(data: bytes | bytearray) -> tuple[int, int]:
    """Byte offsets of the primary and the secondary header, as the anchor has them (specification 4.2)."""
    primary, secondary = struct.unpack_from(">QQ", data, len(data) - 512 + 96)
    return primary * 512, secondary * 512


@pytest.mark.parametrize("name", SETS)
def test_virtual_disks_read_as_the_driver_read_them(name):
    found, _ = volumes(name)
    assert [(v.size, sha256(v)) for v in found] == list(zip(INDEX["ddf"][name]["sizes"], INDEX["ddf"][name]["sums"], strict=True))


@pytest.mark.parametrize("name", sorted(SPARE))
def test_every_disk_may_be_gone_that_the_level_can_spare(name):
    count = len(INDEX["ddf"][name]["members"])
    for k in range(1, SPARE[name] + 1):
        for lost in itertools.combinations(range(count), k):
            (found,), findings = volumes(name, lost)
            assert sha256(found) == INDEX["ddf"][name]["sums"][0], lost
            assert any("are not there" in f for f in findings)


@pytest.mark.parametrize("name", ["r0", "r5left-symmetric", "r6ddf-N-restart", "r10"])
def test_one_disk_more_and_its_bytes_are_unreadable_never_zero(name):
    (whole,), _ = volumes(name)
    count = len(INDEX["ddf"][name]["members"])
    worst = 0
    for lost in itertools.combinations(range(count), SPARE.get(name, 0) + 1):
        (found,), findings = volumes(name, lost)
        assert any("Unreadable DDF" in f for f in findings)
        for at in range(0, found.size, 4096):
            try:
                assert found.read_at(at, 4096) == whole.read_at(at, 4096)
            except Unreadable:
                worst += 1
                assert found.trace(at, 4096)[0].via == ("missing",)
    assert worst


def test_the_order_of_the_images_does_not_matter():
    for name in ("r0", "r5right-asymmetric", "r10"):
        found = opened(FORMAT, members("ddf", name)[::-1])[0][0]
        assert sha256(found) == INDEX["ddf"][name]["sums"][0]


def test_names_levels_and_free_space():
    found, findings = volumes("two")
    assert [(v.label, v.kind, v.scheme) for v in found] == [("five", "DDF RAID 5", "ddf"), ("zero", "DDF RAID 0", "ddf")]
    assert findings == []
    made, _ = opened(FORMAT, members("ddf", "two"))
    # mdadm --examine: extents of 128 KiB of each virtual disk on each disk; everything else is in none.
    assert sum(v.size for v in made if v.state == "slack") == sum(INDEX["ddf"]["two"]["members"]) - 3 * 2 * 131072


@pytest.mark.drivers
@pytest.mark.parametrize("name", ["r0", "r5left-symmetric", "r6ddf-zero-restart", "r10", "two"])
def test_the_same_virtual_disks_as_mdadm(name, tmp_path):
    if shutil.which("mdadm") is None:
        pytest.skip("mdadm is not installed")
    path = tmp_path / "member"
    path.write_bytes(members("ddf", name)[0])
    said = subprocess.run(["mdadm", "--examine", path], capture_output=True, text=True, check=True).stdout
    found, _ = volumes(name)
    theirs = [line.partition(":")[2].strip() for line in said.splitlines() if line.strip().startswith("Name[")]
    assert [v.label for v in found] == theirs
    sizes = [int(line.partition(":")[2]) * 1024 for line in said.splitlines() if "Array Size[" in line]
    assert [v.size for v in found] == sizes


def test_a_disk_that_failed_is_left_out():
    """mdadm --fail, then the array was written to: the driver's digest is that of the degraded array."""
    (found,), findings = volumes("stale")
    assert sha256(found) == INDEX["ddf"]["stale"]["sums"][0]
    assert any("is failed by the newest header: not used" in f for f in findings)
    assert any("calls it degraded" in f for f in findings)
    assert {s.root for s in found.trace(0, found.size)} == {"member0", "member2"}
    made, _ = opened(FORMAT, members("ddf", "stale"))
    assert sum(v.size for v in made if v.state == "slack") == sum(INDEX["ddf"]["stale"]["members"]) - 2 * 131072


def test_copies_of_the_header_stand_in_for_each_other():
    data = [bytearray(d) for d in members("ddf", "r5left-symmetric")]
    for which in (0, 1):
        damaged = [bytearray(d) for d in data]
        for disk in damaged:
            disk[places(disk)[which] + 40] ^= 1
        made, findings = opened(FORMAT, [bytes(d) for d in damaged])
        assert sha256(made[0]) == INDEX["ddf"]["r5left-symmetric"]["sums"][0]
        assert sum("DDF header: checksum" in f for f in findings) == 4
    newer = [bytearray(d) for d in data]
    for disk in newer:
        at = places(disk)[1]
        struct.pack_into(">I", disk, at + 40, 1000)
        reseal(disk, at)
    _, findings = opened(FORMAT, [bytes(d) for d in newer])
    assert sum("the copies disagree" in f for f in findings) == 4


def test_a_disk_with_a_bad_anchor_is_a_missing_disk():
    data = [bytearray(d) for d in members("ddf", "r5left-symmetric")]
    data[2][-500] ^= 1
    made, findings = opened(FORMAT, [bytes(d) for d in data])
    assert sha256(made[0]) == INDEX["ddf"]["r5left-symmetric"]["sums"][0]
    assert any("DDF anchor: checksum" in f for f in findings)


@pytest.mark.parametrize(("field", "value", "words"), [(67, 0x03, "RAID 3"), (67, 0x25, "RAID 5EE"), (68, 9, "qualifier 9")])
def test_levels_that_are_not_read_are_named(field, value, words):
    """Offsets of the primary level and its qualifier: specification, table of the VD configuration record."""
    data = [bytearray(d) for d in members("ddf", "r5left-symmetric")]
    for disk in data:
        for head in places(disk):
            start, size = struct.unpack_from(">II", disk, head + 216)
            width = struct.unpack_from(">H", disk, head + 134)[0] * 512
            for at in range(head + start * 512, head + (start + size) * 512, width):
                if disk[at : at + 4] == b"\xee" * 4:
                    disk[at + field] = value
                    reseal(disk, at, width)
    made, findings = opened(FORMAT, [bytes(d) for d in data])
    assert all(v.state == "slack" for v in made)
    assert sum(v.size for v in made) == sum(map(len, data))  # what is refused is not lost to carving
    assert any(f.startswith("Unsupported DDF virtual disk") and words in f for f in findings)


def test_pieces_name_the_disks_they_lie_on():
    (found,), _ = volumes("r5left-symmetric")
    spans = found.trace(0, 6 * 8192)
    # left-symmetric: row 0 is D0 D1 D2 P, row 1 goes on behind its parity, on the third. The driver's order of the disks (mdstat
    # of the guest) was loop1, loop3, loop0, loop2.
    assert [s.root for s in spans] == ["member1", "member3", "member0", "member2", "member1", "member3"]
    assert {s.start for s in spans} == {0, 8192}
    (degraded,), _ = volumes("r5left-symmetric", [1])
    assert {s.via for s in degraded.trace(0, 8192)} == {("parity",)}


class TestDegraded(SourceContract):
    def make(self):
        (whole,), _ = volumes("r6ddf-N-continue")
        return volumes("r6ddf-N-continue", [1, 3])[0][0].data, whole.read_at(0, whole.size)


class TestSpanned(SourceContract):
    def make(self):
        (found,), _ = volumes("r10")
        return found.data, found.read_at(0, found.size)

    def root(self):
        return {f"member{i}": d for i, d in enumerate(members("ddf", "r10"))}


def test_what_is_no_member():
    for data in (b"", bytes(1 << 17), bytes(4096) + b"\xde\x11\xde\x11" + bytes(508)):
        assert not probe(MemorySource(data)) or len(data) == 4608
        with pytest.raises(NotThisFormat):
            FORMAT.open([volume(data, 0)], Budget())
