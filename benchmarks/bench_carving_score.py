"""The public carving score on composed images: ours, PhotoRec and foremost on the same bytes. Run it to print the table.

TP: a file that decodes and of which more than 0.2 of the bytes are, in lock step, those of an original that no other file gave;
FP: everything else that was written; FN: an original without a TP (FACTS: the layouts and the rule are CFReDS' graphic files).
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from forensiclib import catalog
from forensiclib.carving.engine import carve
from forensiclib.core.source import MemorySource
from forensiclib.testing.scattered import Score, compose, score

Image = pytest.importorskip("PIL.Image")

ORIGINALS = Path("/usr/share/forensics-samples/original-files")
LAYOUTS = {"contig": "contiguous", "non": "odd", "frag": "fragments", "interleaved": "interleaved", "reordered": "reordered"}
PHOTOS = ("pic1/IMG-20191006-WA0002.jpg", "pic1/IMG_1054.JPG", "pic1/debian_logo.jpg", "pic2/d-debian.jpg", "pic2/IMG_20200124_231153.jpg",
          "pic2/IMG_20200608_111614.jpg")  # fmt: skip
TYPES = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF"}


def originals(kind: str) -> dict[str, bytes]:
    """Six of a type: the cameras' own JPEG files, or the pictures as Pillow writes them."""
    out = {}
    for number, name in enumerate(PHOTOS):
        data = (ORIGINALS / name).read_bytes()
        if kind != "jpg":
            picture, made = Image.open(io.BytesIO(data)).convert("RGB"), io.BytesIO()
            picture.thumbnail((300 + 40 * number, 300))
            picture.save(made, TYPES[kind])
            data = made.getvalue()
        out[f"{number}.{kind}"] = data
    return out


def decodes(data: bytes) -> bool:
    """Whether Pillow opens it to the last pixel."""
    try:
        Image.open(io.BytesIO(data)).verify()
        Image.open(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001 - Pillow raises whatever its decoders do
        return False
    return True


def ours(image: bytes) -> list[bytes]:
    """What is carved and not said to be broken off or doubtful."""
    source = MemorySource(image)
    hits = carve(source, catalog.load().carvers)
    return [h.open(source).read_at(0, h.length) for h in hits if h.find.complete and h.find.confidence >= 0.8]


def photorec(image: bytes) -> list[bytes]:
    """Every file that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "disk.dd")
        path.write_bytes(image)
        what = "partition_none,fileopt,everything,enable,wholespace,search"
        subprocess.run(["photorec", "/d", f"{folder}/out", "/cmd", path, what], check=True, capture_output=True, cwd=folder)
        return [p.read_bytes() for p in sorted(Path(folder).glob("out.*/*")) if p.name != "report.xml"]


def foremost(image: bytes) -> list[bytes]:
    """Every file that it writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "disk.dd")
        path.write_bytes(image)
        subprocess.run(["foremost", "-Q", "-t", "all", "-o", f"{folder}/out", "-i", path], check=True, capture_output=True)
        return [p.read_bytes() for p in sorted(Path(folder, "out").rglob("*")) if p.is_file() and p.name != "audit.txt"]


TOOLS = {"ours": ours, "photorec": photorec, "foremost": foremost}


def table(kinds: list[str], fill: str = "random") -> dict[str, Score]:
    """Print a line for each image, and what they come to."""
    totals: dict[str, Score] = {}
    tools = {name: tool for name, tool in TOOLS.items() if name == "ours" or shutil.which(name)}
    for kind in kinds:
        whole = originals(kind)
        for label, layout in LAYOUTS.items():
            made, line = compose(whole, layout, fill=fill, seed=1), f"{label}-{kind}"
            for name, tool in tools.items():
                began = time.perf_counter()
                files = tool(made.image)
                took = time.perf_counter() - began
                got = score(whole.values(), files, decodes)
                totals[name] = totals.get(name, Score(0, 0, 0, 0)) + got
                print(
                    f"{line:18}{name:10}P {got.precision:.2f}  R {got.recall:.2f}  F1 {got.f1:.2f}  exact {got.exact}  {took:5.2f} s",
                    flush=True,
                )
    for name, got in totals.items():
        print(f"{'all':18}{name:10}P {got.precision:.2f}  R {got.recall:.2f}  F1 {got.f1:.2f}  exact {got.exact}", flush=True)
    return totals


@pytest.mark.parametrize("kind", TYPES)
def test_the_score(kind: str) -> None:
    if not ORIGINALS.is_dir():
        pytest.skip("Debian's forensics-samples-files is not installed")
    got = table([kind])["ours"]
    assert kind not in ("jpg", "png") or got.precision >= 0.95  # the types whose pieces are joined


if __name__ == "__main__":
    table(sys.argv[1:] or list(TYPES))
