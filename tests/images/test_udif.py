"""UDIF images against the bytes that went in, against other readers, and against what hdiutil stored."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Corrupt, EvidenceError, LimitExceeded, Truncated, Unreadable, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.images.apple import udif
from forensiclib.testing.contracts import SourceContract
from tests.images import appledisks as apple
from tests.images.disks import MIB, SIZE, as_raw, content
from tests.images.test_vm_disks import opened, whole

VIA = {"adc": "adc", "zlib": "deflate", "bzip2": "bzip2", "lzfse": "lzfse", "lzma": "lzma"}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """One image of each kind of chunk; "rsrc" has its tables in a resource fork."""
    held: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in held:
            kind, _, resources = name.partition("-")
            held[name] = apple.udif(tmp_path_factory.mktemp(name) / "disk.dmg", content(), kind, resources=resources or "plist")
        return held[name]

    return make


@pytest.mark.parametrize("resources", ["plist", "rsrc"])
@pytest.mark.parametrize("kind", apple.KINDS)
def test_every_kind_of_chunk_reads_as_what_went_in_and_verifies(made: Callable[[str], Path], kind: str, resources: str) -> None:
    path = made(f"{kind}-{resources}")
    image, found = opened(path)
    with image:
        assert not found and image.format == "udif"
        assert image.read_at(0, image.size) == content()
        result = image.verify(["sha1"])
        assert result.ok is True and not image.run.findings
        assert result.computed["sha1"] == hashlib.sha1(content()).hexdigest()
        assert len(image.checks) == 4, "the data fork, two partitions, all tables"
        assert image.facts["partitions"] == "Driver Descriptor Map (DDM : 0), disk image (Apple_HFS : 2)"


# ---- other readers


def need(program: str, package: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} (Debian: {package}) is not installed")


@pytest.mark.parametrize("name", ["raw", "adc", "zlib", "bzip2", "lzma", "raw-rsrc", "adc-rsrc", "zlib-rsrc", "bzip2-rsrc", "lzma-rsrc"])
def test_7z_reads_the_same(made: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    """One file for each partition. p7zip 16.02 has no LZFSE."""
    need("7z", "p7zip-full")
    subprocess.run(["7z", "x", "-y", "-tdmg", f"-o{tmp_path}", made(name)], check=True, capture_output=True, timeout=60)
    parts = [p.read_bytes() for p in sorted(tmp_path.iterdir())]
    assert len(parts) == 2 and b"".join(parts) == whole(made(name))


@pytest.mark.parametrize("name", ["raw", "adc", "zlib", "bzip2", "zlib-rsrc"])
def test_dmg2img_reads_the_same(made: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    need("dmg2img", "dmg2img")
    subprocess.run(["dmg2img", "-s", made(name), tmp_path / "out"], check=True, capture_output=True, timeout=60)
    assert (tmp_path / "out").read_bytes() == whole(made(name))


@pytest.mark.parametrize("name", ["raw", "zlib", "raw-rsrc", "zlib-rsrc"])
def test_qemu_reads_the_same(made: Callable[[str], Path], name: str) -> None:
    assert as_raw(made(name), "-f", "dmg") == whole(made(name))


@pytest.mark.parametrize("name", ["raw", "adc", "zlib", "bzip2", "lzfse"])
def test_libmodi_reads_the_same(made: Callable[[str], Path], name: str) -> None:
    """The one other reader of LZFSE. It has no LZMA, and takes an image without a property list as raw."""
    pymodi = pytest.importorskip("pymodi", reason="libmodi-python is not installed")
    handle = pymodi.handle()
    handle.open(str(made(name)))
    assert handle.get_media_size() == SIZE
    assert handle.read_buffer(SIZE) == whole(made(name))


@pytest.mark.corpus
@pytest.mark.parametrize(
    "name", ["dfvfs/hfsplus_zlib.dmg", "plaso/hfsplus_zlib.dmg", "plaso/spotlight.10.13.dmg", "plaso/spotlight.12.dmg"]
)
def test_what_hdiutil_wrote_verifies_and_reads_as_qemu_reads_it(corpus: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / "disk.dmg"
    shutil.copy(corpus / name, path)
    image, found = opened(path)
    with image:
        assert image.verify().ok is True
        assert len(found) == 1 and "were not stored" in found[0] and int(image.facts["not_stored"]) > 0
        raw = as_raw(path, "-f", "dmg")
        assert image.read_at(0, image.size) == raw
        assert [v.kind for v in image.volumes() if v.state != "slack"] == ["Apple HFS+"]


# ---- spans


class _Disk(SourceContract):
    name = "raw"

    @pytest.fixture(autouse=True)
    def _prepare(self, made: Callable[[str], Path]) -> None:
        self.path = made(self.name)

    def make(self) -> tuple[ByteSource, bytes]:
        return opened(self.path)[0], content()

    def root(self) -> dict[str, bytes]:
        return {self.path.name: self.path.read_bytes()}


class TestRaw(_Disk):
    pass


class TestAdc(_Disk):
    name = "adc"


class TestZlib(_Disk):
    name = "zlib-rsrc"


class TestBzip2(_Disk):
    name = "bzip2"


@pytest.mark.bulk
class TestLzfse(_Disk):
    name = "lzfse"


class TestLzma(_Disk):
    name = "lzma"


class TestSegments(SourceContract):
    @pytest.fixture(autouse=True)
    def _prepare(self, tmp_path: Path) -> None:
        self.paths = apple.segmented(tmp_path, content(), 3, "raw")

    def make(self) -> tuple[ByteSource, bytes]:
        return opened(self.paths[0])[0], content()

    def root(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self.paths}


@pytest.mark.parametrize("kind", apple.KINDS)
def test_spans_are_those_that_the_writer_noted(made: Callable[[str], Path], kind: str) -> None:
    """Of a chunk that is compressed its whole stored form, of a raw one the bytes; of zeros nothing."""
    path = made(kind)
    first, second = apple.tables_of(content(), kind, 65536)
    image = opened(path)[0]
    seen = set()
    for base, table in ((0, first), (64 * 512, second)):
        entries = struct.iter_unpack(">IIQQQQ", table.raw[204:])
        for code, _comment, sector, sectors, at, stored in entries:
            if not sectors or code == 0xFFFFFFFF:
                continue
            start, n = base + sector * 512, sectors * 512
            seen.add(code)
            if code == 0:
                assert image.trace(start, n) == (Span("", 0, n, ("zero",), False),)
            elif code == 1:
                assert image.trace(start + 100, 50) == (Span("disk.dmg", at + 100, 50),)
            else:
                assert image.trace(start, n) == image.trace(start + 100, 50) == (Span("disk.dmg", at, stored, (VIA[kind],), False),)
    assert len(seen) == 2


@pytest.mark.bulk
def test_eight_threads_read_at_random_and_every_read_is_right(made: Callable[[str], Path]) -> None:
    image, want, wrong = opened(made("lzfse"))[0], content(), list[tuple[int, int]]()

    def work(seed: int) -> None:
        import random

        rng = random.Random(seed)
        for _ in range(150):
            at, n = rng.randrange(SIZE), rng.randrange(200_000)
            if image.read_at(at, n) != want[at : at + n]:
                wrong.append((at, n))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ---- forms that are rarer


def test_segments_beside_each_other_and_listed(tmp_path: Path) -> None:
    paths = apple.segmented(tmp_path, content(), 4)
    image, found = opened(paths[0])
    assert not found and image.read_at(0, SIZE) == content() and image.verify().ok is True
    assert [p[0] for p in image.parts] == ["disk.dmg", "disk.002.dmgpart", "disk.003.dmgpart", "disk.004.dmgpart"]
    assert whole(paths[2]) == content(), "any of them leads to the others"
    away = tmp_path / "away"
    away.mkdir()
    moved = [Path(shutil.move(p, away / f"part {i}")) for i, p in enumerate(paths)]
    with pytest.raises(Truncated, match="segments 2, 3, 4 of 4"):
        opened(moved[0])
    assert whole(*moved) == content()


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    paths = apple.segmented(tmp_path, content(), 4)
    paths[2].unlink()
    with pytest.raises(Truncated, match="segments 3 of 4"):
        opened(paths[0])


def test_a_trailer_in_front(tmp_path: Path) -> None:
    assert whole(apple.udif(tmp_path / "disk.dmg", content(), first=True)) == content()


def test_a_data_fork_without_tables_is_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "disk.dmg"
    path.write_bytes(content() + apple.koly(data_size=SIZE, sectors=SIZE // 512, sum=0))
    image, found = opened(path)
    assert not found and image.read_at(0, image.size) == content() and image.trace(512, 9) == (Span("disk.dmg", 512, 9),)


def test_bytes_behind_the_trailer_are_a_finding(tmp_path: Path) -> None:
    path = apple.udif(tmp_path / "disk.dmg", content())
    path.write_bytes(path.read_bytes() + bytes(1000))
    image, found = opened(path)
    assert image.read_at(0, SIZE) == content() and len(found) == 1 and "1000 bytes stand behind it" in found[0]


def test_a_dmg_without_a_trailer_is_raw(tmp_path: Path) -> None:
    path = tmp_path / "disk.dmg"
    path.write_bytes(content())
    image, found = opened(path)
    assert image.format == "raw" and image.read_at(0, SIZE) == content() and "no koly" in found[0]


def test_ignored_chunks_read_as_zero_and_are_told(tmp_path: Path) -> None:
    starts = list(apple.chunk_starts(content()))
    ignored = [s for s in starts if any(content()[s : s + 65536])][1:3]
    path = apple.udif(tmp_path / "disk.dmg", content(), ignored=ignored)
    image, found = opened(path)
    want = bytearray(content())
    for start in ignored:
        want[start : start + 65536] = bytes(len(want[start : start + 65536]))
    assert image.read_at(0, SIZE) == bytes(want)
    assert image.verify().ok is True, "the tables' checksums do not cover them"
    assert image.facts["not_stored"] == str(2 * 65536) and len(found) == 1 and "131072 bytes" in found[0]


# ---- damage


def flip(path: Path, at: int, bits: int = 1) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= bits
    path.write_bytes(raw)


@pytest.mark.parametrize("kind", apple.KINDS)
def test_a_flipped_bit_in_a_chunk_never_verifies(tmp_path: Path, kind: str) -> None:
    """Codecs with a checksum of their own never give the wrong bytes either."""
    path = apple.udif(tmp_path / "disk.dmg", content(), kind)
    span = next(s for s in opened(path)[0].trace(0, SIZE) if s.root)
    flip(path, span.start + (1 if kind == "adc" else span.length // 2))  # of ADC a literal: a copy may come out the same
    image, found = opened(path)
    assert not found
    if kind in ("zlib", "bzip2", "lzma"):
        with pytest.raises(Corrupt, match="UDIF chunk"):
            image.read_at(0, SIZE)
    result = image.verify()
    assert result.ok is False and bool(result.bad) is (kind in ("zlib", "bzip2", "lzma"))
    assert {text.partition(":")[0][:21] for text in result.failed} == {"checksum of data fork", "checksum of partition"}
    assert any(f.what == "checksum of data fork" for f in image.run.findings)


def test_a_changed_table_checksum_is_told_at_once(tmp_path: Path) -> None:
    path = apple.udif(tmp_path / "disk.dmg", content(), "raw")
    flip(path, len(path.read_bytes()) - 512 + 360)
    image, found = opened(path)
    assert len(found) == 1 and found[0].startswith("Corrupt UDIF master checksum")
    assert image.verify().ok is False


def test_a_truncated_data_fork(tmp_path: Path) -> None:
    media = content()
    data = media[: SIZE - MIB]
    path = tmp_path / "disk.dmg"
    path.write_bytes(data + apple.koly(data_size=SIZE, sectors=SIZE // 512, sum=0))
    image, found = opened(path)
    assert "Truncated UDIF data fork" in found[0] and image.size == SIZE
    assert image.read_at(0, len(data)) == data
    with pytest.raises(Truncated):
        image.read_at(len(data) - 10, 20)


def rewritten(path: Path, change: Callable[[bytearray], None]) -> Path:
    """The image with the table of its second partition changed (sums stay as they are)."""
    tables = apple.tables_of(content(), "zlib", 65536)
    raw = bytearray(tables[1].raw)
    change(raw)
    tables[1].raw = bytes(raw)
    data = tables[1].stored + tables[0].stored
    listed = apple.plist(tables)
    end = apple.koly(data_size=len(data), xml=len(data), xml_size=len(listed), sectors=SIZE // 512, sum=0)
    path.write_bytes(data + listed + end)
    return path


def entry(number: int) -> int:
    return 204 + 40 * number


def test_chunks_outside_of_the_disk_are_left_out(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "x.dmg", lambda raw: struct.pack_into(">Q", raw, entry(3) + 8, 1 << 40))
    image, found = opened(path)
    assert any("outside of the disk" in f for f in found) and any("lie in no chunk" in f for f in found)
    with pytest.raises(Unreadable, match="in no chunk"):
        image.read_at(64 * 512 + 2 * 65536, 10)
    assert image.read_at(0, 64 * 512) == content()[: 64 * 512]


def test_chunks_over_each_other_are_told(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "x.dmg", lambda raw: struct.pack_into(">Q", raw, entry(3) + 8, 64))
    assert any("begin inside of others" in f for f in opened(path)[1])


def test_chunks_of_an_unknown_kind_are_told(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "x.dmg", lambda raw: struct.pack_into(">I", raw, entry(2), 0x80000002))
    image, found = opened(path)
    assert any("0x80000002" in f for f in found)
    with pytest.raises(Unsupported, match="0x80000002"):
        image.read_at(64 * 512 + 65536, 1)


def test_a_chunk_that_says_it_is_huge_is_never_taken(tmp_path: Path) -> None:
    tables = apple.tables_of(content(), "zlib", 65536)
    raw = bytearray(tables[1].raw)
    packed = [n for n in range((len(raw) - 204) // 40) if int.from_bytes(raw[entry(n) : entry(n) + 4], "big") == 0x80000005][-1]
    struct.pack_into(">Q", raw, entry(packed) + 16, 1 << 30)
    tables[1].raw = bytes(raw)
    data = tables[1].stored + tables[0].stored
    listed = apple.plist(tables)
    path = tmp_path / "x.dmg"
    path.write_bytes(data + listed + apple.koly(data_size=len(data), xml=len(data), xml_size=len(listed), sectors=1 << 31, sum=0))
    image, _ = opened(path)
    with pytest.raises(LimitExceeded, match="UDIF chunk"):
        image.read_at((64 + int.from_bytes(raw[entry(packed) + 8 : entry(packed) + 16], "big")) * 512, 10)


def test_a_bomb_is_no_larger_than_its_chunk(tmp_path: Path) -> None:
    """Each codec is asked for the chunk's size and one byte of more is an error."""
    for kind in ("zlib", "bzip2", "lzma"):
        code, pack = apple.PACK[kind]
        bomb = pack(bytes(50 * MIB))
        raw = struct.pack(">4sIQQQII24x", b"mish", 1, 0, 8, 0, 8, 0) + struct.pack(">III124xI", 0, 0, 0, 2)
        raw += struct.pack(">IIQQQQ", code, 0, 0, 8, 0, len(bomb)) + struct.pack(">IIQQQQ", 0xFFFFFFFF, 0, 8, 0, len(bomb), 0)
        table = apple.Table("x", 0, 0, b"", "raw", 4096, 0)
        table.raw = raw
        listed = apple.plist([table])
        path = tmp_path / f"{kind}.dmg"
        path.write_bytes(bomb + listed + apple.koly(data_size=len(bomb), xml=len(bomb), xml_size=len(listed), sectors=8, sum=0))
        with pytest.raises(Corrupt, match="more than"):
            opened(path)[0].read_at(0, 4096)


def test_a_property_list_with_entities_is_refused(tmp_path: Path) -> None:
    listed = b'<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><plist><dict><key>&b;</key></dict></plist>'
    path = tmp_path / "x.dmg"
    path.write_bytes(listed + apple.koly(xml=0, xml_size=len(listed), sectors=8, sum=0))
    with pytest.raises(Corrupt, match="entities"):
        udif.FORMAT.open([str(path)], Budget())


def test_a_nested_property_list_is_refused(tmp_path: Path) -> None:
    listed = b"<plist>" + b"<dict><key>a</key>" * 100_000
    path = tmp_path / "x.dmg"
    path.write_bytes(listed + apple.koly(xml=0, xml_size=len(listed), sectors=8, sum=0))
    with pytest.raises(Corrupt, match="deeper"):
        udif.FORMAT.open([str(path)], Budget())


@pytest.mark.parametrize(("field", "value"), [("xml", 1 << 62), ("xml_size", 1 << 40), ("sectors", 1 << 60), ("segments", 1 << 31)])
def test_lengths_that_lie(tmp_path: Path, field: str, value: int) -> None:
    path = tmp_path / "x.dmg"
    fields: dict[str, int | bytes] = {"xml": 0, "xml_size": 100, "sectors": 8, field: value}
    path.write_bytes(bytes(4096) + apple.koly(**fields))
    with pytest.raises(EvidenceError):
        udif.FORMAT.open([str(path)], Budget())


def test_other_checksums_are_said_not_to_be_verified(tmp_path: Path) -> None:
    path = tmp_path / "disk.dmg"
    path.write_bytes(content() + apple.koly(data_size=SIZE, sectors=SIZE // 512, sum=4))
    image, found = opened(path)
    assert len(found) == 1 and "type 4" in found[0] and image.verify().ok is None


def test_findings_name_the_place(tmp_path: Path) -> None:
    run = fl.Run()
    path = rewritten(tmp_path / "x.dmg", lambda raw: struct.pack_into(">I", raw, entry(2), 0x80000002))
    fl.open_image(path, run=run)
    assert all(f.span is not None and f.span.root == "x.dmg" and f.room == "udif" for f in run.findings)
