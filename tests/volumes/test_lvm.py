"""Volume groups that Linux wrote: content against the kernel's own digests, structure against libvslvm."""

from __future__ import annotations

import io
import itertools
import zlib

import pytest

from forensiclib.core.errors import NotThisFormat, Unreadable
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes.lvm import FORMAT, probe
from tests.volumes.arrays import INDEX, members, opened, sha256, volume

GROUPS = sorted(INDEX["lvm"])
LOSES = {"mirror": 1, "raid1": 2, "raid10": 1, "raid4": 1} | {n: 2 if n[4] == "6" else 1 for n in GROUPS if n[:5] in ("raid5", "raid6")}
"""Members that each layout can do without, by lvmraid(7)."""


@pytest.mark.parametrize("name", GROUPS)
def test_volumes_read_as_the_kernel_read_them(name):
    volumes, _ = opened(FORMAT, members("lvm", name))
    seen = {v.label.partition("/")[2]: sha256(v) for v in volumes if v.state in ("allocated", "snapshot")}
    assert seen == {k: v for k, v in INDEX["lvm"][name]["sums"].items() if k != "pool"}
    assert [v.index for v in volumes] == list(range(1, len(volumes) + 1))


@pytest.mark.parametrize("name", sorted(LOSES))
def test_every_member_may_be_gone_that_the_layout_can_spare(name):
    data = members("lvm", name)
    for lost in itertools.combinations(range(len(data)), LOSES[name]):
        volumes, findings = opened(FORMAT, data, lost)
        (found,) = [v for v in volumes if v.state == "allocated"]
        assert sha256(found) == INDEX["lvm"][name]["sums"]["data"], lost
        unused = name == "mirror" and 2 in lost
        assert sum("is not there" in f for f in findings) == len(lost), (lost, unused)


@pytest.mark.parametrize("name", ["raid0", "raid0meta", "raid5ls", "raid6zr", "raid10"])
def test_one_member_more_and_its_bytes_are_unreadable_never_zero(name):
    data = members("lvm", name)
    lost = tuple(range(LOSES.get(name, 0) + 1))
    (found,) = [v for v in opened(FORMAT, data, lost)[0] if v.state == "allocated"]
    truth = next(v for v in opened(FORMAT, data)[0] if v.state == "allocated").read_at(0, found.size)
    bad = 0
    for at in range(0, found.size, 4096):
        try:
            assert found.read_at(at, 4096) == truth[at : at + 4096]
        except Unreadable:
            bad += 1
            assert [s.via for s in found.trace(at, 4096)] == [("missing",)]
    assert bad


def test_a_deleted_volume_comes_back_from_the_ring():
    volumes, findings = opened(FORMAT, members("lvm", "simple"))
    (gone,) = [v for v in volumes if v.state == "deleted"]
    assert (gone.label, sha256(gone)) == ("simple/gone", INDEX["lvm"]["simple"]["deleted"]["gone"])
    assert "Note LVM logical volume: deleted after generation 6; 0 of its 3 extents belong to others now" in findings
    assert "Note LVM metadata: generation 7 is in force; the ring still holds 1, 2, 3, 4, 5, 6" in findings


def test_free_extents_and_volumes_cover_the_physical_volumes():
    """15 extents of 64 KiB on each of three volumes, of which pvs counts 7 + 2 + 6 in use."""
    volumes, _ = opened(FORMAT, members("lvm", "simple"))
    assert sum(v.size for v in volumes if v.state == "slack") == (45 - 15) * 65536


def test_pieces_name_the_members_they_lie_on():
    volumes, _ = opened(FORMAT, members("lvm", "simple"))
    by_name = {v.label: v for v in volumes}
    assert [(s.root, s.length) for s in by_name["simple/one"].trace(0, 1 << 30)] == [("member0", 3 * 65536), ("member0", 4 * 65536)]
    roots = [(s.root, s.length) for s in by_name["simple/striped"].trace(0, 16384)]
    assert roots == [("member0", 4096), ("member1", 4096), ("member2", 4096), ("member0", 4096)]
    data = members("lvm", "raid5ls")
    whole = next(v for v in opened(FORMAT, data)[0] if v.state == "allocated")
    for span in whole.trace(0, whole.size):
        assert span.exact
    degraded = next(v for v in opened(FORMAT, data, [1])[0] if v.state == "allocated")
    assert {s.via for s in degraded.trace(0, degraded.size)} == {(), ("parity",)}


def test_the_same_linear_volume_as_libvslvm():
    """Version 20260901 refuses striped segments and groups of several members; here is one that it reads."""
    pyvslvm = pytest.importorskip("pyvslvm", reason="libvslvm-python is the second reader")
    (data,) = members("lvm", "snap")
    handle, file = pyvslvm.handle(), io.BytesIO(data)
    handle.open_file_object(file)
    handle.open_physical_volume_files_as_file_objects([file])
    theirs = handle.get_volume_group().get_logical_volume(0)
    ours = opened(FORMAT, [data])[0][0]
    assert (ours.label, ours.size) == (f"snap/{theirs.name}", theirs.size)
    assert theirs.read_buffer_at_offset(theirs.size, 0) == ours.read_at(0, ours.size)


class TestThinContract(SourceContract):
    def make(self):
        found = next(v for v in opened(FORMAT, members("lvm", "thin"))[0] if v.label == "thin/snap")
        return found.data, found.read_at(0, found.size)

    def root(self):
        return {f"member{i}": d for i, d in enumerate(members("lvm", "thin"))}


class TestDegradedContract(SourceContract):
    def make(self):
        data = members("lvm", "raid6zr")
        truth = next(v for v in opened(FORMAT, data)[0] if v.state == "allocated")
        return next(v for v in opened(FORMAT, data, [0, 2])[0] if v.state == "allocated").data, truth.read_at(0, truth.size)


def test_a_thin_tree_whose_leaf_is_damaged_is_unreadable_there_and_reported():
    """A flipped bit in every node of the device's own tree: nothing of it is taken for zeros."""
    (data,) = members("lvm", "thin")
    damaged = bytearray(data)
    for at in range(0, len(data) - 4096, 4096):
        node = data[at : at + 32]
        if node[4:8] == b"\2\0\0\0" and 0 < int.from_bytes(node[16:20], "little") <= 252 and node[20:28] == b"\xfc\0\0\0\x08\0\0\0":
            damaged[at + 4000] ^= 1
    volumes, findings = opened(FORMAT, [bytes(damaged)])
    assert any("thin pool B-tree: checksum" in f for f in findings)
    for found in volumes:
        if found.type_code == "thin":
            with pytest.raises(Unreadable):
                found.read_at(0, 4096)


def test_a_bad_checksum_of_the_metadata_is_reported_and_another_copy_used():
    data = [bytearray(d) for d in members("lvm", "simple")]
    at = data[0].find(b"seqno = 7")
    data[0][at] ^= 1
    volumes, findings = opened(FORMAT, [bytes(d) for d in data])
    assert [f for f in findings if f.startswith("Corrupt LVM metadata: checksum")]
    assert {v.label for v in volumes if v.state == "allocated"} == {"simple/one", "simple/two", "simple/striped"}
    for copy in data[1:]:
        copy[copy.find(b"seqno = 7")] ^= 1
    volumes, findings = opened(FORMAT, [bytes(d) for d in data])
    assert "Corrupt LVM metadata: no metadata in force holds; generation 6 of group 'simple' is used" in findings


def test_the_checksum_is_crc32_with_lvms_seed():
    """doc/lvm_ondisk_format: seed 0xf597a6cf; the label of a volume that pvcreate wrote holds it."""
    label = members("lvm", "raid1")[0][512:1024]
    assert (zlib.crc32(label[20:], 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF).to_bytes(4, "little") == label[16:20]


def test_what_is_no_member():
    for data in (b"", bytes(4096), b"LABELONE" + bytes(2040), b"LABELONE" * 256):
        assert not probe(MemorySource(data))
        with pytest.raises(NotThisFormat):
            FORMAT.open([volume(data, 0)], Budget())
