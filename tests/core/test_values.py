"""Times, SIDs, GUIDs, texts, errors, budgets, batches: published values and laws."""

from __future__ import annotations

import datetime
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensiclib.core import errors
from forensiclib.core.batch import Batch, Column, batch_of
from forensiclib.core.errors import Cancelled, Corrupt, LimitExceeded, UsageError
from forensiclib.core.finding import Finding, Ledger
from forensiclib.core.guid import guid
from forensiclib.core.keys import Keys
from forensiclib.core.limits import Budget, Limits
from forensiclib.core.sid import sid
from forensiclib.core.span import Span
from forensiclib.core.text import c_string, escape, utf16
from forensiclib.core.time import Timestamp


def test_filetime_of_the_unix_epoch():
    # [MS-DTYP] 2.3.3: 116444736000000000 is 1970-01-01T00:00:00Z.
    stamp = Timestamp.filetime(116_444_736_000_000_000)
    assert stamp.ns == 0 and stamp.iso() == "1970-01-01T00:00:00Z"


def test_filetime_zero_is_not_a_date_and_the_largest_still_prints():
    assert Timestamp.filetime(0).iso() == "" and Timestamp.filetime(0).ns is None
    last = Timestamp.filetime(0x7FFF_FFFF_FFFF_FFFF)
    # The last date that Windows documents for FileTimeToSystemTime: 30828-09-14T02:48:05.4775807Z.
    assert last.iso() == "30828-09-14T02:48:05.4775807Z" and last.int64 is None


@given(st.datetimes(datetime.datetime(1601, 1, 2), datetime.datetime(9999, 12, 31)))
def test_iso_agrees_with_datetime(when):
    when = when.replace(tzinfo=datetime.UTC)
    ticks = (when - datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(microseconds=1) * 10
    text = Timestamp.filetime(ticks).iso()
    assert datetime.datetime.fromisoformat(text) == when


def test_fat_times_are_local_and_say_so():
    # 2020-12-31 23:59:58 and 1.5 s of the 10 ms counter
    stamp = Timestamp.fat((40 << 9) | (12 << 5) | 31, (23 << 11) | (59 << 5) | 29, 150)
    assert stamp.zone == "local" and stamp.iso() == "2020-12-31T23:59:59.5"
    assert Timestamp.fat(0, 0).ns is None
    assert Timestamp.fat((40 << 9) | (13 << 5) | 1).ns is None, "month 13"


def test_sid_examples_from_ms_dtyp():
    # [MS-DTYP] 2.4.2.4: BUILTIN\\Administrators
    assert sid(bytes.fromhex("01020000000000052000000020020000")) == "S-1-5-32-544"
    assert sid(bytes.fromhex("010100000000000100000000")) == "S-1-1-0"
    assert sid(b"\x02" + bytes(11)) is None and sid(b"") is None


def test_guid_byte_order():
    assert guid(bytes.fromhex("78563412341278561234567812345678")) == "12345678-1234-5678-1234-567812345678"


def test_texts():
    assert utf16("añ€".encode("utf-16-le") + b"x") == "añ€"
    assert utf16(b"\x00\xd8a\x00") == "\ufffda"
    assert utf16("ab\0cd".encode("utf-16-le"), stop_at_nul=True) == "ab"
    assert utf16(b"\x00\x01\x00\x00", stop_at_nul=True) == "\u0100", "a NUL counts on 16-bit boundaries only"
    assert c_string(b"abc\0def") == "abc" and c_string(b"a\xff") == "a\\xff"
    assert escape("a\x1b[2Jb\u202ec") == "a\\x1b[2Jb\\u202ec"


def test_errors_pickle_and_say_what_where_and_what_was_found():
    error = Corrupt("EWF chunk", Span("disk.E01", 0x1000, 0x200), "checksum")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (again.what, again.span, again.found) == (error.what, error.span, error.found)
    assert str(error) == "EWF chunk at disk.E01[0x1000+0x200]: checksum"
    assert issubclass(UsageError, ValueError) and issubclass(errors.MissingSupport, ImportError)


def test_budget_bounds_everything():
    budget = Budget(Limits(items=10, allocation=100, depth=2, output=1 << 20, ratio=10))
    with pytest.raises(LimitExceeded):
        budget.allocate("x", 101)
    with pytest.raises(LimitExceeded):
        budget.allocate("x", -1)
    budget.item(10)
    with pytest.raises(LimitExceeded):
        budget.item()
    budget.enter("a")
    budget.enter("b")
    with pytest.raises(LimitExceeded):
        budget.enter("c")
    with pytest.raises(LimitExceeded):
        budget.produce("bomb", 700_000, 100)


def test_budget_cancels_and_times_out():
    with pytest.raises(Cancelled):
        Budget(cancelled=lambda: True).check()
    with pytest.raises(LimitExceeded):
        Budget(Limits(seconds=-1.0)).check()


def test_findings_beyond_the_limit_are_counted_not_lost():
    budget = Budget(Limits(findings=2))
    for i in range(5):
        budget.report(Corrupt("x", None, str(i)))
    assert len(budget.findings) == 2 and budget.dropped == 3


def test_ledger_wants_a_reason():
    with pytest.raises(ValueError):
        Ledger().skipped("volume", 5, "")


def test_keys_never_show():
    keys = Keys("hunter2", recovery="111111-222222", keyfile=b"secretbytes")
    for text in (repr(keys), str(keys), f"{keys}"):
        assert "hunter2" not in text and "111111" not in text and "secretbytes" not in text


ROWS = [
    {"i": 1, "u": 2, "t": 3, "s": "é", "b": b"\x00\xff", "l": [1, 2], "f": True, "x": 0.5},
    {"i": None, "u": None, "t": None, "s": None, "b": None, "l": None, "f": None, "x": None},
    {"i": -5, "u": 1 << 63, "t": -9, "s": "", "b": b"", "l": [], "f": False, "x": -1.0},
]
SCHEMA = (
    ("i", "int64"),
    ("u", "uint64"),
    ("t", "timestamp"),
    ("s", "utf8"),
    ("b", "binary"),
    ("l", "list_int64"),
    ("f", "bool"),
    ("x", "float64"),
)


def test_batch_gives_back_its_rows():
    assert list(batch_of(SCHEMA, ROWS).rows()) == ROWS


def test_pyarrow_and_polars_read_a_batch_without_help():
    pa = pytest.importorskip("pyarrow", reason="pyarrow not installed")
    got = pa.record_batch(batch_of(SCHEMA, ROWS))
    for name, kind in SCHEMA:
        want = [row[name] for row in ROWS]
        column = got.column(name).cast(pa.int64()) if kind == "timestamp" else got.column(name)
        assert column.to_pylist() == want, name


def test_enum_columns_read_as_text():
    pa = pytest.importorskip("pyarrow", reason="pyarrow not installed")
    batch = Batch(3, (Column("state", "enum", bytes([1, 0, 1]), None, None, ("allocated", "deleted")),))
    assert batch.list("state") == ["deleted", "allocated", "deleted"]
    assert pa.record_batch(batch).column("state").to_pylist() == batch.list("state")


def test_unknown_columns_and_types_are_the_callers_fault():
    with pytest.raises(UsageError):
        batch_of(SCHEMA, ROWS).column("nope")
    with pytest.raises(UsageError):
        Column("a", "int7", b"")


def test_a_finding_is_a_flat_row():
    row = Finding.of(Corrupt("x", Span("r", 1, 2, ("lznt1",), False), "y"), "w", "room").row()
    assert row == {
        "kind": "Corrupt",
        "what": "x",
        "found": "y",
        "where": "w",
        "room": "room",
        "root": "r",
        "start": 1,
        "length": 2,
        "via": "lznt1",
    }
