"""Arrays of whole disks through the front door: the first member begins with the array's own partition table."""

from __future__ import annotations

import shutil
import struct
import subprocess

import pytest

import forensiclib as fl
from forensiclib.core.source import ConcatSource, MemorySource, fill_bad
from forensiclib.volumes._raid import Missing
from tests.volumes.arrays import INDEX, members, sha256


def written(data, tmp_path, name="d{}.dd"):
    paths = [tmp_path / name.format(i) for i in range(len(data))]
    for path, raw in zip(paths, data, strict=True):
        path.write_bytes(raw)
    return paths


@pytest.mark.parametrize(("kind", "name"), [("ddf", "r5left-symmetric"), ("ddf", "two"), ("imsm", "r5"), ("imsm", "two")])
def test_members_on_several_images(kind, name, tmp_path):
    paths = written(members(kind, name), tmp_path, "devloop{}.dd")
    with fl.open_image(paths[0], others=paths[1:]) as image:
        volumes = image.volumes()
        assert [sha256(v) for v in volumes if v.scheme == kind and v.state == "allocated"] == INDEX[kind][name]["sums"]
        assert {v.member_of for v in volumes if v.scheme == "disk"} == {kind}
        made = [v for v in volumes if v.scheme == kind and v.state == "allocated"][-1]
        assert made.layers == ("raw", "disk:0", f"{kind}:{len(INDEX[kind][name]['sums'])}")
        assert {s.root for s in made.trace(0, made.size)} == {p.name for p in paths}


def test_a_mirror_that_begins_with_a_partition_table_is_a_mirror_first(tmp_path):
    """Both members carry the table in their first sector; read by it, the metadata would look like free space."""
    data = [bytearray(d) for d in members("imsm", "r1")]
    for disk in data:
        disk[:512] = bytes(446) + struct.pack("<B3xB3xII", 0, 0x83, 8, 1000) + bytes(48) + b"\x55\xaa"
    paths = written([bytes(d) for d in data], tmp_path)
    with fl.open_image(paths[0], others=paths[1:]) as image:
        found = {v.name: (v.scheme, v.start, v.size) for v in image.volumes() if v.state == "allocated"}
    assert found["0.imsm1.1"] == ("mbr", -1, 1000 * 512)
    assert set(found) == {"0", "with1.0", "0.imsm1", "0.imsm1.1"}


def test_whole_disks_with_a_superblock_at_their_end(tmp_path):
    """Version 1.0: the disk with the first chunk (the second one; Q comes before it) begins with the partition table of the array."""
    data = [bytearray(d) for d in members("md", "r6")]
    data[1][:512] = bytes(446) + struct.pack("<B3xB3xII", 0, 0x83, 8, 1000) + bytes(48) + b"\x55\xaa"
    paths = written([bytes(d) for d in data], tmp_path)
    with fl.open_image(paths[1], others=[paths[0], *paths[2:]]) as image:
        found = {v.name: (v.scheme, v.size) for v in image.volumes() if v.state == "allocated" and not v.name.startswith("with")}
    assert found == {"0": ("disk", len(data[1])), "0.md1": ("md", INDEX["md"]["r6"]["size"]), "0.md1.1": ("mbr", 512000)}


def test_a_superblock_of_the_last_partition_is_not_the_disks(tmp_path):
    """A partition that ends with the disk has its superblocks of versions 1.0 and 0.90 where the disk's would be."""
    for name in ("r6", "v090r1"):
        member = members("md", name)[0]
        disk = bytes(446) + struct.pack("<B3xB3xII", 0, 0xFD, 128, len(member) // 512) + bytes(48) + b"\x55\xaa" + bytes(127 * 512) + member
        (path,) = written([disk], tmp_path, name + "{}.dd")
        with fl.open_image(path) as image:
            assert [(v.name, v.member_of) for v in image.volumes() if v.start == 65536] == [("1", "md")]


def test_metadata_left_behind_does_not_hide_the_partition_table(tmp_path):
    """One disk of a former stripe, in use by itself now: the layer refuses, the table is read."""
    disk = bytearray(members("imsm", "r0")[0])
    disk[:512] = bytes(446) + struct.pack("<B3xB3xII", 0, 0x83, 8, 1000) + bytes(48) + b"\x55\xaa"
    (path,) = written([bytes(disk)], tmp_path)
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        found = [(v.name, v.start, v.size) for v in image.volumes() if v.state == "allocated" and not v.member_of]
    assert found == [("0.1", 8 * 512, 1000 * 512)]
    assert any(f.kind == "Unsupported" and f.room == "imsm" for f in run.findings)


def holed(data: bytes, root: str, *holes: int) -> ConcatSource:
    """The bytes, of which the sectors at ``holes`` cannot be read."""
    parts, at, whole = [], 0, MemorySource(data, root)
    for hole in holes:
        parts += [whole.slice(at, hole - at), Missing(512, "a bad sector")]
        at = hole + 512
    return ConcatSource([*parts, whole.slice(at)])


@pytest.mark.parametrize(("kind", "name"), [("ddf", "r5left-symmetric"), ("md", "r5left-symmetric"), ("lvm", "raid5ls"), ("lvm", "raid1")])
def test_sectors_that_cannot_be_read_are_worked_out_from_the_other_members(kind, name):
    data = members(kind, name)
    with fl.open_image(MemorySource(data[0], "d0"), others=[MemorySource(d, f"d{i}") for i, d in enumerate(data) if i]) as image:
        (whole,) = [v for v in image.volumes() if v.scheme == kind and v.state == "allocated"]
        wanted = sha256(whole)
        spans = whole.trace(0, whole.size)
    holes = [[s.start for s in spans if s.root == f"d{i}"][k : k + 1] for k, i in enumerate(range(len(data)))]
    sources = [holed(d, f"d{i}", *holes[i]) for i, d in enumerate(data)]
    assert sum(map(len, holes)) >= 1
    with fl.open_image(sources[0], others=sources[1:]) as image:
        (made,) = [v for v in image.volumes() if v.scheme == kind and v.state == "allocated"]
        assert sha256(made) == wanted
        assert not made.damaged


def test_what_lies_on_a_missing_disk_is_not_tried_sector_by_sector():
    """Half of a spanned volume may be terabytes."""
    said = []
    source = fill_bad(ConcatSource([MemorySource(b"here" * 256, "d"), Missing(1 << 40, "disk 2 is not there")]), said.append, 512)
    assert source.read_at(1024, 64 << 20) == bytes(64 << 20)
    assert [str(error) for error in said] == ["missing member: disk 2 is not there"]
    assert source.read_at(0, 2048) == b"here" * 256 + bytes(1024)
    assert len(said) == 3


def test_damage_where_a_layer_looks_does_not_hide_the_partition_table():
    disk = bytearray(1 << 20)
    disk[:512] = bytes(446) + struct.pack("<B3xB3xII", 0, 0x83, 8, 1000) + bytes(48) + b"\x55\xaa"
    run = fl.Run()
    with fl.open_image(holed(bytes(disk), "d", 3072, len(disk) - 1024), run=run) as image:
        assert [(v.name, v.start) for v in image.volumes() if v.state == "allocated"] == [("1", 4096)]
    assert any(f.kind == "Unreadable" for f in run.findings)


@pytest.mark.drivers
def test_encryption_at_the_start_of_a_mirror_is_that_of_the_array(tmp_path):
    if shutil.which("cryptsetup") is None:
        pytest.skip("cryptsetup is not installed")
    size = INDEX["imsm"]["r1"]["sizes"][0]
    plain = tmp_path / "luks"
    plain.write_bytes(bytes(16 << 20))
    words = ["cryptsetup", "luksFormat", "-q", "--type", "luks1", "--pbkdf-force-iterations", "1000", "--key-file", "-", plain]
    subprocess.run(words, input=b"secret", check=True, capture_output=True)
    data = [bytearray(d) for d in members("imsm", "r1")]
    for disk in data:
        disk[:size] = plain.read_bytes()[:size]
    paths = written([bytes(d) for d in data], tmp_path)
    with fl.open_image(paths[0], others=paths[1:]) as image:
        locked = [v.name for v in image.volumes() if v.locked]
    assert locked == ["0.imsm1"]
