"""The contract, and what a volume made by mkfs.ntfs and ntfs-3g must say; then the same volume damaged on purpose."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest

from forensiclib.core.entry import FILES_SCHEMA, file_rows
from forensiclib.core.errors import EvidenceError, NotThisFormat, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.filesystems.ntfs.ntfs import FORMAT, Ntfs
from forensiclib.testing.contracts import FileSystemContract

SAMPLE = Path(__file__).parent.parent / "samples" / "ntfs" / "small.ntfs.xz"
VOLUME = lzma.decompress(SAMPLE.read_bytes())
TEXT = b"".join(b"line %d\n" % n for n in range(1200))
FILES = {
    "resident.txt": b"resident",
    "empty": b"",
    "nine.bin": bytes(range(250)) * 36,
    "streams.txt": b"main",
    "packed/text.txt": TEXT,
    "sparse.bin": bytes(100_000) + b"end",
    "links/one": b"linked",
    "links/the same file under name 9": b"linked",
    "crowd/name 05.txt": b"5",
}


def open_(data: bytes | bytearray) -> tuple[Ntfs, Budget]:
    budget = Budget()
    fs = FORMAT.open(MemorySource(bytes(data), "image"), budget)
    assert isinstance(fs, Ntfs)
    return fs, budget


def record_at(number: int, data: bytes = VOLUME) -> int:
    """Volume offset of a record, from the listing's own trace of $MFT."""
    fs, _ = open_(data)
    return fs.get("$MFT").open().trace(number * 1024, 1024)[0].start


class TestContract(FileSystemContract):
    def make(self) -> Ntfs:
        return open_(VOLUME)[0]

    def files(self) -> dict[str, bytes]:
        return FILES


def test_streams_and_hard_links() -> None:
    fs, _ = open_(VOLUME)
    entry = fs.get("STREAMS.TXT")
    assert {s.name: s.read_at(0, 9999) for s in entry.streams()} == {"": b"main", "one": b"first alternate", "two": b"second " * 300}
    names = [e for e in fs.walk() if e.id == fs.get("links/one").id]
    assert len(names) == 17 and {e.links for e in names} == {17}
    assert fs.label == "Small" and fs.block_size == 512


def test_compressed_content_says_so_and_traces_through_lznt1() -> None:
    stream = open_(VOLUME)[0].get("packed/text.txt").open()
    assert stream.compressed and stream.allocated < len(TEXT)
    assert {s.via for s in stream.trace(0, 10)} == {("lznt1",)}


def test_resident_content_traces_to_its_bytes() -> None:
    for entry in open_(VOLUME)[0].walk():
        for stream in entry.streams():
            if stream.resident and stream.size:
                spans = stream.trace(0, stream.size)
                assert b"".join(VOLUME[s.start : s.end] for s in spans) == stream.read_at(0, stream.size), (entry.path, stream.name)


def test_deleted_files_keep_path_and_content() -> None:
    fs, _ = open_(VOLUME)
    gone = {e.path: e for e in fs.walk() if e.state == "deleted"}
    lost = gone["gone/below/lost.bin"]
    assert lost.verdict == "intact" and lost.open().read_at(0, 5000) == b"lost" * 1000
    assert {f"crowd/name {n:02d}.txt" for n in range(10, 30)} <= set(gone)


def test_the_table_agrees_with_walk_row_for_row() -> None:
    fs, _ = open_(VOLUME)
    names = [name for name, _ in FILES_SCHEMA]
    table = [{n: row[n] for n in names} for row in fs.table().rows()]
    walked = []
    for entry in fs.walk():
        for row in file_rows(entry):
            row |= {k: (t.int64 if (t := row[k]) is not None else None) for k in ("modified", "accessed", "changed", "born", "deleted")}
            walked.append({n: row[n] for n in names})
    assert table == walked


def test_backup_boot_sector() -> None:
    damaged = bytearray(VOLUME)
    damaged[:512] = bytes(512)
    fs, budget = open_(damaged)
    assert fs.get("resident.txt").open().read_at(0, 99) == b"resident"
    assert any("copy" in f.found for f in budget.findings)
    damaged[-512:] = bytes(512)
    with pytest.raises(NotThisFormat):
        open_(damaged)


def test_the_mirror_replaces_a_damaged_first_record() -> None:
    damaged, at = bytearray(VOLUME), record_at(0)
    damaged[at : at + 4] = b"BAAD"
    fs, budget = open_(damaged)
    assert fs.get("nine.bin").size == 9000
    assert any("$MFTMirr" in f.found for f in budget.findings)


def test_a_torn_record_is_marked_and_used_as_far_as_it_goes() -> None:
    number = open_(VOLUME)[0].get("nine.bin").id
    damaged, at = bytearray(VOLUME), record_at(number)
    damaged[at + 1022] ^= 0xFF
    fs, budget = open_(damaged)
    entry = fs.get("nine.bin")
    assert entry.attributes["torn"] is True and entry.size == 9000
    assert any("torn" in f.what and f.span is not None and f.span.start == at for f in budget.findings)


@pytest.mark.parametrize("signature", [b"BAAD", b"JUNK"])
def test_unusable_records_are_findings(signature: bytes) -> None:
    number = open_(VOLUME)[0].get("nine.bin").id
    damaged, at = bytearray(VOLUME), record_at(number)
    damaged[at : at + 4] = signature
    fs, budget = open_(damaged)
    stale = [e for e in fs.walk() if e.name == "nine.bin"]
    assert [e.state for e in stale] == ["slack"], "its directory still has the name"
    assert stale[0].size == 9000 and stale[0].id == number
    assert any(f"file record {number}," in f.found for f in budget.findings)


def test_a_name_whose_record_was_reused_stays_in_the_index_as_slack() -> None:
    fs, _ = open_(VOLUME)
    number = fs.get("crowd/name 05.txt").id
    damaged, at = bytearray(VOLUME), record_at(number)
    damaged[at + 16 : at + 18] = struct.pack("<H", 9)
    fs, _ = open_(damaged)
    assert {(e.state, e.sequence) for e in fs.walk() if e.path == "crowd/name 05.txt"} == {("allocated", 9), ("slack", 1)}


def test_a_reused_parent_makes_orphans() -> None:
    fs, _ = open_(VOLUME)
    number = next(e.id for e in fs.walk() if e.path == "gone/below")
    damaged, at = bytearray(VOLUME), record_at(number)
    damaged[at + 16 : at + 18] = struct.pack("<H", 7)
    fs, _ = open_(damaged)
    lost = next(e for e in fs.walk() if e.name == "lost.bin")
    assert (lost.state, lost.path, lost.parent) == ("orphan", "$OrphanFiles/lost.bin", None)
    assert lost.open().read_at(0, 4) == b"lost"


def test_a_cycle_of_parents_is_a_finding() -> None:
    fs, _ = open_(VOLUME)
    links, crowd = fs.get("links"), fs.get("crowd")
    damaged = bytearray(VOLUME)
    for here, there in ((links, crowd), (crowd, links)):
        at = record_at(here.id)
        name = VOLUME.index(struct.pack("<Q", 5 | 5 << 48), at, at + 1024)
        damaged[name : name + 8] = struct.pack("<Q", there.id | there.sequence << 48)
    fs, budget = open_(damaged)
    assert len(fs.table()) > 60
    assert any("ancestor" in f.what for f in budget.findings)
    assert sum(1 for e in fs.walk() if e.path.startswith("$OrphanFiles/") and "/links/" in e.path + "/") >= 17


def test_verdicts_follow_the_bitmap_and_other_records() -> None:
    fs, _ = open_(VOLUME)
    lost = next(e for e in fs.walk() if e.name == "lost.bin")
    runs = lost.open().runs
    assert runs[0][0] is not None
    cluster = runs[0][0] // 512
    bitmap = fs.get("$Bitmap").open().trace(0, 1)[0].start
    damaged = bytearray(VOLUME)
    damaged[bitmap + cluster // 8] |= 1 << cluster % 8
    again = open_(damaged)[0].entry(lost.id, lost.sequence)
    assert again.verdict == "partly overwritten"
    for n in range(cluster, cluster + 8):
        damaged[bitmap + n // 8] |= 1 << n % 8
    assert open_(damaged)[0].entry(lost.id, lost.sequence).verdict == "overwritten"


def test_bytes_past_the_valid_length_read_as_zero() -> None:
    fs, _ = open_(VOLUME)
    damaged, at = bytearray(VOLUME), record_at(fs.get("nine.bin").id)
    sizes = VOLUME.index(struct.pack("<QQ", 9000, 9000), at, at + 1024)
    damaged[sizes + 8 : sizes + 16] = struct.pack("<Q", 700)
    fs, _ = open_(damaged)
    stream = fs.get("nine.bin").open()
    assert stream.valid == 700
    assert stream.read_at(0, 9999) == FILES["nine.bin"][:700] + bytes(8300)
    tail = next(source for entry, source in fs.slack() if entry.name == "nine.bin")
    assert tail.read_at(0, 8300) == FILES["nine.bin"][700:]


def test_lone_surrogates_keep_the_stored_bytes() -> None:
    fs, _ = open_(VOLUME)
    damaged, at = bytearray(VOLUME), record_at(fs.get("nine.bin").id)
    name = VOLUME.index("nine.bin".encode("utf-16-le"), at, at + 1024)
    damaged[name : name + 2] = b"\x00\xd8"
    fs, _ = open_(damaged)
    entry = next(e for e in fs.walk() if e.size == 9000 and e.state == "allocated")
    assert entry.name == "\ufffdine.bin"
    assert entry.raw_name == b"\x00\xd8" + "ine.bin".encode("utf-16-le")


def test_overlay_compressed_content_is_refused_not_zero() -> None:
    """A reparse point of tag 0x80000017 in place of the file's object id, padding or last attribute."""
    fs, _ = open_(VOLUME)
    at = record_at(fs.get("sparse.bin").id)
    damaged = bytearray(VOLUME)
    used = struct.unpack_from("<I", VOLUME, at + 24)[0]
    end = used - 8
    assert VOLUME[at + end : at + end + 4] == b"\xff" * 4 and end + 48 < 510
    point = struct.pack("<IIBBHHHIHHIHH", 0xC0, 40, 0, 0, 24, 0, 9, 16, 24, 0, 0x80000017, 8, 0) + bytes(8)
    damaged[at + end : at + end + 48] = point + b"\xff" * 4 + bytes(4)
    damaged[at + 24 : at + 28] = struct.pack("<I", used + 40)
    fs, budget = open_(damaged)
    stream = fs.get("sparse.bin").open()
    with pytest.raises(Unsupported):
        stream.read_at(0, 10)
    assert any("overlay" in f.what for f in budget.findings)


def test_a_truncated_volume_still_lists() -> None:
    start = open_(VOLUME)[0].get("nine.bin").open().runs[0][0]
    assert start is not None
    fs, budget = open_(VOLUME[: start + 1024])
    assert len(fs.table()) > 40
    assert any(f.kind == "Truncated" for f in budget.findings)
    stream = fs.get("nine.bin").open()
    assert stream.read_at(0, 1024) == FILES["nine.bin"][:1024]
    with pytest.raises(EvidenceError):
        stream.read_at(0, 9000)
