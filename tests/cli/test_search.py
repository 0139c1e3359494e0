"""search, as a user has it."""

from __future__ import annotations

import csv
import json
import subprocess

import pytest


def test_a_word_in_files_and_where_it_is(cli, example, example_media):
    done = cli("search", example, "boathouse", "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found and {"2:/Users/alice/Documents/notes.txt"} == {f"{r['volume']}:/{r['path']}" for r in found}
    for row in found:
        start, length = row["span_start"][0], row["span_length"][0]
        assert example_media[start : start + length] == b"boathouse" and row["encoding"] == "utf-8"
    text = cli("search", example, "boathouse").stdout.splitlines()
    assert text[0].startswith("2:/Users/alice/Documents/notes.txt 12 utf-8  Meet at the [boathouse] on Friday")
    assert text[-1] == f"{len(found)} hit(s)"


def test_raw_offsets_are_greps(cli, example, example_media, tmp_path):
    raw = tmp_path / "media.dd"
    raw.write_bytes(example_media)
    out = subprocess.run(["grep", "-obUaPi", "camera", raw], capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"})
    rows = [
        json.loads(line)
        for line in cli("search", raw, "camera", "-i", "--where", "raw", "--encodings", "utf-8", "--json").stdout.splitlines()
    ]
    assert [r["offset"] for r in rows] == [int(line.partition(":")[0]) for line in out.stdout.splitlines()]


def test_files_of_hits_say_the_same(cli, example, tmp_path):
    common = ["search", example, "--regex", "[Ff]riday|station", "--patterns", "url,guid"]
    assert cli(*common, "--to", tmp_path / "a.jsonl").returncode == 0
    assert cli(*common, "--to", tmp_path / "b.csv", "--jobs", 2).returncode == 0
    assert cli(*common, "--to", tmp_path / "folder").stdout.endswith(f"written to {tmp_path / 'folder'}\n")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    with (tmp_path / "b.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(tmp_path / "folder" / "hits.parquet").to_pylist()
    assert len(lines) > 30 and table == lines
    assert [(r["hit"], r["offset"], r["value"], json.loads(r["span_start"])) for r in rows] == [
        (str(r["hit"]), str(r["offset"]), r["value"], r["span_start"]) for r in lines
    ]
    with (tmp_path / "folder" / "histogram.csv").open(encoding="utf-8", newline="") as file:
        counts = {(r["term"], r["value"]): int(r["count"]) for r in csv.DictReader(file)}
    assert counts["[Ff]riday|station", "Friday"] == sum(r["value"] == "Friday" for r in lines)
    assert cli(*common, "--to", tmp_path / "a.jsonl").returncode == 2


def test_words_conditions_and_rules(cli, example, tmp_path):
    (tmp_path / "words.txt").write_text("boathouse\n\nкамера\n", encoding="utf-8")
    rows = [json.loads(line) for line in cli("search", example, "--words", tmp_path / "words.txt", "--json").stdout.splitlines()]
    assert {r["term"] for r in rows} == {"boathouse"}
    done = cli("search", example, "--condition", "boathouse AND NOT camera", "--where", "files")
    assert done.stdout == "0 hit(s)\n", done.stdout
    done = cli("search", example, "--condition", "boathouse AND Friday", "--where", "files")
    assert done.stdout.count("notes.txt") > 2
    pytest.importorskip("yara_x")
    (tmp_path / "r.yar").write_text('rule boat { strings: $a = "boathouse" condition: $a }', encoding="utf-8")
    (row,) = [json.loads(line) for line in cli("search", example, "--yara", tmp_path / "r.yar", "--json").stdout.splitlines()]
    assert row["term"] == "r:boat" and row["path"] == "Users/alice/Documents/notes.txt"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to search for: give a TERM"), (["(", "-E"], "no regular expression"), (["a", "--encodings", "nope"], "no encoding 'nope'"),
        (["--patterns", "mail"], "no pattern mail; there are all, bitcoin"), (["a", "--where", "attic"], "no place attic"), (["a", "--to", "x.xls"], ".jsonl, .csv, .parquet"),
        (["a", "--form", "nfc"], "no form 'nfc'"), (["--condition", "a AND"], "a term is missing at the end"), (["--words", "no-such-file"], "No such file"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_a_hint(cli, example, words, said):
    done = cli("search", example, *words)
    assert done.returncode in (2, 3) and said in done.stderr and "Traceback" not in done.stderr
    assert done.returncode == 2 or "No such file" in said


def test_no_text_of_the_evidence_can_reach_the_terminal(cli, hostile):
    done = cli("search", hostile, "red", "content", "evil", "invoice")
    assert done.returncode == 0 and "[evil]" in done.stdout
    assert [c for c in done.stdout + done.stderr if not c.isprintable() and c != "\n"] == []
