"""Artifacts inside carved files are extracted too, and say that they were carved."""

from __future__ import annotations

import json
import random
import sqlite3

import pytest

import forensiclib as fl

pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow not installed")


@pytest.mark.corpus
def test_a_chunk_a_link_and_a_hive_without_a_file_system(corpus, tmp_path):
    log = (corpus / "evtx" / "Microsoft-Windows-LanguagePackSetup%4Operational.evtx").read_bytes()
    hive = (corpus / "registry" / "Registry.Test" / "Hives" / "NTUSER1.DAT").read_bytes()
    link = (corpus / "lnk" / "Lnk.Test" / "WinXP" / "Magnifier.lnk").read_bytes()
    fill = random.Random(5).randbytes
    image = tmp_path / "raw.dd"
    at = {"chunk": 70_001, "hive": 70_001 + 65_536 + 999}
    at["link"] = at["hive"] + len(hive) + 512
    image.write_bytes(fill(at["chunk"]) + log[4096 : 4096 + 65_536] + fill(999) + hive + fill(512) + link + fill(50_000))
    case = fl.examine(image, tmp_path / "case")
    tables = {n: pq.read_table(case.path / "artifacts" / f"windows.{n}.parquet") for n in ("evtx", "registry", "lnk")}
    # The evtx crate counts 17 records in the log; NTUSER1.DAT 595 keys and 878 values (libregf).
    states = tables["evtx"]["state"].to_pylist()
    assert states.count("carved") == 17 and set(states) == {"carved", "slack"}
    assert tables["registry"].num_rows == 595 + 878
    assert tables["lnk"].num_rows == 1
    for name, place in (("evtx", "chunk"), ("registry", "hive"), ("lnk", "link")):
        assert name == "evtx" or set(tables[name]["state"].to_pylist()) == {"carved"}
        assert min(s[0] for s in tables[name]["span_start"].to_pylist()) >= at[place]
    assert tables["lnk"]["span_start"].to_pylist() == [[at["link"]]]


@pytest.mark.corpus
def test_hive_bins_without_their_hive(corpus, tmp_path):
    hive = (corpus / "registry" / "Registry.Test" / "Hives" / "NTUSER1.DAT").read_bytes()
    fill = random.Random(5).randbytes
    image = tmp_path / "raw.dd"
    image.write_bytes(fill(70_001) + hive[4096:] + fill(9_000))
    case = fl.examine(image, tmp_path / "case")
    table = pq.read_table(case.path / "artifacts" / "windows.registry.parquet")
    # libregf counts 595 keys and 878 values in the whole hive; what was deleted is found too.
    entries = [e for e, s in zip(table["entry"].to_pylist(), table["state"].to_pylist()) if s == "carved"]
    assert entries.count("key") in (594, 595) and entries.count("value") == 878
    assert min(s[0] for s in table["span_start"].to_pylist()) >= 70_001


def test_rows_of_database_pages_without_their_database(tmp_path):
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA page_size=4096")
    db.execute("PRAGMA secure_delete=OFF")
    db.execute("CREATE TABLE sms (id INTEGER PRIMARY KEY, who TEXT, body TEXT)")
    rows = [(i, f"+44 7700 900{i:03}", f"message {i} é") for i in range(1, 41)]
    db.executemany("INSERT INTO sms VALUES (?, ?, ?)", rows)
    db.commit()
    db.execute("DELETE FROM sms WHERE id IN (7, 8, 30)")
    db.commit()
    data, fill = db.serialize(), random.Random(5).randbytes
    image = tmp_path / "raw.dd"
    image.write_bytes(fill(512 * 9) + data[4096:8192] + fill(512 * 20))
    case = fl.examine(image, tmp_path / "case")
    table = pq.read_table(case.path / "artifacts" / "sqlite.rows.parquet")
    columns, states = (table[n].to_pylist() for n in ("columns", "state"))
    found = {s: sorted(tuple(json.loads(c)[1:]) for c, state in zip(columns, states) if state == s) for s in ("carved", "deleted")}
    assert found["carved"] == sorted(r[1:] for r in rows if r[0] not in (7, 8, 30))
    assert found["deleted"] == sorted(r[1:] for r in rows if r[0] in (7, 8, 30))
    for (start,), body in zip(table["span_start"].to_pylist(), columns):
        assert json.loads(body)[2].encode() in image.read_bytes()[start : start + 200]
