"""The main job on a disk made with real drivers: every promise checked against the maker's own list."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.corpus, pytest.mark.drivers, pytest.mark.timeout(600)]

TOOLS = ("ntfs-3g", "mkfs.vfat", "mkfs.ext4", "sgdisk", "mcopy", "ewfacquire")
SAMPLES = Path("/usr/share/forensics-samples")
EXT4_VIDEOS = {"movie-hello.avi", "movie-hello.mp4", "movie-hello.mpeg", "movie-hello.ogg"}


@pytest.fixture(scope="module")
def disk(corpus, tmp_path_factory):
    """win.E01 and its truth, as the plan in the shared evidence builds them."""
    missing = [t for t in TOOLS if shutil.which(t) is None]
    if missing or os.geteuid() != 0 or not SAMPLES.is_dir() or not Path("/dev/fuse").exists():
        pytest.skip(f"needs root, /dev/fuse, Debian's forensics-samples-files and {', '.join(missing) or 'its tools'}")
    maker = corpus.parent / "evidence" / "make_disk.py"
    if not maker.exists():
        pytest.skip("no evidence/make_disk.py beside the corpus")
    out = tmp_path_factory.mktemp("disk")
    subprocess.run(
        [sys.executable, maker, maker.with_name("xp-and-win10.plan.tsv"), out, "--name", "win", "--size", "512"],
        check=True,
        env={**os.environ, "CORPUS": str(corpus), "SAMPLES": str(SAMPLES)},
    )
    (out / "win.dd").unlink()
    with (out / "win.truth.tsv").open(encoding="utf-8") as file:
        return out / "win.E01", list(csv.DictReader(file, delimiter="\t"))


def run_case(evidence: Path, case: Path, jobs: int) -> Path:
    subprocess.run([sys.executable, "-m", "forensiclib", "examine", evidence, "--case", case, "--jobs", str(jobs)], check=True)
    return case


@pytest.fixture(scope="module")
def cases(disk, tmp_path_factory):
    base = tmp_path_factory.mktemp("cases")
    return run_case(disk[0], base / "one", 1), run_case(disk[0], base / "two", 2)


def rows(path: Path, *names: str) -> list[dict]:
    columns = table_of(path, names)
    return [dict(zip(names, values, strict=True)) for values in zip(*(columns[n] for n in names), strict=True)]


def table_of(path: Path, names):
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow not installed")
    return pq.read_table(path, columns=list(names)).to_pydict()


VOLUME = {"fat": "1", "ntfs": "2", "ext4": "3"}


def test_every_allocated_file_is_listed_with_its_size_and_md5(disk, cases):
    listed = {
        (r["volume"], (r["path"] + (":" + r["stream"] if r["stream"] else "")).casefold(), r["size"], r["md5"])
        for r in rows(cases[0] / "files.parquet", "volume", "path", "stream", "size", "md5", "state")
        if r["state"] == "allocated"
    }
    missing = [
        t["path"]
        for t in disk[1]
        if t["state"] == "allocated" and (VOLUME[t["volume"]], t["path"].casefold(), int(t["size"]), t["md5"]) not in listed
    ]
    assert not missing


def test_every_deleted_file_of_ntfs_and_fat_is_recovered_with_the_right_content(disk, cases):
    recovered = {
        (r["volume"], hashlib.md5((cases[0] / "recovered" / r["recovered"]).read_bytes()).hexdigest())
        for r in rows(cases[0] / "files.parquet", "volume", "recovered")
        if r["recovered"]
    }
    missing = [
        t["path"] for t in disk[1] if t["state"] == "deleted" and t["volume"] != "ext4" and (VOLUME[t["volume"]], t["md5"]) not in recovered
    ]
    assert not missing


def test_the_deleted_ext4_videos_come_back(disk, cases):
    back = {r["md5"] for r in rows(cases[0] / "files.parquet", "volume", "md5", "recovered") if r["volume"] == "3" and r["recovered"]}
    back |= {r["md5"] for r in rows(cases[0] / "carved.parquet", "volume", "md5") if r["volume"] == "3"}
    wanted = {t["path"].rpartition("/")[2]: t["md5"] for t in disk[1] if t["volume"] == "ext4" and t["state"] == "deleted"}
    assert set(wanted) == EXT4_VIDEOS
    assert [name for name, md5 in wanted.items() if md5 not in back] == []


def test_one_job_and_two_give_identical_tables(cases):
    one, two = cases
    names = sorted(p.relative_to(one).as_posix() for p in one.rglob("*.parquet"))
    assert names == sorted(p.relative_to(two).as_posix() for p in two.rglob("*.parquet"))
    assert names
    for name in [*names, "ledger.json", "case.json", "case.jsonld"]:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    for folder in ("recovered", "carved"):
        a, b = (
            {p.relative_to(c / folder): hashlib.sha256(p.read_bytes()).digest() for p in (c / folder).rglob("*") if p.is_file()}
            for c in cases
        )
        assert a == b and a


def test_the_image_is_verified(disk, cases):
    case = json.loads((cases[0] / "case.json").read_text(encoding="utf-8"))
    assert case["image"]["verified"] is True
    stored = subprocess.run(["ewfinfo", disk[0]], capture_output=True, text=True, check=True).stdout
    assert case["image"]["stored"]["md5"] in stored


def test_the_ledger_names_what_was_not_interpreted(disk, cases):
    """No extractor reads the Firefox database, the old event log or the pictures; their bytes must be in the ledger."""
    ledger = json.loads((cases[0] / "ledger.json").read_text(encoding="utf-8"))
    left = {li["where"]: li["bytes"] for li in ledger if li["what"].startswith("contents of") and not li["examined"]}
    unread = [t for t in disk[1] if t["volume"] == "ntfs" and t["path"].endswith(("places.sqlite", "SysEvent.Evt", ".jpg", ".JPG"))]
    assert unread and left["volume 2"] >= sum(int(t["size"]) for t in unread)
    assert any(li["what"] == "file slack" and not li["examined"] for li in ledger)


def test_the_audit_trail_chains(cases):
    last = "0" * 64
    for line in (cases[0] / "audit.jsonl").read_text(encoding="utf-8").splitlines():
        assert json.loads(line)["previous"] == last
        last = hashlib.sha256(line.encode()).hexdigest()


def test_the_report_holds_no_markup_from_evidence_and_loads_nothing(cases):
    html = (cases[0] / "report.html").read_text(encoding="utf-8")
    assert "<script" not in html and "http://" not in html and "https://" not in html
    assert "default-src 'none'" in html


def test_spans_of_records_are_bytes_of_the_image(disk, cases):
    """Each prefetch record's first span begins with the file's own signature, read from the image."""
    import forensiclib as fl

    with fl.open_image(disk[0]) as image:
        seen = 0
        for r in rows(cases[0] / "artifacts" / "windows.prefetch.parquet", "span_start", "state", "via"):
            if r["span_start"] and not r["via"]:
                assert image.read_at(r["span_start"][0], 8)[4:8] == b"SCCA" or image.read_at(r["span_start"][0], 3) == b"MAM"
                seen += 1
        assert seen
