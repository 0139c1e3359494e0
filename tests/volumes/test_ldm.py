"""Dynamic disks: composed ones that ldmtool reads too, and the disks of libldm's own tests, which Windows 2003 R2 and 2008 R2 wrote."""

from __future__ import annotations

import json
import lzma
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import NotThisFormat, Unreadable
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes.ldm import FORMAT, probe
from tests.volumes.arrays import opened, sha256, volume
from tests.volumes.dynamic import CONFIG, Group, Plan

PLANS = [
    Plan("Simple", "simple", [(0, 0, 100)], letter="E:"),
    Plan("Spanned", "spanned", [(0, 100, 60), (1, 0, 90)], letter="F:"),
    Plan("Stripe", "striped", [(0, 160, 96), (1, 90, 96)], chunk=16),
    Plan("Mirror", "mirrored", [(1, 200, 80), (2, 0, 80)], letter="H:"),
    Plan("Raid", "raid5", [(0, 300, 160), (1, 300, 160), (2, 300, 160)], chunk=16),
    Plan("Wide", "raid5", [(3, 0, 96), (0, 500, 96), (1, 500, 96), (2, 500, 96)], chunk=8),
]
GROUPS = {
    "mbr": Group(["mbr"] * 4, PLANS),
    "gpt": Group(["gpt"] * 4, PLANS, revision=4),
    "mixed": Group(["mbr", "gpt", "mbr", "gpt"], PLANS),
}
DISKS = {name: group.disks() for name, group in GROUPS.items()}


def real(made):
    return {v.label.partition("/")[2]: v for v in made if v.scheme == "ldm" and v.state == "allocated"}


@pytest.mark.parametrize("name", GROUPS)
def test_volumes_as_they_were_dealt(name):
    made, findings = opened(FORMAT, DISKS[name])
    assert findings == []
    found = real(made)
    assert list(found) == [p.name for p in PLANS]
    for plan in PLANS:
        assert found[plan.name].read_at(0, 1 << 30) == plan.content(), plan.name
        assert plan.kind.replace("raid5", "RAID-5") in found[plan.name].kind
        assert not plan.letter or f"drive {plan.letter}" in found[plan.name].kind
    assert [v.index for v in made] == list(range(1, len(made) + 1))


KERNEL = {
    "Simple": "8e6917486d6d9331439f6c1711b03d70f387159d6ad803ed5c011f3bb692e6e8",
    "Spanned": "2fd3b93faeef67d74974ab88a785bdf915ceaa8b68f319d27ce3b5f6596fe53d",
    "Stripe": "1f72b65b1be2d8f90126819c9dac786876a042f44acdc9219dd424c4198c6536",
    "Mirror": "4adba895847857ff12fbef41ea8b2f5308b20ab7208523a2a5034a88929f7ebe",
    "Raid": "9f4a8b0ac8dd94ea5e3713d9c04668badd73f2533710127611c4e6a5ac922dcf",
    "Wide": "3a206e3123f8aefb28ea87278ea87e96513f1e7169e3d7c9e156e53e3eed595e",
}
"""SHA-256 of /dev/mapper/ldm_vol_* of the mixed group: ldmtool 0.2.5 create all, Linux 6.1 device mapper (linear, striped, raid1,
raid5_ls), in a guest as tests/samples/volumes/guest.sh makes it."""


def test_volumes_as_the_kernel_reads_them():
    assert {name: sha256(v) for name, v in real(opened(FORMAT, DISKS["mixed"])[0]).items()} == KERNEL


@pytest.mark.drivers
@pytest.mark.parametrize("name", GROUPS)
def test_ldmtool_reads_the_same(name, tmp_path):
    if shutil.which("ldmtool") is None:
        pytest.skip("ldmtool is not installed")
    words = []
    for i, data in enumerate(DISKS[name]):
        path = tmp_path / f"disk{i}"
        path.write_bytes(data)
        words += ["-d", str(path)]

    def show(*what: str) -> dict:
        run = subprocess.run(["ldmtool", *words, "show", *what], capture_output=True, text=True, check=True, cwd=tmp_path)
        return json.loads(run.stdout)

    guid = str(GROUPS[name].guid)
    said = show("diskgroup", guid)
    found = real(opened(FORMAT, DISKS[name])[0])
    assert sorted(said["volumes"]) == sorted(found)
    assert sorted(said["disks"]) == [f"Disk{i + 1}" for i in range(4)]
    kinds = {"simple": "simple", "spanned": "spanned", "striped": "striped", "mirrored": "mirrored", "raid5": "RAID-5"}
    for label, ours in found.items():
        theirs = show("volume", guid, label)
        assert (theirs["size"] * 512, kinds[theirs["type"].lower()]) == (ours.size, ours.kind.split(", ")[1].split()[0])
        assert (theirs.get("hint") or "") == ours.kind.partition("drive ")[2]
        for number, part in enumerate(theirs["partitions"]):
            there = show("partition", guid, part)
            disk = int(there["disk"].removeprefix("Disk")) - 1
            start = (GROUPS[name].starts(disk)[0] + there["start"]) * 512
            own = {s.root: s.start for s in reversed(ours.trace(0, ours.size))}
            if theirs["type"].lower() in ("simple", "spanned", "striped") or (theirs["type"] == "RAID5" and number == 0):
                assert own[f"member{disk}"] == start, (label, part)


@pytest.mark.parametrize("lost", range(4))
def test_mirrors_and_raid_5_do_without_one_disk(lost):
    made, findings = opened(FORMAT, DISKS["mixed"], [lost])
    found = real(made)
    for name in ("Mirror", "Raid", "Wide"):
        plan = next(p for p in PLANS if p.name == name)
        assert found[name].read_at(0, 1 << 30) == plan.content()
    assert any(f"Disk{lost + 1} (" in f and "is not there" in f for f in findings)
    assert sum(f.endswith(f": degraded, and all of it read without Disk{lost + 1}") for f in findings) == (2, 3, 3, 1)[lost]


def test_what_a_missing_disk_held_is_refused_by_name_the_rest_read():
    made, findings = opened(FORMAT, DISKS["mbr"], [1])
    found = real(made)
    assert list(found) == ["Simple", "Spanned", "Stripe", "Mirror", "Raid", "Wide"]
    spanned = PLANS[1].content()
    assert found["Spanned"].read_at(0, 60 * 512) == spanned[: 60 * 512]
    with pytest.raises(Unreadable, match="Disk2"):
        found["Spanned"].read_at(60 * 512, 512)
    assert [s.via for s in found["Spanned"].trace(60 * 512, 512)] == [("missing",)]
    assert any(f == "Unreadable LDM volume: incomplete without Disk2" for f in findings)
    made, findings = opened(FORMAT, DISKS["mbr"], [0, 1])
    assert "Simple" not in real(made)
    assert any("none of its disks is here (Disk1)" in f for f in findings)
    bad = 0
    for at in range(0, 320 * 512, 512 * 16):
        try:
            assert real(made)["Raid"].read_at(at, 512 * 16) == PLANS[4].content()[at : at + 512 * 16]
        except Unreadable:
            bad += 1
    assert bad == 14  # of ten rows the third disk holds the parity of four


def test_volumes_partitions_and_the_rest_cover_the_disks():
    for name in ("mbr", "gpt"):
        made, _ = opened(FORMAT, DISKS[name])
        taken = sum(n for p in PLANS for _, _, n in p.parts) * 512
        rest = sum(v.size for v in made if v.state == "slack" or v.scheme in ("gpt", "mbr"))
        assert taken + rest == sum(map(len, DISKS[name]))
        others = [v for v in made if v.scheme in ("gpt", "mbr")]
        assert len(others) == (4 if name == "gpt" else 0)
        assert all(v.kind == "Microsoft reserved" for v in others)


def test_pieces_name_the_disks_they_lie_on():
    found = real(opened(FORMAT, DISKS["mixed"])[0])
    first = [GROUPS["mixed"].starts(i)[0] * 512 for i in range(4)]
    spans = found["Stripe"].trace(0, 3 * 8192)
    assert [(s.root, s.start) for s in spans] == [
        ("member0", first[0] + 160 * 512), ("member1", first[1] + 90 * 512), ("member0", first[0] + 160 * 512 + 8192),
    ]  # fmt: skip
    degraded = real(opened(FORMAT, DISKS["mixed"], [0])[0])["Raid"]
    assert {s.via for s in degraded.trace(0, 8192)} == {("parity",)}


def patched(disk: bytes, *places: tuple[int, bytes]) -> bytes:
    out = bytearray(disk)
    for at, value in places:
        out[at : at + len(value)] = value
    return bytes(out)


def test_copies_of_the_private_header_stand_in_for_each_other():
    disks = list(DISKS["mbr"])
    base = GROUPS["mbr"].starts(0)[2] * 512
    disks[0] = patched(disks[0], (6 * 512, bytes(512)))
    made, findings = opened(FORMAT, disks)
    assert findings == [] and len(real(made)) == len(PLANS)
    disks[0] = patched(disks[0], (base + 2047 * 512 + 50, b"x"))
    made, findings = opened(FORMAT, disks)
    assert len(real(made)) == len(PLANS)
    assert [f for f in findings if f.startswith("Corrupt LDM private header: checksum")]
    disks[0] = patched(disks[0], (base + 1856 * 512, GROUPS["mbr"].head(0, serial=9)), (6 * 512, GROUPS["mbr"].head(0)))
    made, findings = opened(FORMAT, disks)
    assert any("the copies disagree: number 9 is used" in f for f in findings)


def test_without_a_valid_private_header_the_disk_is_missing():
    disks = list(DISKS["mbr"])
    base = GROUPS["mbr"].starts(0)[2] * 512
    disks[0] = patched(disks[0], *((at + 60, b"!") for at in (6 * 512, base + 1856 * 512, base + 2047 * 512)))
    made, findings = opened(FORMAT, disks)
    assert any("no copy has a checksum that holds" in f for f in findings)
    assert real(made)["Wide"].read_at(0, 1 << 30) == PLANS[5].content()


def test_tables_of_contents_newest_valid():
    disks = list(DISKS["mbr"])
    base = GROUPS["mbr"].starts(0)[2] * 512
    table = bytearray(disks[0][base + 512 : base + 1024])
    struct.pack_into(">I", table, 16, 3)  # older, and it leads elsewhere
    struct.pack_into(">Q", table, 46, 500)
    struct.pack_into(">I", table, 8, 0)
    struct.pack_into(">I", table, 8, sum(table))
    disks[0] = patched(disks[0], (base + 512, bytes(table)), (base + 2 * 512 + 100, b"\1"))
    made, findings = opened(FORMAT, disks)
    assert len(real(made)) == len(PLANS)
    assert any("the copies disagree: number 7 is used" in f for f in findings)
    assert any("LDM table of contents: checksum" in f for f in findings)


def test_the_newest_database_counts_and_a_disk_that_is_behind_gives_way():
    old = Group(["mbr"] * 4, PLANS, committed=39).disks()
    disks = list(DISKS["mbr"])
    config = GROUPS["mbr"].starts(2)[2] * 512
    start = GROUPS["mbr"].starts(2)[0] * 512
    disks[2] = patched(disks[2], (config, old[2][config:]), (start, b"older than the other copy"), (start + 300 * 512, b"older, too"))
    made, findings = opened(FORMAT, disks)
    assert any("disks disagree: transaction 40 is used" in f and "is 39" in f for f in findings)
    found = real(made)
    assert found["Mirror"].read_at(0, 1 << 30) == PLANS[3].content()
    assert found["Raid"].read_at(0, 1 << 30) == PLANS[4].content()
    (before,) = [v for v in made if v.state == "snapshot"]
    assert before.label.endswith("/Mirror") and before.read_at(0, 25) == b"older than the other copy"


def test_a_copy_that_is_not_active_is_read_last():
    group = Group(["mbr"] * 3, PLANS[3:4], states={"Mirror-01": "STALE"})
    disks = group.disks()
    disks[1] = patched(disks[1], ((group.starts(1)[0] + 200) * 512, b"stale"))
    made, findings = opened(FORMAT, disks)
    assert real(made)["Mirror"].read_at(0, 1 << 30) == PLANS[3].content()
    assert any("Mirror-01 is STALE" in f for f in findings)


@pytest.mark.parametrize("cut", [1, 2])
def test_a_database_that_contradicts_itself_gives_way_to_another_disk(cut):
    """A part of a record that takes two blocks is lost: the header's count of disks does not fit any more."""
    disks = list(DISKS["mbr"])
    for i in range(cut):
        starts = range(GROUPS["mbr"].starts(i)[2] * 512, len(disks[i]), 128)
        at = next(k for k in starts if disks[i][k : k + 4] == b"VBLK" and disks[i][k + 12 : k + 16] == struct.pack(">HH", 1, 2))
        disks[i] = patched(disks[i], (at + 8, bytes(120)))
    made, findings = opened(FORMAT, disks)
    assert len(real(made)) == len(PLANS)
    assert sum("contradicts itself" in f for f in findings) == cut


def test_records_of_a_change_under_way_are_not_in_force():
    group = Group(["mbr"] * 4, PLANS, status={"Stripe": 2})
    made, findings = opened(FORMAT, group.disks())
    assert any("'Stripe' has status 2: part of a change under way" in f for f in findings)
    assert len(real(made)) == len(PLANS)


def test_more_partitions_than_columns_are_refused_by_name():
    plan = Plan("Odd", "striped", [(0, 0, 64), (1, 0, 64)], chunk=16, extra=1)
    made, findings = opened(FORMAT, Group(["mbr", "mbr"], [plan]).disks())
    assert "Odd" not in real(made)
    assert any(f.startswith("Unsupported LDM component") for f in findings)
    assert sum(v.size for v in made if v.state == "slack") == 2 * GROUPS["mbr"].sectors * 512


def test_what_is_no_member():
    for data in (b"", bytes(1 << 17), b"PRIVHEAD" * 512, bytes(3072) + b"PRIVHEAD" + bytes(1 << 12)):
        with pytest.raises(NotThisFormat):
            FORMAT.open([volume(data, 0)], Budget())
    used = bytearray(DISKS["mbr"][0])
    used[450] = 0x07  # the table says NTFS now: what is left of the group is not believed
    assert probe(MemorySource(DISKS["mbr"][0])) and not probe(MemorySource(bytes(used)))


class TestDegradedRaid(SourceContract):
    def make(self):
        return real(opened(FORMAT, DISKS["gpt"], [2])[0])["Wide"].data, PLANS[5].content()


class TestStripe(SourceContract):
    def make(self):
        return real(opened(FORMAT, DISKS["mixed"])[0])["Stripe"].data, PLANS[2].content()

    def root(self):
        return {f"member{i}": d for i, d in enumerate(DISKS["mixed"])}


def test_disks_given_together_through_the_front_door(tmp_path):
    paths = []
    for i, data in enumerate(DISKS["mixed"]):
        paths.append(tmp_path / f"d{i}.dd")
        paths[-1].write_bytes(data)
    with fl.open_image(paths[0], others=paths[1:]) as image:
        names = {v.label.partition("/")[2]: v for v in image.volumes() if v.scheme == "ldm" and v.state == "allocated"}
        assert names["Wide"].read_at(0, 1 << 30) == PLANS[5].content()
        assert names["Wide"].name == "0.ldm6" and names["Wide"].layers == ("raw", "disk:0", "ldm:6")
        assert [v.name for v in image.volumes() if v.member_of] == ["0", "with1.0", "with2.0", "with3.0"]


def test_a_disk_whose_database_is_gone_is_read_by_its_partition_table(tmp_path):
    path = tmp_path / "d.dd"
    base = GROUPS["mbr"].starts(0)[2] * 512
    path.write_bytes(patched(DISKS["mbr"][0], (base, bytes(CONFIG * 512))))
    with fl.open_image(path) as image:
        found = [(v.name, v.type_code) for v in image.volumes() if v.state == "allocated" and not v.member_of]
    assert found == [("0.1", "0x42")]


REAL = {
    "2003r2-simple": ("Volume1", "6b5398dca1f9", 0), "2003r2-spanned": ("Volume2", "125be910bcd2", 0),
    "2003r2-striped": ("Stripe1", "4d09261ddb47", 0), "2003r2-mirrored": ("Volume3", "b0aec653c2eb", 1),
    "2003r2-raid5": ("Raid1", "4f9ff1f8e6e7", 1), "2008r2-spanned": ("Volume1", "8d6b04d858ae", 0),
    "2008r2-striped": ("Volume2", "8d106036e1d0", 0), "2008r2-mirrored": ("Volume3", "cd3a7a1c5e85", 1),
    "2008r2-raid5": ("Volume4", "0095f2221f15", 1),
}  # fmt: skip
"""Disks in libldm's test/data/ldm-data.tar.xz -> (volume, beginning of its SHA-256, disks it can do without). Each holds an NTFS
with a file test.txt, "Filesystem test" (libldm test/checkmount.pl); the digests are the same without any one disk of a mirror or
a RAID-5, and so agree with the copies and the parity that Windows wrote."""


@pytest.fixture(scope="module")
def windows(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    packed = next(corpus.rglob("ldm-data.tar.xz"), None)
    if packed is None:
        pytest.skip("the corpus has no ldm-data.tar.xz (github.com/mdbooth/libldm, test/data)")
    folder = tmp_path_factory.mktemp("ldm")
    with lzma.open(packed) as raw, tarfile.open(fileobj=raw) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.mark.corpus
@pytest.mark.parametrize("name", REAL)
def test_disks_that_windows_wrote(windows, name):
    label, digest, spare = REAL[name]
    paths = sorted(windows.glob(f"ldm-{name}-*.img"))
    for lost in [None, *(range(len(paths)) if spare else ())]:
        use = [p for i, p in enumerate(paths) if i != lost]
        run = fl.Run()
        with fl.open_image(use[0], others=use[1:], run=run) as image:
            (found,) = [v for v in image.volumes() if v.label.endswith(f"/{label}") and v.state == "allocated"]
            assert sha256(found).startswith(digest), lost
            entry = found.filesystem().get("test.txt")
            assert entry.streams()[0].read_at(0, 100) == b"Filesystem test"
        said = [f"{f.what}: {f.found}" for f in run.findings]
        assert not any("checksum" in s or "disagree" in s or "contradicts" in s for s in said), said
