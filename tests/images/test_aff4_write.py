"""Written AFF4 volumes, read by pyaff4 (where it is installed), by zipfile and by our own reader."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.api.converting import convert
from forensiclib.core.errors import Cancelled, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource, MemorySource
from forensiclib.core.span import Span
from forensiclib.core.writing import WriteOptions, Written
from forensiclib.images.aff4.aff4 import FORMAT
from forensiclib.images.aff4.bevies import METHODS
from forensiclib.images.aff4.write import WRITER, write_aff4
from tests.images.sets import make_media, noise
from tests.images.sets4 import text
from tests.images.test_ewf_write import Broken, Stop, files, mixed

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "images"
PYAFF4 = """
import hashlib, json, sys
from pyaff4 import block_hasher, container, rdfvalue
seen = []
class Listener(block_hasher.ValidationListener):
    def onValidHash(self, kind, value, stream): seen.append(kind)
    def onInvalidHash(self, kind, value, other, stream): seen.append("not " + kind)
urn = rdfvalue.URN.FromFileName(sys.argv[1])
block_hasher.Validator(Listener()).validateContainer(urn)
volume = container.Container.openURNtoContainer(urn)
stream, made, at = volume.image.dataStream, hashlib.md5(), 0
while at < stream.Size():
    piece = stream.Read(min(1 << 20, stream.Size() - at))
    made.update(piece)
    at += len(piece)
print(json.dumps([at, made.hexdigest(), sorted(seen)]))
sys.stdout.flush()
import os; os._exit(0)
"""


def write(
    path: Path, data: bytes | ByteSource, budget: Budget | None = None, *, threads: int = 1, resume: bool = False, known=(), **chosen
) -> Written:
    source = data if isinstance(data, ByteSource) else MemorySource(data, "media")
    return write_aff4(source, str(path), WriteOptions(**chosen), budget or Budget(), threads=threads, resume=resume, known_bad=known)


def content(path: str) -> bytes:
    image = FORMAT.open([path], Budget())
    try:
        return image.read_at(0, image.size)
    finally:
        image.close()


def python_with_pyaff4() -> str:
    """Its interpreter: pyaff4 wants old versions of what others need, so it may have an environment of its own."""
    for python in filter(None, (os.environ.get("FORENSICLIB_PYAFF4"), sys.executable)):
        if subprocess.run([python, "-W", "ignore", "-c", "import pyaff4.container"], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip("pyaff4 is not installed; FORENSICLIB_PYAFF4 may name a Python that has it")


@pytest.mark.bulk
@pytest.mark.parametrize("level", METHODS)
def test_pyaff4_gives_the_media_back_and_finds_every_hash_right(level: str, tmp_path: Path) -> None:
    python = python_with_pyaff4()
    source = Broken(mixed((3 << 20) + 777, 1), (1_000_000, 700), (2 << 20, 1))
    made = write(tmp_path / "a.aff4", source, compression=level, known=[(100, 2000)], facts={"notes": 'a "quote"\nΩ'})
    done = subprocess.run([python, "-W", "ignore", "-c", PYAFF4, str(tmp_path / "a.aff4")], capture_output=True, check=True, timeout=100)
    size, md5, seen = json.loads(done.stdout)
    assert (size, md5) == (made.size, made.digests["md5"])
    # Of an image's hashes pyaff4 takes each for that of the block map, the linear ones of the standard's own example too.
    seen = [kind for kind in seen if "AFF4Hash" not in kind]
    assert seen == ["BlockHashesHash", "BlockMapHash", "mapHash", "mapIdxHash", "mapPointHash"]


@pytest.mark.bulk
@pytest.mark.parametrize("level", METHODS)
@pytest.mark.parametrize("sectors", [1, 64, 4096])
def test_our_reader_gives_the_media_back(level: str, sectors: int, tmp_path: Path) -> None:
    data = mixed((600_000 if sectors == 1 else 5 << 20) + 100, 1)
    made = write(tmp_path / "a.aff4", data, compression=level, chunk_sectors=sectors, threads=2)
    assert content(made.paths[0]) == data and made.padded == 0 and made.digests == made.source
    with fl.open_image(made.paths[0]) as image:
        found = image.verify()
        assert found.ok is True and found.sealed == 6 and found.stored["sha256"] == hashlib.sha256(data).hexdigest()
        assert image.hashes == dict(made.digests) and image.run.findings == []
    with zipfile.ZipFile(made.paths[0]) as volume:
        assert volume.testzip() is None and volume.namelist()[0] == "container.description"
        assert volume.comment == volume.read("container.description") and b"major=1\nminor=0\n" in volume.read("version.txt")


@pytest.mark.bulk
def test_several_bevies(tmp_path: Path) -> None:
    data = noise(40 << 10) * 100
    made = write(tmp_path / "a.aff4", data, compression="none", chunk_sectors=1)
    again = FORMAT.open(made.paths, Budget())
    assert again.read_at(0, again.size) == data
    from forensiclib.images.aff4 import write as module

    before, module.BEVY = module.BEVY, 100 << 10
    try:
        made = write(tmp_path / "b.aff4", mixed(3 << 20, 3), chunk_sectors=16)
    finally:
        module.BEVY = before
    with zipfile.ZipFile(made.paths[0]) as volume:
        assert sum(name.endswith(".index") for name in volume.namelist()) > 10
    with fl.open_image(made.paths[0]) as image:
        assert image.read_at(0, image.size) == mixed(3 << 20, 3) and image.verify().ok is True


@pytest.mark.bulk
def test_chunks_of_one_byte_are_entries_of_the_map(tmp_path: Path) -> None:
    data = bytes(1 << 20) + b"\xff" * (1 << 20) + b"a" * 40_000 + noise(100_000)
    sizes = {level: (tmp_path / write(tmp_path / f"{level}.aff4", data, compression=level).paths[0]).stat().st_size for level in METHODS}
    assert sizes["none"] > len(data) and all(sizes[level] < 180_000 for level in METHODS if level != "none")
    image = FORMAT.open([str(tmp_path / "fast.aff4")], Budget())
    assert image.trace(5, 10) == (Span("", 0, 10, ("zero",), False),) and image.trace((1 << 20) + 5, 1)[0].via == ("repeat",)
    with fl.open_image(write(tmp_path / "z.aff4", bytes(5 << 20)).paths[0]) as zero:
        assert zero.read_at(0, 6 << 20) == bytes(5 << 20) and zero.verify().ok is True


def test_what_the_caller_says_comes_back(tmp_path: Path) -> None:
    when = datetime(2024, 2, 29, 13, 14, 15, tzinfo=UTC)
    facts = {
        "case_number": "2026/11",
        "examiner_name": 'J. "Q" Doe\\',
        "notes": "two\nlines\tΩ\x00\x9b",
        "model": "WD",
        "serial_number": "S-1",
    }
    made = write(
        tmp_path / "a.aff4",
        make_media(),
        facts=facts,
        acquired=when,
        system=when,
        identifier=bytes(range(16)),
        sector_size=2048,
        chunk_sectors=16,
    )
    image = FORMAT.open(made.paths, Budget())
    assert {name: image.facts[name] for name in facts} == facts and image.sector_size == 2048
    assert image.facts["acquired_date"] == "1709212455" and image.facts["startTime"] == "2024-02-29T13:14:15Z"
    assert image.facts["volume"] == "aff4://00010203-0405-0607-0809-0a0b0c0d0e0f"
    for kind, physical, name in (("memory", True, b"MemoryImage"), ("fixed", False, b"VolumeImage"), ("fixed", True, b"DiskImage")):
        path = tmp_path / f"{name.decode()}.aff4"
        write(path, make_media(), media_type=kind, physical=physical)
        assert b"a  aff4:" + name in path.read_bytes() and content(str(path)) == make_media()


@pytest.mark.bulk
def test_the_same_source_and_options_give_the_same_bytes(tmp_path: Path) -> None:
    data = mixed(5 << 20, 4)
    for threads in (1, 2, 5):
        (tmp_path / str(threads)).mkdir()
        write(tmp_path / str(threads) / "a.aff4", data, threads=threads)
    assert files(tmp_path / "1") == files(tmp_path / "2") == files(tmp_path / "5")
    (tmp_path / "6").mkdir()
    write(tmp_path / "6" / "a.aff4", data[:-1])
    assert files(tmp_path / "6") != files(tmp_path / "1")


@pytest.mark.bulk
@pytest.mark.parametrize("grain", [1, 8])
def test_what_could_not_be_read_is_unreadable_data(grain: int, tmp_path: Path) -> None:
    data, budget = mixed(3 << 20, 7), Budget()
    source = Broken(data, (512 * 70, 512 * 3), (2 << 20, 1))
    made = write(tmp_path / "a.aff4", source, budget, error_granularity=grain, known=[(512 * 71, 512), (999, 5), (1000, 1500)])
    first = 70 // grain * grain * 512
    spans = [(999, 1501), (first, -(-73 // grain) * grain * 512 - first), (2 << 20, 512 * grain)]
    assert made.bad == tuple(spans)
    expected = bytearray(data)
    for start, n in spans:
        expected[start : start + n] = text(b"UNREADABLEDATA", start, n)
    assert content(made.paths[0]) == expected and made.digests["md5"] == hashlib.md5(expected).hexdigest()
    expected[999:2500] = data[999:2500]
    assert made.source["md5"] == hashlib.md5(expected).hexdigest(), "the source's own bytes where it says that they were never read"
    assert [f.kind for f in budget.findings] == ["Unreadable", "Unreadable"]
    with fl.open_image(made.paths[0]) as image:
        assert image.bad_sectors == tuple(Span("a.aff4", s, n) for s, n in spans) and image.verify().ok is True
        assert image.trace(1000, 10) == (Span("", 0, 10, ("unreadable",), False),)
        with fl.open_image(convert(fl.Run(), image, str(tmp_path / "b.aff4")).written.paths[0]) as again:
            assert again.bad_sectors == tuple(Span("b.aff4", s, n) for s, n in spans) and again.hashes == image.hashes


@pytest.mark.bulk
@pytest.mark.parametrize("threads", [1, 2])
def test_a_job_stopped_anywhere_ends_as_one_that_was_not(threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensiclib.images.aff4.write.BEVY", 700 << 10)
    data, known = mixed((7 << 20) + 100, 5), [(3_000_000, 5000)]
    (tmp_path / "whole").mkdir()
    source = Broken(data, (1_000_000, 700), (5 << 20, 40_000))
    whole = write(tmp_path / "whole" / "a.aff4", source, known=known)
    for step in (0, 1, 3):
        folder = tmp_path / f"cut{step}"
        folder.mkdir()
        resume, made, turns = False, None, 0
        while made is None:
            turns += 1
            try:
                made = write(
                    folder / "a.aff4",
                    source,
                    Budget(cancelled=Stop(step if turns < 20 else 99)),
                    threads=threads,
                    resume=resume,
                    known=known,
                )
            except Cancelled:
                resume = True
                assert (folder / "a.aff4.resume").exists()
        assert turns > 1 and files(folder) == files(tmp_path / "whole")
        assert (made.bad, made.digests, made.source) == (whole.bad, whole.digests, whole.source)


@pytest.mark.bulk
def test_a_full_disk_is_the_hosts_error_and_the_job_goes_on_later(tmp_path: Path) -> None:
    data = noise(4 << 20)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.aff4"):
            write(tmp_path / "a.aff4", data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    made = write(tmp_path / "a.aff4", data, resume=True)
    assert content(made.paths[0]) == data and [p.name for p in tmp_path.iterdir()] == ["a.aff4"]


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"compression": "zpaq"}, "no compression"), ({"chunk_sectors": 3}, "powers of two"), ({"chunk_sectors": 1 << 20}, "powers of two"),
        ({"sector_size": 513}, "sectors of 513"), ({"segment_size": 1 << 30}, "one file"), ({"sessions": ((0, "data"),)}, "sessions"),
        ({"identifier": b"x"}, "16 bytes"), ({"facts": {"colour": "red"}}, "no value colour"), ({"media_type": "paper"}, "no media type"),
        ({"error_granularity": 65}, "granularity"), ({"algorithms": ("md6",)}, "no algorithm"),
    ],
)  # fmt: skip
def test_what_the_format_cannot_take_is_refused_before_anything_is_written(chosen: dict, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says):
        write(tmp_path / "a.aff4", make_media(), **chosen)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_and_nothing_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.aff4").write_bytes(b"a letter")
    with pytest.raises(UsageError, match="there already"):
        write(tmp_path / "a.aff4", make_media())
    assert (tmp_path / "a.aff4").read_bytes() == b"a letter"
    with pytest.raises(UsageError, match="empty"):
        write(tmp_path / "b.aff4", b"")


def test_from_e01_and_back_with_what_its_maker_said(tmp_path: Path) -> None:
    run = fl.Run()
    with fl.open_image(SAMPLES / "encase6.E01", run=run) as first:
        there = convert(run, first, str(tmp_path / "a.aff4"))
        assert there.ok and there.written.digests["md5"] == first.hashes["md5"] and WRITER.name == "aff4"
        with fl.open_image(tmp_path / "a.aff4", run=run) as middle:
            back = convert(run, middle, str(tmp_path / "b.E01"))
            with fl.open_image(tmp_path / "b.E01", run=run) as last:
                assert back.ok and last.hashes["md5"] == first.hashes["md5"]
                for name in ("case_number", "evidence_number", "examiner_name", "unique_description", "notes", "acquired_date"):
                    assert last.facts[name] == middle.facts[name] == first.facts[name]


def test_no_flipped_bit_changes_a_byte_in_silence(tmp_path: Path) -> None:
    data, chance = make_media(), random.Random(1)
    raw = Path(write(tmp_path / "a.aff4", data, chunk_sectors=8).paths[0]).read_bytes()
    told = 0
    for _ in range(200):
        broken = bytearray(raw)
        broken[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        (tmp_path / "b.aff4").write_bytes(broken)
        try:
            with fl.open_image(tmp_path / "b.aff4", format="aff4") as image:
                if image.read_at(0, image.size) != data:
                    assert image.verify().ok is False
                    told += 1
        except fl.ForensicError:
            told += 1
    assert told > 100


# files

PYAFF4_FILES = """
import hashlib, json, sys
from pyaff4 import container, rdfvalue
seen = {}
with container.Container.openURNtoContainer(rdfvalue.URN.FromFileName(sys.argv[1])) as volume:
    for image in volume.images():
        with volume.resolver.AFF4FactoryOpen(image.urn, version=volume.version) as stream:
            data = stream.Read(stream.Size()) if stream.Size() else b""
            seen[str(image.name())] = hashlib.md5(data).hexdigest()
print(json.dumps(seen))
sys.stdout.flush()
import os; os._exit(0)
"""
TREE = {
    "a.txt": b"hello world",
    "Ωmega two.txt": b"x" * 9000,
    "100% {b}.bin": noise(3000),
    "large.bin": mixed((2 << 20) + 77, 3),
    "empty": b"",
}


def logical_set(folder: Path) -> Path:
    from tests.images.sets2 import l01

    (folder / "set.L01").write_bytes(l01(TREE))
    return folder / "set.L01"


@pytest.mark.bulk
@pytest.mark.parametrize("level", METHODS)
def test_files_of_logical_evidence_become_aff4_l(level: str, tmp_path: Path) -> None:
    run = fl.Run()
    with fl.open_image(logical_set(tmp_path), run=run) as first:
        made = convert(run, first, str(tmp_path / "a.aff4"), WriteOptions(compression=level, facts={"case_number": "7"}))
        assert made.ok and made.verification is not None and made.verification.ok is True
        with fl.open_image(tmp_path / "a.aff4", run=run) as again:
            before, after = ({e.path: e for e in image.volumes()[0].filesystem().walk()} for image in (first, again))
            assert list(before) == list(after) and again.facts["case_number"] == "7"
            for path, entry in before.items():
                other = after[path]
                assert (other.kind, other.state, other.size) == (entry.kind, entry.state, entry.size)
                assert {n: t.iso() for n, t in other.times.items()} == {n: t.iso() for n, t in entry.times.items() if n != "deleted"}
                for stream, same in zip(entry.streams(), other.streams(), strict=True):
                    assert stream.read_at(0, stream.size) == same.read_at(0, same.size + 1)
                    assert other.attributes["md5"] == hashlib.md5(stream.read_at(0, stream.size)).hexdigest()
            assert again.verify().sealed == 3 * sum(e.kind == "file" for e in before.values())
    write_again = (tmp_path / "a.aff4").read_bytes()
    (tmp_path / "a.aff4").unlink()
    with fl.open_image(logical_set(tmp_path)) as first:
        convert(fl.Run(threads=3), first, str(tmp_path / "a.aff4"), WriteOptions(compression=level, facts={"case_number": "7"}))
    assert (tmp_path / "a.aff4").read_bytes() == write_again
    with zipfile.ZipFile(tmp_path / "a.aff4") as volume:
        assert volume.testzip() is None


@pytest.mark.bulk
def test_pyaff4_reads_the_files(tmp_path: Path) -> None:
    python = python_with_pyaff4()
    with fl.open_image(logical_set(tmp_path)) as first:
        convert(fl.Run(), first, str(tmp_path / "a.aff4"), WriteOptions())
    done = subprocess.run(
        [python, "-W", "ignore", "-c", PYAFF4_FILES, str(tmp_path / "a.aff4")], capture_output=True, check=True, timeout=100
    )
    seen = json.loads(done.stdout)
    assert {f"C/docs/{name}": hashlib.md5(data).hexdigest() for name, data in TREE.items()}.items() <= seen.items()


@pytest.mark.bulk
def test_files_that_cannot_be_read_whole_and_volumes_that_are_not_finished(tmp_path: Path) -> None:
    from forensiclib.core.entry import Entry, Image, Stream
    from forensiclib.images._tree import TreeFileSystem

    data = noise(3 << 20)
    sources = {"small": Broken(data[:5000], (1000, 10)), "large": Broken(data, (2_000_000, 600)), "whole": MemorySource(data[:99])}
    entries = [
        Entry(id=i, sequence=0, parent=0, raw_name=name.encode(), name=name, path=path, kind="file", state="allocated", size=source.size,
              opener=lambda source=source: (Stream(source),))
        for i, (path, name, source) in enumerate([("small", "small", sources["small"]), ("large", "large", sources["large"]),
                                                  ("whole", "whole", sources["whole"]), ("whole", "whole", sources["small"]),
                                                  ("../up", "up", sources["whole"]), ("information.turtle", "information.turtle", sources["whole"])], 1)
    ]  # fmt: skip
    image, budget = Image(MemorySource(b"x"), format="test", name="test", tree=TreeFileSystem("logical", entries)), Budget()
    write(tmp_path / "a.aff4", image, budget)
    assert [f.kind for f in budget.findings] == ["Unreadable"] * 3
    with fl.open_image(tmp_path / "a.aff4") as again:
        assert again.verify().ok is True
        tree = list(again.volumes()[0].filesystem().walk())
        found = {e.path: e.open().read_at(0, e.size) for e in tree if e.kind == "file"}
        large = data[:1_999_872] + text(b"UNREADABLEDATA", 1_999_872, 1024) + data[2_000_896:]
        assert found["large"] == large and found["small"] == data[:512] + text(b"UNREADABLEDATA", 512, 512) + data[1024:5000]
        assert [e.path for e in tree if e.kind == "file"].count("whole") == 2 and found["information.turtle"] == data[:99]
    with pytest.raises(Cancelled):
        write(tmp_path / "b.aff4", image, Budget(cancelled=Stop(3)))
    assert not (tmp_path / "b.aff4").exists()
    (tmp_path / "b.aff4").write_bytes(b"a letter")
    with pytest.raises(UsageError, match="there already"):
        write(tmp_path / "b.aff4", image)
    assert (tmp_path / "b.aff4").read_bytes() == b"a letter"
    with pytest.raises(UsageError, match="one go"):
        write(tmp_path / "c.aff4", image, resume=True)
