"""AFF4: the Canonical Reference Images with the digests that their makers publish, volumes of pyaff4, and volumes laid out by hand."""

from __future__ import annotations

import hashlib
import random
import threading
import zipfile
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.entry import Image
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, NotThisFormat, Truncated, Unsupported
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.images.aff4.aff4 import FORMAT
from forensiclib.images.aff4.symbolic import repeated
from forensiclib.images.aff4.turtle import Literal, triples
from forensiclib.testing.contracts import FileSystemContract, SourceContract
from tests.images import sets4
from tests.images.sets import make_media, noise
from tests.images.sets4 import MAP, METHODS, OLD, SCHEMA, STREAM, VOLUME, Aff4, disk, escaped, media

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "images"


def opened(path: Path, made: Aff4 | bytes | None = None) -> tuple[Image, Budget]:
    if made is not None:
        path.write_bytes(made.bytes() if isinstance(made, Aff4) else made)
    budget = Budget()
    return FORMAT.open([str(path)], budget), budget


# what others made

REFERENCE = {
    "AFF4Std/Base-Linear.aff4": ("7d3d27f667f95f7ec5b9d32121622c0f4b60b48d", 11, 0),
    "AFF4Std/Base-Linear-AllHashes.aff4": ("7d3d27f667f95f7ec5b9d32121622c0f4b60b48d", 17, 0),
    "AFF4Std/Base-Allocated.aff4": ("e8650e89b262cf0b4b73c025312488d5a6317a26", 11, 3),
    "AFF4Std/Base-Linear-ReadError.aff4": ("67e245a640e2784ead30c1ff1a3f8d237b58310f", 11, 2),
    "AFF4Std/Striped/Base-Linear_1.aff4": ("7d3d27f667f95f7ec5b9d32121622c0f4b60b48d", 21, 0),
    "AFF4Std/Striped/Base-Linear_2.aff4": ("7d3d27f667f95f7ec5b9d32121622c0f4b60b48d", 21, 0),
    "AFF4PreStd/Base-Linear.af4": ("5d5f183ae7355b8dc8938b67aab77c0215c29ab4", 9, 0),
    "AFF4PreStd/Base-Linear-ReadError.af4": (None, 9, 2),
    "AFF4PreStd/Base-Allocated.af4": ("a9f21b04a0a77613a5a34ecdd3af269464984035", 9, 3),
}
"""Volume -> (SHA-1 of the media that pyaff4's tests state, digests stored of other things, ranges that were not read)."""


@pytest.mark.corpus
@pytest.mark.parametrize("name", REFERENCE)
def test_reference_images(name: str, corpus: Path) -> None:
    sha1, seals, unread = REFERENCE[name]
    path = corpus / "referenceimages" / name
    if not path.exists():
        pytest.skip(f"{name} of github.com/aff4/ReferenceImages is not in the corpus")
    with fl.open_image(path) as image:
        assert (image.format, image.size, len(image.bad_sectors)) == ("aff4", 268_435_456, unread)
        found = image.verify(["sha1"])
        assert found.ok is True and found.sealed == seals and found.computed["sha1"] == (sha1 or found.computed["sha1"])
        assert image.facts["case_number"] == "Case ID: 1SR Canonical" and image.facts["serial_number"] == "SGAT5060001234"
        assert len(image.volumes()) == 3 and image.volumes()[1].filesystem().format == "ntfs"
        kinds = {span.via for part in image.bad_sectors for span in image.trace(part.start, part.length)}
        assert kinds <= {("unknown",), ("unreadable",)} and bool(kinds) == bool(unread)


@pytest.mark.corpus
def test_a_stripe_alone_is_refused_and_says_what_is_missing(corpus: Path, tmp_path: Path) -> None:
    striped = corpus / "referenceimages" / "AFF4Std" / "Striped"
    (tmp_path / "b.aff4").write_bytes((striped / "Base-Linear_2.aff4").read_bytes())
    with pytest.raises(Truncated, match="stored in aff4://7cbb47d0-b04c-42bc-8c04-87b7782739ad"):
        fl.open_image(tmp_path / "b.aff4")
    with fl.open_image([tmp_path / "b.aff4", striped / "Base-Linear_1.aff4"]) as image:
        assert len(image.parts) == 2 and image.verify().ok is True


@pytest.mark.corpus
def test_the_file_of_the_logical_reference_image(corpus: Path) -> None:
    with fl.open_image(corpus / "referenceimages" / "AFF4-L" / "dream.aff4") as image:
        entry = image.find("0:/test_images/AFF4-L/dream.txt")
        data = entry.open().read_at(0, 10_000)
        assert len(data) == entry.size == 8688 and hashlib.md5(data).hexdigest() == "75d83773f8d431a3ca91bfb8859e486d"
        assert entry.times["born"].iso() == "2018-09-17T03:42:20Z" and entry.times["accessed"].iso() == "2018-10-23T01:08:19Z"
        assert image.verify().ok is True and image.verify().sealed == 2


FILES = {
    "docs/plain.txt": b"hello world\n", "docs/two words.txt": b"a" * 5000, "docs/ネコ.txt": "ネコ\n".encode(),
    "docs/100%25 {braces}.bin": noise(3000, 1), "C:/Users/Ann/note.txt": b"windows", "etc/empty": b"",
    "docs/mixed.bin": b"x" * 40000 + noise(20000, 2) + bytes(9000),
}  # fmt: skip
TEXT = b"".join(b"line %06d of the evidence\n" % i for i in range(400))
PYAFF4 = TEXT[:8192] + noise(4096, 1) + TEXT[:3000] + noise(1096, 2)


@pytest.mark.parametrize("how", ["segment", "stream", "dedupe"])
class TestFilesByPyaff4(FileSystemContract):
    @pytest.fixture(autouse=True)
    def _how(self, how: str) -> None:
        self.how = how

    def make(self) -> fl.FileSystem:
        tree = FORMAT.open([str(SAMPLES / f"aff4l-{self.how}.aff4")], Budget()).tree
        assert tree is not None
        return tree

    def files(self) -> dict[str, bytes]:
        return FILES

    def test_times_digests_and_names(self) -> None:
        with fl.open_image(SAMPLES / f"aff4l-{self.how}.aff4") as image:
            entry = image.find("0:/docs/ネコ.txt")
            assert entry.times["modified"].iso() == "2024-02-29T12:14:15.5Z"
            assert image.find("0:/C:/Users/Ann").kind == "directory" and image.run.findings == []
            if self.how != "dedupe":
                assert entry.attributes["md5"] == hashlib.md5(FILES["docs/ネコ.txt"]).hexdigest()
                assert image.verify().ok is True and image.verify().sealed == 2 * len(FILES)
            ((volume, batch),) = image.listing()
            assert (volume.scheme, len(batch)) == ("logical", len(FILES) + 5)


@pytest.mark.parametrize("method", ["zlib", "lz4", "snappy", "stored"])
class TestDiskByPyaff4(SourceContract):
    @pytest.fixture(autouse=True)
    def _method(self, method: str) -> None:
        self.image = FORMAT.open([str(SAMPLES / f"aff4-{method}.aff4")], Budget())

    def make(self) -> tuple[ByteSource, bytes]:
        return self.image, PYAFF4 + bytes(4096) + PYAFF4[8192:12288]


# volumes laid out by hand


@pytest.mark.parametrize("method", METHODS)
class TestContract(SourceContract):
    @pytest.fixture(autouse=True)
    def _disk(self, method: str, tmp_path: Path) -> None:
        self.image, self.budget = opened(tmp_path / "a.aff4", disk(make_media(), method))
        self.method = method

    def make(self) -> tuple[ByteSource, bytes]:
        return self.image, media(make_media())

    def test_spans_say_where_and_how(self) -> None:
        image, end = self.image, 61_952
        stored = image.trace(0, 10)[0]
        assert stored.root == "a.aff4" and stored.via == {"none": (), "zlib": ("deflate",), "deflate": ("deflate",)}.get(
            self.method, (self.method,)
        )
        noisy = image.trace(16_384 + 5, 7)
        raw = Path(self.image.parts[0][0])
        assert noisy[0].exact and noisy[0].length == 7 and raw.name == "a.aff4", "a chunk that does not pack is stored plain"
        assert image.trace(end, 4096) == (Span("", 0, 4096, ("repeat",), False),)
        assert image.trace(end + 4096, 4096) == (Span("", 0, 4096, ("zero",), False),)
        assert image.bad_sectors == (Span("a.aff4", end + 8192, 1000), Span("a.aff4", end + 9192, 3000))
        assert [f.kind for f in self.budget.findings] == ["Unreadable", "Unreadable"]
        assert (image.facts["case_number"], image.facts["model"], image.facts["tool"]) == ("7 Ω", "WD", "by hand")


def test_spans_of_plain_chunks_are_the_bytes_of_the_file(tmp_path: Path) -> None:
    data, (image, _) = noise(20_480, 9), opened(tmp_path / "a.aff4", disk(noise(20_480, 9), "zlib"))
    raw = (tmp_path / "a.aff4").read_bytes()
    for at, n in ((0, 20_480), (4095, 2), (12_287, 4098), (20_479, 1)):
        assert b"".join(raw[s.start : s.end] for s in image.trace(at, n)) == data[at : at + n]
    packed, (other, _) = make_media(), opened(tmp_path / "b.aff4", disk(make_media(), "zlib"))
    (span,) = other.trace(100, 10)
    import zlib

    assert zlib.decompress((tmp_path / "b.aff4").read_bytes()[span.start : span.end])[100:110] == packed[100:110]


@pytest.mark.parametrize("old", ["starts", "ends"])
def test_volumes_from_before_the_standard(old: str, tmp_path: Path) -> None:
    data, made = make_media(), Aff4(space=OLD)
    made.bevies(data, "zlib", hashes=("sha1",), old=old)
    targets = [STREAM, OLD + "FF", "http://afflib.org/2012/SymbolicStream#61", OLD + "UnknownData"]
    entries = [(0, 61_952, 0, 0), (61_952, 100, 0, 1), (62_052, 100, 0, 2), (62_152, 100, 0, 3)]
    made.map(entries, targets, 62_252, a=["map", "Image"])
    image, _ = opened(tmp_path / "a.af4", made)
    assert image.read_at(0, image.size) == data + b"\xff" * 100 + b"a" * 100 + (b"UNKNOWN" * 15)[:100]
    assert len(image.bad_sectors) == 1


def test_eight_threads_reading_at_random(tmp_path: Path) -> None:
    data = make_media() * 8
    image, _ = opened(tmp_path / "a.aff4", disk(data, "snappy", hashes=("sha256",)))
    truth, wrong = media(data), []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            at, n = chance.randrange(len(truth)), chance.choice((1, 512, 4096, 40_000))
            if image.read_at(at, n) != truth[at : at + n]:
                wrong.append((at, n))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_stored_digests_are_checked_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    made = disk(make_media())
    made.write(tmp_path / "a.aff4")
    with fl.open_image(tmp_path / "a.aff4") as image:
        assert image.hashes == {"md5": hashlib.md5(media(make_media())).hexdigest()} and image.verify().ok is True
    points = made.members[f"{escaped(MAP)}/map"][0]
    for right in (True, False):
        value = hashlib.sha256(points + b"x" * (not right)).hexdigest()
        made.said[1] = made.said[1].replace(" .\n", f' ; aff4:mapPointHash "{value}"^^aff4:SHA256 .\n') if right else made.said[1].replace(
            hashlib.sha256(points).hexdigest(), value
        )  # fmt: skip
        made.write(tmp_path / "b.aff4")
        with fl.open_image(tmp_path / "b.aff4") as image:
            found = image.verify()
            assert found.ok is right and found.computed["map points: sha256"] == hashlib.sha256(points).hexdigest()


@pytest.mark.parametrize("method", METHODS)
def test_a_damaged_chunk_is_told_and_never_given(method: str, tmp_path: Path) -> None:
    data, path = make_media(), tmp_path / "a.aff4"
    image, _ = opened(path, disk(data, method))
    span = image.trace(9000, 1)[0]
    raw = bytearray(path.read_bytes())
    raw[span.start + (0 if span.exact else span.length // 2)] ^= 1
    image, _ = opened(tmp_path / "b.aff4", bytes(raw))
    with pytest.raises(Corrupt, match="chunk 2 of"):
        image.read_at(9000, 1)
    assert image.read_at(0, 8192) == data[:8192] and image.read_at(12_288, 9000) == data[12_288:21_288]
    with fl.open_image(tmp_path / "b.aff4") as again:
        found = again.verify()
        assert found.ok is False and len(found.bad) == 1 and found.bad[0].root == "b.aff4"


def test_one_block_hash_is_checked_when_reading_all_of_them_when_verifying(tmp_path: Path) -> None:
    made = disk(make_media(), hashes=("md5", "sha1", "blake2b"))
    name = f"{escaped(STREAM)}/00000001.blockHash.blake2b"
    made.members[name] = (bytes(64) + made.members[name][0][64:], 0)
    made.said[0] = made.said[0].replace(" .\n", f' ; aff4:hash "{hashlib.md5(make_media()).hexdigest()}"^^aff4:MD5 .\n')
    made.write(tmp_path / "a.aff4")
    with fl.open_image(tmp_path / "a.aff4") as image:
        assert image.read_at(0, image.size) == media(make_media())
        assert image.verify().ok is False
        assert any("block hash (blake2b)" in finding.found for finding in image.run.findings)


def broken(**changes: object) -> Aff4:
    made = disk(make_media())
    for name, value in changes.items():
        old = {"chunkSize": "aff4:chunkSize 4096", "size": "aff4:size 61952", "count": "aff4:chunksInSegment 3"}[name]
        made.said[0] = made.said[0].replace(old, f"{old.rpartition(' ')[0]} {value}")
    return made


@pytest.mark.parametrize(
    ("made", "kind", "says"),
    [
        (broken(chunkSize=0), Corrupt, "chunks of 0 bytes"), (broken(chunkSize=1 << 40), Corrupt, "chunks of 1099511627776"),
        (broken(count=0), Corrupt, "0 chunks"), (broken(size='"many"'), Corrupt, "size is 'many'"), (broken(size="-5"), Corrupt, "size is '-5'"),
        (broken(size="5, 6"), Corrupt, "size is 5 and 6"), (broken(size=1 << 63), Corrupt, "9223372036854775808 bytes"),
    ],
)  # fmt: skip
def test_descriptions_that_cannot_be(made: Aff4, kind: type[EvidenceError], says: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=says):
        opened(tmp_path / "a.aff4", made)


def test_maps_that_contradict_themselves(tmp_path: Path) -> None:
    data, made = make_media(), Aff4()
    made.bevies(data, "none")
    entries = [
        (0, 20_000, 0, 0),
        (10_000, 5000, 50_000, 0),
        (30_000, 10_000, 30_000, 0),
        (40_000, 1000, 0, 7),
        (50_000, 99_999, 0, 1),
        (2000, 100, 2000, 0),
    ]
    made.map(entries, [STREAM, SCHEMA + "Zero"], 60_000)
    made.image(60_000)
    image, budget = opened(tmp_path / "a.aff4", made)
    assert [f.what for f in budget.findings] == ["AFF4 map"]
    assert image.read_at(0, 10_000) == data[:10_000] and image.read_at(15_000, 15_000) == data[15_000:20_000] + bytes(10_000)
    assert image.read_at(30_000, 10_000) == data[30_000:40_000] and image.read_at(41_000, 19_000) == bytes(19_000)
    for at in (10_000, 14_999, 40_500):
        with pytest.raises(Corrupt):
            image.read_at(at, 1)


def test_maps_of_maps_parts_and_a_map_of_itself(tmp_path: Path) -> None:
    data, made, other = make_media(), Aff4(), MAP.replace("3", "5")
    made.bevies(data, "zlib")
    made.map([(0, 1000, 100, 0), (1000, 500, 0, 1)], [STREAM, f"{STREAM}[0x10:0x200]"], 1500, urn=other)
    made.map([(0, 1400, 100, 0)], [other], 1400)
    made.image(1400)
    image, _ = opened(tmp_path / "a.aff4", made)
    assert image.read_at(0, 1400) == data[200:1100] + data[16:516]
    made.map([(0, 1400, 100, 0)], [MAP], 1400)
    with pytest.raises(Corrupt, match="made of itself"):
        opened(tmp_path / "b.aff4", made)


def test_a_missing_bevy_and_what_is_there_without_it(tmp_path: Path) -> None:
    data, made = make_media(), disk(make_media(), "none", hashes=())
    del made.members[f"{escaped(STREAM)}/00000001"]
    image, _ = opened(tmp_path / "a.aff4", made)
    assert image.read_at(0, 12_288) == data[:12_288] and image.read_at(24_576, 9) == data[24_576:24_585]
    with pytest.raises(Truncated, match="no bevy"):
        image.read_at(12_288, 1)
    assert image.trace(12_288, 4096) == (Span("", 0, 4096, ("missing",), False),)
    made = disk(make_media(), "none")
    made.members[f"{escaped(STREAM)}/00000000.index"] = (made.members[f"{escaped(STREAM)}/00000000.index"][0][:14], 0)
    image, _ = opened(tmp_path / "b.aff4", made)
    with pytest.raises(Truncated, match="not in it"):
        image.read_at(4096, 1)


def test_encryption_other_compression_and_other_content(tmp_path: Path) -> None:
    made = Aff4()
    made.say(STREAM, a=["EncryptedStream"], size=512)
    with pytest.raises(Unsupported, match="encrypted"):
        opened(tmp_path / "a.aff4", made)
    made = disk(make_media())
    made.said[0] = made.said[0].replace(METHODS["zlib"], "http://example.org/zpaq")
    with pytest.raises(Unsupported, match="zpaq"):
        opened(tmp_path / "a.aff4", made)
    with pytest.raises(Corrupt, match="name no image"):
        opened(tmp_path / "a.aff4", Aff4())
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.writestr("a letter", "x")
    for raw in ((tmp_path / "b.zip").read_bytes(), b"", b"PQ" + bytes(500)):
        with pytest.raises(NotThisFormat):
            opened(tmp_path / "c.aff4", raw)
    with pytest.raises(Truncated, match="not closed"):
        opened(tmp_path / "c.aff4", disk(make_media()).bytes()[:-100])


def test_several_images_are_opened_one_by_one(tmp_path: Path) -> None:
    made, second = disk(make_media()), "aff4://second"
    made.image(61_952, stream=STREAM, urn=second)
    made.write(tmp_path / "a.aff4")
    with fl.open_image(tmp_path / "a.aff4", snapshot=second) as image:
        assert image.read_at(0, image.size) == make_media() and any("further images" in f.found for f in image.run.findings)


def test_file_names_that_try_to_leave_and_hashes_that_lie(tmp_path: Path) -> None:
    made = Aff4()
    for number, (name, data) in enumerate({"../../etc/passwd": b"root", "a//b": b"1", "x" * 300: b"2", "a/b": b"3"}.items()):
        urn = f"{VOLUME}/f{number}"
        made.members[f"f{number}"] = (data, number % 2 * 8)
        made.say(urn, a=["FileImage", "Image", "ZipSegment"], originalFileName=f'"{name}"', size=len(data), hash=f'"{"0" * 32}"^^aff4:MD5')
    made.write(tmp_path / "a.aff4")
    with fl.open_image(tmp_path / "a.aff4") as image:
        tree = image.volumes()[0].filesystem()
        assert [e.open().read_at(0, 9) for e in tree.walk() if e.kind == "file"] == [b"root", b"1", b"2", b"3"]
        found = image.verify()
        assert found.ok is False and len(found.stored) == 3, "two files have one path"


def test_a_large_deflated_member_is_read_anywhere_in_bounded_memory(tmp_path: Path) -> None:
    data = (noise(1 << 16) + bytes(1 << 18)) * 24
    made = Aff4()
    made.members["big"] = (data, 8)
    made.say(f"{VOLUME}/big", a=["FileImage"], originalFileName='"big"', size=len(data))
    image, _ = opened(tmp_path / "a.aff4", made)
    assert image.tree is not None
    stream, chance = image.tree.get("big").open(), random.Random(3)
    for _ in range(30):
        at, n = chance.randrange(len(data)), chance.choice((1, 70_000, 1 << 20))
        assert stream.read_at(at, n) == data[at : at + n]
    raw = bytearray((tmp_path / "a.aff4").read_bytes())
    at = raw.rfind(b"PK\x01\x02", 0, raw.rfind(b"PK\x01\x02"))
    raw[at + 16] ^= 1
    image, _ = opened(tmp_path / "b.aff4", bytes(raw))
    assert image.tree is not None
    with pytest.raises(Corrupt, match="CRC"):
        image.tree.get("big").open().read_at(len(data) - 1, 1)


def test_members_that_claim_more_than_deflate_can_give(tmp_path: Path) -> None:
    made = Aff4()
    made.members["bomb"] = (bytes(1 << 20), 8)
    made.say(f"{VOLUME}/bomb", a=["FileImage"], originalFileName='"bomb"', size=1 << 40)
    raw = bytearray(made.bytes())
    at = raw.rfind(b"PK\x01\x02", 0, raw.rfind(b"PK\x01\x02"))
    raw[at + 24 : at + 28] = (0xF0000000).to_bytes(4, "little")
    image, _ = opened(tmp_path / "a.aff4", bytes(raw))
    assert image.tree is not None
    with pytest.raises(Corrupt, match="cannot inflate"):
        image.tree.get("bomb").open()


# the repeated texts and Turtle


def test_repeated_texts_begin_anew_every_mib() -> None:
    for offset in (0, 5, (1 << 20) - 3, (3 << 20) - 10):
        assert repeated(b"UNKNOWN", offset, 40) == sets4.text(b"UNKNOWN", offset, 40)
    assert repeated(b"UNREADABLEDATA", (1 << 20) - 4, 8) == (b"UNREADABLEDATA" * 80_000)[(1 << 20) - 4 : 1 << 20] + b"UNRE"


TURTLE = """
@base <aff4://x/> .
PREFIX e: <http://e/#>
@prefix : <aff4://v> . # a comment
e:a.b e:c 1.5, -2, 3e5, true , "x\\u00e9\\n\\"q\\""@en-GB , 'it''' ; a e:T ;; e:n [ e:x e:y ; e:z [ ] ] .
[ e:p "long \\U0001F600" ] . _:q e:r <rel> . : e:long \"\"\"two
"lines\"\"\" , ''''' .
<C:\\\\odd> e:esc e:a\\,b , "1"^^e:kind, "2"^^<k> .
"""


def test_turtle_by_the_words_of_rdf_1_1() -> None:
    e = "http://e/#"
    text = TURTLE.replace("'it'''", "'it'").replace("''''' ", "'''' ' ''' ")
    found = list(triples(text, "t", Budget()))
    xsd, rdf = "http://www.w3.org/2001/XMLSchema#", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    assert found[:5] == [
        (e + "a.b", e + "c", Literal("1.5", xsd + "decimal")), (e + "a.b", e + "c", Literal("-2", xsd + "integer")),
        (e + "a.b", e + "c", Literal("3e5", xsd + "double")), (e + "a.b", e + "c", Literal("true", xsd + "boolean")),
        (e + "a.b", e + "c", Literal('xé\n"q"')),
    ]  # fmt: skip
    assert found[5:9] == [
        (e + "a.b", e + "c", Literal("it")),
        (e + "a.b", rdf, e + "T"),
        ("_:[1]", e + "x", e + "y"),
        ("_:[1]", e + "z", "_:[2]"),
    ]
    assert found[9:14] == [
        (e + "a.b", e + "n", "_:[1]"), ("_:[3]", e + "p", Literal("long \U0001f600")), ("_:q", e + "r", "aff4://x/rel"),
        ("aff4://v", e + "long", Literal('two\n"lines')), ("aff4://v", e + "long", Literal("' ' ")),
    ]  # fmt: skip
    assert found[14:] == [
        ("C:\\\\odd", e + "esc", e + "a,b"), ("C:\\\\odd", e + "esc", Literal("1", e + "kind")),
        ("C:\\\\odd", e + "esc", Literal("2", "aff4://x/k")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["<a> <b>", "<a> <b> <c>", "<a> e:b <c> .", '<a> <b> "x .', "<a> <b> [ <c> <d> .", "@prefix x <y> .", "<a> <b> <c> <d> .",
             '<a> <b> "\\q" .', '<a> <b> "\\UFFFFFFFF" .', "<a> <b> .", "\x00", "@foo <a> ."],
)  # fmt: skip
def test_what_is_no_turtle_is_said_with_its_line(text: str) -> None:
    with pytest.raises(Corrupt, match="line 1"):
        list(triples(text, "t", Budget()))


def test_collections_and_deep_nesting_are_refused() -> None:
    with pytest.raises(Unsupported, match="collection"):
        list(triples("<a> <b> ( 1 2 ) .", "t", Budget()))
    with pytest.raises(LimitExceeded):
        list(triples("<a> <b> " + "[ <c> " * 5000, "t", Budget()))


def test_metadata_that_break_off_hold_up_to_there(tmp_path: Path) -> None:
    made = disk(make_media())
    made.said.append("<a> <b> no turtle at all")
    image, budget = opened(tmp_path / "a.aff4", made)
    assert image.read_at(0, 99) == make_media()[:99] and budget.findings[0].what == "AFF4 metadata"


def test_a_volume_with_more_metadata_than_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.aff4").write_bytes(disk(make_media()).bytes())
    with pytest.raises(LimitExceeded):
        FORMAT.open([str(tmp_path / "a.aff4")], Budget(Limits(allocation=500)))
    with pytest.raises(LimitExceeded):
        FORMAT.open([str(tmp_path / "a.aff4")], Budget(Limits(items=10)))


def test_names_and_digests_in_evidence_move_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from forensiclib.cli import verify

    made = Aff4()
    made.members["f"] = (b"x", 0)
    made.say(f"{VOLUME}/f", a=["FileImage"], originalFileName='"a\\u001B[31mb"', size=1, hash='"\\u001B]0;x\\u0007"^^aff4:MD5')
    made.write(tmp_path / "a.aff4")
    from typer import Exit

    with pytest.raises(Exit):
        verify.command([str(tmp_path / "a.aff4")], jobs=1)
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and "stored:" in out
