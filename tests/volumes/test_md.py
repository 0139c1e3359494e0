"""Arrays that Linux's md driver wrote, read against the driver's own digests; layouts against a slow model of md(4)."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib.core.errors import NotThisFormat, Unreadable
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes._raid import Parity, Stripes, Tens, parity_row, stripe_zones
from forensiclib.volumes.md import FORMAT, probe
from tests.volumes.arrays import INDEX, members, opened, sha256, volume

ARRAYS = sorted(INDEX["md"])


def spare(name: str) -> int:
    """Members that a layout can do without, whichever they are: md(4)."""
    if name.startswith("r6"):
        return 2
    if name in ("r10f3", "r10o3", "r10n3", "r1", "stale"):
        return 2
    return 0 if name.startswith(("r0", "lin")) else 1


def array(name: str, lost=()):
    made, findings = opened(FORMAT, members("md", name), lost)
    return made[0], findings


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_read_as_the_driver_read_them(name):
    found, _ = array(name)
    assert (found.size, sha256(found)) == (INDEX["md"][name]["size"], INDEX["md"][name]["sum"])


@pytest.mark.parametrize("name", [n for n in ARRAYS if spare(n)])
def test_every_member_may_be_gone_that_the_level_can_spare(name):
    data = members("md", name)
    for k in range(1, spare(name) + 1):
        for lost in itertools.combinations(range(len(data)), k):
            if name == "stale" and {0, 2} <= set(lost):
                continue
            found, findings = array(name, lost)
            assert sha256(found) == INDEX["md"][name]["sum"], lost
            assert any("are not there" in f for f in findings)


@pytest.mark.parametrize("name", ["r0", "r5left-symmetric", "r6", "r10n2", "r10f2", "r10o2"])
def test_one_member_more_and_its_bytes_are_unreadable_never_zero(name):
    whole, _ = array(name)
    found, _ = array(name, range(spare(name) + 1))
    bad = 0
    for at in range(0, found.size, 4096):
        try:
            assert found.read_at(at, 4096) == whole.read_at(at, 4096)
        except Unreadable:
            bad += 1
    assert bad


@pytest.mark.parametrize("name", ["r5right-asymmetric", "r10n2x3", "linear", "r0alternate"])
def test_the_order_of_the_images_does_not_matter(name):
    data = members("md", name)[::-1]
    assert sha256(opened(FORMAT, data)[0][0]) == INDEX["md"][name]["sum"]


@pytest.mark.parametrize("name", ["v090r5", "v090r1", "lin090"])
def test_superblocks_of_a_big_endian_machine(name, tmp_path):
    """mdadm --examine reads the swapped superblock as 0.90 of the other byte order ("0.swap")."""
    data = [bytearray(d) for d in members("md", name)]
    for member in data:
        at = (len(member) & ~0xFFFF) - 65536
        words = list(struct.unpack_from("<1024I", member, at))
        for pair in (39, 41):
            words[pair], words[pair + 1] = words[pair + 1], words[pair]
        struct.pack_into(">1024I", member, at, *words)
    found, findings = opened(FORMAT, [bytes(d) for d in data])
    assert sha256(found[0]) == INDEX["md"][name]["sum"]
    assert not any("checksum" in f for f in findings)
    if shutil.which("mdadm"):
        path = tmp_path / "member"
        path.write_bytes(data[0])
        said = subprocess.run(["mdadm", "--examine", "--metadata=0.swap", path], capture_output=True, text=True, check=True).stdout
        assert "Checksum" in said and "- correct" in said
        assert f"Raid Devices : {len(data)}" in said


def test_a_stale_member_is_left_out_and_its_state_of_then_given():
    data = members("md", "stale")
    made, findings = opened(FORMAT, data)
    assert any("stale: at event" in f for f in findings)
    assert sha256(made[0]) == INDEX["md"]["stale"]["sum"]
    now, then = made[0].read_at(0, made[0].size), made[1].read_at(0, made[1].size)
    assert made[1].state == "snapshot"
    differ = [at for at in range(0, len(now), 4096) if now[at : at + 4096] != then[at : at + 4096]]
    assert differ == list(range(4096, 4096 * 10, 4096))  # the nine blocks that were written after it fell out


def test_a_reshape_under_way_is_refused_in_words(tmp_path):
    """Superblocks patched as md_p.h says; mdadm --examine reads them as such."""
    data = [bytearray(d) for d in members("md", "r5left-symmetric")]
    for member in data:
        at = 4096
        struct.pack_into("<I", member, at + 8, int.from_bytes(member[at + 8 : at + 12], "little") | 4)
        struct.pack_into("<QI", member, at + 104, 96, 1)
        member[at + 216 : at + 220] = bytes(4)
        roles = int.from_bytes(member[at + 220 : at + 224], "little")
        total = sum(struct.unpack_from(f"<{(256 + 2 * roles) // 4}I", member, at))
        total += int.from_bytes(member[at + 256 + 2 * roles - 2 : at + 256 + 2 * roles], "little") if roles % 2 else 0
        struct.pack_into("<I", member, at + 216, (total + (total >> 32)) & 0xFFFFFFFF)
    if shutil.which("mdadm"):
        path = tmp_path / "member"
        path.write_bytes(data[0])
        said = subprocess.run(["mdadm", "--examine", path], capture_output=True, text=True, check=True).stdout
        assert "Reshape pos'n" in said and "Delta Devices : 1 (3->4)" in said and "- correct" in said
    with pytest.raises(NotThisFormat):
        opened(FORMAT, [bytes(d) for d in data])
    budget = Budget()
    with pytest.raises(NotThisFormat):
        FORMAT.open([volume(bytes(d), i) for i, d in enumerate(data)], budget)
    assert all("a change of layout is under way" in f.found for f in budget.findings) and len(budget.findings) == 4


def test_a_bitmap_is_noted():
    assert any("bitmap" in f for f in array("bitmap")[1])


def test_pieces_name_the_members_they_lie_on():
    found, _ = array("r5left-symmetric")
    spans = found.trace(0, 6 * 4096)
    # left-symmetric on four: row 0 is D0 D1 D2 P, row 1 has P on the third and goes on behind it.
    assert [s.root for s in spans] == ["member0", "member1", "member2", "member3", "member0", "member1"]
    degraded, _ = array("r5left-symmetric", [1])
    assert [s.root for s in degraded.trace(4096, 4096)] == ["member0", "member2", "member3"]
    assert {s.via for s in degraded.trace(4096, 4096)} == {("parity",)}


class TestDegraded(SourceContract):
    def make(self):
        whole, _ = array("r6")
        return array("r6", [1, 3])[0].data, whole.read_at(0, whole.size)


class TestOffsetTen(SourceContract):
    def make(self):
        found, _ = array("r10o2")
        return found.data, found.read_at(0, found.size)

    def root(self):
        return {f"member{i}": d for i, d in enumerate(members("md", "r10o2"))}


def test_an_array_of_thousands_of_members_costs_no_table_of_all_rows():
    """A forged superblock may say so; every row of 4,096 members is a list of 4,095."""
    begun = time.process_time()
    source = Parity([MemorySource(bytes(1 << 16))] * 4096, 5, 2, 4096, (1 << 16) * 4095)
    assert source.read_at(source.size - 8192, 8192) == bytes(8192)
    assert time.process_time() - begun < 2


def test_what_is_no_member():
    for data in (b"", bytes(1 << 17), b"\xfc\x4e\x2b\xa9" * 4096):
        assert not probe(MemorySource(data))
        with pytest.raises(NotThisFormat):
            FORMAT.open([volume(data, 0)], Budget())


# The slow model: md(4) deals chunks one by one, as its text has it, and remembers where each went.


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_stripes_of_unequal_members(sizes):
    """md(4), RAID0: "if devices are of different sizes, then once the smallest is exhausted, chunks go over the remaining"."""
    chunk, dealt = 512, []
    row = 0
    while any(row < s for s in sizes):
        dealt += [(i, row) for i, s in enumerate(sizes) if row < s]
        row += 1
    zones = stripe_zones([s * chunk + 100 for s in sizes], chunk)
    source = Stripes([MemorySource(bytes(s * chunk)) for s in sizes], zones, chunk)
    assert source.size == len(dealt) * chunk
    assert [source.cell(i * chunk + 7) for i in range(len(dealt))] == [(m, r * chunk + 7) for m, r in dealt]


@given(st.integers(3, 9), st.integers(0, 3), st.integers(0, 60))
def test_rows_with_one_parity(n, layout, row):
    """mdadm(8) --layout: left: parity goes from the last member to the first; right: the other way; asymmetric: data in
    the order of the members; symmetric: data begin behind the parity and go round."""
    left, symmetric = layout in (0, 2), layout >= 2
    parity = 0 if not left else n - 1
    for _ in range(row):
        parity = (parity - 1) % n if left else (parity + 1) % n
    data = [(parity + k) % n for k in range(1, n)] if symmetric else [m for m in range(n) if m != parity]
    found = parity_row(5, layout, n, row)
    assert (found.p, list(found.data)) == (parity, data)


@given(st.integers(4, 9), st.sampled_from([0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 18, 19, 20]), st.integers(0, 60))
def test_rows_with_two_parities_use_every_member_once(n, layout, row):
    found = parity_row(6, layout, n, row)
    assert sorted([*found.data, found.p, found.q]) == list(range(n))
    assert len(set(found.powers)) == n - 2


@given(st.integers(2, 8), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(2, 12))
def test_copies_of_raid_10(n, near, far, offset, chunks):
    """md(4), RAID10: near copies of a chunk lie on consecutive members; far copies repeat the whole, one member further, a
    section below; with offset the copy of a row is the next row, one member further."""
    if near * far > n or (near > 1 and far > 1):
        return
    chunk = 512
    rows = chunks // far
    source = Tens([None] * n, near | far << 8 | (1 << 16 if offset else 0), chunk, chunks * chunk)
    slots = itertools.cycle(range(n))
    row = -1
    for number in range(source.size // chunk):
        wanted = []
        for _ in range(near):
            member = next(slots)
            row += member == 0
            wanted.append((member, row))
        if far > 1:
            member, r = wanted[0]
            wanted = [((member + k) % n, r * far + k if offset else r + k * rows) for k in range(far)]
        assert source.cells(number * chunk) == [(m, r * chunk) for m, r in wanted]
        assert len({m for m, _ in wanted}) == near * far
