"""EWF2 and logical evidence, against libewf (samples of its own making, and its reading of sets laid out by hand)."""

from __future__ import annotations

import hashlib
import random
import struct
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.entry import Entry, Image
from forensiclib.core.errors import Corrupt, EvidenceError, NotThisFormat, Truncated, Unsupported
from forensiclib.core.limits import Budget
from forensiclib.core.source import ByteSource
from forensiclib.core.span import Span
from forensiclib.images.ewf import ewf
from forensiclib.images.ewf2.ewf2 import FORMAT
from forensiclib.images.ewf2.segments import extension
from forensiclib.testing.contracts import SourceContract
from tests.images.sets import make_media, noise
from tests.images.sets2 import Ex01, ex01, l01, logical, lx01

FILES = {"a.txt": b"hello world", "big.bin": noise(20_000), "empty": b"", "Ωmega.txt": b"x" * 9000, "C\u00b7stream": b"alternate"}


def opened(path: Path, raw: bytes | None = None) -> tuple[Image, Budget]:
    if raw is not None:
        path.write_bytes(raw)
    budget = Budget()
    form = ewf.FORMAT if path.suffix in (".L01", ".E01") else FORMAT
    return form.open([str(path)], budget), budget


def libewf(*paths: Path):
    pyewf = pytest.importorskip("pyewf", reason="libewf-python is not installed")
    handle = pyewf.handle()
    handle.open([str(p) for p in paths])
    return handle


class TestContract(SourceContract):
    def make(self) -> tuple[ByteSource, bytes]:
        return self.image, make_media()

    @pytest.fixture(autouse=True)
    def _set(self, tmp_path: Path) -> None:
        self.image = opened(tmp_path / "set.Ex01", ex01(make_media()))[0]


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["ewf/zeros_128s.Ex01", "ewf/zeros_128s_compressed.Ex01"])
def test_sets_that_libewf_made(name: str, corpus: Path) -> None:
    with fl.open_image(str(corpus / name)) as image:
        assert image.format == "ewf2" and image.read_at(0, 65_537) == bytes(65_536)
        assert image.hashes["md5"] == hashlib.md5(bytes(65_536)).hexdigest() and image.verify().ok is True
        assert (image.facts["case_number"], image.facts["platform"], image.facts["sectors_count"]) == ("case_number", "Darwin", "128")
        assert image.run.findings == [] and image.data.stored(0, 1)[0].start == 464


@pytest.mark.parametrize("options", [{}, {"method": 0}, {"method": 2}, {"method": 2, "strip": False}, {"pattern": True}])
def test_every_form_of_a_chunk(options: dict, tmp_path: Path) -> None:
    data = make_media()[:40_960] + b"\x01\x02\x03\x04\x05\x06\x07\x08" * 1024 + bytes(8192)
    image, budget = opened(tmp_path / "set.Ex01", ex01(data, **options))
    assert image.read_at(0, image.size) == data and not budget.findings
    assert image.hashes == {"md5": hashlib.md5(data).hexdigest(), "sha1": hashlib.sha1(data).hexdigest()}
    if options.get("method") in (None, 1):
        handle = libewf(tmp_path / "set.Ex01")
        assert handle.read(handle.get_media_size()) == data and handle.get_hash_value("SHA1") == image.hashes["sha1"]


def test_the_facts_are_those_of_libewf(tmp_path: Path) -> None:
    image, _ = opened(tmp_path / "set.Ex01", ex01(make_media()))
    said = libewf(tmp_path / "set.Ex01").get_header_values()
    names = {"case_number": "case_number", "description": "unique_description", "examiner_name": "examiner_name", "notes": "notes",
             "evidence_number": "evidence_number", "model": "model", "serial_number": "serial_number", "device_label": "device_label",
             "acquiry_operating_system": "platform", "acquiry_software_version": "version"}  # fmt: skip
    assert {name: said[name] for name in names} == {name: image.facts[ours] for name, ours in names.items()}
    assert image.sector_size == 512 and image.facts["media_type"] == "fixed"
    assert image.facts["set_identifier"] == "11111111-2222-4333-8444-555555555555"


def segments(folder: Path, data: bytes, names: list[str], chunk: int = 8192) -> list[Path]:
    count, out = -(-len(data) // chunk), []
    per = -(-count // len(names))
    for number, name in enumerate(names, 1):
        made = Ex01(number)
        made.information(len(data) // 512, count)
        made.media(data[(number - 1) * per * chunk : number * per * chunk], first=(number - 1) * per)
        if number == len(names):
            made.hashes(data)
        made.add(15 if number == len(names) else 13)
        out.append(folder / f"set{name}")
        out[-1].write_bytes(made.out)
    return out


def test_segments_by_name_and_in_any_order(tmp_path: Path) -> None:
    data = make_media()
    paths = segments(tmp_path, data, [".Ex01", ".Ex02", ".Ex03"])
    for given in ([paths[0]], [paths[2]], [paths[1], paths[2], paths[0]]):
        budget = Budget()
        image = FORMAT.open([str(p) for p in given], budget)
        assert image.read_at(0, image.size) == data and not budget.findings and len(image.parts) == 3
    assert libewf(*paths).read(len(data)) == data
    paths[1].unlink()
    with pytest.raises(Truncated, match="segment 2 is missing"):
        opened(paths[0])
    with pytest.raises(Truncated, match="number 2 belongs here"):
        FORMAT.open([str(paths[0]), str(paths[2])], Budget())
    raw = bytearray(paths[2].read_bytes())
    raw[12], raw[16] = 2, 0xFF
    paths[1].write_bytes(raw)
    with pytest.raises(Corrupt, match="another set"):
        opened(paths[0])


def test_extensions_are_those_of_the_specification() -> None:
    names = {1: ".Ex01", 99: ".Ex99", 100: ".ExAA", 125: ".ExAZ", 126: ".ExBA", 775: ".ExZZ", 776: ".EyAA", 2127: ".EzZZ"}
    assert {n: extension(".Ex01", n) for n in names} == names and extension(".Ex01", 2128) == ""


def test_errors_and_sessions(tmp_path: Path) -> None:
    made = Ex01()
    made.information(121, 8)
    made.media(make_media())
    made.count_table(5, [struct.pack("<QI4x", 3, 2), struct.pack("<QI4x", 120, 9)])
    made.count_table(6, [struct.pack("<QI20x", 16, 0), struct.pack("<QI20x", 60, 1)])
    made.add(15)
    image, budget = opened(tmp_path / "set.Ex01", made.out)
    assert image.bad_sectors == (Span("set.Ex01", 1536, 1024),)
    assert (image.facts["session_1"], image.facts["session_2"]) == ("data from sector 16", "audio from sector 60")
    assert [f.what for f in budget.findings] == ["EWF2 error table"]


def test_encryption_and_other_content(tmp_path: Path) -> None:
    made = Ex01()
    made.information(121, 8)
    made.media(make_media())
    keys = Ex01()
    keys.out, keys.previous = made.out, made.previous
    keys.add(0x0B, bytes(48))
    keys.add(15)
    for raw in (keys.out, ex01(make_media())[:-64] + b""):
        if raw is keys.out:
            with pytest.raises(Unsupported, match="encrypted"):
                opened(tmp_path / "set.Ex01", raw)
    made.add(15, flags=2)
    with pytest.raises(Unsupported, match="encrypted"):
        opened(tmp_path / "set.Ex01", made.out)
    for raw in (b"", b"EVF2", b"EVF\x09\x0d\x0a\xff\x00" + bytes(100)):
        with pytest.raises(NotThisFormat):
            opened(tmp_path / "set.Ex01", raw)


def test_a_damaged_chunk_a_damaged_table_and_a_cut_set_are_told(tmp_path: Path) -> None:
    data, raw = make_media(), bytearray(ex01(make_media()))
    whole, _ = opened(tmp_path / "set.Ex01", bytes(raw))
    at = whole.data.stored(16_384, 1)[0].start
    raw[at + 100] ^= 1
    image, _ = opened(tmp_path / "set.Ex01", bytes(raw))
    with pytest.raises(Corrupt, match="chunk 2 at"):
        image.read_at(16_384, 10)
    assert image.read_at(0, 16_384) == data[:16_384]
    cut, budget = opened(tmp_path / "set.Ex01", ex01(data)[:-30])
    assert cut.read_at(0, cut.size) == data and [f.kind for f in budget.findings] == ["Truncated"]


def listing(system: fl.FileSystem) -> dict[str, Entry]:
    return {entry.path: entry for entry in system.walk()}


@pytest.mark.parametrize("name", ["set.L01", "set.Lx01", "plain.Lx01"])
def test_a_logical_set_is_a_tree_of_files(name: str, tmp_path: Path) -> None:
    raw = l01(FILES) if name.endswith(".L01") else lx01(FILES, mark=not name.startswith("plain"))
    (tmp_path / name).write_bytes(raw)
    with fl.open_image(str(tmp_path / name)) as image:
        (volume,) = image.volumes()
        system = volume.filesystem()
        found = listing(system)
        assert (volume.scheme, volume.name, system.format, image.run.findings) == ("logical", "0", "logical", [])
        assert list(found)[:2] == ["C", "C/docs"] and found["C/docs"].kind == "directory"
        for file, data in FILES.items():
            entry = found[f"C/docs/{file}"]
            assert entry.size == len(data) and entry.open().read_at(0, len(data) + 1) == data
            assert entry.attributes["md5"] == hashlib.md5(data).hexdigest() and entry.attributes["source"] == "laptop ev1"
            assert entry.attributes["permissions"] == "owner S-1-5-32-544; allow S-1-5-32-545 Users 0x1f01ff"
        first = found["C/docs/a.txt"]
        assert {n: t.iso() for n, t in first.times.items()} == {
            "born": "2012-03-11T00:00:10Z", "accessed": "2012-03-11T00:01:40Z", "modified": "2012-03-11T00:03:20Z",
            "changed": "2012-03-11T00:05:00Z",
        }  # fmt: skip
        assert image.find("0:/c/DOCS/A.TXT").open().read_at(0, 99) == b"hello world"
        assert found["C/docs/gone.txt"].state == "deleted" and found["C/docs/gone.txt"].open().read_at(0, 9) == b"abc"
        assert found["C/docs/sparse.bin"].open().read_at(4000, 5000) == b"z" * 1000
        assert found["C/docs/copy of a.txt"].open().read_at(0, 99) == b"hello world"
        assert first.open().trace(0, 5) == (Span(name, 0, 5),)
        assert system.get("C/docs").id == first.parent and system.entry(first.id) == first
        assert len(system.table()) == len(found)


@pytest.mark.parametrize("name", ["set.L01", "set.Lx01"])
def test_libewf_sees_the_same_tree(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(l01(FILES) if name.endswith(".L01") else lx01(FILES))
    handle = libewf(tmp_path / name)
    seen: dict[str, tuple[int, bytes, str | None, int]] = {}

    def walk(entry, above: str) -> None:
        for sub in entry.sub_file_entries:
            path = f"{above}/{sub.name}".lstrip("/")
            data = sub.read_buffer(sub.size) if sub.size else b""
            seen[path] = (sub.size, data, _md5(sub), sub.get_creation_time_as_integer())
            walk(sub, path)

    walk(handle.get_root_file_entry(), "")
    found = listing(opened(tmp_path / name)[0].tree)
    assert list(seen) == list(found)
    for path, (size, data, md5, born) in seen.items():
        entry = found[path]
        if entry.kind == "file":
            assert (entry.size, entry.attributes.get("md5")) == (size, md5) and entry.open().read_at(0, size) == data, path
        assert entry.times["born"].raw == born if born else "born" not in entry.times


def _md5(entry) -> str | None:
    try:
        return entry.get_hash_value_md5()
    except OSError:  # none is stored
        return None


def test_recover_extract_and_hash_work_on_a_logical_set(tmp_path: Path) -> None:
    (tmp_path / "set.L01").write_bytes(l01(FILES))
    run = fl.Run()
    with fl.open_image(str(tmp_path / "set.L01"), run=run) as image:
        done = list(run.recover(image, str(tmp_path / "out")))
        assert [(d.path.rpartition("/")[2], d.size) for d in done] == [("gone.txt", 3)]
        batches = image.listing()
        assert len(batches) == 1 and len(batches[0][1]) == len(FILES) + 5


def test_lists_of_files_that_break_off_give_what_stands_before(tmp_path: Path) -> None:
    text, media = logical(FILES)
    lines = text.split("\n")
    for cut in (lines[:-6], [*lines[:-8], "x\ty", *lines[-7:]]):
        made = Ex01(logical=True)
        made.information(0, -(-len(media) // 8192), kind="l")
        made.media(media)
        made.add(0x20, "\n".join(cut).encode("utf-16-le"))
        made.add(15)
        image, budget = opened(tmp_path / "set.Lx01", made.out)
        assert image.tree is not None and listing(image.tree)["C/docs/a.txt"].open().read_at(0, 20) == b"hello world"
        assert [f.what for f in budget.findings] == ["EWF list of files"]


def test_no_flipped_bit_changes_a_byte_in_silence(tmp_path: Path) -> None:
    data, raw, chance = make_media(), ex01(make_media()), random.Random(1)
    for _ in range(150):
        broken = bytearray(raw)
        broken[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        try:
            image, _ = opened(tmp_path / "set.Ex01", bytes(broken))
        except EvidenceError:
            continue
        for at in range(0, min(image.size, len(data)), 8192):
            try:
                assert image.read_at(at, 8192) == data[at : at + 8192]
            except EvidenceError:
                continue
