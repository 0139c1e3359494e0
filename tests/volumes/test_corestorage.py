"""CoreStorage groups and FileVault 2: the volume of cryptsetup's tests, which macOS made, and groups written from libfvde's description of
the format, which libfvde reads as well."""

from __future__ import annotations

import io

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, Locked, NotThisFormat, Unreadable
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.crypto.filevault import ENCRYPTION
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes.corestorage import FORMAT, probe
from tests.volumes.arrays import volume
from tests.volumes.csmade import BLOCK, FREE, META, Lv, group, weak

HFS = bytes(1024) + b"H+\0\4" + bytes(range(256)) * 200


def made(volumes, sizes=(400,), without=(), **more):
    budget = Budget()
    devices = group(volumes, sizes, **more)
    return FORMAT.open([volume(bytes(d), i) for i, d in enumerate(devices) if i not in without], budget), [
        f"{f.kind} {f.what}: {f.found}" for f in budget.findings
    ]


def opened(found, keys: Keys, budget: Budget | None = None):
    assert ENCRYPTION.probe(found)
    return ENCRYPTION.open(found, Budget()).unlock(keys, budget or Budget())


def theirs(devices, password="", recovery="") -> bytes:
    """The first logical volume as libfvde reads it."""
    pyfvde = pytest.importorskip("pyfvde", reason="libfvde-python is the second reader")
    other, files = pyfvde.volume(), [io.BytesIO(bytes(d)) for d in devices]
    other.open_file_object(files[0])
    other.open_physical_volume_files_as_file_objects(files)
    logical = other.get_volume_group().get_logical_volume(0)
    if password:
        logical.set_password(password)
    if recovery:
        logical.set_recovery_password(recovery)
    assert logical.unlock()
    return logical.read_buffer_at_offset(logical.size, 0)


CASES = {
    "one": ([Lv("Sec", [(0, 110, 20)], HFS, "password", "AB12-CD34")], (400,)),
    "segments": ([Lv("Two", [(0, 200, 7), (0, 110, 20), (0, 300, 3)], HFS, "password", "AB12-CD34")], (400,)),
    "based": ([Lv("Based", [(0, 150, 20)], HFS, "password", "AB12-CD34", base=140)], (400,)),
    "packed": ([Lv("Packed", [(0, 110, 20)], HFS, "password", "AB12-CD34", packed=True)], (400,)),
    "fusion": ([Lv("Fused", [(0, 110, 11), (1, 200, 9)], HFS, "password", "AB12-CD34")], (400, 300)),
    "plain": ([Lv("Plain", [(0, 110, 11), (0, 200, 9)], HFS)], (400,)),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_groups_read_as_libfvde_reads_them(name):
    volumes, sizes = CASES[name]
    devices = group(volumes, sizes)
    found = made(volumes, sizes)[0][0]
    want = HFS.ljust(volumes[0].blocks * BLOCK, b"\0")
    if name == "plain":
        assert not ENCRYPTION.probe(found)
        assert found.read_at(0, found.size) == want == theirs(devices)
        return
    for keys in (Keys("password"), Keys(recovery="AB12-CD34"), Keys(recovery="ab12cd34")):
        assert opened(found, keys).read_at(0, found.size) == want
    assert theirs(devices, "password") == want == theirs(devices, recovery="AB12-CD34")
    with pytest.raises(Locked):
        opened(found, Keys("wrong"))


def test_several_volumes_of_one_group_and_what_belongs_to_none():
    lvs = [Lv("A", [(0, 110, 10)], HFS, "one"), Lv("B", [(0, 130, 10)], b"H+".rjust(1026, b"\0"))]
    volumes, findings = made(lvs)
    assert [(v.label, v.state, v.size) for v in volumes if v.state == "allocated"] == [(lv.name, "allocated", 10 * BLOCK) for lv in lvs]
    assert [v.type_code for v in volumes[:2]] == [str(lv.id) for lv in lvs]
    slack = [(v.start // BLOCK, v.size // BLOCK) for v in volumes if v.state == "slack"]
    assert slack == [(FREE, 110 - FREE), (120, 10), (140, 400 - 17 - 140), (399, 1)]
    assert not findings and [v.index for v in volumes] == list(range(1, len(volumes) + 1))


def test_a_volume_that_is_no_more_is_named():
    _, findings = made([Lv("Now", [(0, 110, 10)], HFS)], gone=(Lv("Before", [(0, 130, 10)], HFS),))
    assert any("logical volumes that are no more: Before" in f for f in findings)


@pytest.mark.parametrize(("lost", "bad"), [(1, (9, 20)), (0, None)])
def test_half_of_a_fusion_set(lost, bad):
    """Without the second its part is unreadable, never zeros. Without the first there are no metadata."""
    lv = Lv("Fused", [(0, 110, 9), (1, 200, 11)], HFS)
    if bad is None:
        with pytest.raises(Corrupt, match="no block of the encrypted metadata"):
            made([lv], (400, 300), without=(lost,))
        return
    volumes, findings = made([lv], (400, 300), without=(lost,))
    found = volumes[0]
    for number in range(20):
        if bad[0] <= number < bad[1]:
            with pytest.raises(Unreadable, match="not there"):
                found.read_at(number * BLOCK, BLOCK)
        else:
            assert found.read_at(number * BLOCK, BLOCK) == HFS.ljust(20 * BLOCK, b"\0")[number * BLOCK : (number + 1) * BLOCK]
    assert any("is not there" in f for f in findings)


def test_a_fusion_set_on_two_images(tmp_path):
    paths = [tmp_path / "ssd.dd", tmp_path / "disk.dd"]
    for path, device in zip(paths, group([Lv("Fused", [(0, 110, 9), (1, 200, 11)], HFS, "pw")], (400, 300)), strict=True):
        path.write_bytes(device)
    with fl.open_image(paths[0], others=[paths[1]], run=fl.Run(keys=Keys("pw"))) as image:
        found = image.volume("0.corestorage1")
        assert found.read_at(0, len(HFS)) == HFS
        assert {s.root for s in found.trace(0, found.size)} == {"ssd.dd", "disk.dd"}


def test_bytes_in_no_segment_are_unreadable():
    volumes, _ = made([Lv("Gap", [(0, 110, 5), (0, 120, 5)], HFS, hole=2)])
    assert volumes[0].read_at(0, 5 * BLOCK) == HFS[: 5 * BLOCK]
    with pytest.raises(Unreadable, match="no segment"):
        volumes[0].read_at(5 * BLOCK, 1)


@pytest.mark.parametrize("copies", [1, 2, 4])
def test_labels_fall_back_to_a_copy_that_holds(copies):
    devices = group([Lv("A", [(0, 110, 10)], HFS)])
    for area in (1, 9, 400 - 17, 400 - 9)[:copies]:
        devices[0][area * BLOCK + 100] ^= 0xFF
    budget = Budget()
    if copies == 4:
        with pytest.raises(Corrupt, match="none of the copies"):
            FORMAT.open([volume(bytes(devices[0]), 0)], budget)
        return
    assert FORMAT.open([volume(bytes(devices[0]), 0)], budget)[0].label == "A"
    assert [f.kind for f in budget.findings] == ["Corrupt"] * copies


def test_the_header_at_the_end_serves_when_the_first_is_damaged():
    devices = group([Lv("A", [(0, 110, 10)], HFS)])
    devices[0][70] ^= 0xFF
    budget = Budget()
    assert FORMAT.open([volume(bytes(devices[0]), 0)], budget)[0].read_at(0, BLOCK) == HFS[:BLOCK]
    assert "the checksum of the header at 0 does not hold" in budget.findings[0].found
    devices[0][:512] = bytes(512)
    assert probe(MemorySource(bytes(devices[0])))


def test_one_good_copy_of_a_block_of_metadata_is_enough():
    devices = group([Lv("A", [(0, 110, 10)], HFS)])
    for number in range(4):
        start = META[number % 2]
        devices[0][start * BLOCK + number * 8192 + 900] ^= 0xFF
    budget = Budget()
    assert FORMAT.open([volume(bytes(devices[0]), 0)], budget)[0].read_at(0, BLOCK) == HFS[:BLOCK]
    assert sum("blocks do not hold" in f.found for f in budget.findings) == 2


def test_a_size_that_cannot_be_gives_nothing_and_says_so():
    lv = Lv("Huge", [(0, 110, 10)], HFS, hole=1 << 40)
    lv.segments.append((0, 130, 1))
    volumes, findings = made([lv])
    assert volumes[0].size == 0 and any("cannot be" in f for f in findings)


def test_other_bytes_are_no_group():
    for data in (b"", bytes(1 << 16), b"\xff" * (1 << 16)):
        assert not probe(MemorySource(data))
        with pytest.raises(NotThisFormat):
            FORMAT.open([volume(data, 0)], Budget())


def test_the_writers_checksum_is_the_published_one():
    """CRC-32C of "123456789" is E3069283 (RFC 3720); this one is not inverted at its end."""
    assert weak(b"123456789") ^ 0xFFFFFFFF == 0xE3069283


class TestPlainContract(SourceContract):
    def make(self):
        return made(CASES["plain"][0])[0][0].data, HFS.ljust(20 * BLOCK, b"\0")

    def root(self):
        return {"member0": bytes(group(CASES["plain"][0])[0])}
