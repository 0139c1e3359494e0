"""Searching disks that real drivers made: the cases of NIST's string search programme (CFTT FT-SS-01 to 10)."""

from __future__ import annotations

import os
import random
import re
import subprocess
import unicodedata
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import forensiclib as fl
from forensiclib.api.searching import histogram, patterns_named, search
from forensiclib.core.errors import MissingSupport, UsageError
from forensiclib.search.engine import Decoded
from forensiclib.search.histogram import Histogram
from forensiclib.search.logic import parse
from forensiclib.search.query import Query
from forensiclib.testing.evidence import File, Plan, Raw, Volume, build
from forensiclib.testing.makefs import tool

pytestmark = pytest.mark.drivers
NFC, NFD = "Zoë café", unicodedata.normalize("NFD", "Zoë café")
SCRIPTS = {
    "chinese": "中国", "tokyo": "東京", "hangul": "한국어", "kana": "ひらがな", "katakana": "カタカナ", "cyrillic": "Москва",
    "latin": "Łódź", "arabic": "مرحبا", "greek": "Ελλάδα",
}  # fmt: skip
FILL = b"................................................................\n"


def padded(text: bytes, size: int = 6000) -> bytes:
    return (FILL * (size // len(FILL)))[: size // 2 & ~1] + text + (FILL * (size // len(FILL)))[: size // 2 & ~1]


def scripts(encoding: str) -> bytes:
    return padded("  ".join(SCRIPTS.values()).encode(encoding))


FILES = (
    File("docs/ascii.txt", padded(b"the Wolf and the wolfhound met a WOLF-pack id0001")),
    File("docs/both.txt", padded(b"apple and banana id0002")),
    File("docs/apple.txt", padded(b"apple alone id0003")),
    File("docs/banana.txt", padded(b"banana alone id0004")),
    File("docs/utf8.txt", scripts("utf-8")),
    File("docs/utf16le.txt", scripts("utf-16-le")),
    File("docs/utf16be.txt", scripts("utf-16-be")),
    File("docs/forms.txt", padded(f"{NFC} one {NFD} two of\ufb01ce three \uff26\uff55\uff4c\uff4c".encode())),
    File("docs/people.txt", padded(b"write to Ann.Smith@example.org or call (212) 555-0142, SSN 219-09-9998.")),
    File("small.txt", b"resident secretword here"),
    File("gone.txt", padded(b"deleted secretword there"), deleted=True),
)


def hits(image_path, query, **options):
    run = options.pop("run", None) or fl.Run()
    with fl.open_image(image_path, run=run) as image:
        return list(search(run, image, query, **options))


def told(found) -> set[tuple[str, str, str]]:
    return {(f.item.place, f.item.path, f.hit.value) for f in found}


@pytest.fixture(scope="module")
def ntfs(tmp_path_factory):
    slack = File("docs/slack.txt", b"A" * 5000, slack=b"B" * 1000 + b"slackword" + b"B" * 500)
    streams = File("host.txt", b"plain", streams={"hidden": padded(b"secretword in a stream")})
    volume = Volume("ntfs", 12 << 20, (*FILES, slack, streams, File("secretword.doc", b"name only")), label="evidence")
    raw = (Raw("lost", 70_000, b"secretword between the volumes"),)
    try:
        return build(Plan((volume,), raw=raw, tail=1 << 20), tmp_path_factory.mktemp("ntfs")).image
    except MissingSupport as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=["fat16", "exfat", "ext4"])
def other(request, tmp_path_factory):
    try:
        return build(Plan((Volume(request.param, 16 << 20, FILES),)), tmp_path_factory.mktemp(request.param)).image
    except MissingSupport as error:
        pytest.skip(str(error))


def images(ntfs, other):
    return ntfs, other


def test_ascii_and_case_and_whole_word(ntfs, other):
    for image in images(ntfs, other):
        exact = hits(image, Query(words=("wolf",)))
        assert [(f.item.path, f.hit.value) for f in exact] == [("docs/ascii.txt", "wolf")]
        assert exact[0].hit.after.startswith("hound met")
        folded = hits(image, Query(words=("wolf",), ignore_case=True))
        assert [f.hit.value for f in folded] == ["Wolf", "wolf", "WOLF"]
        alone = hits(image, Query(words=("wolf",), ignore_case=True, whole_word=True))
        assert [f.hit.value for f in alone] == ["Wolf", "WOLF"]


def test_every_hit_is_those_bytes_of_the_image(ntfs, other):
    for image in images(ntfs, other):
        data = image.read_bytes()
        found = hits(image, Query(words=("wolf", "東京", "secretword", "Москва"), ignore_case=True))
        assert len(found) > 8
        for f in found:
            if f.item.place != "names":
                raw = b"".join(data[s.start : s.end] for s in f.hit.spans)
                assert raw.decode(f.hit.encoding) == f.hit.value, f


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("apple AND banana", {"docs/both.txt"}),
        ("apple OR banana", {"docs/both.txt", "docs/apple.txt", "docs/banana.txt"}),
        ("apple AND NOT banana", {"docs/apple.txt"}),
        ("NOT apple AND banana", {"docs/banana.txt"}),
    ],
)
def test_conditions(ntfs, other, text, want):
    condition = parse(text)
    for image in images(ntfs, other):
        found = hits(image, Query(words=condition.terms), condition=condition, where=("files",))
        assert {f.item.path for f in found if f.item.path != "$MFT"} == want  # which holds their names


@pytest.mark.parametrize("name", SCRIPTS)
def test_unicode_without_byte_order_marks(ntfs, other, name):
    for image in images(ntfs, other):
        found = {
            (f.item.path, f.hit.encoding) for f in hits(image, Query(words=(SCRIPTS[name],), encodings=("utf-8", "utf-16-le", "utf-16-be")))
        }
        assert found == {("docs/utf8.txt", "utf-8"), ("docs/utf16le.txt", "utf-16-le"), ("docs/utf16be.txt", "utf-16-be")}


def test_normal_forms_and_ligatures(ntfs):
    for term in (NFC, NFD):
        assert [f.hit.value for f in hits(ntfs, Query(words=(term,)))] == [NFC, NFD]
        assert [f.hit.value for f in hits(ntfs, Query(words=(term,), form="none"))] == [term]
    assert hits(ntfs, Query(words=("office",))) == []
    assert [f.hit.value for f in hits(ntfs, Query(words=("office", "full"), form="compatibility", ignore_case=True))] == [
        "of\ufb01ce",
        "\uff26\uff55\uff4c\uff4c",
    ]


def test_patterns_of_people(ntfs, other):
    for image in images(ntfs, other):
        run = fl.Run()
        query = Query(patterns=patterns_named(run, ("email", "phone-us", "ssn")))
        found = [(f.hit.name, f.hit.normal) for f in hits(image, query, run=run) if f.item.path == "docs/people.txt"]
        assert found == [("email", "Ann.Smith@example.org"), ("phone-us", "+12125550142"), ("ssn", "219-09-9998")]


def test_expressions_find_utf16_as_well(ntfs):
    found = hits(ntfs, Query(expressions=(r"id000[2-4]", "М[а-я]+а")))
    assert [(f.item.path, f.hit.value) for f in found if f.hit.term == 0] == [
        ("docs/both.txt", "id0002"), ("docs/apple.txt", "id0003"), ("docs/banana.txt", "id0004"),
    ]  # fmt: skip
    assert {f.hit.encoding for f in found if f.hit.term == 1} >= {"utf-8", "utf-16-le", "utf-16-be"}


def test_resident_deleted_streams_slack_gaps_and_names(ntfs):
    found = hits(ntfs, Query(words=("secretword", "slackword")))
    want = {
        ("files", "small.txt", "secretword"), ("files", "gone.txt", "secretword"), ("files", "host.txt", "secretword"),
        ("slack", "docs/slack.txt", "slackword"), ("names", "secretword.doc", "secretword"), ("gaps", "", "secretword"),
    }  # fmt: skip
    assert want <= told(found)
    assert {f.item.state for f in found if f.item.path == "gone.txt"} == {"deleted"}
    assert {f.item.stream for f in found if f.item.path == "host.txt"} == {"hidden"}
    # What is left over is the name itself, in the file record and the index: nothing is told twice.
    places = [(f.hit.spans[0].start, f.hit.encoding) for f in found if f.hit.spans]
    assert len(set(places)) == len(places)
    data = ntfs.read_bytes()
    everywhere = {m.start() for w in (b"secretword", b"slackword") for m in re.finditer(w, data)}
    wide = {m.start() for m in re.finditer("secretword".encode("utf-16-le"), data)}
    assert {start for start, encoding in places if encoding == "utf-8"} == everywhere
    assert {start for start, encoding in places if encoding == "utf-16-le"} == wide


def test_free_space_and_metadata_of_others(other):
    found = hits(other, Query(words=("secretword", "utf16le")))
    assert any(f.item.path == "small.txt" for f in found)
    assert {f.hit.spans[0].start for f in found if f.hit.spans and f.hit.term == 0} == {
        m.start() for m in re.finditer(b"secretword", other.read_bytes())
    }
    assert any(f.item.place == "names" for f in found)


def test_the_raw_media_agrees_with_grep(ntfs):
    found = hits(ntfs, Query(words=("wolf",), ignore_case=True, encodings=("utf-8",), form="none"), where=("raw",))
    out = subprocess.run(
        ["grep", "-obUaPi", "wolf", str(ntfs)], capture_output=True, text=True, check=True, env={"LC_ALL": "C", "PATH": os.environ["PATH"]}
    )
    assert [f.hit.offset for f in found] == [int(line.partition(":")[0]) for line in out.stdout.splitlines()]


@pytest.fixture(scope="module")
def fragmented(tmp_path_factory):
    """FAT16 whose clusters were filled and freed one by one before a long file came: mtools puts it into the holes."""
    folder = tmp_path_factory.mktemp("fragments")
    try:
        small = tuple(File(f"F{i:03}.TXT", b"x" * 2048, deleted=i % 2 == 0) for i in range(120))
        image = build(Plan((Volume("fat16", 9 << 20, small, cluster=2048),), scheme="none"), folder).image
        mcopy = tool("mcopy", "mtools")
    except MissingSupport as error:
        pytest.skip(str(error))
    text = bytearray(b"-" * 40_000)
    for cluster in range(1, 19):
        text[cluster * 2048 - 5 : cluster * 2048 + 6] = b"needle%05d" % cluster
    (folder / "long.bin").write_bytes(text)
    subprocess.run(
        [mcopy, "-i", image, folder / "long.bin", "::/LONG.BIN"], check=True, env={"MTOOLS_SKIP_CHECK": "1", "PATH": os.environ["PATH"]}
    )
    return image


def test_across_fragments(fragmented):
    found = hits(fragmented, Query(words=("needle",), expressions=(r"needle[0-9]{5}",)), where=("files",))
    in_long = [f for f in found if f.item.path.casefold() == "long.bin"]
    assert [f.hit.value for f in in_long if f.hit.kind == "regex"] == [f"needle{i:05}" for i in range(1, 19)]
    data = fragmented.read_bytes()
    split = [f for f in in_long if len(f.hit.spans) == 2]
    assert len(split) > 10, "mtools did not fragment the file"
    assert all(b"".join(data[s.start : s.end] for s in f.hit.spans).decode() == f.hit.value for f in split)


def rows_of(image, jobs):
    run = fl.Run()
    query = Query(words=("wolf", "secretword"), expressions=(r"[a-z]+word",), patterns=patterns_named(run, ("all",)), ignore_case=True)
    if jobs == 1:
        return [f.row() for f in hits(image, query, run=run)], run.findings
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        run.executor = pool
        return [f.row() for f in hits(image, query, run=run)], run.findings


def test_the_same_for_any_number_of_workers(ntfs):
    assert rows_of(ntfs, 1) == rows_of(ntfs, 2)


def test_what_is_capped_or_cannot_be_written_is_said(ntfs):
    run = fl.Run()
    found = hits(ntfs, Query(words=("wolf", "東京"), ignore_case=True, encodings=("utf-8", "cp1252")), run=run, maximum=2)
    assert [f.hit.term for f in found] == [0, 0, 1]
    said = {f.found for f in run.findings}
    assert "1 hits of 'wolf' were counted, not kept" in said
    assert "'東京' cannot be written in cp1252: not looked for there" in said
    assert {line.what for line in run.ledger} >= {
        "search: files",
        "search: slack",
        "search: unallocated",
        "search: metadata",
        "search: gaps",
    }
    with pytest.raises(UsageError, match="no place attic"):
        hits(ntfs, Query(words=("a",)), where=("attic",))


def test_every_byte_of_the_volume_is_searched(ntfs):
    run = fl.Run()
    hits(ntfs, Query(words=("nowhere to be found",)), run=run)
    volume = sum(line.size for line in run.ledger if line.where == "volume 1" and line.what != "search: names")
    assert volume >= 12 << 20


def rot13(source, start, stop, budget):
    from forensiclib.core.source import MemorySource

    at = source.read_at(start, stop - start).find(b"ROT13:")
    if at >= 0:
        import codecs

        text = source.read_at(start + at + 6, 40)
        yield Decoded(
            ("rot13",),
            start + at,
            MemorySource(codecs.encode(text.decode("latin-1"), "rot13").encode("latin-1"), source.trace(start + at + 6, 40)),
        )


def test_decoded_regions_are_searched_and_say_how(tmp_path):
    try:
        image = build(Plan((Volume("fat16", 9 << 20, (File("a.txt", padded(b"ROT13:frpergjbeq")),)),)), tmp_path).image
    except MissingSupport as error:
        pytest.skip(str(error))
    (found,) = hits(image, Query(words=("secretword",)), decoder=rot13)
    assert found.hit.via[0].startswith("rot13@") and found.item.path == "a.txt"
    assert image.read_bytes()[found.hit.spans[0].start :][:10] == b"frpergjbeq"


def test_histograms_count_values_and_domains(ntfs):
    run, counts = fl.Run(), Histogram()
    query = Query(patterns=patterns_named(run, ("email",)))
    with fl.open_image(ntfs, run=run) as image:
        n = len(list(histogram(search(run, image, query), counts)))
    rows = [(c.term, c.level, c.value, c.count) for c in counts.rows()]
    assert n == 1 and rows == [("email", "group", "example.org", 1), ("email", "value", "Ann.Smith@example.org", 1)]


def test_rules_over_files_and_free_space(ntfs):
    pytest.importorskip("yara_x")
    from forensiclib.search.yara import compile_rules

    rules = compile_rules({"mine": 'rule secret : tag { meta: author = "x" strings: $a = "secretword" ascii wide condition: $a }'})
    found = hits(ntfs, Query(rules=rules))
    assert {("files", "small.txt"), ("files", "gone.txt"), ("gaps", "")} <= {(f.item.place, f.item.path) for f in found}
    assert all(f.hit.name == "mine:secret" and '"tags": ["tag"]' in f.hit.detail for f in found)


def test_damage_is_a_finding_and_the_rest_is_searched(ntfs, tmp_path):
    copy = tmp_path / "short.dd"
    data = bytearray(ntfs.read_bytes())
    rng = random.Random(5)
    at = data.find(b"FILE0", 3 << 20)
    data[at + 56 : at + 400] = rng.randbytes(344)
    copy.write_bytes(data[: len(data) - (3 << 20)])
    found = hits(copy, Query(words=("wolf",)))
    assert [f.hit.value for f in found] == ["wolf"]


def test_a_unit_of_a_space_sees_the_ranges_around_it(monkeypatch):
    """Whatever the cut, the stream of a space has the same bytes at the same offsets."""
    from forensiclib.api import searchplan
    from forensiclib.core.source import ExtentSource, MemorySource

    rng = random.Random(8)
    base = MemorySource(rng.randbytes(200_000))
    ranges = tuple((start, rng.randrange(1, 900)) for start in range(0, 199_000, 1000))
    whole = ExtentSource(base, ranges)
    item = searchplan._Space("1", "unallocated", size=whole.size, first=0, ranges=ranges)
    monkeypatch.setattr(searchplan, "UNIT", 7000)
    monkeypatch.setattr(searchplan, "_AROUND", 500)
    units = list(searchplan.SearchUnit.cut(None, [item], Query(words=("x",)), None, 0))
    assert [u.start for u in units] == list(range(0, whole.size, 7000))
    for unit in units:
        part = ExtentSource(base, [(None if s < 0 else s, n) for s, n in unit.items[0].ranges])
        low, high = max(0, unit.start - 500), min(unit.stop + 500, whole.size)
        assert part.size == whole.size and len(unit.items[0].ranges) < 40
        assert part.read_at(low, high - low) == whole.read_at(low, high - low)
        assert part.trace(low, high - low) == whole.trace(low, high - low)
