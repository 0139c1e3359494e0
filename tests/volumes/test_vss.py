"""Shadow copies: what Windows wrote against libvshadow and dfVFS' listing; what a driver's model kept against its own memory."""

from __future__ import annotations

import gzip
import io
import struct
import uuid

import pytest

import forensiclib as fl
from forensiclib.core.entry import Volume
from forensiclib.core.errors import NotThisFormat, Unreadable
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource, OverlaySource, as_file
from forensiclib.core.span import Span
from forensiclib.testing.contracts import SourceContract
from forensiclib.volumes.vss.carved import FORMAT as DELETED
from forensiclib.volumes.vss.vss import FORMAT
from tests.volumes.shadows import BLOCK, HEADER_AT, SECTOR, Copy, Machine, busy, ntfs

OTHER = uuid.UUID("11111111-2222-3333-4444-555555555555")


def opened(image: bytes) -> tuple[list[Volume], list[str]]:
    budget = Budget()
    made = FORMAT.open([Volume(MemorySource(image, "disk"), index=0, start=0, scheme="none")], budget)
    return made, [f"{f.kind} {f.what}: {f.found}" for f in budget.findings]


def wrong(copy: Copy, volume: Volume) -> list[int]:
    """Blocks that the copy must show and the volume does not."""
    shown = (n for n in range(len(copy.truth) // BLOCK) if copy.shown(n))
    return [n for n in shown if volume.read_at(n * BLOCK, BLOCK) != copy.truth[n * BLOCK : (n + 1) * BLOCK]]


@pytest.fixture(scope="module")
def image(corpus):
    with fl.open_image(corpus / "plaso" / "vsstest.qcow2") as image:
        yield image


@pytest.mark.corpus
class TestWindows7:
    """vsstest.qcow2 of plaso and dfVFS: an NTFS volume with two copies."""

    LISTED = (  # dfVFS tests/volume/vshadow_volume_system.py, from vshadowinfo
        ("600f0b69-5bdf-11e3-9d6c-005056c00008", "0a4e3901-6abb-48fc-95c2-6ab9e38e9e71", "2013-12-03T06:35:09.7363787Z",
         "4e3c03c2-7bc6-4288-ad96-c1eac1a55f71"),
        ("600f0b6d-5bdf-11e3-9d6c-005056c00008", "8438a0ee-0f06-443b-ac0c-2905647ca5d6", "2013-12-03T06:37:48.9190583Z",
         "18f1ac6e-959d-436f-bdcc-e797a729e290"),
    )  # fmt: skip

    def test_facts_are_those_of_vshadowinfo(self, image):
        volumes = image.volumes()
        assert [v.name for v in volumes] == ["0", "0.vss1", "0.vss2"]
        for volume, (store, group, created, copy) in zip(volumes[1:], self.LISTED, strict=True):
            facts = volume.facts
            assert (facts["store"], facts["shadow_copy_set"], facts["created"], facts["shadow_copy"]) == (store, group, created, copy)
            assert (volume.size, volume.type_code, volume.state, volume.start) == (1073741824, "0x00420009", "snapshot", -1)
            assert facts["originating_machine"] == facts["service_machine"] == "infinity"
            assert facts["attributes"].endswith(": persistent, no auto-release, differential, auto-recovered")

    def test_facts_say_where_they_stand(self, image):
        """Off a hex dump: catalog at 0x6e30000, its first entry behind 128 bytes; store header at 0x31560000."""
        spans = image.volumes()[1].spans
        for name, at, n in (("created", 0x6E300B0, 8), ("store", 0x6E30110, 16), ("shadow_copy_set", 0x315600A0, 16)):
            assert spans[name] == image.trace(at, n)[0], name
        assert image.read_at(0x315600A0, 16) == uuid.UUID(self.LISTED[0][1]).bytes_le

    def test_every_byte_is_that_of_libvshadow_but_zeros_for_the_volumes_own(self, image):
        """libvshadow reads blocks that are not part of the youngest copy as zeros, of older ones as the volume has them. Windows
        gives the volume's bytes (dfir.ru 2020-06-21), unless flag 0x400 of the catalog entry is set: here it is 0x40."""
        pyvshadow = pytest.importorskip("pyvshadow", reason="libvshadow-python is the second reader")
        theirs = pyvshadow.volume()
        theirs.open_file_object(as_file(image.data))
        other = [0, 0]
        for number, volume in enumerate(image.volumes()[1:]):
            store, foreign = theirs.get_store(number), set()
            for start, length in volume.shadow.foreign():
                foreign.update(range(start // BLOCK, (start + length) // BLOCK))
            for at in range(0, volume.size, 1 << 22):
                ours, second = volume.strict.read_at(at, 1 << 22), store.read_buffer_at_offset(1 << 22, at)
                for low in range(0, 1 << 22, BLOCK) if ours != second else ():
                    if ours[low : low + BLOCK] != (piece := second[low : low + BLOCK]):
                        other[number] += 1
                        assert (at + low) // BLOCK in foreign and not any(piece)
                        assert ours[low : low + BLOCK] == image.read_at(at + low, BLOCK)
        assert other[0] == 0 < other[1]

    def test_blocks_that_are_no_part_are_counted_by_the_bitmaps(self, image):
        """63682 bits are set in the bitmap of the first copy (counted off the image), and all of the second's but one."""
        image.volumes()[1].read_at(0, 1)
        notes = [f.found for f in image.run.findings if f.what == "shadow copy" and "of 65536 blocks" in f.found]
        assert notes and all(n.startswith("63682 of 65536 blocks of 16384 bytes are not part of it") for n in notes)

    def test_the_second_store_knows_what_the_first_one_needs_no_more(self, image):
        """Its previous bitmap is exactly the first one's bitmap and what the first one keeps."""
        first = image.volumes()[1].strict._chain[0]
        bits = [int.from_bytes(image.read_at(at + 128, 8192), "little") for at in (0x3156C000, 0x6E54000)]
        kept = sum(1 << a // BLOCK for start, end, _, kind in first.kept.cut(0, 1 << 30) if kind == 0 for a in range(start, end, BLOCK))
        assert bits[0] | kept == bits[1]

    def test_files_are_those_of_their_time(self, image):
        roots = [{e.name for e in v.filesystem().walk(deleted=False) if e.path == e.name and e.id > 26} for v in image.volumes()]
        svi = "System Volume Information"
        assert roots == [
            {"syslog.gz", "another_file", "password.txt", svi}, {"syslog", svi}, {"syslog.gz", "another_file", svi},
        ]  # fmt: skip
        syslog, packed = image.find("0.vss1:/syslog").open(), image.find("0.vss2:/syslog.gz").open()
        assert syslog.read_at(0, syslog.size) == gzip.decompress(packed.read_at(0, packed.size))  # gzip was run in between

    def test_a_copy_in_a_copy_is_not_looked_for(self, image):
        copy = image.volumes()[1]
        assert FORMAT.probe(copy)
        with pytest.raises(NotThisFormat):
            FORMAT.open([copy], Budget())

    def test_sources_of_spans(self, image):
        """Off the image: entry (0x1470c000 of kind overlay 0xff00 and others, at 0x31574000)."""
        copy = image.volumes()[1].strict
        at = 0x1470C000 + 8 * SECTOR
        assert copy.trace(at, SECTOR) == image.trace(0x31574000 + 8 * SECTOR, SECTOR)
        assert copy.read_at(at, SECTOR) == image.read_at(0x31574000 + 8 * SECTOR, SECTOR)


@pytest.mark.parametrize("seed", range(24))
def test_every_block_that_a_copy_must_show_is_as_it_was(seed):
    """Writes, moves, moves back, overlays, chained lists: against the model's own memory."""
    machine = busy(seed)
    volumes, findings = opened(machine.image(per_list=(508, 9)[seed % 2], shuffled=seed % 3 == 0))
    assert [v.index for v in volumes] == [1, 2, 3, 4] and not [f for f in findings if not f.startswith("Note")]
    for copy, volume in zip(machine.copies, volumes, strict=True):
        assert wrong(copy, volume) == []


@pytest.mark.parametrize("seed", [3, 8, 21])
def test_libvshadow_agrees_where_no_block_went_back(seed):
    pyvshadow = pytest.importorskip("pyvshadow", reason="libvshadow-python is the second reader")
    machine = busy(seed, back=0)
    image = machine.image()
    theirs = pyvshadow.volume()
    theirs.open_file_object(io.BytesIO(image))
    for number, (copy, volume) in enumerate(zip(machine.copies, opened(image)[0], strict=True)):
        store = theirs.get_store(number)
        assert (str(store.identifier), store.size) == (volume.facts["store"], volume.size) == (str(copy.store), len(image))
        for n in filter(copy.shown, range(machine.blocks)):
            assert volume.read_at(n * BLOCK, BLOCK) == store.read_buffer_at_offset(BLOCK, n * BLOCK)


def test_a_block_that_went_back_is_where_it_was():
    """libvshadow goes on reading the place in between, which is free and overwritten by then."""
    machine = Machine(ntfs(4 << 20), {40})
    machine.snapshot()
    before = machine.block(20)
    machine.move(20, 40)
    machine.move(40, 20)
    image = machine.image()
    (volume,), _ = opened(image)
    assert volume.read_at(20 * BLOCK, BLOCK) == before == image[20 * BLOCK : 21 * BLOCK]
    if pyvshadow := pytest.importorskip("pyvshadow", reason="libvshadow-python is the second reader"):
        theirs = pyvshadow.volume()
        theirs.open_file_object(io.BytesIO(image))
        assert theirs.get_store(0).read_buffer_at_offset(BLOCK, 20 * BLOCK) == image[40 * BLOCK : 41 * BLOCK] != before


def test_a_move_and_a_later_write_at_the_new_place():
    machine = Machine(ntfs(4 << 20), {40, 41})
    first = machine.snapshot()
    machine.move(20, 40)
    machine.move(40, 41)
    second = machine.snapshot()
    machine.write(41, b"\xee" * BLOCK)
    volumes, _ = opened(machine.image())
    assert wrong(first, volumes[0]) == wrong(second, volumes[1]) == []
    kept = machine.copies[1].area[0]
    assert volumes[0].trace(20 * BLOCK, BLOCK) == (Span("disk", kept * BLOCK, BLOCK),)  # through the younger copy


def test_what_was_written_to_a_copy_is_seen_in_it_alone():
    machine = Machine(ntfs(4 << 20))
    first, second = machine.snapshot(), machine.snapshot()
    machine.overlay(second, 20, range(3, 5), b"A" * 1024)
    machine.overlay(second, 20, range(9, 10), b"B" * 512)
    machine.write(20, b"\xcc" * BLOCK)
    volumes, _ = opened(machine.image())
    assert wrong(first, volumes[0]) == wrong(second, volumes[1]) == []
    assert volumes[1].read_at(20 * BLOCK + 3 * SECTOR, 1024) == b"A" * 1024 != volumes[0].read_at(20 * BLOCK + 3 * SECTOR, 1024)
    assert [s.length for s in volumes[1].trace(20 * BLOCK, BLOCK)] == [3 * SECTOR, 2 * SECTOR, 4 * SECTOR, SECTOR, 22 * SECTOR]


def test_what_is_no_part_of_a_copy_reads_as_the_volume_and_says_so():
    machine = Machine(ntfs(4 << 20), {30, 31})
    machine.snapshot()
    machine.write(30, b"later!" * 2730 + b"1234")
    volumes, findings = opened(machine.image())
    assert volumes[0].read_at(30 * BLOCK, 6) == b"later!"
    assert volumes[0].trace(30 * BLOCK, 2 * BLOCK) == (Span("disk", 30 * BLOCK, 2 * BLOCK, ("not kept",)),)
    assert volumes[0].trace(29 * BLOCK, BLOCK) == (Span("disk", 29 * BLOCK, BLOCK),)
    assert (30 * BLOCK, 2 * BLOCK) in volumes[0].shadow.foreign() and volumes[0].shadow.changed() == ()
    findings = opened(machine.image())[1]
    assert not findings  # nothing was read yet


def test_where_windows_shows_zeros_nothing_is_given():
    """Flag 0x400 (Windows 8 and later): neither zeros nor the volume's bytes are taken for the copy's."""
    machine = Machine(ntfs(4 << 20), {30})
    copy = machine.snapshot(0x440)
    machine.write(30, b"later!" * 2730 + b"1234")
    image = machine.image()
    (volume,), _ = opened(image)
    with pytest.raises(Unreadable):
        volume.read_at(30 * BLOCK, 1)
    assert [s.via for s in volume.trace(30 * BLOCK, BLOCK)] == [("not kept",)] and not volume.trace(30 * BLOCK, 1)[0].root
    assert wrong(copy, volume) == []
    with fl.open_image(MemorySource(image, "disk")) as disk:
        shown = disk.volume("0.vss1")
        assert shown.read_at(30 * BLOCK, BLOCK) == bytes(BLOCK) and shown.damaged
        lost = [f for f in disk.run.findings if f.kind == "Unreadable"]
        assert len(lost) == 1 and "which Windows shows as zeros" in lost[0].found


def test_an_overlay_on_what_is_no_part_is_still_there():
    machine = Machine(ntfs(4 << 20), {30})
    copy = machine.snapshot(0x440)
    machine.overlay(copy, 30, range(2), b"X" * 1024)
    (volume,), _ = opened(machine.image())
    assert volume.read_at(30 * BLOCK, 1024) == b"X" * 1024
    with pytest.raises(Unreadable):
        volume.read_at(30 * BLOCK, 1025)


def test_stores_on_another_volume_are_named():
    machine = busy(2, copies=2)
    volumes, findings = opened(machine.image(storage=OTHER, without=(1, 2)))
    assert volumes == []
    assert sum(f"its store is on volume {OTHER}" in f for f in findings) == 2
    assert any(f.startswith("Note VSS header") and str(OTHER) in f for f in findings)


def test_a_store_that_is_not_named_leaves_older_copies_unproven():
    machine = busy(4, copies=3)
    volumes, findings = opened(machine.image(without=(2,)))
    assert [v.index for v in volumes] == [1, 3] and any(f.startswith("Unsupported shadow copy") for f in findings)
    assert ("unproven",) in {s.via for s in volumes[0].trace(0, volumes[0].size)}
    assert ("unproven",) not in {s.via for s in volumes[1].trace(0, volumes[1].size)}
    assert wrong(machine.copies[2], volumes[1]) == []


def test_a_copy_that_was_taken_away_is_still_shown():
    machine = Machine(ntfs(4 << 20))
    copy = machine.snapshot(0x140)
    machine.write(9, bytes(BLOCK))
    (volume,), findings = opened(machine.image())
    assert volume.state == "deleted" and wrong(copy, volume) == []
    assert any("marks it as taken away" in f for f in findings)


def test_positions_with_a_gap_are_told():
    machine = busy(6, copies=3)
    image = bytearray(machine.image())
    for place in range(machine.catalog + 128, machine.catalog + BLOCK, 128):
        if image[place + 16 : place + 32] == machine.copies[1].store.bytes_le:
            image[place : place + 128] = b"\1".ljust(128, b"\0")
    volumes, findings = opened(bytes(image))
    assert len(volumes) == 2 and any("positions 1 and 3 follow each other" in f for f in findings)
    assert ("unproven",) in {s.via for s in volumes[0].trace(0, volumes[0].size)}


def damage(image: bytes, at: int, data: bytes) -> bytes:
    return image[:at] + data + image[at + len(data) :]


def test_a_chain_that_returns_to_itself_ends():
    machine = busy(7, copies=1, steps=80)
    image = machine.image(per_list=8)
    places = machine.copies[0].places
    second = struct.unpack_from("<Q", image, places["blocks"] + 40)[0]
    looped = damage(image, second + 40, struct.pack("<Q", places["blocks"]))
    (volume,), _ = opened(looped)
    budget_findings = []
    made = FORMAT.open([Volume(MemorySource(looped, "disk"), index=0, start=0, scheme="none")], Budget(report_to=budget_findings.append))
    made[0].read_at(0, 1)
    texts = [f.found for f in budget_findings]
    assert "the chain returns to itself" in texts and any("further blocks of it were found in the store's ranges" in t for t in texts)
    assert wrong(machine.copies[0], volume) == []  # the rest was found in the store's ranges
    catalog = damage(image, machine.catalog + 40, struct.pack("<Q", machine.catalog))
    assert any("the chain returns to itself" in f for f in opened(catalog)[1])


def test_a_list_block_that_is_gone_costs_what_it_told_and_no_more():
    machine = busy(7, copies=1, steps=80)
    image = machine.image(per_list=8)
    first = machine.copies[0].places["blocks"]
    second = struct.unpack_from("<Q", image, first + 40)[0]
    (volume,), _ = opened(damage(image, second, bytes(BLOCK)))
    lost = {e[0] // BLOCK for e in machine.copies[0].entries[8:16]}
    assert wrong(machine.copies[0], volume) and {"unproven"} == {v for s in volume.trace(0, volume.size) for v in s.via} - {"not kept"}
    assert len(wrong(machine.copies[0], volume)) <= len(lost) + 8


def test_places_that_cannot_be_are_unreadable_never_other_bytes():
    machine = Machine(ntfs(4 << 20))
    machine.snapshot()
    machine.write(9, bytes(BLOCK))
    image = machine.image()
    at = machine.copies[0].places["blocks"] + 128
    for offset in (1, 12345, 0, 1 << 62):
        (volume,), _ = opened(damage(image, at + 16, struct.pack("<Q", offset)))
        with pytest.raises(Unreadable):
            volume.read_at(9 * BLOCK, 1)
        assert volume.read_at(8 * BLOCK, BLOCK) == machine.copies[0].truth[8 * BLOCK : 9 * BLOCK]


def test_an_image_that_ends_early_gives_what_is_there():
    machine = busy(11, copies=2)
    image = machine.image()
    cut = len(image) - 40 * BLOCK
    volumes, findings = opened(image[:cut])
    for copy, volume in zip(machine.copies, volumes, strict=False):
        assert volume.size <= len(image)
        for n in filter(copy.shown, range(volume.size // BLOCK)):
            try:
                data = volume.read_at(n * BLOCK, BLOCK)
            except Unreadable:
                continue
            spans = volume.trace(n * BLOCK, BLOCK)
            assert data == copy.truth[n * BLOCK : (n + 1) * BLOCK] or any("unproven" in s.via for s in spans), n
    assert any("bytes stated, the volume has" in f for f in findings)


def test_a_header_without_catalog_is_told():
    machine = busy(1, copies=1)
    image = damage(machine.image(), HEADER_AT + 48, bytes(8))
    volumes, findings = opened(image)
    assert volumes == [] and any("they were deleted" in f for f in findings)


def test_what_is_no_volume_with_copies():
    for data in (b"", bytes(8192), ntfs(4 << 20)):
        assert not FORMAT.probe(MemorySource(data))


class TestContract(SourceContract):
    def make(self):
        machine = busy(5)
        copy = machine.copies[1]
        self.image = machine.image()
        volume = opened(self.image)[0][1]
        truth = bytearray(copy.truth)
        for n in range(machine.blocks):
            if copy.outside(n):
                truth[n * BLOCK : (n + 1) * BLOCK] = volume.read_at(n * BLOCK, BLOCK)
        return volume.data, bytes(truth)

    def root(self):
        return {"disk": busy(5).image()}


def deleted(image: bytes | bytearray, catalog: int, blocks: int = 1) -> bytes:
    """As deleting the last copy leaves it: no catalog, and nothing in the header that leads to it."""
    data = damage(bytes(image), HEADER_AT + 48, bytes(8))
    return damage(data, catalog, bytes(blocks * BLOCK))


def carved(image: bytes) -> tuple[list[Volume], list[str]]:
    budget = Budget()
    made = DELETED.open([Volume(MemorySource(image, "disk"), index=0, start=0, scheme="none")], budget)
    return made, [f"{f.kind} {f.what}: {f.found}" for f in budget.findings]


@pytest.mark.parametrize("seed", range(16))
def test_deleted_copies_come_back_in_order(seed):
    machine = busy(seed, steps=40, back=0)
    volumes, findings = carved(deleted(machine.image(per_list=(508, 9)[seed % 2]), machine.catalog))
    assert [v.facts["shadow_copy"] for v in volumes] == [str(uuid.UUID(int=(c.number << 64) + 2)) for c in machine.copies]
    for copy, volume in zip(machine.copies, volumes, strict=True):
        assert volume.state == "carved" and wrong(copy, volume) == [0]  # the block of the header that was changed
        assert {via for s in volume.trace(0, volume.size) for via in s.via} <= {"unproven", "not kept"}
    assert sum(f.startswith("Note deleted shadow copy: deleted, and put together") for f in findings) == 4


def test_a_deleted_copy_is_read_through_those_that_are_left():
    """The oldest copy alone is deleted, as Windows does when room runs out."""
    machine = busy(12, copies=3, back=0)
    image = bytearray(machine.image())
    for place in range(machine.catalog + 128, machine.catalog + BLOCK, 128):
        if image[place + 16 : place + 32] == machine.copies[0].store.bytes_le:
            image[place : place + 128] = b"\1".ljust(128, b"\0")
    assert [wrong(c, v) for c, v in zip(machine.copies[1:], opened(bytes(image))[0], strict=True)] == [[], []]
    (volume,), _ = carved(bytes(image))
    assert wrong(machine.copies[0], volume) == []


def test_a_lost_catalog_still_dates_the_copies():
    machine = busy(9, copies=2)
    image = damage(machine.image(), HEADER_AT + 48, bytes(8))
    volumes, _ = carved(image)
    assert [v.facts["created"] for v in volumes] == [v.facts["created"] for v in opened(machine.image())[0]] != ["", ""]
    assert [wrong(c, v) for c, v in zip(machine.copies, volumes, strict=True)] == [[0], [0]]


def test_nothing_deleted_nothing_found():
    machine = busy(3)
    assert carved(machine.image()) == ([], [])
    assert carved(ntfs(4 << 20)) == ([], [])
    with pytest.raises(NotThisFormat):
        DELETED.open(opened(machine.image())[0][:1], Budget())


@pytest.mark.corpus
def test_deleted_copies_of_windows_7(image):
    """vsstest.qcow2 with its catalog zeroed, as vssadmin delete shadows leaves it: the same bytes as with it."""
    catalog = 0x6E30000
    head = damage(image.read_at(0, BLOCK), HEADER_AT + 48, bytes(8))
    source = OverlaySource(image.data, [(0, MemorySource(head, "patch")), (catalog, MemorySource(bytes(4 * BLOCK), "patch"))])
    with fl.open_image(source, run=fl.Run(shadows="deleted")) as disk:
        found = [v for v in disk.volumes() if v.shadow is not None]
        assert [(v.name, v.state) for v in found] == [("0.vssdeleted1", "carved"), ("0.vssdeleted2", "carved")]
        for ours, known in zip(found, image.volumes()[1:], strict=True):
            for name in ("shadow_copy", "shadow_copy_set", "attributes", "originating_machine"):
                assert ours.facts[name] == known.facts[name]
            for start, length in known.shadow.changed():
                assert ours.read_at(start, length) == known.read_at(start, length)
        assert disk.find("0.vssdeleted1:/syslog").open().size == 1247
    with fl.open_image(source) as disk:
        assert [v.name for v in disk.volumes()] == ["0"]
