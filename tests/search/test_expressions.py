"""Expressions: what re says of the text is what the search says of its bytes; the engines agree; edges do not matter."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forensiclib.core.errors import UsageError
from forensiclib.core.source import MemorySource
from forensiclib.search.charset import EVERY, cased, inverted, sequences, text_of
from forensiclib.search.encodings import UNICODE
from forensiclib.search.engine import BLOCK, search, settled
from forensiclib.search.expression import translate
from forensiclib.search.query import Query

EXPRESSIONS = (
    r"\b\w+@\w+\.com\b", "a+b", "(ab|cd)+?e", "[^x]é{2,}", "^foo.*$", r"(?<=x)\d{3}(?!\d)", r"(\w)\1", "a{,3}b", "colou?r", "(?i)grüße",
    r"\d+", ".b", "(?<![a-zé])xy", "[a-zé€]{2}c", r"(?s:a.b)", r"\S{3}\s", "(?>a+)b", "a++c", r"a\Z", "[^\\W\\d_]+1",
)  # fmt: skip
ALPHABET = ["a", "b", "c", "x", "y", "é", "€", "\n", "foo", "12", "ab", "com", "@", ".", " ", "ß", "GRÜSSE", "grüße", "color", "😀", "1"]


def values(data: bytes, encoding: str, query: Query) -> list[tuple[int, str]]:
    """Of the texts that begin with the data: at an odd offset UTF-16 is another text."""
    step = 2 if encoding.startswith("utf-16") else 1
    return [(h.term, h.value) for h in search(MemorySource(data), query) if h.encoding == encoding and h.offset % step == 0]


@given(st.lists(st.sampled_from(ALPHABET), max_size=60).map("".join))
@settings(max_examples=60, deadline=None)
def test_what_re_says_of_the_text(text):
    for encoding in UNICODE:
        got = values(text.encode(encoding), encoding, Query(expressions=EXPRESSIONS, encodings=(encoding,)))
        for number, expression in enumerate(EXPRESSIONS):
            want = [m.group() for m in re.finditer(expression, text, re.M | re.A if "(?i)" not in expression else re.M)]
            assert [v for n, v in got if n == number] == want, (encoding, expression)


@given(st.binary(max_size=300), st.lists(st.sampled_from(ALPHABET), max_size=40).map("".join), st.sampled_from(UNICODE))
@settings(max_examples=60, deadline=None)
def test_engines_agree(junk, text, encoding):
    pytest.importorskip("hyperscan")
    data = junk + text.encode(encoding) + junk
    fast = list(search(MemorySource(data), Query(expressions=EXPRESSIONS, engine="hyperscan")))
    slow = list(search(MemorySource(data), Query(expressions=EXPRESSIONS, engine="python")))
    assert fast == slow


def test_bytes_that_are_no_utf8_do_not_hide_a_hit():
    assert values(b"name=caf\xe9 au lait;", "utf-8", Query(expressions=("name=.*;",))) == [(0, "name=caf\\xe9 au lait;")]


def test_a_hit_across_any_edge_is_found():
    text = b"start-" + b"m" * 900 + b"-end"
    for at in (BLOCK - 1, BLOCK - 5, BLOCK - len(text) + 1, 4 * BLOCK - 450, 4 * BLOCK):
        data = bytearray(4 * BLOCK + 5000)
        data[at : at + len(text)] = text
        hits = list(search(MemorySource(bytes(data)), Query(words=("start-m",), expressions=("start-m+-end",))))
        assert [(h.offset, h.length) for h in hits] == [(at, 7), (at, len(text))]


def test_the_window_and_the_parts_do_not_matter():
    rng = random.Random(4)
    data = bytearray(rng.randbytes(3 * BLOCK + 12345))
    for word in ("needle", "Nadel", "42 4242", "aaaaaaa"):
        for _ in range(200):
            raw = (word * rng.choice((1, 1, 40))).encode(rng.choice(UNICODE))
            at = rng.choice((rng.randrange(len(data) - 4000), BLOCK * rng.randrange(1, 4) - rng.randrange(300)))
            data[at : at + len(raw)] = raw
    source = MemorySource(bytes(data))
    query = Query(words=("needle", "nadel", "aa"), expressions=(r"\d+ \d+", "a+", "(?:Nadel)+"), ignore_case=True)
    want = list(search(source, query, window=BLOCK))
    assert len(want) > 1000
    for window in (2 * BLOCK, 8 * BLOCK):
        assert list(search(source, query, window=window)) == want
    parts = [h for start in range(0, len(data), BLOCK) for h in search(source, query, start=start, stop=start + BLOCK)]
    assert list(settled(parts)) == want


@pytest.mark.parametrize("encoding", UNICODE)
@pytest.mark.parametrize(
    "ranges", [((0x41, 0x5A),), ((0x80, 0x7FF),), ((0x3A0, 0x1F300),), ((0xFF80, 0x10405),), ((0x10000, 0x10FFFF),), EVERY]
)
def test_sets_of_characters(encoding, ranges):
    ranges = inverted(inverted(ranges))
    expression = re.compile(text_of(sequences(ranges, encoding)))
    rng = random.Random(1)
    numbers = [*range(0, 0x3000, 7), *range(0xD780, 0xD800), *range(0xE000, 0x12000, 5), *range(0x10FFF0, 0x110000)]
    for number in numbers + [rng.randrange(0xE000, 0x110000) for _ in range(3000)]:
        inside = any(low <= number <= high for low, high in ranges)
        assert bool(expression.fullmatch(chr(number).encode(encoding))) == inside, hex(number)


def test_case_of_sets():
    assert cased(((0x6B, 0x6B),)) == ((0x4B, 0x4B), (0x6B, 0x6B), (0x212A, 0x212A))


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(", "no regular expression"),
        ("a*", "matches the empty text"),
        (r"\b", "matches the empty text"),
        ("(?:a{1,90000}){1,9}", "may match more"),
        ("(a)?(?(1)b|c)", "cannot be searched for"),
    ],
)
def test_expressions_that_cannot_be(expression, why):
    with pytest.raises(UsageError, match=why):
        translate(expression, "utf-8")


def test_no_match_is_longer_than_it_says():
    data = MemorySource(b"x" * 5000)
    assert [h.length for h in search(data, Query(expressions=("x+",), encodings=("utf-8",)))] == [1000] * 5
