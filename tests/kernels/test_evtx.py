"""Event log chunks: the compiled kernel says what its plain twin says, and both what the format says."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib._plain.evtx import evtx_chunks as plain
from forensiclib._plain.evtx_values import checked, elements, hash_of, iso_ns, json_text, text
from forensiclib.testing.contracts import mutations

fast = pytest.importorskip("forensiclib._columns", reason="the compiled modules are not built").evtx_chunks
NO_BASE = [0] * 10


def kinds_of(data: bytes) -> bytes:
    return bytes(1 if data[i : i + 8] == b"ElfChnk\0" else 2 for i in range(0, len(data), 65536))


def logs(corpus: Path) -> list[Path]:
    return sorted([*corpus.glob("evtx/*.evtx"), *corpus.glob("plaso/evtx/*.evtx")])


@pytest.mark.corpus
def test_compiled_equals_plain_on_every_real_log(corpus: Path) -> None:
    for path in logs(corpus):
        data = path.read_bytes()[4096:]
        base = [7 * i for i in range(10)]
        assert fast(data, kinds_of(data), 1 << 40, base) == plain(data, kinds_of(data), 1 << 40, base), path.name


@pytest.mark.corpus
def test_compiled_equals_plain_on_damaged_chunks(corpus: Path) -> None:
    count = int(os.environ.get("FORENSICLIB_FUZZ", "300")) // 30
    for path in logs(corpus):
        for number, chunk in enumerate(mutations(path.read_bytes()[4096 : 4096 + 65536], count, seed=11)):
            for kind in (1, 2):
                kinds = bytes([kind]) * -(-len(chunk) // 65536)
                assert fast(chunk, kinds, 0, NO_BASE) == plain(chunk, kinds, 0, NO_BASE), (path.name, number, kind)


def wrapped(binxml: bytes) -> bytes:
    """A chunk with one record of this BinXML."""
    size = 28 + len(binxml)
    record = b"\x2a\x2a\0\0" + struct.pack("<IQQ", size, 7, 0x01D0_0000_0000_0000) + binxml + struct.pack("<I", size)
    head = b"ElfChnk\0" + bytes(40) + struct.pack("<I", 512 + size)
    return head + bytes(512 - len(head)) + record


def name(said: str) -> bytes:
    raw = said.encode("utf-16-le")
    return struct.pack("<IHH", 0, hash_of(raw), len(said)) + raw + b"\0\0"


def instance(kind: int, value: bytes, optional: bool = False) -> bytes:
    """BinXML at offset 536 of the chunk: <Event><V>(the value)</V></Event> out of a template."""
    at = 512 + 24 + 4 + 10 + 24
    body = b"\x0f\x01\x01\0"
    for element in ("Event", "V"):
        here = at + len(body)
        body += b"\x01\xff\xff" + struct.pack("<II", 0, here + 11) + name(element) + b"\x02"
    body += struct.pack("<BHB", 14 if optional else 13, 0, kind) + b"\x04\x04\0"
    head = b"\x0f\x01\x01\0\x0c\x01" + struct.pack("<II", 0xABCD, 512 + 24 + 14)
    head += struct.pack("<II12sI", 0, 0xABCD, bytes(12), len(body))
    return head + body + struct.pack("<IHBB", 1, len(value), kind, 0) + value + b"\0"


def data_of(result: object) -> str:
    assert isinstance(result, tuple)
    column = next(c for c in result[1] if c[0] == "data")
    return str(column[2], "utf-8")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=64), st.booleans())
def test_any_value_of_any_type(kind: int, value: bytes, optional: bool) -> None:
    chunk = wrapped(instance(kind, value, optional))
    assert fast(chunk, b"\1", 0, NO_BASE) == plain(chunk, b"\1", 0, NO_BASE)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([bytes([t]) for t in (*range(16), 65, 69, 70)] + [b"\0\0", b"\2\2", name("Data")]), max_size=40))
def test_any_tokens(tokens: list[bytes]) -> None:
    chunk = wrapped(b"\x0f\x01\x01\0" + b"".join(tokens))
    assert fast(chunk, b"\1", 0, NO_BASE) == plain(chunk, b"\1", 0, NO_BASE)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000), st.sampled_from([0, 1, 2]))
def test_any_bytes(data: bytes, kind: int) -> None:
    kinds = bytes([kind]) * -(-len(data) // 65536)
    assert fast(data, kinds, 5, NO_BASE) == plain(data, kinds, 5, NO_BASE)


@given(st.one_of(st.floats(), st.floats(width=32)))
def test_a_real_reads_back_as_itself(value: float) -> None:
    chunk = wrapped(instance(12, struct.pack("<d", value)))
    said = data_of(fast(chunk, b"\1", 0, NO_BASE))[5:-1]
    assert math.isnan(value) if "NaN" in said else float(said.strip('"')) == value


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (1, 'a"\\\n\u20ac\U0001f600\0\0'.encode("utf-16-le"), '"a\\"\\\\\\n\u20ac\U0001f600"'),
        (1, b"\x00\xd8A\0", '"\ufffdA"'),
        (2, b"caf\xe9 \x80\0", '"caf\u00e9 \u20ac"'),
        (3, b"\xff", "-1"),
        (10, b"\xff" * 8, "18446744073709551615"),
        (13, b"\1\0\0\0", "true"),
        (14, b"\x01\xab", '"01ab"'),
        (15, bytes.fromhex("25968454785494 49a5ba3e3b0328c30d"), '"54849625-5478-4994-a5ba-3e3b0328c30d"'),
        (16, b"\x4c\x02\0\0", '"0x24c"'),
        # [MS-DTYP] 2.3.3: 100 ns since 1601; 2010-11-21T03:55:59.6264271Z is the first record of a real log.
        (17, struct.pack("<Q", 129_347_853_596_264_271), '"2010-11-21T03:55:59.6264271Z"'),
        (17, bytes(8), '"1601-01-01T00:00:00Z"'),
        (18, struct.pack("<8H", 2019, 3, 5, 8, 23, 23, 5, 0), '"2019-03-08T23:23:05.000"'),
        (19, bytes.fromhex("010100000000000512000000"), '"S-1-5-18"'),
        (21, b"\0\0\0\0\0\0\x20\x80", '"0x8020000000000000"'),
        (0x81, "a\0\0b\0".encode("utf-16-le"), '["a","","b"]'),
        (0x88, struct.pack("<2I", 1, 2), "[1,2]"),
        (0x95, struct.pack("<2Q", 10, 11), '["0xa","0xb"]'),
        (0x93, bytes.fromhex("010100000000000512000000") * 2, '["S-1-5-18","S-1-5-18"]'),
        (19, b"\0\0\0\0\0\0\0\0", '"0000000000000000"'),
        (0, b"", "null"),
    ],
)
def test_values_read_as_their_type_says(kind: int, value: bytes, said: str) -> None:
    chunk = wrapped(instance(kind, value))
    assert data_of(fast(chunk, b"\1", 0, NO_BASE)) == f'{{"V":{said}}}'
    assert json_text(checked(kind, value)) == said


def test_what_does_not_fit_is_the_callers_fault() -> None:
    for kernel in (fast, plain):
        for arguments in ((b"x", b"", 0, NO_BASE), (b"", b"\1", 0, NO_BASE), (b"", b"", -1, NO_BASE), (b"", b"", 0, [0])):
            with pytest.raises(ValueError):
                kernel(*arguments)


def test_nesting_and_repetition_are_bounded() -> None:
    """A template that holds its own BinXML twice would double at each level."""
    inner = instance(1, "x".encode("utf-16-le"))
    for _ in range(30):
        inner = instance(33, inner[:40_000])
    chunk = wrapped(inner)[:65536]
    assert fast(chunk, b"\1", 0, NO_BASE) == plain(chunk, b"\1", 0, NO_BASE)


def test_times_written_as_text() -> None:
    assert iso_ns("2021-11-19T16:52:33.833733500Z") == 1_637_340_753_833_733_500  # date -ud ... +%s%N
    for bad in ("2021-02-29T00:00:00Z", "2021-11-19T24:00:00Z", "2021-11-19 16:52:33Z", "", "2021-11-19T16:52:33.Z"):
        assert iso_ns(bad) is None


def test_an_array_that_is_none_is_kept_as_bytes() -> None:
    assert elements(0x88, b"abc") is None
    assert text(checked(0x88, b"abc")) == "616263"
