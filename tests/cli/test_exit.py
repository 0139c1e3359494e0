"""Exit codes and messages: one line that says what, where and what to do, and never a traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("typer", reason="the command line's extra is not installed")
ROOT = Path(__file__).resolve().parents[2]
FILE = "2:/Users/alice/NTUSER.DAT"

TYPOS = {
    "no such evidence": (["info", "{tmp}/nothing.E01"], 2, "nothing.E01: no such file"),
    "a folder as evidence": (["info", "{tmp}"], 2, "a directory, and no "),
    "an unknown protocol": (["info", "nosuch://user:secret@host/disk.E01"], 2, "nosuch: no such protocol"),
    "an address in an address": (["info", "zip://disk.dd::https://host/a.zip"], 2, "has no ranges of its own"),
    "a glob of nothing": (["info", "{tmp}/none*.E01"], 2, "no file matches"),
    "not an image": (["info", "{fake}"], 3, "fake.E01"),
    "unknown digest": (["verify", "{e}", "-a", "md6"], 2, "no algorithm md6; there are md5"),
    "unknown digest of files": (["hash", "{e}", "--files", "--algorithms", "md6"], 2, "no algorithm md6; there are"),
    "no digest": (["hash", "{e}", "--files", "--algorithms", ","], 2, "no algorithm given"),
    "unknown volume": (["ls", "{e}", "9"], 2, "no volume '9'; there are gap@0, 1, 2"),
    "a gap has no files": (["ls", "{e}", "gap@0"], 3, "no known file system begins here"),
    "unknown path": (["ls", "{e}", "2:/Users/nobody"], 2, "2:/Users/nobody: no such file or folder"),
    "unknown engine": (["ls", "{e}", "--engine", "TSK"], 2, "no engine 'TSK'; there are native, tsk"),
    "unknown file": (["cat", "{e}", "2:/Users/alice/none"], 2, "2:/Users/alice/none: no such file or folder among the allocated ones"),
    "a folder has no content": (["cat", "{e}", "2:/Users"], 2, "2:/Users: a folder; ls lists it"),
    "a path without volume": (["cat", "{e}", "Users/alice"], 2, "write VOLUME:/PATH"),
    "unknown stream": (["cat", "{e}", FILE, "--stream", "x"], 2, "no stream 'x'"),
    "nothing deleted there": (["cat", "{e}", FILE, "--deleted"], 2, "no deleted file of that path"),
    "unknown extractor": (["extract", "{e}", "windows.prefetsch"], 2, "no extractor matches 'windows.prefetsch'; there are"),
    "evidence is not overwritten": (["extract", "{e}", "*", "--to", "{e}"], 2, "exists; name a new file"),
    "no folder for the file": (["extract", "{e}", "*", "--to", "{tmp}/a/b"], 2, "its folder does not exist"),
    "unknown carver": (["carve", "{e}", "--to", "{tmp}/c", "--type", "jpg2000"], 2, "no carver jpg2000; there are"),
    "all and not all": (["carve", "{e}", "--to", "{tmp}/c", "--all", "--unallocated"], 2, "exclude each other"),
    "recovery beside other files": (["recover", "{e}", "--to", "{full}"], 2, "not an empty folder; name a new one"),
    "carving beside other files": (["carve", "{e}", "--to", "{full}"], 2, "not an empty folder; name a new one"),
    "a case beside other files": (["examine", "{e}", "--case", "{full}"], 2, "not an empty folder; name a new one"),
    "a file as case": (["examine", "{e}", "--case", "{full}/kept"], 2, "not an empty folder; name a new one"),
    "no such extractor in a case": (["examine", "{e}", "--case", "{tmp}/c", "--only", "windos.*"], 2, "no extractor matches"),
    "two forms at once": (["catalog", "--json", "--markdown"], 2, "exclude each other"),
}


@pytest.mark.parametrize("name", TYPOS)
def test_a_typo_is_one_line(cli, example, tmp_path, name):
    words, code, message = TYPOS[name]
    full = tmp_path / "full"
    full.mkdir()
    (full / "kept").write_text("kept")
    fake = tmp_path / "fake.E01"
    fake.write_bytes(b"EVF\x09\x0d\x0a\xff\x00" + bytes(100))
    places = {"e": example, "tmp": tmp_path, "full": full, "fake": fake}
    done = cli(*(w.format(**places) for w in words))
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and done.stderr.count("\n") == 1 and done.stderr.startswith("forensiclib: ") and message in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["fake.E01", "full"] and os.listdir(full) == ["kept"], "a typo leaves nothing behind"


@pytest.mark.parametrize("words", [["nonsense"], ["info"], ["info", "--nonsense"], ["verify", "x", "-j", "0"], ["examine", "x"]])
def test_a_usage_error_names_the_help(cli, words):
    done = cli(*words)
    assert done.returncode == 2 and "--help" in done.stderr and "Error: " in done.stderr and "Traceback" not in done.stderr


def damaged(example: Path, tmp_path: Path) -> Path:
    """A copy of the example with one byte of compressed data flipped, in the picture secret.jpg's chunk or near it."""
    copy = Path(shutil.copy(example, tmp_path / "damaged.E01"))
    raw = bytearray(copy.read_bytes())
    raw[len(raw) // 2] ^= 0x10
    copy.write_bytes(raw)
    return copy


def test_damage_fails_the_checks(cli, example, tmp_path):
    bad = damaged(example, tmp_path)
    done = cli("verify", bad)
    assert done.returncode == 4 and "FAILED" in done.stdout and "unreadable, hashed as zero: 32,768 bytes at" in done.stdout
    assert cli("hash", bad).returncode == 3, "a digest of other bytes is no digest of the media"
    assert cli("hash", bad, "--files", "--strict").returncode == 4
    assert cli("hash", example, "--files", "--strict").returncode == 0
    assert cli("examine", bad, "--case", tmp_path / "case").returncode == 4
    assert (tmp_path / "case" / "case.json").exists(), "damage does not end the job"


def test_a_damaged_file_is_marked(cli, example, tmp_path):
    """Whatever the flipped byte hit: the file says how much of it is missing, and cat exits with 4."""
    import json

    bad = damaged(example, tmp_path)
    before, after = (
        {r["path"]: r for r in map(json.loads, cli("hash", image, "--files", "--json").stdout.splitlines())} for image in (example, bad)
    )
    changed = {p for p in before if before[p]["md5"] != after[p]["md5"]}
    assert changed and changed <= {p for p, r in after.items() if r["unreadable"]}
    assert {r["unreadable"] for r in before.values()} == {0}
    path = next(p for p in sorted(changed) if after[p]["state"] == "allocated" and ":" not in p[2:])
    done = cli("cat", bad, path, text=False)
    assert done.returncode == 4 and len(done.stdout) == after[path]["size"] and b"Corrupt" in done.stderr
    assert "(not whole)" in cli("hash", bad, "--files").stdout


def test_a_missing_segment_cannot_be_opened(cli, example_media, tmp_path):
    ewfacquire = shutil.which("ewfacquire")
    if ewfacquire is None:
        pytest.skip("ewfacquire (ewf-tools) is not installed")
    (tmp_path / "media.dd").write_bytes(example_media)
    command = [ewfacquire, "-u", "-q", "-f", "encase6", "-c", "none", "-S", "2097152", "-t", tmp_path / "part", tmp_path / "media.dd"]
    subprocess.run(command, check=True, capture_output=True)
    parts = sorted(tmp_path.glob("part.E*"))
    assert len(parts) > 2 and cli("verify", parts[0]).returncode == 0
    parts[1].unlink()
    done = cli("examine", parts[0], "--case", tmp_path / "case")
    assert done.returncode == 3 and "part.E02" in done.stderr and done.stderr.count("Traceback") == 0
    assert not (tmp_path / "case").exists(), "no case of evidence that was not opened"


@pytest.mark.parametrize("words", [["ls", "-r"], ["ls", "-r", "--json"], ["extract", "*"], ["info"], ["hash", "--files"], ["catalog"]])
def test_a_reader_that_goes_away_is_no_error(example, words):
    evidence = [] if words[0] == "catalog" else [str(example)]
    command = [sys.executable, "-m", "forensiclib", words[0], *evidence, *words[1:]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as job:
        job.stdout.close()
        told = job.stderr.read()
        assert job.wait(60) == 0 and told == b""


def test_a_job_whose_reader_goes_away_says_that_it_was_not_finished(example, tmp_path):
    command = [sys.executable, "-m", "forensiclib", "verify", str(example)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        job.stdout.close()
        assert "went away" in job.stderr.read() and job.wait(60) == 130


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_the_job_and_its_workers(tmp_path, jobs):
    """A sparse disk that takes long to hash and carve; its process group is asked as a terminal would ask."""
    disk = tmp_path / "large.dd"
    with disk.open("wb") as out:
        out.truncate(256 << 30)
    command = [sys.executable, "-m", "forensiclib", "examine", str(disk), "--case", str(tmp_path / "case"), "--jobs", jobs, "--no-verify"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as job:
        audit = tmp_path / "case" / "audit.jsonl"
        for _ in range(300):
            if audit.exists() and "hashed" in audit.read_text():
                break
            time.sleep(0.1)
        time.sleep(1.5)
        os.killpg(job.pid, signal.SIGINT)
        asked = time.monotonic()
        _, told = job.communicate(timeout=60)
        assert job.returncode == 130 and told.splitlines()[-1] == "forensiclib: cancelled" and "Traceback" not in told
        assert time.monotonic() - asked < 15
    for _ in range(50):  # the last of the group, multiprocessing's own tracker, ends when it sees the pipe close
        left = subprocess.run(["ps", "-o", "stat=,args=", "-g", str(job.pid)], capture_output=True, text=True).stdout.strip()
        if not left:
            break
        time.sleep(0.1)
    assert left == ""
    last = audit.read_text(encoding="utf-8").splitlines()[-1]
    assert '"event":"stopped","error":"Cancelled"' in last and not (tmp_path / "case" / "case.json").exists()


def test_a_disk_that_is_full_is_no_traceback(cli, example, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with open("/dev/full", "w") as full:
        done = cli("ls", example, "-r", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 3 and "No space left on device" in done.stderr and done.stderr.count("\n") == 1
