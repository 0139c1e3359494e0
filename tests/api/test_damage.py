"""The main job on evidence that is broken, unknown, interrupted, or not a file at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.core.errors import Cancelled, EvidenceError, UsageError
from forensiclib.core.source import MemorySource

for module in ("pyarrow", "duckdb", "jinja2", "PIL"):
    pytest.importorskip(module, reason="the cli extra is not installed")

NTFS = 4 << 20


def table(case: Path, name: str) -> list[dict]:
    import pyarrow.parquet as pq

    names = [f.name for f in pq.read_schema(case / name) if not str(f.type).startswith("timestamp")]  # pandas would be needed
    return pq.read_table(case / name, columns=names).to_pylist()


def ledger(case: Path) -> list[dict]:
    return json.loads((case / "ledger.json").read_text(encoding="utf-8"))


def contents(case: Path) -> dict[str, str]:
    """Every table and exported file, by its hash. The audit trail has the time of day in it."""
    files = [p for p in sorted(case.rglob("*")) if p.is_file() and p.name != "audit.jsonl"]
    return {p.relative_to(case).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def truth(example: Path) -> dict[str, str]:
    lines = (line.split("\t") for line in example.with_name("example.truth.tsv").read_text(encoding="utf-8").splitlines()[1:])
    return {
        f"{v}:/{path}" + (f":{stream}" if stream else ""): md5 for v, _, path, stream, state, _, md5, _ in lines if state == "allocated"
    }


def test_a_flipped_byte_is_named_and_the_rest_is_examined(example, tmp_path):
    """Every file is either as it was, or said to be not whole."""
    raw = bytearray(example.read_bytes())
    raw[len(raw) // 2] ^= 0x10
    copy = tmp_path / "example.E01"
    copy.write_bytes(raw)
    case = fl.examine(copy, tmp_path / "case")
    assert case.verification is not None and case.verification.ok is False
    (bad,) = case.verification.bad
    found = [f for f in table(case.path, "findings.parquet") if f["start"] == bad.start and f["length"] == bad.length]
    assert found and {f["root"] for f in found} == {"example.E01"}
    assert "FAILED" in (case.path / "report.html").read_text(encoding="utf-8")
    assert json.loads((case.path / "case.json").read_text(encoding="utf-8"))["image"]["verified"] is False
    wanted = truth(example)
    seen = 0
    for row in table(case.path, "files.parquet"):
        path = f"{row['volume']}:/{row['path']}" + (f":{row['stream']}" if row["stream"] else "")
        if row["state"] == "allocated" and path in wanted:
            assert row["unreadable"] or row["md5"] == wanted[path], path
            seen += 1
    assert seen == len(wanted)
    lost = [r for r in table(case.path, "files.parquet") if r["unreadable"]]
    assert lost and {(li["where"], li["bytes"]) for li in ledger(case.path) if li["what"] == "content"} == {
        (f"{r['volume']}:/{r['path']}" + (f":{r['stream']}" if r["stream"] else ""), r["unreadable"]) for r in lost
    }


@pytest.mark.parametrize("left", [0.3, 0.7, 0.95])
def test_a_segment_that_breaks_off(example, tmp_path, left):
    """Opening may refuse; where it does not, the verification fails and says where."""
    raw = example.read_bytes()
    copy = tmp_path / "short.E01"
    copy.write_bytes(raw[: int(len(raw) * left)])
    try:
        case = fl.examine(copy, tmp_path / "case")
    except EvidenceError as error:
        assert "short.E01" in str(error)
        assert not (tmp_path / "case").exists()
        return
    assert case.verification is not None and not case.verification.ok
    assert any(f["kind"] == "Truncated" for f in table(case.path, "findings.parquet"))


def test_a_volume_of_no_known_kind_is_in_the_ledger(example, example_media, tmp_path):
    raw = bytearray(example_media)
    raw[NTFS : NTFS + 8192] = bytes(8192)
    raw[NTFS + (4 << 20) - 512 : NTFS + (4 << 20)] = bytes(512)  # the copy of the boot sector
    disk = tmp_path / "disk.dd"
    disk.write_bytes(raw)
    case = fl.examine(disk, tmp_path / "case")
    (line,) = [li for li in ledger(case.path) if not li["examined"] and li["where"] == "volume 2"]
    assert line["what"] == "file system" and line["bytes"] == 4 << 20
    assert "no known file system begins here" in line["reason"]
    assert {li["where"]: li["bytes"] for li in ledger(case.path) if li["what"].startswith("carving: no file system")} == {
        "volume 2": 4 << 20
    }
    html = (case.path / "report.html").read_text(encoding="utf-8")
    left = sum(not li["examined"] for li in ledger(case.path))
    assert f"{left} part(s) were not examined" in html
    assert {r["md5"] for r in table(case.path, "carved.parquet")} >= {truth(example)["2:/Users/alice/Pictures/holiday.jpg"]}


def test_what_the_caller_left_out_is_in_the_ledger(example, tmp_path):
    case = fl.examine(example, tmp_path / "case", verify=False, carving=False, extractors=["windows.lnk"])
    skipped = {li["what"]: li["reason"] for li in ledger(case.path) if not li["examined"]}
    assert {skipped["verification"], skipped["carving"]} == {"the caller asked for none"}
    # Streams with content, as ls -r lists them: 8 on volume 1; 31 on volume 2, of which one is the link.
    contents = {what for what in skipped if what.startswith("contents of")}
    assert contents == {"contents of 8 files", "contents of 30 files"} and skipped["file slack"]
    assert case.verification is None and sorted(case.counts) == ["artifacts/windows.lnk", "files", "findings", "recovered", "timeline"]


@pytest.mark.parametrize("asked", [1, 5, 40, 120])
def test_a_cancelled_job_is_not_taken_for_a_finished_one(example, tmp_path, asked):
    calls = 0

    def cancelled() -> bool:
        nonlocal calls
        calls += 1
        return calls > asked

    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(Cancelled):
            fl.examine(example, tmp_path / "case", run=fl.Run(executor=pool, cancelled=cancelled))
        assert pool.submit(int, "7").result() == 7, "the caller's pool is the caller's"
    folder = tmp_path / "case"
    assert not (folder / "case.json").exists() and not (folder / "report.html").exists()
    last = json.loads((folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last["event"] == "stopped" and last["error"] == "Cancelled"
    with pytest.raises(UsageError, match="not an empty folder"):
        fl.examine(example, folder)


def test_a_finished_job_says_so_last(example, tmp_path):
    case = fl.examine(example, tmp_path / "case")
    lines = [json.loads(line) for line in (case.path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [li["event"] for li in lines][-1] == "finished" and lines[-1]["counts"] == case.counts


def test_every_way_to_run_gives_the_same_case(example, tmp_path):
    one = fl.examine(example, tmp_path / "inline")
    again = fl.examine(example, tmp_path / "again")
    with ThreadPoolExecutor(3) as pool:
        threads = fl.examine(example, tmp_path / "threads", run=fl.Run(executor=pool, threads=2))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        processes = fl.examine(example, tmp_path / "processes", run=fl.Run(executor=pool, threads=2))
    wanted = contents(one.path)
    assert len(wanted) > 15
    for other in (again, threads, processes):
        assert contents(other.path) == wanted, other.path.name


def test_bytes_in_memory_are_evidence(example, example_media, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        case = fl.examine(MemorySource(example_media, "disk"), tmp_path / "case", run=fl.Run(executor=pool))
    assert case.verification is not None and case.verification.ok is None
    assert case.verification.computed["sha256"] == hashlib.sha256(example_media).hexdigest()
    found = {
        (f"{r['volume']}:/{r['path']}" + (f":{r['stream']}" if r["stream"] else ""), r["md5"]) for r in table(case.path, "files.parquet")
    }
    assert set(truth(example).items()) <= found


def test_bytes_in_memory_cannot_go_to_other_processes(example_media, tmp_path):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(UsageError, match="threads"):
        fl.examine(MemorySource(example_media, "disk"), tmp_path / "case", run=fl.Run(executor=pool))


def test_secrets_are_in_no_file(example, tmp_path):
    secret = "Tr0ub4dor&3-correct-horse"
    run = fl.Run(keys=fl.Keys([secret], recovery="123456-654321-111111", keyfile=b"key-file-bytes-of-this-test"))
    case = fl.examine(example, tmp_path / "case", run=run)
    assert secret not in repr(run)
    for path in case.path.rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            for word in (secret, "123456-654321-111111", "key-file-bytes-of-this-test"):
                assert word.encode() not in raw and word.encode("utf-16-le") not in raw, path


def test_a_copy_of_the_case_folder_name_with_wildcards(example, tmp_path):
    """duckdb would read a pattern; the path must mean itself, also beside a folder that the pattern matches."""
    decoy = fl.examine(example, tmp_path / "case1", extractors=["windows.lnk"], carving=False)
    case = fl.examine(example, tmp_path / "case[1]*?'", carving=False)
    assert case.counts["timeline"] > decoy.counts["timeline"]
    shutil.rmtree(decoy.path)
    assert len(table(case.path, "timeline.parquet")) == case.counts["timeline"]
