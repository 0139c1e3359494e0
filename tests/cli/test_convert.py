"""convert, as a user calls it."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

import forensiclib as fl
from forensiclib.api.converting import convert, options_like, writer_for
from forensiclib.core.errors import UsageError
from forensiclib.core.source import MemorySource
from forensiclib.core.writing import WriteOptions
from tests.images.sets import SAMPLES, make_media, noise


def test_raw_to_e01_to_raw_says_what_it_did(cli, tmp_path: Path) -> None:
    media = tmp_path / "media.dd"
    media.write_bytes(noise(2 << 20))
    done = cli("convert", media, "--to", tmp_path / "set.E01", "--segment-size", "1MiB", "--compression", "best", "--fact",
               "case-number=7/b", "--fact", "notes=a=b", "--acquired", "2024-02-29T13:14:15", "--jobs", 2, "--json")  # fmt: skip
    row = json.loads(done.stdout)
    assert done.returncode == 0 and row["ok"] is True and len(row["paths"]) == 3 and row["bad"] == []
    assert row["digests"]["sha256"] == hashlib.sha256(media.read_bytes()).hexdigest()
    said = subprocess.run(["ewfinfo", tmp_path / "set.E01"], capture_output=True, text=True, timeout=60).stdout
    assert "Case number:\t\t7/b" in said and "Notes:\t\t\ta=b" in said
    done = cli("convert", tmp_path / "set.E01", "--to", tmp_path / "again.dd")
    assert done.returncode == 0 and "read back: same" in done.stdout
    assert (tmp_path / "again.dd").read_bytes() == media.read_bytes()
    done = cli("convert", tmp_path / "set.E01", "--to", tmp_path / "parts.001", "--segment-size", "700kB", "--no-verify")
    assert done.returncode == 0 and "3 file(s)" in done.stdout and "not read back" in done.stdout


def test_what_is_wrong_is_said_and_costs_nothing(cli, tmp_path: Path) -> None:
    media = tmp_path / "media.dd"
    media.write_bytes(make_media())
    for words, code, text in (
        (("--to", media), 2, "there already"),
        (("--to", tmp_path / "x.xyz"), 2, "nothing writes '.xyz'; there are "),
        (("--to", tmp_path / "x.E01", "--segment-size", "big"), 2, "is no size"),
        (("--to", tmp_path / "x.E01", "--fact", "colour=red"), 2, "no header value 'colour'"),
        (("--to", tmp_path / "x.E01", "--fact", "notes"), 2, "write NAME=TEXT"),
        (("--to", tmp_path / "x.E01", "--resume"), 2, "no stopped job"),
        (("--to", tmp_path / "no" / "x.E01"), 3, "No such file or directory"),
    ):
        done = cli("convert", media, *words)
        assert (done.returncode, done.stdout) == (code, "") and text in done.stderr, words
    assert [p.name for p in tmp_path.iterdir()] == ["media.dd"]


def test_header_values_and_bad_sectors_are_carried_over(tmp_path: Path) -> None:
    run = fl.Run()
    with fl.open_image(str(SAMPLES / "encase6.E01"), run=run) as image:
        made = convert(run, image, str(tmp_path / "set.E01"))
        kept = options_like(image, WriteOptions(facts={"notes": "mine"}))
    assert made.ok and made.verification is not None and made.verification.ok is True
    with fl.open_image(str(tmp_path / "set.E01")) as again, fl.open_image(str(SAMPLES / "encase6.E01")) as first:
        for name in ("case_number", "evidence_number", "examiner_name", "unique_description", "notes", "acquired_date", "sectors_count"):
            assert again.facts[name] == first.facts[name]
        assert again.hashes["md5"] == first.hashes["md5"] == hashlib.md5(make_media()).hexdigest()
    assert kept.facts["notes"] == "mine" and kept.facts["case_number"] == "case"


def test_a_set_that_does_not_read_back_is_not_ok(tmp_path: Path) -> None:
    run = fl.Run()
    with fl.open_image(MemorySource(make_media()), run=run) as image:
        made = convert(run, image, str(tmp_path / "a.E01"), verify=False)
        assert made.ok and made.verification is None
        with pytest.raises(UsageError, match="nothing writes"):
            writer_for(run, "a.aff9")
        assert writer_for(run, "a.xyz", "ewf").name == "ewf"
    raw = bytearray((tmp_path / "a.E01").read_bytes())
    raw[3000] ^= 1
    (tmp_path / "a.E01").write_bytes(raw)
    with fl.open_image(str(tmp_path / "a.E01")) as again:
        assert again.verify().ok is False
