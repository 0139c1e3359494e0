"""Encoded words on disks made by real drivers: in files, deleted ones, slack and gaps, told once; feature files; carving inside."""

from __future__ import annotations

import base64
import gzip
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import forensiclib as fl
from forensiclib.api.carving import carve
from forensiclib.api.hitfiles import HitFiles
from forensiclib.api.searching import decoding, patterns_named, search
from forensiclib.core.errors import MissingSupport
from forensiclib.search.query import Query
from forensiclib.testing.evidence import File, Plan, Raw, Volume, build

pytestmark = pytest.mark.drivers
RNG = random.Random(3)
NOISE = RNG.randbytes(3000)
WORDS = b"write to ann.smith@example.org, see https://www.google.com/search?q=how+to+hide or http://example.org/a\n"
TEXT = WORDS + bytes(RNG.choice(b"abcdefgh .,\n") for _ in range(3000))
PICTURE = bytes.fromhex(
    "424d3a000000000000003600000028000000010000000100000001001800000000000400000000000000000000000000000000000000ff000000"
)


@pytest.fixture(scope="module", params=["ntfs", "fat16"])
def disk(request, tmp_path_factory):
    files = (
        File("a.gz", NOISE + gzip.compress(TEXT)),
        File("mail.eml", b"Subject: x\r\n\r\n" + base64.encodebytes(gzip.compress(TEXT)) + b"\r\n--end"),
        File("gone.gz", gzip.compress(TEXT * 2 + NOISE), deleted=True),
        File("picture.gz", gzip.compress(PICTURE + NOISE * 3), deleted=True),
    )
    raw = (Raw("lost", 70_000, gzip.compress(TEXT)),)
    try:
        return build(Plan((Volume(request.param, 12 << 20, files),), raw=raw, tail=1 << 20), tmp_path_factory.mktemp("disk")).image
    except MissingSupport as error:
        pytest.skip(str(error))


def found(disk, names=("all",), run=None, **options):
    run = run or fl.Run()
    query = options.pop("query", None) or Query(words=("ann.smith",))
    with fl.open_image(disk, run=run) as image:
        return list(search(run, image, query, decoder=decoding(run, names), depth=4, **options)), run


def test_each_place_is_told_once(disk):
    hits, _ = found(disk)
    told = sorted((f.item.place, f.item.path.replace("_one", "gone"), tuple(s.split("@")[0] for s in f.hit.via)) for f in hits)
    assert told == [
        ("files", "a.gz", ("gzip",)), ("files", "gone.gz", ("gzip",)), ("files", "gone.gz", ("gzip",)),
        ("files", "mail.eml", ("base64", "gzip")), ("gaps", "", ("gzip",)),
    ]  # fmt: skip
    data = disk.read_bytes()
    for f in hits:
        start, step = f.forensic_path.split("-")[:2]
        assert data[int(start) :][:2] == (b"\x1f\x8b" if step == "GZIP" else b"H4"), f.forensic_path
        if step == "GZIP":
            inside = int(f.forensic_path.split("-")[2])
            span = f.hit.spans[0]
            assert gzip.decompress(data[span.start : span.start + span.length])[inside:].startswith(b"ann.smith")


def test_the_raw_media_too(disk):
    hits, _ = found(disk, where=("raw",))
    assert len({f.forensic_path for f in hits}) == len(hits) == 5


def test_any_number_of_workers_gives_the_same(disk):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        several, _ = found(disk, run=fl.Run(executor=pool))
    alone, _ = found(disk)
    assert [f.row() for f in several] == [f.row() for f in alone]


def test_feature_files(disk, tmp_path):
    run = fl.Run()
    query = Query(patterns=patterns_named(run, ("all",)))
    with HitFiles(str(tmp_path / "out"), True) as out:
        for one in found(disk, run=run, query=query)[0]:
            out.add(one)
    features = tmp_path / "out" / "features"
    lines = (features / "email.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert len(lines) == 5 and all(line.split("\t")[1] == "ann.smith@example.org" for line in lines)
    assert all("write to ann.smith@example.org, see" in line.split("\t")[2] for line in lines)
    assert all("-GZIP-" in line.split("\t")[0] for line in lines)
    counted = {p.name: p.read_text(encoding="utf-8").splitlines()[1:] for p in features.glob("*_histogram.txt")}
    assert counted["email_domain_histogram.txt"] == ["n=5\texample.org"]
    assert counted["url_searches_histogram.txt"] == ["n=5\thow to hide"]
    assert counted["url_services_histogram.txt"] == ["n=5\texample.org", "n=5\twww.google.com"]


def test_files_inside_of_what_is_compressed_are_carved(disk, tmp_path):
    run = fl.Run()
    with fl.open_image(disk, run=run) as image:
        finds = list(carve(run, image, to=tmp_path / "c", types=("bmp",), decode=decoding(run, ("gzip",))))
    assert [f.via[0].split("@")[0] for f in finds] == ["gzip"] and finds[0].path.endswith("-GZIP-0")
    assert (tmp_path / "c" / finds[0].written).read_bytes() == PICTURE
    start, length = finds[0].runs[0]
    assert gzip.decompress(disk.read_bytes()[start : start + length]).startswith(PICTURE)
