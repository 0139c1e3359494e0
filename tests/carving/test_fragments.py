"""Files in pieces: what a seeded builder scattered comes back byte for byte, and nothing is made up."""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from forensiclib.carving import joining, jpeg, mp4, pdf, png, zip
from forensiclib.carving.engine import Carved, carve
from forensiclib.core.declare import Carver
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource, MemorySource
from forensiclib.testing.scattered import Composed, compose

Image = pytest.importorskip("PIL.Image")

CARVERS: tuple[Carver, ...] = tuple(c for room in (jpeg, mp4, pdf, png, zip) for c in room.CARVERS)
ORIGINALS = Path("/usr/share/forensics-samples/original-files")


def photo(seed: int, size: int = 640) -> Image.Image:
    """Smooth shapes with grain, here more and there less, like a photograph: what a codec spends bytes on, and what goes on over rows."""
    rng = random.Random(seed)
    made = Image.frombytes("RGB", (9, 9), rng.randbytes(243)).resize((size, size * 3 // 4), Image.Resampling.BICUBIC)
    grain = Image.frombytes("L", made.size, rng.randbytes(made.size[0] * made.size[1]))
    noisy = Image.blend(made, Image.merge("RGB", (grain,) * 3), 0.24)
    return Image.composite(noisy, made, Image.frombytes("L", (7, 7), rng.randbytes(49)).resize(made.size, Image.Resampling.BICUBIC))


def encoded(seed: int, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    photo(seed).save(out, kind, **options)
    return out.getvalue()


def archive(seed: int) -> bytes:
    rng, out = random.Random(seed), io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for i in range(12):
            made.writestr(f"word/part{seed}-{i}.xml", b"".join(b"<w:t>%d</w:t>" % rng.randrange(10**6) for _ in range(900)))
    return out.getvalue()


MADE = {
    "jpg": lambda i: encoded(i, "JPEG", quality=85),
    "progressive": lambda i: encoded(i, "JPEG", quality=85, progressive=True),
    "png": lambda i: encoded(i, "PNG"),
    "zip": archive,
    "pdf": lambda i: encoded(i, "PDF"),
}


def originals(kind: str) -> dict[str, bytes]:
    return {f"{kind}{i}": MADE[kind](i) for i in range(4)}


def carved(image: bytes, **options: object) -> list[Carved]:
    return list(carve(MemorySource(image), CARVERS, **options))  # type: ignore[arg-type]


def pieces(hits: list[Carved]) -> list[tuple[tuple[int, int], ...]]:
    return [h.find.pieces or ((h.offset, h.length),) for h in hits if h.find.complete and h.find.confidence >= 0.8]


def read(source: MemorySource, parts: tuple[tuple[int, int], ...]) -> bytes:
    return b"".join(source.read_at(at, n) for at, n in parts)


def truth(made: Composed) -> list[tuple[tuple[int, int], ...]]:
    """As told, with pieces that happen to touch in one."""
    out = []
    for parts in made.truth.values():
        joined: list[tuple[int, int]] = []
        for at, n in parts:
            if joined and sum(joined[-1]) == at:
                joined[-1] = joined[-1][0], joined[-1][1] + n
            else:
                joined.append((at, n))
        out.append(tuple(joined))
    return sorted(out)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("fill", ["zeros", "random", "text"])
@pytest.mark.parametrize("layout", ["contiguous", "odd", "fragments", "interleaved", "interleaved-fill", "reordered"])
@pytest.mark.parametrize("kind", MADE)
def test_two_pieces_come_back_exactly(kind: str, layout: str, fill: str) -> None:
    made = compose(originals(kind), layout, fill=fill, seed=3)
    hits = carved(made.image)
    for hit in hits:
        assert hit.open(MemorySource(made.image)).size == hit.length
    found = pieces(hits)
    source = MemorySource(made.image)
    # random fill behind a document may begin with what ends a line
    wanted = {read(source, p).rstrip(b"\r\n") for p in truth(made)}
    right = [p for p in found if read(source, p).rstrip(b"\r\n") in wanted]
    joined = {read(source, h.find.pieces).rstrip(b"\r\n") for h in hits if h.find.pieces}
    assert joined <= wanted, "something was made up"
    # what nothing proves is not joined: of progressive scans that refine, and of tables that no checksum covers
    least = 4 if kind == "png" or layout in ("contiguous", "odd") else {"jpg": 2, "progressive": 0, "pdf": 2}.get(kind, 3)
    assert len(right) >= least


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", ["png", "zip"])
def test_many_pieces_come_back_where_checksums_prove_them(kind: str) -> None:
    for seed in range(3):
        made = compose(originals(kind), "pieces", fill="random", seed=seed)
        found = pieces(carved(made.image))
        assert set(found) <= set(truth(made))
        assert len(found) >= 2


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", MADE)
def test_a_file_of_which_a_piece_is_missing_is_not_whole(kind: str) -> None:
    made = compose(originals(kind), "missing", fill="random", seed=1)
    assert made.lost
    assert [h for h in carved(made.image) if h.find.complete and h.find.confidence >= 0.8] == []


def test_no_block_belongs_to_two_files_and_the_result_is_always_the_same() -> None:
    mixed = {**{f"a{i}": MADE["jpg"](i) for i in range(2)}, **{f"b{i}": MADE["png"](i) for i in range(2)}}
    made = compose(mixed, "interleaved-fill", fill="random", seed=5)
    hits = carved(made.image)
    taken: set[int] = set()
    for hit in hits:
        for at, n in hit.find.pieces or ((hit.offset, hit.length),):
            blocks = set(range(at // 512, -(-(at + n) // 512)))
            assert not blocks & taken or not hit.find.complete
            taken |= blocks
    assert sorted(pieces(hits)) == truth(made)
    assert carved(made.image, unit=1 << 16, window=5000) == hits
    with ThreadPoolExecutor(3) as pool:
        assert carved(made.image, executor=pool, unit=1 << 17) == hits
    assert [h.offset for h in hits] == sorted(h.offset for h in hits)
    assert all(not h.find.pieces for h in carved(made.image, block=0))


def test_processes_give_the_same_bytes(tmp_path) -> None:
    made = compose(originals("jpg") | originals("png"), "interleaved", fill="random", seed=4)
    path = tmp_path / "disk.dd"
    path.write_bytes(made.image)
    source = FileSource(str(path))
    with ProcessPoolExecutor(2) as pool:
        twice = [list(carve(source, CARVERS)), list(carve(source, CARVERS, executor=pool))]
    assert twice[0] == twice[1] and any(h.find.pieces for h in twice[0])


def test_pieces_lie_in_the_ranges_that_are_free() -> None:
    """The file system's used space lies between: in free space alone the file is in one run."""
    data = MADE["jpg"](1)
    image = bytes(4096) + data[:20480] + random.Random(1).randbytes(8192) + data[20480:] + bytes(-len(data) % 512 + 4096)
    free = [(0, 4096 + 20480), (4096 + 20480 + 8192, len(image) - 4096 - 20480 - 8192)]
    hits = carved(image, ranges=free, block=4096)
    assert pieces(hits) == [((4096, 20480), (4096 + 20480 + 8192, len(data) - 20480))]
    assert hits[0].find.reason.endswith("2 pieces")


def test_what_was_given_up_is_told(monkeypatch) -> None:
    monkeypatch.setattr(joining, "TRIES", 1 << 16)
    monkeypatch.setattr(joining, "LEAST", 1 << 16)
    made = compose(originals("jpg"), "fragments", fill="random", seed=3)
    budget = Budget()
    hits = carved(made.image, budget=budget)
    told = [f for f in budget.findings if f.what == "pieces of a fragmented file"]
    assert len(told) == len(originals("jpg")) - len(pieces(hits)) > 0
    assert {f.span.start for f in told if f.span} <= {p[0][0] for p in truth(made)}


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> dict[str, bytes]:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")
    folder, out = tmp_path_factory.mktemp("films"), {}
    for name, options in {
        "a.mp4": ["-c:v", "libx264"],
        "b.mp4": ["-c:v", "libx264", "-movflags", "+faststart"],
        "c.mov": ["-c:v", "libx264"],
    }.items():
        source = ["-f", "lavfi", "-i", "testsrc2=s=320x240:d=3", "-f", "lavfi", "-i", "sine=d=3"]
        subprocess.run(["ffmpeg", "-loglevel", "error", *source, *options, "-c:a", "aac", folder / name], check=True)
        out[name] = (folder / name).read_bytes()
    return out


@pytest.mark.timeout(120)
@pytest.mark.parametrize("layout", ["fragments", "interleaved-fill", "pieces"])
def test_films_come_back_by_their_sample_tables(films, layout: str) -> None:
    made = compose(films, layout, fill="zeros", seed=2)
    assert len(set(pieces(carved(made.image))) & set(truth(made))) >= 2
    made = compose(films, layout, fill="random", seed=2)  # where a piece ends in a sample nothing tells: not joined
    assert {h.find.pieces for h in carved(made.image) if h.find.pieces} <= set(truth(made))


@pytest.mark.drivers
@pytest.mark.timeout(240)
def test_real_photographs_in_two_pieces() -> None:
    if not ORIGINALS.is_dir():
        pytest.skip("Debian's forensics-samples-files is not installed")
    names = ("pic1/IMG-20191006-WA0002.jpg", "pic2/d-debian.jpg", "pic1/debian_logo.jpg")
    real = {name: (ORIGINALS / name).read_bytes() for name in names}
    back = 0
    for layout in ("fragments", "interleaved"):
        made = compose(real, layout, fill="random", seed=0)
        found = set(pieces(carved(made.image)))
        assert found <= set(truth(made))
        back += len(found)
    assert back >= 1  # one is cut inside its metadata, one is small: neither shows that its pieces are its own
