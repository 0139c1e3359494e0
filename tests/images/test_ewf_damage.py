"""Each kind of damage: its own error class or finding, with the offset, and never other bytes."""

from __future__ import annotations

import hashlib
import shutil
import struct
import uuid
import zlib
from pathlib import Path

import pytest

from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, EvidenceError, Truncated
from forensiclib.core.limits import Budget
from forensiclib.core.span import Span
from forensiclib.images.ewf.ewf import FORMAT
from tests.images.sets import SAMPLES, build_set, make_media, noise, summed

CHUNK = 8192


def opened(*paths: Path) -> tuple[Image, Budget]:
    budget = Budget()
    return FORMAT.open([str(p) for p in paths], budget), budget


def sections(raw: bytes) -> dict[str, tuple[int, int]]:
    """type -> (descriptor offset, next offset) of the last section of that type."""
    out, at = {}, 13
    while True:
        kind, follows = struct.unpack_from("<16sQ", raw, at)
        name = kind.rstrip(b"\0").decode()
        out[name] = (at, follows)
        if name in ("next", "done"):  # SMART's points behind itself
            return out
        at = follows


def sample(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLES / name, tmp_path))


def flip(path: Path, *offsets: int) -> None:
    raw = bytearray(path.read_bytes())
    for at in offsets:
        raw[at] ^= 0x10
    path.write_bytes(raw)


def readable(image: Image, chunk: int = CHUNK) -> dict[int, bytes | EvidenceError]:
    """Chunk number -> its bytes or the error."""
    out: dict[int, bytes | EvidenceError] = {}
    for at in range(0, image.size, chunk):
        try:
            out[at // chunk] = image.read_at(at, chunk)
        except EvidenceError as error:
            out[at // chunk] = error
    return out


def only_bad(image: Image, content: bytes, bad: dict[int, type[EvidenceError]], chunk: int = CHUNK) -> None:
    """Chunks in ``bad`` raise that class with their media span, all others read as the content."""
    for number, got in readable(image, chunk).items():
        truth = content[number * chunk : (number + 1) * chunk]
        if number in bad:
            assert type(got) is bad[number], (number, got)
            assert got.span == Span(image.name, number * chunk, len(truth))
        else:
            assert got == truth, number
    if bad:
        with pytest.raises(EvidenceError):
            image.read_at(0, image.size)


def same(path: Path, span: Span, content: bytes) -> bool:
    """Whether the flip changed nothing: in a run of zeros a deflate distance of 3 says what 1 said."""
    try:
        return not span.exact and zlib.decompress(path.read_bytes()[span.start : span.end]) == content
    except zlib.error:
        return False


# -- segments


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_a_missing_segment(missing: int, tmp_path: Path) -> None:
    paths = build_set(tmp_path, make_media(), [".E01", ".E02", ".E03", ".E04"])
    gone = paths.pop(missing - 1)
    gone.unlink()
    with pytest.raises(Truncated, match=f"segment {missing} is missing: no {gone.name}"):
        opened(paths[0])
    with pytest.raises(Truncated, match=f"segment {missing} is missing"):
        opened(*paths)


def test_swapped_segments(tmp_path: Path) -> None:
    paths = build_set(tmp_path, make_media(), [".E01", ".E02", ".E03"])
    paths[1].rename(tmp_path / "x")
    paths[2].rename(paths[1])
    (tmp_path / "x").rename(paths[2])
    with pytest.raises(Corrupt, match="it says that it is segment 3, number 2 belongs here") as caught:
        opened(paths[0])
    assert caught.value.span == Span("set.E02", 9, 2)


def test_a_segment_listed_twice(tmp_path: Path) -> None:
    paths = build_set(tmp_path, make_media(), [".E01", ".E02"])
    again = Path(shutil.copy(paths[1], tmp_path / "again"))
    with pytest.raises(Corrupt, match="segment 2 is there twice"):
        opened(*paths, again)


@pytest.mark.parametrize("identified", [True, False])
def test_a_segment_of_another_set(identified: bool, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, two = ((uuid.UUID(int=i).bytes_le if identified else bytes(16)) for i in (1, 2))
    paths = build_set(tmp_path / "a", make_media(), [".E01", ".E02"], set_id=one)
    other = build_set(tmp_path / "b", make_media() + bytes(4096), [".E01", ".E02"], set_id=two)
    shutil.copy(other[1], paths[1])
    with pytest.raises(Corrupt, match="a segment of another set") as caught:
        opened(paths[0])
    assert caught.value.span == Span("set.E02", 13 + 76, 1052)


def test_another_file_in_the_place_of_a_segment(tmp_path: Path) -> None:
    paths = build_set(tmp_path, make_media(), [".E01", ".E02"])
    paths[1].write_bytes(b"not evidence at all" * 10)
    with pytest.raises(Corrupt, match=r"set\.E02 is not segment 2"):
        opened(paths[0])


def test_a_segment_behind_the_end_is_a_note(tmp_path: Path) -> None:
    paths = build_set(tmp_path, make_media(), [".E01", ".E02"])
    shutil.copy(paths[1], tmp_path / "set.E03")
    image, budget = opened(paths[0])
    assert len(image.parts) == 2
    assert [f.kind for f in budget.findings] == ["Note"]


# -- truncation


def test_a_last_segment_cut_in_its_chunks(tmp_path: Path) -> None:
    content = noise(32 * 4096)
    paths = build_set(tmp_path, content, [".E01", ".E02"])
    at, _ = sections(paths[1].read_bytes())["sectors"]
    size = at + 76 + 5 * 4100 + 1000
    paths[1].write_bytes(paths[1].read_bytes()[:size])
    image, budget = opened(paths[0])
    assert "Truncated" in {f.kind for f in budget.findings}
    assert any(f.span is not None and f.span.root == "set.E02" and f.span.end == size for f in budget.findings)
    only_bad(image, content, dict.fromkeys(range(21, 32), Truncated), 4096)


@pytest.mark.parametrize("name", ["encase1.E01", "smart.s01"])
def test_a_table_before_its_chunks_survives_the_cut(name: str, media: bytes, tmp_path: Path) -> None:
    path = sample(name, tmp_path)
    at, _ = sections(path.read_bytes())["table"]
    path.write_bytes(path.read_bytes()[: at + 76 + 24 + 32 + 4 + 15000])
    image, budget = opened(path)
    assert {f.kind for f in budget.findings} == {"Truncated"}
    got = readable(image)
    assert [type(v) for v in got.values()].count(Truncated) == 5
    for number in (0, 1, 2):
        assert got[number] == media[number * CHUNK : (number + 1) * CHUNK]


@pytest.mark.parametrize("kind", ["table", "table2", "data", "digest", "hash", "done"])
def test_a_cut_behind_the_chunks_loses_none(kind: str, media: bytes, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    at, _ = sections(path.read_bytes())[kind]
    path.write_bytes(path.read_bytes()[: at + 40])
    image, budget = opened(path)
    cut = [f for f in budget.findings if f.kind == "Truncated"]
    assert cut
    assert cut[0].span == Span("encase6.E01", at, 40)
    only_bad(image, media, {})


def test_a_middle_segment_cut_short_leaves_a_hole_of_known_length(tmp_path: Path) -> None:
    content = noise(30 * 4096)
    paths = build_set(tmp_path, content, [".E01", ".E02", ".E03"])
    at, _ = sections(paths[1].read_bytes())["sectors"]
    paths[1].write_bytes(paths[1].read_bytes()[: at + 76 + 3 * 4100 + 7])
    image, _ = opened(paths[0])
    only_bad(image, content, dict.fromkeys(range(13, 20), Truncated), 4096)


def test_two_segments_cut_short_place_nothing_by_guess(tmp_path: Path) -> None:
    content = noise(40 * 4096)
    paths = build_set(tmp_path, content, [".E01", ".E02", ".E03", ".E04"])
    for path in paths[1:3]:
        at, _ = sections(path.read_bytes())["sectors"]
        path.write_bytes(path.read_bytes()[: at + 76 + 3 * 4100 + 7])
    image, budget = opened(paths[0])
    only_bad(image, content, dict.fromkeys(range(13, 40), Truncated), 4096)
    assert any("no certain place" in f.found for f in budget.findings)


@pytest.mark.parametrize("size", [5, 12, 13, 40, 89])
def test_a_first_segment_without_a_volume(size: int, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(EvidenceError):
        opened(path)


# -- flipped bytes


@pytest.mark.parametrize("name", ["encase6.E01", "encase1.E01", "smart.s01", "ewfx.E01"])
def test_a_flipped_byte_in_a_chunk_damages_that_chunk_only(name: str, media: bytes, tmp_path: Path) -> None:
    image, _ = opened(SAMPLES / name)
    for number in range(8):
        (span,) = image.data.stored(number * CHUNK, CHUNK)
        for at in (span.start + 2, span.start + span.length // 2, span.end - 1):
            path = sample(name, tmp_path)
            flip(path, at)
            damaged, budget = opened(path)
            assert not budget.findings
            only_bad(damaged, media, {} if same(path, span, media[number * CHUNK :][:CHUNK]) else {number: Corrupt})


def test_the_stored_checksum_of_a_plain_chunk_counts(tmp_path: Path) -> None:
    content = noise(8 * 4096)
    path = build_set(tmp_path, content, [".E01"])[0]
    at, _ = sections(path.read_bytes())["sectors"]
    flip(path, at + 76 + 4096)
    image, _ = opened(path)
    only_bad(image, content, {0: Corrupt}, 4096)


@pytest.mark.parametrize("kind", ["table", "table2"])
@pytest.mark.parametrize("inside", [0, 4, 30, 76, 76 + 8, 76 + 20, 76 + 24, 76 + 24 + 17, 76 + 24 + 33])
def test_one_of_two_tables_is_enough(kind: str, inside: int, media: bytes, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    at, _ = sections(path.read_bytes())[kind]
    flip(path, at + inside)
    image, budget = opened(path)
    found = [f for f in budget.findings if f.kind == "Corrupt"]
    assert len(found) == 1
    assert found[0].span is not None
    assert found[0].span.root == "encase6.E01"
    assert found[0].span.start <= at + inside < found[0].span.end
    only_bad(image, media, {})


def test_without_any_table_the_chunks_are_found_by_their_checksums(media: bytes, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    where = sections(path.read_bytes())
    flip(path, where["table"][0] + 110, where["table2"][0] + 110)
    image, budget = opened(path)
    assert [f.what for f in budget.findings] == ["EWF table section", "EWF table2 section"]
    only_bad(image, media, {})


def test_without_any_table_a_damaged_chunk_ends_what_is_certain(media: bytes, tmp_path: Path) -> None:
    clean, _ = opened(SAMPLES / "encase6.E01")
    path = sample("encase6.E01", tmp_path)
    where = sections(path.read_bytes())
    flip(path, where["table"][0] + 110, where["table2"][0] + 110, clean.data.stored(5 * CHUNK, 1)[0].start + 30)
    image, _ = opened(path)
    only_bad(image, media, dict.fromkeys((5, 6, 7), Corrupt))


def test_two_good_tables_that_differ_are_a_finding(media: bytes, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    raw = bytearray(path.read_bytes())
    at, follows = sections(bytes(raw))["table2"]
    entries = raw[at + 100 : follows - 4]
    entries[0:4] = entries[4:8]
    raw[at + 100 : follows] = summed(bytes(entries))
    path.write_bytes(raw)
    image, budget = opened(path)
    assert [f.found for f in budget.findings] == ["differs from the table section, both checksums hold"]
    only_bad(image, media, {})


@pytest.mark.parametrize("kind", ["header2", "header", "sectors", "table", "table2", "data", "digest", "hash", "done"])
def test_a_flipped_byte_in_a_section_descriptor(kind: str, media: bytes, tmp_path: Path) -> None:
    for inside in (1, 17, 25, 50, 73):
        path = sample("encase6.E01", tmp_path)
        at, _ = sections(path.read_bytes())[kind]
        flip(path, at + inside)
        image, budget = opened(path)
        found = [f for f in budget.findings if f.what == "EWF section descriptor" and f.kind == "Corrupt"]
        assert [f.span for f in found][:1] == [Span("encase6.E01", at, 76)]
        only_bad(image, media, {})


@pytest.mark.parametrize("inside", [1, 20, 76 + 4, 76 + 8, 76 + 16, 76 + 70, 76 + 1049])
def test_a_damaged_volume_section_has_a_copy_in_data(inside: int, media: bytes, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    at, follows = sections(path.read_bytes())["volume"]
    flip(path, at + inside)
    image, budget = opened(path)
    assert [f.kind for f in budget.findings] == ["Corrupt"]
    span = budget.findings[0].span
    assert span is not None
    assert at <= span.start <= at + inside < span.end <= follows
    only_bad(image, media, {})


def test_a_damaged_volume_section_without_a_copy_is_corrupt(tmp_path: Path) -> None:
    path = sample("smart.s01", tmp_path)
    at, _ = sections(path.read_bytes())["volume"]
    flip(path, at + 76 + 16)
    with pytest.raises(Corrupt, match="EWF volume section") as caught:
        opened(path)
    assert caught.value.span == Span("smart.s01", at + 76, 94)


@pytest.mark.parametrize("kind", ["hash", "digest"])
def test_a_damaged_hash_is_not_believed(kind: str, media: bytes, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    at, _ = sections(path.read_bytes())[kind]
    flip(path, at + 76 + 3)
    image, budget = opened(path)
    assert [(f.kind, f.what) for f in budget.findings] == [("Corrupt", f"EWF {kind} section")]
    assert image.hashes["md5"] == hashlib.md5(media).hexdigest()


def test_a_damaged_header_is_a_finding_and_its_twin_is_read(tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    flip(path, 13 + 76 + 40)
    image, budget = opened(path)
    assert [(f.kind, f.what) for f in budget.findings] == [("Corrupt", "EWF header2 section")]
    assert image.facts["examiner_name"] == "J. Doe"


def test_a_section_that_points_back_is_a_loop(media: bytes, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    raw = bytearray(path.read_bytes())
    at, _ = sections(bytes(raw))["hash"]
    back, _ = sections(bytes(raw))["sectors"]
    raw[at + 16 : at + 24] = back.to_bytes(8, "little")
    raw[at + 72 : at + 76] = zlib.adler32(raw[at : at + 72]).to_bytes(4, "little")
    path.write_bytes(raw)
    image, budget = opened(path)
    assert any(f.found.startswith("a loop") and f.span == Span("encase6.E01", back, 76) for f in budget.findings)
    only_bad(image, media, {})


def test_a_size_that_contradicts_the_next_offset_is_a_finding(media: bytes, tmp_path: Path) -> None:
    path = sample("encase6.E01", tmp_path)
    raw = bytearray(path.read_bytes())
    at, _ = sections(bytes(raw))["sectors"]
    raw[at + 24] ^= 1
    raw[at + 72 : at + 76] = zlib.adler32(raw[at : at + 72]).to_bytes(4, "little")
    path.write_bytes(raw)
    image, budget = opened(path)
    assert [(f.kind, f.span) for f in budget.findings] == [("Corrupt", Span("encase6.E01", at, 76))]
    only_bad(image, media, {})


def test_fewer_chunks_than_the_media_need_are_said_and_refused(tmp_path: Path) -> None:
    content = noise(10 * 4096)
    path = build_set(tmp_path, content, [".E01"])[0]
    raw = bytearray(path.read_bytes())
    for kind in ("table", "table2"):
        at, _ = sections(bytes(raw))[kind]
        body = raw[at + 76 : at + 76 + 24 + 40]
        raw[at + 76 : at + 76 + 24] = summed((9).to_bytes(4, "little") + bytes(body[4:20]))
        raw[at + 100 : at + 140] = summed(bytes(body[24 : 24 + 36]))
    path.write_bytes(raw)
    image, budget = opened(path)
    assert [f.found for f in budget.findings] == ["9 chunks of 10 are listed"]
    only_bad(image, content, {9: Corrupt}, 4096)
