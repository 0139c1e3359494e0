"""Shadow copies in jobs: left alone and told, or looked into where they differ from the volume."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.api import shadows
from forensiclib.api.carving import zones
from forensiclib.api.recovering import hash_files, recover
from forensiclib.api.searching import search
from forensiclib.core.batch import batch_of
from forensiclib.core.source import MemorySource
from forensiclib.search.query import Query
from tests.volumes.shadows import BLOCK, Machine, ntfs

LNK = (Path(__file__).resolve().parents[1] / "samples" / "lnk" / "holiday.lnk").read_bytes()
SVI = "System Volume Information"
FIRST = f"{SVI}/{{600f0b69-5bdf-11e3-9d6c-005056c00008}}{{3808876b-c176-4e48-b7ae-04046e6cc752}}"


@pytest.fixture
def vsstest(corpus):
    return corpus / "plaso" / "vsstest.qcow2"


@pytest.mark.corpus
def test_jobs_leave_copies_alone_and_say_so(vsstest):
    run = fl.Run()
    with fl.open_image(vsstest, run=run) as image:
        assert [v.name for v, _ in image.listing()] == ["0"]
        assert {p.partition(":")[0] for p, _ in hash_files(run, image)} == {"0"}
        told = [f for f in run.findings if "--shadows" in f.found]
        assert [f.where for f in told] == ["volume 0.vss1", "volume 0.vss2"]
        skipped = [(line.where, line.size) for line in run.ledger if line.what == "shadow copy"]
        assert skipped == [("volume 0.vss1", 7667712), ("volume 0.vss2", 7667712)]


@pytest.mark.corpus
def test_what_differs_is_listed_and_hashed(vsstest):
    """The volume has syslog.gz, another_file and password.txt; the copies were made before each of them came."""
    run = fl.Run(shadows="kept")
    with fl.open_image(vsstest, run=run) as image:
        names = {v.name: set(t.list("path")) for v, t in image.listing()}
        assert "syslog" in names["0.vss1"] and "syslog" not in names["0"]
        assert not {"syslog.gz", "another_file", "password.txt", "$UpCase", "$Boot"} & names["0.vss1"]
        assert {"$MFT", "$LogFile", "$Bitmap", SVI} <= names["0.vss1"] & names["0.vss2"]
        assert "syslog.gz" not in names["0.vss2"]  # the same there and now
        digests = {path: dict(d.digests)["md5"] for path, d in hash_files(run, image)}
        assert digests["0.vss1:/$MFT"] != digests["0.vss2:/$MFT"] != digests["0:/$MFT"]
        assert "0.vss2:/syslog.gz" not in digests
        notes = {f.where: f.found for f in run.findings if "of a later time" in f.found}
        assert notes[f"0.vss1:/{FIRST}"] == "335544320 bytes are not part of the shadow copy and are of a later time"


@pytest.mark.corpus
def test_carving_looks_at_what_a_store_has(vsstest):
    run = fl.Run(shadows="kept")
    with fl.open_image(vsstest, run=run) as image:
        found = {z.volume.name: z.size for z in zones(run, image, True)}
        assert found == {"0": 1 << 30, "0.vss1": 7667712, "0.vss2": 7667712}
        free = {z.volume.name: z.size for z in zones(run, image, False)}
        assert 0 <= free["0.vss1"] <= 7667712


def test_artifacts_of_copies_on_request():
    """A shortcut was the content of a file when the copy was made; it is overwritten since."""
    base = ntfs(4 << 20)
    with fl.open_image(MemorySource(base, "disk")) as image:
        files = [e for e in image.volume("0").filesystem().walk(deleted=False) if e.kind == "file" and not e.path.startswith("$")]
        found = [(e.path, s) for e in files for s in e.streams() if not s.name and not s.compressed and len(s.runs) == 1 and s.size > 900]
    path, stream = next((p, s) for p, s in found if s.runs[0][0] % BLOCK + 4096 <= BLOCK)
    block, inside = divmod(stream.runs[0][0], BLOCK)
    machine = Machine(base)
    before = machine.block(block)
    machine.write(block, before[:inside] + LNK + before[inside + len(LNK) :])
    machine.snapshot()
    machine.write(block, before)
    image_bytes = machine.image()
    for wanted in (False, True):
        run = fl.Run(shadows="kept" if wanted else "none")
        with fl.open_image(MemorySource(image_bytes, "disk"), run=run) as image:
            records = list(run.extract(image, "windows.lnk"))
        assert [r.path for r in records] == ([f"0.vss1:/{path}"] if wanted else [])
        for record in records:
            assert record.layers[:3] == ("source", "none:0", "vss:1") and record.spans[0].start // BLOCK == machine.copies[0].area[0]


@pytest.mark.corpus
def test_the_case_names_the_copies(vsstest, tmp_path):
    fl.examine(vsstest, tmp_path / "case", carving=False, verify=False)
    case = json.loads((tmp_path / "case" / "case.json").read_text())
    facts = {v["name"]: v["facts"] for v in case["volumes"]}
    assert facts["0.vss2"]["created"] == "2013-12-03T06:37:48.9190583Z" and facts["0"] == {}


def test_a_deleted_file_is_not_given_bytes_of_a_later_time(tmp_path):
    """Its clusters were free when the copy was made: nobody kept them, and what is there now came later."""
    base = ntfs(4 << 20)
    with fl.open_image(MemorySource(base, "disk")) as image:
        gone = [e for e in image.volume("0").filesystem().walk() if e.state != "allocated" and e.kind == "file" and e.verdict == "intact"]
        stream = next(s for e in gone for s in e.streams() if not s.resident and s.runs)
        blocks = {b for start, n in stream.runs for b in range(start // BLOCK, (start + n - 1) // BLOCK + 1)}
        entry = next(e for e in gone if any(s.runs == stream.runs for s in e.streams()))
    machine = Machine(base, blocks)
    machine.snapshot()
    for block in blocks:
        machine.write(block, b"later!" * 2730 + b"1234")
    run = fl.Run(shadows="kept")
    with fl.open_image(MemorySource(machine.image(), "disk"), run=run) as image:
        copy = image.volume("0.vss1")
        assert copy.read_at(stream.runs[0][0], 6) in b"later!" * 3
        found = [r for r in recover(run, image, tmp_path / "out") if r.path == f"0.vss1:/{entry.path}"]
        for one in found:
            assert one.replaced and not (tmp_path / "out" / one.written).read_bytes().strip(b"\0")
        assert all(sum(r) <= start or start + n <= r[0] for r in copy.free() for start, n in copy.shadow.foreign())


def test_ranges_are_cut_from_ranges():
    assert shadows.without([(0, 10), (20, 10)], [(5, 20)]) == ((0, 5), (25, 5))
    assert shadows.without([(0, 10)], []) == ((0, 10),)
    assert shadows.without([(0, 10)], [(0, 10)]) == ()
    assert shadows.without([(3, 4)], [(0, 1), (4, 1), (9, 9)]) == ((3, 1), (5, 2))


def test_rows_are_taken_from_every_kind_of_column():
    schema = (("a", "int64"), ("b", "utf8"), ("c", "list_int64"), ("d", "bool"), ("e", "timestamp"), ("f", "binary"))
    rows = [{"a": i if i % 2 else None, "b": "x" * i, "c": list(range(i)), "d": i > 2, "e": i * 10, "f": bytes(i)} for i in range(6)]
    table = batch_of(schema, rows)
    assert list(table.take([5, 0, 3]).rows()) == [rows[5], rows[0], rows[3]]
    assert list(table.take([]).rows()) == []


def test_a_search_finds_what_only_a_copy_has():
    word = b"needle in a copy"
    machine = Machine(ntfs(4 << 20))
    machine.data[50 * BLOCK : 50 * BLOCK + len(word)] = word
    machine.snapshot()
    machine.write(50, bytes(BLOCK))
    for wanted in (False, True):
        run = fl.Run(shadows="kept" if wanted else "none")
        with fl.open_image(MemorySource(machine.image(), "disk"), run=run) as image:
            hits = {h.item.volume for h in search(run, image, Query(words=("needle in a copy",)))}
        assert ("0.vss1" in hits) is wanted


def test_commands_name_the_copies_and_look_into_them_when_asked(tmp_path):
    machine = Machine(ntfs(4 << 20))
    machine.snapshot()
    path = tmp_path / "volume.dd"
    path.write_bytes(machine.image())

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "forensiclib", *words], capture_output=True, text=True, timeout=60)

    rows = [json.loads(line) for line in command("info", str(path), "--json").stdout.splitlines()]
    (copy,) = [r for r in rows if r.get("state") == "snapshot"]
    assert (copy["name"], copy["filesystem"], copy["facts"]["store"]) == ("0.vss1", "ntfs", str(machine.copies[0].store))
    named = command("ls", str(path), "0.vss1:")
    assert named.returncode == 0 and "0.vss1:/$MFT" in named.stdout
    assert "--shadows kept" in command("ls", str(path)).stderr
    wrong = command("ls", str(path), "--shadows", "all")
    assert wrong.returncode == 2 and "there are none, kept, deleted" in wrong.stderr
