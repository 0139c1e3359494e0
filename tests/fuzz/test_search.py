"""Any bytes: every pattern, word and expression gives hits inside of the data, whose value is what stands there."""

from __future__ import annotations

import os
import random

import pytest

from forensiclib.catalog import load
from forensiclib.core.source import MemorySource
from forensiclib.search.encodings import STANDARD
from forensiclib.search.engine import search
from forensiclib.search.patterns import coins, money, network, people, places
from forensiclib.search.query import Query

COUNT = int(os.environ.get("FORENSICLIB_FUZZ", "300"))
PATTERNS = tuple(p for room in (coins, money, network, people, places) for p in room.PATTERNS)
PIECES = [
    b"a@b.com", b"http://", b"GB29 NWBK 6016 1331 9268 19", b"4111 1111 1111 1111", b"+44 20 7946 0018", b"::1:2:3", b"$GPGGA,123519,4807.038,N,01131.000,E,1*47",
    b"$GPRMC,1.....,A,0000.0,S,00000.0,W,*00", b"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", b"0x" + b"aF" * 20, b"4" * 106, b"S-1-5-21-9999999999-1-2-3", b"1.1.1.1",
    b"\xff\xfe", b"\0", b"\n", b"-", b" ", b"(", b")", b".", b"12", b"A", b"z", b"\xc3\xa9", b"\xe6\x9d\xb1", b"\xcc\x81", b"5" * 30, b"99.99999,999.99999", b"9" * 60 + b".9",
]  # fmt: skip


def data_of(rng: random.Random) -> bytes:
    out = bytearray()
    for _ in range(rng.randrange(40)):
        piece = bytearray(rng.choice(PIECES) if rng.random() < 0.9 else rng.randbytes(rng.randrange(20)))
        if piece and rng.random() < 0.3:
            piece[rng.randrange(len(piece))] = rng.randrange(256)
        text = bytes(piece)
        if rng.random() < 0.2:
            text = text.decode("latin-1").encode(rng.choice(("utf-16-le", "utf-16-be")))
        out += text
    return bytes(out)


def check(data: bytes, query: Query) -> None:
    hits = list(search(MemorySource(data), query))
    for hit in hits:
        assert hit.offset >= 0 and hit.length > 0 and hit.offset + hit.length <= len(data) and 0 < hit.confidence <= 1
        assert data[hit.offset : hit.offset + hit.length].decode(hit.encoding, "backslashreplace") == hit.value
        assert sum(s.length for s in hit.spans) == hit.length
    assert [h.offset for h in hits] == sorted(h.offset for h in hits)


@pytest.mark.parametrize("part", range(4))
def test_any_bytes(part):
    rng = random.Random(part)
    queries = (
        Query(patterns=PATTERNS),
        Query(words=("é", "東京", "ab", "12 "), ignore_case=True, whole_word=part % 2 == 0, encodings=STANDARD),
        Query(words=("af", "com"), ignore_case=True, form="compatibility"),
        Query(expressions=(r"(\d)\1+", r"[^\0]{3,9}\0", "é.", r"\b[a-z]+\b"), encodings=STANDARD),
    )
    for _ in range(COUNT // 4):
        check(data_of(rng), rng.choice(queries))


def test_declared_patterns_are_these():
    assert {p.name for p in load().patterns} == {p.name for p in PATTERNS}
