"""Written E01 sets, read by libewf (tools and binding), by The Sleuth Kit and by our own reader."""

from __future__ import annotations

import hashlib
import random
import resource
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forensiclib.core.errors import Cancelled, EvidenceError, Unreadable, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource, clip
from forensiclib.core.span import Span
from forensiclib.core.writing import COMPRESSIONS, WriteOptions, Written
from forensiclib.images.ewf.ewf import FORMAT
from forensiclib.images.ewf.segments import extension
from forensiclib.images.ewf.write import SECTOR_COUNTS, WRITER, write_ewf
from tests.images.sets import make_media, noise

FACTS = {
    "case_number": "2026/11", "evidence_number": "ev-1", "examiner_name": "J. Doe", "unique_description": "a disk Ω", "notes": "some notes",
    "model": "WD", "serial_number": "S-12", "version": "6.19",
}  # fmt: skip
LABELS = {
    "Case number": "2026/11", "Evidence number": "ev-1", "Examiner name": "J. Doe", "Description": "a disk Ω", "Notes": "some notes",
    "Model": "WD", "Serial number": "S-12", "Software version used": "6.19",
}  # fmt: skip


def mixed(size: int, seed: int = 0) -> bytes:
    """Runs of noise, text, zeros and one other byte."""
    chance, out = random.Random(seed), bytearray()
    while len(out) < size:
        n = chance.randrange(1, 150_000)
        out += (chance.randbytes(n), b"a line of text %d\n" % seed * (n // 16), bytes(n), b"\xff" * n)[chance.randrange(4)]
    return bytes(out[:size])


class Broken(ByteSource):
    """Bytes of which some cannot be read."""

    def __init__(self, data: bytes, *bad: tuple[int, int]) -> None:
        self.data, self.bad, self.size = data, bad, len(data)

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> int:
        n = clip(offset, len(buffer), self.size)
        for start, length in self.bad:
            if start < offset + n and offset < start + length:
                raise Unreadable("disk", Span("disk", start, length), "medium error")
        memoryview(buffer)[:n] = self.data[offset : offset + n]
        return n

    def trace(self, offset: int, n: int) -> tuple[Span, ...]:
        return (Span("disk", offset, n),)


def write(
    path: Path, data: bytes | ByteSource, budget: Budget | None = None, *, threads: int = 1, resume: bool = False, **chosen
) -> Written:
    source = data if isinstance(data, ByteSource) else MemorySource(data, "media")
    return write_ewf(source, str(path), WriteOptions(**chosen), budget or Budget(), threads=threads, resume=resume)


def content(*paths: str) -> bytes:
    budget = Budget()
    image = FORMAT.open(paths, budget)
    assert not budget.findings
    return image.read_at(0, image.size)


def tool(*words: str | Path) -> bytes:
    if shutil.which(str(words[0])) is None:
        pytest.skip(f"{words[0]} is not installed")
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, timeout=120).stdout


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.mark.drivers
@pytest.mark.parametrize("level", COMPRESSIONS)
def test_every_reader_gives_the_media_back(level: str, tmp_path: Path) -> None:
    data = mixed(5 << 20, 1)
    made = write(tmp_path / "set.E01", data, compression=level, segment_size=1 << 20, threads=2)
    assert made.digests["md5"] == hashlib.md5(data).hexdigest() and made.digests["sha256"] == hashlib.sha256(data).hexdigest()
    assert content(made.paths[0]) == data
    said = tool("ewfverify", "-q", "-d", "sha1", made.paths[0]).decode()
    assert "SUCCESS" in said and said.count(hashlib.md5(data).hexdigest()) == 2 and hashlib.sha1(data).hexdigest() in said
    assert tool("img_cat", made.paths[0]) == data
    tool("ewfexport", "-q", "-u", "-f", "raw", "-t", tmp_path / "export", made.paths[0])
    assert (tmp_path / "export.raw").read_bytes() == data
    pyewf = pytest.importorskip("pyewf", reason="libewf-python is not installed")
    handle = pyewf.handle()
    handle.open(list(made.paths))
    assert handle.read(handle.get_media_size()) == data
    assert handle.get_hash_value("MD5") == made.digests["md5"] and handle.get_hash_value("SHA1") == made.digests["sha1"]
    handle.close()


@pytest.mark.parametrize("sectors", SECTOR_COUNTS)
def test_every_chunk_size(sectors: int, tmp_path: Path) -> None:
    data = mixed(600_064, 2)
    made = write(tmp_path / "set.E01", data, chunk_sectors=sectors, segment_size=64 << 20)
    assert content(*made.paths) == data
    assert b"SUCCESS" in tool("ewfverify", "-q", made.paths[0])


@pytest.mark.parametrize("sector", [512, 1024, 2048, 4096])
def test_every_sector_size(sector: int, tmp_path: Path, ewfinfo: Callable[[Path], dict[str, str]]) -> None:
    data = mixed(4096 * 50, 3)
    made = write(tmp_path / "set.E01", data, sector_size=sector, media_type="optical", sessions=((0, "data"), (20, "audio")))
    assert content(*made.paths) == data
    said = ewfinfo(Path(made.paths[0]))
    assert said["Bytes per sector"] == str(sector) and said["Number of sectors"] == str(len(data) // sector)
    assert said["Media type"] == "optical disk (CD/DVD/BD)"
    facts = FORMAT.open(made.paths, Budget()).facts
    assert facts["session_1"] == "data from sector 0" and facts["session_2"] == "audio from sector 20"


@pytest.mark.parametrize(("kind", "label"), [("fixed", "fixed disk"), ("removable", "removable disk"), ("memory", "memory (RAM)")])
def test_what_the_caller_says_is_what_ewfinfo_shows(
    kind: str, label: str, tmp_path: Path, ewfinfo: Callable[[Path], dict[str, str]]
) -> None:
    when, identifier = datetime(2024, 2, 29, 13, 14, 15, tzinfo=UTC), bytes(range(16))
    made = write(
        tmp_path / "set.E01", make_media(), facts=FACTS, acquired=when, system=when.replace(day=28), media_type=kind,
        physical=kind == "fixed", identifier=identifier, error_granularity=8, compression="best",
    )  # fmt: skip
    said = ewfinfo(Path(made.paths[0]))
    assert {label: said[label] for label in LABELS} == LABELS
    assert said["File format"] == "EnCase 6" and said["Media type"] == label and said["Is physical"] == ("yes" if kind == "fixed" else "no")
    assert said["Error granularity"] == "8" and said["Compression level"] == "best compression"
    assert said["Set identifier"] == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert said["MD5"] == made.digests["md5"] and said["SHA1"] == made.digests["sha1"]
    # ewfinfo shows header2's time in the host's zone; the header's own words are UTC.
    facts = FORMAT.open(made.paths, Budget()).facts
    assert facts["acquired_date"] == "1709212455" and facts["system_date"] == "1709126055"


def test_a_device_label_is_shown_though_it_makes_the_set_a_later_kind(tmp_path: Path, ewfinfo: Callable[[Path], dict[str, str]]) -> None:
    made = write(tmp_path / "set.E01", make_media(), facts={"device_label": "BOX 7"})
    assert ewfinfo(Path(made.paths[0]))["Device label"] == "BOX 7"


def test_digests_that_are_not_asked_for_are_not_there(tmp_path: Path) -> None:
    made = write(tmp_path / "a.E01", make_media(), algorithms=("sha1",))
    assert dict(FORMAT.open(made.paths, Budget()).hashes) == {"sha1": hashlib.sha1(make_media()).hexdigest()}
    made = write(tmp_path / "b.E01", make_media(), algorithms=("blake3",))
    assert not FORMAT.open(made.paths, Budget()).hashes and set(made.digests) == {"blake3"}


@pytest.mark.parametrize("level", COMPRESSIONS)
def test_chunks_of_one_byte_are_packed_and_others_as_the_level_says(level: str, tmp_path: Path) -> None:
    empty = write(tmp_path / "empty.E01", bytes(1 << 20), compression=level)
    text = write(tmp_path / "text.E01", b"0123456789abcdef" * (1 << 16), compression=level)
    sizes = [Path(made.paths[0]).stat().st_size for made in (empty, text)]
    assert (sizes[0] < 20_000) == (level != "none") and (sizes[1] < 50_000) == (level in ("fast", "best"))


@pytest.mark.drivers
@pytest.mark.bulk
def test_no_segment_is_larger_than_asked_and_names_go_on_behind_99(tmp_path: Path) -> None:
    data = noise(104 << 20)
    made = write(tmp_path / "set.E01", data, compression="none", segment_size=1 << 20, threads=2)
    assert len(made.paths) > 104 and [Path(p).suffix for p in made.paths] == [extension(".E01", n + 1) for n in range(len(made.paths))]
    assert all((1 << 20) - 40_000 < Path(p).stat().st_size <= 1 << 20 for p in made.paths[:-1])
    assert made.paths[99].endswith(".EAA") and b"SUCCESS" in tool("ewfverify", "-q", made.paths[0])


def test_the_number_of_threads_changes_no_byte(tmp_path: Path) -> None:
    data = mixed(9 << 20, 4)
    for threads in (1, 2, 5):
        (tmp_path / str(threads)).mkdir()
        write(tmp_path / str(threads) / "set.E01", data, threads=threads, segment_size=1 << 20, facts=FACTS)
    assert files(tmp_path / "1") == files(tmp_path / "2") == files(tmp_path / "5")


class Stop:
    """Says stop at the n-th question."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.bulk
@pytest.mark.parametrize("threads", [1, 2])
def test_a_job_stopped_anywhere_ends_as_one_that_was_not(threads: int, tmp_path: Path) -> None:
    data = mixed((7 << 20) + 100, 5)
    (tmp_path / "whole").mkdir()
    source = Broken(data, (1_000_000, 700), (5 << 20, 40_000))
    write(tmp_path / "whole" / "set.E01", source, segment_size=1 << 20)
    for step in (0, 1, 3):
        folder = tmp_path / f"cut{step}"
        folder.mkdir()
        resume, made, turns = False, None, 0
        while made is None:
            turns += 1
            try:
                made = write(folder / "set.E01", source, Budget(cancelled=Stop(step if turns < 20 else 99)), segment_size=1 << 20,
                             threads=threads, resume=resume)  # fmt: skip
            except Cancelled:
                resume = True
                assert (folder / "set.E01.resume").exists()
        assert turns > 1 and files(folder) == files(tmp_path / "whole")
        assert made.bad == ((999_936, 1024), (5 << 20, 40_448))


def test_after_a_power_cut_a_later_segment_is_replaced_and_a_foreign_file_is_not(tmp_path: Path) -> None:
    data = noise(6 << 20)
    (tmp_path / "whole").mkdir()
    write(tmp_path / "whole" / "set.E01", data, segment_size=1 << 20)
    path = tmp_path / "set.E01"
    with pytest.raises(Cancelled):
        write(path, data, Budget(cancelled=Stop(2)), segment_size=1 << 20)
    (tmp_path / "set.E04").write_bytes((tmp_path / "whole" / "set.E04").read_bytes()[:70_000])
    (tmp_path / "set.E05").write_bytes(b"a letter")
    with pytest.raises(UsageError, match="there already"):
        write(path, data, segment_size=1 << 20, resume=True)
    assert (tmp_path / "set.E05").read_bytes() == b"a letter"
    (tmp_path / "set.E05").unlink()
    made = write(path, data, segment_size=1 << 20, resume=True)
    assert [Path(p).read_bytes() for p in made.paths] == list(files(tmp_path / "whole").values())


def test_another_job_does_not_go_on_here(tmp_path: Path) -> None:
    data, path = mixed(3 << 20, 6), tmp_path / "set.E01"
    with pytest.raises(UsageError, match="no stopped job"):
        write(path, data, resume=True)
    with pytest.raises(Cancelled):
        write(path, data, Budget(cancelled=Stop(1)))
    with pytest.raises(UsageError, match="a job was stopped here"):
        write(path, data)
    for other, chosen in ((data, {"compression": "best"}), (data, {"facts": FACTS}), (data[:-512], {}), (b"x" + data[1:], {})):
        with pytest.raises(UsageError, match="another job"):
            write(path, other, resume=True, **chosen)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UsageError, match="shorter"):
        write(path, data, resume=True)


def test_a_full_disk_is_the_hosts_error_and_the_job_goes_on_later(tmp_path: Path) -> None:
    data = noise(4 << 20)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, limits[1]))
    try:
        with pytest.raises(OSError, match=r"set\.E01"):
            write(tmp_path / "set.E01", data, threads=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    made = write(tmp_path / "set.E01", data, threads=2, resume=True)
    assert content(*made.paths) == data and [p.name for p in tmp_path.iterdir()] == ["set.E01"]
    assert b"SUCCESS" in tool("ewfverify", "-q", made.paths[0])


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "set.E01").write_bytes(b"a letter")
    with pytest.raises(UsageError, match="there already"):
        write(tmp_path / "set.E01", make_media())
    (tmp_path / "other.E02").write_bytes(b"a letter")
    with pytest.raises(UsageError, match="there already"):
        write(tmp_path / "other.E01", noise(3 << 20), segment_size=1 << 20)
    assert (tmp_path / "set.E01").read_bytes() == (tmp_path / "other.E02").read_bytes() == b"a letter"


@pytest.mark.parametrize("grain", [1, 8, 64])
def test_what_could_not_be_read_is_zero_and_told(grain: int, tmp_path: Path) -> None:
    data, budget = mixed(3 << 20, 7), Budget()
    source = Broken(data, (512 * 70, 512 * 3), (2 << 20, 1))
    options = WriteOptions(error_granularity=grain)
    made = write_ewf(source, str(tmp_path / "set.E01"), options, budget, known_bad=[(512 * 4000, 1024), (512 * 71, 512)])
    first, other = 70 // grain * grain, 4096 // grain * grain
    spans = [(first, -(-73 // grain) * grain - first), (4000, 2), (other, grain)]
    expected = bytearray(data)
    for start, n in (spans[0], spans[2]):
        expected[start * 512 : (start + n) * 512] = bytes(n * 512)
    assert content(*made.paths) == expected and made.digests["md5"] == hashlib.md5(expected).hexdigest()
    assert made.bad == tuple((s * 512, n * 512) for s, n in spans)
    assert [f.kind for f in budget.findings] == ["Unreadable", "Unreadable"]
    said = tool("ewfinfo", "-e", made.paths[0]).decode()
    assert "total number: 3" in said
    assert all(f"at sector(s): {s} - {s + n - 1} number: {n}" in said for s, n in spans)
    assert FORMAT.open(made.paths, Budget()).bad_sectors == tuple(Span("set.E01", s * 512, n * 512) for s, n in spans)


def test_a_last_sector_that_is_not_whole_is_padded_and_told(tmp_path: Path) -> None:
    data, budget = mixed(100_100, 8), Budget()
    made = write(tmp_path / "set.E01", data, budget)
    whole = data + bytes(-len(data) % 512)
    assert content(*made.paths) == whole and made.padded == len(whole) - len(data)
    assert made.digests["sha1"] == hashlib.sha1(whole).hexdigest() and made.source["sha1"] == hashlib.sha1(data).hexdigest()
    assert [f.found for f in budget.findings] == ["252 zeros were put behind the last of 100100 bytes, up to a whole sector"]
    assert b"SUCCESS" in tool("ewfverify", "-q", made.paths[0])


def test_sets_of_other_media_or_other_words_have_other_identifiers(tmp_path: Path) -> None:
    def identifier(name: str, data: bytes, **chosen) -> str:
        return FORMAT.open(write(tmp_path / name, data, **chosen).paths, Budget()).facts["set_identifier"]

    data = mixed(1 << 20, 9)
    same = [identifier(f"{i}.E01", data) for i in range(2)]
    others = [identifier("a.E01", data[:-1] + b"!"), identifier("b.E01", data, facts=FACTS), identifier("c.E01", data[:-512])]
    assert same[0] == same[1] and len({*same, *others}) == 4
    assert same[0][14] == "4" and same[0][19] in "89ab"


@pytest.mark.parametrize(
    "chosen",
    [
        {"compression": "most"}, {"chunk_sectors": 65}, {"sector_size": 520}, {"segment_size": 1000}, {"media_type": "paper"},
        {"algorithms": ()}, {"algorithms": ("md6",)}, {"identifier": b"x"}, {"error_granularity": 65}, {"sessions": ((0, "song"),)},
        {"facts": {"notes": "two\nlines"}}, {"facts": {"colour": "red"}}, {"facts": {"version": "longer than eleven"}},
        {"facts": {"case_number": "x" * 3000}},
    ],
)  # fmt: skip
def test_what_the_format_cannot_take_is_refused_before_anything_is_written(chosen: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write(tmp_path / "set.E01", make_media(), **chosen)
    assert not list(tmp_path.iterdir())
    for name, data in (("set.dd", make_media()), ("set.E02", make_media()), ("set.E01", b"")):
        with pytest.raises(UsageError):
            write(tmp_path / name, data)
    assert not list(tmp_path.iterdir()) and WRITER.name == "ewf"


def test_a_flipped_bit_in_a_written_set_never_changes_a_byte_in_silence(tmp_path: Path) -> None:
    data = mixed(300_032, 10)
    raw = Path(write(tmp_path / "set.E01", data).paths[0]).read_bytes()
    chance, told = random.Random(11), 0
    for _ in range(150):
        broken = bytearray(raw)
        broken[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        (tmp_path / "bad.E01").write_bytes(broken[: chance.choice((len(raw), chance.randrange(len(raw))))])
        budget = Budget()
        try:
            image = FORMAT.open([str(tmp_path / "bad.E01")], budget)
        except EvidenceError:
            told += 1
            continue
        for at in range(0, image.size, 32768):
            try:
                assert image.read_at(at, 32768) == data[at : at + 32768]
            except EvidenceError:
                told += 1
        told += len(budget.findings)
    assert told > 150
