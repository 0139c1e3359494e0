"""Films whose movie header is lost: made anew with what a whole film tells. Oracle: ffmpeg decodes them to the same pictures."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from forensiclib.api import open_image
from forensiclib.api.carving import carve as carve_image
from forensiclib.api.run import Run
from forensiclib.carving import mp4
from forensiclib.carving.engine import Carved, carve
from forensiclib.core.source import MemorySource

pytestmark = [
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed"),
    pytest.mark.timeout(240),
]

KINDS = {
    "frames": ("mp4", 320, 240, ["-c:v", "libx264"]),
    "slices": ("mp4", 320, 240, ["-c:v", "libx264", "-x264-params", "slices=4"]),
    "baseline": ("mov", 640, 360, ["-c:v", "libx264", "-profile:v", "baseline", "-g", "10"]),
    "fields": ("mp4", 320, 240, ["-c:v", "libx264", "-x264-params", "interlaced=1:slices=4"]),
    "open": ("mp4", 352, 288, ["-c:v", "libx264", "-x264-params", "open-gop=1:keyint=12:bframes=3:b-pyramid=strict"]),
    "hevc": ("mp4", 320, 240, ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0", "-tag:v", "hvc1"]),
    "hevc slices": ("mov", 416, 240, ["-c:v", "libx265", "-preset", "superfast", "-x265-params", "log-level=0:slices=3:ctu=16", "-tag:v", "hvc1"]),
    "mono": ("mp4", 160, 120, ["-c:v", "libx264", "-ac", "1", "-b:a", "32k", "-crf", "40"]),
    "rich": ("mp4", 320, 240, ["-c:v", "libx264", "-crf", "8"]),
    "silent": ("mp4", 320, 240, ["-c:v", "libx264", "-an"]),
    "own sets": ("mp4", 320, 240, ["-c:v", "libx264", "-x264-params", "repeat-headers=1:keyint=20:aud=1"]),
    "hevc own sets": ("mp4", 320, 240, ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=0:repeat-headers=1", "-tag:v", "hev1"]),
    "pcm": ("mov", 320, 240, ["-c:v", "libx264", "-x264-params", "slices=4", "-c:a", "pcm_s16le"]),
}  # fmt: skip
PROVEN = {"own sets", "hevc own sets"}
SIZED = {"slices", "fields", "hevc slices", "pcm"}


def film(path: Path, width: int, height: int, options: list[str], other: bool = False) -> bytes:
    picture = "testsrc=s={}x{}:d=4,noise=alls=12:allf=t:all_seed=7" if other else "testsrc2=s={}x{}:d=3"
    inputs = ["-f", "lavfi", "-i", picture.format(width, height), "-f", "lavfi", "-i", f"sine=f={333 if other else 440}"]
    sound = [] if "-an" in options else ["-c:a", "aac"] if "-c:a" not in options else []
    tail = ["-pix_fmt", "yuv420p", "-t", "4" if other else "3"]
    subprocess.run(["ffmpeg", "-loglevel", "error", "-y", *inputs, *sound, *options, *tail, path], check=True, timeout=120)
    return path.read_bytes()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(a whole film, another one) of a kind, made once."""
    folder, made = tmp_path_factory.mktemp("films"), {}

    def get(kind: str) -> tuple[bytes, bytes]:
        if kind not in made:
            extension, width, height, options = KINDS[kind]
            name = kind.replace(" ", "-")
            made[kind] = (
                film(folder / f"{name}-a.{extension}", width, height, options),
                film(folder / f"{name}-b.{extension}", width, height, options, other=True),
            )
        return made[kind]

    return get


def box_at(data: bytes, name: bytes) -> tuple[int, int]:
    at = 0
    while data[at + 4 : at + 8] != name:
        at += int.from_bytes(data[at : at + 4], "big")
    return at, int.from_bytes(data[at : at + 4], "big")


def headless(data: bytes, interrupted: bool = False) -> bytes:
    """Without its moov; as a camera leaves it that lost power, the size of the media data is not written either."""
    at, _ = box_at(data, b"moov")
    media, _ = box_at(data, b"mdat")
    assert at > media, "the header comes last"
    cut = data[:at]
    return cut[:media] + bytes(4) + cut[media + 4 :] if interrupted else cut


def decoded(path: Path) -> tuple[list[str], str]:
    """The digest of each picture in the order of display, and what the decoder complained of."""
    command = ["ffmpeg", "-loglevel", "warning", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [line.split(",")[-1].strip() for line in done.stdout.splitlines() if not line.startswith("#")], done.stderr


def disk(*parts: bytes, gap: int = 4096) -> bytes:
    return b"".join(p + bytes(-len(p) % 512 + gap) for p in parts)


def rebuilt(image: bytes) -> list[Carved]:
    return [h for h in carve(MemorySource(image), mp4.CARVERS) if h.find.supplied]


def written(image: bytes, hit: Carved, path: Path) -> Path:
    content = hit.open(MemorySource(image))
    assert content.size == hit.length
    path.write_bytes(content.read_at(0, content.size))
    return path


@pytest.mark.parametrize("first", ["whole film first", "lost film first"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_comes_back(kind: str, first: str, pair, tmp_path) -> None:
    whole, lost = pair(kind)
    cut = headless(lost)
    image = disk(whole, cut) if first == "whole film first" else disk(cut, whole)
    (hit,) = rebuilt(image)
    source = tmp_path / f"lost.{KINDS[kind][0]}"
    source.write_bytes(lost)
    wanted, _ = decoded(source)
    got, complaints = decoded(written(image, hit, tmp_path / f"rebuilt.{hit.extension}"))
    assert got == wanted
    assert not complaints
    assert hit.find.complete
    assert (hit.find.confidence >= 0.8) == (kind in PROVEN), hit.find.reason
    assert ("word alone" in hit.find.reason) == (kind not in PROVEN)
    assert ("the size of the pictures" in hit.find.reason) == (kind not in PROVEN | SIZED)


def test_it_says_which_bytes_are_not_of_its_place(pair) -> None:
    whole, lost = pair("slices")
    image = disk(whole, headless(lost))
    disk_ = MemorySource(image, "disk")
    (hit,) = (h for h in carve(disk_, mp4.CARVERS) if h.find.supplied)
    content = hit.open(disk_)
    start, own = image.index(headless(lost)), bytearray(content.read_at(0, content.size))
    described = [s for s in hit.find.supplied if s.spans]
    assert len(described) == 1 and described[0].content[4:8] == b"avc1"
    (span,) = described[0].spans
    assert span.end <= len(whole) and image[span.start : span.end] == described[0].content
    at = 0
    for got in content.trace(0, content.size):
        if got.root == "disk":
            assert image[got.start : got.end] == own[at : at + got.length]
            assert got == span or start <= got.start < got.end <= start + len(headless(lost))
        else:
            assert got.via == ("made",)
        at += got.length
    assert at == hit.length
    assert str(span) in hit.find.reason
    assert sum(n for _, n in hit.find.pieces) + sum(len(s.content) for s in hit.find.supplied) == hit.length


@pytest.mark.parametrize("behind", ["zeros", "noise", "text", "the whole film"])
@pytest.mark.parametrize("kind", ["frames", "slices", "hevc", "baseline", "own sets"])
def test_a_recording_that_broke_off(kind: str, behind: str, pair, tmp_path) -> None:
    """No size of the media data, the last picture cut: every picture but that one, and none of the next file."""
    whole, lost = pair(kind)
    cut = headless(lost, interrupted=True)
    cut = cut[: len(cut) * 3 // 5 // 512 * 512]
    noise = random.Random(3).randbytes(100_000)
    tail = {"zeros": bytes(100_000), "noise": noise, "text": b"some words, " * 9000, "the whole film": whole}[behind]
    image = whole + bytes(-len(whole) % 512) + cut + tail + bytes(4096)
    (hit,) = rebuilt(image)
    got, complaints = decoded(written(image, hit, tmp_path / f"rebuilt.{hit.extension}"))
    source = tmp_path / f"lost.{KINDS[kind][0]}"
    source.write_bytes(lost)
    wanted, _ = decoded(source)
    start = image.index(cut[:4096], len(whole))
    assert all(start <= at and at + n <= start + len(cut) for at, n in hit.find.pieces), "of another file"
    assert not complaints
    # those behind the break are not there, and some before it are displayed after them
    assert len(got) > len(wanted) // 3
    assert len(set(wanted) & set(got)) == len(set(got))
    assert got[: len(got) - 8] == wanted[: len(got) - 8]


def test_the_settings_of_another_camera_do_not_fit(pair) -> None:
    _, lost = pair("frames")
    for kind in ("baseline", "hevc", "fields"):
        whole, _ = pair(kind)
        assert not [h for h in rebuilt(disk(whole, headless(lost))) if h.find.confidence >= 0.8]


def test_without_a_whole_film_nothing_is_made(pair) -> None:
    _, lost = pair("slices")
    (hit,) = carve(MemorySource(disk(headless(lost))), mp4.CARVERS)
    assert not hit.find.complete and not hit.find.supplied


@pytest.mark.parametrize("name", ["8x8dct=0", "cabac=0", "weightp=0:8x8dct=0"])
def test_other_transforms_are_not_taken_for_proof(name: str, tmp_path, pair) -> None:
    """The heads of slices do not tell the transforms: with the wrong ones other pictures come out, and they are unproven."""
    _, width, height, options = KINDS["slices"]
    other = film(tmp_path / "other.mp4", width, height, [*options[:-1], f"{options[-1]}:{name}"])
    whole, lost = pair("slices")
    assert all(h.find.confidence < 0.8 for h in rebuilt(disk(other, headless(lost))))
    assert all(h.find.confidence < 0.8 for h in rebuilt(disk(other, whole, headless(lost))))
    whole, lost = pair("own sets")
    assert all(h.find.confidence < 0.8 for h in rebuilt(disk(other, headless(lost))))
    (hit,) = rebuilt(disk(other, whole, headless(lost)))
    assert hit.find.confidence >= 0.8, "the right film among others"


def test_another_size_of_picture_is_not_taken_for_proof(tmp_path, pair) -> None:
    for kind in ("frames", "slices", "own sets"):
        large = film(tmp_path / f"{kind}.mp4", 640, 480, KINDS[kind][3])
        assert all(h.find.confidence < 0.8 for h in rebuilt(disk(large, headless(pair(kind)[1]))))


@pytest.mark.parametrize("kind", ["own sets", "hevc own sets"])
def test_a_picture_that_is_missing_makes_it_unproven(kind: str, pair) -> None:
    whole, lost = pair(kind)
    image = bytearray(disk(whole, headless(lost)))
    (hit,) = rebuilt(bytes(image))
    at, size = hit.find.pieces[-1]
    image[at + size // 2 : at + size // 2 + 4096] = b"overwritten " * 341 + b"over"
    assert all(h.find.confidence < 0.8 for h in rebuilt(bytes(image)))


def test_it_is_the_same_however_the_work_is_cut(pair) -> None:
    whole, lost = pair("slices")
    image = disk(headless(lost), whole, headless(lost, interrupted=True))
    once = list(carve(MemorySource(image), mp4.CARVERS))
    assert [bool(h.find.supplied) for h in once] == [True, False, True]
    assert list(carve(MemorySource(image), mp4.CARVERS, unit=1 << 16, window=5000)) == once
    assert [h.find.supplied for h in carve(MemorySource(image), mp4.CARVERS, block=0) if h.find.supplied] == []


def test_a_reference_of_the_caller(pair, tmp_path) -> None:
    for kind, folder in (("own sets", "mp4"), ("frames", "unproven/mp4")):
        whole, lost = pair(kind)
        path, reference, out = tmp_path / f"{kind}.dd", tmp_path / f"{kind}-reference.mp4", tmp_path / f"{kind}-out"
        path.write_bytes(disk(headless(lost)))
        reference.write_bytes(whole)
        run = Run()
        with open_image(path, run=run) as image:
            assert not [h for h in carve_image(run, image) if h.supplied]
            (hit,) = [h for h in carve_image(run, image, to=out, references=[reference]) if h.supplied]
        assert hit.written == f"{folder}/000000000000.mp4"
        content = (out / hit.written).read_bytes()
        assert hashlib.sha256(content).hexdigest() == dict(hit.digests)["sha256"] and len(content) == hit.length
        (span,) = [s for part in hit.supplied for s in part.spans]
        assert span.root == reference.name and whole[span.start : span.end] in content
        source = tmp_path / f"{kind}.mp4"
        source.write_bytes(lost)
        assert decoded(out / hit.written)[0] == decoded(source)[0]


@pytest.mark.parametrize("place", ["before", "behind"])
def test_a_header_that_lies_apart_is_found(place: str, pair) -> None:
    """Not lost: the movie header is somewhere else in free space, before the media data or far behind it. The file is its own."""
    whole, lost = pair("rich")
    at = box_at(lost, b"moov")[0] // 512 * 512
    noise = b"some other text. " * 600
    parts = (lost[at:], noise, lost[:at], whole) if place == "before" else (lost[:at], noise, whole, noise, lost[at:])
    image = b"".join(p + bytes(-len(p) % 512) for p in parts) + noise
    source = MemorySource(image)
    hits = [h for h in carve(source, mp4.CARVERS) if h.find.complete and h.find.confidence >= 0.8]
    assert lost in [h.open(source).read_at(0, h.length) for h in hits]
    assert not any(h.find.supplied for h in hits)


def test_the_films_that_are_listed_tell_of_those_in_free_space(pair, tmp_path) -> None:
    if shutil.which("mke2fs") is None:
        pytest.skip("mke2fs is not installed")
    whole, lost = pair("own sets")
    folder, path, out = tmp_path / "files", tmp_path / "disk.dd", tmp_path / "out"
    (folder / "DCIM").mkdir(parents=True)
    (folder / "DCIM" / "WHOLE.MP4").write_bytes(whole)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", folder, path, "16M"], check=True, timeout=60)
    with open_image(path, run=Run()) as image:
        (volume,) = image.volumes()
        free = volume.free("native") or ()
    start = next(a for a, n in free if n > len(lost) + 8192)
    with path.open("r+b") as file:
        file.seek(start)
        file.write(headless(lost))
    run = Run()
    with open_image(path, run=run) as image:
        (hit,) = [h for h in carve_image(run, image, to=out) if h.supplied]
        (span,) = [s for part in hit.supplied for s in part.spans]
        assert path.read_bytes()[span.start : span.end] == next(p.content for p in hit.supplied if p.spans)
    source = tmp_path / "lost.mp4"
    source.write_bytes(lost)
    assert hit.written == f"mp4/{start:012x}.mp4"
    assert decoded(out / hit.written)[0] == decoded(source)[0]
