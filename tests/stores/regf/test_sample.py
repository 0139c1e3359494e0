"""The hive that hivexsh wrote (samples/regf/make.sh): every key and value is in that recipe."""

from __future__ import annotations

from pathlib import Path

from forensiclib.artifacts.windows import runkeys
from forensiclib.core.declare import Keys
from forensiclib.core.limits import Budget
from forensiclib.core.source import FileSource
from forensiclib.stores.regf.regf import open_hive

SAMPLE = Path(__file__).resolve().parents[2] / "samples/regf/hivex.hiv"
RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"
EXPECTED = {
    RUN: [("Updater", "REG_SZ", r"C:\Program Files\Updater\updater.exe -q"), ("Small", "REG_BINARY", b"\xab")],
    r"Software\Types": [
        ("", "REG_SZ", "default"),
        ("expand", "REG_EXPAND_SZ", r"%SystemRoot%\x"),
        ("number", "REG_DWORD", 0x12345678),
        ("quad", "REG_QWORD", 0x0807060504030201),
        ("list", "REG_MULTI_SZ", ["a", "bc"]),
        ("odd", "TYPE_0x123456", b"\xff"),
    ],
}


def test_every_key_and_value() -> None:
    budget = Budget()
    hive = open_hive(FileSource(SAMPLE), {}, budget)
    found = {k.path: [(v.name, v.kind.name, v.decoded) for v in k.values()] for k in hive.walk()}
    parents = ["", "Software", r"Software\Microsoft", r"Software\Microsoft\Windows", RUN.rpartition("\\")[0]]
    assert found == EXPECTED | {path: [] for path in parents}
    assert {k.security.owner for k in hive.walk() if k.security} == {"S-1-5-32-544"}
    assert {k.last_written.iso() for k in hive.walk()} == {"2012-12-14T23:06:40Z"}
    assert not budget.findings and not list(hive.deleted()) and hive.stored is hive


def test_the_table_says_the_same() -> None:
    hive = open_hive(FileSource(SAMPLE), {}, Budget())
    rows = [(r["path"], r["name"], r["type"], r["data"]) for r in hive.table().rows()]
    assert rows == [(k.path, v.name, v.kind.number, v.data) for k in hive.walk() for v in k.values()]
    assert len(rows) == 8


def test_run_keys_and_their_bytes() -> None:
    assert isinstance(runkeys.EXTRACTOR.source, Keys)
    source = FileSource(SAMPLE)
    keys = open_hive(source, {}, Budget()).find(runkeys.EXTRACTOR.source.patterns)
    rows = [row for key in keys for row in runkeys.EXTRACTOR.rows(key, Budget())]
    assert [(r.values["name"], r.values["command"]) for r in rows] == [
        ("Updater", r"C:\Program Files\Updater\updater.exe -q"),
        ("Small", None),
    ]
    # The row stands on the value's cell and on its data, which this writer put into a cell of its own.
    stands = rows[0].source
    assert stands is not None
    spans = stands.trace(rows[0].at, rows[0].length)
    assert [s.root for s in spans] == ["hivex.hiv"] * len(spans)
    cell = source.read_at(spans[0].start, spans[0].length)
    assert cell[4:6] == b"vk" and b"Updater" in cell
    stored = b"".join(source.read_at(s.start, s.length) for s in spans)
    assert r"C:\Program Files\Updater\updater.exe -q".encode("utf-16-le") in stored
