"""Discs in raw sectors: bchunk, vcdimager and genisoimage say what must come out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unreadable, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.images.cdrom.cdrom import open_cue
from forensiclib.testing.contracts import SourceContract
from tests.images.discs import FILES, SYNC, iso, mode1, tool, video_cd
from tests.images.sets import noise

AUDIO = noise(2352 * 40, 3)


def opened(path: Path, *more: Path):
    budget = Budget()
    return open_cue([str(path), *map(str, more)], budget), budget


def sheet(folder: Path, text: str, **files: bytes) -> Path:
    for name, data in files.items():
        (folder / f"{name}.bin").write_bytes(data)
    (folder / "disc.cue").write_text(text)
    return folder / "disc.cue"


@pytest.fixture(scope="module")
def disc(tmp_path_factory) -> bytes:
    return iso(tmp_path_factory.mktemp("iso"), FILES, "-J")


def mixed(folder: Path, disc: bytes, mode: str = "MODE1/2352") -> Path:
    """A data track and an audio track with a pregap of 30 sectors."""
    data = mode1(disc) if mode == "MODE1/2352" else disc
    second = len(disc) // 2048
    times = [f"{s // 4500:02}:{s // 75 % 60:02}:{s % 75:02}" for s in (second, second + 30)]
    text = f'REM GENRE Data\nFILE "all.bin" BINARY\n  TRACK 01 {mode}\n    TITLE "The files"\n    INDEX 01 00:00:00\n'
    text += f"  TRACK 02 AUDIO\n    INDEX 00 {times[0]}\n    INDEX 01 {times[1]}\n"
    return sheet(folder, text, all=data + AUDIO)


@pytest.mark.parametrize("mode", ["MODE1/2352", "MODE1/2048"])
def test_data_and_audio(mode: str, disc: bytes, tmp_path: Path) -> None:
    path = mixed(tmp_path, disc, mode)
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        assert image.format == "cue" and image.facts["genre"] == "Data"
        assert [(v.name, v.state, v.type_code, v.size) for v in image.volumes()] == [
            ("1", "allocated", mode, len(disc)),
            (f"gap@{len(disc)}", "slack", "AUDIO", 30 * 2352),
            ("2", "allocated", "AUDIO", 10 * 2352),
        ]
        assert image.read_at(0, image.size) == disc + AUDIO and image.verify().ok is None
        first, _, second = image.volumes()
        assert first.label == "The files" and second.read_at(0, second.size) == AUDIO[30 * 2352 :]
        system = first.filesystem()
        for name, data in FILES.items():
            assert system.get(name).open().read_at(0, len(data) + 1) == data
        assert run.findings == []
    if mode == "MODE1/2352":
        command = [tool("bchunk", "bchunk"), tmp_path / "all.bin", path, tmp_path / "out"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        assert (tmp_path / "out01.iso").read_bytes() == disc


class TestMode1(SourceContract):
    @pytest.fixture(autouse=True)
    def _made(self, tmp_path: Path, disc: bytes) -> None:
        self.disc, self.path = disc[: 40 * 2048], mixed(tmp_path, disc[: 40 * 2048])

    def make(self):
        return opened(self.path)[0], self.disc + AUDIO

    def root(self):
        return {"all.bin": (self.path.parent / "all.bin").read_bytes()}


def test_a_video_cd(tmp_path: Path) -> None:
    """The EDC of every sector is vcdimager's; its film comes out as ffmpeg wrote it."""
    path = video_cd(tmp_path)
    raw = (tmp_path / "video.bin").read_bytes()
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        first, gap, second = image.volumes()
        assert image.verify().bad == () and run.findings == []
        assert (first.kind, gap.kind, second.kind) == ("data track, mode 2 form 1", "pregap", "data track, mode 2 form 2")
        assert first.size == 300 * 2048 and gap.size == 150 * 2352 and second.size == (len(raw) // 2352 - 450) * 2324
        assert first.read_at(0, first.size) == b"".join(raw[i * 2352 + 24 : i * 2352 + 2072] for i in range(300))
        names = {e.path.split("/")[-1].upper() for e in first.filesystem().walk(deleted=False)}
        assert {"INFO.VCD", "ENTRIES.VCD", "MPEGAV"} <= names
        film, track = (tmp_path / "film.mpg").read_bytes(), second.read_at(0, second.size)
        assert film[:2324] in track and track.count(b"\0\0\1\xba") == film.count(b"\0\0\1\xba")
        assert second.trace(2324, 10)[0].start == (450 + 1) * 2352 + 24
    damaged = bytearray(raw)
    damaged[20 * 2352 + 500] ^= 4
    (tmp_path / "video.bin").write_bytes(damaged)
    image, _ = opened(path)
    with pytest.raises(Corrupt, match="sector 20 of the track: mode 2 form 1, and its EDC"):
        image.read_at(20 * 2048, 1)
    (tmp_path / "video.bin").write_bytes(raw)
    path.write_text('FILE "video.bin" BINARY\n  TRACK 01 MODE2/2352\n    INDEX 01 00:00:00\n')
    image, _ = opened(path)
    with pytest.raises(Unsupported, match="form 2"):
        image.read_at(460 * 2048, 1)


def test_the_edc_is_checked(disc: bytes, tmp_path: Path) -> None:
    path = mixed(tmp_path, disc)
    raw = bytearray((tmp_path / "all.bin").read_bytes())
    raw[7 * 2352 + 100] ^= 0x10
    raw[9 * 2352 : 10 * 2352] = bytes(2352)  # what drives give for a sector that they could not read
    (tmp_path / "all.bin").write_bytes(raw)
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        with pytest.raises(Corrupt, match="sector 7 of the track: mode 1, and its EDC does not match"):
            image.read_at(7 * 2048, 1)
        with pytest.raises(Corrupt, match="sector 9 of the track: it has no sync"):
            image.read_at(8 * 2048, 4096)
        assert image.read_at(8 * 2048, 2048) == disc[8 * 2048 : 9 * 2048]
        assert image.verify().ok is False and image.volumes()[0].read_at(6 * 2048, 2048) == disc[6 * 2048 : 7 * 2048]
        assert image.volumes()[0].read_at(7 * 2048, 2048) == bytes(2048) and run.findings


@pytest.mark.bulk
def test_raw_sectors_without_a_sheet(disc: bytes, tmp_path: Path) -> None:
    path = tmp_path / "disc.bin"
    path.write_bytes(mode1(disc) + AUDIO)
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        assert image.format == "cue" and image.facts["first_sector"] == "00:02:00"
        assert image.read_at(0, len(disc)) == disc and "no sync" in run.findings[0].found
        assert image.volumes()[0].filesystem().get("a.txt").open().read_at(0, 99) == FILES["a.txt"]
    path.write_bytes(b"".join(mode1(disc)[i : i + 2352] + b"sub." * 24 for i in range(0, len(disc) // 2048 * 2352, 2352)))
    assert opened(path)[0].read_at(0, len(disc) + 1) == disc
    mixed(tmp_path, disc)
    image, budget = opened(tmp_path / "all.bin")  # no sheet of its stem
    assert len(image.tracks) == 1
    image, budget = opened(tmp_path / "all.bin", tmp_path / "disc.cue")
    assert len(image.tracks) == 3 and "through disc.cue" in budget.findings[0].found
    with fl.open_image(tmp_path / "all.bin", format="raw") as image:
        assert image.read_at(0, 12) == SYNC


def test_a_later_session_reaches_into_the_first(tmp_path: Path) -> None:
    first = iso(tmp_path, FILES, "-J")
    (tmp_path / "first.iso").write_bytes(first)
    start = len(first) // 2048 + 11400  # lead-out, lead-in and pregap lie between
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "c.txt").write_bytes(b"the second session\n")
    command = [
        tool("genisoimage", "genisoimage"),
        "-quiet",
        "-RJ",
        "-V",
        "DISC2",
        "-C",
        f"0,{start}",
        "-M",
        "first.iso",
        "-o",
        "second.iso",
        "more",
    ]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, timeout=60)
    second = (tmp_path / "second.iso").read_bytes()
    text = 'FILE "one.bin" BINARY\n  TRACK 01 MODE1/2048\n    INDEX 01 00:00:00\nREM SESSION 02\n'
    text += 'FILE "two.bin" BINARY\n  TRACK 02 MODE1/2048\n    INDEX 01 00:00:00\n'
    path = sheet(tmp_path, text, one=first, two=second)
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        one, two = image.volumes()
        assert image.read_at(0, image.size) == first + second and (one.start, two.start) == (0, -1)
        assert "session 2" in image.facts["track 2"] and f"sector is number {start}" in run.findings[0].found
        system = two.filesystem()
        for name, data in {**FILES, "c.txt": b"the second session\n"}.items():
            stream = system.get(name).open()
            assert stream.read_at(0, len(data) + 1) == data
            assert stream.trace(0, 1)[0].root == ("two.bin" if name == "c.txt" else "one.bin")
        assert {e.name for e in one.filesystem().walk(deleted=False)} >= set(FILES)
        with pytest.raises(Unreadable):
            two.strict.read_at((start - 5) * 2048, 1)


def test_sheets_that_lie(disc: bytes, tmp_path: Path) -> None:
    start = 'FILE "all.bin" BINARY\n  TRACK 01 MODE1/2048\n    INDEX 01 00:00:00\n'
    for bad, error in {
        'FILE "all.bin" BINARY\n': "no track",
        start + "  TRACK 02 MODE9/9999\n    INDEX 01 00:01:00\n": "the mode 'MODE9/9999'",
        start + "  TRACK 02 AUDIO\n": "no INDEX 01",
        start + "  TRACK 01 AUDIO\n    INDEX 01 00:01:00\n": "lies before track 1",
        start + "    INDEX 02 00:99:00\n": "without a track or a time",
        start + "  TRACK 02 AUDIO\n    INDEX 01 99:01:00\n  TRACK 03 AUDIO\n    INDEX 01 99:02:00\n": "has no sector",
    }.items():
        with pytest.raises(Corrupt, match=error):
            opened(sheet(tmp_path, bad, all=disc))
    path = sheet(tmp_path, start + "  TRACK 02 MODE1/2048\n    INDEX 01 00:50:00\n", all=disc + bytes(2048 * 4000))
    image, budget = opened(path)
    assert budget.findings == [] and len(image.tracks) == 2
    path = sheet(tmp_path, start.replace("all.bin", "../../all.bin") + "NONSENSE\n", all=disc + b"xyz")
    image, budget = opened(path)
    assert [f.what for f in budget.findings] == ["cue sheet", "CD track"] and image.read_at(0, len(disc)) == disc
    assert image.tracks[1].kind == "part of a sector"
    path.write_text(start.replace("all.bin", "none.bin"))
    with pytest.raises(Truncated, match="none.bin is not beside"):
        opened(path)
    path.write_text(start.replace("BINARY", "WAVE"))
    with pytest.raises(Truncated, match="no track of it"):
        opened(path)
    path.write_text("Dear all,\nFILE is attached\n")
    with pytest.raises(NotThisFormat):
        opened(path)
    path.write_bytes(b"FILE \0\1")
    with pytest.raises(EvidenceError):
        opened(path)
