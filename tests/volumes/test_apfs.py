"""APFS containers: Apple's own against libfsapfs, mkapfs's against apfsck, and ones put together from the Reference."""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.entry import beneath
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.stores.apfs.objects import fletcher64, sealed
from forensiclib.stores.apfs.volume import ApfsVolume, minus, union
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes.apfs import FORMAT, probe
from tests.volumes.apfsmade import BLOCK, TIER2, XID, Made, Vol, container, fletcher, node, signed
from tests.volumes.arrays import opened, volume

APPLE = {
    "case_insensitive": ("Case Insensitive", 98, 0),
    "case_sensitive": ("Case Sensitive", 98, 0),
    "case_insensitive_beta": ("Case Insensitive (beta)", 15, 0),
    "jhfs_converted": ("JHFS+ Converted", 99, 0),
    "encrypted": ("Encrypted", 98, 0),
    "snapshot": ("Snapshots", 5813, 512),
}
"""Containers that macOS made for the tests of dissect.apfs: name, blocks allocated as the superblock says, snapshots."""
MB = 1 << 20


def apple(corpus: Path, name: str) -> bytes:
    path = corpus / "dissect.apfs" / f"{name}.bin.gz"
    if not path.is_file():
        pytest.skip("the containers of dissect.apfs's tests are not in the corpus (dissect.apfs/*.bin.gz)")
    return gzip.decompress(path.read_bytes())


def one(data: bytes):
    budget = Budget()
    return FORMAT.open([volume(data, 0)], budget), [f"{f.kind} {f.what}: {f.found}" for f in budget.findings]


def covered(volumes, size: int, snapshots: bool = True) -> None:
    """The volumes are every byte of the container once."""
    runs = sorted((s.start, s.length) for v in volumes for s in v.trace(0, v.size))
    assert sum(n for _, n in runs) == size
    assert union(runs) == [(0, size)]


def listed(data: bytes) -> list[tuple[str, str]]:
    """(name, identifier) of libfsapfs."""
    pyfsapfs = pytest.importorskip("pyfsapfs", reason="libfsapfs-python is the second reader")
    theirs = pyfsapfs.container()
    theirs.open_file_object(io.BytesIO(data))
    return [(v.name, v.identifier) for v in (theirs.get_volume(i) for i in range(theirs.number_of_volumes))]


@pytest.mark.corpus
def test_a_container_of_macos_as_libfsapfs_lists_it(corpus):
    data = (corpus / "dfvfs/apfs.raw").read_bytes()
    volumes, findings = one(data)
    assert [(v.label, v.type_code) for v in volumes if v.state == "allocated"] == listed(data) == [
        ("apfs_test", "458ed10d-8ac3-4af1-8dfd-3954d151a3f3")
    ]  # fmt: skip
    covered(volumes, len(data) // BLOCK * BLOCK)
    assert findings == ["Note APFS checkpoints: checkpoint 4 is in force; the ring still holds 3, 2, 1"]  # the counts agree, too


@pytest.mark.corpus
def test_the_root_of_its_tree_is_found_and_holds(corpus):
    found = next(v for v in one((corpus / "dfvfs/apfs.raw").read_bytes())[0] if v.state == "allocated")
    inside = beneath(found, ApfsVolume)
    raw = inside.node(inside.head.root_oid)
    assert sealed(raw) and b"passwords.txt" in raw  # a name in it, by dfvfs's tests
    with pytest.raises(Corrupt, match="no object"):
        inside.node(99999)


@pytest.mark.corpus
@pytest.mark.parametrize("name", sorted(APPLE))
def test_what_the_trees_list_is_what_the_superblock_counts(corpus, name):
    """apfs_fs_alloc_count: all but the superblock, and but the one that each snapshot keeps. Nothing of it is free."""
    data = apple(corpus, name)
    label, allocated, snapshots = APPLE[name]
    volumes, findings = one(data)
    (found,) = [v for v in volumes if v.state == "allocated"]
    kept = [v for v in volumes if v.state == "snapshot"]
    assert found.label == label and len(kept) == snapshots
    assert (found.size + sum(v.size for v in kept)) // BLOCK == allocated + 1 + snapshots
    assert not [f for f in findings if "stated" in f or "called free" in f]
    covered(volumes, len(data))
    if not snapshots:  # version 20260921 of libfsapfs reads no snapshot tree of two levels
        assert listed(data) == [(found.label, found.type_code)]
    else:
        assert [v.label for v in kept] == [f"Snapshots@Snapshot {i}" for i in range(512)]
        for number in (0, 100, 510):  # what dissect.apfs's tests know of the file that each one has
            assert f"Snapshot {number}\n".encode() in kept[number].read_at(0, kept[number].size)


@pytest.mark.corpus
def test_a_checkpoint_whose_object_map_is_damaged_gives_way_to_the_one_before(corpus):
    volumes, findings = one(apple(corpus, "corrupt"))
    assert findings[0].startswith("Corrupt APFS object map: block 0x6a: checksum")
    assert any("checkpoint 302 is in force" in f for f in findings)
    assert [v.label for v in volumes if v.state == "allocated"] == ["Mount me daddy"]


@pytest.mark.drivers
def test_what_mkapfs_makes_and_apfsck_finds_nothing_wrong_with(tmp_path):
    if shutil.which("mkapfs") is None and not Path("/usr/sbin/mkapfs").exists():
        pytest.skip("not installed: mkapfs (apfsprogs)")
    for size in (600 * MB, 40 << 30):
        path = tmp_path / f"{size}.img"
        with path.open("wb") as file:
            file.truncate(size)
        mine, its = "8c615519-fbaa-4932-b249-cb09a5cfb875", "00df510a-ffe6-4969-9607-efa24d864392"
        subprocess.run(["/usr/sbin/mkapfs", "-L", "Tést", "-U", mine, "-u", its, path], check=True, capture_output=True)
        assert subprocess.run(["/usr/sbin/apfsck", "-cuw", path], capture_output=True).returncode == 0
        budget = Budget()
        volumes = FORMAT.open([volume(FileSource(path), 0)], budget)
        assert [(v.label, v.type_code, v.size) for v in volumes if v.state == "allocated"] == [("Tést", its, 6 * BLOCK)]
        covered(volumes, size)
        assert not budget.findings, size  # what its bitmaps call free is what it counts
        path.unlink()


SEVERAL = [
    Vol("Data", 0x40, content=b"of Data"), Vol("System", 1, snapshots=("first", "second"), content=b"of System"),
    Vol("Preboot", 0x10), Vol("VM", 8, content=b"of VM"),
]  # fmt: skip


@pytest.mark.parametrize(("level", "cab"), [(0, False), (1, True)])
def test_several_volumes_with_roles_and_snapshots(level, cab):
    made = container(SEVERAL, level=level, cab=cab)
    data = bytes(made.devices[0])
    volumes, findings = one(data)
    live = [v for v in volumes if v.state == "allocated"]
    assert [(v.label, v.kind) for v in live] == [
        ("Data", "APFS volume, role Data"), ("System", "APFS volume, role System"), ("Preboot", "APFS volume, role Preboot"),
        ("VM", "APFS volume, role VM"),
    ]  # fmt: skip
    assert listed(data) == [(v.label, v.type_code) for v in live]
    first, second = [v for v in volumes if v.state == "snapshot"]
    assert (first.label, second.label) == ("System@first", "System@second")
    assert "transaction 3, taken 2020-09-13T12:26:40.123456Z" in first.kind
    assert first.read_at(BLOCK, 16) == b"content of first" and second.read_at(BLOCK, 17) == b"content of second"
    assert b"of System" in live[1].read_at(0, live[1].size) and live[1].read_at(32, 4) == b"APSB"
    free = next(v for v in volumes if v.kind == "free blocks")
    assert [(s.start // BLOCK, s.length // BLOCK) for s in free.trace(0, free.size)] == made.free
    covered(volumes, len(data))
    assert findings == [f"Note APFS checkpoints: checkpoint {XID} is in force; the ring still holds {XID - 1}"]


def test_the_front_door_says_that_a_volume_is_not_read(tmp_path):
    path = tmp_path / "disk.dd"
    path.write_bytes(container(SEVERAL).devices[0])
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        names = [(v.name, v.member_of) for v in image.volumes()]
        assert names[0] == ("0", "apfs") and names[1] == ("0.apfs1", "")
        with pytest.raises(Unsupported, match="APFS volume is recognised, and nothing of it is read"):
            image.volume("0.apfs1").filesystem()
        assert image.volume("0.apfs2").trace(5, 1)[0].start == 50 * BLOCK + 5


def test_a_case_says_that_it_was_not_examined(tmp_path):
    path = tmp_path / "disk.dd"
    path.write_bytes(container(SEVERAL).devices[0])
    case = fl.examine(path, tmp_path / "case", verify=False, carving=False)
    lines = json.loads((case.path / "ledger.json").read_text(encoding="utf-8"))
    left = {li["where"]: (li["bytes"], li["reason"]) for li in lines if li["what"] == "file system" and not li["examined"]}
    assert set(left) == {f"volume 0.apfs{n}" for n in range(1, 7)}  # four volumes, two snapshots
    assert left["volume 0.apfs1"][0] == 7 * BLOCK and "APFS volume is recognised" in left["volume 0.apfs1"][1]


def damaged(made: Made, block: int, at: int, value: bytes, again: bool = True) -> bytes:
    """The first device with bytes of a block changed, and its checksum made right."""
    data = bytearray(made.devices[0])
    data[block * BLOCK + at : block * BLOCK + at + len(value)] = value
    if again:
        data[block * BLOCK : (block + 1) * BLOCK] = signed(bytes(data[block * BLOCK : (block + 1) * BLOCK]))
    return bytes(data)


def test_a_damaged_newest_superblock_gives_way_to_the_one_before():
    made = container(SEVERAL)
    volumes, findings = one(damaged(made, 4, 100, b"\xff", again=False))
    assert len([v for v in volumes if v.state == "allocated"]) == 4 and not any("checkpoint 6" in f for f in findings)


def test_a_damaged_block_0_is_reported_and_the_ring_serves():
    volumes, findings = one(damaged(container(SEVERAL), 0, 1000, b"\xff", again=False))
    assert findings[0] == "Corrupt APFS container superblock: the checksum of block 0 does not hold"
    assert len([v for v in volumes if v.state == "allocated"]) == 4


def test_without_the_bitmap_nothing_is_called_free():
    volumes, findings = one(damaged(container(SEVERAL), 13, 60, b"\xff", again=False))
    assert any(f.startswith("Corrupt APFS space manager: block 0xd") for f in findings)
    (rest,) = [v for v in volumes if v.state == "slack"]
    assert rest.kind.endswith("free blocks, for they are not known")
    covered(volumes, 160 * BLOCK)


def test_trees_that_return_to_themselves_end():
    made = container(SEVERAL, level=1)
    loop = bytearray(made.devices[0])
    loop[16 * BLOCK : 17 * BLOCK] = node(16, [(bytes(16), (16).to_bytes(8, "little"))], 0xB, True, 1)
    with pytest.raises(EvidenceError):
        one(bytes(loop))[0][0].read_at(0, 1 << 20)
        raise Corrupt("no volume", None, "the map leads nowhere: nothing but slack")
    spin = bytearray(made.devices[0])
    entry = ((55 | 2 << 60).to_bytes(8, "little"), (54).to_bytes(8, "little"))
    spin[54 * BLOCK : 55 * BLOCK] = node(54, [entry, entry], 0xF, False, 1)
    volumes, findings = one(bytes(spin))
    assert any("the tree returns to block 0x36" in f for f in findings)
    covered(volumes, 160 * BLOCK)


def test_blocks_that_two_claim_or_that_are_called_free_are_reported():
    made = container(SEVERAL)
    free = made.free[-1][0]
    entry = ((free | 2 << 60).to_bytes(8, "little"), (3 | 1 << 60).to_bytes(8, "little") + bytes(12))
    data = bytearray(made.devices[0])
    data[34 * BLOCK : 35 * BLOCK] = node(34, [entry], 0xF, False)
    data[54 * BLOCK : 55 * BLOCK] = node(54, [entry], 0xF, False)
    volumes, findings = one(bytes(data))
    assert any("3 of its blocks are another volume's too" in f for f in findings)
    assert any("3 blocks of volumes are called free" in f for f in findings)
    assert sum(v.size for v in volumes) == 160 * BLOCK + 3 * BLOCK  # given to both


def test_both_devices_of_a_fusion_set_in_any_order():
    made = container([Vol("Fused", 0x40, content=b"near", far=b"far away")], fusion=32)
    for order in (made.devices, made.devices[::-1]):
        budget = Budget()
        volumes = FORMAT.open([volume(bytes(d), i) for i, d in enumerate(order)], budget)
        (found,) = [v for v in volumes if v.state == "allocated"]
        whole = found.read_at(0, found.size)
        assert b"near" in whole and b"far away" in whole
        at = whole.index(b"far away")
        (span,) = found.trace(at, 8)
        assert (span.root, span.start) == (f"member{1 if order is made.devices else 0}", BLOCK)
        assert sum(v.size for v in volumes) == (160 + 32) * BLOCK
        assert not [f for f in budget.findings if f.kind == "Corrupt"]
        inside = beneath(found, ApfsVolume)
        assert inside.content(TIER2 + 1, 1).read_at(0, 8) == b"far away" and inside.place(TIER2 + 1) == at


@pytest.mark.parametrize("number", [0, 1])
def test_one_device_of_a_fusion_set_is_refused(number):
    made = container([Vol("Fused", content=b"near", far=b"far")], fusion=32)
    with pytest.raises(Unsupported, match="one of the two devices"):
        one(bytes(made.devices[number]))


def test_the_first_device_twice_is_not_taken_for_a_set():
    """Blocks of the second device would be read from the first."""
    made = container([Vol("Fused", content=b"near", far=b"far")], fusion=32)
    with pytest.raises(Unsupported, match="twice"):
        FORMAT.open([volume(bytes(made.devices[0]), 0), volume(bytes(made.devices[0]), 1)], Budget())


def test_a_second_device_that_breaks_off_is_reported():
    made = container([Vol("Fused", content=b"near", far=b"far")], fusion=32)
    budget = Budget()
    FORMAT.open([volume(bytes(made.devices[0]), 0), volume(bytes(made.devices[1][: 20 * BLOCK]), 1)], budget)
    assert any(f.kind == "Truncated" and "32 blocks on the second device, which has 20" in f.found for f in budget.findings)


def test_a_set_on_two_images(tmp_path):
    made = container([Vol("Fused", 0x40, content=b"near", far=b"far away")], fusion=32)
    paths = [tmp_path / "ssd.dd", tmp_path / "disk.dd"]
    for path, device in zip(paths, made.devices, strict=True):
        path.write_bytes(device)
    with fl.open_image(paths[0], others=[paths[1]]) as image:
        found = image.volume("0.apfs1")
        assert b"far away" in found.read_at(0, found.size)
        assert image.volume("with1.0").member_of == "apfs"


def test_the_pre_release_format_is_refused():
    with pytest.raises(Unsupported, match="before its release"):
        one(damaged(container(SEVERAL), 0, 64, b"\x01"))


def test_a_container_that_cannot_be_opened_beside_one_that_can_is_not_lost():
    made = container(SEVERAL)
    broken = bytes(made.devices[0][:BLOCK]).ljust(40 * BLOCK, b"\xff")
    budget = Budget()
    volumes = FORMAT.open([volume(bytes(made.devices[0]), 0), volume(broken, 1)], budget)
    (lost,) = [v for v in volumes if v.kind == "a container that could not be opened"]
    assert lost.size == len(broken) and lost.state == "slack"


def test_a_container_that_breaks_off():
    made = container(SEVERAL)
    volumes, findings = one(bytes(made.devices[0][: 80 * BLOCK]))
    assert any(f.startswith("Truncated APFS container: 655360 bytes, of which 327680") for f in findings)
    assert "Truncated APFS volume superblock: block 0x5a lies past the end (80 blocks)" in findings
    assert [v.label for v in volumes if v.state == "allocated"] == ["Data", "System", "Preboot"]
    covered(volumes, 80 * BLOCK)


def test_other_bytes_are_no_container():
    for data in (b"", bytes(1 << 16), b"\xff" * (1 << 16), bytes(32) + b"NXSB" + bytes(5000)):
        assert not probe(MemorySource(data))
        with pytest.raises(NotThisFormat):
            one(data)


def test_the_checksum_is_the_references():
    for data in (bytes(4088), b"\xff" * 4088, bytes(range(256)) * 15 + bytes(248)):
        assert fletcher64(data) == fletcher(data)


def test_runs():
    assert union([(5, 3), (0, 2), (8, 2), (1, 1), (20, 0)]) == [(0, 2), (5, 5)]
    assert minus([(0, 10), (20, 5)], [(2, 3), (8, 14)]) == [(0, 2), (5, 3), (22, 3)]
    assert minus([(0, 4)], []) == [(0, 4)] and minus([], [(0, 4)]) == []


class TestVolumeContract(SourceContract):
    def make(self):
        made = container(SEVERAL)
        found = next(v for v in one(bytes(made.devices[0]))[0] if v.label == "System")
        data = made.devices[0]
        return found.data, b"".join(bytes(data[n * BLOCK : (n + 1) * BLOCK]) for n in (*range(50, 57), 59, 62))

    def root(self):
        return {"member0": bytes(container(SEVERAL).devices[0])}


class TestFreeContract(SourceContract):
    def make(self):
        made = container(SEVERAL)
        found = next(v for v in one(bytes(made.devices[0]))[0] if v.kind == "free blocks")
        return found.data, b"".join(bytes(made.devices[0][a * BLOCK : (a + n) * BLOCK]) for a, n in made.free)


def test_the_layer_is_asked_through_opened():
    assert len(opened(FORMAT, [bytes(container(SEVERAL).devices[0])])[0]) == 8


def test_runs_are_sets_of_blocks():
    def blocks(runs):
        return {b for first, count in runs for b in range(first, first + count)}

    rng = random.Random(1)
    for _ in range(500):
        first, second = ([(rng.randrange(60), rng.randrange(12)) for _ in range(rng.randrange(12))] for _ in range(2))
        rest = minus(union(first), union(second))
        assert blocks(union(first)) == blocks(first) and blocks(rest) == blocks(first) - blocks(second)
        for runs in (union(first), rest):
            assert all(count > 0 for _, count in runs) and all(sum(a) <= b[0] for a, b in pairwise(runs))
