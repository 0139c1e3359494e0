"""Raw media written: the bytes, and nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from forensiclib.core.errors import Cancelled, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.core.writing import WriteOptions
from forensiclib.images import split
from forensiclib.images.raw_write import WRITER, write_raw
from tests.images.sets import noise
from tests.images.test_ewf_write import Broken, Stop


@pytest.mark.parametrize("threads", [1, 3])
def test_one_file(threads: int, tmp_path: Path) -> None:
    data = noise((3 << 20) + 77)
    made = write_raw(MemorySource(data), str(tmp_path / "media.dd"), WriteOptions(), Budget(), threads=threads)
    assert Path(made.paths[0]).read_bytes() == data and [p.name for p in tmp_path.iterdir()] == ["media.dd"]
    assert made.digests["md5"] == made.source["md5"] == hashlib.md5(data).hexdigest() and made.padded == 0 and made.size == len(data)


def test_parts_are_what_split_makes_and_open_again(tmp_path: Path) -> None:
    data = noise((3 << 20) + 5)
    made = write_raw(MemorySource(data), str(tmp_path / "media.001"), WriteOptions(segment_size=700_001), Budget())
    assert [Path(p).name for p in made.paths] == [f"media.{n:03d}" for n in range(1, 6)]
    assert [Path(p).read_bytes() for p in made.paths] == [data[at : at + 700_001] for at in range(0, len(data), 700_001)]
    image = split.FORMAT.open([made.paths[0]], Budget())
    assert image.read_at(0, len(data) + 1) == data
    image.close()
    named = write_raw(MemorySource(data[:70_000]), str(tmp_path / "other.dd"), WriteOptions(segment_size=65_536), Budget())
    assert [Path(p).name for p in named.paths] == ["other.dd.001", "other.dd.002"]


def test_a_job_stopped_anywhere_ends_as_one_that_was_not(tmp_path: Path) -> None:
    source = Broken(noise((5 << 20) + 9), (3 << 20, 10))
    path, turns, made = str(tmp_path / "media.001"), 0, None
    while made is None:
        turns += 1
        try:
            made = write_raw(source, path, WriteOptions(segment_size=900_000), Budget(cancelled=Stop(1)), resume=turns > 1)
        except Cancelled:
            assert (tmp_path / "media.001.resume").exists()
    expected = bytearray(source.data)
    expected[3 << 20 : (3 << 20) + 512] = bytes(512)
    assert turns > 3 and b"".join(Path(p).read_bytes() for p in made.paths) == expected
    assert made.bad == ((3 << 20, 512),) and made.digests["sha1"] == hashlib.sha1(expected).hexdigest()


def test_what_raw_media_cannot_hold_is_refused(tmp_path: Path) -> None:
    source = MemorySource(b"x" * 1000)
    for options in (WriteOptions(facts={"notes": "n"}), WriteOptions(segment_size=10), WriteOptions(identifier=bytes(range(16)))):
        with pytest.raises(UsageError):
            write_raw(source, str(tmp_path / "media.dd"), options, Budget())
    (tmp_path / "media.dd").write_bytes(b"a letter")
    with pytest.raises(UsageError, match="there already"):
        write_raw(source, str(tmp_path / "media.dd"), WriteOptions(), Budget())
    assert (tmp_path / "media.dd").read_bytes() == b"a letter" and WRITER.name == "raw"
