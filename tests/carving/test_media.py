"""Audio, video and XCF from Debian's forensics-samples, and files that stop or hold others."""

from __future__ import annotations

import hashlib
import io
import lzma
import multiprocessing
import random
import wave
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from forensiclib.carving import mp3, mpeg, riff
from forensiclib.carving.engine import Carved, carve
from forensiclib.catalog import load
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource

ORIGINALS = Path("/usr/share/forensics-samples/original-files")
CARVERS = load().carvers
MEDIA = (".mp3", ".ogg", ".wav", ".mp4", ".avi", ".mpeg", ".xcf", ".ppm", ".jpg", ".JPG", ".png")
FILES = sorted(p for p in ORIGINALS.rglob("*") if p.suffix in MEDIA) if ORIGINALS.exists() else []

needs_originals = pytest.mark.skipif(not FILES, reason="Debian's forensics-samples-files is not installed")


def carved(data: bytes) -> list[Carved]:
    return list(carve(MemorySource(data), CARVERS))


@needs_originals
def test_every_original_between_noise_comes_back_exactly() -> None:
    rng = random.Random(4)
    data, want = bytearray(), []
    for path in FILES:
        data += rng.choice((bytes(700), rng.randbytes(5001))) + bytes(16)
        content = path.read_bytes()
        want.append((len(data), hashlib.md5(content).hexdigest(), path.name))
        data += content + bytes(16)
    finds = carved(bytes(data))
    got = [(f.offset, hashlib.md5(data[f.offset : f.end]).hexdigest()) for f in finds]
    assert got == [(at, digest) for at, digest, _ in want]
    # the sample MPEG has no end code: noise behind it leaves its end inferred
    assert {f.extension for f in finds if not f.find.complete} <= {"mpg"}


@needs_originals
def test_every_original_cut_in_half_is_not_complete() -> None:
    for path in FILES:
        content = path.read_bytes()
        for find in carved(content[: len(content) // 2]):
            assert not (find.offset == 0 and find.find.complete and path.suffix != ".mp3"), path.name


@needs_originals
def test_a_video_in_fragments_does_not_hide_what_lies_between() -> None:
    """Half a video, a picture, the other half: the picture must come back, the video as complete only in its own pieces."""
    for name in ("movie2/movie-hello.mp4", "movie2/movie-hello.avi", "movie2/movie-hello.ogg", "movie2/movie-hello.mpeg"):
        video, inner = (ORIGINALS / name).read_bytes(), (ORIGINALS / "pic1/IMG-20191006-WA0002.jpg").read_bytes()
        cut = len(video) // 2 // 4096 * 4096
        finds = carved(video[:cut] + inner + bytes(-len(inner) % 4096) + video[cut:])
        assert (cut, len(inner)) in [(f.offset, f.length) for f in finds if f.find.complete], name
        assert all(
            f.find.pieces == ((0, cut), (cut + -(-len(inner) // 4096) * 4096, len(video) - cut))
            for f in finds
            if f.offset == 0 and f.find.complete
        ), name


@pytest.mark.parametrize("name", ["ntfs", "vfat", "exfat", "ext4"])
def test_nothing_contiguous_is_missed_on_real_images(name: str) -> None:
    """Every original that stands on the image in one piece is found; no find is a duplicate."""
    image = ORIGINALS.parent / f"fs.{name}.xz"
    if not image.exists() or not FILES:
        pytest.skip(f"Debian's forensics-samples-{name} is not installed")
    data = lzma.decompress(image.read_bytes())
    whole = {hashlib.md5(p.read_bytes()).hexdigest(): p.name for p in FILES if p.read_bytes() in data}
    finds = carved(data)
    got = {hashlib.md5(data[f.offset : f.end]).hexdigest() for f in finds}
    assert not {n for digest, n in whole.items() if digest not in got}
    assert len({f.offset for f in finds}) == len(finds)


def tone(frames: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(random.Random(1).randbytes(4 * frames))
    return out.getvalue()


def test_wav_by_the_standard_library() -> None:
    sample = tone(1000)
    (find,) = carved(b"x" * 77 + sample + bytes(100))
    assert (find.offset, find.length, find.find.complete) == (77, len(sample), True)
    cut = riff.measure_wav(MemorySource(sample[:-1]), Budget())
    assert cut is not None and not cut.complete


def test_a_motion_jpeg_video_is_one_find() -> None:
    """An AVI by hand whose frames are whole JPEGs: none of them is a file of its own."""
    image = pytest.importorskip("PIL.Image").radial_gradient("L")
    out = io.BytesIO()
    image.save(out, "JPEG")
    frame = out.getvalue() + b"\0" * (len(out.getvalue()) & 1)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return kind + len(body).to_bytes(4, "little") + body

    movi = chunk(b"LIST", b"movi" + chunk(b"00dc", frame) * 5)
    avi = chunk(b"RIFF", b"AVI " + chunk(b"LIST", b"hdrl" + chunk(b"avih", bytes(56))) + movi + chunk(b"idx1", bytes(80)))
    extra = chunk(b"RIFF", b"AVIX" + movi)
    for sample in (avi, avi + extra):
        (find,) = carved(bytes(5) + sample + bytes(9))
        assert (find.offset, find.length, find.extension) == (5, len(sample), "avi")
    broken = avi[: len(avi) // 2]
    assert not any(f.extension == "avi" and f.find.complete for f in carved(broken + bytes(4096) + frame))


def test_mp3_frame_lengths_are_those_of_the_standard() -> None:
    known = {
        b"\xff\xfb\x90\x64": 417,
        b"\xff\xfb\x92\x64": 418,
        b"\xff\xf3\x40\xc4": 104,
        b"\xff\xfd\xa4\x04": 576,
        b"\xff\xff\x10\x00": 32,
    }
    for head, length in known.items():
        frame = mp3.frame(head)
        assert frame is not None and frame.length == length, head.hex()
    for head in (b"\xff\xfb\xf0\x00", b"\xff\xfb\x0c\x00", b"\xff\xe9\x90\x00", b"\xfe\xfb\x90\x00", b"\xff\xfb\x90\x02", b"\xff"):
        assert mp3.frame(head) is None


def test_bare_mp3_frames_count_on_sectors_only() -> None:
    chain = (b"\xff\xfb\x90\xc4" + bytes(413)) * 30
    assert [(f.offset, f.length) for f in carved(bytes(1024) + chain + bytes(512))] == [(1024, len(chain))]
    assert carved(bytes(1000) + chain[: 417 * 9] + bytes(512)) == []


def test_mpeg_packs_of_both_versions() -> None:
    packet = b"\0\0\1\xe0\0\x40" + bytes(64)
    one, two = b"\0\0\1\xba\x21\0\1\0\1\x80\0\1", b"\0\0\1\xba\x44\0\4\0\4\1\0\0\3\xfa\xff\xff"
    for pack in (one, two):
        whole = (pack + packet) * 5 + b"\0\0\1\xb9"
        find = mpeg.measure(MemorySource(whole + bytes(50)), Budget())
        assert find is not None and (find.length, find.complete) == (len(whole), True)
        assert mpeg.measure(MemorySource(pack + packet + bytes(50)), Budget()) is None


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    rng = random.Random(8)
    data = bytearray(rng.randbytes(200_000))
    sample = tone(3000)
    for at in (0, 40_000, 59_990, 100_000, 150_001):
        data[at : at + len(sample)] = sample
    path = tmp_path / "disk.dd"
    path.write_bytes(data)
    source = FileSource(path)
    alone = list(carve(source, CARVERS, unit=10_000))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        together = list(carve(source, CARVERS, unit=10_000, executor=pool, ahead=6))
    assert [(f.offset, f.carver.name, f.find) for f in together] == [(f.offset, f.carver.name, f.find) for f in alone]
    assert [f.offset for f in alone] == [0, 40_000, 59_990, 100_000, 150_001]
