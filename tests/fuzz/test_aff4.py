"""AFF4 volumes, damaged: bytes and entries, or EvidenceError, within limits; with block hashes no byte is changed in silence."""

from __future__ import annotations

import os
import random
import struct
import zipfile
from pathlib import Path

import pytest

from forensiclib.core.errors import Cancelled, EvidenceError, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.core.writing import WriteOptions
from forensiclib.images.aff4 import aff4, write
from forensiclib.images.aff4.maps import load_map
from forensiclib.images.aff4.turtle import triples
from forensiclib.testing.contracts import mutations, rows_or_evidence_error
from tests.images.sets import make_media, noise
from tests.images.sets4 import OLD, STREAM, Aff4, disk, media
from tests.images.test_ewf_write import Broken, Stop

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "images"
COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))


def walk(image, truth: bytes = b"") -> None:
    end = min(image.size, 1 << 20)
    for step in (8192, 1 << 18):
        for at in range(0, end, step):
            try:
                got = image.read_at(at, step)
            except EvidenceError:
                continue
            assert len(got) == min(step, image.size - at)
            assert not truth or got == truth[at : at + step]
    image.data.trace(0, end)
    for entry in image.tree.walk() if image.tree is not None else ():
        try:
            for stream in entry.streams():
                stream.trace(0, 20_000)
                stream.read_at(0, 20_000)
        except EvidenceError:
            continue
    for seal in image.seals():
        try:
            seal.open().read_at(0, 1 << 20)
        except EvidenceError:
            continue


def old() -> bytes:
    made = Aff4(space=OLD)
    made.bevies(make_media()[:30_000], "zlib", old="ends")
    made.map([(0, 30_000, 0, 0), (30_000, 99, 0, 1)], [STREAM, OLD + "UnreadableData"], 30_099, a=["map", "Image"])
    return made.bytes()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("name", "sample"),
    [("zlib.aff4", disk(make_media()).bytes()), ("snappy.aff4", disk(make_media(), "snappy", hashes=()).bytes()), ("lz4.aff4", disk(make_media(), "lz4", hashes=()).bytes()), ("old.af4", old())]
    + [(path.name, path.read_bytes()) for path in sorted(SAMPLES.glob("aff4l-*.aff4"))],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_mutated_volumes(name: str, sample: bytes, tmp_path: Path) -> None:
    path = tmp_path / name

    def run(data: bytes, budget: Budget) -> None:
        path.write_bytes(data)
        image = aff4.FORMAT.open([str(path)], budget)
        try:
            walk(image)
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(sample, COUNT)) == COUNT


@pytest.mark.timeout(3600)
def test_damaged_data_are_never_given(tmp_path: Path) -> None:
    """Only the members that hold data are damaged: what the tables and the metadata claim is another matter."""
    path, truth, made = tmp_path / "a.aff4", media(make_media()), disk(make_media(), "snappy", hashes=("sha1",))
    names = [name for name in made.members if name[-8:].isdigit() or "blockHash" in name]

    def run(data: bytes, budget: Budget) -> None:
        at = 0
        for name in names:
            size = len(whole[name])
            made.members[name] = (data[at : at + size].ljust(size, b"\0"), 0)
            at += size
        path.write_bytes(made.bytes())
        image = aff4.FORMAT.open([str(path)], budget)
        try:
            walk(image, truth)
        finally:
            image.close()

    whole = {name: made.members[name][0] for name in names}
    assert rows_or_evidence_error(run, mutations(b"".join(whole.values()), COUNT)) == COUNT


@pytest.mark.timeout(3600)
def test_mutated_tables_and_metadata_in_whole_volumes(tmp_path: Path) -> None:
    path, sample = tmp_path / "a.aff4", disk(make_media(), "zlib")
    names = [name for name in sample.members if name.endswith(("/map", "/idx", ".index"))]
    whole, text = {name: sample.members[name][0] for name in names}, sample.turtle()
    parts = [*whole.values(), text]

    def run(data: bytes, budget: Budget) -> None:
        at = 0
        for name in names:
            sample.members[name] = (data[at : at + len(whole[name])], 0)
            at += len(whole[name])
        with zipfile.ZipFile(path, "w") as file:
            for name, (body, method) in sample.members.items():
                file.writestr(zipfile.ZipInfo(name), body, method)
            file.writestr("information.turtle", data[at:])
        image = aff4.FORMAT.open([str(path)], budget)
        try:
            walk(image)
        finally:
            image.close()

    assert rows_or_evidence_error(run, mutations(b"".join(parts), COUNT, seed=2)) == COUNT


@pytest.mark.timeout(3600)
def test_mutated_maps() -> None:
    chance = random.Random(5)
    points, at = b"", 0
    for _ in range(200):
        n = chance.randrange(1, 5000)
        points += struct.pack("<QQQI", at, n, chance.randrange(90_000), chance.randrange(3))
        at += n + chance.choice((0, 0, 7))
    streams = {"a": MemorySource(noise(100_000), "a"), "b": MemorySource(bytes(100_000), "b"), "c": MemorySource(b"c" * 99_000, "c")}

    def run(data: bytes, budget: Budget) -> None:
        made = load_map(data, list(streams), None, "b", lambda name: streams[name], "m", budget)
        assert sum(length for _, length, _ in made.stretches()) == made.size
        for at in range(0, min(made.size, 1 << 20), 65_536):
            try:
                made.read_at(at, 65_536)
            except EvidenceError:
                continue

    assert rows_or_evidence_error(run, mutations(points, COUNT)) == COUNT


@pytest.mark.timeout(3600)
def test_mutated_turtle() -> None:
    def run(data: bytes, budget: Budget) -> None:
        assert sum(1 for _ in triples(data.decode("utf-8", "replace"), "t", budget)) >= 0

    sample = disk(make_media()).turtle() + b'<a> <b> """x "y" """ , [ <c> 1.5e3 ; <d> [] ] ; a <e> .\n_:x <y> true .\n'
    assert rows_or_evidence_error(run, mutations(sample, COUNT * 2)) == COUNT * 2


@pytest.mark.timeout(3600)
def test_a_state_that_was_changed_is_refused(tmp_path: Path) -> None:
    data, path = noise(2 << 20), str(tmp_path / "a.aff4")
    with pytest.raises(Cancelled):
        write.WRITER.write(MemorySource(data), path, WriteOptions(), Budget(cancelled=Stop(1)))
    state, before = Path(path + ".resume").read_bytes(), Path(path).read_bytes()
    for changed in mutations(state, min(COUNT, 1000)):
        if changed.split() == state.split():
            continue
        Path(path + ".resume").write_bytes(changed)
        with pytest.raises(UsageError):
            write.WRITER.write(MemorySource(data), path, WriteOptions(), Budget(), resume=True)
    assert Path(path).read_bytes() == before


@pytest.mark.timeout(3600)
def test_sources_that_fail_anywhere(tmp_path: Path) -> None:
    data = noise(150_000) + bytes(150_000)
    for turn in range(max(10, COUNT // 20)):
        chance = random.Random(turn)
        bad = [(chance.randrange(len(data)), chance.randrange(1, 20_000)) for _ in range(chance.randrange(1, 6))]
        path = str(tmp_path / f"{turn}.aff4")
        made = write.write_aff4(Broken(data, *bad), path, WriteOptions(chunk_sectors=16), Budget(), threads=chance.randrange(1, 3))
        image = aff4.FORMAT.open(made.paths, Budget())
        assert [(span.start, span.length) for span in image.bad_sectors] == list(made.bad)
        got, at = image.read_at(0, image.size), 0
        for start, n in [*made.bad, (len(data), 0)]:
            assert got[at:start] == data[at:start]
            at = start + n
        touched = {at for at in range(0, len(data), 512) for start, n in bad if start < at + 512 and at < start + n}
        assert touched == {at for at in range(0, len(data), 512) for start, n in made.bad if start <= at < start + n}
        image.close()
        os.unlink(path)
