"""NAND dumps: file systems of mtd-utils and others, with spare areas laid out as Linux does."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import NotThisFormat, Truncated, UsageError
from forensiclib.core.limits import Budget
from forensiclib.core.source import MemorySource
from forensiclib.images.nand import FORMAT, Geometry, candidates, geometry, open_nand
from forensiclib.testing.contracts import SourceContract
from tests.images.sets import noise

# Columns of the ECC: nand_ooblayout_sp for 512 bytes, nand_ooblayout_lp for 2048 and 4096; a BCH that fills most of the others.
LAYOUTS = {
    (512, 16): (0, 1, 2, 3, 6, 7),
    (2048, 64): range(40, 64),
    (2048, 128): range(16, 128),
    (4096, 128): range(80, 128),
    (4096, 224): range(4, 200),
    (8192, 448): range(20, 448),
}


def spared(data: bytes, page: int, spare: int, block: int = 1, seed: int = 1) -> tuple[bytes, bytes]:
    """(the dump, its spare areas): written pages with noise where the ECC stands, erased ones erased."""
    rng, pages, areas = random.Random(seed), [], []
    for at in range(0, len(data), page):
        piece = data[at : at + page].ljust(page, b"\xff")
        area = bytearray(b"\xff" * spare)
        if piece.count(0xFF) < page:
            for column in LAYOUTS[page, spare]:
                area[column] = rng.randrange(256)
        pages.append(piece)
        areas.append(bytes(area))
    block = block or len(pages)
    groups = range(0, len(pages), block)
    return b"".join(b"".join(pages[g : g + block]) + b"".join(areas[g : g + block]) for g in groups), b"".join(areas)


@pytest.fixture(scope="module")
def jffs2(tmp_path_factory) -> bytes:
    """A file system by mkfs.jffs2, 128 KiB a block."""
    folder = tmp_path_factory.mktemp("jffs2")
    if shutil.which("mkfs.jffs2") is None:
        pytest.skip("mkfs.jffs2 (Debian: mtd-utils) is not installed")
    (folder / "tree").mkdir()
    (folder / "tree" / "noise").write_bytes(noise(300_000, 2))
    (folder / "tree" / "text").write_bytes(b"".join(b"line %d of a log\n" % (i * i) for i in range(20_000)))
    command = ["mkfs.jffs2", "-r", folder / "tree", "-o", folder / "out", "-e", "128KiB", "-n", "-l", "-p"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return (folder / "out").read_bytes()


def opened(path: Path, text: str = ""):
    budget = Budget()
    return open_nand([str(path)], budget, geometry(text) if text else None), budget


@pytest.mark.parametrize("shape", LAYOUTS)
def test_the_geometry_is_guessed(shape: tuple[int, int], jffs2: bytes, tmp_path: Path) -> None:
    path = tmp_path / "chip.nand"
    dump, areas = spared(jffs2, *shape)
    path.write_bytes(dump)
    found = candidates(MemorySource(dump), Budget())
    assert [c.geometry for c in found] == [Geometry(*shape)] and "written pages" in found[0].reason
    run = fl.Run()
    with fl.open_image(path, run=run) as image:
        assert image.format == f"nand:{shape[0]}+{shape[1]}" and image.facts["page"] == str(shape[0])
        assert image.read_at(0, len(jffs2)) == jffs2 and image.size == -(-len(jffs2) // shape[0]) * shape[0]
        data, spare = image.volumes()
        assert (data.size, spare.size) == (image.size, len(areas)) and spare.read_at(0, spare.size) == areas
        assert data.read_at(0, 4) == b"\x85\x19\x01\xe0"  # the magic of JFFS2 and its eraseblock header's type
        assert ["is guessed" in f.found for f in run.findings] == [True]


def test_nothing_is_guessed_from_other_media(jffs2: bytes, example_media: bytes) -> None:
    rows = b"".join(b"%08d,some name,0000,00000000,value=%04d\n" % (i, i * i % 9973) for i in range(60_000))
    for data in (jffs2, example_media, noise(4 << 20), bytes(4 << 20), b"\xff" * (4 << 20), rows, b"", b"x" * 600):
        assert candidates(MemorySource(data), Budget()) == []
    for n in (132, 264, 528, 2112, 4320):  # records that fit the geometries
        records = b"".join((b"HEAD" + noise(n // 3, i)).ljust(n, b"\0") for i in range(1_000_000 // n))
        assert candidates(MemorySource(records), Budget()) == [], n


def test_a_dump_that_says_nothing_must_be_told(jffs2: bytes, tmp_path: Path) -> None:
    path = tmp_path / "chip.bin"
    dump, _ = spared(jffs2, 2048, 64)
    scrambled = bytes(a ^ b for a, b in zip(dump, noise(len(dump), 9), strict=True))
    path.write_bytes(scrambled)
    with pytest.raises(NotThisFormat, match=r"format='nand:2048\+64'"):
        fl.open_image(path, format="nand")
    with fl.open_image(path) as image:
        assert image.format == "raw"
    with fl.open_image(path, format="nand:2048+64") as image:
        assert image.read_at(2048, 2048) == scrambled[2112:4160]
    for bad in (
        "nand:",
        "nand:2048",
        "nand:2048+64,sideways",
        "nand:0000+64",
        "nand:64+2048",
        "nand:2048+64,block=0",
        "raw:2048+64",
        "nandy",
    ):
        with pytest.raises(UsageError):
            fl.open_image(path, format=bad)


@pytest.mark.parametrize(("text", "block"), [("2048+64,separated", 0), ("2048+64,block=64", 64), ("2048+64,interleaved", 1)])
def test_layouts(text: str, block: int, jffs2: bytes, tmp_path: Path) -> None:
    path = tmp_path / "chip.bin"
    data = jffs2.ljust(-(-len(jffs2) // (64 * 2048)) * 64 * 2048, b"\xff")
    dump, areas = spared(data, 2048, 64, block)
    path.write_bytes(dump)
    with fl.open_image(path, format=f"nand:{text}") as image:
        assert image.read_at(0, image.size) == data and image.volumes()[1].read_at(0, len(areas) + 1) == areas
        assert fl.open_image(path, format=image.format).format == image.format
    path.write_bytes(dump + b"rest")
    image, budget = opened(path, text)
    assert [f.kind for f in budget.findings] == ["Truncated"]
    if block != 0:
        assert image.read_at(0, image.size) == data and image.tracks[2].read_at(0, 9) == b"rest"


class TestInterleaved(SourceContract):
    @pytest.fixture(autouse=True)
    def _made(self, tmp_path: Path) -> None:
        self.data = noise(40 * 2048)
        self.path = tmp_path / "chip.bin"
        self.path.write_bytes(spared(self.data, 2048, 64)[0])

    def make(self):
        return opened(self.path, "2048+64")[0], self.data

    def root(self):
        return {"chip.bin": self.path.read_bytes()}


class TestSpareInBlocks(TestInterleaved):
    def make(self):
        dump, areas = spared(self.data, 2048, 64, 8)
        self.path.write_bytes(dump)
        return opened(self.path, "2048+64,block=8")[0].tracks[1], areas


def test_in_another_process_it_is_the_same_geometry(jffs2: bytes, tmp_path: Path) -> None:
    """Workers open the image again by its format."""
    import pickle

    from forensiclib.api.units import Place

    path = tmp_path / "chip.bin"
    path.write_bytes(spared(jffs2, 4096, 224)[0])
    with fl.open_image(path, format="nand") as image:
        place = pickle.loads(pickle.dumps(Place.of(image.volumes()[1], "native")))  # noqa: S301
        assert place.format == "nand:4096+224" and place.target().size == image.volumes()[1].size


def test_less_than_a_page(tmp_path: Path) -> None:
    path = tmp_path / "chip.nand"
    path.write_bytes(b"x" * 1000)
    with pytest.raises(Truncated, match=r"less than 2048\+64"):
        opened(path, "2048+64")
    assert FORMAT.configure is not None
