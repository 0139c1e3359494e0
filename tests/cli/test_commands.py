"""What each command says, against the list of what was put on the example disk."""

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

pytest.importorskip("typer", reason="the command line's extra is not installed")


@pytest.fixture(scope="module")
def truth(example):
    with example.with_name("example.truth.tsv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def rows(done) -> list[dict]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def where(row: dict) -> str:
    return f"{row['volume']}:/{row['path']}" + (f":{row['stream']}" if row["stream"] else "")


def test_info_tells_the_container_and_the_volumes(cli, example):
    done = cli("info", example)
    assert done.returncode == 0 and done.stderr == ""
    assert "example.E01: ewf, 8,650,752 bytes, 1 segment\n" in done.stdout
    assert "examiner_name:" in done.stdout and "model:" not in done.stdout, "empty fields only take space"
    assert "1795359493 (2026-11-22T14:58:13Z)" in done.stdout
    assert 'volume 2: NTFS, exFAT or HPFS, 4,194,304 bytes at 4,194,304; ntfs; "Windows"' in done.stdout
    image, *volumes = rows(cli("info", example, "--json"))
    assert image["row"] == "image" and image["stored"]["md5"] == "ce32ec481cbfa2ff5090d1e43bed1f37"
    assert [v["name"] for v in volumes] == ["gap@0", "1", "2", "gap@8388608"]
    assert {frozenset(v) for v in volumes} == {frozenset(volumes[0])}


def test_verify_agrees_with_what_the_acquisition_stored(cli, example):
    done = cli("verify", example)
    assert done.returncode == 0 and "verified" in done.stdout and done.stdout.count("(stored: same)") == 2
    (row,) = rows(cli("verify", example, "--json", "-a", "sha256"))
    assert row["ok"] is True and row["stored"] == {k: row["computed"][k] for k in ("md5", "sha1")} and len(row["computed"]["sha256"]) == 64


def test_ls_lists_roots_folders_files_and_what_was_deleted(cli, example, truth):
    assert " 2:/Users/\n" in cli("ls", example).stdout
    everything = {where(r): r for r in rows(cli("ls", example, "-r", "--json"))}
    for t in truth:
        if t["state"] == "allocated":
            assert everything[where(t)]["size"] == int(t["size"]), where(t)
    folder = cli("ls", example, "2:/Users/alice/Documents").stdout
    assert "notes.txt:draft" in folder and "deleted (intact)" in folder and "Pictures" not in folder
    one = cli("ls", example, "2:/Users/alice/NTUSER.DAT").stdout.splitlines()
    assert len(one) == 1 and "12,288 2026-01-01T00:00:00Z" in one[0]
    gone = rows(cli("ls", example, "--deleted", "--json"))
    assert gone and {r["state"] for r in gone} <= {"deleted", "orphan", "journal"}


def test_the_two_engines_list_the_same_files(cli, example):
    native, tsk = (
        {(r["path"], r["size"]) for r in rows(cli("ls", example, "2:/Users", "-r", "--json", "--engine", e)) if r["state"] == "allocated"}
        for e in ("native", "tsk")
    )
    named = {p for p in native if not p[0].startswith("$") and p[1]}
    assert {n for n in named if n[0].endswith((".txt", ".jpg", ".docx", ".DAT"))} <= tsk


@pytest.mark.parametrize("path", ["2:/Users/alice/Pictures/holiday.jpg", "1:/DCIM/100EXAMP/IMG_0005.JPG", "2:/Users/alice/NTUSER.DAT"])
def test_cat_is_byte_exact(cli, example, truth, path):
    done = cli("cat", example, path, text=False)
    (t,) = [t for t in truth if where(t) == path and t["state"] == "allocated"]
    assert done.returncode == 0 and hashlib.md5(done.stdout).hexdigest() == t["md5"] and len(done.stdout) == int(t["size"])


def test_cat_of_an_alternate_stream_and_of_a_deleted_file(cli, example, truth):
    md5 = {(where(t), t["state"]): t["md5"] for t in truth}
    draft = cli("cat", example, "2:/Users/alice/Documents/notes.txt", "--stream", "draft", text=False)
    assert hashlib.md5(draft.stdout).hexdigest() == md5["2:/Users/alice/Documents/notes.txt:draft", "allocated"]
    gone = cli("cat", example, "2:/Users/alice/Pictures/secret.jpg", "--deleted", text=False)
    assert hashlib.md5(gone.stdout).hexdigest() == md5["2:/Users/alice/Pictures/secret.jpg", "deleted"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_hash_of_files_equals_the_truth(cli, example, truth, jobs):
    found = {(r["path"].casefold(), r["state"], r["md5"], r["sha1"]) for r in rows(cli("hash", example, "--files", "--json", "-j", jobs))}
    wanted = {(where(t).casefold(), t["state"], t["md5"], t["sha1"]) for t in truth if t["state"] == "allocated"}
    assert wanted and wanted <= found
    gone = {t["md5"] for t in truth if t["state"] == "deleted"}
    assert gone <= {m for _, state, m, _ in found if state == "deleted"}


def test_hash_of_the_media_equals_the_stored_ones(cli, example):
    text = cli("hash", example, "--algorithms", "sha1,md5").stdout
    assert text.split() == ["597b40332209ccf81b786bbedf5e32dc5e5c3960", "sha1", "ce32ec481cbfa2ff5090d1e43bed1f37", "md5"]


def test_hash_of_blocks(cli, example, example_media):
    got = rows(cli("hash", example, "--blocks", "4096", "--json", "-j", "2"))
    assert [r["digest"] for r in got] == [
        hashlib.md5(example_media[at : at + 4096]).hexdigest() for at in range(0, len(example_media), 4096)
    ]
    assert {"offset", "length", "digest", "unreadable", "entropy", "k_entropy", "verdict"} <= set(got[0])
    text = cli("hash", example, "--blocks", "65536", "--algorithms", "sha1").stdout.splitlines()
    assert text[0].split()[1] == hashlib.sha1(example_media[:65536]).hexdigest() and len(text) == -(-len(example_media) // 65536)
    for wrong in (("--blocks", "100"), ("--blocks", "512", "--algorithms", "md5,sha1"), ("--blocks", "512", "--files")):
        assert cli("hash", example, *wrong).returncode == 2


def test_recover_and_carve_write_what_was_deleted(cli, example, truth, tmp_path):
    recovered = rows(cli("recover", example, "--to", tmp_path / "r", "--json"))
    back = {hashlib.md5((tmp_path / "r" / r["written"]).read_bytes()).hexdigest() for r in recovered}
    assert back == {t["md5"] for t in truth if t["state"] == "deleted"}
    carved = rows(cli("carve", example, "--to", tmp_path / "c", "--json"))
    for r in carved:
        assert hashlib.md5((tmp_path / "c" / r["written"]).read_bytes()).hexdigest() == r["md5"]
    assert {t["md5"] for t in truth if t["volume"] == "0"} <= {r["md5"] for r in carved}
    only = cli("carve", example, "--to", tmp_path / "d", "--type", "zip")
    assert only.returncode == 0 and only.stdout.endswith(f"1 file(s) written to {tmp_path / 'd'}\n")


def test_extract_gives_records_with_their_bytes(cli, example, tmp_path):
    records = rows(cli("extract", example, "windows.recyclebin", "windows.runkeys"))
    assert {r["name"] for r in records} == {"windows.recyclebin", "windows.runkeys"}
    assert all(r["spans"] and r["state"] == "allocated" and r["path"].startswith("2:/") for r in records)
    target = tmp_path / "records.jsonl"
    done = cli("extract", example, "windows.*", "--to", target)
    assert done.returncode == 0 and done.stdout == f"{len(target.read_text(encoding='utf-8').splitlines())} record(s) written to {target}\n"


def test_examine_says_where_the_case_is(cli, example, tmp_path):
    case = tmp_path / "my [first] case ü's"
    (row,) = rows(cli("examine", example, "--case", case, "--json", "--jobs", 1))
    assert row["case"] == str(case) and row["verified"] is True and row["counts"]["recovered"] == 4
    assert json.loads((case / "case.json").read_text(encoding="utf-8"))["counts"] == row["counts"]
    assert (case / "report.html").exists() and not list(case.glob(".*")) and not list(case.glob("*unfinished*"))


def test_catalog_lists_what_there_is_and_what_is_missing(cli):
    lines = rows(cli("catalog", "--json"))
    assert {"kind", "name", "title", "version", "gaps", "refs"} == set().union(*lines)
    assert {"ewf", "ntfs", "windows.prefetch", "jpeg"} <= {r["name"] for r in lines}
    text = cli("catalog").stdout
    assert "not: " in text and "Extractor          windows.prefetch" in text
    assert cli("catalog", "--markdown").stdout.startswith("# The catalogue\n")


def test_a_path_with_spaces_and_letters_from_another_folder(cli, example, tmp_path):
    folder = tmp_path / "Beweis stück 中国"
    folder.mkdir()
    shutil.copy(example, folder / "disk one.E01")
    (row,) = rows(cli("verify", "disk one.E01", "--json", cwd=folder))
    assert row["name"] == "disk one.E01" and row["ok"] is True
    assert sorted(os.listdir(folder)) == ["disk one.E01"]


def test_a_path_that_is_no_text(cli, example, tmp_path):
    odd = os.fsencode(tmp_path) + b"/bad-\xff-name.E01"
    shutil.copy(example, odd)
    done = cli("examine", os.fsdecode(odd), "--case", tmp_path / "case", "--jobs", 1, "--no-carving")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "case" / "case.json").read_text(encoding="utf-8"))["image"]["name"] == "bad-\udcff-name.E01"


def test_evidence_is_only_read(cli, example, tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    copy = Path(shutil.copy(example, folder))
    copy.chmod(0o444)
    before, status = copy.read_bytes(), copy.stat()
    for command in (["info"], ["verify"], ["ls", "-r"], ["hash", "--files"], ["recover", "--to", tmp_path / "r"]):
        assert cli(command[0], copy, *command[1:]).returncode == 0
    assert cli("examine", copy, "--case", tmp_path / "case", "-j", 2).returncode == 0
    assert copy.read_bytes() == before and copy.stat().st_mtime_ns == status.st_mtime_ns and copy.stat().st_ctime_ns == status.st_ctime_ns
    assert os.listdir(folder) == ["example.E01"]


def test_no_output_can_reach_the_terminal(cli, hostile, tmp_path):
    commands = [
        ["info", hostile], ["verify", hostile], ["ls", hostile, "-r"], ["ls", hostile, "-r", "--json"], ["hash", hostile, "--files"],
        ["extract", hostile, "windows.*"], ["recover", hostile, "--to", tmp_path / "r"], ["examine", hostile, "--case", tmp_path / "c"],
        ["cat", hostile, "0:/\x1b]0;title\x07"], ["ls", hostile, "0:/no\u202esuch"], ["info", "\x1b[2J.E01"],
    ]  # fmt: skip
    for command in commands:
        done = cli(*command)
        told = done.stdout + done.stderr
        bad = [c for c in told if not c.isprintable() and c != "\n"]
        assert told and not bad, (command[0], bad[:5])
    listed = {r["path"] for r in rows(cli("ls", hostile, "-r", "--json"))}
    assert {"invoice\u202efdp.exe", "\x1b[31mred\x1b[0m\x07.txt", "new\nline.txt"} <= listed


def test_closed_standard_streams_do_no_harm(example, tmp_path):
    code = "import os, sys; [os.close(n) for n in (0, 1, 2)]; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    words = ["-m", "forensiclib", "examine", str(example), "--case", str(tmp_path / "case"), "--jobs", "2"]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=root, timeout=120)
    assert done.returncode == 0 and (tmp_path / "case" / "case.json").exists()


def test_help_of_every_command_reads_well(cli):
    top = cli("--help")
    assert top.returncode == 0 and "130 cancelled" in top.stdout
    for name in ("info", "verify", "ls", "cat", "recover", "extract", "carve", "hash", "search", "examine", "catalog"):
        assert f"  {name} " in top.stdout
        text = cli(name, "--help").stdout
        assert text.startswith(f"Usage: forensiclib {name} ") and "Traceback" not in text
    bare = cli()
    assert "Commands:" in bare.stdout + bare.stderr and bare.returncode == 2
    assert cli("--version").stdout == "forensiclib 0.1.0\n"
